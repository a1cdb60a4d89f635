"""Which approvals are enough: quorum and the strictest rule, by table and at random."""

from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.stages import Stage, advances, can_be_met, needed, progress, strictest

PEOPLE = range(1, 7)
stages_of = st.lists(
    st.builds(
        Stage, st.just("Any"), st.integers(1, 3), st.frozensets(st.sampled_from(PEOPLE), max_size=5)
    ),
    min_size=1,
    max_size=3,
)
approvals = st.lists(st.sampled_from(PEOPLE), unique=True)


def stage(quorum: int, *people: int, name: str = "") -> Stage:
    return Stage(name, quorum, frozenset(people))


def by_brute_force(stages: list[Stage], people: list[int]) -> bool:
    """Whether some way of giving different people to all slots exists, tried one by one."""
    slots = [one for one in stages for _ in range(one.quorum)]
    ways = permutations(people, len(slots)) if len(slots) <= len(people) else ()
    return any(all(p in s.people for p, s in zip(way, slots, strict=True)) for way in ways)


@pytest.mark.parametrize(
    ("stages", "approved", "complete", "open_at"),
    [
        ([stage(1, 1)], [], False, 0),
        ([stage(1, 1)], [1], True, None),
        ([stage(1, 1)], [2], False, 0),
        ([stage(2, 1, 2, 3)], [1], False, 0),
        ([stage(2, 1, 2, 3)], [1, 1], False, 0),
        ([stage(2, 1, 2, 3)], [1, 3], True, None),
        ([stage(1, 1), stage(1, 2)], [1], False, 1),
        ([stage(1, 1), stage(1, 2)], [2], False, 0),
        ([stage(1, 1, 2), stage(1, 1, 2)], [1], False, 1),
        ([stage(1, 1, 2), stage(1, 1, 2)], [1, 2], True, None),
        # Bob counts where he is needed: Carol makes room for him in the second stage.
        ([stage(1, 1, 2), stage(1, 1)], [1], False, 1),
        ([stage(1, 1, 2), stage(1, 1)], [1, 2], True, None),
        ([stage(1)], [1, 2, 3], False, 0),
    ],
)
def test_approvals_are_enough_when_different_people_fill_every_stage(
    stages: list[Stage], approved: list[int], complete: bool, open_at: int | None
) -> None:
    found = progress(stages, approved)
    assert (found.is_complete, found.open_at) == (complete, open_at)


@given(stages_of, approvals)
def test_quorum_holds_for_random_rule_sets(stages: list[Stage], approved: list[int]) -> None:
    found = progress(stages, approved)
    assert found.is_complete == by_brute_force(stages, approved)
    whole = [one for by in found.counted for one in by]
    assert len(whole) == len(set(whole)), "a person counts once over all stages"
    for one, by in zip(found.stages, found.counted, strict=True):
        assert set(by) <= one.people & set(approved)
        assert len(by) <= one.quorum


@given(stages_of, approvals)
def test_the_order_in_which_people_approve_changes_nothing(
    stages: list[Stage], approved: list[int]
) -> None:
    ways = {progress(stages, way).open_at for way in (approved, approved[::-1], sorted(approved))}
    assert len(ways) == 1


@given(stages_of, approvals, st.sampled_from(PEOPLE))
def test_one_more_approval_never_takes_anything_away(
    stages: list[Stage], approved: list[int], person: int
) -> None:
    before, after = progress(stages, approved), progress(stages, [*approved, person])
    for one, other in zip(before.counted, after.counted, strict=True):
        assert len(other) >= len(one)


@given(stages_of, approvals)
def test_whoever_is_asked_brings_the_open_stage_on_and_nobody_else_does(
    stages: list[Stage], approved: list[int]
) -> None:
    now = progress(stages, approved)
    for person in PEOPLE:
        after = progress(stages, [*approved, person])
        moved = now.open_at is not None and sum(map(len, after.counted[: now.open_at + 1])) > sum(
            map(len, now.counted[: now.open_at + 1])
        )
        assert advances(stages, approved, person) == (moved and person not in approved)


@given(stages_of, st.sampled_from(PEOPLE))
def test_too_few_people_are_known_before_anybody_is_asked(stages: list[Stage], who: int) -> None:
    others = [one for one in PEOPLE if one != who]
    possible = any(
        progress([one.without(who) for one in stages], some).is_complete
        for size in range(len(others) + 1)
        for some in combinations(others, size)
    )
    assert can_be_met(stages, without=who) == possible


@given(stages_of, st.lists(st.integers(1, 3), max_size=4), st.integers(1, 4), approvals)
def test_the_strictest_rule_holds_for_random_rule_sets(
    now: list[Stage], pinned: list[int], floor: int, approved: list[int]
) -> None:
    strict = strictest(now, pinned=pinned, floor=floor)
    assert needed(strict) >= max(needed(now), sum(pinned), floor)
    assert [one.people for one in strict] == [one.people for one in now]
    for at, one in enumerate(strict):
        assert one.quorum >= max(now[at].quorum, *pinned[at : at + 1], 0)
    if progress(strict, approved).is_complete:
        assert progress(now, approved).is_complete, "never looser than the offer as it is now"
        assert len(approved) >= max(sum(pinned), floor), "nor than what was pinned"


@given(stages_of)
def test_without_anything_stricter_the_stages_are_as_they_are(now: list[Stage]) -> None:
    assert strictest(now) == tuple(now)
    assert strictest(now, pinned=[one.quorum for one in now]) == tuple(now)


def test_an_offer_without_stages_can_be_approved_by_nobody() -> None:
    (only,) = strictest([], pinned=[], floor=1)
    assert (only.quorum, only.people) == (1, frozenset())
    assert not progress([only], PEOPLE).is_complete


def test_what_a_removed_stage_asked_for_is_asked_of_the_last_one() -> None:
    assert strictest([stage(1, 1, 2, 3)], pinned=[1, 2]) == (stage(3, 1, 2, 3),)
