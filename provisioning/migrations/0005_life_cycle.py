"""Access can start later, can be extended, and cannot be asked for on a retired pair."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

from audit.triggers import Rule, enforce, lift

# Copies, not imports: a migration must do tomorrow what it did today. A test compares the edges
# with provisioning.core.states.
FORMER_EDGES = (
    ("pending", "active"),
    ("pending", "ending"),
    ("pending", "ended"),
    ("active", "pending"),
    ("active", "ending"),
    ("active", "ended"),
    ("ending", "ended"),
)
GRANT_EDGES = (
    ("scheduled", "pending"),
    ("scheduled", "ending"),
    ("scheduled", "ended"),
    *FORMER_EDGES,
)
FORMER_PHASES = ["pending", "active", "ending", "ended"]
PHASES = ["scheduled", *FORMER_PHASES]


def _edges(edges: tuple[tuple[str, str], ...]) -> Rule:
    allowed = " OR ".join(f"(OLD.phase = '{a}' AND NEW.phase = '{b}')" for a, b in edges)
    return Rule(
        name="grant_phase_moves_along_edges",
        table="provisioning_grant",
        events=("UPDATE",),
        refused_when=f"OLD.phase <> NEW.phase AND NOT ({allowed})",
        message="this move between phases is not declared",
    )


GRANT_PINS = (
    "NEW.code <> OLD.code OR NEW.request_id <> OLD.request_id "
    "OR NEW.identity_id <> OLD.identity_id "
    "OR NEW.profile_version_id <> OLD.profile_version_id "
    "OR NEW.starts_at <> OLD.starts_at OR NEW.iam_user_arn <> OLD.iam_user_arn "
    "OR NEW.iam_user_id <> OLD.iam_user_id OR NEW.boundary_arn <> OLD.boundary_arn"
)


def _grant_is_immutable(pins: str) -> Rule:
    return Rule(
        name="grant_is_immutable",
        table="provisioning_grant",
        events=("UPDATE",),
        refused_when=pins,
        message="what was granted never changes",
    )


REQUEST_PINS = (
    "NEW.code <> OLD.code OR NEW.requester_id <> OLD.requester_id "
    "OR NEW.identity_id <> OLD.identity_id OR NEW.offer_id <> OLD.offer_id "
    "OR NEW.profile_version_id <> OLD.profile_version_id "
    "OR NEW.duration <> OLD.duration OR NEW.reason <> OLD.reason"
)


def _changes(*columns: str) -> str:
    """Whether any of these columns, which may be null, changes."""
    return " OR ".join(
        f"(NEW.{one} IS NULL) <> (OLD.{one} IS NULL) OR NEW.{one} <> OLD.{one}" for one in columns
    )


def _request_is_immutable(pins: str) -> Rule:
    return Rule(
        name="request_is_immutable",
        table="provisioning_accessrequest",
        events=("UPDATE",),
        refused_when=pins,
        message="what was asked for never changes",
    )


# These stay as 0002 has them; SQLite forgets them when it makes the table anew.
KEPT_GRANT_RULES = (
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

EXTENDED = (
    "r.extends_id = NEW.id AND r.extends_until = NEW.ends_at AND NEW.ends_at > OLD.ends_at "
    "AND NEW.extending_from = OLD.ends_at AND OLD.phase = 'active' "
    "AND OLD.revoked_at IS NULL AND NEW.revoked_at IS NULL"
)
TAKEN_BACK = (
    "NEW.ends_at < OLD.ends_at AND NEW.ends_at = OLD.extending_from "
    "AND (r.id = NEW.request_id OR r.extends_id = NEW.id)"
)

NEW_RULES = (
    Rule(
        name="grant_end_moves_with_an_approval",
        table="provisioning_grant",
        events=("UPDATE",),
        refused_when=(  # Constants of this file.
            "(NEW.ends_at <> OLD.ends_at OR NEW.fingerprint <> OLD.fingerprint "  # noqa: S608
            "OR COALESCE(NEW.authority_id, 0) <> COALESCE(OLD.authority_id, 0)) "
            "AND NOT EXISTS (SELECT 1 FROM provisioning_decision d "
            "JOIN provisioning_accessrequest r ON r.id = d.request_id "
            "WHERE r.id = COALESCE(NEW.authority_id, NEW.request_id) AND d.verdict = 'approved' "
            "AND d.fingerprint = NEW.fingerprint AND d.approver_id <> r.requester_id "
            f"AND (({EXTENDED}) OR ({TAKEN_BACK})))"
        ),
        message="an end moves with an approved extension, or back to what AWS enforces",
    ),
    Rule(
        name="grant_begins_as_asked",
        table="provisioning_grant",
        events=("INSERT",),
        refused_when=(
            "EXISTS (SELECT 1 FROM provisioning_accessrequest r WHERE r.id = NEW.request_id "
            "AND (r.extends_id IS NOT NULL OR r.starts_at > NEW.starts_at))"
        ),
        message="a grant follows from a request of its own, not before the start asked for",
    ),
    Rule(
        name="request_extends_own_grant",
        table="provisioning_accessrequest",
        events=("INSERT",),
        refused_when=(
            "(NEW.extends_id IS NULL) <> (NEW.extends_until IS NULL) "
            "OR (NEW.extends_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM provisioning_grant g "
            "JOIN provisioning_accessrequest r ON r.id = g.request_id "
            "WHERE g.id = NEW.extends_id AND r.requester_id = NEW.requester_id "
            "AND r.offer_id = NEW.offer_id AND g.identity_id = NEW.identity_id "
            "AND g.profile_version_id = NEW.profile_version_id "
            "AND NEW.extends_until > g.ends_at))"
        ),
        message="an extension is for a grant of the same person, offer and version, and longer",
    ),
    Rule(
        name="request_is_for_a_pair_in_use",
        table="provisioning_accessrequest",
        events=("INSERT",),
        refused_when=(
            "EXISTS (SELECT 1 FROM accounts_offer o JOIN accounts_accountpair p ON p.id = o.pair_id "
            "WHERE o.id = NEW.offer_id AND p.retiring_at IS NOT NULL)"
        ),
        message="a retired pair takes no request",
    ),
)


class Migration(migrations.Migration):
    dependencies = [
        ("provisioning", "0004_account_pace"),
        ("accounts", "0003_retiring"),
        ("audit", "0001_audit_events"),
    ]

    operations = [
        lift(
            _edges(FORMER_EDGES),
            _grant_is_immutable(
                f"{GRANT_PINS} OR NEW.fingerprint <> OLD.fingerprint OR NEW.ends_at <> OLD.ends_at"
            ),
            _request_is_immutable(REQUEST_PINS),
            *KEPT_GRANT_RULES,
        ),
        migrations.AddField(
            "accessrequest", "starts_at", models.DateTimeField(null=True, blank=True)
        ),
        migrations.AddField(
            "accessrequest",
            "extends",
            models.ForeignKey(
                to="provisioning.grant",
                on_delete=django.db.models.deletion.PROTECT,
                null=True,
                blank=True,
                related_name="extensions",
            ),
        ),
        migrations.AddField(
            "accessrequest", "extends_until", models.DateTimeField(null=True, blank=True)
        ),
        migrations.RemoveConstraint("accessrequest", "request_one_pending_per_offer"),
        migrations.AddConstraint(
            "accessrequest",
            models.UniqueConstraint(
                fields=["requester", "offer"],
                condition=Q(state="pending", extends__isnull=True),
                name="request_one_pending_per_offer",
                violation_error_message="A request of yours for this offer waits for a decision.",
            ),
        ),
        migrations.AddConstraint(
            "accessrequest",
            models.UniqueConstraint(
                fields=["extends"],
                condition=Q(state="pending"),
                name="request_one_pending_extension",
                violation_error_message="A request of yours for more time waits for a decision.",
            ),
        ),
        migrations.AddField(
            "grant",
            "authority",
            models.ForeignKey(
                to="provisioning.accessrequest",
                on_delete=django.db.models.deletion.PROTECT,
                null=True,
                related_name="+",
            ),
        ),
        migrations.AddField("grant", "extending_from", models.DateTimeField(null=True)),
        migrations.AlterField(
            "grant",
            "phase",
            models.CharField(
                max_length=10, choices=[(one, one) for one in PHASES], default="pending"
            ),
        ),
        migrations.RemoveConstraint("grant", "grant_phase_is_known"),
        migrations.AddConstraint(
            "grant",
            models.CheckConstraint(condition=Q(phase__in=PHASES), name="grant_phase_is_known"),
        ),
        enforce(
            _edges(GRANT_EDGES),
            _grant_is_immutable(GRANT_PINS),
            _request_is_immutable(
                f"{REQUEST_PINS} OR {_changes('starts_at', 'extends_id', 'extends_until')}"
            ),
            *KEPT_GRANT_RULES,
            *NEW_RULES,
        ),
    ]
