"""The judge of a world in which processes work: it looks while they do, and is fair to them.

What AWS shows and what the rows say are read one after the other. So the rows are read before and
after: somebody in AWS is entitled if the rows said so at either moment, and has to be locked out
if the rows said so at both.
"""

import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q

from audit.clock import database_now
from provisioning.models import Grant
from tests.judge.judge import who_may_enter
from tests.judge.state import Principal, State
from tests.rig.cases import Violation
from tests.rig.goals import FOREIGN, LATE
from tests.rig.invariants import (
    WITH_AND_WITHOUT_MFA,
    can_work,
    check_touched,
    differences,
    entitled,
    foreign,
    instants,
    is_locked_out,
    issued_roles,
)
from tests.rig.stand import TARGET, Rig, administrator, arn_of, end_of

TRIES = 3
"""Roles that are removed while the judge reads make it read again."""


@dataclass
class Witness:
    """Looks at one run: `since` is the first grant of it."""

    rig: Rig
    since: int
    expected: dict[str, str]
    """What is not ours, as `foreign` tells of it."""
    seen: str = ""
    """Both accounts, when they were last judged."""
    judged: set[str] = field(default_factory=set)
    """Roles as they were, beside their rows: the judge looks at all times to come, so what has not
    changed since need not be judged again."""

    def look(self, *, touched: Collection[str] = ()) -> None:
        """Judge this moment. Roles that somebody has `touched` in AWS are left to the scans."""
        before, dump = self._rows(), self.rig.control("dump")
        if changed := differences(self.expected, foreign(dump)):
            raise Violation(FOREIGN, changed, len(changed))
        if (accounts := json.dumps(dump["accounts"])) != self.seen:
            state = self._state()
            self._judge(before, state, self._rows(), touched)
            self.seen = accounts
        check_touched(self.rig.journal())

    def without_user(self, account: str, name: str) -> None:
        """A stranger has deleted this IAM user: it leaves every group, those that are not ours
        too."""
        user = self.expected.pop(f"{account} users {name}", None)
        if user is None:
            return
        for group, told in self.expected.items():
            if group.startswith(f"{account} groups "):
                left = json.loads(told)
                left["members"] = [one for one in left["members"] if one != json.loads(user)["id"]]
                self.expected[group] = json.dumps(left, sort_keys=True)

    def _state(self) -> State:
        """What AWS shows. Roles that are removed meanwhile make it be read again."""
        for _ in range(TRIES):
            with suppress(administrator(TARGET).exceptions.NoSuchEntityException):
                return self.rig.state()
        return self.rig.state()

    def _rows(self) -> dict[str, Grant]:
        rows = Grant.objects.with_parties().filter(Q(pk__gte=self.since) | ~Q(phase="ended"))
        return {arn_of(one): one for one in rows}

    def _judge(
        self,
        before: dict[str, Grant],
        state: State,
        after: dict[str, Grant],
        touched: Collection[str],
    ) -> None:
        now = database_now()
        users = repr([one for one in state.principals if one.is_user])
        for role in issued_roles(state):
            rows = [rows.get(role.arn) for rows in (before, after)]
            seen = _as_seen(role, users, rows)
            if role.name in touched or seen in self.judged:
                continue
            self.judged.add(seen)
            moments = {at for row in rows for at in instants(row, now)}
            for at in sorted(moments):
                self._judge_role(state, role, rows, at)

    def _judge_role(
        self, state: State, role: Principal, rows: list[Grant | None], at: datetime
    ) -> None:
        for mfa in WITH_AND_WITHOUT_MFA:
            inside = who_may_enter(state, role.arn, at=at, mfa=mfa)
            meant = {who for row in rows for who in entitled(row, at, mfa)}
            if not inside <= meant:
                raise Violation(LATE, (role.name, at, mfa, inside - meant), _late(rows, at))
        over = all(row is None or at >= end_of(row) or is_locked_out(row) for row in rows)
        if over and can_work(state, role, at):
            raise Violation(LATE, (role.name, at, "a session can work"), _late(rows, at))


def _as_seen(role: Principal, users: str, rows: list[Grant | None]) -> str:
    told = [
        row and (row.ends_at, row.revoked_at, row.locked_out_at, row.phase, row.starts_at)
        for row in rows
    ]
    return repr((role, users, told))


def _late(rows: list[Grant | None], at: datetime) -> float:
    """Seconds past the end; one where it is no question of time."""
    ends = [end_of(row) for row in rows if row is not None]
    return max((at - max(ends)).total_seconds(), 1) if ends else 1
