"""May this person do this? One function for each question, answered with its reasons.

Services enforce the answer, pages show it, and nobody else repeats it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import prefetch_related_objects

from accounts import stages as stage_rules
from accounts.models import (
    LONGEST_GRANT,
    SHORTEST_GRANT,
    AccountPair,
    IamIdentity,
    Offer,
    User,
    stages_of,
)
from accounts.stages import Stage
from provisioning import approvals
from provisioning.approvals import Standing
from provisioning.core.states import Phase, RequestState
from provisioning.models import AccessRequest, Grant, PasswordRequest, Stop


@dataclass(frozen=True)
class Answer:
    """Whether something is allowed; if not, every reason why, as sentences for that person."""

    reasons: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Nothing speaks against it."""
        return not self.reasons

    def __bool__(self) -> bool:
        return self.allowed


def _answer(*objections: str | None) -> Answer:
    return Answer(tuple(one for one in objections if one))


def _basics(person: User) -> tuple[str | None, ...]:
    """What holds for every change: the person is switched on, and no auditor."""
    return (
        None if person.is_active else "Your account is switched off.",
        "Auditors read everything and change nothing."
        if person.role == User.Role.AUDITOR
        else None,
    )


def identity_for(person: User, offer: Offer) -> IamIdentity | None:
    """Which IAM user a person is in the source account of an offer."""
    return IamIdentity.objects.usable().filter(person=person, account=offer.pair.source).first()


def can_request(
    person: User,
    offer: Offer,
    *,
    stages: Sequence[Stage] | None = None,
    stops: Iterable[Stop] | None = None,
) -> Answer:
    """May this person ask for this offer? `stages` is what a request that exists already must
    meet; without it, what a new one would. `stops` spares reading the red buttons that pause."""
    eligible = Offer.objects.open_to(person).filter(pk=offer.pk).exists()
    stages = offer.stages_for_new() if stages is None else stages
    answer = _request_answer(person, offer, eligible, stages, identity_for(person, offer))
    stops = pauses() if stops is None else stops
    return _answer(*answer.reasons, *_paused(person, offer.pair, stops))


def can_request_each(
    person: User, offers: Sequence[Offer], *, stops: Sequence[Stop] | None = None
) -> list[tuple[Offer, Answer]]:
    """The same for some offers, with the same number of queries for any number."""
    identities = {one.account_id: one for one in IamIdentity.objects.usable().filter(person=person)}
    keys = [one.pk for one in offers]
    stages, stops = stages_of(keys), pauses() if stops is None else stops
    open_now = set(Offer.objects.open_to(person).filter(pk__in=keys).values_list("pk", flat=True))
    prefetch_related_objects(offers, "profile__versions")
    answered = []
    for offer in offers:
        needed = offer.stages_for_new(stages.get(offer.pk, ()))
        identity = identities.get(offer.pair.source_id)
        answer = _request_answer(person, offer, offer.pk in open_now, needed, identity)
        paused = _paused(person, offer.pair, stops)
        answered.append((offer, _answer(*answer.reasons, *paused)))
    return answered


def _request_answer(
    person: User,
    offer: Offer,
    eligible: bool,
    stages: Sequence[Stage],
    identity: IamIdentity | None,
) -> Answer:
    return _answer(
        *_basics(person),
        None if eligible else "This offer is not open to you. Ask an admin to name you on it.",
        _too_few(person, stages),
        _no_identity(identity, offer),
    )


def pauses() -> list[Stop]:
    """The red buttons that keep new requests away until an admin lifts them."""
    return list(Stop.objects.pausing().with_things_if_any())


def not_paused(person: User, stops: Iterable[Stop]) -> Answer:
    """May this person ask for anything at all, as far as these red buttons go?"""
    return _answer(*(_refusal(stop) for stop in stops if stop.covers_all_of(person)))


def _paused(person: User, pair: AccountPair, stops: Iterable[Stop]) -> list[str]:
    """What red buttons say against this person's access through this pair."""
    return [_refusal(stop) for stop in stops if stop.covers(person, pair)]


def _refusal(stop: Stop) -> str:
    if stop.is_pausing:
        pause = f"An admin has ended {stop.words} and paused new requests."
        return f"{pause} Ask an admin to lift the pause."
    return f"An admin is ending {stop.words} at this moment. Ask again in a minute."


def stops_in_force() -> list[Stop]:
    """The red buttons under which no access begins, for `not_stopped`."""
    return list(Stop.objects.in_force().with_things_if_any())


def not_stopped(person: User, pair: AccountPair, *, stops: Iterable[Stop] | None = None) -> Answer:
    """May this person's access through a pair begin, or last longer, as far as red buttons go?"""
    return _answer(*_paused(person, pair, stops_in_force() if stops is None else stops))


def can_stop(person: User) -> Answer:
    """May this person press the red button, or lift a pause? Any admin."""
    return _answer(
        *_basics(person),
        None if person.is_portal_admin else "Only admins press the red button.",
    )


LAST_CALL = timedelta(minutes=1)
"""An extension needs this long before the end: an approver and a worker come after the question."""


def longest_extension(grant: Grant, now: datetime) -> timedelta:
    """How much time can be added now: the new end is at most the offer's longest duration from
    now, and `LONGEST_GRANT` from the start, however often the access is extended."""
    latest = min(now + grant.request.offer.max_duration, grant.starts_at + LONGEST_GRANT)
    return max(latest - grant.ends_at, timedelta(0))


def too_late_to_extend(grant: Grant, now: datetime) -> tuple[str | None, ...]:
    """What the clock and the kind of access say against more time; no look at anything else."""
    late = grant.ends_at - now < LAST_CALL
    full = longest_extension(grant, now) < SHORTEST_GRANT
    return (
        "What was taken in an emergency is not extended. Ask for the offer instead."
        if grant.request.taken
        else None,
        _NOT_USABLE.get(grant.phase_at(now)),
        "More time was approved and is being set up in AWS." if grant.is_extending else None,
        "Less than a minute is left. Ask for new access instead." if late else None,
        "This access cannot end later yet: its offer allows no longer." if full else None,
    )


def can_extend(person: User, grant: Grant, now: datetime) -> Answer:
    """May this person ask for more time on this grant? Its holder, while it is active."""
    waiting = grant.extensions.filter(state=RequestState.PENDING).exists()
    return _answer(
        None if person.pk == grant.request.requester_id else "This is somebody else's access.",
        *too_late_to_extend(grant, now),
        "A request of yours for more time waits for a decision." if waiting else None,
        *may_still_extend(person, grant).reasons,
    )


def may_still_extend(person: User, grant: Grant) -> Answer:
    """Whether what a grant was approved as is still what this person could ask for today."""
    offer, identity = grant.request.offer, grant.identity
    pinned = (grant.iam_user_arn, grant.iam_user_id, grant.boundary_arn)
    moved = pinned != (identity.arn, identity.unique_id, offer.pair.target.boundary_arn)
    newer = grant.profile_version_id != offer.profile.current.pk
    return _answer(
        *can_request(person, offer).reasons,
        "The profile was changed since. Ask for new access instead." if newer else None,
        "The account or the IAM user was changed since. Ask for new access instead."
        if moved
        else None,
    )


def can_break_glass(person: User, offer: Offer, now: datetime) -> Answer:
    """May this person take this offer at once, in an emergency? Members of the group that the
    offer names, with an IAM user of theirs, once at a time. What begins later is of no use now."""
    named = Offer.objects.breakable_by(person).filter(pk=offer.pk).exists()
    identity = identity_for(person, offer)
    mine = Grant.objects.held_by(person).live().filter(request__offer=offer)
    live = mine.filter(revoked_at__isnull=True, starts_at__lte=now, ends_at__gt=now).exists()
    return _answer(
        *_basics(person),
        None if named else "This offer does not let you take access in an emergency.",
        _no_identity(identity, offer),
        "You have this access already." if live else None,
        *not_stopped(person, offer.pair).reasons,
    )


def can_review(person: User, request: AccessRequest, now: datetime) -> Answer:
    """May this person review what was taken in an emergency? An approver of the offer or an admin,
    never who took it, and once it is over."""
    taken, grant = request.taken, getattr(request, "grant", None)
    concerns_them = (
        person.is_portal_admin
        or Offer.objects.decided_by(person).filter(pk=request.offer_id).exists()
    )
    return _answer(
        *_basics(person),
        None if taken else "Nobody took this in an emergency.",
        "Nobody reviews their own emergency." if person.pk == request.requester_id else None,
        None if concerns_them else "Only an approver of the offer or an admin can.",
        "Two others have reviewed this already." if taken and taken.closed_at else None,
        "It is reviewed once it is over; you can revoke it."
        if grant and not grant.is_over and grant.should_exist(now)
        else None,
        "You have reviewed this already. Somebody else must review it too."
        if taken and taken.reviews.filter(reviewer=person).exists()
        else None,
    )


def _no_identity(identity: IamIdentity | None, offer: Offer) -> str | None:
    source = offer.pair.source.name
    if identity is None:
        return f"No IAM user in {source} is linked to you. Ask an admin to link yours."
    if not identity.verified_at:
        return f"Your IAM user {identity.user_name} has not been found in {source} yet."
    return None


def _too_few(person: User, stages: Sequence[Stage]) -> str | None:
    others = {one for stage in stages for one in stage.people} - {person.pk}
    if not others:
        return "Nobody else can approve this offer. Ask an admin to add an approver."
    if stage_rules.can_be_met(stages, without=person.pk):
        return None
    if len(others) == 1 and stage_rules.needed(stages) == 2:
        return (
            "This offer needs two approvers, and only one person other than you can approve. "
            "Ask an admin to add an approver."
        )
    return (
        f"This offer needs {stage_rules.needed(stages)} different approvers, and too few people "
        "other than you can approve. Ask an admin to add an approver."
    )


def can_decide(
    person: User, request: AccessRequest, now: datetime, *, standing: Standing | None = None
) -> Answer:
    """May this person approve or reject this request? Admins and superusers are no exception.

    `standing` spares reading what was approved so far.
    """
    own = person.pk == request.requester_id
    if standing is None or own:
        names_them = Offer.objects.decided_by(person).filter(pk=request.offer_id).exists()
    else:
        names_them = standing.names(person)
    closed = _no_longer_open(request, now)
    return _answer(
        *_basics(person),
        "Nobody decides on their own request." if own else None,
        None if names_them else "You are not an approver of this offer.",
        closed,
        None
        if closed or own or not names_them
        else _not_asked(person, standing or approvals.standing(request)),
    )


def _not_asked(person: User, standing: Standing) -> str | None:
    """Why an approver of the offer has no say at this moment: they had it, or others are first."""
    if standing.asks(person):
        return None
    if standing.has_approved(person):
        return "You have decided on this plan already. Somebody else must approve it too."
    stage = standing.open_stage
    name = f"“{stage.name}”" if stage else "another stage"
    return f"The stage {name} is asked at this moment, and you are not named in it."


def _no_longer_open(request: AccessRequest, now: datetime) -> str | None:
    if request.state != RequestState.PENDING:
        return f"This request is {request.state} already."
    # The sweeper writes it down a little later; the time is over all the same.
    return "This request has lapsed: nobody decided in time." if request.lapses_at <= now else None


def can_change_terms(
    person: User, request: AccessRequest, now: datetime, *, standing: Standing | None = None
) -> Answer:
    """May this person put a shorter time or a later start in place of what was asked for?
    `standing` as in `can_decide`."""
    return _answer(
        *can_decide(person, request, now, standing=standing).reasons,
        "More time is approved as it was asked for, or rejected." if request.extends_id else None,
    )


def can_comment(person: User, request: AccessRequest) -> Answer:
    """May this person ask or answer here? Who asked for access, and who decides on it."""
    own = person.pk == request.requester_id
    concerns_them = own or Offer.objects.decided_by(person).filter(pk=request.offer_id).exists()
    return _answer(
        *_basics(person),
        None if concerns_them else "Only the requester and the approvers of the offer can.",
        None if request.is_discussed else "This is over, so nobody would answer.",
    )


def can_look_again(person: User, request: AccessRequest) -> Answer:
    """May this person have a worker try the plan again? Who asked, who decides, any admin."""
    concerns_them = (
        person.pk == request.requester_id
        or person.is_portal_admin
        or Offer.objects.decided_by(person).filter(pk=request.offer_id).exists()
    )
    return _answer(
        *_basics(person),
        None if concerns_them else "Only the requester, an approver of the offer or an admin can.",
        None
        if request.state == RequestState.PENDING
        else f"This request is {request.state} already.",
    )


def can_cancel(person: User, request: AccessRequest) -> Answer:
    """May this person withdraw this request?"""
    return _answer(
        None if person.pk == request.requester_id else "Only who asked can withdraw a request.",
        None
        if request.state == RequestState.PENDING
        else f"This request is {request.state} already.",
    )


def can_revoke(person: User, grant: Grant) -> Answer:
    """May this person end this access early? Its holder, an approver of the offer, any admin."""
    concerns_them = (
        person.pk == grant.request.requester_id
        or person.is_portal_admin
        or Offer.objects.decided_by(person).filter(pk=grant.request.offer_id).exists()
    )
    return _answer(
        *_basics(person),
        None if concerns_them else "Only its holder, an approver of the offer or an admin can.",
        "This access has been revoked or has ended already." if grant.is_over else None,
    )


def may_revoke_any(person: User, grant: Grant) -> bool:
    """Whether an admin may end this access, without asking the database."""
    return person.is_portal_admin and not grant.is_over


def can_retire(person: User, *, retired: bool, is_self: bool = False) -> Answer:
    """May this person take something out of use? Any admin; nobody themselves."""
    return _answer(
        *_basics(person),
        None if person.is_portal_admin else "Only admins retire things.",
        "You cannot switch yourself off. Ask another admin." if is_self else None,
        "This is out of use already, and nothing depends on it." if retired else None,
    )


def can_repair(person: User, grant: Grant, now: datetime) -> Answer:
    """May this person let a worker give back what somebody took from this access in AWS?

    An admin or an approver of the offer; never its holder, who would approve for themselves.
    """
    holder = grant.request.requester
    concerns_them = (
        person.is_portal_admin
        or Offer.objects.decided_by(person).filter(pk=grant.request.offer_id).exists()
    )
    return _answer(
        *_basics(person),
        "Nobody gives access back to themselves." if person.pk == holder.pk else None,
        None if concerns_them else "Only an approver of the offer or an admin can.",
        None if holder.is_active else f"{holder.label} is switched off.",
        _repair_objection(grant, now),
    )


def may_repair_any(person: User, grant: Grant, now: datetime) -> bool:
    """Whether an admin may repair this access, without asking the database."""
    return (
        person.is_portal_admin
        and person.pk != grant.request.requester_id
        and grant.is_narrowed
        and not grant.is_over
        and grant.should_exist(now)
    )


def _repair_objection(grant: Grant, now: datetime) -> str | None:
    if grant.is_over or not grant.should_exist(now):
        return "This access has been revoked or has ended already."
    if grant.settled_at is None:
        return "This access is still being set up."
    if grant.phase == Phase.ACTIVE and not grant.drift.open().exists():
        return "Nothing is missing from this access."
    return None


def can_scan(person: User) -> Answer:
    """May this person have all accounts scanned now?"""
    return _answer(*_basics(person), None if person.is_portal_admin else "Only admins start scans.")


def can_restore_group(person: User) -> Answer:
    """May this person have a switch group made again as it is registered?"""
    return _answer(
        *_basics(person), None if person.is_portal_admin else "Only admins restore switch groups."
    )


def can_manage_users(person: User) -> Answer:
    """May this person create IAM users, remove them and set their passwords?"""
    return _answer(
        *_basics(person),
        None if person.is_portal_admin else "Only admins look after IAM users.",
    )


def can_remove_user(person: User, identity: IamIdentity) -> Answer:
    """May this person remove this IAM user? Those who existed before are nobody's here (I5)."""
    return _answer(
        *can_manage_users(person).reasons,
        None
        if identity.created_by_portal
        else "Sallyport did not create this IAM user, so it does not remove it.",
    )


def can_have_password(person: User, identity: IamIdentity) -> Answer:
    """May this person set a one-time password of this IAM user? The worker asks once more."""
    return _answer(*can_manage_users(person).reasons, _no_password(identity))


def _no_password(identity: IamIdentity) -> str | None:
    if not identity.created_by_portal:
        return "Sallyport did not create this IAM user, so its password is not ours."
    if identity.remove_asked_at:
        return "This IAM user is being removed."
    return None if identity.verified_at else "This IAM user has not been made yet."


def can_see_password(person: User, request: PasswordRequest) -> Answer:
    """May this person be shown this one-time password? Only the admin who asked for it."""
    return _answer(
        *can_manage_users(person).reasons,
        None
        if request.asked_by_id == person.pk
        else "Only the admin who asked for a password sees it.",
    )


_NOT_USABLE = {
    Phase.SCHEDULED: "This access has not started yet.",
    Phase.PENDING: "This access is not ready yet.",
    Phase.ENDING: "This access has ended.",
    Phase.ENDED: "This access has ended.",
}


def can_use(person: User, grant: Grant, now: datetime) -> Answer:
    """May this person be shown the Switch role link? Its holder, while it is active."""
    return _answer(
        None if person.is_active else "Your account is switched off.",
        None if person.pk == grant.request.requester_id else "This is somebody else's access.",
        _NOT_USABLE.get(grant.phase_at(now)),
    )
