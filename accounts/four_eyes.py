"""The gate of four eyes: a change that widens access becomes a proposal.

Services of the registry ask here in the transaction of their change, before they write anything,
whoever calls them; so there is no door beside it. `accounts.proposals` carries a confirmed one
out through the same services.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import snapshots
from accounts.models import Offer, Proposal, SecondAdmin, User
from accounts.models.proposals import fingerprint
from accounts.widening import Difference, Kind, Snapshot, differences, narrows, widens
from audit.clock import database_now
from audit.models import append

LIFETIME: Final = timedelta(days=14)
"""How long a proposal waits before it lapses."""
RULE: Final = "rule:second_admin"
"""The rule itself in audit events."""
SYSTEM: Final = "system:setup"


class Proposed(Exception):
    """Nothing has changed: the change waits for a second admin.

    Raised after the proposal is stored. A caller that has a transaction open around several changes
    loses the proposals with it.
    """

    def __init__(self, proposal: Proposal) -> None:
        super().__init__(
            f"Nothing has changed yet: {proposal.title} A second admin has to confirm."
        )
        self.proposal = proposal


@dataclass(frozen=True)
class Change:
    """A rule as it is and as somebody wants it."""

    kind: Kind
    about: str
    title: str
    """A sentence: `Change the offer X.`"""
    before: Snapshot | None
    after: Snapshot

    def differences(self) -> tuple[Difference, ...]:
        """What differs, in today's words."""
        names = snapshots.names(self.before, self.after)
        return differences(self.kind, self.before, self.after, names)


# --- The rule itself -------------------------------------------------------------------------


def admins() -> int:
    """How many admins can sign in."""
    return User.objects.filter(role=User.Role.ADMIN, is_active=True).count()


def holds() -> bool:
    """Whether changes that widen access wait for a second admin."""
    state = SecondAdmin.objects.values_list("state", flat=True).filter(pk=1).first()
    return state == SecondAdmin.State.ON or (
        state in {None, SecondAdmin.State.UNSET} and _comes_on_by_itself()
    )


def _comes_on_by_itself() -> bool:
    # The sandbox's walk-through is one admin's work in one click; its people switch it on by hand.
    return not settings.SANDBOX and admins() >= 2


def locked_rule() -> SecondAdmin:
    """The rule's row, locked: one change of the rules at a time. Call it in a transaction."""
    SecondAdmin.objects.get_or_create(pk=1)
    return SecondAdmin.objects.select_for_update().get(pk=1)


def settle() -> bool:
    """Whether the rule holds, and write down that it does from now on where it came on by itself.

    Whoever changes people asks first: otherwise an admin who switches the second one off would be
    alone again, and the rule gone. Call it in a transaction.
    """
    rule = locked_rule()
    if rule.state == SecondAdmin.State.UNSET and _comes_on_by_itself():
        switch(rule, SecondAdmin.State.ON, actor=SYSTEM, sentence=CAME_ON)
    return rule.state == SecondAdmin.State.ON


CAME_ON: Final = (
    "There are two admins now, so changes that widen access wait for a second one from here on."
)


def switch(
    rule: SecondAdmin,
    state: SecondAdmin.State,
    *,
    actor: str,
    sentence: str,
    by: Proposal | None = None,
) -> None:
    """Store that the rule is on or off."""
    rule.state, rule.switched_off_by, rule.changed_at = state, by, database_now()
    rule.save()
    append(
        kind=f"{RULE}:{state}",
        actor=actor,
        subject=RULE,
        sentence=sentence,
        data={"state": str(state), "proposal": by.pk if by else None},
    )


def is_needed_in_person(person: User) -> bool:
    """Whether somebody confirms proposals, decides on requests, or gets access on which nobody
    decides, in an emergency or by a rule: nobody else may act as them."""
    return (
        person.is_portal_admin
        or Offer.objects.decided_by(person).exists()
        or Offer.objects.filter(break_glass_group__in=person.groups.values("pk")).exists()
        or Offer.objects.naming(person).filter(auto_approve=True).exists()
    )


def stands_beside(person: User) -> bool:
    """Whether somebody counts as a second person beside an admin: another admin, or who decides on
    an open offer, which two admins have confirmed. An account that one admin has just made is
    neither."""
    return (
        person.is_portal_admin or Offer.objects.decided_by(person).filter(is_active=True).exists()
    )


# --- The gate --------------------------------------------------------------------------------


def guarded[T](
    prepare: Callable[[], Change],
    store: Callable[[], T],
    *,
    actor: User | str,
    reason: str,
) -> T:
    """Store a change of a rule, or propose it where it has to wait for a second admin.

    `prepare` locks and checks the change, `store` makes it; both run in one transaction. Raises
    Proposed, and ValidationError where `proposal_for` does.
    """
    with transaction.atomic():
        locked_rule()
        proposal = proposal_for(prepare(), actor=actor, reason=reason)
        if proposal is None:
            return store()
    raise Proposed(proposal)


def proposal_for(change: Change, *, actor: User | str, reason: str) -> Proposal | None:
    """A new proposal where the change has to wait for a second admin; None where it may be made.

    Raises ValidationError without a reason, and while another change of the same is proposed. Call
    it in the transaction of the change, with the rule's rows locked.
    """
    found = change.differences()
    if not settle() or not widens(found):
        return None
    if isinstance(actor, User) and not reason.strip():
        message = "Say why: this widens access, so a second admin reads it before they confirm."
        raise ValidationError({"proposal_reason": ValidationError(message, code="reason_missing")})
    proposal = Proposal(
        kind=change.kind,
        about=change.about,
        title=change.title[:300],
        before=change.before,
        after=change.after,
        differences=[asdict(one) for one in found],
        fingerprint=fingerprint(change.before),
        proposed_by=actor if isinstance(actor, User) else None,
        reason=reason.strip(),
        lapses_at=database_now() + LIFETIME,
    )
    _refuse_twin(proposal)
    proposal.save(force_insert=True)
    name = actor if isinstance(actor, str) else actor.username
    append(
        kind="proposal:opened",
        actor=name,
        subject=proposal.subject,
        sentence=f"{proposal.proposer} proposed: {change.title}",
        reason=proposal.reason,
        data=facts(proposal) | {"differences": proposal.differences, "mixed": narrows(found)},
    )
    return proposal


def _refuse_twin(proposal: Proposal) -> None:
    """Two changes of one thing would each show a difference that the other makes untrue."""
    there = Proposal.objects.open().filter(about=proposal.about).first()
    if there is not None:
        message = (
            f"{there.proposer} has proposed a change of this already: {there.title} It has to be "
            "confirmed, rejected or withdrawn first."
        )
        raise ValidationError(message, code="proposal_one_open_per_subject")


def facts(proposal: Proposal) -> dict[str, object]:
    """What every event of a proposal says."""
    return {
        "kind": proposal.kind,
        "about": proposal.about,
        "title": proposal.title,
        "proposed_by": proposal.proposed_by.username if proposal.proposed_by else None,
        "path": proposal.get_absolute_url(),
    }
