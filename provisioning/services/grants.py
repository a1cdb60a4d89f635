"""Use cases of access that was given: open its console link, give it back, revoke it."""

from django.db import transaction
from django.db.models import QuerySet

from accounts.models import User
from audit.clock import database_now
from audit.models import append
from provisioning import authz, lifecycle, tasks
from provisioning.models import Grant
from provisioning.services.common import nudge_on_commit, refusals_recorded, require


def note_link_opened(*, person: User, grant: Grant) -> None:
    """Store that the Switch role link was shown to its person. Raises Refused."""
    with refusals_recorded("grant:switch_link", person, grant.subject, "the Switch role link"):
        require(authz.can_use(person, grant, database_now()))
    append(
        kind="grant:switch_link:opened",
        actor=person.username,
        subject=grant.subject,
        sentence=f"{person.label} opened the Switch role link.",
    )


def revoke(*, person: User, grant: Grant, reason: str) -> None:
    """End an access early: given back by its holder, or revoked. Raises Refused or StaleState."""
    with refusals_recorded("grant:revoke", person, grant.subject, "ending the access"):
        require(authz.can_revoke(person, grant))
    own = person.pk == grant.request.requester_id
    did = "gave the access back" if own else "revoked the access"
    with transaction.atomic():
        lifecycle.revoke(
            grant,
            actor=person.username,
            sentence=f"{person.label} {did}.",
            reason=reason,
            now=database_now(),
        )
        nudge_on_commit(tasks.converge_grant, grant.pk)


def end_by_review(*, grants: QuerySet[Grant], actor: str, reason: str) -> int:
    """Revoke live grants that a review took away; `reviews` has asked who may. Returns how many.

    Call it in the transaction of the review's decision.
    """
    ended, now = 0, database_now()
    for grant in grants:
        try:
            lifecycle.revoke(
                grant,
                actor=actor,
                sentence="The access was revoked by a review.",
                reason=reason,
                now=now,
            )
        except lifecycle.StaleState:
            # It has ended in this very moment, which is what the review wants.
            continue
        nudge_on_commit(tasks.converge_grant, grant.pk)
        ended += 1
    return ended
