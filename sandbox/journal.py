"""Every call that came in: who made it, what it was about, and what became of it.

A test reads it to find out which calls there are, and to see that no call ever touched what is not
the product's. Administrators' calls are written down too; `who` tells them apart.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

KEPT: Final = 20_000
READING: Final = ("Get", "List", "Generate", "Simulate")


@dataclass(slots=True)
class Call:
    """One call. `account` is the one that it is about: where a session is opened, that of the role.

    `who` is the caller's ARN, "" where the access key is nobody's; `session` the name of a role's
    session. `object` is the ARN that the call is judged by, `tags` are those that the object had
    before, `names` the parameters that name things. `fault` is what it met, `refusal` AWS's code.
    """

    service: str
    action: str
    account: str
    fault: str = ""
    number: int = 0
    at: str = ""
    who: str = ""
    session: str = ""
    object: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    applied: bool = False
    refusal: str = ""

    @property
    def reads(self) -> bool:
        """Whether it only looks at what IAM holds."""
        return self.service == "iam" and only_reads(self.action)


def only_reads(action: str) -> bool:
    """Whether an action of IAM changes nothing there."""
    return action.startswith(READING)


class Journal:
    """The last calls, in the order in which they came."""

    def __init__(self, kept: int = KEPT) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque(maxlen=kept)
        self._last = 0
        self._cleared = 0

    def write(self, call: Call) -> None:
        """Add a call, and give it its number. What becomes of it is filled in later."""
        with self._lock:
            self._last += 1
            call.number = self._last
            self._calls.append(call)

    def after(self, number: int) -> list[dict[str, Any]]:
        """The calls after the one of this number. Raises ValueError where some were dropped."""
        with self._lock:
            if self._calls and self._calls[0].number > max(number, self._cleared) + 1:
                raise ValueError(f"the calls before {self._calls[0].number} were dropped")
            return [asdict(call) for call in self._calls if call.number > number]

    def clear(self) -> None:
        """Forget all calls. Their numbers go on."""
        with self._lock:
            self._calls.clear()
            self._cleared = self._last
