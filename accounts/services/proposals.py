"""Use cases of proposals: confirm, reject, withdraw, let lapse.

A confirmed proposal is stored by the functions that store a direct change, as the change of its
proposer; the event says who confirmed it.
"""

from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.four_eyes import second_admin, snapshots
from accounts.four_eyes.gate import Change, facts
from accounts.four_eyes.snapshots import key
from accounts.four_eyes.widening import Kind
from accounts.models import AccessProfile, Proposal, User
from accounts.models.proposals import fingerprint
from accounts.refusals import Refused, refusals_recorded
from accounts.services import groups, offers, people, profiles
from accounts.services.common import SHELL
from accounts.services.second_admin import store_second_admin
from audit.clock import database_now
from audit.models import append

SWEEPER: Final = "system:sweeper"
BATCH: Final = 200
State = Proposal.State


class Stale(Exception):
    """The proposal is no longer what its page showed; it lapsed, or somebody else decided."""


def reasons_against_deciding(person: User, proposal: Proposal) -> list[str]:
    """Why this person may neither confirm nor reject, as sentences; empty where they may."""
    found = []
    if not person.is_portal_admin:
        found.append("Only admins confirm or reject.")
    if proposal.proposed_by_id == person.pk:
        found.append("You proposed this. Another admin has to confirm it; you can withdraw it.")
    return found


def may_decide(person: User, proposal: Proposal) -> bool:
    """Whether a page offers this person to confirm or reject."""
    return proposal.state == State.OPEN and not reasons_against_deciding(person, proposal)


def may_withdraw(person: User, proposal: Proposal) -> bool:
    """Whether a page offers this person to withdraw it: to its proposer, admin or no longer."""
    return proposal.state == State.OPEN and proposal.proposed_by_id == person.pk


def confirm(*, admin: User, proposal: Proposal, reason: str = "") -> None:
    """Make the change. Raises Refused; Stale where it is decided already or what it was about has
    changed since; ValidationError where the change is refused as a direct one would be.
    """
    attempt = f"confirming: {proposal.title}"
    with refusals_recorded("proposal:confirm", admin, proposal.subject, attempt[:400]):
        stale = _confirm(admin, proposal, reason)
    if stale:
        raise Stale(stale)


@transaction.atomic
def _confirm(admin: User, proposal: Proposal, reason: str) -> str:
    """Confirm, and nothing; or let it lapse, and why."""
    second_admin.locked_rule()
    proposal = _locked(proposal)
    _refuse(admin, proposal)
    if why := why_stale(proposal):
        _close(proposal, State.LAPSED, actor=SWEEPER, verb="lapsed", reason=why)
        return why
    _close(
        proposal, State.CONFIRMED, by=admin, actor=admin.username, verb="confirmed", reason=reason
    )
    _store(proposal)
    return ""


def _refuse(admin: User, proposal: Proposal) -> None:
    # Read anew: somebody may have stopped being an admin since they signed in.
    admin = User.objects.get(pk=admin.pk)
    if found := reasons_against_deciding(admin, proposal):
        raise Refused(found)


def _locked(proposal: Proposal) -> Proposal:
    """The proposal while it is open. Raises Stale."""
    locked = Proposal.objects.select_for_update(of=("self",)).select_related("proposed_by")
    proposal = locked.get(pk=proposal.pk)
    if proposal.state != State.OPEN:
        raise Stale(f"This proposal is {proposal.state} already.")
    return proposal


def reject(*, admin: User, proposal: Proposal, reason: str) -> None:
    """Refuse the change for good. Raises Refused, Stale, or ValidationError without a reason."""
    if not reason.strip():
        message = "Say why: its proposer reads it."
        raise ValidationError({"reason": ValidationError(message, code="reason_missing")})
    attempt = f"rejecting: {proposal.title}"
    recorded = refusals_recorded("proposal:reject", admin, proposal.subject, attempt[:400])
    with recorded, transaction.atomic():
        proposal = _locked(proposal)
        _refuse(admin, proposal)
        _close(
            proposal, State.REJECTED, by=admin, actor=admin.username, verb="rejected", reason=reason
        )


def withdraw(*, person: User, proposal: Proposal, reason: str = "") -> None:
    """Take one's own proposal back. Raises Refused or Stale."""
    attempt = f"withdrawing: {proposal.title}"
    recorded = refusals_recorded("proposal:withdraw", person, proposal.subject, attempt[:400])
    with recorded, transaction.atomic():
        proposal = _locked(proposal)
        if proposal.proposed_by_id != person.pk:
            raise Refused(["Only who proposed something can withdraw it."])
        _close(
            proposal,
            State.WITHDRAWN,
            by=person,
            actor=person.username,
            verb="withdrew",
            reason=reason,
        )


def lapse(now: datetime) -> int:
    """Let proposals lapse that nobody decided in time. Returns how many."""
    due = Proposal.objects.open().filter(lapses_at__lte=now)[:BATCH]
    for one in due:
        with transaction.atomic():
            try:
                proposal = _locked(one)
            except Stale:
                continue
            _close(proposal, State.LAPSED, actor=SWEEPER, verb="lapsed", reason="Nobody decided.")
    return len(due)


def _close(
    proposal: Proposal,
    state: Proposal.State,
    *,
    actor: str,
    verb: str,
    reason: str,
    by: User | None = None,
) -> None:
    """The only place where a proposal moves."""
    proposal.state, proposal.decided_by = state, by
    proposal.decided_at, proposal.decision_reason = database_now(), reason.strip()
    proposal.save(update_fields=["state", "decided_by", "decided_at", "decision_reason"])
    sentence = f"{by.label} {verb}: {proposal.title}" if by else f"Lapsed: {proposal.title}"
    append(
        kind=f"proposal:{state}",
        actor=actor,
        subject=proposal.subject,
        sentence=sentence,
        reason=proposal.decision_reason,
        data=facts(proposal) | {"decided_by": by.username if by else None},
    )


# --- Is it still what was proposed? ----------------------------------------------------------


def why_stale(proposal: Proposal) -> str:
    """Why the change cannot be made as it was proposed, in words; empty where it can."""
    proposer = proposal.proposed_by
    if proposer is not None and not proposer.is_portal_admin:
        return f"{proposer.label} is no admin any more. Propose it anew."
    if proposal.lapses_at <= database_now():
        return "Nobody decided in time. Propose it anew."
    try:
        change = _change(proposal)
    except _Gone:
        return "What it is about is not there any more."
    moved = fingerprint(change.before) != proposal.fingerprint
    if moved or list(change.differences()) != proposal.shown:
        return "What it is about has changed since it was proposed. Propose it anew."
    return ""


class _Gone(Exception):
    """A row that the proposal names is not there."""


def _change(proposal: Proposal) -> Change:
    """The proposed change, beginning from how the rule is now."""
    kind, title, after = Kind(proposal.kind), proposal.title, proposal.after
    before: Any
    match kind:
        case Kind.OFFER:
            before, after = offers.offer_today(proposal.about, after)
        case Kind.PROFILE:
            before = profiles.version_before(_row(AccessProfile, proposal.about))
        case Kind.GROUP:
            group = _group(proposal)
            change = groups.group_change(group, _group_after(group, after))
            before, after = change.before, change.after
        case Kind.PERSON:
            before = people.person_change(_row(User, proposal.about), after).before
        case Kind.SECOND_ADMIN:
            before = {"on": second_admin.holds()}
    return Change(kind, proposal.about, title, before, after)


def _row(model: Any, about: str) -> Any:
    row = model.objects.filter(pk=key(about)).first()
    if row is None:
        raise _Gone
    return row


def _group(proposal: Proposal) -> Group:
    if proposal.before is None:
        return Group()
    group: Group = _row(Group, proposal.about)
    return group


def _group_after(group: Group, after: Any) -> Any:
    """What the group is used for follows the offers of now."""
    return after | snapshots.uses_of(group)


# --- Making it so ----------------------------------------------------------------------------


def _store(proposal: Proposal) -> None:
    """Store the change by the function that stores a direct one, with all its checks."""
    actor: User | str = proposal.proposed_by or SHELL
    after, noted = proposal.after, {"proposal": proposal.pk}
    match Kind(proposal.kind):
        case Kind.OFFER:
            offers.store_offer_from(proposal.about, after, actor=actor, **noted)
        case Kind.PROFILE:
            profiles.store_version_from(
                after, actor=actor, profile=_row(AccessProfile, proposal.about), **noted
            )
        case Kind.GROUP:
            members = User.objects.filter(pk__in=[key(one) for one in after["members"]])
            groups.store_group(
                actor=actor,
                group=_group(proposal),
                name=after["name"],
                members=list(members),
                **noted,
            )
        case Kind.PERSON:
            people.store_person(
                actor=actor,
                person=_row(User, proposal.about),
                role=after["role"],
                is_active=after["is_active"],
                **noted,
            )
        case Kind.SECOND_ADMIN:
            store_second_admin(actor=actor, on=after["on"], by=proposal)
