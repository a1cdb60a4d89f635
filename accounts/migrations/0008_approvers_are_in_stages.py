"""Approvers and approval classes of offers are stages by now (0007), so their columns go."""

from django.db import migrations

from audit.triggers import Rule, keeping_rules, lift


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_catalogue"),
        # Its rules no longer read the class.
        ("provisioning", "0010_stages_and_rules"),
    ]

    operations = [
        lift(
            Rule(
                name="offer_class_is_known",
                table="accounts_offer",
                events=("INSERT", "UPDATE"),
                refused_when="NEW.approval_class NOT IN ('standard', 'high')",
                message="the approval class is standard or high",
            ),
        ),
        *keeping_rules(
            migrations.RemoveField("offer", "approval_class"),
            migrations.RemoveField("offer", "approver_groups"),
            migrations.RemoveField("offer", "approver_users"),
        ),
    ]
