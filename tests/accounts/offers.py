"""Changing an offer through its service, with all that is not named as it is."""

from typing import Any

from accounts.models import Offer, User
from accounts.services.offers import StageWish, save_offer


def save(offer: Offer, *, actor: User, reason: str = "", **changed: Any) -> Offer:
    """Make or change an offer; a new one is open to alice and decided by bob."""
    rules = _rules(offer) | {name: changed.pop(name) for name in RULES & changed.keys()}
    wanted = Offer.objects.get(pk=offer.pk) if offer.pk else offer
    for name, value in changed.items():
        setattr(wanted, name, value)
    return save_offer(actor=actor, offer=wanted, reason=reason, **rules)


RULES = {"eligible_users", "eligible_groups", "stages"}


def _rules(offer: Offer) -> dict[str, Any]:
    if not offer.pk:
        alice, bob = (User.objects.get(username=name) for name in ("alice", "bob"))
        return {"eligible_users": [alice], "stages": [StageWish(people=[bob])]}
    return {
        "eligible_users": list(offer.eligible_users.all()),
        "eligible_groups": list(offer.eligible_groups.all()),
        "stages": [
            StageWish(
                people=list(one.people.all()),
                groups=list(one.groups.all()),
                quorum=one.quorum,
                name=one.name,
            )
            for one in offer.stages.all()
        ],
    }
