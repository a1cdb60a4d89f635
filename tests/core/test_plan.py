"""From what is found to what is wanted, in a safe order."""

import copy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from provisioning.core import documents, naming, plan, steps
from provisioning.core.plan import NOTHING, ForeignObject, Found, GrantSpec
from tests.core.golden import assert_golden
from tests.core.simulated import after
from tests.core.specs import CLASSIC, END, INLINE, NOW, spec

USER_THERE = Found(user_id="AIDAUSERA")


def planned(grant: GrantSpec, found: Found = NOTHING, *, now: Any = NOW) -> tuple[Any, ...]:
    return plan.plan(plan.desired(grant, now), found)


def provisioned(grant: GrantSpec = CLASSIC) -> Found:
    return after(USER_THERE, *planned(grant))


def calls(done: tuple[Any, ...]) -> list[str]:
    return [step.action for step in done]


def test_provisioning_arms_last() -> None:
    assert calls(planned(spec(inline_policy=INLINE))) == [
        "CreateGroup",
        "PutGroupPolicy",
        "AttachGroupPolicy",
        "AddUserToGroup",
        "CreateRole",
        "PutRolePolicy",
        "PutRolePolicy",
        "AttachRolePolicy",
    ]


def test_the_dated_deny_stands_before_any_permission() -> None:
    policies = [
        s.policy for s in planned(spec(inline_policy=INLINE)) if s.action == "PutRolePolicy"
    ]

    assert policies == [naming.END_POLICY, naming.PROFILE_POLICY]


REVOKED = replace(CLASSIC, revoked_at=END - timedelta(minutes=10))


def test_removal_disarms_first_and_permissions_go_before_the_deny() -> None:
    done = planned(REVOKED, provisioned(), now=END - timedelta(minutes=5))

    assert calls(done) == [
        "PutRolePolicy",
        "RemoveUserFromGroup",
        "DetachRolePolicy",
        "DeleteRolePolicy",
        "DeleteRole",
    ]
    assert done[0] == plan.lock_out(CLASSIC.role_name)
    assert done[0].document == documents.deny_all()


def test_access_that_ended_by_itself_needs_no_lock_out_while_its_dated_deny_stands() -> None:
    done = planned(CLASSIC, provisioned(), now=END)

    assert calls(done) == [
        "RemoveUserFromGroup",
        "DetachRolePolicy",
        "DeleteRolePolicy",
        "DeleteRole",
    ]


@pytest.mark.parametrize("end", [None, "2099-01-01T00:00:00Z"])
def test_access_that_ended_is_locked_out_where_the_dated_deny_is_gone_or_later(
    end: str | None,
) -> None:
    inline = {naming.END_POLICY: documents.dated_deny(end)} if end else {}

    done = planned(CLASSIC, drifted(inline=inline), now=END)

    assert done[0] == plan.lock_out(CLASSIC.role_name)


@pytest.mark.parametrize("inline", [None, INLINE])
@pytest.mark.parametrize("mfa", [True, False])
def test_applying_a_plan_leaves_an_empty_one(inline: Any, mfa: bool) -> None:
    grant = spec(inline_policy=inline, require_mfa=mfa)
    there = provisioned(grant)

    assert planned(grant, there) == ()
    gone = after(there, *planned(grant, there, now=END))
    assert planned(grant, gone, now=END) == ()
    assert (gone.role, gone.member) == (None, False)


def test_a_removal_broken_off_anywhere_is_finished_by_the_next_plan() -> None:
    grant = spec(inline_policy=INLINE)
    full = planned(grant, provisioned(grant), now=END)
    for done in range(len(full) + 1):
        broken_off = after(provisioned(grant), *full[:done])
        finished = after(broken_off, *planned(grant, broken_off, now=END))
        assert planned(grant, finished, now=END) == (), done


def test_a_provisioning_broken_off_anywhere_is_finished_or_removed() -> None:
    grant = spec(inline_policy=INLINE)
    full = planned(grant)
    for done in range(len(full) + 1):
        broken_off = after(USER_THERE, *full[:done])
        finished = after(broken_off, *planned(grant, broken_off))
        assert planned(grant, finished) == (), done
        removed = after(broken_off, *planned(grant, broken_off, now=END))
        assert (removed.role, removed.member) == (None, False), done


def test_membership_stays_while_another_live_grant_needs_it() -> None:
    there = provisioned()

    done = planned(spec(keep_membership=True), there, now=END)

    assert "RemoveUserFromGroup" not in calls(done)
    assert after(there, *done).member


def test_revocation_ends_access_before_its_time() -> None:
    done = planned(spec(revoked_at=NOW), provisioned(), now=NOW + timedelta(seconds=1))

    assert calls(done)[0] == "PutRolePolicy"
    assert calls(done)[-1] == "DeleteRole"


def test_every_step_that_adds_access_says_so() -> None:
    giving = {step.action for step in planned(spec(inline_policy=INLINE)) if step.gives}

    assert giving == {
        "CreateGroup",
        "PutGroupPolicy",
        "AttachGroupPolicy",
        "AddUserToGroup",
        "CreateRole",
        "PutRolePolicy",
        "AttachRolePolicy",
    }
    assert not any(step.gives for step in planned(CLASSIC, provisioned(), now=END))


def drifted(**changes: Any) -> Found:
    found = provisioned()
    assert found.role is not None
    return replace(found, role=replace(found.role, **changes))


ROOT_TRUST = documents.trust_policy(
    user_arn="arn:aws:iam::111111111111:root", end=CLASSIC.end, require_mfa=True
)
NOBODY: dict[str, Any] = {"Version": "2012-10-17", "Statement": []}
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.mark.parametrize(
    ("found", "action", "gives"),
    [
        (drifted(trust=ROOT_TRUST), "UpdateAssumeRolePolicy", False),
        (drifted(trust=NOBODY), "UpdateAssumeRolePolicy", True),
        (drifted(boundary_arn=""), "PutRolePermissionsBoundary", False),
        (drifted(inline={}), "PutRolePolicy", False),
        (drifted(managed=()), "AttachRolePolicy", True),
        (drifted(max_session_seconds=43200), "UpdateRole", False),
        (replace(provisioned(), member=False), "AddUserToGroup", True),
    ],
)
def test_drift_that_widens_is_cut_back_and_drift_that_narrows_waits(
    found: Found, action: str, gives: bool
) -> None:
    (step,) = planned(CLASSIC, found)

    assert (step.action, step.gives) == (action, gives)


def test_a_lost_boundary_is_put_back_before_anything_else() -> None:
    # The provisioner role may do nothing else on a role without it [AWS-FACTS 6.2].
    found = drifted(boundary_arn="", trust=ROOT_TRUST)

    assert calls(planned(CLASSIC, found))[0] == "PutRolePermissionsBoundary"
    assert calls(planned(REVOKED, found))[:2] == [
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
    ]


def test_what_is_gone_is_not_made_again_without_a_person() -> None:
    no_role = replace(provisioned(), role=None)
    no_group = replace(provisioned(), group=None, member=False)

    for found in (no_role, no_group):
        steps = planned(CLASSIC, found)
        assert steps
        assert plan.without_a_person(steps) == ()


def test_repair_keeps_to_what_takes_access_away() -> None:
    found = drifted(trust=ROOT_TRUST, managed=())

    repairs = plan.without_a_person(planned(CLASSIC, found))

    assert calls(repairs) == ["UpdateAssumeRolePolicy"]


def test_a_foreign_policy_on_our_role_is_taken_off_without_a_person() -> None:
    role = provisioned().role
    assert role is not None
    found = drifted(managed=(*role.managed, ADMIN), inline={**role.inline, "Backdoor": INLINE})

    done = planned(CLASSIC, found)

    assert {(s.action, s.gives) for s in done} == {
        ("DetachRolePolicy", False),
        ("DeleteRolePolicy", False),
    }


def test_a_lock_out_on_a_live_grant_is_not_lifted_without_a_person() -> None:
    role = provisioned().role
    assert role is not None
    found = drifted(inline={naming.END_POLICY: documents.deny_all()})

    (step,) = planned(CLASSIC, found)

    assert isinstance(step, steps.PutRolePolicy)
    assert (step.policy, step.gives) == (naming.END_POLICY, True)


def test_a_deny_that_somebody_put_on_the_role_is_not_lifted_without_a_person() -> None:
    role = provisioned().role
    assert role is not None
    found = drifted(inline={**role.inline, "Stop": documents.deny_all()})

    (step,) = planned(CLASSIC, found)

    assert step == steps.DeleteRolePolicy(role=CLASSIC.role_name, policy="Stop", gives=True)


LATER, EARLIER = END + timedelta(hours=1), END - timedelta(minutes=10)


@pytest.mark.parametrize(("now_in_aws", "gives"), [(EARLIER, True), (LATER, False)])
def test_moving_the_end_gives_only_where_it_gets_later(now_in_aws: datetime, gives: bool) -> None:
    found = provisioned(replace(CLASSIC, ends_at=now_in_aws))

    done = planned(CLASSIC, found)

    assert {(step.action, step.gives) for step in done} == {
        ("UpdateAssumeRolePolicy", gives),
        ("PutRolePolicy", gives),
        ("TagRole", False),
    }


def test_a_trust_policy_with_another_condition_is_not_opened_again_without_a_person() -> None:
    role = provisioned().role
    assert role is not None
    trust = copy.deepcopy(role.trust)
    trust["Statement"][0]["Condition"]["IpAddress"] = {"aws:SourceIp": "192.0.2.0/24"}

    (step,) = planned(CLASSIC, drifted(trust=trust))

    assert (step.action, step.gives) == ("UpdateAssumeRolePolicy", True)


def test_what_was_made_is_what_is_wanted() -> None:
    found = plan.as_made(CLASSIC, locked=False)

    assert replace(found, group=provisioned().group) == provisioned()
    assert not planned(replace(CLASSIC, group_is_ready=True), found)


@pytest.mark.parametrize("locked", [True, False])
@pytest.mark.parametrize("keep", [True, False])
def test_removing_what_was_made_leaves_nothing(locked: bool, keep: bool) -> None:
    grant = replace(REVOKED, keep_membership=keep, inline_policy=INLINE)
    found = plan.as_made(grant, locked=locked)

    done = planned(grant, found, now=END)

    assert plan.after(found, done) == Found(member=False, user_id=CLASSIC.user_id)
    assert ("PutRolePolicy" in calls(done)) is not locked
    assert ("RemoveUserFromGroup" in calls(done)) is not keep


def test_acknowledged_steps_are_what_aws_holds_then() -> None:
    found = Found(user_id=CLASSIC.user_id)
    grant = replace(CLASSIC, group_is_ready=True, inline_policy=INLINE)

    done = planned(grant, found)

    assert plan.after(found, done) == after(found, *done)
    assert not planned(grant, plan.after(found, done))


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {naming.TAG_GRANT: "another", naming.TAG_PORTAL: "sandbox"},
        {naming.TAG_GRANT: CLASSIC.code},
    ],
)
def test_a_role_without_our_tags_is_never_touched(tags: dict[str, str]) -> None:
    found = drifted(tags=tags)

    for now in (NOW, END):
        with pytest.raises(ForeignObject, match="A role named"):
            planned(CLASSIC, found, now=now)


def test_things_of_our_names_outside_our_path_are_never_touched() -> None:
    group = provisioned().group
    assert group is not None

    with pytest.raises(ForeignObject, match="group"):
        planned(CLASSIC, replace(provisioned(), group=replace(group, path="/")))
    with pytest.raises(ForeignObject, match="role"):
        planned(CLASSIC, drifted(path="/"))


def test_fingerprint_is_the_same_before_and_after_the_decision() -> None:
    undecided = spec(ends_at=None)

    assert plan.fingerprint(undecided) == plan.fingerprint(CLASSIC)
    assert undecided.end == "decision + PT30M"


@pytest.mark.parametrize(
    "changes",
    [
        {"duration": timedelta(minutes=31)},
        {"user_arn": "arn:aws:iam::111111111111:user/other"},
        {"user_id": "AIDAOTHER"},
        {"managed_policies": ("ReadOnlyAccess", "AdministratorAccess")},
        {"inline_policy": INLINE},
        {"require_mfa": False},
        {"max_session": timedelta(hours=2)},
        {"boundary_arn": "arn:aws:iam::222222222222:policy/Other"},
        {"group_policies": ()},
        {"switch_group": "another"},
        {"profile_role": "Other"},
        {"portal_id": "other"},
        {"asked_start": NOW},
        {"until": END},
    ],
)
def test_fingerprint_changes_with_everything_that_an_approver_saw(changes: dict[str, Any]) -> None:
    assert plan.fingerprint(spec(**changes)) != plan.fingerprint(CLASSIC)


def test_fingerprint_leaves_out_what_other_grants_do_to_a_shared_group() -> None:
    shared = spec(group_targets=("222222222222", "333333333333"), keep_membership=True)

    assert plan.fingerprint(shared) == plan.fingerprint(CLASSIC)


def test_the_whole_classic_plan_is_the_golden_one() -> None:
    made = [
        {"call": s.call, "sentence": s.sentence, "gives": s.gives, "document": s.documents[1]}
        for s in planned(CLASSIC)
    ]

    assert_golden("plan-classic", {"steps": made})


def test_an_extension_is_approved_with_its_absolute_end() -> None:
    asked = spec(ends_at=None, until=END)

    assert asked.end == "2026-11-23T12:30:00Z"
    later = replace(asked, until=END + timedelta(minutes=1))
    assert plan.fingerprint(asked) != plan.fingerprint(later)


def test_a_later_end_moves_the_trust_and_the_deny_and_nothing_else() -> None:
    standing = plan.made(plan.desired(CLASSIC, NOW), CLASSIC.user_id)
    assert plan.plan(plan.desired(CLASSIC, NOW), standing) == ()

    steps = plan.plan(
        plan.desired(spec(ends_at=None, until=END + timedelta(hours=1)), NOW), standing
    )

    calls = [step.call for step in steps if step.call != "iam:TagRole"]
    assert calls == ["iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy"]
    for step in steps:
        before, after = step.documents
        assert "2026-11-23T12:30:00Z" in before
        assert "2026-11-23T13:30:00Z" in after


@pytest.mark.parametrize(("seconds", "exists"), [(-1, False), (0, True)])
def test_nothing_should_exist_before_the_start(seconds: int, exists: bool) -> None:
    wanted = plan.desired(spec(starts_at=NOW), NOW + timedelta(seconds=seconds))

    assert (wanted.role is not None, wanted.member) == (exists, exists)
