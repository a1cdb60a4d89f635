"""Turns audit events into notices.

Level-triggered: it looks at rows, so whatever was missed is found again, and any number of
processes may run it. One of them does at a time; the others find the row locked and go on.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, Max, OuterRef, QuerySet

from accounts.models import User
from audit.clock import database_now
from audit.models import AuditEvent
from notices.audience import deciders
from notices.core import schedule
from notices.models import MAIL, HeardEvent, Notice, Preferences, Reading, Reminder, Route
from notices.story import Story, story_of
from notices.topics import BY_KEY, KINDS, Topic, topics_of
from provisioning.core.states import RequestState

log = structlog.get_logger(__name__)

BATCH: Final = 50
"""Events taken up in one transaction, which is therefore short; the loop goes on at once."""
SETTLED: Final = timedelta(hours=1)
"""No transaction stays open so long: what is older than this and was not seen does not exist."""
MOVE_EVERY: Final = timedelta(minutes=1)
KEEP: Final = timedelta(days=180)
"""For how long the delivery log keeps what is done; the audit log keeps everything."""
NO_ADDRESS: Final = "They have no mail address."


def gather() -> int:
    """One round. Returns how many events and reminders were taken up."""
    now = database_now()
    Reading.objects.get_or_create(pk=1)
    with transaction.atomic():
        reading = Reading.objects.select_for_update(skip_locked=True).filter(pk=1).first()
        if reading is None:
            return 0
        events = list(_unheard(reading)[:BATCH])
        for event in events:
            if not _safely(_take_up, event) and event.at < now - SETTLED:
                # It was tried for an hour, and it is not to stand in the way of others for ever.
                HeardEvent.objects.create(event_id=event.pk)
        reminders = list(Reminder.objects.filter(due_at__lte=now).order_by("due_at")[:BATCH])
        for reminder in reminders:
            _safely(_remind, reminder)
        if len(events) < BATCH and reading.moved_at < now - MOVE_EVERY:
            _move(reading, now)
    return len(events) + len(reminders)


def _unheard(reading: Reading) -> QuerySet[AuditEvent]:
    heard = HeardEvent.objects.filter(event_id=OuterRef("pk"))
    events = AuditEvent.objects.filter(pk__gt=reading.after, kind__in=KINDS)
    return events.filter(~Exists(heard)).order_by("pk")


def _safely[T](work: Callable[[T], None], thing: T) -> bool:
    """Whether it worked. One broken row must not keep the others from being told."""
    try:
        with transaction.atomic():
            work(thing)
    except Exception:
        log.exception("notice_not_made", thing=str(thing))
        return False
    return True


def _move(reading: Reading, now: datetime) -> None:
    """Forget what is long past, so that a round looks at the last hour's events only."""
    old = AuditEvent.objects.filter(pk__gt=reading.after, at__lt=now - SETTLED)
    after = old.aggregate(last=Max("pk"))["last"]
    if after is not None:
        reading.after = after
        HeardEvent.objects.filter(event_id__lte=after).delete()
    oldest = Notice.objects.order_by("pk").values_list("pk", "done_at")[:500]
    past = [pk for pk, done_at in oldest if done_at and done_at < now - KEEP]
    Notice.objects.filter(pk__in=past).delete()
    reading.moved_at = now
    reading.save(update_fields=["after", "moved_at"])


# --- Events ----------------------------------------------------------------------------------


def _take_up(event: AuditEvent) -> None:
    HeardEvent.objects.create(event_id=event.pk)
    story = story_of(event)
    for topic in topics_of(event.kind):
        if topic.when(story):
            store(event, topic, _people(story, topic))
    if event.kind == "request:state:pending":
        _plan_reminders(story)


def _people(story: Story, topic: Topic) -> list[User]:
    """Everybody in the audiences once, mostly without who did it themselves."""
    found = {person.pk: person for audience in topic.to for person in audience(story)}
    actor = "" if topic.tells_actor else story.event.actor
    return [one for one in found.values() if one.username != actor]


def store(event: AuditEvent, topic: Topic, people: list[User], number: int = 0) -> None:
    """Make the notices of one event, those that are not there yet."""
    route = Route.objects.filter(topic=topic.chosen_as).first()
    rows = [*_to_people(event, topic, people, route), *_to_channels(event, topic, route)]
    for row in rows:
        row.number = number
    Notice.objects.bulk_create(rows, ignore_conflicts=True)


def _to_people(
    event: AuditEvent, topic: Topic, people: list[User], route: Route | None
) -> Iterator[Notice]:
    if not settings.MAIL_FROM:
        return
    if route is not None and not route.people and topic.may_spare_people:
        return
    chosen = Preferences.objects.in_bulk([one.pk for one in people])
    for person in people:
        theirs = chosen.get(person.pk)
        if not topic.always and theirs is not None and topic.chosen_as in theirs.muted:
            continue
        row = Notice(event=event, topic=topic.key, person=person, channel=MAIL)
        yield row if person.email else _dropped(row, NO_ADDRESS)


def _dropped(row: Notice, why: str) -> Notice:
    """A row for the delivery log alone: admins should see that somebody can't be reached."""
    row.state, row.note = Notice.State.DROPPED, why
    row.next_try_at, row.done_at = None, database_now()
    return row


def _to_channels(event: AuditEvent, topic: Topic, route: Route | None) -> Iterator[Notice]:
    if topic.key != "stop" and "stop" in event.data:
        # The red button may end thousands: a room is told that it was pressed, once.
        return
    for name in route.channels if route else ():
        if name in settings.CHANNELS:
            yield Notice(event=event, topic=topic.key, channel=name)


# --- Reminders -------------------------------------------------------------------------------


def _plan_reminders(story: Story) -> None:
    request = story.asked
    if request.state != RequestState.PENDING:
        return
    at = schedule.reminder_at(1, request.asked_at, request.lapses_at)
    if at is not None:
        Reminder.objects.get_or_create(
            request=request, defaults={"event": story.event, "due_at": at}
        )


def _remind(reminder: Reminder) -> None:
    """Tell those who can decide by now: others than at first, where that has changed."""
    request = reminder.request
    if request.state != RequestState.PENDING:
        reminder.delete()
        return
    store(reminder.event, BY_KEY["asked"], deciders(request), reminder.number)
    following = reminder.number + 1
    at = schedule.reminder_at(following, request.asked_at, request.lapses_at)
    if at is None:
        reminder.delete()
        return
    reminder.number, reminder.due_at = following, at
    reminder.save(update_fields=["number", "due_at"])
