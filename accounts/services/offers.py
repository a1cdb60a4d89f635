"""Use cases of offers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.four_eyes import snapshots
from accounts.four_eyes.gate import Change, Proposed, guarded
from accounts.four_eyes.snapshots import key
from accounts.four_eyes.widening import Kind, Snapshot
from accounts.models import (
    AccessProfile,
    ApprovalStage,
    FavouriteOffer,
    Offer,
    Proposal,
    User,
    people_demanded_by,
)
from accounts.services.common import label_of, lock_profile, name_of
from accounts.stages import MOST_STAGES
from audit.models import append

type People = dict[str, list[Any]]
"""Who may ask for an offer, by field."""


@dataclass(frozen=True)
class StageWish:
    """One approval stage as an admin wants it."""

    people: Sequence[User] = ()
    groups: Sequence[Group] = ()
    quorum: int = 1
    name: str = ""
    """Without one, `Approval`, or `Approval 2` and so on for the later ones."""

    def facts(self, position: int) -> dict[str, Any]:
        """The stage in an audit event."""
        return {
            "name": self.name or _stage_name(position),
            "quorum": self.quorum,
            "people": [str(one) for one in self.people],
            "groups": [str(one) for one in self.groups],
        }

    def snapshot(self, position: int) -> dict[str, Any]:
        """The stage as data."""
        return snapshots.stage(
            self.name or _stage_name(position), self.quorum, self.people, self.groups
        )


def _stage_name(position: int) -> str:
    return "Approval" if position == 1 else f"Approval {position}"


OFFER_FACTS = (
    "is_active",
    "is_listed",
    "sensitivity",
    "warning",
    "reason_prompt",
    "reason_example",
    "ticket_required",
    "ticket_pattern",
    "ticket_hint",
    "auto_approve",
    "auto_zone",
    "auto_days",
)
"""Fields that an event of an offer tells as they are."""


def save_offer(
    *,
    actor: User | str,
    offer: Offer,
    eligible_users: Iterable[User] = (),
    eligible_groups: Iterable[Group] = (),
    stages: Sequence[StageWish] = (),
    reason: str = "",
) -> Offer:
    """Make or change an offer: who may ask, who approves in which stage, for how long at most.

    Raises Proposed where this lets more happen than before: a second admin has to confirm it.
    """
    people: People = {
        "eligible_users": list(eligible_users),
        "eligible_groups": list(eligible_groups),
    }

    def prepare() -> Change:
        _check_offer(offer, people, stages)
        after = snapshots.offer(
            offer, people, [one.snapshot(at) for at, one in enumerate(stages, 1)]
        )
        about = offer.subject if offer.pk else f"{NEW_OFFER}{offer.pair_id}:{offer.profile_id}"
        title = f"{'Change' if offer.pk else 'Make'} the offer {offer}."
        return Change(Kind.OFFER, about, title, _offer_before(about), after)

    return guarded(
        prepare,
        lambda: _store_offer(actor=actor, offer=offer, people=people, stages=stages),
        actor=actor,
        reason=reason,
    )


@transaction.atomic
def offer_on_each(
    *, actor: User | str, offers: Sequence[Offer], rules: Mapping[str, Any], reason: str = ""
) -> tuple[list[Offer], list[Proposal]]:
    """Make several new offers with the same people and stages, all of them or none.

    Where a second admin has to confirm, each is a proposal of its own, and again all of them or
    none: `Proposed` ends here, so this transaction keeps them. Raises ValidationError.
    """
    made: list[Offer] = []
    proposed: list[Proposal] = []
    for offer in offers:
        try:
            made.append(save_offer(actor=actor, offer=offer, **rules, reason=reason))
        except Proposed as waiting:
            proposed.append(waiting.proposal)
    return made, proposed


NEW_OFFER = "offer:new:"


def offer_today(about: str, after: Snapshot) -> tuple[Snapshot | None, Snapshot]:
    """How an offer is now, and how it would be with a change that was proposed earlier: with the
    profile's version of now."""
    version = AccessProfile.objects.get(pk=key(after["profile"])).current.number
    return _offer_before(about), {**after, "profile_version": version}


def _offer_before(about: str) -> Snapshot | None:
    return None if about.startswith(NEW_OFFER) else snapshots.stored_offer(key(about))


def store_offer_from(about: str, after: Snapshot, *, actor: User | str, **facts: Any) -> Offer:
    """Store an offer that was proposed as data. Raises ValidationError as for a direct change."""
    is_new = about.startswith(NEW_OFFER)
    offer = Offer() if is_new else Offer.objects.get(pk=key(about))
    for name, value in snapshots.restored(Offer, after).items():
        setattr(offer, name, value)
    people = {
        field.name: _rows(field.related_model, after[field.name])
        for field in Offer._meta.many_to_many
    }
    stages = [
        StageWish(
            people=_rows(User, one["people"]),
            groups=_rows(Group, one["groups"]),
            quorum=one["quorum"],
            name=one["name"],
        )
        for one in after["stages"]
    ]
    return _store_offer(actor=actor, offer=offer, people=people, stages=stages, **facts)


def _rows(model: Any, tokens: Iterable[str]) -> list[Any]:
    return list(model._default_manager.filter(pk__in=map(key, tokens)).order_by("pk"))


def _check_offer(offer: Offer, people: People, stages: Sequence[StageWish]) -> None:
    _refuse_nobody(people, stages)
    _refuse_moving(offer)
    offer.full_clean()
    lock_profile(offer.profile_id)
    _refuse_few_approvers(offer, stages)


@transaction.atomic
def _store_offer(
    *,
    actor: User | str,
    offer: Offer,
    people: People,
    stages: Sequence[StageWish],
    **facts: Any,
) -> Offer:
    _check_offer(offer, people, stages)
    verb = "changed" if offer.pk else "made"
    offer.save()
    for field, named in people.items():
        getattr(offer, field).set(named)
    _save_stages(offer, stages)
    append(
        kind=f"offer:{verb}",
        actor=name_of(actor),
        subject=offer.subject,
        sentence=f"{label_of(actor)} {verb} the offer {offer}.",
        data=_offer_facts(offer)
        | {field: [str(one) for one in named] for field, named in people.items()}
        | {"stages": [one.facts(at) for at, one in enumerate(stages, 1)]}
        | facts,
    )
    return offer


def _offer_facts(offer: Offer) -> dict[str, Any]:
    minute = timedelta(minutes=1)
    return {
        "max_minutes": offer.max_duration // minute,
        "default_minutes": offer.default_duration // minute,
        "wait_minutes": offer.request_lifetime // minute,
        "auto_longest_minutes": offer.auto_longest // minute if offer.auto_longest else None,
        "auto_group": str(offer.auto_group) if offer.auto_group else None,
        "break_glass_group": str(offer.break_glass_group) if offer.break_glass_group else None,
        "break_glass_minutes": (
            offer.break_glass_longest // minute if offer.break_glass_longest else None
        ),
        "auto_hours": [str(one) if one else None for one in (offer.auto_from, offer.auto_until)],
        **{field: getattr(offer, field) for field in OFFER_FACTS},
    }


def _save_stages(offer: Offer, stages: Sequence[StageWish]) -> None:
    """Make the offer's stages these, in this order."""
    offer.stages.filter(position__gt=len(stages)).delete()
    for position, wish in enumerate(stages, 1):
        stage = offer.stages.filter(position=position).first()
        stage = stage or ApprovalStage(offer=offer, position=position)
        stage.name = wish.name or _stage_name(position)
        stage.quorum = wish.quorum
        stage.full_clean()
        stage.save()
        stage.people.set(wish.people)
        stage.groups.set(wish.groups)


def star(*, person: User, offer: Offer, wanted: bool) -> None:
    """Mark an offer as a favourite, or no longer. It is how somebody likes their page, and changes
    nothing of what they may do: no event."""
    if wanted:
        FavouriteOffer.objects.get_or_create(person=person, offer=offer)
    else:
        FavouriteOffer.objects.filter(person=person, offer=offer).delete()


def _refuse_moving(offer: Offer) -> None:
    """Requests and grants of an offer are read through its pair: another one would move them."""
    stored = Offer.objects.filter(pk=offer.pk).first()
    if stored and (stored.pair_id, stored.profile_id) != (offer.pair_id, offer.profile_id):
        message = "An offer keeps its pair and its profile. Make another one instead."
        raise ValidationError(message, code="offer_moved")


def _refuse_few_approvers(offer: Offer, stages: Sequence[StageWish]) -> None:
    """Risky permissions need two people, and a rule never decides for two. A closed offer gives
    nothing; opening it asks again."""
    said = sum(one.quorum for one in stages)
    demanded = people_demanded_by(offer.profile.current.report)
    errors = {}
    if offer.is_active and said < demanded:
        message = (
            f"{offer.profile.current} is risky, so it can only be offered where two different "
            "people must approve: raise the quorum, or add a stage."
        )
        errors["stage_1_quorum"] = ValidationError(message, code="too_few_approvals")
    if offer.auto_approve and max(said, demanded) > 1:
        message = "A rule approves only where one approval is enough, and nothing risky."
        errors["auto_approve"] = ValidationError(message, code="rule_needs_one_approval")
    if errors:
        raise ValidationError(dict(errors))


def _refuse_nobody(people: dict[str, list[Any]], stages: Sequence[StageWish]) -> None:
    errors: dict[str, ValidationError] = {}
    if not people["eligible_users"] and not people["eligible_groups"]:
        message = "Name at least one person or group who may ask."
        errors["eligible_users"] = ValidationError(message, code="nobody_may_ask")
    for position, stage in enumerate(stages or [StageWish()], 1):
        if not stage.people and not stage.groups:
            message = "Name at least one person or group who approves."
            error = ValidationError(message, code="nobody_approves")
            errors[f"stage_{position}_people"] = error
    if len(stages) > MOST_STAGES:
        message = f"An offer has at most {MOST_STAGES} stages."
        errors["stage_1_people"] = ValidationError(message, code="too_many_stages")
    if errors:
        raise ValidationError(dict(errors))
