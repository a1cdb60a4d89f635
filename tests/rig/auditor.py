"""The judge of decisions: whether what was given rests on what the rules asked for then.

The witness says who gets in and which row it rests on. Here each row is held against the decisions,
the audit events, the emergencies and the red buttons that are stored, and against the rules of the
run (tests/rig/rules.py). How many approvals are enough, what a red button covers and what somebody
saw when they approved is worked out again: the product's own functions must not judge themselves.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise, permutations
from typing import Any, Final

from django.db import connection, transaction

from accounts.models import User
from audit.models import AuditEvent
from provisioning.models import AccessRequest, BreakGlass, Decision, Grant, Stop
from tests.rig.cases import Violation
from tests.rig.goals import LOST, UNENTITLED
from tests.rig.rules import LONGEST_BY_RULE, LONGEST_EMERGENCY, People, Rules
from tests.rig.stand import fresh

REVIEWERS: Final = 2
RULE: Final = "system:rule"
MINUTE: Final = timedelta(minutes=1)


def enough(stages: Iterable[tuple[int, People]], people: Iterable[int]) -> bool:
    """Whether each stage can have as many of these people as it asks for, nobody in two of them."""
    places = [named for quorum, named in stages for _ in range(quorum)]
    return any(
        all(one in named for one, named in zip(order, places, strict=True))
        for order in permutations(set(people), len(places))
    )


def covers(stop: Stop, request: AccessRequest) -> bool:
    """Whether a request, and the access that follows from it, is in the scope of a red button."""
    pair = request.offer.pair
    return {
        "person": stop.person_id == request.requester_id,
        "account": stop.account_id in {pair.source_id, pair.target_id},
        "pair": stop.pair_id == pair.pk,
        "everything": True,
    }[stop.scope]


@dataclass(frozen=True)
class Seen:
    """What somebody approved: for how long, and from when on if not at once."""

    who: str
    minutes: int
    starts_at: str | None


def approvals_by_events(request: AccessRequest) -> list[Seen]:
    """Every approval in its order, with the terms as they were then: by the trail alone."""
    minutes, starts_at, given = 0, None, []
    for one in AuditEvent.objects.about(request.subject).filter(data__request=request.code):
        data: dict[str, Any] = one.data
        if one.kind in {"request:state:pending", "request:terms"}:
            minutes, starts_at = data["minutes"], data["starts_at"]
        if one.kind in {"request:approval", "request:state:approved"} and one.actor != RULE:
            given.append(Seen(one.actor, minutes, starts_at))
    return given


@dataclass
class Auditor:
    """Looks at one run: at its requests from `since` on, and at its red buttons from `stop` on."""

    rules: Rules
    since: int
    first_stop: int
    bystander: Grant
    """An access that was there before; red buttons end it as well."""
    judged: set[tuple[int, int]] = field(default_factory=set)
    """Requests with the number of their decisions that were found to be in order: what was decided
    never changes."""
    ends: set[tuple[int, datetime]] = field(default_factory=set)
    """Accesses with their ends, likewise."""

    def look(self) -> None:
        """Judge everything that was decided so far, as it was in one moment."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self.judge()

    def judge(self) -> None:
        """The same in a transaction that has begun."""
        found = AccessRequest.objects.with_parties().filter(pk__gte=self.since)
        requests = {one.pk: one for one in found.prefetch_related("decisions__approver")}
        for request in requests.values():
            mark = (request.pk, len(request.decisions.all()))
            if mark not in self.judged:
                self._judge_decisions(request)
                if request.state == "approved":
                    self.judged.add(mark)
        grants = [one.grant for one in requests.values() if hasattr(one, "grant")]
        for grant in grants:
            if (grant.pk, grant.ends_at) not in self.ends:
                self._judge_end(grant, requests)
                self.ends.add((grant.pk, grant.ends_at))
        self._judge_emergencies()
        for stop in Stop.objects.with_things().filter(pk__gte=self.first_stop):
            _judge_stop(stop, list(requests.values()), [*grants, fresh(self.bystander)])

    # --- Approvals ---------------------------------------------------------------------------

    def _judge_decisions(self, request: AccessRequest) -> None:
        given = _approvals(request)
        told = approvals_by_events(request)
        if [one.approver.username for one in given] != [one.who for one in told]:
            raise Violation(UNENTITLED, (request.code, "approvals without events", given, told))
        if request.decided_by_rule is not None:
            if request.lasts > LONGEST_BY_RULE or given or request.terms_at or request.extends_id:
                raise Violation(UNENTITLED, (request.code, "is nothing for a rule"))
        elif request.state == "approved" and request.taken is None:
            if not given or not self._are_enough(request, given[-1], any):
                raise Violation(UNENTITLED, (request.code, "too few approvals", told))
            if any(one.verdict == "rejected" for one in request.decisions.all()):
                raise Violation(UNENTITLED, (request.code, "was rejected", told))
        once = {(one.approver_id, one.fingerprint) for one in given}
        if request.state == "pending" and len(once) < len(given):
            raise Violation(UNENTITLED, (request.code, "a last word decided nothing", told))
        waits = request.state == "pending" and given and self._is_of_now(request, told[-1])
        if waits and self._are_enough(request, given[-1], all):
            raise Violation(LOST, f"{request.code} has all approvals and waits: {told}")

    def _is_of_now(self, request: AccessRequest, seen: Seen) -> bool:
        """Whether it was an approval of the terms as they are now."""
        start = datetime.fromisoformat(seen.starts_at) if seen.starts_at else None
        return (seen.minutes, start) == (request.lasts // MINUTE, request.begins_at)

    def _are_enough(self, request: AccessRequest, last: Decision, of: Any) -> bool:
        """Whether the approvals of a plan were enough at the last one of them: by any, or by all
        of the rules that may have held."""
        people = {
            one.approver_id for one in _approvals(request) if one.fingerprint == last.fingerprint
        } - {request.requester_id}
        return bool(
            of(
                enough(_strictest(known.stages.get(request.offer_id, ()), request), people)
                for known in self.rules.at(last.decided_at)
            )
        )

    # --- Ends --------------------------------------------------------------------------------

    def _judge_end(self, grant: Grant, requests: dict[int, AccessRequest]) -> None:
        """It ends no later than everybody saw whose approval counts."""
        latest = [self._latest(requests[grant.request_id])]
        latest += [
            one.extends_until
            for one in requests.values()
            if one.extends_id == grant.pk and one.state == "approved" and one.extends_until
        ]
        if grant.ends_at > max(latest):
            raise Violation(UNENTITLED, (grant.code, grant.ends_at, "was approved until", latest))

    def _latest(self, request: AccessRequest) -> datetime:
        if request.taken is not None:
            return request.taken.taken_at + LONGEST_EMERGENCY
        if request.decided_by_rule is not None:
            start = request.starts_at or request.decided_by_rule.decided_at
            return max(start, request.decided_by_rule.decided_at) + request.duration
        given = _approvals(request)
        pairs = zip(given, approvals_by_events(request), strict=True)
        counted = [(one, seen) for one, seen in pairs if one.fingerprint == given[-1].fingerprint]
        decided = given[-1].decided_at
        return min(_end_of(seen, decided) for _, seen in counted)

    # --- Emergencies -------------------------------------------------------------------------

    def _judge_emergencies(self) -> None:
        rows = BreakGlass.objects.filter(request__pk__gte=self.since).order_by("taken_at", "pk")
        found = list(rows.select_related("request__grant").prefetch_related("reviews__reviewer"))
        for taken in found:
            request, grant = taken.request, taken.request.grant
            may = any(request.requester_id in one.on_call for one in self.rules.at(taken.taken_at))
            if not may or request.offer_id != self.rules.offer.pk:
                raise Violation(UNENTITLED, (request.code, "was taken by an outsider"))
            if grant.ends_at - grant.starts_at > LONGEST_EMERGENCY or grant.authority_id:
                raise Violation(UNENTITLED, (request.code, "was taken for too long"))
            self._judge_reviews(taken)
        for person in {one.request.requester_id for one in found}:
            theirs = [one for one in found if one.request.requester_id == person]
            for one, other in pairwise(theirs):
                if not _is_over(one.request.grant, other.taken_at):
                    raise Violation(UNENTITLED, (other.request.code, "was taken twice at once"))

    def _judge_reviews(self, taken: BreakGlass) -> None:
        reviews = list(taken.reviews.all())
        for one in reviews:
            others = one.reviewer_id != taken.request.requester_id
            may = one.reviewer.role == User.Role.ADMIN or any(
                one.reviewer_id in named
                for known in self.rules.at(one.reviewed_at)
                for _, named in known.stages[taken.request.offer_id]
            )
            if not (others and may and _is_over(taken.request.grant, one.reviewed_at)):
                raise Violation(UNENTITLED, (taken.request.code, one, "does not count"))
        closed = taken.closed_at is not None
        if closed != (len({one.reviewer_id for one in reviews}) >= REVIEWERS):
            raise Violation(UNENTITLED, (taken.request.code, "closed", closed, reviews))


def _approvals(request: AccessRequest) -> list[Decision]:
    given = [one for one in request.decisions.all() if one.verdict == "approved"]
    return sorted(given, key=lambda one: one.pk)


def _strictest(
    now: Sequence[tuple[int, People]], request: AccessRequest
) -> Iterator[tuple[int, People]]:
    """The stages as they are, each with its quorum when asked if that was more: in a run a stage
    comes and goes with nobody."""
    pinned = [*request.quorums, *([0] * len(now))]
    for (quorum, named), before in zip(now, pinned, strict=False):
        yield max(quorum, before), named - {request.requester_id}


def _end_of(seen: Seen, decided: datetime) -> datetime:
    start = datetime.fromisoformat(seen.starts_at) if seen.starts_at else decided
    return max(start, decided) + seen.minutes * MINUTE


def _is_over(grant: Grant, moment: datetime) -> bool:
    return min(grant.revoked_at or grant.ends_at, grant.ends_at) <= moment


# --- Red buttons -----------------------------------------------------------------------------


def _judge_stop(stop: Stop, requests: Sequence[AccessRequest], grants: Sequence[Grant]) -> None:
    """What its scope holds is over once it is finished, and nothing began there while it held."""
    for grant in grants:
        if grant.stop_id == stop.pk and not covers(stop, grant.request):
            raise Violation(UNENTITLED, (stop, grant.code, "was ended outside of the scope"))
    if stop.finished_at is None:
        return
    for grant in grants:
        if covers(stop, grant.request):
            _judge_stopped(stop, grant)
    for request in requests:
        if not covers(stop, request):
            continue
        if request.asked_at <= stop.pressed_at and request.state == "pending":
            raise Violation(LOST, f"{stop} has left {request.code} waiting")
        began = _decided_at(request)
        paused = stop.pauses and began and (stop.lifted_at is None or began < stop.lifted_at)
        if began and paused and began > stop.finished_at:
            raise Violation(UNENTITLED, (stop, request.code, began, "began during the pause"))


def _judge_stopped(stop: Stop, grant: Grant) -> None:
    assert stop.finished_at is not None
    began = _decided_at(grant.request)
    if began is None or began > stop.finished_at or _is_written_after(stop, grant):
        return
    if not grant.is_over and grant.ends_at > stop.finished_at:
        raise Violation(UNENTITLED, (stop, grant.code, began, "outlived the red button"))
    if grant.settled_at and grant.revoked_at and grant.settled_at > grant.revoked_at:
        raise Violation(UNENTITLED, (stop, grant.code, "was given after it had been revoked"))


def _is_written_after(stop: Stop, grant: Grant) -> bool:
    """Whether the access was written once the stop was finished, by the order of the trail: whoever
    decides looks at the clock first, and a stop may be finished meanwhile."""
    finished = AuditEvent.objects.about(stop.subject).filter(kind="stop:finished").first()
    given = AuditEvent.objects.about(grant.subject).filter(kind__startswith="grant:phase:").first()
    return bool(finished and given and given.pk > finished.pk)


def _decided_at(request: AccessRequest) -> datetime | None:
    """When access, or more of it, was given; None where it was not."""
    if request.state != "approved":
        return None
    if request.decided_by_rule is not None:
        return request.decided_by_rule.decided_at
    return request.taken.taken_at if request.taken else _approvals(request)[-1].decided_at
