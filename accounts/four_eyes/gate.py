"""The gate of four eyes: a change that widens access becomes a proposal.

Use cases of the registry ask here in the transaction of their change, before they write anything,
whoever calls them; so there is no door beside it. `accounts.services.proposals` carries a confirmed
one out through the same functions.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.four_eyes import second_admin, snapshots
from accounts.four_eyes.widening import Difference, Kind, Snapshot, differences, narrows, widens
from accounts.models import Proposal, User
from accounts.models.proposals import fingerprint
from audit.clock import database_now
from audit.models import append

LIFETIME: Final = timedelta(days=14)
"""How long a proposal waits before it lapses."""


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
        second_admin.locked_rule()
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
    if not second_admin.settle() or not widens(found):
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
