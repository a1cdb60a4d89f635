"""What users, groups and roles were a while ago, so that reads can be answered from then.

IAM is eventually consistent: a replica that has not heard of a change answers a read as if it had
not happened [AWS-FACTS 7.6]. Here every change leaves behind what its object was before, and
`as_of` puts these back for as long as one read is answered. Objects keep their identity meanwhile,
as group members and policies refer to them. Managed policies and users' tags are not covered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sandbox.iam_requests import TARGETS, Params
from sandbox.iam_store import Backend

KEPT: Final = 2000
KINDS: Final = ("user", "group", "role")


@dataclass(frozen=True, slots=True)
class Earlier:
    """What one name stood for until `until`: an object with its attributes, or nothing."""

    until: datetime
    account: Backend
    kind: str
    name: str
    thing: Any | None
    attributes: dict[str, Any]


class History:
    """What the last changes have changed."""

    def __init__(self) -> None:
        self._earlier: deque[Earlier] = deque(maxlen=KEPT)

    def keep(self, account: Backend, action: str, params: Params, now: datetime) -> None:
        """Remember the object of a call that is about to change it."""
        target = TARGETS.get(action)
        if target is None or target.kind not in KINDS:
            return
        for parameter in (target.parameter, f"New{target.parameter}"):
            if name := params.get(parameter):
                thing = account.named(target.kind).get(name)
                attributes = _copied(thing) if thing is not None else {}
                one = Earlier(now, account, target.kind, name, thing, attributes)
                self._earlier.append(one)

    @contextmanager
    def as_of(self, moment: datetime) -> Iterator[None]:
        """For the length of the block the store is what it was at this moment."""
        view: dict[tuple[int, str, str], Earlier] = {}
        for one in reversed(self._earlier):
            if one.until <= moment:
                break
            # The oldest change after the moment tells what was there at the moment.
            view[id(one.account), one.kind, one.name] = one
        with ExitStack() as stack:
            for one in view.values():
                stack.enter_context(_shown(one))
            yield

    def clear(self) -> None:
        """Forget: the store was emptied or loaded."""
        self._earlier.clear()


def _copied(thing: Any) -> dict[str, Any]:
    """An object's attributes, containers copied: calls change them in place."""
    return {name: _copy(name, value) for name, value in vars(thing).items()}


def _copy(name: str, value: Any) -> Any:
    if name == "tags":
        return deepcopy(value)
    return value.copy() if isinstance(value, dict | list) else value


@contextmanager
def _shown(one: Earlier) -> Iterator[None]:
    present = one.account.named(one.kind).get(one.name)
    attributes = dict(vars(one.thing)) if one.thing is not None else {}
    if one.thing is not None:
        vars(one.thing).update(one.attributes)
    _put(one, one.thing, instead_of=present)
    try:
        yield
    finally:
        _put(one, present, instead_of=one.thing)
        if one.thing is not None:
            vars(one.thing).update(attributes)


def _put(one: Earlier, thing: Any | None, *, instead_of: Any | None) -> None:
    names, ids = one.account.named(one.kind), _ids(one.account, one.kind)
    if instead_of is not None:
        names.pop(one.name, None)
        ids.pop(instead_of.id, None)
    if thing is not None:
        names[one.name] = ids[thing.id] = thing


def _ids(account: Backend, kind: str) -> MutableMapping[str, Any]:
    kinds: dict[str, MutableMapping[str, Any]] = {
        "user": account.users_by_id,
        "group": {},
        "role": account.roles,
    }
    return kinds[kind]
