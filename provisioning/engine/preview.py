"""Trying the plan of a request before an approver is bothered: reads only, in both accounts.

What is read is listed in `provisioning.aws.preflight`, what follows from it in
`provisioning.core.preflight`. A look that AWS refuses gives findings; only one that AWS does not
answer is tried again.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

from accounts.models import AccountPair, AwsAccount, ConnectionCheck
from audit.clock import database_now
from provisioning import lifecycle
from provisioning.aws import preflight as reading
from provisioning.aws.errors import AwsError, Kind
from provisioning.core import plan, preflight, states
from provisioning.core.plan import ForeignObject, Found, GrantSpec
from provisioning.core.preflight import Facts, Finding, NotSeen, SourceFacts, TargetFacts
from provisioning.core.steps import PlanStep
from provisioning.engine import pacing
from provisioning.engine.entry import THREADS, look_into_source, look_into_target
from provisioning.engine.failures import in_words
from provisioning.models import AccessRequest
from provisioning.specs import account_ref, spec_for_grant, spec_for_request

CALLS: Final = 10
"""About what a look takes in each account."""


def preview(request_id: int) -> None:
    """Try the plan of a request if somebody wants to know, and store what was found."""
    request = AccessRequest.objects.with_parties().filter(pk=request_id).first()
    if request is None or request.state != states.RequestState.PENDING:
        return
    now = database_now()
    pair = request.offer.pair
    room = pacing.has_room(pair.source, CALLS) and pacing.has_room(pair.target, CALLS)
    if room and request.look_is_due(now):
        look(request, now)


def look(request: AccessRequest, now: datetime) -> None:
    """Look into both accounts, and store the steps and findings. Changes nothing in AWS."""
    wanted = spec_for_request(request)
    # The group is looked at too, however ready it is: this is the moment to find out.
    spec = replace(wanted, group_is_ready=False)
    seen = _look_at_both(request.offer.pair, spec, now)
    problems = [one for one in seen if isinstance(one, NotSeen)]
    passing = [one.problem for one in problems if one.passing]
    if passing:
        lifecycle.note_failed_look(request, " ".join(passing), now)
        return
    steps, foreign = _plan(spec, *seen, now)
    facts = Facts(*seen, checks=last_checks(request.offer.pair), foreign=foreign)
    found = preflight.findings(spec, facts, now)
    result: dict[str, object] = {
        "fingerprint": plan.fingerprint(wanted),
        "steps": describe(steps),
        "problem": " ".join(one.problem for one in problems),
        "findings": in_data(found),
    }
    lifecycle.note_preview(request, result, now)


def _look_at_both(
    pair: AccountPair, spec: GrantSpec, now: datetime
) -> tuple[SourceFacts | NotSeen, TargetFacts | NotSeen]:
    """Both accounts at once. The threads get values and give values: no database in them."""
    wanted = plan.desired(spec, now)

    def source() -> SourceFacts:
        with look_into_source(pair, spec) as session:
            return reading.look_at_source(session.iam(), spec, wanted, pool)

    def target() -> TargetFacts:
        with look_into_target(pair, spec) as session:
            return reading.look_at_target(session.iam(), spec, wanted, pool)

    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        one, other = pool.submit(_or_not_seen, source), pool.submit(_or_not_seen, target)
        return one.result(), other.result()


def _or_not_seen[T](read: Callable[[], T]) -> T | NotSeen:
    try:
        return read()
    except AwsError as error:
        return NotSeen(in_words(error), passing=error.kind is Kind.TRANSIENT)


def _plan(
    spec: GrantSpec, source: SourceFacts | NotSeen, target: TargetFacts | NotSeen, now: datetime
) -> tuple[Sequence[PlanStep], str]:
    """The steps from what was seen, and what of somebody else's is in the way."""
    if isinstance(source, NotSeen) or isinstance(target, NotSeen):
        return (), ""
    found = Found(
        group=source.group, member=source.member, role=target.role, user_id=source.user_id
    )
    try:
        return plan.plan(plan.desired(spec, now), found), ""
    except ForeignObject as error:
        return (), str(error)


def last_checks(pair: AccountPair) -> tuple[preflight.LastCheck, ...]:
    """The newest finished connection check of each account of a pair."""
    return tuple(_last_check(account) for account in (pair.source, pair.target))


def _last_check(account: AwsAccount) -> preflight.LastCheck:
    done = ConnectionCheck.objects.filter(account=account, finished_at__isnull=False).first()
    ref = account_ref(account)
    if done is None:
        return preflight.LastCheck(ref)
    return preflight.LastCheck(ref, passed=done.passed, at=done.finished_at)


def in_data(found: Iterable[Finding]) -> list[dict[str, str]]:
    """Findings as rows, pages and `manage.py plan --json` have them."""
    return [asdict(one) | {"level": one.level.value} for one in found]


def static_obstacles(request: AccessRequest) -> list[str]:
    """Why a request could never be set up, as far as that is known without asking AWS. It need
    not be stored yet."""
    return [_said(one) for one in _static(spec_for_request(request))]


def _static(spec: GrantSpec) -> list[dict[str, str]]:
    return in_data(preflight.blocking(preflight.static_findings(spec)))


def obstacles(request: AccessRequest, spec: GrantSpec | None = None) -> list[str]:
    """Why a request cannot be approved now: what the newest look found, and what follows from the
    registry as it is at this moment. Each with what to do. `spec` spares reading that again."""
    spec = spec or spec_for_request(request)
    seen = {one["key"]: one for one in (*_static(spec), *request.obstacles)}
    return [_said(one) for one in seen.values()]


def _said(finding: dict[str, str]) -> str:
    who = f" Who can do that: {finding['who']}." if finding["who"] else ""
    return f"{finding['sentence']} {finding['mend']}{who}".strip()


def unseen_steps(request: AccessRequest, now: datetime) -> list[dict[str, Any]]:
    """What a page shows until a worker has looked: the steps as if nothing existed; for an
    extension, as if the access that it extends were in AWS as approved."""
    found = plan.NOTHING
    if request.extends is not None:
        present = plan.desired(spec_for_grant(request.extends), request.asked_at)
        found = plan.made(present, request.extends.iam_user_id)
    return describe(plan.plan(plan.desired(spec_for_request(request), now), found))


def describe(steps: Sequence[PlanStep]) -> list[dict[str, Any]]:
    """Steps as data for pages, `manage.py plan --json` and events."""
    return [
        {
            "side": step.side.value,
            "call": step.call,
            "sentence": step.sentence,
            "gives": step.gives,
            "documents": list(step.documents),
        }
        for step in steps
    ]
