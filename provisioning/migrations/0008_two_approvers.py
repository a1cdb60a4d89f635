"""A request may need two different approvers."""

import django.db.models.deletion
from django.db import migrations, models

from audit.triggers import Rule, enforce, keeping_rules, lift

# A copy of what 0002 put in force, to lift it.
ONE_APPROVAL = Rule(
    name="grant_needs_an_approval",
    table="provisioning_grant",
    events=("INSERT",),
    refused_when=(
        "NOT EXISTS (SELECT 1 FROM provisioning_decision d "
        "WHERE d.request_id = NEW.request_id AND d.verdict = 'approved' "
        "AND d.fingerprint = NEW.fingerprint)"
    ),
    message="a grant follows from an approval of the same plan",
)


def _too_few(request: str) -> str:
    """Whether fewer people than needed approved this request's plan, the requester aside."""
    return (
        "(SELECT COUNT(DISTINCT d.approver_id) FROM provisioning_decision d "  # noqa: S608  # Constants.
        "JOIN provisioning_accessrequest r ON r.id = d.request_id "
        f"WHERE d.request_id = {request} AND d.verdict = 'approved' "
        "AND d.fingerprint = NEW.fingerprint AND d.approver_id <> r.requester_id) < "
        "COALESCE((SELECT CASE WHEN o.approval_class = 'high' AND r.approvals_needed < 2 THEN 2 "
        "ELSE r.approvals_needed END FROM provisioning_accessrequest r "
        f"JOIN accounts_offer o ON o.id = r.offer_id WHERE r.id = {request}), 1)"
    )


ENOUGH_APPROVALS = Rule(
    name="grant_needs_an_approval",
    table="provisioning_grant",
    events=("INSERT",),
    refused_when=(  # Constants of this file.
        f"{_too_few('NEW.request_id')} OR EXISTS (SELECT 1 FROM provisioning_decision d "  # noqa: S608
        "WHERE d.request_id = NEW.request_id AND d.verdict = 'rejected')"
    ),
    message="a grant follows from enough approvals of the same plan, and from no rejection",
)
MORE_TIME = Rule(
    name="grant_end_needs_enough_approvals",
    table="provisioning_grant",
    events=("UPDATE",),
    refused_when=f"NEW.ends_at > OLD.ends_at AND {_too_few('NEW.authority_id')}",
    message="a later end follows from enough approvals of the extension",
)


class Migration(migrations.Migration):
    dependencies = [
        ("provisioning", "0007_one_time_passwords"),
        ("accounts", "0005_approval_class"),
        ("audit", "0001_audit_events"),
    ]

    operations = [
        lift(ONE_APPROVAL),
        *keeping_rules(
            migrations.AddField(
                "accessrequest",
                "approvals_needed",
                models.PositiveSmallIntegerField(db_default=1, default=1),
            ),
            migrations.AlterField(
                "decision",
                "request",
                models.ForeignKey(
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="decisions",
                    to="provisioning.accessrequest",
                ),
            ),
            migrations.AddConstraint(
                "decision",
                models.UniqueConstraint(
                    fields=("request", "approver", "fingerprint"), name="decision_once_per_plan"
                ),
            ),
        ),
        enforce(
            ENOUGH_APPROVALS,
            MORE_TIME,
            Rule(
                name="request_needs_what_its_offer_says",
                table="provisioning_accessrequest",
                events=("INSERT",),
                refused_when=(
                    "NEW.approvals_needed NOT IN (1, 2) OR NEW.approvals_needed < "
                    "(SELECT CASE WHEN o.approval_class = 'high' THEN 2 ELSE 1 END "
                    "FROM accounts_offer o WHERE o.id = NEW.offer_id)"
                ),
                message="a request needs at least the approvals of its offer",
            ),
            Rule(
                name="request_keeps_its_approvals",
                table="provisioning_accessrequest",
                events=("UPDATE",),
                refused_when="NEW.approvals_needed <> OLD.approvals_needed",
                message="how many approvals a request needs never changes",
            ),
        ),
    ]
