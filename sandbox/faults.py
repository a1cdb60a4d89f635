"""What goes wrong between a caller and AWS, brought about on the wire by order of a test.

A fault waits for the calls that it names and meets the nth of them and `times` more: it refuses
in AWS's words, cuts or garbles the answer, or holds the call until it is let go, so that a test
can stop or kill the caller at exactly this moment. Administrators' calls are left alone: with
them a test looks at what came of it.

Every call is written down, in the order in which it came, so that a test can find out which calls
there are before it decides which of them to spoil.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from sandbox.aws_errors import AwsError

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

WIRE: Final = frozenset({"lost", "cut", "garbage", "silence", "hold-before", "hold-after"})
"""lost: not applied, the connection breaks. cut: applied, and then it breaks. garbage: applied,
the answer is nonsense. silence: applied, no answer until the caller gives up. hold: the call waits
for `release`, before or after it is applied."""

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
    seen: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.kind not in REFUSALS and self.kind not in WIRE:
            raise ValueError(f"there is no fault {self.kind}")

    def meets(self, call: Call) -> bool:
        """Whether this call is one that it spoils. Counts the call."""
        for name in ("service", "action", "account"):
            if getattr(self, name) not in ("", getattr(call, name)):
                return False
        self.seen += 1
        return self.nth <= self.seen and (not self.times or self.seen < self.nth + self.times)


@dataclass(slots=True)
class Call:
    """One call as it came in. `account` is the one that it is about: where a session is opened,
    that of the role. `fault` is what it met."""

    service: str
    action: str
    account: str
    fault: str = ""


class Faults:
    """All faults that wait, all calls that came, and those that are held now."""

    def __init__(self) -> None:
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
        with self._lock:
            self._armed += [Fault(**wish) for wish in wishes]

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

    def meet(self, call: Call) -> str:
        """Write a call down; the kind of fault that it meets, or ""."""
        with self._lock:
            met = [fault for fault in self._armed if fault.meets(call)]
            call.fault = met[0].kind if met else ""
            self._calls.append(call)
        return call.fault

    def before(self, call: Call) -> None:
        """What goes wrong before a call is applied. Raises AwsError or ConnectionCut."""
        if call.fault in REFUSALS:
            raise REFUSALS[call.fault]
        if call.fault == "lost":
            raise ConnectionCut
        if call.fault == "hold-before":
            self._hold(call)

    def after(self, call: Call) -> bytes | None:
        """What goes wrong after it was applied: another body than AWS's, or ConnectionCut."""
        if call.fault == "cut":
            raise ConnectionCut
        if call.fault in ("hold-after", "silence"):
            self._hold(call)
        return GARBAGE if call.fault == "garbage" else None

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
