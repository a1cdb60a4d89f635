"""`manage.py sweep`: find what is due and get it done."""

import signal
import threading
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import Error, close_old_connections

from provisioning.sweep import PAUSE, Sweeper

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    """One round, or one after another until told to stop."""

    help = "Find due grants, checks and requests in the database; nudge workers or do the work."

    def add_arguments(self, parser: CommandParser) -> None:
        """--loop and --interval."""
        parser.add_argument("--loop", action="store_true", help="go on until SIGTERM or Ctrl-C")
        usual = PAUSE.total_seconds()
        parser.add_argument("--interval", type=float, default=usual, help="seconds between rounds")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        sweeper = Sweeper(pause=timedelta(seconds=options["interval"]))
        if not options["loop"]:
            self.stdout.write(f"{sweeper.sweep()} due")
            return
        stop = threading.Event()

        def on_signal(number: int, frame: FrameType | None) -> None:
            stop.set()

        signal.signal(signal.SIGTERM, on_signal)
        signal.signal(signal.SIGINT, on_signal)
        while not stop.is_set():
            # A connection that the database dropped since the last round is opened anew.
            close_old_connections()
            self._round(sweeper)
            stop.wait(sweeper.rest.total_seconds())

    def _beat(self) -> None:
        """Tell a health check that a round went well."""
        if settings.HEARTBEAT:
            Path(settings.HEARTBEAT).touch()

    def _round(self, sweeper: Sweeper) -> None:
        try:
            sweeper.sweep()
            self._beat()
        except Error:
            # The database restarts or is away: the next round finds the same rows.
            log.exception("sweep_round_failed")
