"""The audit event and the one way to append it."""

from collections.abc import Iterable
from typing import Any, Final, Self

from django.db import models
from django.db.models.functions import Now

LATEST: Final = 30
"""Events that the page of a thing shows."""
PARTS: Final = {
    "system:rule": "The rule of the offer",
    "system:setup": "The set-up",
    "system:sign-in": "The sign-in page",
    "system:shell": "The command line",
    "system:sweeper": "The sweeper",
    "system:worker": "A worker",
}
"""The portal's own parts as pages name them."""


def as_actor(name: str) -> str:
    """Who did something, as the record names them: a person's user name, or a part of the portal.

    Pages that name people by their full names have filters for it (`portal.templatetags.names`).
    """
    return PARTS.get(name, name)


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    """Reading events."""

    def about(self, subject: str) -> Self:
        """Events about one thing, oldest first."""
        return self.filter(subject=subject).order_by("id")

    def latest_about(self, subject: str) -> Self:
        """The last events about one thing, newest first, as many as a page shows."""
        return self.about(subject).reverse()[:LATEST]


class AuditEvent(models.Model):
    """One thing that happened, said once and never changed.

    Rows are only ever inserted: a database trigger refuses updates and deletions. The event is
    written in the transaction of the change that it tells of, so neither exists without the other.
    Actor and subject are text, because the people and things named may one day be gone.
    """

    at = models.DateTimeField(db_default=Now(), editable=False)
    kind = models.CharField(max_length=64)
    """What happened, as `subject:aspect:change`, such as `grant:phase:active`."""
    actor = models.CharField(max_length=150)
    """A person's user name, or `system:worker`, `system:sweeper`, `system:setup`."""
    subject = models.CharField(max_length=128)
    """What it happened to, as `kind:id`, such as `grant:k3v9m2x7q4ab`."""
    sentence = models.CharField(max_length=500)
    """The event in words, for a person who reads the timeline."""
    reason = models.TextField(blank=True)
    data = models.JSONField(default=dict)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["subject", "id"], name="audit_subject"),
            models.Index(fields=["kind", "id"], name="audit_kind"),
            models.Index(fields=["actor", "id"], name="audit_actor"),
            models.Index(fields=["at", "id"], name="audit_at"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"

    @property
    def by(self) -> str:
        """Who did it, as a page names them."""
        return as_actor(self.actor)


def event(
    *,
    kind: str,
    actor: str,
    subject: str,
    sentence: str,
    reason: str = "",
    data: dict[str, Any] | None = None,
) -> AuditEvent:
    """One event that is yet to be appended, for `append_all`."""
    return AuditEvent(
        kind=kind,
        actor=actor,
        subject=subject,
        sentence=sentence[:500],
        reason=reason,
        data=data or {},
    )


def append(
    *,
    kind: str,
    actor: str,
    subject: str,
    sentence: str,
    reason: str = "",
    data: dict[str, Any] | None = None,
) -> AuditEvent:
    """Append one event. Call it inside the transaction of the change that it tells of."""
    one = event(
        kind=kind, actor=actor, subject=subject, sentence=sentence, reason=reason, data=data
    )
    one.save(force_insert=True)
    return one


def append_all(events: Iterable[AuditEvent]) -> None:
    """Append many events of one transaction, in their order, with one statement."""
    AuditEvent.objects.bulk_create(events)
