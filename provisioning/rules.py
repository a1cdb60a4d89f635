"""From rows to the rules that hold for a request: the offer's automatic rule, and the trace.

What follows from them is decided in `core.autoapproval` and told by `core.trace`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.models import Group
from django.db.models import Exists, OuterRef

from accounts import stages as stage_rules
from accounts.models import LONGEST_GRANT, Offer, people_demanded_by
from accounts.stages import Stage
from provisioning import approvals
from provisioning.core import autoapproval
from provisioning.core import trace as tracing
from provisioning.core.autoapproval import Case, Hours, Rule
from provisioning.core.trace import Facts, RuleFacts, StageFacts
from provisioning.models import AccessRequest, Grant


def rule_of(offer: Offer) -> Rule | None:
    """The automatic rule of an offer, if it has one."""
    if not offer.auto_approve or offer.auto_longest is None:
        return None
    return Rule(
        longest=offer.auto_longest,
        group=offer.auto_group.name if offer.auto_group else "",
        hours=_hours(offer),
    )


def _hours(offer: Offer) -> Hours | None:
    if not offer.auto_zone or offer.auto_from is None or offer.auto_until is None:
        return None
    return Hours(
        zone=ZoneInfo(offer.auto_zone),
        zone_name=offer.auto_zone,
        days=frozenset(int(one) for one in offer.auto_days),
        opens=offer.auto_from,
        closes=offer.auto_until,
    )


def objections(
    request: AccessRequest, now: datetime, *, stages: Sequence[Stage] | None = None
) -> tuple[str, ...]:
    """Why the offer's rule does not decide on a request at `now`, its look aside. `stages` spares
    reading what the request must meet."""
    rule = rule_of(request.offer)
    if rule is None:
        return ("The offer has no rule.",)
    return autoapproval.objections(
        rule, _case(request, now, approvals.stages(request) if stages is None else stages)
    )


def lost_since(grant: Grant) -> str:
    """Why a grant no longer rests on its decision, in words; empty when it does."""
    decided = grant.rests_on.decided_by_rule
    if decided is None:
        return approvals.lost_since(grant)
    # No person stands for it, so nobody can have lost a right. But the offer may have changed, and
    # the requester may have left the group that its rule is for. Hours are those of the decision.
    if objections(grant.rests_on, decided.decided_at):
        return "The rule that approved this does not hold any more."
    return ""


def _case(request: AccessRequest, now: datetime, stages: Sequence[Stage]) -> Case:
    group = request.offer.auto_group_id
    return Case(
        sensitivity=request.offer.sensitivity,
        approvals_needed=stage_rules.needed(stages),
        is_risky=people_demanded_by(request.profile_version.report) > 1,
        is_extension=request.extends_id is not None,
        duration=request.lasts,
        in_group=group is None or request.requester.groups.filter(pk=group).exists(),
        decided_at=now,
        starts_at=request.begins_at or now,
    )


# --- The trace -------------------------------------------------------------------------------


def trace(
    request: AccessRequest,
    now: datetime,
    *,
    stages: Sequence[Stage] | None = None,
    said: str = "",
    by_rule: bool = False,
) -> list[dict[str, Any]]:
    """Which rules hold for a request at `now`, as it is stored. It need not be stored itself yet.

    `said` is the decision that it is stored with; `by_rule`: the rule made it. `stages` spares
    reading what the request must meet.
    """
    return tracing.in_data(tracing.trace(_facts(request, now, stages, said, by_rule)))


def _facts(
    request: AccessRequest,
    now: datetime,
    stages: Sequence[Stage] | None,
    said: str,
    by_rule: bool,
) -> Facts:
    offer, person = request.offer, request.requester
    stages = approvals.stages(request) if stages is None else stages
    theirs = Exists(person.groups.filter(pk=OuterRef("pk")))
    may_ask = list(offer.eligible_groups.order_by("name").annotate(is_theirs=theirs))
    has_rule = rule_of(offer) is not None
    return Facts(
        requester=person.label,
        by_name=offer.eligible_users.filter(pk=person.pk).exists(),
        groups=_names(one for one in may_ask if one.is_theirs),
        other_groups=_names(one for one in may_ask if not one.is_theirs),
        duration=request.lasts,
        longest=offer.max_duration,
        own_limit=LONGEST_GRANT,
        ticket=request.ticket,
        ticket_required=offer.ticket_required,
        ticket_pattern=offer.ticket_pattern,
        stages=_stages(request, stages),
        risk=request.profile_version.report.risk.words,
        by_risk=people_demanded_by(request.profile_version.report),
        rule=RuleFacts(
            exists=has_rule,
            objections=objections(request, now, stages=stages) if has_rule and not by_rule else (),
            has_decided=by_rule,
        ),
        other_offers=_other_offers(request),
        said=said,
    )


def _names(groups: Iterable[Group]) -> list[str]:
    return [group.name for group in groups]


def _stages(request: AccessRequest, holds: Sequence[Stage]) -> Sequence[StageFacts]:
    rows = request.offer.stages.prefetch_related("people", "groups")
    pinned = dict(enumerate(request.quorums))
    return [
        StageFacts(
            name=row.name,
            people=[one.label for one in row.people.all() if one.is_active],
            groups=_names(row.groups.all()),
            said=row.quorum,
            pinned=pinned.get(at, 0),
            holds=stage.quorum,
        )
        for at, (row, stage) in enumerate(zip(rows, holds, strict=False))
    ]


OTHERS_SHOWN = 5


def _other_offers(request: AccessRequest) -> list[str]:
    """Other offers that lead the requester to the same account, the first few by name."""
    offers = Offer.objects.open_to(request.requester).only_names()
    same = offers.filter(pair__target=request.offer.pair.target_id).exclude(pk=request.offer_id)
    return [str(one) for one in same.order_by("profile__name", "pk")[:OTHERS_SHOWN]]
