"""The runner itself: which units there are, what a number stands for, and the table at the end."""

from tests.rig.goals import CLEAN_UP, LATE, REVOKE, Seen, percentile
from tests.rig.random_runs import ACTIONS, script
from tests.rig.run import Run
from tests.rig.units import RUNS, all_units


def names(only: str, *, full: bool = False, seed: int = 1) -> list[str]:
    return [one.name for one in all_units(full=full, seed=seed, only=only)]


def test_a_random_run_is_named_by_its_number_alone() -> None:
    assert names("random:1") == ["random:1"]
    assert names("random:5000", seed=7) == ["random:5000"]
    assert names("random:", seed=7) == [f"random:{number}" for number in range(7, 7 + RUNS)]


def test_the_name_of_a_case_leads_to_its_unit() -> None:
    case = "kill:provision:calls provision:222222222222.CreateRole.1:after"

    assert names(case) == ["kill:provision:calls"]


def test_a_number_always_stands_for_the_same_actions() -> None:
    assert script(17) == script(17)
    assert script(17) != script(18)


def test_every_action_is_something_that_a_run_can_do() -> None:
    assert all(callable(getattr(Run, name)) for name in ACTIONS)
    assert [str(one) for one in script(17)][1] == "approve 0 1"


def test_the_table_counts_what_was_told() -> None:
    seen = Seen()
    seen.case("random:1", failed=False)
    seen.case("random:2", failed=True)
    seen.figure(LATE, 3)
    for seconds in (1.0, 2.0, 4.0):
        seen.figure(REVOKE, seconds)

    lines = {line.strip().split("  ")[0]: line for line in seen.table().splitlines()}

    assert "1 of 2 passed" in lines["random runs"]
    assert " 3 " in lines[LATE]
    assert "p95 4.0 s, max 4.0 s of 3" in lines[REVOKE]
    assert CLEAN_UP not in lines


def test_a_percentile_is_a_value_that_was_seen() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 95) == 95.0
