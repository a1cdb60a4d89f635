"""Approvals have stages, a rule may approve, and a request keeps which rules it was asked under."""

import django.db.models.deletion
from django.db import migrations, models

import accounts.aws_names
from audit.triggers import Rule, enforce, keeping_rules, lift


def _too_few_people(request: str, needed: str) -> str:
    """Whether fewer people than needed approved this request's plan, the requester aside."""
    return (
        "(SELECT COUNT(DISTINCT d.approver_id) FROM provisioning_decision d "  # noqa: S608  # Constants.
        "JOIN provisioning_accessrequest r ON r.id = d.request_id "
        f"WHERE d.request_id = {request} AND d.verdict = 'approved' "
        "AND d.fingerprint = NEW.fingerprint AND d.approver_id <> r.requester_id) < "
        f"{needed}"
    )


def _by_class(request: str) -> str:
    """As 0008 had it."""
    return (
        "COALESCE((SELECT CASE WHEN o.approval_class = 'high' AND r.approvals_needed < 2 THEN 2 "  # noqa: S608  # Constants.
        "ELSE r.approvals_needed END FROM provisioning_accessrequest r "
        f"JOIN accounts_offer o ON o.id = r.offer_id WHERE r.id = {request}), 1)"
    )


STAGES = "(SELECT SUM(s.quorum) FROM accounts_approvalstage s WHERE s.offer_id = {offer})"


def _by_stages(request: str) -> str:
    """As many as when asked, or as the stages of the offer ask for by now, whichever is more."""
    stages = f"COALESCE({STAGES.format(offer='r.offer_id')}, 1)"
    return (
        f"COALESCE((SELECT CASE WHEN r.approvals_needed < {stages} THEN {stages} "  # noqa: S608  # Constants.
        "ELSE r.approvals_needed END FROM provisioning_accessrequest r "
        f"WHERE r.id = {request}), 1)"
    )


REJECTED = (
    "EXISTS (SELECT 1 FROM provisioning_decision d "
    "WHERE d.request_id = NEW.request_id AND d.verdict = 'rejected')"
)
APPROVED_BY_RULE = (
    "EXISTS (SELECT 1 FROM provisioning_ruleapproval a "
    "WHERE a.request_id = NEW.request_id AND a.fingerprint = NEW.fingerprint)"
)
IN_GROUP = (
    "EXISTS (SELECT 1 FROM accounts_user_groups g "
    "WHERE g.user_id = r.requester_id AND g.group_id = o.auto_group_id)"
)


def _needs_an_approval(refused_when: str, message: str) -> Rule:
    return Rule(
        name="grant_needs_an_approval",
        table="provisioning_grant",
        events=("INSERT",),
        refused_when=refused_when,
        message=message,
    )


def _later_end(needed: str) -> Rule:
    return Rule(
        name="grant_end_needs_enough_approvals",
        table="provisioning_grant",
        events=("UPDATE",),
        refused_when=(
            f"NEW.ends_at > OLD.ends_at AND {_too_few_people('NEW.authority_id', needed)}"
        ),
        message="a later end follows from enough approvals of the extension",
    )


def _pins(refused_when: str) -> Rule:
    return Rule(
        name="request_needs_what_its_offer_says",
        table="provisioning_accessrequest",
        events=("INSERT",),
        refused_when=refused_when,
        message="a request needs at least the approvals of its offer",
    )


# Copies of what 0005 and 0008 put in force, to lift it.
FORMER = (
    _needs_an_approval(
        f"{_too_few_people('NEW.request_id', _by_class('NEW.request_id'))} OR {REJECTED}",
        "a grant follows from enough approvals of the same plan, and from no rejection",
    ),
    _later_end(_by_class("NEW.authority_id")),
    _pins(
        "NEW.approvals_needed NOT IN (1, 2) OR NEW.approvals_needed < "
        "(SELECT CASE WHEN o.approval_class = 'high' THEN 2 ELSE 1 END "
        "FROM accounts_offer o WHERE o.id = NEW.offer_id)"
    ),
)
EXTENDED = (
    "r.extends_id = NEW.id AND r.extends_until = NEW.ends_at AND NEW.ends_at > OLD.ends_at "
    "AND NEW.extending_from = OLD.ends_at AND OLD.phase = 'active' "
    "AND OLD.revoked_at IS NULL AND NEW.revoked_at IS NULL"
)
TAKEN_BACK = (
    "NEW.ends_at < OLD.ends_at AND NEW.ends_at = OLD.extending_from "
    "AND (r.id = NEW.request_id OR r.extends_id = NEW.id)"
)
MOVES = (
    "(NEW.ends_at <> OLD.ends_at OR NEW.fingerprint <> OLD.fingerprint "  # noqa: S608  # Constants.
    "OR COALESCE(NEW.authority_id, 0) <> COALESCE(OLD.authority_id, 0)) "
    "AND NOT EXISTS (SELECT 1 FROM provisioning_decision d "
    "JOIN provisioning_accessrequest r ON r.id = d.request_id "
    "WHERE r.id = COALESCE(NEW.authority_id, NEW.request_id) AND d.verdict = 'approved' "
    "AND d.fingerprint = NEW.fingerprint AND d.approver_id <> r.requester_id "
    f"AND (({EXTENDED}) OR ({TAKEN_BACK})))"
)
BACK_TO_THE_RULE = (
    "(NEW.authority_id IS NULL AND NEW.ends_at < OLD.ends_at "
    f"AND NEW.ends_at = OLD.extending_from AND {APPROVED_BY_RULE})"
)


def _end_moves(refused_when: str) -> Rule:
    return Rule(
        name="grant_end_moves_with_an_approval",
        table="provisioning_grant",
        events=("UPDATE",),
        refused_when=refused_when,
        message="an end moves with an approved extension, or back to what AWS enforces",
    )


def _changes(*columns: str) -> str:
    """Whether any of these columns, which may be null, changes."""
    return " OR ".join(
        f"(NEW.{one} IS NULL) <> (OLD.{one} IS NULL) OR NEW.{one} <> OLD.{one}" for one in columns
    )


NEW = (
    _needs_an_approval(
        f"({_too_few_people('NEW.request_id', _by_stages('NEW.request_id'))} "
        f"AND NOT {APPROVED_BY_RULE}) OR {REJECTED}",
        "a grant follows from enough approvals of the same plan, and from no rejection",
    ),
    _later_end(_by_stages("NEW.authority_id")),
    _pins(
        "NEW.approvals_needed < 1 OR NEW.approvals_needed < "
        f"COALESCE({STAGES.format(offer='NEW.offer_id')}, 1)"
    ),
    _end_moves(f"{MOVES} AND NOT {BACK_TO_THE_RULE}"),
    Rule(
        name="request_keeps_its_rules",
        table="provisioning_accessrequest",
        events=("UPDATE",),
        refused_when=_changes("ticket", "batch", "quorums", "trace"),
        message="under which rules something was asked never changes",
    ),
    Rule(
        # What of the rule the database can see; working hours and the look are the worker's.
        name="rule_approval_follows_its_rule",
        table="provisioning_ruleapproval",
        events=("INSERT",),
        refused_when=(
            "NOT EXISTS (SELECT 1 FROM provisioning_accessrequest r "  # noqa: S608  # Constants.
            "JOIN accounts_offer o ON o.id = r.offer_id "
            "WHERE r.id = NEW.request_id AND r.state = 'pending' AND r.extends_id IS NULL "
            "AND r.previewed_at IS NOT NULL AND r.approvals_needed = 1 "
            f"AND COALESCE({STAGES.format(offer='o.id')}, 1) = 1 "
            "AND o.is_active AND o.auto_approve AND o.sensitivity = 'low' "
            f"AND r.duration <= o.auto_longest AND (o.auto_group_id IS NULL OR {IN_GROUP}) "
            "AND NOT EXISTS (SELECT 1 FROM provisioning_decision d WHERE d.request_id = r.id))"
        ),
        message="a rule approves only what its offer lets it, where nobody has decided",
    ),
    Rule(
        name="rule_approval_is_immutable",
        table="provisioning_ruleapproval",
        events=("UPDATE", "DELETE"),
        refused_when="OLD.id IS NOT NULL",
        message="an approval by a rule never changes",
    ),
)


class Migration(migrations.Migration):
    dependencies = [
        ("provisioning", "0009_drift"),
        ("accounts", "0007_catalogue"),
        ("audit", "0001_audit_events"),
    ]

    operations = [
        lift(*FORMER, _end_moves(MOVES)),
        *keeping_rules(
            migrations.CreateModel(
                name="RuleApproval",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("fingerprint", models.CharField(max_length=64)),
                    ("decided_at", models.DateTimeField()),
                    ("trace", models.JSONField(default=list)),
                ],
            ),
            migrations.AddField(
                model_name="accessrequest",
                name="batch",
                field=models.UUIDField(blank=True, editable=False, null=True),
            ),
            migrations.AddField(
                model_name="accessrequest",
                name="quorums",
                field=models.JSONField(blank=True, default=list, editable=False),
            ),
            migrations.AddField(
                model_name="accessrequest",
                name="stage",
                field=models.PositiveSmallIntegerField(db_default=1, default=1, editable=False),
            ),
            migrations.AddField(
                model_name="accessrequest",
                name="ticket",
                field=models.CharField(
                    blank=True,
                    default="",
                    max_length=60,
                    validators=[accounts.aws_names.validate_one_line],
                ),
            ),
            migrations.AddField(
                model_name="accessrequest",
                name="trace",
                field=models.JSONField(blank=True, default=list, editable=False),
            ),
            migrations.AddField(
                model_name="decision",
                name="stage",
                field=models.CharField(blank=True, default="", max_length=60),
            ),
            migrations.AddField(
                model_name="decision",
                name="trace",
                field=models.JSONField(blank=True, default=list),
            ),
            migrations.AddIndex(
                model_name="accessrequest",
                index=models.Index(
                    condition=models.Q(("batch__isnull", False)),
                    fields=["batch"],
                    name="request_sent_together",
                ),
            ),
            migrations.AddField(
                model_name="ruleapproval",
                name="request",
                field=models.OneToOneField(
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="rule_approval",
                    to="provisioning.accessrequest",
                ),
            ),
        ),
        enforce(*NEW),
    ]
