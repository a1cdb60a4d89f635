"""What is removed of a switch group when pairs are retired."""

import pytest

from provisioning.core import plan, retirement
from provisioning.core.plan import ForeignObject, FoundGroup
from provisioning.core.steps import PlanStep
from tests.core.golden import assert_golden
from tests.core.specs import CLASSIC, spec

NAME = CLASSIC.switch_group
ARN = f"arn:aws:iam::111111111111:group/sallyport/{NAME}"


def found() -> FoundGroup:
    """The group as it stands for two targets."""
    wanted = plan.desired_group(spec(group_targets=("222222222222", "333333333333")).group)
    return FoundGroup("/sallyport/", {"SallyportSwitch": wanted.policy}, wanted.managed)


def calls(steps: tuple[PlanStep, ...]) -> list[str]:
    return [step.call for step in steps]


def test_the_last_use_of_a_group_removes_it_permissions_first() -> None:
    steps = retirement.remove_group(NAME, found(), last=True, members=[])

    assert calls(steps) == ["iam:DeleteGroupPolicy", "iam:DetachGroupPolicy", "iam:DeleteGroup"]
    assert not any(step.gives for step in steps)


@pytest.mark.parametrize(("last", "members"), [(False, []), (True, ["userC"])])
def test_a_group_still_used_or_with_somebody_in_it_only_loses_its_permissions(
    last: bool, members: list[str]
) -> None:
    steps = retirement.remove_group(NAME, found(), last=last, members=members)

    assert calls(steps) == ["iam:DeleteGroupPolicy", "iam:DetachGroupPolicy"]


def test_a_group_that_is_gone_needs_nothing() -> None:
    assert retirement.remove_group(NAME, None, last=True, members=[]) == ()
    assert retirement.narrow_group(CLASSIC.group, None) == ()


def test_a_group_outside_our_path_is_never_touched() -> None:
    foreign = FoundGroup(path="/", inline={}, managed=())

    with pytest.raises(ForeignObject, match="exists outside /sallyport/"):
        retirement.remove_group(NAME, foreign, last=True, members=[])


def test_a_shared_group_loses_the_retired_target_and_gains_nothing() -> None:
    (step,) = retirement.narrow_group(CLASSIC.group, found())

    assert (step.call, step.gives) == ("iam:PutGroupPolicy", False)
    assert "333333333333" in step.documents[0]
    assert "333333333333" not in step.documents[1]
    emptied = FoundGroup("/sallyport/", {}, ())
    assert retirement.narrow_group(CLASSIC.group, emptied) == ()


def test_the_session_that_removes_a_group_is_the_golden_one() -> None:
    assert_golden("retirement-session", retirement.session_policy(ARN))
