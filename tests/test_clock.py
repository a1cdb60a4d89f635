"""One clock for every decision about time."""

from datetime import UTC, datetime, timedelta

import pytest

from audit import clock
from audit.clock import carried_on, database_now

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.django_db
def test_the_databases_clock_is_aware_and_in_utc() -> None:
    assert database_now().tzinfo is UTC


def test_a_clock_is_carried_on_by_the_time_that_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = [5000.0]
    monkeypatch.setattr(clock, "_running", lambda: passed[0])
    now = carried_on(NOW)

    passed.append(passed.pop() + 90.5)

    assert now() == NOW + timedelta(seconds=90.5)


def test_this_machines_wall_clock_plays_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    now = carried_on(NOW)
    monkeypatch.setattr(clock.time, "time", lambda: 0.0)  # type: ignore[attr-defined]

    assert abs(now() - NOW) < timedelta(minutes=1)
