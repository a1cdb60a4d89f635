"""The AWS server of bench/aws.py from the outside, and what its record says."""

import http.client
import json
import os
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.aws import Record
from sandbox.processes import Child, Supervisor, free_port, http_answers
from sandbox.servers import BASE_DIR

START_TIMEOUT = 60.0  # seconds


@dataclass(frozen=True)
class Control:
    """One running server: how it is set, and what it has recorded."""

    port: int

    @property
    def endpoint(self) -> str:
        """What AWS_ENDPOINT_URL has to say."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, data: object = None) -> Any:
        """One request to the server's own addresses."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            body = None if data is None else json.dumps(data)
            connection.request("POST", f"/bench-api/{path}", body)
            return json.load(connection.getresponse())
        finally:
            connection.close()

    def latency(self, ms: float) -> None:
        """How long each call waits before it is worked on."""
        self.ask(f"latency?ms={ms}")

    def limit(self, rate: float) -> None:
        """How many IAM calls a second each account may make; 0 for any number."""
        self.ask(f"limit?rate={rate}")

    def clear(self) -> None:
        """Forget the recorded calls."""
        self.ask("clear")

    def calls(self) -> list[Record]:
        """The recorded calls in the order in which they came."""
        return [Record(*one) for one in self.ask("calls")]

    def cpu(self) -> float:
        """CPU seconds of the server so far."""
        return float(self.ask("cpu"))

    def fill(self, **data: object) -> None:
        """Put users, groups and roles into an account."""
        self.ask("fill", data)

    def state(self, account: str) -> dict[str, Any]:
        """All users, groups and roles of an account."""
        answer: dict[str, Any] = self.ask(f"state?account={account}")
        return answer


@contextmanager
def running(log: Path) -> Iterator[Control]:
    """A server of one's own, empty at first, while the block lasts."""
    port = free_port()
    supervisor = Supervisor()
    child = Child(
        name="AWS bench server",
        argv=[sys.executable, "-m", "bench.aws", "--port", str(port)],
        log=log,
        env=dict(os.environ),
        cwd=BASE_DIR,
        ready=http_answers(port, "/bench-api/ready"),
    )
    try:
        supervisor.start(child)
        supervisor.wait_ready(timeout=START_TIMEOUT)
        yield Control(port)
    finally:
        supervisor.stop()


# --- Reading the record ----------------------------------------------------------------------


def longest_chain(calls: Sequence[Record]) -> int:
    """The critical path in round trips: most calls of which each came after the one before it.

    Calls beside each other count once, whichever account they are for.
    """
    ends: list[float] = []
    lengths: list[int] = []
    for call in sorted(calls, key=lambda one: one.ended):
        before = bisect_right(ends, call.began)
        length = 1 + (lengths[before - 1] if before else 0)
        ends.append(call.ended)
        lengths.append(max(length, lengths[-1] if lengths else 0))
    return lengths[-1] if lengths else 0
