"""An offer says how many different people must approve."""

from django.db import migrations, models

from audit.triggers import Rule, enforce, keeping_rules


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_created_users"), ("audit", "0001_audit_events")]

    operations = [
        *keeping_rules(
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
            )
        ),
        enforce(
            Rule(
                name="offer_class_is_known",
                table="accounts_offer",
                events=("INSERT", "UPDATE"),
                refused_when="NEW.approval_class NOT IN ('standard', 'high')",
                message="the approval class is standard or high",
            ),
        ),
    ]
