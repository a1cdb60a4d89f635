"""Stages move only along declared edges, decisions never change, nobody decides for themselves."""

from django.db import migrations

from audit.triggers import Rule, enforce

# A copy, not an import: a migration must do tomorrow what it did today. A test compares it with
# provisioning.core.states.
GRANT_EDGES = (
    ("pending", "active"),
    ("pending", "ending"),
    ("pending", "ended"),
    ("active", "pending"),
    ("active", "ending"),
    ("active", "ended"),
    ("ending", "ended"),
)
ALLOWED = " OR ".join(f"(OLD.phase = '{a}' AND NEW.phase = '{b}')" for a, b in GRANT_EDGES)


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0001_requests_and_grants"), ("audit", "0001_audit_events")]

    operations = [
        enforce(
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
            Rule(
                name="grant_needs_an_approval",
                table="provisioning_grant",
                events=("INSERT",),
                refused_when=(
                    "NOT EXISTS (SELECT 1 FROM provisioning_decision d "
                    "WHERE d.request_id = NEW.request_id AND d.verdict = 'approved' "
                    "AND d.fingerprint = NEW.fingerprint)"
                ),
                message="a grant follows from an approval of the same plan",
            ),
            Rule(
                name="grant_phase_moves_along_edges",
                table="provisioning_grant",
                events=("UPDATE",),
                refused_when=f"OLD.phase <> NEW.phase AND NOT ({ALLOWED})",
                message="this move between phases is not declared",
            ),
            Rule(
                name="grant_is_immutable",
                table="provisioning_grant",
                events=("UPDATE",),
                refused_when=(
                    "NEW.code <> OLD.code OR NEW.request_id <> OLD.request_id "
                    "OR NEW.identity_id <> OLD.identity_id "
                    "OR NEW.profile_version_id <> OLD.profile_version_id "
                    "OR NEW.fingerprint <> OLD.fingerprint OR NEW.starts_at <> OLD.starts_at "
                    "OR NEW.ends_at <> OLD.ends_at OR NEW.iam_user_arn <> OLD.iam_user_arn "
                    "OR NEW.iam_user_id <> OLD.iam_user_id OR NEW.boundary_arn <> OLD.boundary_arn"
                ),
                message="what was granted never changes",
            ),
            Rule(
                name="grant_revocation_is_final",
                table="provisioning_grant",
                events=("UPDATE",),
                refused_when=(
                    "OLD.revoked_at IS NOT NULL "
                    "AND (NEW.revoked_at IS NULL OR NEW.revoked_at <> OLD.revoked_at)"
                ),
                message="a revocation is never taken back",
            ),
            Rule(
                name="grant_is_never_deleted",
                table="provisioning_grant",
                events=("DELETE",),
                refused_when="OLD.id IS NOT NULL",
                message="a grant is ended, never deleted",
            ),
        )
    ]
