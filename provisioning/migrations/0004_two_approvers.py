"""A request may need two different approvers."""

import django.db.models.deletion
from django.db import migrations, models

from audit.triggers import Rule, enforce, lift

# Copies of what 0002 put in force. SQLite makes both tables anew, for a column that is not null
# and for a unique key that goes: their own rules go with them, and rules that read them stand in
# the way. So all of these are lifted first and put back in force after.
KEPT = (
    Rule(
        name="request_state_moves_once",
        table="provisioning_accessrequest",
        events=("UPDATE",),
        refused_when="OLD.state <> NEW.state AND OLD.state <> 'pending'",
        message="a request that is not pending never moves again",
    ),
    Rule(
        name="request_is_immutable",
        table="provisioning_accessrequest",
        events=("UPDATE",),
        refused_when=(
            "NEW.code <> OLD.code OR NEW.requester_id <> OLD.requester_id "
            "OR NEW.identity_id <> OLD.identity_id OR NEW.offer_id <> OLD.offer_id "
            "OR NEW.profile_version_id <> OLD.profile_version_id "
            "OR NEW.duration <> OLD.duration OR NEW.reason <> OLD.reason"
        ),
        message="what was asked for never changes",
    ),
    Rule(
        name="decision_is_not_by_requester",
        table="provisioning_decision",
        events=("INSERT",),
        refused_when=(
            "NEW.approver_id = (SELECT r.requester_id FROM provisioning_accessrequest r "
            "WHERE r.id = NEW.request_id)"
        ),
        message="nobody decides on their own request",
    ),
    Rule(
        name="decision_is_immutable",
        table="provisioning_decision",
        events=("UPDATE", "DELETE"),
        refused_when="OLD.id IS NOT NULL",
        message="a decision never changes",
    ),
)
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
ENOUGH_APPROVALS = Rule(
    name="grant_needs_an_approval",
    table="provisioning_grant",
    events=("INSERT",),
    refused_when=(
        "(SELECT COUNT(DISTINCT d.approver_id) FROM provisioning_decision d "
        "JOIN provisioning_accessrequest r ON r.id = d.request_id "
        "WHERE d.request_id = NEW.request_id AND d.verdict = 'approved' "
        "AND d.fingerprint = NEW.fingerprint AND d.approver_id <> r.requester_id) < "
        "COALESCE((SELECT CASE WHEN o.approval_class = 'high' AND r.approvals_needed < 2 THEN 2 "
        "ELSE r.approvals_needed END FROM provisioning_accessrequest r "
        "JOIN accounts_offer o ON o.id = r.offer_id WHERE r.id = NEW.request_id), 1) "
        "OR EXISTS (SELECT 1 FROM provisioning_decision d "
        "WHERE d.request_id = NEW.request_id AND d.verdict = 'rejected')"
    ),
    message="a grant follows from enough approvals of the same plan, and from no rejection",
)


class Migration(migrations.Migration):
    dependencies = [
        ("provisioning", "0003_grant_reopened"),
        ("accounts", "0003_approval_class"),
        ("audit", "0001_audit_events"),
    ]

    operations = [
        lift(*KEPT, ONE_APPROVAL),
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
        enforce(
            *KEPT,
            ENOUGH_APPROVALS,
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
