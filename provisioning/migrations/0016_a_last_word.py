"""Somebody who approved a plan may be asked for a last word; lists leave out who has approved."""

from django.conf import settings
from django.db import migrations, models

from audit.triggers import Rule, enforce, keeping_rules


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0001_audit_events"),
        ("provisioning", "0015_ends_soon"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        *keeping_rules(
            migrations.AddField(
                model_name="accessrequest",
                name="approved_mark",
                field=models.CharField(
                    blank=True, db_default="", default="", editable=False, max_length=64
                ),
            ),
            migrations.AddField(
                model_name="decision",
                name="again",
                field=models.BooleanField(db_default=False, default=False),
            ),
            migrations.RemoveConstraint(model_name="decision", name="decision_once_per_plan"),
            migrations.AddConstraint(
                model_name="decision",
                constraint=models.UniqueConstraint(
                    fields=("request", "approver", "fingerprint", "again"),
                    name="decision_once_per_plan",
                ),
            ),
        ),
        enforce(
            Rule(
                name="decision_again_follows_an_approval",
                table="provisioning_decision",
                events=("INSERT",),
                refused_when=(
                    "NEW.again AND NOT EXISTS (SELECT 1 FROM provisioning_decision d "
                    "WHERE d.request_id = NEW.request_id AND d.approver_id = NEW.approver_id "
                    "AND d.fingerprint = NEW.fingerprint AND d.verdict = 'approved' "
                    "AND NOT d.again)"
                ),
                message="a last word is by somebody who has approved the same plan",
            )
        ),
    ]
