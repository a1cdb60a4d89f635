"""An offer says how many different people must approve."""

from django.db import migrations, models

from audit.triggers import Rule, enforce, lift

# A copy of what 0002 put in force: for a column that is not null SQLite makes the table anew,
# without its rules.
KEPT = Rule(
    name="offer_keeps_pair_and_profile",
    table="accounts_offer",
    events=("UPDATE",),
    refused_when="NEW.pair_id <> OLD.pair_id OR NEW.profile_id <> OLD.profile_id",
    message="grants are read through their offer, make another one",
)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_rules"), ("audit", "0001_audit_events")]

    operations = [
        lift(KEPT),
        migrations.AddField(
            "offer",
            "approval_class",
            models.CharField(
                choices=[
                    ("standard", "Standard: one approver"),
                    ("high", "High: two different approvers"),
                ],
                db_default="standard",
                default="standard",
                max_length=10,
            ),
        ),
        enforce(
            KEPT,
            Rule(
                name="offer_class_is_known",
                table="accounts_offer",
                events=("INSERT", "UPDATE"),
                refused_when="NEW.approval_class NOT IN ('standard', 'high')",
                message="the approval class is standard or high",
            ),
        ),
    ]
