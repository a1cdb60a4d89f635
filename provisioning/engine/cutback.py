"""Taking away what a scan found and nobody approved, after a look with fresh eyes.

Nothing here can give access: sessions and steps only remove (I12).
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from django.conf import settings
from django.db import transaction

from accounts.models import AccountPair, AwsAccount
from audit.clock import database_now
from audit.models import append
from provisioning import lifecycle
from provisioning.aws import iam
from provisioning.aws.errors import AwsError
from provisioning.core import documents, naming, plan
from provisioning.core.drift import UNIQUE_ID, Kind, Thing
from provisioning.core.plan import ForeignObject, Found, FoundRole, Wanted
from provisioning.core.steps import PlanStep, RemoveUserFromGroup
from provisioning.engine import drift, pacing
from provisioning.engine.entry import enter_to_cut_back, enter_to_remove
from provisioning.engine.failures import in_words, not_converging
from provisioning.models import DriftFinding, Grant
from provisioning.specs import group_spec

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

log = structlog.get_logger(__name__)

CALLS: Final = 12
PASSES: Final = 4
RETRY: Final = timedelta(minutes=2)
"""When another worker takes up what one has begun and not finished."""
NOT_ANY_MORE: Final = "Looked at again: there is nothing left to take away."


def act(finding_id: int) -> None:
    """Do what a finding asks for, unless it is done or another worker is at it."""
    now = database_now()
    mine = DriftFinding.objects.open().filter(pk=finding_id, act_at__lte=now)
    finding = mine.select_related("account").first()
    if finding is None or not pacing.has_room(finding.account, CALLS):
        return
    if mine.update(act_at=now + RETRY) != 1:
        return
    try:
        steps = _work_of(finding)(finding)
    except (AwsError, ForeignObject) as error:
        log.warning("cut_back_failed", finding=str(finding), error=str(error))
        DriftFinding.objects.filter(pk=finding.pk).update(done=f"Not done: {in_words(error)}")
        return
    _record(finding, steps)


def _work_of(finding: DriftFinding) -> Callable[[DriftFinding], list[PlanStep]]:
    if finding.kind == Kind.ORPHAN:
        return _remove_orphan
    return _narrow_group if finding.thing == Thing.GROUP else _remove_member


def _record(finding: DriftFinding, steps: list[PlanStep]) -> None:
    """The finding is settled; the event tells what was done in AWS, if anything was."""
    words = " ".join(step.sentence for step in steps) or NOT_ANY_MORE
    with transaction.atomic():
        DriftFinding.objects.filter(pk=finding.pk).update(
            done=words, act_at=None, resolved_at=database_now()
        )
        if steps:
            append(
                kind=f"drift:{finding.kind}:removed",
                actor=lifecycle.WORKER,
                subject=finding.account.subject,
                sentence=f"What nobody approved was taken away: {finding.thing} {finding.name}."[
                    :500
                ],
                reason=finding.summary,
                data={"steps": [{"call": one.call, "sentence": one.sentence} for one in steps]},
            )


# --- Switch groups ---------------------------------------------------------------------------


def _narrow_group(finding: DriftFinding) -> list[PlanStep]:
    """Take from a switch group what no admin registered."""
    done: list[PlanStep] = []
    with enter_to_cut_back(finding.account, finding.name) as session:
        for _ in range(PASSES):
            pair = _pair(finding.account, finding.name)
            if pair is None or pair.state != "ready":
                # An admin is changing it: the next scan compares what comes of that.
                return done
            spec = group_spec(pair)
            found = iam.find_group(session.client, spec.name)
            steps = plan.without_a_person(plan.plan_group(spec, found)) if found else ()
            if not steps:
                return done
            for step in steps:
                iam.apply(session.client, step)
                done.append(step)
    raise not_converging()


def _pair(account: AwsAccount, group: str) -> AccountPair | None:
    pairs = AccountPair.objects.filter(source=account, switch_group__iexact=group)
    return pairs.select_related("source").order_by("next_check_at").first()


def _remove_member(finding: DriftFinding) -> list[PlanStep]:
    """Take a user out of a switch group whom no live access needs there."""
    group, _, user = finding.name.partition("/")
    step = RemoveUserFromGroup(group=group, user=user)
    with enter_to_cut_back(finding.account, group) as session:
        found = iam.find_group(session.client, group)
        if found is None or found.path != naming.PATH:
            return []
        # Asked last: access that is being given right now has a row before it has a membership.
        needing = drift.memberships(finding.account).filter(
            request__offer__pair__switch_group__iexact=group,
            iam_user_id=finding.in_aws.get(UNIQUE_ID, ""),
        )
        if needing.exists():
            return []
        iam.apply(session.client, step)
        # Whoever was approved in this very moment may have lost what was just made for them.
        lifecycle.look_again(needing.values_list("pk", flat=True), database_now())
    return [step]


# --- Roles that nobody answers for -----------------------------------------------------------


def _remove_orphan(finding: DriftFinding) -> list[PlanStep]:
    """Lock an orphan, empty it, delete it. Each look and each step asks anew whose it is."""
    done: list[PlanStep] = []
    with enter_to_remove(finding.account, finding.name) as session:
        for _ in range(PASSES):
            role = iam.find_role(session.client, finding.name)
            if role is None or not _is_orphan(finding, role):
                return done
            _remove(session.client, finding, role, done)
    raise not_converging()


def _remove(
    client: "IAMClient", finding: DriftFinding, role: FoundRole, done: list[PlanStep]
) -> None:
    for step in plan.plan(_nothing_wanted(finding), Found(role=role)):
        if _has_owner(finding):
            return
        iam.apply(client, step)
        done.append(step)


def _is_orphan(finding: DriftFinding, role: FoundRole) -> bool:
    """Whether path and tag say that this portal made it, and no row answers for it: asked last,
    because a row is there before anything is made."""
    ours = role.path == naming.PATH and role.tags.get(naming.TAG_PORTAL) == settings.PORTAL_ID
    return ours and not _has_owner(finding)


def _has_owner(finding: DriftFinding) -> bool:
    code = finding.name.rpartition("-")[2]
    rows = Grant.objects.live().select_related("profile_version", "identity").filter(code=code)
    return any(one.role_name.lower() == finding.name.lower() for one in rows)


def _nothing_wanted(finding: DriftFinding) -> Wanted:
    portal = {naming.TAG_PORTAL: settings.PORTAL_ID}
    return Wanted(
        user="",
        group_name="",
        role_name=finding.name,
        owner_tags=portal,
        boundary_arn=finding.account.boundary_arn,
        denies=(documents.deny_all(),),
        group=None,
        role=None,
        member=True,
    )
