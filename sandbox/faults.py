"""What goes wrong between a caller and AWS, brought about on the wire by order of a test.

A fault waits for the calls that it names and meets the nth of them and `times` more: it refuses
in AWS's words, cuts or garbles the answer, answers a read from a while ago, kills or stops a
process of the product at exactly this moment, or holds the call until it is let go.
Administrators' calls are left alone: with them a test looks at what came of it.

The calls are remembered, in the order in which they came, so that a test can find out which there
are before it decides which of them to spoil.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import timedelta
from typing import Any, Final

from sandbox.aws_errors import AwsError
from sandbox.journal import Call

KEPT_CALLS: Final = 5000
LONGEST_HOLD: Final = 60.0
"""Seconds after which a held call is dropped: the test that held it is dead."""

REFUSALS: Final[Mapping[str, AwsError]] = {
    "throttle": AwsError("Throttling", "Rate exceeded"),
    "failure": AwsError("ServiceFailure", "Service failure.", 500),
    "unavailable": AwsError("ServiceUnavailable", "Service is unavailable.", 503),
    "concurrent": AwsError(
        "ConcurrentModification",
        "The request was rejected because multiple requests to change this object were submitted"
        " simultaneously. Wait a few minutes and submit your request again.",
        409,
    ),
    "unmodifiable": AwsError(
        "EntityTemporarilyUnmodifiable",
        "The entity is temporarily unmodifiable. Please try again later.",
        409,
    ),
    "limit": AwsError("LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000", 409),
    "delete-conflict": AwsError(
        "DeleteConflict", "Cannot delete entity, must detach all policies first.", 409
    ),
    "invalid-principal": AwsError(
        "MalformedPolicyDocument",
        'Invalid principal in policy: "AWS":"arn:aws:iam::111111111111:user/userA"',
    ),
    "malformed": AwsError("MalformedPolicyDocument", "Syntax errors in policy."),
    "expired-token": AwsError(
        "ExpiredToken", "The security token included in the request is expired", 403
    ),
    "request-expired": AwsError("RequestExpired", "Request has expired."),
    "skew": AwsError(
        "SignatureDoesNotMatch",
        "Signature expired: 20261123T115500Z is now earlier than 20261123T120000Z"
        " (20261123T121500Z - 15 min.)",
        403,
    ),
    "denied": AwsError("AccessDenied", "User is not authorized to perform this.", 403),
    "not-found": AwsError("NoSuchEntity", "It cannot be found.", 404),
}
"""Refused before anything is applied [AWS-FACTS 7.1, 7.2]. `not-found` on a read is what a replica
answers that has not heard of the thing yet [7.6]."""

WIRE: Final = frozenset({"lost", "cut", "garbage", "silence", "hang", "hold-before", "hold-after"})
"""lost: not applied, the connection breaks. cut: applied, and then it breaks. garbage: applied,
the answer is nonsense. silence: applied, no answer until the caller gives up. hang: the same, not
applied. hold: the call waits for `release`, before or after it is applied."""

SIGNALS: Final[Mapping[str, signal.Signals]] = {
    "kill-before": signal.SIGKILL,
    "kill-after": signal.SIGKILL,
    "stop-before": signal.SIGSTOP,
    "stop-after": signal.SIGSTOP,
}
"""Sent to the process `pid` before or after the call is applied; to the caller itself where `pid`
is 0. kill: the connection breaks. stop-before: the call waits for `release`, as it would on its
way, and may be applied while the process stands still. stop-after: the answer waits for it."""

STALE: Final = "stale"
"""A read that is answered as it would have been `seconds` ago on AWS's clock, by a replica that has
not heard of what happened since. Meets reads only: with `times` 0, each change of an object is
unseen for so long."""

KINDS: Final = frozenset({*REFUSALS, *WIRE, *SIGNALS, STALE})

GARBAGE: Final = b"<html><body>502 Bad Gateway</body></html>"


class ConnectionCut(ConnectionAbortedError):
    """The connection is closed without an answer."""


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong. Empty names match every call; `times` 0 is for ever."""

    kind: str
    service: str = ""
    action: str = ""
    account: str = ""
    nth: int = 1
    times: int = 1
    seconds: float = 30
    pid: int = 0
    seen: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"there is no fault {self.kind}")
        if self.pid < 0:
            raise ValueError("a fault is for one process")

    def meets(self, call: Call) -> bool:
        """Whether this call is one that it spoils. Counts the call."""
        if self.kind == STALE and not call.reads:
            return False
        for name in ("service", "action", "account"):
            if getattr(self, name) not in ("", getattr(call, name)):
                return False
        self.seen += 1
        return self.nth <= self.seen and (not self.times or self.seen < self.nth + self.times)


def _send(kind: str, pid: int) -> None:
    """Kill or stop a process; one that is gone already is as good as killed."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, SIGNALS[kind])


class Faults:
    """All faults that wait, all calls that came, and those that are held now.

    Processes are killed or stopped only where `signals` says so: by whoever started the server.
    """

    def __init__(self, *, signals: bool = False) -> None:
        self._signals = signals
        self._lock = threading.Condition()
        self._armed: list[Fault] = []
        self._calls: deque[Call] = deque(maxlen=KEPT_CALLS)
        self._held: list[Call] = []
        self._verdict = ""
        self._era = 0

    def arm(self, wishes: list[dict[str, Any]]) -> None:
        """Let these faults wait for their calls. Raises ValueError for what is no fault."""
        known = {one.name for one in fields(Fault) if one.init}
        if any(set(wish) - known for wish in wishes):
            raise ValueError(f"a fault has {sorted(known)}")
        faults = [Fault(**wish) for wish in wishes]
        if not self._signals and any(one.kind in SIGNALS for one in faults):
            raise ValueError("only a server started with --signals kills or stops processes")
        with self._lock:
            self._armed += faults

    def clear(self) -> None:
        """Nothing goes wrong any more; what is held is dropped, and the calls are forgotten."""
        with self._lock:
            self._armed.clear()
            self._calls.clear()
            self._era += 1
            self._lock.notify_all()

    def calls(self) -> list[dict[str, Any]]:
        """All calls since the last `clear`, administrators' apart."""
        with self._lock:
            return [asdict(call) for call in self._calls]

    def held(self, wait: float) -> list[dict[str, Any]]:
        """The calls that are held; waits for the first one."""
        with self._lock:
            self._lock.wait_for(lambda: bool(self._held), timeout=wait)
            return [asdict(call) for call in self._held]

    def release(self, *, drop: bool) -> None:
        """Let held calls go on, or break their connections."""
        with self._lock:
            self._verdict = "drop" if drop else "go"
            self._era += 1
            self._lock.notify_all()
            self._lock.wait_for(lambda: not self._held, timeout=LONGEST_HOLD)
            self._verdict = ""

    def meet(self, call: Call) -> Fault | None:
        """Note a call; the fault that it meets."""
        with self._lock:
            met = [fault for fault in self._armed if fault.meets(call)]
            call.fault = met[0].kind if met else ""
            self._calls.append(call)
        return met[0] if met else None

    def before(self, fault: Fault, call: Call, pid: int) -> None:
        """What goes wrong before a call is applied. Raises AwsError or ConnectionCut.

        `pid` is the process to which signals go.
        """
        kind = fault.kind
        if kind in REFUSALS:
            raise REFUSALS[kind]
        if kind.endswith("-before") and kind in SIGNALS:
            _send(kind, pid)
        if kind in ("hold-before", "stop-before", "hang"):
            self._hold(call)
        if kind in ("lost", "kill-before", "hang"):
            raise ConnectionCut

    def after(self, fault: Fault, call: Call, pid: int) -> bytes | None:
        """What goes wrong after it was applied: another body than AWS's, or ConnectionCut."""
        kind = fault.kind
        if kind.endswith("-after") and kind in SIGNALS:
            _send(kind, pid)
        if kind in ("cut", "kill-after"):
            raise ConnectionCut
        if kind in ("hold-after", "silence"):
            self._hold(call)
        return GARBAGE if kind == "garbage" else None

    def _hold(self, call: Call) -> None:
        with self._lock:
            era = self._era
            self._held.append(call)
            self._lock.notify_all()
            let_go = self._lock.wait_for(lambda: self._era != era, timeout=LONGEST_HOLD)
            self._held.remove(call)
            self._lock.notify_all()
            if not let_go or self._verdict != "go":
                raise ConnectionCut


ROLE_ACCOUNT = re.compile(r"arn:[\w-]+:iam::(\d{12}):")


def account_of(action: str, params: Mapping[str, str], caller_account: str) -> str:
    """The account that a call is about."""
    found = ROLE_ACCOUNT.match(params.get("RoleArn", "")) if action == "AssumeRole" else None
    return found[1] if found else caller_account


def unseen_for(fault: Fault | None) -> timedelta:
    """How long ago a read is answered from."""
    stale = fault is not None and fault.kind == STALE
    return timedelta(seconds=fault.seconds) if fault and stale else timedelta()
