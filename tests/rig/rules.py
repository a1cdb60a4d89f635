"""What the offers of a run ask for, and who is in their groups.

Stages are drawn with the run, changed by people in it, and remembered with the time of each change:
the judge of decisions (tests/rig/auditor.py) asks here which rules held, and not the product.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth.models import Group

from accounts.models import ApprovalStage, Offer, User
from audit.clock import database_now
from tests.factories import (
    AccessProfileFactory,
    ApprovalStageFactory,
    GroupFactory,
    OfferFactory,
    UserFactory,
)
from tests.rig.stand import Cast

OWNERS: Final = "Owners"
ON_CALL: Final = "On call"
LONGEST_EMERGENCY: Final = timedelta(minutes=30)
LONGEST_BY_RULE: Final = timedelta(minutes=6)
APPROVERS: Final = ("bob", "grace", "heidi", "ivan")
"""Everybody who approves something; bob in each shape."""
MEMBERS: Final = {OWNERS: ("grace", "heidi"), ON_CALL: ("erin",)}
"""At the beginning of each run."""

type People = frozenset[int]


@dataclass(frozen=True)
class Stage:
    """So many of these people must approve, and of the members of these groups."""

    quorum: int
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


SHAPES: Final = (
    (Stage(2, ("bob", "alice"), (OWNERS,)),),
    (Stage(1, ("bob", "grace")), Stage(1, groups=(OWNERS,))),
    (Stage(1, ("bob", "grace")), Stage(1, ("grace", "heidi"))),
    (Stage(2, ("bob", "grace"), (OWNERS,)), Stage(1, ("ivan", "alice"))),
)
"""Two of several, one after the other, somebody in both stages, and three in all. Where alice is
named, somebody who asks is one of those who approve."""


def strict_offer(cast: Cast) -> Offer:
    """The offer, its groups and its approvers, made once. Its stages follow with each run."""
    for name in APPROVERS[1:]:
        UserFactory.create(username=name)
    for name in MEMBERS:
        GroupFactory.create(name=name)
    offer: Offer = OfferFactory.create(
        pair=cast.pair,
        profile=AccessProfileFactory.create(name="Security read-only, by several"),
        max_duration=timedelta(days=7),
        eligible_users=[cast.alice, User.objects.get(username="erin")],
        break_glass_group=Group.objects.get(name=ON_CALL),
        break_glass_longest=LONGEST_EMERGENCY,
    )
    return offer


def ruled_offer(cast: Cast) -> Offer:
    """An offer that a rule decides on where little is asked for, and else bob."""
    offer: Offer = OfferFactory.create(
        pair=cast.pair,
        profile=AccessProfileFactory.create(name="Security read-only, by rule"),
        max_duration=timedelta(days=7),
        eligible_users=[cast.alice, User.objects.get(username="erin")],
        approver_users=[cast.bob],
        sensitivity="low",
        auto_approve=True,
        auto_longest=LONGEST_BY_RULE,
    )
    return offer


@dataclass(frozen=True)
class Known:
    """Which rules held: by offer its stages, and the keys of those who may break the glass."""

    stages: dict[int, tuple[tuple[int, People], ...]]
    on_call: People


@dataclass
class Rules:
    """The rules of one run, as they were and are."""

    offer: Offer
    shape: int = 0
    _changes: list[tuple[datetime, datetime, Known]] = field(default_factory=list)
    """When somebody began to change them, when that was done, and what they were then."""

    def __post_init__(self) -> None:
        began = database_now()
        for name, members in MEMBERS.items():
            Group.objects.get(name=name).user_set.set(_people(*members))
        self.offer.stages.all().delete()
        for stage in SHAPES[self.shape % len(SHAPES)]:
            ApprovalStageFactory.create(
                offer=self.offer,
                quorum=stage.quorum,
                people=_people(*stage.names),
                groups=Group.objects.filter(name__in=stage.groups),
            )
        self.note(began)

    def note(self, began: datetime) -> None:
        """Somebody changed them between `began` and now."""
        self._changes.append((began, database_now(), _known()))

    def at(self, moment: datetime) -> list[Known]:
        """What may have held at a moment: more than one where it was changed just then."""
        held: list[Known] = []
        for began, done, known in self._changes:
            if done <= moment:
                held = [known]
            elif began <= moment:
                held.append(known)
        return held


def _people(*names: str) -> list[User]:
    return list(User.objects.filter(username__in=names))


def _known() -> Known:
    """As the rows say: those named, and the members of the groups."""
    stages: dict[int, tuple[tuple[int, People], ...]] = {}
    for row in ApprovalStage.objects.order_by("offer", "position"):
        people = set(row.people.values_list("pk", flat=True))
        people |= set(User.objects.filter(groups__in=row.groups.all()).values_list("pk", flat=True))
        stages[row.offer_id] = (*stages.get(row.offer_id, ()), (row.quorum, frozenset(people)))
    on_call = User.objects.filter(groups__name=ON_CALL).values_list("pk", flat=True)
    return Known(stages, frozenset(on_call))
