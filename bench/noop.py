"""A Celery app with one task that does nothing: what a message costs before any work begins."""

import os
import struct
import time
from pathlib import Path
from typing import Final

from celery import Celery

TIMES: Final = "BENCH_NOOP_TIMES"
"""Names the file that each run of the task adds two moments to: sent, and begun."""
PAIR: Final = struct.Struct("dd")

# The same settings as the product's own (portal/settings.py), with a queue of its own.
# It is not to become the current app of a process that has the product's: tests have both.
app = Celery("bench-noop", broker=os.environ.get("BROKER_URL"), set_as_current=False)
app.conf.update(
    task_default_queue="bench-noop",
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="bench.noop")
def noop(sent: float) -> None:
    """Say when this began, on the clock that all processes of a machine share."""
    with Path(os.environ[TIMES]).open("ab") as file:
        file.write(PAIR.pack(sent, time.monotonic()))
