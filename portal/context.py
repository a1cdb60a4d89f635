"""What every page needs: the navigation and whether this is the sandbox."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from accounts.models import Proposal, User
from provisioning.models import DriftFinding
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


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor of base.html."""
    return {"sandbox": settings.SANDBOX, "navigation": list(_navigation(request))}


def _navigation(request: HttpRequest) -> list[dict[str, Any]]:
    person = getattr(request, "user", None)
    if not isinstance(person, User):
        return []
    entries = [one for one in ENTRIES if person.sees_everything or not one.everything]
    shown = []
    for entry in entries:
        url, count = reverse(entry.route), _count(entry, person)
        if entry.if_any and not count and not person.sees_everything:
            continue
        shown.append(
            {
                "label": entry.label,
                "url": url,
                "icon": entry.icon,
                "active": request.path.startswith(_section(url)),
                "count": count,
            }
        )
    return shown


def _count(entry: Entry, person: User) -> int:
    """How many things of an entry wait for a person: one indexed count."""
    match entry.route:
        case "provisioning:drift":
            return DriftFinding.objects.waiting_for_a_person().count()
        case "accounts:accounts":
            return Proposal.objects.waiting_for(person).count()
        case "reviews:campaigns":
            return Item.objects.waiting_for(person).count()
        case _:
            return 0


def _section(url: str) -> str:
    """Where a section of the site begins: all registry pages belong to one entry."""
    return "/registry/" if url.startswith("/registry/") else url
