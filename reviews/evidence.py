"""What a review decided, written down so that a change would show."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

from django.db.models import Count

from audit.models import AuditEvent
from provisioning.reading import export
from reviews.models import Campaign, Item

COLUMNS: Final = (
    "item",
    "kind",
    "username",
    "person",
    "what",
    "reviewer",
    "decision",
    "decided_by",
    "decided_at",
    "reason",
    "outcome",
)


def progress(campaign: Campaign) -> dict[str, int]:
    """How many items stand where, by decision, and all together."""
    counted = campaign.items.order_by().values_list("decision").annotate(count=Count("pk"))
    found = dict.fromkeys(Item.Decision.values, 0) | dict(counted)
    return found | {"all": sum(found.values())}


def waiting_by_reviewer(campaign: Campaign) -> dict[str, int]:
    """How many items wait, by the user name of who is asked."""
    waiting = campaign.items.filter(decision=Item.Decision.OPEN).order_by()
    return dict(waiting.values_list("reviewer__username").annotate(count=Count("pk")))


def rows(campaign: Campaign) -> Iterator[dict[str, Any]]:
    """Every item, in order."""
    named = campaign.items.select_related("reviewer", "decided_by").order_by("pk")
    for one in named.iterator(chunk_size=1000):
        yield {
            "item": one.pk,
            "kind": one.kind,
            "username": one.username,
            "person": one.label,
            "what": one.what,
            "reviewer": one.reviewer.username,
            "decision": one.decision,
            "decided_by": one.decided_by.username if one.decided_by else "",
            "decided_at": one.decided_at.isoformat() if one.decided_at else "",
            "reason": one.reason,
            "outcome": one.outcome,
        }


def content_hash(campaign: Campaign) -> str:
    """SHA-256 of the review and all its items: one line of JSON for each, sorted keys, UTF-8."""
    digest = hashlib.sha256()
    for line in ({"review": campaign.pk, "title": campaign.title}, *rows(campaign)):
        digest.update(_line(line))
    return digest.hexdigest()


def _line(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{text}\n".encode()


def as_json(campaign: Campaign) -> str:
    """The review, its items, the audit events behind them, and the hashes of both."""
    events = [
        {
            "id": one.pk,
            "at": one.at.isoformat(),
            "kind": one.kind,
            "actor": one.actor,
            "sentence": one.sentence,
            "reason": one.reason,
            "data": one.data,
        }
        for one in AuditEvent.objects.about(campaign.subject)
    ]
    digest = hashlib.sha256(b"".join(map(_line, events)))
    document = {
        "review": campaign.pk,
        "title": campaign.title,
        "about": campaign.about,
        "state": campaign.state,
        "created_by": campaign.created_by.username,
        "due_at": campaign.due_at.isoformat(),
        "remove_on_timeout": campaign.remove_on_timeout,
        "closed_at": campaign.closed_at.isoformat() if campaign.closed_at else None,
        "closed_by": campaign.closed_by,
        "items": list(rows(campaign)),
        "events": events,
        "items_sha256": content_hash(campaign),
        "items_sha256_at_the_end": campaign.content_hash or None,
        "events_sha256": digest.hexdigest(),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_csv(campaign: Campaign) -> str:
    """The items for a spreadsheet; the last line is their hash. No cell is a formula."""
    lines = [COLUMNS, *([str(one[name]) for name in COLUMNS] for one in rows(campaign))]
    return "".join(map(export.line, [*lines, ("sha256", content_hash(campaign))]))
