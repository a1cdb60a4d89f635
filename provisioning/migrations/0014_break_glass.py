"""Access that somebody took in an emergency: what the database lets be, and its review."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import accounts.aws_names
from audit.triggers import Rule, enforce, keeping_rules, lift

# As 0010 has them.
STAGES = "(SELECT SUM(s.quorum) FROM accounts_approvalstage s WHERE s.offer_id = r.offer_id)"
TOO_FEW = (
    "(SELECT COUNT(DISTINCT d.approver_id) FROM provisioning_decision d "  # noqa: S608  # Constants.
    "JOIN provisioning_accessrequest r ON r.id = d.request_id "
    "WHERE d.request_id = NEW.request_id AND d.verdict = 'approved' "
    "AND d.fingerprint = NEW.fingerprint AND d.approver_id <> r.requester_id) < "
    f"COALESCE((SELECT CASE WHEN r.approvals_needed < COALESCE({STAGES}, 1) "
    f"THEN COALESCE({STAGES}, 1) ELSE r.approvals_needed END FROM provisioning_accessrequest r "
    "WHERE r.id = NEW.request_id), 1)"
)
BY_RULE = (
    "EXISTS (SELECT 1 FROM provisioning_ruleapproval a "
    "WHERE a.request_id = NEW.request_id AND a.fingerprint = NEW.fingerprint)"
)
REJECTED = (
    "EXISTS (SELECT 1 FROM provisioning_decision d "
    "WHERE d.request_id = NEW.request_id AND d.verdict = 'rejected')"
)
TAKEN = (
    "EXISTS (SELECT 1 FROM provisioning_breakglass b "
    "WHERE b.request_id = NEW.request_id AND b.fingerprint = NEW.fingerprint)"
)


def _needs_an_approval(*instead: str) -> Rule:
    without = " ".join(f"AND NOT {one}" for one in instead)
    return Rule(
        name="grant_needs_an_approval",
        table="provisioning_grant",
        events=("INSERT",),
        refused_when=f"({TOO_FEW} {without}) OR {REJECTED}",
        message="a grant follows from enough approvals of the same plan, and from no rejection",
    )


_REQUESTER = (
    "(SELECT r.requester_id FROM provisioning_breakglass b "
    "JOIN provisioning_accessrequest r ON r.id = b.request_id WHERE b.id = NEW.taken_id)"
)
RULES = (
    Rule(
        # The one place that gives access without a second person, so it is judged by the rows.
        name="break_glass_follows_its_offer",
        table="provisioning_breakglass",
        events=("INSERT",),
        refused_when=(
            "NEW.closed_at IS NOT NULL OR NOT EXISTS (SELECT 1 FROM provisioning_accessrequest r "
            "JOIN accounts_offer o ON o.id = r.offer_id "
            "JOIN accounts_user u ON u.id = r.requester_id "
            "JOIN accounts_user_groups g ON g.user_id = r.requester_id "
            "WHERE r.id = NEW.request_id AND r.extends_id IS NULL AND r.starts_at IS NULL "
            "AND u.is_active AND o.is_active AND o.break_glass_group_id = NEW.group_id "
            "AND g.group_id = NEW.group_id AND r.duration <= o.break_glass_longest "
            "AND NOT EXISTS (SELECT 1 FROM provisioning_grant x WHERE x.request_id = r.id) "
            "AND NOT EXISTS (SELECT 1 FROM provisioning_decision d WHERE d.request_id = r.id))"
        ),
        message="an offer lets members of its group take it for a while, and nobody else",
    ),
    Rule(
        name="break_glass_is_immutable",
        table="provisioning_breakglass",
        events=("UPDATE",),
        refused_when=(
            "NEW.request_id <> OLD.request_id OR NEW.group_id <> OLD.group_id "
            "OR NEW.fingerprint <> OLD.fingerprint OR NEW.taken_at <> OLD.taken_at "
            "OR OLD.closed_at IS NOT NULL"
        ),
        message="what was taken never changes",
    ),
    Rule(
        name="break_glass_closes_with_two_reviews",
        table="provisioning_breakglass",
        events=("UPDATE",),
        refused_when=(
            "NEW.closed_at IS NOT NULL AND (SELECT COUNT(DISTINCT v.reviewer_id) "
            "FROM provisioning_review v JOIN provisioning_accessrequest r ON r.id = NEW.request_id "
            "WHERE v.taken_id = NEW.id AND v.reviewer_id <> r.requester_id) < 2"
        ),
        message="it stays open until two others have reviewed it",
    ),
    Rule(
        name="break_glass_is_never_deleted",
        table="provisioning_breakglass",
        events=("DELETE",),
        refused_when="OLD.id IS NOT NULL",
        message="what was taken stays in the record",
    ),
    Rule(
        name="review_is_by_another",
        table="provisioning_review",
        events=("INSERT",),
        refused_when=f"NEW.reviewer_id = {_REQUESTER}",
        message="nobody reviews their own emergency",
    ),
    Rule(
        name="review_is_immutable",
        table="provisioning_review",
        events=("UPDATE", "DELETE"),
        refused_when="OLD.id IS NOT NULL",
        message="a review never changes",
    ),
)


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0001_audit_events"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("accounts", "0010_break_glass"),
        ("provisioning", "0013_list_indexes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        lift(_needs_an_approval(BY_RULE)),
        *keeping_rules(
            migrations.CreateModel(
                name="BreakGlass",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("fingerprint", models.CharField(max_length=64)),
                    ("taken_at", models.DateTimeField()),
                    ("closed_at", models.DateTimeField(null=True)),
                    (
                        "group",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to="auth.group",
                        ),
                    ),
                    (
                        "request",
                        models.OneToOneField(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="break_glass",
                            to="provisioning.accessrequest",
                        ),
                    ),
                ],
                options={
                    "ordering": ["id"],
                },
            ),
            migrations.CreateModel(
                name="Review",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    (
                        "verdict",
                        models.CharField(
                            choices=[("justified", "Justified"), ("unjustified", "Not justified")],
                            max_length=11,
                        ),
                    ),
                    (
                        "note",
                        models.CharField(
                            max_length=500, validators=[accounts.aws_names.validate_one_line]
                        ),
                    ),
                    (
                        "reviewed_at",
                        models.DateTimeField(
                            db_default=django.db.models.functions.datetime.Now(), editable=False
                        ),
                    ),
                    (
                        "reviewer",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    (
                        "taken",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="reviews",
                            to="provisioning.breakglass",
                        ),
                    ),
                ],
                options={
                    "ordering": ["id"],
                },
            ),
            migrations.AddIndex(
                model_name="breakglass",
                index=models.Index(
                    condition=models.Q(("closed_at__isnull", True)),
                    fields=["taken_at"],
                    name="break_glass_open",
                ),
            ),
            migrations.AddConstraint(
                model_name="review",
                constraint=models.CheckConstraint(
                    condition=models.Q(("verdict__in", ["justified", "unjustified"])),
                    name="review_verdict_is_known",
                ),
            ),
            migrations.AddConstraint(
                model_name="review",
                constraint=models.UniqueConstraint(
                    fields=("taken", "reviewer"), name="review_once_per_person"
                ),
            ),
        ),
        enforce(_needs_an_approval(BY_RULE, TAKEN), *RULES),
    ]
