"""Use cases: request, approve, reject, cancel, revoke, check a connection.

Each is one transaction, asks `authz` first, and nudges the workers once it is committed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from accounts.models import (
    SHORTEST_GRANT,
    AccountPair,
    AwsAccount,
    ConnectionCheck,
    Offer,
    User,
)
from accounts.stages import needed
from audit.clock import database_now
from audit.models import append
from provisioning import approvals, authz, drift, lifecycle, preview, rules, specs, tasks
from provisioning.approvals import Standing
from provisioning.core import plan
from provisioning.core.drift import Kind, Thing
from provisioning.core.states import RequestState
from provisioning.models import (
    ALREADY_ASKED,
    EXTENSION_ASKED,
    FURTHEST_START,
    ONE_EXTENSION,
    ONE_PENDING,
    AccessRequest,
    AccountScan,
    Decision,
    DriftFinding,
    Grant,
    Stop,
)
from provisioning.use_cases import Refused as Refused
from provisioning.use_cases import nudge_on_commit, refusals_recorded, require

CANNOT_BE_SET_UP = "cannot_be_set_up"
LOOK_HOLDS = timedelta(minutes=5)
"""For how long a look is good enough for an approver who opens the page."""


class CannotBeSetUp(Refused):
    """AWS would refuse what is asked for; the reasons say who can do what about it."""


class PlanMoved(Exception):
    """What was approved is no longer what the page showed."""


def request_access(
    *,
    requester: User,
    offer: Offer,
    duration: timedelta,
    reason: str,
    starts_at: datetime | None = None,
    ticket: str = "",
) -> AccessRequest:
    """Ask for an offer, from the decision on or from a later start. Raises Refused, or
    ValidationError.

    A request waits as long as its offer says, or until the start that it asks for if that is later.
    """
    wish = Wish(offer, duration)
    (request,) = request_together(
        requester=requester, wishes=[wish], reason=reason, starts_at=starts_at, ticket=ticket
    )
    return request


@dataclass(frozen=True)
class Wish:
    """One of the offers that are asked for in one go."""

    offer: Offer
    duration: timedelta


def request_together(
    *,
    requester: User,
    wishes: Sequence[Wish],
    reason: str,
    starts_at: datetime | None = None,
    ticket: str = "",
) -> list[AccessRequest]:
    """Ask for several offers for one reason: a request for each, all of them or none.

    Each is decided by itself. Raises Refused, or ValidationError; of several offers every message
    says which one it is about.
    """
    now = database_now()
    for wish in wishes:
        attempt = refusals_recorded(
            "request:ask", requester, wish.offer.subject, "asking for access"
        )
        with _naming(wish, wishes), attempt:
            require(authz.can_request(requester, wish.offer))
    check_start(starts_at, now)
    batch = uuid4() if len(wishes) > 1 else None
    requests = []
    with transaction.atomic():
        for wish in wishes:
            with _naming(wish, wishes):
                request = _request(requester, wish, now, reason=reason, ticket=ticket)
                request.starts_at, request.batch = starts_at, batch
                request.lapses_at = max(now + wish.offer.request_lifetime, starts_at or now)
                requests.append(_open(request, ONE_PENDING, ALREADY_ASKED))
    return requests


@contextmanager
def _naming(wish: Wish, wishes: Sequence[Wish]) -> Iterator[None]:
    """Say of a refusal which of several offers it is about."""
    try:
        yield
    except Refused as refused:
        if len(wishes) == 1:
            raise
        reasons = tuple(f"{wish.offer}: {reason}" for reason in refused.reasons)
        raise Refused(authz.Answer(reasons)) from refused
    except ValidationError as error:
        if len(wishes) == 1:
            raise
        words = [f"{wish.offer}: {one}" for one in error.messages]
        raise ValidationError([ValidationError(one, code="one_of_several") for one in words]) from (
            error
        )


def _request(
    requester: User, wish: Wish, now: datetime, *, reason: str, ticket: str
) -> AccessRequest:
    """A request of one offer, checked as far as the offer itself says."""
    offer = wish.offer
    offer.check_duration(wish.duration)
    try:
        offer.check_ticket(ticket)
    except ValidationError as error:
        raise ValidationError({"ticket": error}) from error
    identity = authz.identity_for(requester, offer)
    if identity is None:  # can_request has refused this; it is here for the type.
        raise Refused(authz.Answer(("No IAM user is linked to you.",)))
    return AccessRequest(
        requester=requester,
        identity=identity,
        offer=offer,
        profile_version=offer.profile.current,
        duration=wish.duration,
        reason=reason,
        ticket=ticket,
        **_pinned(offer),
    )


def _pinned(offer: Offer) -> dict[str, Any]:
    """What a new request must meet at least, whatever becomes of its offer."""
    stages = offer.stages_for_new()
    return {"approvals_needed": needed(stages), "quorums": [one.quorum for one in stages]}


def check_start(starts_at: datetime | None, now: datetime) -> None:
    """Raise ValidationError unless a start may be asked for."""
    if starts_at is None or now < starts_at <= now + FURTHEST_START:
        return
    message = (
        "This moment is past. Leave it empty to start with the approval."
        if starts_at <= now
        else f"Choose a start within the next {FURTHEST_START.days} days."
    )
    raise ValidationError({"starts_at": ValidationError(message, code="start_out_of_bounds")})


def _open(request: AccessRequest, constraint: str, words: str) -> AccessRequest:
    """Check and store a new request; the named constraint is what a twin of it would break."""
    request.trace = rules.trace(request, database_now())
    request.full_clean()
    if obstacles := preview.static_obstacles(request):
        raise ValidationError([ValidationError(one, code=CANNOT_BE_SET_UP) for one in obstacles])
    try:
        with transaction.atomic():
            lifecycle.open_request(request, actor=request.requester.username)
            nudge_on_commit(tasks.preview_request, request.pk)
    except IntegrityError as error:
        if constraint not in str(error):
            raise
        # Sent twice at the same moment: the constraint says what full_clean would have said.
        raise ValidationError(words, code=constraint) from error
    return request


def extend_access(*, person: User, grant: Grant, duration: timedelta, reason: str) -> AccessRequest:
    """Ask for more time on one's own live access. Raises Refused, or ValidationError.

    The request lapses at the present end: nothing is left to extend then.
    """
    now = database_now()
    with refusals_recorded("grant:extend", person, grant.subject, "extending the access"):
        require(authz.can_extend(person, grant, now))
    check_extension(grant, duration, now)
    request = AccessRequest(
        requester=person,
        identity=grant.identity,
        offer=grant.request.offer,
        profile_version=grant.profile_version,
        duration=duration,
        extends=grant,
        extends_until=grant.ends_at + duration,
        reason=reason,
        ticket=grant.request.ticket,
        lapses_at=grant.ends_at,
        **_pinned(grant.request.offer),
    )
    return _open(request, ONE_EXTENSION, EXTENSION_ASKED)


def check_extension(grant: Grant, duration: timedelta, now: datetime) -> None:
    """Raise ValidationError unless so much time may be added."""
    longest = authz.longest_extension(grant, now)
    if not SHORTEST_GRANT <= duration <= longest:
        message = (
            f"Choose between 5 and {longest // timedelta(minutes=1)} minutes: the access may end "
            "at most the offer's longest duration from now, and 7 days after its start."
        )
        raise ValidationError({"minutes": ValidationError(message, code="duration_out_of_bounds")})


def decide(
    *,
    approver: User,
    request: AccessRequest,
    verdict: Decision.Verdict,
    fingerprint: str,
    reason: str = "",
) -> Grant | None:
    """Approve or reject. `fingerprint` is that of the plan the approver was shown.

    Raises Refused, CannotBeSetUp for an approval that AWS would not follow, PlanMoved when the plan
    has changed since, StaleState when somebody else was quicker.
    """
    recorded = refusals_recorded("request:decide", approver, request.subject, "deciding")
    with recorded, transaction.atomic():
        if request.extends_id is not None:
            # A revocation locks the grant first and its extensions second, and so does this.
            Grant.objects.select_for_update(of=("self",)).get(pk=request.extends_id)
        locked = AccessRequest.objects.select_for_update(of=("self",)).for_decision()
        request = locked.get(pk=request.pk)
        now, standing = database_now(), approvals.standing(request)
        require(authz.can_decide(approver, request, now, standing=standing))
        spec = specs.spec_for_request(request)
        if verdict == Decision.Verdict.APPROVED:
            stops = authz.stops_in_force()
            require(_still_may_ask(request, standing, stops))
            require(authz.not_stopped(request.requester, request.offer.pair, stops=stops))
            if plan.fingerprint(spec) != fingerprint:
                raise PlanMoved("The plan has changed since you opened this page. Look again.")
            if obstacles := preview.obstacles(request, spec):
                raise CannotBeSetUp(authz.Answer(tuple(obstacles)))
        stage = standing.progress_now().open_stage
        name = stage.name if stage else ""
        said = f"{approver.label} {verdict.label.lower()} in the stage “{name}”."
        grant = lifecycle.decide(
            Decision(
                request=request,
                approver=approver,
                verdict=verdict,
                reason=reason,
                fingerprint=plan.fingerprint(spec),
                decided_at=now,
                stage=name,
                trace=rules.trace(request, now, stages=standing.stages, said=said),
            ),
            standing,
        )
        if grant is not None:
            nudge_on_commit(tasks.converge_grant, grant.pk)
    return grant


def _still_may_ask(
    request: AccessRequest, standing: Standing, stops: Sequence[Stop]
) -> authz.Answer:
    """Whether the requester could ask for the same today, in words for the approver."""
    if request.extends is not None:
        answer = authz.may_still_extend(request.requester, request.extends)
    else:
        answer = authz.can_request(
            request.requester,
            request.offer,
            stages=standing.stages,
            stops=[one for one in stops if one.is_pausing],
        )
    name = request.requester.label
    return authz.Answer(tuple(f"{name} is told: {reason}" for reason in answer.reasons))


def look_again(*, person: User, request: AccessRequest) -> bool:
    """Have a worker try the plan again. False when a look is wanted or under way already.

    Raises Refused.
    """
    with refusals_recorded("request:look", person, request.subject, "looking again"):
        require(authz.can_look_again(person, request))
    with transaction.atomic():
        asked = lifecycle.ask_for_look(request, database_now())
        if asked:
            append(
                kind="request:look:asked",
                actor=person.username,
                subject=request.subject,
                sentence=f"{person.label} asked for another look at both accounts.",
            )
        # Also when it was asked for before: that nudge may be lost.
        nudge_on_commit(tasks.preview_request, request.pk)
    return asked


def keep_fresh(*, approver: User, request: AccessRequest) -> None:
    """Have an old look repeated when an approver opens the page. It changes no state: no event."""
    now = database_now()
    fresh = request.previewed_at is not None and request.previewed_at > now - LOOK_HOLDS
    if fresh or not authz.can_decide(approver, request, now):
        return
    with transaction.atomic():
        if lifecycle.ask_for_look(request, now):
            nudge_on_commit(tasks.preview_request, request.pk)


def cancel(*, person: User, request: AccessRequest) -> None:
    """Withdraw one's own pending request. Raises Refused or StaleState."""
    with refusals_recorded("request:cancel", person, request.subject, "withdrawing"):
        require(authz.can_cancel(person, request))
    lifecycle.move_request(
        request,
        RequestState.CANCELLED,
        actor=person.username,
        sentence=f"{person.label} withdrew the request.",
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


def repair(*, person: User, grant: Grant, reason: str = "") -> None:
    """Let a worker give back what somebody took from a live access in AWS.

    Raises Refused or StaleState.
    """
    with refusals_recorded("grant:repair", person, grant.subject, "repairing the access"):
        require(authz.can_repair(person, grant, database_now()))
    with transaction.atomic():
        lifecycle.reopen(
            grant,
            actor=person.username,
            sentence=f"{person.label} had the access repaired: what is missing is given back.",
            reason=reason,
            now=database_now(),
        )
        nudge_on_commit(tasks.converge_grant, grant.pk)


def restore_group(*, person: User, finding: DriftFinding) -> None:
    """Let a worker make a switch group again as it is registered. Raises Refused or StaleState."""
    with refusals_recorded("pair:restore", person, finding.account.subject, "restoring a group"):
        require(authz.can_restore_group(person))
    pairs = AccountPair.objects.filter(source=finding.account, switch_group=finding.name)
    with transaction.atomic():
        still = DriftFinding.objects.open().filter(
            pk=finding.pk, kind=Kind.NARROWED, thing=Thing.GROUP
        )
        if not still.exists() or not pairs.update(next_check_at=database_now()):
            raise lifecycle.StaleState("Nothing is missing from this switch group any more.")
        append(
            kind="pair:restore:asked",
            actor=person.username,
            subject=finding.account.subject,
            sentence=f"{person.label} had the switch group {finding.name} made again.",
            reason=finding.summary,
        )
        for pair in pairs:
            nudge_on_commit(tasks.prepare_pair, pair.pk)


def scan_now(*, person: User) -> None:
    """Have all accounts compared with the rows as soon as there is a worker. Raises Refused."""
    with refusals_recorded("drift:scan", person, "drift", "starting a scan"):
        require(authz.can_scan(person))
    now = database_now()
    with transaction.atomic():
        drift.schedule(now)
        due = AccountScan.objects.filter(finished_at__isnull=True, started_at__isnull=True)
        due.filter(due_at__gt=now).update(due_at=now)
        for scan in due:
            nudge_on_commit(tasks.scan_account, scan.pk)
        append(
            kind="drift:scan:asked",
            actor=person.username,
            subject="drift",
            sentence=f"{person.label} asked for a scan of all accounts.",
        )


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


def check_connection(*, asked_by: str, account: AwsAccount) -> ConnectionCheck:
    """Ask a worker to check an account. A check that waits already is not asked for twice.
    Raises Refused for an account that was retired.

    One that has begun does not count: it may have looked before the owner mended something.
    """
    if account.retired_at:
        raise Refused(authz.Answer(("This account is retired. Bring it back first.",)))
    with transaction.atomic():
        waiting = account.checks.filter(started_at__isnull=True).first()
        if waiting is not None:
            nudge_on_commit(tasks.check_connection, waiting.pk)
            return waiting
        check = ConnectionCheck.objects.create(account=account, asked_by=asked_by)
        append(
            kind="account:check:asked",
            actor=asked_by,
            subject=account.subject,
            sentence=f"A connection check of {account} was asked for.",
        )
        nudge_on_commit(tasks.check_connection, check.pk)
    return check
