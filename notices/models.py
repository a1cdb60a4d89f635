"""What is to be told to whom, and how far that is."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import User
from audit.models import AuditEvent
from provisioning.models import AccessRequest

MAIL = "mail"
"""The channel by which a person is told; all others are shared, and named by the settings."""


class NoticeQuerySet(models.QuerySet["Notice"]):
    """Reading notices."""

    def due(self, channel: str, now: datetime) -> Self:
        """Those of a channel that wait for an attempt and that nobody holds, longest first."""
        free = Q(leased_until__isnull=True) | Q(leased_until__lte=now)
        waiting = self.filter(free, state=Notice.State.WAITING, channel=channel)
        return waiting.filter(next_try_at__lte=now).order_by("next_try_at", "id")


class Notice(models.Model):
    """One event, to be told to one recipient by one channel.

    It holds no words: those are made from the rows when it is sent, so that nothing is told that
    is no longer so. It is sent once; after a crash between sending and recording once more, but
    never not at all.
    """

    class State(models.TextChoices):
        """How far it is."""

        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        DROPPED = "dropped", "Not needed"
        FAILED = "failed", "Failed"

    event = models.ForeignKey(AuditEvent, on_delete=models.PROTECT, related_name="+")
    topic = models.CharField(max_length=20)
    """Key of a topic (`notices.topics`)."""
    number = models.PositiveSmallIntegerField(default=0)
    """0 for the notice itself; reminders count from 1."""
    person = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="notices"
    )
    """The recipient; null for a shared channel."""
    channel = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    note = models.CharField(max_length=500, blank=True)
    """Why it was dropped, or what went wrong last, in words."""
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    next_try_at = models.DateTimeField(null=True, db_default=Now())
    attempts = models.PositiveIntegerField(default=0)
    generation = models.PositiveIntegerField(default=0)
    """Raised at each claim. Whose generation is past may record nothing."""
    leased_until = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "sent", "dropped", "failed"]),
                name="notice_state_is_known",
            ),
            models.CheckConstraint(
                condition=Q(state="waiting", done_at__isnull=True, next_try_at__isnull=False)
                | (~Q(state="waiting") & Q(done_at__isnull=False, next_try_at__isnull=True)),
                name="notice_waits_or_is_done",
            ),
            models.CheckConstraint(
                condition=Q(channel=MAIL, person__isnull=False)
                | (~Q(channel=MAIL) & Q(person__isnull=True)),
                name="notice_mail_goes_to_a_person",
            ),
            models.UniqueConstraint(
                fields=["event", "person", "number"],
                condition=Q(person__isnull=False),
                name="notice_once_per_person",
            ),
            models.UniqueConstraint(
                fields=["event", "channel", "number"],
                condition=Q(person__isnull=True),
                name="notice_once_per_channel",
            ),
        ]
        indexes = [
            models.Index(
                fields=["channel", "next_try_at"], condition=Q(state="waiting"), name="notice_due"
            ),
            models.Index(fields=["state", "id"], name="notice_state"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} to {self.recipient}"

    @property
    def recipient(self) -> str:
        """Whom it is for, as the delivery log names them."""
        return self.person.label if self.person else self.channel


class Reading(models.Model):
    """How far the audit events were read: a single row.

    Numbers of events are given out before their transactions commit, so a lower one may appear
    after a higher one. Events above `after` are therefore looked at again and again, and the ones
    that were taken up are remembered as `HeardEvent`, until `after` has moved past them.
    """

    after = models.BigIntegerField(default=0)
    moved_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"after {self.after}"


class HeardEvent(models.Model):
    """An event that was taken up, whether anybody was to be told or not."""

    event_id = models.BigIntegerField(primary_key=True)

    def __str__(self) -> str:
        return str(self.event_id)


class Reminder(models.Model):
    """A request waits; when its approvers are reminded next. Gone once nobody is to be."""

    request = models.OneToOneField(
        AccessRequest, on_delete=models.CASCADE, related_name="+", db_constraint=False
    )
    """Without a constraint, which would lock the request's row: whoever decides on it must not
    wait for a notifier that is frozen in its work. Requests are never deleted."""
    event = models.ForeignKey(AuditEvent, on_delete=models.PROTECT, related_name="+")
    """By which they were asked."""
    number = models.PositiveSmallIntegerField(default=1)
    due_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"reminder {self.number} of {self.request_id}"


class Preferences(models.Model):
    """What one person wants to be told, where it is theirs to choose."""

    person = models.OneToOneField(
        User, on_delete=models.CASCADE, primary_key=True, related_name="notice_preferences"
    )
    time_zone = models.CharField(max_length=64, blank=True)
    """IANA name; empty for UTC alone."""
    muted = models.JSONField(default=list)
    """Keys of topics that they do not want."""

    def __str__(self) -> str:
        return f"notices of {self.person_id}"


class Route(models.Model):
    """Where admins want a topic told beside, or instead of, mail to each person."""

    topic = models.CharField(max_length=20, unique=True)
    channels = models.JSONField(default=list)
    """Names of shared channels."""
    people = models.BooleanField(default=True)
    """Whether approvers and admins are also told one by one."""

    def __str__(self) -> str:
        return f"route of {self.topic}"
