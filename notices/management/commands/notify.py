"""`manage.py notify`: tell people what happened."""

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, close_old_connections, connections

from notices.core.parse import BadSetting, channel_addresses
from notices.deliver import Channel, channels_of, deliver
from notices.gather import BATCH, gather

log = structlog.get_logger(__name__)

PAUSE = 5.0  # seconds between two rounds
GRACE = 10.0  # seconds that a channel may take to finish what it is sending


class Command(BaseCommand):
    """One round, or one after another until told to stop."""

    help = "Make notices of what happened, and send them by mail, chat and webhooks."

    def add_arguments(self, parser: CommandParser) -> None:
        """--loop and --interval."""
        parser.add_argument("--loop", action="store_true", help="go on until SIGTERM or Ctrl-C")
        parser.add_argument("--interval", type=float, default=PAUSE, help="seconds between rounds")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        channels = self._channels()
        if not options["loop"]:
            found = self._gather_all()
            sent = sum(deliver(channel) for channel in channels)
            self.stdout.write(f"{found} taken up, {sent} sent")
            return
        stop = threading.Event()

        def on_signal(number: int, frame: FrameType | None) -> None:
            stop.set()

        signal.signal(signal.SIGTERM, on_signal)
        signal.signal(signal.SIGINT, on_signal)
        Loop(channels, stop, options["interval"]).run()

    def _gather_all(self) -> int:
        found = 0
        while (more := gather()) > 0:
            found += more
            if more < BATCH:
                break
        return found

    def _channels(self) -> list[Channel]:
        try:
            addresses = channel_addresses(
                settings.CHANNEL_ADDRESSES, settings.CHANNELS, allow_http=settings.SANDBOX
            )
        except BadSetting as error:
            raise CommandError(str(error)) from error
        if settings.MAIL_FROM and not settings.MAIL_IS_SENT:
            raise CommandError("Set SALLYPORT_MAIL_URL (or SALLYPORT_MAIL_URL_FILE), too.")
        return channels_of(addresses)


class Loop:
    """Makes notices in the main thread, and sends by each channel in a thread of its own.

    So a server that hangs keeps its own channel waiting, and no other.
    """

    def __init__(self, channels: list[Channel], stop: threading.Event, interval: float) -> None:
        self.channels = channels
        self.stop = stop
        self.interval = interval
        self.threads: dict[str, threading.Thread] = {}

    def run(self) -> None:
        """Until told to stop; then what is being sent has a moment to end."""
        while not self.stop.is_set():
            # A connection that the database dropped since the last round is opened anew.
            close_old_connections()
            self._round()
            self.stop.wait(self.interval)
        for thread in self.threads.values():
            thread.join(GRACE / max(1, len(self.threads)))

    def _round(self) -> None:
        try:
            while gather() >= BATCH and not self.stop.is_set():
                # There is more: whoever waits for it need not wait for the next round.
                continue
        except Error:
            # The database restarts or is away: the next round finds the same rows.
            log.exception("notify_round_failed")
            return
        for channel in self.channels:
            self._start(channel)
        if settings.HEARTBEAT:
            Path(settings.HEARTBEAT).touch()

    def _start(self, channel: Channel) -> None:
        running = self.threads.get(channel.name)
        if running is None or not running.is_alive():
            # A daemon: one that hangs must not keep the process from ending.
            thread = threading.Thread(
                target=self._deliver, args=[channel], name=channel.name, daemon=True
            )
            self.threads[channel.name] = thread
            thread.start()

    def _deliver(self, channel: Channel) -> None:
        try:
            while deliver(channel, stop=self.stop.is_set) >= BATCH:
                continue
        except Exception:
            log.exception("delivery_failed", channel=channel.name)
        finally:
            connections.close_all()
