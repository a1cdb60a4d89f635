"""What every page needs: the navigation and whether this is the sandbox."""

from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from accounts.models import Proposal, User
from provisioning.models import AccessRequest, DriftFinding
from provisioning.reading.listing import count_together
from reviews.models import Item


@dataclass(frozen=True)
class Entry:
    """One entry of the main navigation."""

    label: str
    route: str
    icon: str
    everything: bool = False
    """Whether only admins and auditors see it."""
    if_any: bool = False
    """Whether others see it only while something of it waits for them."""


ENTRIES = (
    Entry("My access", "provisioning:access", "key"),
    Entry("Request", "provisioning:offers", "door"),
    Entry("Approvals", "provisioning:approvals", "approve"),
    Entry("Active grants", "provisioning:grants", "gate", everything=True),
    Entry("Drift", "provisioning:drift", "search", everything=True),
    Entry("Reviews", "reviews:campaigns", "people", if_any=True),
    Entry("Registry", "accounts:accounts", "account", everything=True),
    Entry("Audit", "provisioning:audit", "audit", everything=True),
)


SECTIONS: Final = {
    "access": ("access", "access-history", "extend", "switch"),
    "offers": ("offers", "ask", "ask-together", "read-duration", "star", "break-glass"),
    "approvals": ("approvals", "decided", "together", "to-review"),
    "grants": (
        "grants",
        "red-button",
        "stop-everything",
        "stop-person",
        "stop-account",
        "stop-pair",
        "stop",
        "stop-lift",
    ),
    "drift": ("drift", "scan-now", "restore-group"),
    "audit": ("audit",),
}
"""Which pages of requests and access belong to which entry of `provisioning`. Those about one
request or grant belong to an entry by person, and all others of it to the registry."""
REGISTRY: Final = "accounts:accounts"
BY_SPACE: Final = {"accounts": REGISTRY, "reviews": "reviews:campaigns"}
ENTRY_OF: Final = {
    f"provisioning:{page}": f"provisioning:{entry}"
    for entry, pages in SECTIONS.items()
    for page in pages
}


def section_of(request: HttpRequest, person: User) -> str:
    """The route of the entry that this page belongs to; empty for a page of the person's menu."""
    found = request.resolver_match
    if found is None:
        return ""
    if found.namespace != "provisioning":
        return BY_SPACE.get(found.namespace, "")
    if found.view_name in ENTRY_OF:
        return ENTRY_OF[found.view_name]
    own = getattr(request, "is_of_own_request", None)
    if own is None:
        return REGISTRY
    if own:
        return "provisioning:access"
    return "provisioning:grants" if person.sees_everything else "provisioning:approvals"


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor of base.html."""
    # Only when it is looked at: the part of a page that is polled has no navigation.
    navigation = SimpleLazyObject(lambda: _navigation(request))
    return {"sandbox": settings.SANDBOX, "navigation": navigation}


def _navigation(request: HttpRequest) -> list[dict[str, Any]]:
    person = getattr(request, "user", None)
    if not isinstance(person, User):
        return []
    entries = [one for one in ENTRIES if person.sees_everything or not one.everything]
    waiting, section = _waiting(entries, person), section_of(request, person)
    shown = []
    for entry in entries:
        count, is_here = waiting.get(entry, 0), entry.route == section
        if entry.if_any and not (count or is_here or person.sees_everything):
            continue
        shown.append(
            {
                "label": entry.label,
                "url": reverse(entry.route),
                "icon": entry.icon,
                "active": is_here,
                "count": count,
            }
        )
    return shown


def _waiting(entries: list[Entry], person: User) -> dict[Entry, int]:
    """How many things of each entry wait for a person: indexed counts, asked for in one go."""
    asked = {entry: rows for entry in entries if (rows := _what_waits(entry, person)) is not None}
    return dict(zip(asked, count_together(list(asked.values())), strict=True))


def _what_waits(entry: Entry, person: User) -> QuerySet[Any] | None:
    match entry.route:
        case "provisioning:approvals":
            return AccessRequest.objects.asking(person)
        case "provisioning:drift":
            return DriftFinding.objects.waiting_for_a_person()
        case "accounts:accounts":
            return Proposal.objects.waiting_for(person)
        case "reviews:campaigns":
            return Item.objects.waiting_for(person)
        case _:
            return None
