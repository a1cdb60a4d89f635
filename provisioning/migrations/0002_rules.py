"""What the database refuses whoever asks, because a whole row's history or another row decides it.

A rule that changes is lifted and enforced anew by a migration of its own, with both texts in it.
"""

from django.db import migrations

from audit.triggers import Rule, enforce

# A copy, not an import: a migration must do tomorrow what it did today. A test compares it with
# provisioning.core.states.
GRANT_EDGES = (
    ("scheduled", "pending"),
    ("scheduled", "ending"),
    ("scheduled", "ended"),
    ("pending", "active"),
    ("pending", "ending"),
    ("pending", "ended"),
    ("active", "pending"),
    ("active", "ending"),
    ("active", "ended"),
    ("ending", "ended"),
)
PASSWORD_EDGES = (
    ("waiting", "sealed"),
    ("waiting", "failed"),
    ("waiting", "lapsed"),
    ("sealed", "shown"),
    ("sealed", "lapsed"),
)


# --- Parts of conditions ---------------------------------------------------------------------


def _leaves(edges: tuple[tuple[str, str], ...], column: str) -> str:
    """Whether the column moves, and not along one of these edges."""
    allowed = " OR ".join(f"(OLD.{column} = '{a}' AND NEW.{column} = '{b}')" for a, b in edges)
    return f"OLD.{column} <> NEW.{column} AND NOT ({allowed})"


def _changes(*columns: str) -> str:
    """Whether any of these columns, which are never null, changes."""
    return " OR ".join(f"NEW.{one} <> OLD.{one}" for one in columns)


def _changes_or_empties(*columns: str) -> str:
    """Whether any of these columns, which may be null, changes."""
    return " OR ".join(
        f"(NEW.{one} IS NULL) <> (OLD.{one} IS NULL) OR NEW.{one} <> OLD.{one}" for one in columns
    )


def _needed_by_stages(offer: str) -> str:
    """How many approvals the stages of an offer ask for by now."""
    return (
        f"COALESCE((SELECT SUM(s.quorum) FROM accounts_approvalstage s WHERE s.offer_id = {offer}),"
        " 1)"
    )


def _too_few_people(request: str) -> str:
    """Whether fewer people than needed approved this request's plan, the requester aside.

    Needed are as many as when it was asked, or as its offer asks for by now, whichever is more.
    """
    stages = _needed_by_stages("r.offer_id")
    return f"""
        (SELECT COUNT(DISTINCT d.approver_id) FROM provisioning_decision d
         JOIN provisioning_accessrequest r ON r.id = d.request_id
         WHERE d.request_id = {request} AND d.verdict = 'approved'
         AND d.fingerprint = NEW.fingerprint AND d.approver_id <> r.requester_id)
        < COALESCE((SELECT CASE WHEN r.approvals_needed < {stages} THEN {stages}
                    ELSE r.approvals_needed END
                    FROM provisioning_accessrequest r WHERE r.id = {request}), 1)
    """


def _in_scope(person: str) -> str:
    """Whether a red button `s` is about this person, or about the pair `p` or its accounts."""
    return f"""
        (s.scope = 'everything' OR s.person_id = {person} OR s.pair_id = p.id
         OR s.account_id = p.source_id OR s.account_id = p.target_id)
    """


IS_APPROVED_BY_RULE = """
    EXISTS (SELECT 1 FROM provisioning_ruleapproval a
            WHERE a.request_id = NEW.request_id AND a.fingerprint = NEW.fingerprint)
"""
IS_TAKEN_IN_AN_EMERGENCY = """
    EXISTS (SELECT 1 FROM provisioning_breakglass b
            WHERE b.request_id = NEW.request_id AND b.fingerprint = NEW.fingerprint)
"""
IS_REJECTED = """
    EXISTS (SELECT 1 FROM provisioning_decision d
            WHERE d.request_id = NEW.request_id AND d.verdict = 'rejected')
"""
IS_STOPPED = f"""
    EXISTS (SELECT 1 FROM provisioning_stop s
            JOIN provisioning_accessrequest r ON r.id = COALESCE(NEW.authority_id, NEW.request_id)
            JOIN accounts_offer o ON o.id = r.offer_id
            JOIN accounts_accountpair p ON p.id = o.pair_id
            WHERE (s.finished_at IS NULL OR (s.pauses AND s.lifted_at IS NULL))
            AND {_in_scope("r.requester_id")})
"""
ALWAYS = "OLD.id IS NOT NULL"

# --- Requests --------------------------------------------------------------------------------

REQUESTS = (
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
            _changes(
                "code",
                "requester_id",
                "identity_id",
                "offer_id",
                "profile_version_id",
                "duration",
                "reason",
            )
            + " OR "
            + _changes_or_empties("starts_at", "extends_id", "extends_until")
        ),
        message="what was asked for never changes",
    ),
    Rule(
        name="request_keeps_its_rules",
        table="provisioning_accessrequest",
        events=("UPDATE",),
        refused_when=_changes_or_empties("ticket", "batch", "quorums", "trace"),
        message="under which rules something was asked never changes",
    ),
    Rule(
        name="request_keeps_its_approvals",
        table="provisioning_accessrequest",
        events=("UPDATE",),
        refused_when=_changes("approvals_needed"),
        message="how many approvals a request needs never changes",
    ),
    Rule(
        name="request_needs_what_its_offer_says",
        table="provisioning_accessrequest",
        events=("INSERT",),
        refused_when=(
            "NEW.approvals_needed < 1 "
            f"OR NEW.approvals_needed < {_needed_by_stages('NEW.offer_id')}"
        ),
        message="a request needs at least the approvals of its offer",
    ),
    Rule(
        name="request_is_for_a_pair_in_use",
        table="provisioning_accessrequest",
        events=("INSERT",),
        refused_when="""
            EXISTS (SELECT 1 FROM accounts_offer o
                    JOIN accounts_accountpair p ON p.id = o.pair_id
                    WHERE o.id = NEW.offer_id AND p.retiring_at IS NOT NULL)
        """,
        message="a retired pair takes no request",
    ),
    Rule(
        name="request_not_while_paused",
        table="provisioning_accessrequest",
        events=("INSERT",),
        refused_when=f"""
            EXISTS (SELECT 1 FROM provisioning_stop s, accounts_offer o
                    JOIN accounts_accountpair p ON p.id = o.pair_id
                    WHERE o.id = NEW.offer_id AND s.pauses AND s.lifted_at IS NULL
                    AND {_in_scope("NEW.requester_id")})
        """,
        message="new requests are paused here",
    ),
    Rule(
        name="request_extends_own_grant",
        table="provisioning_accessrequest",
        events=("INSERT",),
        refused_when="""
            (NEW.extends_id IS NULL) <> (NEW.extends_until IS NULL)
            OR (NEW.extends_id IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM provisioning_grant g
                JOIN provisioning_accessrequest r ON r.id = g.request_id
                WHERE g.id = NEW.extends_id AND r.requester_id = NEW.requester_id
                AND r.offer_id = NEW.offer_id AND g.identity_id = NEW.identity_id
                AND g.profile_version_id = NEW.profile_version_id
                AND NEW.extends_until > g.ends_at))
        """,
        message="an extension is for a grant of the same person, offer and version, and longer",
    ),
    Rule(
        name="request_begins_with_its_own_terms",
        table="provisioning_accessrequest",
        events=("INSERT",),
        refused_when="NEW.terms_duration IS NOT NULL OR NEW.terms_start IS NOT NULL",
        message="a new request has the terms that it asks for",
    ),
    Rule(
        name="request_terms_are_by_another",
        table="provisioning_accessrequest",
        events=("UPDATE",),
        refused_when=(
            f"({_changes_or_empties('terms_duration', 'terms_start', 'terms_by_id', 'terms_at')}) "
            "AND (OLD.state <> 'pending' OR NEW.state <> 'pending' "
            "OR NEW.terms_by_id IS NULL OR NEW.terms_by_id = NEW.requester_id)"
        ),
        message="terms are changed by somebody else, while the request waits",
    ),
    Rule(
        name="comment_is_immutable",
        table="provisioning_comment",
        events=("UPDATE", "DELETE"),
        refused_when=ALWAYS,
        message="what was said never changes",
    ),
)

# --- Decisions -------------------------------------------------------------------------------

DECISIONS = (
    Rule(
        name="decision_is_not_by_requester",
        table="provisioning_decision",
        events=("INSERT",),
        refused_when="""
            NEW.approver_id = (SELECT r.requester_id FROM provisioning_accessrequest r
                               WHERE r.id = NEW.request_id)
        """,
        message="nobody decides on their own request",
    ),
    Rule(
        name="decision_is_immutable",
        table="provisioning_decision",
        events=("UPDATE", "DELETE"),
        refused_when=ALWAYS,
        message="a decision never changes",
    ),
    Rule(
        name="decision_again_follows_an_approval",
        table="provisioning_decision",
        events=("INSERT",),
        refused_when="""
            NEW.again AND NOT EXISTS (
                SELECT 1 FROM provisioning_decision d
                WHERE d.request_id = NEW.request_id AND d.approver_id = NEW.approver_id
                AND d.fingerprint = NEW.fingerprint AND d.verdict = 'approved' AND NOT d.again)
        """,
        message="a last word is by somebody who has approved the same plan",
    ),
    Rule(
        name="rule_approval_follows_its_rule",
        table="provisioning_ruleapproval",
        events=("INSERT",),
        refused_when=f"""
            NOT EXISTS (
                SELECT 1 FROM provisioning_accessrequest r
                JOIN accounts_offer o ON o.id = r.offer_id
                WHERE r.id = NEW.request_id AND r.state = 'pending' AND r.extends_id IS NULL
                AND r.previewed_at IS NOT NULL AND r.approvals_needed = 1
                AND {_needed_by_stages("o.id")} = 1
                AND o.is_active AND o.auto_approve AND o.sensitivity = 'low'
                AND r.duration <= o.auto_longest
                AND (o.auto_group_id IS NULL OR EXISTS (
                    SELECT 1 FROM accounts_user_groups g
                    WHERE g.user_id = r.requester_id AND g.group_id = o.auto_group_id))
                AND NOT EXISTS (
                    SELECT 1 FROM provisioning_decision d WHERE d.request_id = r.id))
        """,
        message="a rule approves only what its offer lets it, where nobody has decided",
    ),
    Rule(
        name="rule_approval_is_immutable",
        table="provisioning_ruleapproval",
        events=("UPDATE", "DELETE"),
        refused_when=ALWAYS,
        message="an approval by a rule never changes",
    ),
)

# --- Grants ----------------------------------------------------------------------------------

GRANTS = (
    Rule(
        name="grant_needs_an_approval",
        table="provisioning_grant",
        events=("INSERT",),
        refused_when=(
            f"({_too_few_people('NEW.request_id')} AND NOT {IS_APPROVED_BY_RULE} "
            f"AND NOT {IS_TAKEN_IN_AN_EMERGENCY}) OR {IS_REJECTED}"
        ),
        message="a grant follows from enough approvals of the same plan, and from no rejection",
    ),
    Rule(
        name="grant_begins_as_asked",
        table="provisioning_grant",
        events=("INSERT",),
        refused_when="""
            EXISTS (SELECT 1 FROM provisioning_accessrequest r WHERE r.id = NEW.request_id
                    AND (r.extends_id IS NOT NULL
                         OR COALESCE(r.terms_start, r.starts_at) > NEW.starts_at))
        """,
        message="a grant follows from a request of its own, not before the start asked for",
    ),
    Rule(
        name="grant_not_while_stopped",
        table="provisioning_grant",
        events=("INSERT",),
        refused_when=IS_STOPPED,
        message="nothing begins in the scope of a red button that is in force",
    ),
    Rule(
        name="grant_phase_moves_along_edges",
        table="provisioning_grant",
        events=("UPDATE",),
        refused_when=_leaves(GRANT_EDGES, "phase"),
        message="this move between phases is not declared",
    ),
    Rule(
        name="grant_is_immutable",
        table="provisioning_grant",
        events=("UPDATE",),
        refused_when=_changes(
            "code",
            "request_id",
            "identity_id",
            "profile_version_id",
            "starts_at",
            "iam_user_arn",
            "iam_user_id",
            "boundary_arn",
        ),
        message="what was granted never changes",
    ),
    Rule(
        name="grant_end_moves_with_an_approval",
        table="provisioning_grant",
        events=("UPDATE",),
        refused_when=f"""
            (NEW.ends_at <> OLD.ends_at OR NEW.fingerprint <> OLD.fingerprint
             OR COALESCE(NEW.authority_id, 0) <> COALESCE(OLD.authority_id, 0))
            AND NOT EXISTS (
                SELECT 1 FROM provisioning_decision d
                JOIN provisioning_accessrequest r ON r.id = d.request_id
                WHERE r.id = COALESCE(NEW.authority_id, NEW.request_id)
                AND d.verdict = 'approved' AND d.fingerprint = NEW.fingerprint
                AND d.approver_id <> r.requester_id
                AND ((r.extends_id = NEW.id AND r.extends_until = NEW.ends_at
                      AND NEW.ends_at > OLD.ends_at AND NEW.extending_from = OLD.ends_at
                      AND OLD.phase = 'active'
                      AND OLD.revoked_at IS NULL AND NEW.revoked_at IS NULL)
                     OR (NEW.ends_at < OLD.ends_at AND NEW.ends_at = OLD.extending_from
                         AND (r.id = NEW.request_id OR r.extends_id = NEW.id))))
            AND NOT (NEW.authority_id IS NULL AND NEW.ends_at < OLD.ends_at
                     AND NEW.ends_at = OLD.extending_from AND {IS_APPROVED_BY_RULE})
        """,
        message="an end moves with an approved extension, or back to what AWS enforces",
    ),
    Rule(
        name="grant_end_needs_enough_approvals",
        table="provisioning_grant",
        events=("UPDATE",),
        refused_when=f"NEW.ends_at > OLD.ends_at AND {_too_few_people('NEW.authority_id')}",
        message="a later end follows from enough approvals of the extension",
    ),
    Rule(
        name="grant_not_longer_while_stopped",
        table="provisioning_grant",
        events=("UPDATE",),
        refused_when=f"NEW.ends_at > OLD.ends_at AND {IS_STOPPED}",
        message="nothing lasts longer in the scope of a red button that is in force",
    ),
    Rule(
        name="grant_revocation_is_final",
        table="provisioning_grant",
        events=("UPDATE",),
        refused_when="""
            OLD.revoked_at IS NOT NULL
            AND (NEW.revoked_at IS NULL OR NEW.revoked_at <> OLD.revoked_at)
        """,
        message="a revocation is never taken back",
    ),
    Rule(
        name="grant_is_never_deleted",
        table="provisioning_grant",
        events=("DELETE",),
        refused_when=ALWAYS,
        message="a grant is ended, never deleted",
    ),
)

# --- Emergencies -----------------------------------------------------------------------------

EMERGENCIES = (
    Rule(
        # The one place that gives access without a second person, so it is judged by the rows.
        name="break_glass_follows_its_offer",
        table="provisioning_breakglass",
        events=("INSERT",),
        refused_when="""
            NEW.closed_at IS NOT NULL OR NOT EXISTS (
                SELECT 1 FROM provisioning_accessrequest r
                JOIN accounts_offer o ON o.id = r.offer_id
                JOIN accounts_user u ON u.id = r.requester_id
                JOIN accounts_user_groups g ON g.user_id = r.requester_id
                WHERE r.id = NEW.request_id AND r.extends_id IS NULL AND r.starts_at IS NULL
                AND u.is_active AND o.is_active AND o.break_glass_group_id = NEW.group_id
                AND g.group_id = NEW.group_id AND r.duration <= o.break_glass_longest
                AND NOT EXISTS (SELECT 1 FROM provisioning_grant x WHERE x.request_id = r.id)
                AND NOT EXISTS (
                    SELECT 1 FROM provisioning_decision d WHERE d.request_id = r.id))
        """,
        message="an offer lets members of its group take it for a while, and nobody else",
    ),
    Rule(
        name="break_glass_is_immutable",
        table="provisioning_breakglass",
        events=("UPDATE",),
        refused_when=(
            f"{_changes('request_id', 'group_id', 'fingerprint', 'taken_at')} "
            "OR OLD.closed_at IS NOT NULL"
        ),
        message="what was taken never changes",
    ),
    Rule(
        name="break_glass_closes_with_two_reviews",
        table="provisioning_breakglass",
        events=("UPDATE",),
        refused_when="""
            NEW.closed_at IS NOT NULL AND (
                SELECT COUNT(DISTINCT v.reviewer_id) FROM provisioning_review v
                JOIN provisioning_accessrequest r ON r.id = NEW.request_id
                WHERE v.taken_id = NEW.id AND v.reviewer_id <> r.requester_id) < 2
        """,
        message="it stays open until two others have reviewed it",
    ),
    Rule(
        name="break_glass_is_never_deleted",
        table="provisioning_breakglass",
        events=("DELETE",),
        refused_when=ALWAYS,
        message="what was taken stays in the record",
    ),
    Rule(
        name="review_is_by_another",
        table="provisioning_review",
        events=("INSERT",),
        refused_when="""
            NEW.reviewer_id = (SELECT r.requester_id FROM provisioning_breakglass b
                               JOIN provisioning_accessrequest r ON r.id = b.request_id
                               WHERE b.id = NEW.taken_id)
        """,
        message="nobody reviews their own emergency",
    ),
    Rule(
        name="review_is_immutable",
        table="provisioning_review",
        events=("UPDATE", "DELETE"),
        refused_when=ALWAYS,
        message="a review never changes",
    ),
)

# --- Red buttons and one-time passwords ------------------------------------------------------

STOPS = (
    Rule(
        name="stop_is_immutable",
        table="provisioning_stop",
        events=("UPDATE",),
        refused_when=f"""
            {_changes("key", "scope", "reason", "pressed_by", "pauses")}
            OR COALESCE(NEW.person_id, 0) <> COALESCE(OLD.person_id, 0)
            OR COALESCE(NEW.account_id, 0) <> COALESCE(OLD.account_id, 0)
            OR COALESCE(NEW.pair_id, 0) <> COALESCE(OLD.pair_id, 0)
            OR (OLD.finished_at IS NOT NULL AND NEW.finished_at IS NULL)
            OR (OLD.lifted_at IS NOT NULL AND NEW.lifted_at IS NULL)
        """,
        message="what was pressed never changes",
    ),
    Rule(
        name="stop_is_never_deleted",
        table="provisioning_stop",
        events=("DELETE",),
        refused_when=ALWAYS,
        message="a red button stays in the record",
    ),
)
PASSWORDS = (
    Rule(
        name="password_moves_one_way",
        table="provisioning_passwordrequest",
        events=("UPDATE",),
        refused_when=_leaves(PASSWORD_EDGES, "state"),
        message="a one-time password is shown once",
    ),
    Rule(
        name="password_request_is_immutable",
        table="provisioning_passwordrequest",
        events=("UPDATE",),
        refused_when=_changes("identity_id", "asked_by_id", "public_key"),
        message="whoever asked for a password, and for whom, never changes",
    ),
)


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0001_initial"), ("audit", "0001_initial")]

    operations = [
        enforce(*REQUESTS, *DECISIONS, *GRANTS, *EMERGENCIES, *STOPS, *PASSWORDS),
    ]
