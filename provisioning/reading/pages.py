"""What pages show of requests and grants: values made from rows, without HTML."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypedDict
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count

from accounts import stages as stage_rules
from accounts.aws_names import Partition
from accounts.durations import in_words
from accounts.models import AwsAccount, Offer, ProfileVersion, User
from provisioning import authz
from provisioning.approvals import Standing
from provisioning.core import console, delta, plan, preflight
from provisioning.core.preflight import Level
from provisioning.core.states import Phase, RequestState
from provisioning.engine.preview import in_data, obstacles, unseen_steps
from provisioning.models import AccessRequest, Grant
from provisioning.specs import spec_for_request


@dataclass(frozen=True)
class Access:
    """One grant as its holder sees it: where it leads, how long, and the way in."""

    grant: Grant
    account: AwsAccount
    source: AwsAccount
    link: console.SwitchRole
    sign_in_url: str
    phase: Phase
    usable: bool
    extendable: bool
    """Whether the clock allows more time to be asked for; the form knows what else speaks
    against it."""
    more: Sequence[tuple[int, str]]
    """Minutes that can be added, and in words, for the buttons beside the countdown."""
    ends_soon: bool

    @property
    def tone(self) -> str:
        """Colour of the profile, the same as in the console."""
        return self.link.colour


def console_link(grant: Grant) -> console.SwitchRole:
    """What the console's Switch Role form is filled with for a grant."""
    target = grant.request.offer.pair.target
    return console.SwitchRole(
        partition=target.partition,
        account_id=target.account_id,
        role_name=grant.role_name,
        display_name=f"{grant.profile_version.role_name} @ {target.name}",
        colour=grant.profile_version.profile.tone,
    )


def access(grant: Grant, now: datetime) -> Access:
    """A grant as a card. The Switch role link itself is made when it is opened (authz.can_use)."""
    pair = grant.request.offer.pair
    return Access(
        grant=grant,
        account=pair.target,
        source=pair.source,
        link=console_link(grant),
        sign_in_url=console.sign_in_url(
            partition=Partition(pair.source.partition).value,
            account_id=pair.source.account_id,
            base=settings.SANDBOX_CONSOLE_BASE,
        ),
        phase=grant.phase_at(now),
        usable=grant.usable_at(now),
        extendable=(extendable := not any(authz.too_late_to_extend(grant, now))),
        more=_more(grant, now) if extendable else (),
        ends_soon=grant.ends_soon(now),
    )


def _more(grant: Grant, now: datetime) -> list[tuple[int, str]]:
    longest = authz.longest_extension(grant, now)
    return [(one, in_words(one)) for one in MORE if timedelta(minutes=one) <= longest]


MORE = (15, 30, 60)
"""Minutes offered beside the countdown, as far as the offer allows; the form takes any other."""


class Moment(TypedDict):
    """A time for `includes/time.html`'s short style, written once."""

    iso: str
    words: str


class GrantLine(TypedDict):
    """One grant in the list of everybody's. Plain words, all made here: a list of fifty has a
    thousand of them, and a template's own tags and filters would take most of the page's time."""

    url: str
    person: str
    source: str
    source_id: str
    target: str
    target_id: str
    role: str
    starts: Moment
    ends: Moment
    extended_to: Moment | None
    phase: str
    phase_label: str
    attention: bool
    error: str
    revocable: bool
    repairable: bool


def moment(at: datetime) -> Moment:
    """As the `date` filter writes it, in a fiftieth of the time."""
    return {"iso": at.isoformat(), "words": f"{at.day} {at:%b, %H:%M} UTC"}


def grant_line(grant: Grant, person: User, now: datetime) -> GrantLine:
    """A grant of `listing.with_names` as a line of the list that this person reads."""
    ended = grant.ended_at if grant.phase == Phase.ENDED else None
    phase = grant.phase_at(now).value
    pair = grant.request.offer.pair
    return {
        "url": grant.get_absolute_url(),
        "person": grant.requester.label,
        "source": pair.source.name,
        "source_id": pair.source.account_id,
        "target": pair.target.name,
        "target_id": pair.target.account_id,
        "role": grant.role_name,
        "starts": moment(grant.starts_at),
        "ends": moment(ended or grant.enforced_until),
        "extended_to": moment(grant.ends_at) if grant.is_extending and not ended else None,
        "phase": phase,
        "phase_label": phase.capitalize(),
        "attention": grant.needs_attention,
        "error": grant.last_error,
        # Approvers revoke from the request's page: asking for each row would cost a query each.
        "revocable": authz.may_revoke_any(person, grant),
        "repairable": authz.may_repair_any(person, grant, now),
    }


def switch_role_url(grant: Grant) -> str:
    """The link into the console, or to what stands for it in the sandbox."""
    return console.switch_role_url(console_link(grant), base=settings.SANDBOX_CONSOLE_BASE)


@dataclass(frozen=True)
class Stage:
    """Where a request and its grant stand: the badge, and whether the page should look again."""

    name: str
    settled: bool
    problem: str = ""


def stage(request: AccessRequest, grant: Grant | None, now: datetime) -> Stage:
    """One word for a request from the question to the end."""
    if grant is None:
        waiting = request.state == RequestState.PENDING
        return Stage(request.state, settled=not waiting and not is_being_given(request))
    phase = grant.phase_at(now)
    name = "attention" if grant.needs_attention else phase.value
    return Stage(name, settled=phase is Phase.ENDED, problem=grant.last_error)


def grant_of(request: AccessRequest) -> Grant | None:
    """The grant that followed from a request, if any."""
    return getattr(request, "grant", None)


def is_being_given(request: AccessRequest) -> bool:
    """Whether this is an approved extension whose end AWS has not confirmed yet."""
    grant = request.extends
    return grant is not None and grant.is_extending and grant.authority_id == request.pk


def _was_given(request: AccessRequest) -> bool:
    """Whether AWS ended, or ends, the access no earlier than this approved extension asks."""
    grant = request.extends
    return grant is not None and bool(
        request.extends_until and grant.enforced_until >= request.extends_until
    )


def _progress_of_extension(request: AccessRequest) -> list[dict[str, str]]:
    """The road of a request for more time: it ends where AWS has the later end."""
    decided = request.state == RequestState.APPROVED
    given, under_way = _was_given(request), is_being_given(request)
    never = decided and not given and not under_way
    return [
        _step("Requested", "done"),
        _approval(is_given=decided),
        _step("Set up in AWS", "failed" if never else _reached(decided and given, under_way)),
    ]


def progress(request: AccessRequest, grant: Grant | None, now: datetime) -> list[dict[str, str]]:
    """The road from the question to the end, as steps with a state each."""
    phase = grant.phase_at(now) if grant else None
    refused = request.state in {
        RequestState.REJECTED,
        RequestState.CANCELLED,
        RequestState.EXPIRED,
    }
    if refused:
        return [_step("Requested", "done"), _step(request.state.capitalize(), "failed")]
    if request.extends is not None:
        return _progress_of_extension(request)
    seen = phase in {Phase.ACTIVE, Phase.ENDING, Phase.ENDED}
    never = phase in {Phase.ENDING, Phase.ENDED} and grant is not None and not grant.settled_at
    return [
        *(
            [_step("Taken in an emergency", "done")]
            if request.taken
            else [
                _step("Requested", "done"),
                _approval(is_given=grant is not None),
            ]
        ),
        *([_step("Scheduled", _waits(phase))] if request.begins_at and grant else []),
        _step("Set up in AWS", "failed" if never else _reached(seen, phase is Phase.PENDING)),
        _step("Active", "todo" if never else _reached(_was_active(phase), phase is Phase.ACTIVE)),
        _step("Ended", _reached(phase is Phase.ENDED, phase is Phase.ENDING)),
    ]


def _waits(phase: Phase | None) -> str:
    return "current" if phase is Phase.SCHEDULED else "done"


def _was_active(phase: Phase | None) -> bool:
    return phase in {Phase.ENDING, Phase.ENDED}


def _reached(done: bool, current: bool) -> str:
    return "done" if done else "current" if current else "todo"


def _approval(*, is_given: bool) -> dict[str, str]:
    """What nobody has approved yet is not to read as if somebody had."""
    return _step("Approved", "done") if is_given else _step("Approval", "current")


def _step(label: str, state: str) -> dict[str, str]:
    return {"label": label, "state": state}


@dataclass(frozen=True)
class PlanView:
    """The plan as its approver sees it, with what pre-flight found, and the fingerprint that the
    decision is bound to."""

    steps: Sequence[dict[str, Any]]
    fingerprint: str
    observed_at: datetime | None
    problem: str
    findings: Sequence[dict[str, str]]
    looking: bool
    """Whether a worker is looking, or is about to."""
    tried: bool
    """Whether the steps come from both accounts as they were; else as if nothing existed."""
    mark: str
    """Changes with every look: a page that knows it is sent nothing that it shows already."""

    @property
    def gives(self) -> int:
        """How many steps add access."""
        return sum(step["gives"] for step in self.steps)

    @property
    def open_findings(self) -> list[dict[str, str]]:
        """Findings that somebody should read, blocking ones first."""
        return [one for one in self.findings if one["level"] != Level.OK]

    @property
    def good_findings(self) -> list[dict[str, str]]:
        """What was looked at and is fine."""
        return [one for one in self.findings if one["level"] == Level.OK]

    @property
    def level(self) -> str:
        """The heaviest of the findings; `unknown` before any look."""
        if self.observed_at is None and not self.blocks:
            return Level.UNKNOWN.value
        return min((Level(one["level"]) for one in self.findings), key=_RANK.index).value

    @property
    def blocks(self) -> bool:
        """Whether something stands in the way of an approval."""
        return any(one["level"] == Level.BLOCKS for one in self.findings)


_RANK = list(Level)


def plan_view(request: AccessRequest, now: datetime) -> PlanView:
    """The plan as a worker tried it; as if nothing existed yet, until one has."""
    spec = spec_for_request(request)
    preview = request.preview or {}
    steps = preview.get("steps") or unseen_steps(request, now)
    looking = request.state == RequestState.PENDING and request.look_is_due(now)
    return PlanView(
        steps=steps,
        fingerprint=plan.fingerprint(spec),
        observed_at=request.previewed_at,
        problem=preview.get("problem", ""),
        findings=preview.get("findings") or in_data(preflight.static_findings(spec)),
        looking=looking,
        tried=bool(preview.get("steps")),
        mark=_mark(request, looking=looking),
    )


def _mark(request: AccessRequest, *, looking: bool) -> str:
    if request.state != RequestState.PENDING:
        return ""
    seen = request.previewed_at.timestamp() if request.previewed_at else 0
    return f"{seen}-{request.looks_failed}-{looking:d}"


@dataclass(frozen=True)
class StageView:
    """One approval stage before somebody asks: how many of whom."""

    name: str
    quorum: int
    people: Sequence[User]


MOST_ADMINS: Final = 3
"""Names to begin with, not everybody."""


def admins_to_ask(person: User, answers: Iterable[authz.Answer]) -> list[User]:
    """Admins whom a person can talk to, where they are told that they may not do something."""
    if all(answer.allowed for answer in answers):
        return []
    admins = User.objects.filter(role=User.Role.ADMIN, is_active=True).exclude(pk=person.pk)
    return list(admins.order_by("first_name", "last_name", "username")[:MOST_ADMINS])


def who_approves(stages: Sequence[stage_rules.Stage], person: User) -> list[StageView]:
    """The stages of an offer with everybody in them who could decide on this person's request."""
    keys = {key for stage in stages for key in stage.people} - {person.pk}
    people = User.objects.in_bulk(keys)
    by_name = sorted(people.values(), key=lambda one: one.label.lower())
    return [
        StageView(one.name, one.quorum, [who for who in by_name if who.pk in one.people])
        for one in stages
    ]


def ask_again_query(asked: AccessRequest, grant: Grant | None) -> str:
    """What fills the request form in as this request was, once it is over: one click asks again."""
    goes_on = grant is not None and not grant.is_over
    if asked.state == RequestState.PENDING or asked.extends_id or goes_on:
        return ""
    known = {
        "duration": in_words(int(asked.duration.total_seconds() // 60)),
        "reason": asked.reason,
        "ticket": asked.ticket,
    }
    return urlencode({name: text for name, text in known.items() if text})


def findings_before_asking(person: User, offer: Offer) -> list[dict[str, str]]:
    """What stands in the way of an offer for this person, or nearly does, without asking AWS."""
    identity = authz.identity_for(person, offer)
    if identity is None:
        return []
    request = AccessRequest(
        requester=person,
        identity=identity,
        offer=offer,
        profile_version=offer.profile.current,
        duration=offer.max_duration,
    )
    found = preflight.static_findings(spec_for_request(request))
    return in_data(one for one in found if one.level is not Level.OK)


@dataclass(frozen=True)
class Person:
    """Who asks, for whoever decides: what they hold, what this adds, and how it went before."""

    held: Sequence[Grant]
    """Their other live access, in all accounts."""
    adds: delta.Delta | None
    """None for more time on access that they have: it adds nothing but time."""
    earlier: Sequence[AccessRequest]
    """Their last requests for the same offer."""
    states: dict[str, int]
    """How many of their earlier requests, for any offer, ended how."""


EARLIER = 5
"""Requests of the same person and offer that the page lists."""


def about_requester(request: AccessRequest) -> Person:
    """What an approver should know of who asks; four queries, whatever they hold."""
    mine = Grant.objects.held_by(request.requester).with_parties().live()
    held = [one for one in mine.order_by("ends_at") if one.code != request.code]
    others = AccessRequest.objects.filter(requester=request.requester).exclude(pk=request.pk)
    counted = others.exclude(state=RequestState.PENDING).order_by().values_list("state")
    asked = _held(request.profile_version, request.offer.pair.target)
    return Person(
        held=held,
        adds=None if request.extends_id else delta.difference(asked, [_as_held(o) for o in held]),
        earlier=list(others.filter(offer=request.offer).order_by("-id")[:EARLIER]),
        states=dict(counted.annotate(Count("pk"))),
    )


def _as_held(grant: Grant) -> delta.Held:
    held = _held(grant.profile_version, grant.request.offer.pair.target)
    return replace(held, until=grant.ends_at, code=grant.code)


def _held(version: ProfileVersion, account: AwsAccount) -> delta.Held:
    return delta.Held(
        account_id=account.account_id,
        account_name=account.name,
        role=version.role_name,
        policies=frozenset(version.managed_policies),
        statements=version.inline_policy is not None,
        risks=tuple(one.sentence for one in version.report.risky),
    )


@dataclass(frozen=True)
class Doors:
    """What a person may do on a request's page. Each answer carries its reasons."""

    decide: authz.Answer
    approve: authz.Answer
    stopped: authz.Answer
    terms: authz.Answer
    comment: authz.Answer
    review: authz.Answer
    look: authz.Answer
    cancel: authz.Answer
    revoke: authz.Answer
    repair: authz.Answer
    use: authz.Answer
    is_requester: bool


NOT_TAKEN = authz.Answer(("Nobody took this in an emergency.",))
NOT_GRANTED = authz.Answer(("There is no access yet.",))


def doors(
    person: User,
    request: AccessRequest,
    grant: Grant | None,
    now: datetime,
    *,
    standing: Standing | None = None,
) -> Doors:
    """Ask authz everything that the page shows a button for. `standing` spares reading what was
    approved so far."""
    decide = authz.can_decide(person, request, now, standing=standing)
    stopped = authz.not_stopped(request.requester, request.offer.pair)
    obstructed = authz.Answer((*stopped.reasons, *obstacles(request)))
    return Doors(
        decide=decide,
        approve=obstructed if decide.allowed else decide,
        stopped=stopped,
        terms=authz.can_change_terms(person, request, now, standing=standing)
        if decide.allowed
        else decide,
        comment=authz.can_comment(person, request),
        review=authz.can_review(person, request, now) if request.taken else NOT_TAKEN,
        look=authz.can_look_again(person, request),
        cancel=authz.can_cancel(person, request),
        revoke=authz.can_revoke(person, grant) if grant else NOT_GRANTED,
        repair=authz.can_repair(person, grant, now) if grant else NOT_GRANTED,
        use=authz.can_use(person, grant, now) if grant else NOT_GRANTED,
        is_requester=person.pk == request.requester_id,
    )
