"""Who must approve a request, who did, and whose approval still counts.

The one place that knows: pages, lists, services, the worker and the notices ask here. Which
approvals are enough is decided in `accounts.stages`. An approval counts for the very plan that its
approver saw: one of an earlier plan is void, and its approver is asked again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from django.db.models import Exists, OuterRef

from accounts import stages as rules
from accounts.models import Offer, User, people_demanded_by, stages_of
from accounts.stages import Progress, Stage
from provisioning.core import plan
from provisioning.core.states import RequestState
from provisioning.models import AccessRequest, BreakGlass, Decision, Grant
from provisioning.specs import spec_for_request


def stages(request: AccessRequest) -> tuple[Stage, ...]:
    """What a request must meet: what was pinned when asked, what its offer says by now, or what
    the risk of its permissions demands, whichever is the most; with the people who may approve.

    The offer is read anew, because it may have been made stricter while the request waits, and so
    is what the permissions amount to, because more may be known of them since.
    """
    return _stages(request, request.offer.stages_now())


def _stages(request: AccessRequest, now: Sequence[Stage]) -> tuple[Stage, ...]:
    by_risk = people_demanded_by(request.profile_version.report)
    floor = max(request.approvals_needed, by_risk)
    strictest = rules.strictest(now, pinned=request.quorums, floor=floor)
    return tuple(one.without(request.requester_id) for one in strictest)


@dataclass(frozen=True)
class Standing:
    """What a request must meet and the approvals that it has got, of whichever plan: what every
    question here is answered from.

    Three queries. Whoever decides reads it once, under the lock of the request, and passes it on.
    """

    request: AccessRequest
    stages: tuple[Stage, ...]
    given: tuple[Decision, ...]
    """Approvals, the oldest first, with their approvers; each person's once for a plan."""

    @cached_property
    def mark(self) -> str:
        """The fingerprint of the plan as it is now."""
        # Where the switch group leads is no part of a fingerprint.
        return plan.fingerprint(spec_for_request(self.request, group_targets=()))

    def of(self, fingerprint: str) -> list[Decision]:
        """The approvals of this very plan."""
        return [one for one in self.given if one.fingerprint == fingerprint]

    def progress(self, fingerprint: str) -> Progress:
        """How far the approvals of this plan have come, by stage."""
        return rules.progress(self.stages, [one.approver_id for one in self.of(fingerprint)])

    def progress_now(self) -> Progress:
        """How far the approvals of the plan as it is now have come."""
        # Most requests have no approval yet, and a fingerprint takes some work.
        return self.progress(self.mark if self.given else "")

    @property
    def needs_last_word(self) -> bool:
        """Whether enough approvals count although nobody's decided: who had lost the right to
        approve has it again, say, or less is asked for by now.

        Nothing is granted without somebody's decision in that moment, so the people of the last
        stage are asked once more, those who have approved included; one of them decides.
        """
        return self.request.state == RequestState.PENDING and self.progress_now().is_complete

    @property
    def open_stage(self) -> Stage | None:
        """The stage that is asked now."""
        return self.stages[-1] if self.needs_last_word else self.progress_now().open_stage

    @property
    def asked(self) -> frozenset[int]:
        """Keys of the people whose approval would bring the request on."""
        if self.needs_last_word:
            return self.stages[-1].people
        now = self.progress_now()
        return now.open_stage.people - now.people if now.open_stage else frozenset()

    @property
    def for_lists(self) -> dict[str, Any]:
        """What lists of waiting requests go by, as columns of the request."""
        open_at = self.progress_now().open_at
        if open_at is None:
            return {"stage": len(self.stages), "approved_mark": ""}
        return {"stage": open_at + 1, "approved_mark": self.mark if self.given else ""}

    def names(self, person: User) -> bool:
        """Whether this person may approve in some stage."""
        return any(person.pk in stage.people for stage in self.stages)

    def has_approved(self, person: User) -> bool:
        """Whether this person has approved the plan as it is now."""
        return any(
            one.approver_id == person.pk and one.fingerprint == self.mark for one in self.given
        )

    def asks(self, person: User) -> bool:
        """Whether this person's approval would bring a waiting request on."""
        if self.needs_last_word:
            return person.pk in self.asked
        now = self.progress_now()
        return rules.advances(now.stages, sorted(now.people), person.pk)

    def after(self, decision: Decision) -> "Standing":
        """How things stand once this decision is stored."""
        if decision.verdict != Decision.Verdict.APPROVED or decision.again:
            return self
        return replace(self, given=(*self.given, decision))


def standing(request: AccessRequest) -> Standing:
    """How things stand with a request."""
    return Standing(request, stages(request), tuple(_approvals(request)))


def standings(requests: Sequence[AccessRequest]) -> list[Standing]:
    """The same for some, in two queries for any number. They come with what their plans depend on
    (`for_decision`), with `extends`, and with `decisions__approver`."""
    now = stages_of({one.offer_id for one in requests})
    return [
        Standing(one, _stages(one, now.get(one.offer_id, ())), _approvals_as_loaded(one))
        for one in requests
    ]


def _approvals_as_loaded(request: AccessRequest) -> tuple[Decision, ...]:
    said = sorted(request.decisions.all(), key=lambda one: one.pk)
    return tuple(one for one in said if one.verdict == Decision.Verdict.APPROVED and not one.again)


def partly_approved(*, after: int, limit: int) -> list[Standing]:
    """How things stand with waiting requests that somebody has approved, by key: of all others
    the first stage is asked, whatever becomes of their offers."""
    said = Decision.objects.filter(request=OuterRef("pk"), verdict=Decision.Verdict.APPROVED)
    found = AccessRequest.objects.waiting().filter(Exists(said), pk__gt=after).for_decision()
    found = found.select_related("extends").prefetch_related("decisions__approver")
    return standings(list(found.order_by("pk")[:limit]))


def _approvals(request: AccessRequest) -> list[Decision]:
    given = Decision.objects.filter(request=request, verdict=Decision.Verdict.APPROVED, again=False)
    return list(given.select_related("approver").order_by("pk"))


def asked_now(request: AccessRequest) -> frozenset[int]:
    """Keys of the people whose approval would bring a waiting request on: who is to be told."""
    return standing(request).asked


@dataclass(frozen=True)
class StageTally:
    """One stage as a page shows it."""

    name: str
    quorum: int
    counted: Sequence[Decision]
    is_open: bool
    """Whether this stage is asked now."""

    @property
    def missing(self) -> int:
        """How many more people must approve in it."""
        return max(0, self.quorum - len(self.counted))


@dataclass(frozen=True)
class Tally:
    """Approvals as a page shows them."""

    counted: Sequence[Decision]
    void: Sequence[Decision]
    """Of a plan that has changed since, by people whose approval of the new one is not there."""
    needed: int
    stages: Sequence[StageTally] = ()
    """While the request waits; afterwards each decision says in which stage it was."""
    needs_last_word: bool = False
    """Whether they are enough and the request waits all the same (`Standing.needs_last_word`)."""
    uncounted: Sequence[Decision] = ()
    """Of this very plan, while the request waits: by people who may not approve it at present, or
    where enough others did."""

    @property
    def words(self) -> str:
        """`1 of 2 approvals`."""
        return f"{len(self.counted)} of {self.needed} approval{'s' if self.needed != 1 else ''}"

    @property
    def missing(self) -> int:
        """How many more people must approve."""
        return max(0, self.needed - len(self.counted))

    @property
    def open_stage(self) -> StageTally | None:
        """The stage that is asked now."""
        return next((one for one in self.stages if one.is_open), None)


def tally(request: AccessRequest, fingerprint: str) -> Tally:
    """Who has approved the plan with this fingerprint, and who another one."""
    if request.state == RequestState.APPROVED:
        # What was decided stays as it was, whatever became of its approvers and of the offer.
        every = _approvals(request)
        given = [one for one in every if one.fingerprint == fingerprint]
        return Tally(given, _others(every, given), len(given))
    return tally_of(standing(request), fingerprint)


def tally_of(standing: Standing, fingerprint: str) -> Tally:
    """The same of a request that waits."""
    request, every, given = standing.request, standing.given, standing.of(fingerprint)
    met, last_word = standing.progress(fingerprint), standing.needs_last_word
    open_at = len(met.stages) - 1 if last_word else met.open_at
    counted = [one for one in given if one.approver_id in met.people]
    by_stage = [
        StageTally(
            stage.name,
            stage.quorum,
            [one for one in counted if one.approver_id in people],
            at == open_at and request.state == RequestState.PENDING,
        )
        for at, (stage, people) in enumerate(zip(met.stages, met.counted, strict=True))
    ]
    others = _others(every, counted)
    void = [one for one in others if one.fingerprint != fingerprint]
    uncounted = [one for one in others if one.fingerprint == fingerprint]
    return Tally(counted, void, rules.needed(met.stages), by_stage, last_word, uncounted)


def _others(every: Sequence[Decision], counted: Sequence[Decision]) -> list[Decision]:
    people = {one.approver_id for one in counted}
    return [one for one in every if one.approver_id not in people]


def lost_since(grant: Grant) -> str:
    """Why a grant no longer rests on what people decided, in words; empty when it does. What a rule
    approved is asked of `rules.lost_since`."""
    request = grant.rests_on
    if request.taken is not None:
        return _lost_in_emergency(request, request.taken)
    given = [one for one in _approvals(request) if one.fingerprint == grant.fingerprint]
    if any(not one.approver.is_active for one in given):
        return "The requester or the approver has been switched off since the decision."
    needs = stages(request)
    people = {one.approver_id for one in given}
    if not people or not people <= {one for stage in needs for one in stage.people}:
        return "The approver no longer is an approver of this offer."
    if not rules.progress(needs, people).is_complete:
        return "The offer asks for more approvals by now; those that were given are not enough."
    return ""


def _lost_in_emergency(request: AccessRequest, taken: BreakGlass) -> str:
    """Why what was taken in an emergency may not be given any more: nobody approved it, so the
    offer must allow it to this person at this very moment."""
    now = Offer.objects.breakable_by(request.requester).filter(pk=request.offer_id).first()
    if now is None or now.break_glass_group_id != taken.group_id:
        return "The offer no longer lets the requester take this access in an emergency."
    if now.break_glass_longest is None or request.lasts > now.break_glass_longest:
        return "The offer allows less time in an emergency by now."
    return ""
