"""An account may let Sallyport create IAM users, and such users can be removed again."""

from django.db import migrations, models
from django.db.models import Q
from django.db.models.functions import Lower

from audit.triggers import Rule, enforce, keeping_rules


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_retiring")]

    operations = [
        *keeping_rules(
            migrations.AddField(
                "awsaccount",
                "may_create_users",
                models.BooleanField("Sallyport may create IAM users here", default=False),
            ),
            migrations.AddField(
                "iamidentity",
                "created_by_portal",
                models.BooleanField(default=False, editable=False),
            ),
            migrations.AddField(
                "iamidentity", "remove_asked_at", models.DateTimeField(editable=False, null=True)
            ),
            migrations.AddField(
                "iamidentity", "removed_at", models.DateTimeField(editable=False, null=True)
            ),
            migrations.RemoveConstraint("iamidentity", "identity_iam_user_unique"),
            migrations.RemoveConstraint("iamidentity", "identity_person_unique"),
            migrations.AddConstraint(
                "iamidentity",
                models.UniqueConstraint(
                    models.F("account"),
                    Lower("user_name"),
                    condition=Q(removed_at__isnull=True),
                    name="identity_iam_user_unique",
                    violation_error_message="Somebody else is this IAM user already.",
                ),
            ),
            migrations.AddConstraint(
                "iamidentity",
                models.UniqueConstraint(
                    fields=["person", "account"],
                    condition=Q(removed_at__isnull=True),
                    name="identity_person_unique",
                    violation_error_message="This person has an IAM user in this account already.",
                ),
            ),
            migrations.AddConstraint(
                "iamidentity",
                models.CheckConstraint(
                    condition=Q(remove_asked_at__isnull=True) | Q(created_by_portal=True),
                    name="identity_removes_only_what_we_created",
                ),
            ),
            migrations.AddConstraint(
                "iamidentity",
                models.CheckConstraint(
                    condition=Q(removed_at__isnull=True)
                    | Q(remove_asked_at__isnull=False, next_check_at__isnull=True),
                    name="identity_removed_was_asked_for",
                ),
            ),
        ),
        enforce(
            Rule(
                name="identity_keeps_its_origin",
                table="accounts_iamidentity",
                events=("UPDATE",),
                refused_when=(
                    "NEW.created_by_portal <> OLD.created_by_portal OR "
                    "(OLD.removed_at IS NOT NULL AND NEW.removed_at IS NULL)"
                ),
                message="an IAM user that existed before never becomes ours, and gone is gone",
            ),
        ),
    ]
