"""An offer says how many different people must approve."""

from django.db import migrations, models

from audit.triggers import Rule, enforce


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_rules"), ("audit", "0001_audit_events")]

    operations = [
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
        # A trigger and no CHECK: SQLite makes a table anew for a CHECK, without its triggers.
        enforce(
            Rule(
                name="offer_class_is_known",
                table="accounts_offer",
                events=("INSERT", "UPDATE"),
                refused_when="NEW.approval_class NOT IN ('standard', 'high')",
                message="the approval class is standard or high",
            )
        ),
    ]
