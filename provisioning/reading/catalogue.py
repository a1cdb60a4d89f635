"""What a person may ask for, as the catalogue shows it: searched, starred, asked for lately.

A fixed number of queries, however many offers there are and whoever they name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from accounts.models import FavouriteOffer, Offer, OfferQuerySet, User
from provisioning import authz
from provisioning.models import AccessRequest
from provisioning.reading import keyset

PAGE: Final = 24
SHORTCUTS: Final = 8
"""Starred offers, and offers asked for lately, that are shown above the list."""
EMERGENCIES: Final = 12
"""Offers that may be taken at once, of those that match; the search finds the others."""
LOOKED_AT: Final = 100
"""Requests of somebody among which the offers that they asked for lately are found."""
MOST_WORDS: Final = 8
NAMES: Final = ("pair__target__name", "profile__name")
"""What the offers are sorted by."""


@dataclass(frozen=True)
class Row:
    """One offer in the catalogue."""

    offer: Offer
    answer: authz.Answer
    starred: bool


@dataclass(frozen=True)
class Catalogue:
    """One page of it."""

    page: keyset.Page
    not_paused: authz.Answer
    """Whether they may ask for anything at all at this moment."""
    rows: Sequence[Row]
    starred: Sequence[Offer]
    recent: Sequence[Offer]
    emergencies: Sequence[Offer]
    """What they may take at once, found by the same words."""
    more_emergencies: bool


def catalogue(person: User, words: str, address: Mapping[str, str]) -> Catalogue:
    """The page that an address asks for of the offers that a person may know of and that match
    every word. Raises BadRequest."""
    stars = set(FavouriteOffer.objects.filter(person=person).values_list("offer", flat=True))
    shown = Offer.objects.shown_to(person).with_accounts()
    order = keyset.ByNames(names=NAMES, among=shown)
    page = keyset.page(matching(shown, words), order, address, PAGE)
    stops = authz.pauses()
    answers = authz.can_request_each(person, page.rows, stops=stops)
    rows = [Row(one, answer, one.pk in stars) for one, answer in answers]
    first = not words and not {keyset.AFTER, keyset.BEFORE} & set(address)
    breakable = matching(Offer.objects.breakable_by(person).with_accounts(), words)
    emergencies = list(breakable.order_by(*NAMES, "pk")[: EMERGENCIES + 1])
    return Catalogue(
        page,
        authz.not_paused(person, stops),
        rows,
        list(shown.filter(pk__in=stars)[:SHORTCUTS]) if first and stars else [],
        _recent(person, shown) if first else [],
        emergencies[:EMERGENCIES],
        len(emergencies) > EMERGENCIES,
    )


def matching(offers: OfferQuerySet, words: str) -> OfferQuerySet:
    """Those that hold every word in a name, id or alias of an account, or in the profile."""
    for word in words.split()[:MOST_WORDS]:
        offers = offers.mentioning(word)
    return offers


def _recent(person: User, shown: OfferQuerySet) -> list[Offer]:
    asked = AccessRequest.objects.filter(requester=person, extends__isnull=True)
    lately = asked.order_by("-id").values_list("offer", flat=True)[:LOOKED_AT]
    keys = list(dict.fromkeys(lately))[:SHORTCUTS]
    found = shown.in_bulk(keys)
    return [found[key] for key in keys if key in found]
