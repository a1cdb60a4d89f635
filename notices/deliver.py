"""Sends what waits: claim one notice, say it, record it.

A claim is a lease with a generation, as everywhere. What was sent and not recorded, because the
process died in between, is sent once more after the lease: at least once, never not at all.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.conf import settings

from accounts.models import User
from audit.clock import database_now
from notices.audience import may_know
from notices.channels import chat, mail, webhook
from notices.channels.errors import NotSent
from notices.core import schedule
from notices.core.message import Message, Pointless, TooEarly
from notices.core.parse import ChannelAddress
from notices.models import MAIL, Notice
from notices.payload import payload_of
from notices.story import Story, reader, story_of
from notices.topics import BY_KEY

log = structlog.get_logger(__name__)

LEASE: Final = timedelta(minutes=5)
"""Longer than a slow server can keep one notice under its time-outs."""
SHORT_WAIT: Final = timedelta(seconds=10)
BATCH: Final = 50
"""Notices of one channel that go over one connection."""
LONGEST_NOTE: Final = 500

type Send = Callable[[Notice, Story, Message], None]


@dataclass
class Channel:
    """One way out. `pause_until` is set when it is down: then nothing is tried for a while."""

    name: str
    connect: Callable[[], AbstractContextManager[Send]]
    failures: int = 0
    pause_until: datetime | None = None


def channels_of(addresses: Mapping[str, ChannelAddress]) -> list[Channel]:
    """Mail, where there is a sender, and the shared ones."""
    own = [Channel(MAIL, _mail)] if settings.MAIL_FROM else []
    return own + [
        Channel(name, _webhook(one) if one.is_webhook else _chat(one))
        for name, one in addresses.items()
    ]


def deliver(channel: Channel, *, stop: Callable[[], bool] = lambda: False) -> int:
    """Send what is due by one channel. Returns how many notices were sent.

    Blocks as long as the other side makes it: give each channel a thread of its own.
    """
    now = database_now()
    if channel.pause_until is not None and now < channel.pause_until:
        return 0
    sent = 0
    with channel.connect() as send:
        for _ in range(BATCH):
            notice = None if stop() else claim(channel.name, database_now())
            if notice is None:
                break
            try:
                sent += _handle(notice, send)
            except NotSent as error:
                _note_failure(notice, error)
                if error.channel_down:
                    # The others would meet the same: leave them where they are.
                    channel.failures += 1
                    channel.pause_until = _pause(channel.failures)
                    break
            else:
                channel.failures, channel.pause_until = 0, None
    return sent


def _pause(failures: int) -> datetime:
    step = schedule.RETRIES[min(failures, 5) - 1]
    return database_now() + step / 2


def claim(channel: str, now: datetime) -> Notice | None:
    """Take the notice that waits longest, or None when nothing is due."""
    for found in Notice.objects.due(channel, now)[:20]:
        mine = Notice.objects.filter(
            pk=found.pk, generation=found.generation, state=Notice.State.WAITING
        )
        taken = {"generation": found.generation + 1, "leased_until": now + LEASE}
        if mine.update(**taken) == 1:
            return Notice.objects.select_related("event", "person").get(pk=found.pk)
    return None


def _handle(notice: Notice, send: Send) -> int:
    """Say one notice, or drop it when there is nothing left to say. Raises NotSent."""
    story = story_of(notice.event)
    try:
        message = words_of(notice, story)
    except Pointless as reason:
        _finish(notice, Notice.State.DROPPED, str(reason))
        return 0
    except TooEarly as reason:
        _record(notice, note=str(reason), next_try_at=database_now() + SHORT_WAIT)
        return 0
    except Exception as error:
        log.exception("notice_has_no_words", notice=notice.pk)
        raise NotSent("Its words could not be made.", channel_down=False) from error
    try:
        send(notice, story, message)
    except NotSent:
        raise
    except Exception as error:
        # One that no server would take must not come back for ever and keep others waiting.
        log.exception("notice_is_unsendable", notice=notice.pk)
        raise NotSent("It cannot be sent as it is.", channel_down=False) from error
    _finish(notice, Notice.State.SENT, "")
    return 1


def words_of(notice: Notice, story: Story) -> Message:
    """What is said. Raises Pointless and TooEarly."""
    person: User | None = notice.person
    if person is not None and not person.is_active:
        raise Pointless("They were switched off.")
    if person is not None and not person.email:
        raise Pointless("They have no mail address.")
    if person is not None and not may_know(person, story):
        raise Pointless("They may not see it any more.")
    message = BY_KEY[notice.topic].words(story, reader(notice.channel, person))
    return _as_reminder(message) if notice.number else message


def _as_reminder(message: Message) -> Message:
    return Message(
        subject=f"Re: {message.subject}",
        headline=f"Still waiting: {message.headline}",
        lines=message.lines,
        facts=message.facts,
        quote=message.quote,
        links=message.links,
    )


# --- Records ---------------------------------------------------------------------------------


def _finish(notice: Notice, state: Notice.State, note: str) -> None:
    attempts = notice.attempts + (state == Notice.State.SENT)
    _record(
        notice,
        state=state,
        note=note,
        attempts=attempts,
        next_try_at=None,
        done_at=database_now(),
    )


def _note_failure(notice: Notice, error: NotSent) -> None:
    attempts, now = notice.attempts + 1, database_now()
    jitter = random.random()  # noqa: S311  # Not a secret.
    at = None if error.for_good else schedule.next_try(attempts, now, jitter=jitter)
    if at is None:
        log.warning("notice_failed", notice=notice.pk, reason=str(error))
    _record(
        notice,
        state=Notice.State.WAITING if at else Notice.State.FAILED,
        note=str(error)[:LONGEST_NOTE],
        attempts=attempts,
        next_try_at=at,
        done_at=None if at else now,
    )


def _record(notice: Notice, **values: Any) -> None:
    """Write what became of it, unless another process has taken it over meanwhile."""
    mine = Notice.objects.filter(pk=notice.pk, generation=notice.generation)
    mine.update(leased_until=None, **values)


# --- Ways out --------------------------------------------------------------------------------


@contextmanager
def _mail() -> Iterator[Send]:
    with mail.connection() as backend:

        def send(notice: Notice, story: Story, message: Message) -> None:
            if notice.person is None:
                raise NotSent("Mail goes to a person.", for_good=True, channel_down=False)
            mail.send(backend, mail.compose(message, notice.person, _place(notice)))

        yield send


def _place(notice: Notice) -> mail.Place:
    """All mails to a person about one request and its access are one conversation."""
    first = (
        Notice.objects.filter(
            event__subject=notice.event.subject,
            person=notice.person,
            state=Notice.State.SENT,
        )
        .order_by("pk")
        .values_list("pk", flat=True)
        .first()
    )
    return mail.Place(number=notice.pk, first=first or notice.pk)


def _chat(address: ChannelAddress) -> Callable[[], AbstractContextManager[Send]]:
    @contextmanager
    def connect() -> Iterator[Send]:
        yield lambda notice, story, message: chat.send(address, message)

    return connect


def _webhook(address: ChannelAddress) -> Callable[[], AbstractContextManager[Send]]:
    @contextmanager
    def connect() -> Iterator[Send]:
        yield lambda notice, story, message: webhook.send(
            address,
            payload_of(notice, story, message),
            message_id=f"notice_{notice.pk}",
            now=int(database_now().timestamp()),
        )

    return connect
