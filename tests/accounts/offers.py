"""Changing an offer through its service, with all that is not named as it is."""

from typing import Any

from accounts import services
from accounts.models import Offer, User

PEOPLE = ("eligible_users", "eligible_groups", "approver_users", "approver_groups")


def save(offer: Offer, *, actor: User, reason: str = "", **changed: Any) -> Offer:
    """Make or change an offer; a new one is open to alice and decided by bob."""
    named = {name: list(getattr(offer, name).all()) if offer.pk else [] for name in PEOPLE}
    if not offer.pk:
        named["eligible_users"] = [User.objects.get(username="alice")]
        named["approver_users"] = [User.objects.get(username="bob")]
    named |= {name: changed.pop(name) for name in PEOPLE if name in changed}
    wanted = Offer.objects.get(pk=offer.pk) if offer.pk else offer
    for name, value in changed.items():
        setattr(wanted, name, value)
    return services.save_offer(actor=actor, offer=wanted, reason=reason, **named)
