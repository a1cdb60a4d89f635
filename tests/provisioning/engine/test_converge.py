"""Convergence against the server that stands for AWS, judged by reading the state back."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db.models import F

from accounts.models import AccountPair, AwsAccount, IamIdentity, Offer, User
from accounts.services.accounts import change_account
from accounts.services.identities import relink_identity
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import lifecycle, services, specs
from provisioning.core import plan
from provisioning.core.states import Phase
from provisioning.engine import converge, onboard, pacing, switch_groups
from provisioning.engine import preview as preview_module
from provisioning.engine import settle as settling
from provisioning.models import AccessRequest, Grant
from tests.aws_world import Approved, Aws, only_statement, refused_code
from tests.factories import AccountPairFactory, AwsAccountFactory, GrantFactory, first_stage

SOURCE, TARGET = "111111111111", "222222222222"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def settle(grant: Grant) -> Grant:
    """Let a worker look at a grant, and read the row again."""
    converge.converge(grant.pk)
    return Grant.objects.with_parties().get(pk=grant.pk)


def role_arn(grant: Grant) -> str:
    return f"arn:aws:iam::{TARGET}:role/sallyport/{grant.role_name}"


def test_an_approved_grant_becomes_active_and_opens_the_target_to_its_person(
    approved: Approved, aws: Aws
) -> None:
    grant = settle(approved())

    assert (grant.phase, grant.last_error) == ("active", "")
    session = aws.enter("userA", role_arn(grant))
    arn = session["AssumedRoleUser"]["Arn"]
    assert arn == f"arn:aws:sts::{TARGET}:assumed-role/{grant.role_name}/userA"
    assert grant.role_name.startswith("SecurityReadOnlyRole-userA-")
    aws.reads(session)


def test_what_stands_in_aws_is_one_user_until_the_end_within_the_boundary(
    approved: Approved, aws: Aws
) -> None:
    grant = settle(approved())
    iam = aws.admin(TARGET)

    role = iam.get_role(RoleName=grant.role_name)["Role"]
    trust = only_statement(role["AssumeRolePolicyDocument"])
    end = f"{grant.ends_at:%Y-%m-%dT%H:%M:%SZ}"
    assert role["Path"] == "/sallyport/"
    assert trust["Principal"] == {"AWS": f"arn:aws:iam::{SOURCE}:user/userA"}
    assert trust["Condition"]["DateLessThan"] == {"aws:CurrentTime": end}
    assert trust["Condition"]["Bool"] == {"aws:MultiFactorAuthPresent": "true"}
    boundary = f"arn:aws:iam::{TARGET}:policy/SallyportBoundary"
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    assert {tag["Key"]: tag["Value"] for tag in role["Tags"]} == {
        "sallyport:grant": grant.code,
        "sallyport:portal": "sandbox",
        "sallyport:ends-at": end,
    }
    deny = iam.get_role_policy(RoleName=grant.role_name, PolicyName="SallyportEnd")
    statement = only_statement(deny["PolicyDocument"])
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", "*", "*")
    assert statement["Condition"] == {"DateGreaterThanEquals": {"aws:CurrentTime": end}}
    attached = iam.list_attached_role_policies(RoleName=grant.role_name)["AttachedPolicies"]
    assert [one["PolicyArn"] for one in attached] == [READ_ONLY]


def test_the_switch_group_opens_issued_roles_of_the_target_and_never_everything(
    approved: Approved, aws: Aws
) -> None:
    settle(approved())
    iam = aws.admin(SOURCE)

    policy = iam.get_group_policy(GroupName=f"switch-to-{TARGET}", PolicyName="SallyportSwitch")[
        "PolicyDocument"
    ]
    statement = only_statement(policy)
    assert statement["Action"] == "sts:AssumeRole"
    assert statement["Resource"] == [f"arn:aws:iam::{TARGET}:role/sallyport/*"]
    assert f"switch-to-{TARGET}" in aws.groups_of(SOURCE, "userA")


def test_a_second_run_makes_no_second_change(approved: Approved, aws: Aws) -> None:
    grant = settle(approved())
    events = AuditEvent.objects.count()

    again = settle(grant)

    assert again.phase == "active"
    assert AuditEvent.objects.count() == events
    assert aws.issued_roles(TARGET) == [grant.role_name]


def test_another_iam_user_is_refused(approved: Approved, aws: Aws) -> None:
    grant = settle(approved())

    assert refused_code(lambda: aws.enter("userC", role_arn(grant))) == "AccessDenied"


def test_a_stranger_with_assume_role_on_everything_is_refused_too(
    approved: Approved, aws: Aws
) -> None:
    grant = settle(approved())
    everything = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
    )
    aws.admin(SOURCE).put_user_policy(
        UserName="userC", PolicyName="Admin", PolicyDocument=everything
    )

    assert refused_code(lambda: aws.enter("userC", role_arn(grant))) == "AccessDenied"


def test_without_mfa_the_person_is_refused(approved: Approved, aws: Aws) -> None:
    grant = settle(approved())

    assert refused_code(lambda: aws.enter("userA", role_arn(grant), mfa=False)) == "AccessDenied"


def test_aws_refuses_at_the_end_although_nothing_of_ours_runs(approved: Approved, aws: Aws) -> None:
    grant = settle(approved(minutes=30))
    session = aws.enter("userA", role_arn(grant))

    aws.clock_ahead(timedelta(minutes=31))

    assert refused_code(lambda: aws.enter("userA", role_arn(grant))) == "AccessDenied"
    assert refused_code(lambda: aws.reads(session)) == "AccessDenied"
    assert aws.issued_roles(TARGET) == [grant.role_name]  # Nobody has cleaned up.


def test_a_revoked_grant_leaves_nothing_and_cuts_the_live_session(
    approved: Approved, aws: Aws, dana: User
) -> None:
    grant = settle(approved())
    session = aws.enter("userA", role_arn(grant))

    services.revoke(person=dana, grant=grant, reason="Wrong account.")
    grant = settle(grant)

    assert grant.phase == "ended"
    assert grant.locked_out_at is not None
    assert grant.ended_at is not None
    assert aws.issued_roles(TARGET) == []
    assert f"switch-to-{TARGET}" not in aws.groups_of(SOURCE, "userA")
    assert refused_code(lambda: aws.enter("userA", role_arn(grant))) == "AccessDenied"
    assert refused_code(lambda: aws.reads(session)) in {"AccessDenied", "InvalidClientTokenId"}


def test_an_expired_grant_is_removed(
    approved: Approved, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = settle(approved(minutes=30))
    later = grant.ends_at + timedelta(seconds=1)
    monkeypatch.setattr(converge, "database_now", lambda: later)

    grant = settle(grant)

    assert grant.phase == "ended"
    assert grant.revoked_at is None
    assert aws.issued_roles(TARGET) == []


def test_membership_stays_while_a_second_grant_lives(
    approved: Approved, aws: Aws, alice: User, bob: User
) -> None:
    first, second = settle(approved()), settle(approved())

    services.revoke(person=alice, grant=first, reason="")
    assert settle(first).phase == "ended"

    assert aws.issued_roles(TARGET) == [second.role_name]
    aws.enter("userA", role_arn(second))
    services.revoke(person=alice, grant=second, reason="")
    settle(second)
    assert f"switch-to-{TARGET}" not in aws.groups_of(SOURCE, "userA")


def test_widened_trust_is_cut_back_at_once(approved: Approved, aws: Aws) -> None:
    grant = settle(approved())
    iam = aws.admin(TARGET)
    wide = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":'
        f'"arn:aws:iam::{SOURCE}:root"}},"Action":"sts:AssumeRole"}}]}}'
    )
    iam.update_assume_role_policy(RoleName=grant.role_name, PolicyDocument=wide)
    iam.attach_role_policy(
        RoleName=grant.role_name, PolicyArn="arn:aws:iam::aws:policy/PowerUserAccess"
    )
    iam.delete_role_policy(RoleName=grant.role_name, PolicyName="SallyportEnd")

    assert settle(grant).phase == "active"

    trust = iam.get_role(RoleName=grant.role_name)["Role"]["AssumeRolePolicyDocument"]
    assert f"arn:aws:iam::{SOURCE}:user/userA" in str(trust)
    assert "root" not in str(trust)
    attached = iam.list_attached_role_policies(RoleName=grant.role_name)["AttachedPolicies"]
    assert [one["PolicyArn"] for one in attached] == [READ_ONLY]
    assert iam.list_role_policies(RoleName=grant.role_name)["PolicyNames"] == ["SallyportEnd"]


def test_a_role_that_lost_its_boundary_gets_it_back_or_goes(
    approved: Approved, aws: Aws, dana: User
) -> None:
    first, second = settle(approved()), settle(approved())
    for grant in (first, second):
        aws.admin(TARGET).delete_role_permissions_boundary(RoleName=grant.role_name)
    services.revoke(person=dana, grant=second, reason="Wrong account.")

    assert settle(first).phase == "active"
    assert settle(second).phase == "ended"

    role = aws.admin(TARGET).get_role(RoleName=first.role_name)["Role"]
    boundary = f"arn:aws:iam::{TARGET}:policy/SallyportBoundary"
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    assert aws.issued_roles(TARGET) == [first.role_name]


def test_access_taken_away_by_hand_is_not_given_back(approved: Approved, aws: Aws) -> None:
    grant = settle(approved())
    aws.admin(TARGET).detach_role_policy(RoleName=grant.role_name, PolicyArn=READ_ONLY)

    grant = settle(grant)

    assert grant.phase == "pending"
    assert "Somebody took part of this access away in AWS." in grant.last_error
    attached = aws.admin(TARGET).list_attached_role_policies(RoleName=grant.role_name)
    assert attached["AttachedPolicies"] == []


def test_what_was_taken_away_comes_back_once_when_a_person_asks(
    approved: Approved, aws: Aws
) -> None:
    grant = settle(approved())
    aws.admin(TARGET).detach_role_policy(RoleName=grant.role_name, PolicyArn=READ_ONLY)
    grant = settle(grant)

    now = database_now()
    lifecycle.reopen(grant, actor="dana", sentence="dana pressed Repair.", reason="", now=now)
    grant = settle(grant)

    assert (grant.phase, grant.last_error, grant.reopened_at) == ("active", "", None)
    aws.reads(aws.enter("userA", role_arn(grant)))
    aws.admin(TARGET).detach_role_policy(RoleName=grant.role_name, PolicyArn=READ_ONLY)
    assert settle(grant).phase == "pending"  # One word of a person is good for one time.


def test_a_worker_in_the_midst_does_not_take_back_what_a_person_asked_for(
    approved: Approved, aws: Aws
) -> None:
    grant = settle(approved())
    now = database_now()
    held = lifecycle.claim(grant.pk, now)
    assert held is not None
    lifecycle.reopen(grant, actor="dana", sentence="dana pressed Repair.", reason="", now=now)

    with pytest.raises(lifecycle.StaleState, match="Another worker took over"):
        lifecycle.note_phase(held, Phase.ACTIVE, now)

    grant.refresh_from_db()
    assert grant.reopened_at is not None


def test_the_event_of_access_that_exists_tells_each_step(approved: Approved, aws: Aws) -> None:
    grant = approved()
    shown = preview_module.unseen_steps(grant.request, grant.starts_at)

    settle(grant)

    event = AuditEvent.objects.get(subject=grant.subject, kind="grant:phase:active")
    assert set(event.data["steps"]) == {f"{one['call']}: {one['sentence']}" for one in shown}


def test_access_that_was_revoked_is_not_opened_again(
    approved: Approved, aws: Aws, dana: User
) -> None:
    grant = settle(approved())
    services.revoke(person=dana, grant=grant, reason="Wrong account.")

    with pytest.raises(lifecycle.StaleState, match="revoked or has ended"):
        lifecycle.reopen(grant, actor="dana", sentence="", reason="", now=database_now())


def test_a_role_of_the_same_name_that_is_not_ours_is_never_touched(
    approved: Approved, aws: Aws
) -> None:
    grant = approved()
    name = grant.role_name
    trust = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":'
        f'"arn:aws:iam::{TARGET}:root"}},"Action":"sts:AssumeRole"}}]}}'
    )
    boundary = f"arn:aws:iam::{TARGET}:policy/SallyportBoundary"
    aws.admin(TARGET).create_role(
        Path="/sallyport/",
        RoleName=name,
        AssumeRolePolicyDocument=trust,
        PermissionsBoundary=boundary,
    )

    grant = settle(grant)

    assert grant.phase == "pending"
    assert f"A role named {name} exists that this grant did not make." in grant.last_error
    assert aws.admin(TARGET).list_role_policies(RoleName=name)["PolicyNames"] == []


def test_a_changed_account_stops_the_grant_and_says_what_to_do(
    approved: Approved, aws: Aws, target: AwsAccount
) -> None:
    grant = approved()
    AwsAccount.objects.filter(pk=target.pk).update(
        boundary_arn=f"arn:aws:iam::{TARGET}:policy/Other"
    )

    grant = settle(grant)

    assert grant.phase == "ended"
    assert grant.revoked_by == "system:worker"
    assert "no longer the one that was approved" in grant.revoke_reason
    assert aws.issued_roles(TARGET) == []


@pytest.mark.parametrize("lost", ["requester", "approver", "eligibility"])
def test_rights_lost_since_the_decision_stop_the_grant(
    approved: Approved, aws: Aws, scene: Offer, alice: User, bob: User, lost: str
) -> None:
    grant = approved()
    if lost == "requester":
        User.objects.filter(pk=alice.pk).update(is_active=False)
    elif lost == "approver":
        first_stage(scene).people.clear()
    else:
        scene.eligible_users.clear()

    grant = settle(grant)

    assert (grant.phase, grant.revoked_by) == ("ended", "system:worker")
    assert aws.issued_roles(TARGET) == []


def make_user_anew(aws: Aws, name: str) -> None:
    """Delete an IAM user and make another one of the same name."""
    iam = aws.admin(SOURCE)
    for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    for group in aws.groups_of(SOURCE, name):
        iam.remove_user_from_group(GroupName=group, UserName=name)
    iam.delete_user(UserName=name)
    iam.create_user(UserName=name)


def test_a_user_made_anew_under_the_same_name_gets_nothing(approved: Approved, aws: Aws) -> None:
    grant = approved()
    make_user_anew(aws, "userA")

    grant = settle(grant)

    assert grant.phase == "ended"
    assert "deleted and made again" in grant.revoke_reason
    assert aws.issued_roles(TARGET) == []


def test_an_identity_linked_anew_does_not_inherit_live_access(
    approved: Approved, aws: Aws, dana: User, identity: IamIdentity
) -> None:
    """The IAM user is deleted and made again, and an admin links the new one."""
    grant = settle(approved())
    make_user_anew(aws, "userA")
    relink_identity(actor=dana, identity=IamIdentity.objects.get(pk=identity.pk))
    onboard.verify_identity(identity.pk)

    grant = settle(grant)

    assert grant.phase == "ended"
    assert "deleted and made again" in grant.revoke_reason
    assert aws.issued_roles(TARGET) == []


def test_a_changed_boundary_does_not_move_live_access(
    approved: Approved, aws: Aws, target: AwsAccount
) -> None:
    grant = settle(approved())
    AwsAccount.objects.filter(pk=target.pk).update(
        boundary_arn=f"arn:aws:iam::{TARGET}:policy/Wider"
    )

    assert settle(grant).phase == "active"

    role = aws.admin(TARGET).get_role(RoleName=grant.role_name)["Role"]
    boundary = f"arn:aws:iam::{TARGET}:policy/SallyportBoundary"
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary


def test_a_crash_is_shown_and_tried_again(
    approved: Approved, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = approved()

    def broken(*values: object) -> None:
        raise ValueError("a row that nobody can read")

    with monkeypatch.context() as patch:
        patch.setattr(plan, "desired", broken)
        grant = settle(grant)

    assert (grant.phase, grant.attempts) == ("pending", 1)
    assert grant.last_error == converge.CRASHED
    assert grant.leased_until is None
    assert grant.next_check_at is not None


def test_a_removal_that_fails_for_weeks_is_still_tried_every_other_minute(
    offer: Offer, alice: User
) -> None:
    grant = GrantFactory.create(
        request__offer=offer,
        request__requester=alice,
        attempts=5000,
        revoked_at=database_now(),
        intent_at=database_now(),
    )
    now = database_now()
    claimed = lifecycle.claim(grant.pk, now)
    assert claimed is not None

    lifecycle.note_failure(claimed, "AWS refuses.", now)

    grant.refresh_from_db()
    assert (grant.phase, grant.attempts) == ("ending", 5001)
    assert grant.next_check_at is not None
    assert grant.next_check_at - now < timedelta(seconds=95)


def test_a_registered_pair_gets_its_switch_group_before_any_grant(
    aws: Aws, pair: AccountPair
) -> None:
    switch_groups.prepare_pair(pair.pk)

    pair.refresh_from_db()
    assert (pair.state, pair.last_error) == ("ready", "")
    policy = aws.admin(SOURCE).get_group_policy(
        GroupName=pair.switch_group, PolicyName="SallyportSwitch"
    )["PolicyDocument"]
    statement = only_statement(policy)
    assert statement["Resource"] == [f"arn:aws:iam::{TARGET}:role/sallyport/*"]
    assert aws.groups_of(SOURCE, "userA") == {"Developers"}


def test_a_group_policy_that_an_admin_adds_or_takes_reaches_the_group(
    aws: Aws, pair: AccountPair, source: AwsAccount, dana: User
) -> None:
    switch_groups.prepare_pair(pair.pk)
    for wanted in (["ReadOnlyAccess"], ["SecurityAudit"], []):
        source.group_policies = wanted
        change_account(actor=dana, account=source)

        switch_groups.prepare_pair(pair.pk)

        attached = aws.admin(SOURCE).list_attached_group_policies(GroupName=pair.switch_group)
        assert [one["PolicyName"] for one in attached["AttachedPolicies"]] == wanted


def test_a_change_made_while_a_group_is_made_asks_for_another_look(
    aws: Aws, pair: AccountPair, source: AwsAccount, dana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = switch_groups._make_group

    def changed_meanwhile(changed: AccountPair) -> None:
        make(changed)
        change_account(actor=dana, account=source)

    with monkeypatch.context() as patch:
        patch.setattr(switch_groups, "_make_group", changed_meanwhile)
        switch_groups.prepare_pair(pair.pk)

    pair.refresh_from_db()
    assert pair.state == "making"
    switch_groups.prepare_pair(pair.pk)
    pair.refresh_from_db()
    assert pair.state == "ready"


def test_pairs_that_share_a_group_are_all_in_its_policy(aws: Aws, pair: AccountPair) -> None:
    other = AwsAccountFactory.create(account_id="333333333333", name="Staging")
    shared = AccountPairFactory.create(
        source=pair.source, target=other, switch_group=pair.switch_group
    )

    switch_groups.prepare_pair(shared.pk)

    policy = aws.admin(SOURCE).get_group_policy(
        GroupName=pair.switch_group, PolicyName="SallyportSwitch"
    )["PolicyDocument"]
    assert only_statement(policy)["Resource"] == [
        "arn:aws:iam::222222222222:role/sallyport/*",
        "arn:aws:iam::333333333333:role/sallyport/*",
    ]


def test_a_group_of_somebody_else_is_not_taken_over(aws: Aws, pair: AccountPair) -> None:
    aws.admin(SOURCE).create_group(GroupName=pair.switch_group, Path="/")

    switch_groups.prepare_pair(pair.pk)

    pair.refresh_from_db()
    assert pair.state == "failed"
    assert f"A group named {pair.switch_group} exists outside /sallyport/." in pair.last_error
    assert aws.admin(SOURCE).list_group_policies(GroupName=pair.switch_group)["PolicyNames"] == []


def test_what_was_taken_from_a_prepared_group_by_hand_is_not_given_back(
    aws: Aws, pair: AccountPair
) -> None:
    switch_groups.prepare_pair(pair.pk)
    aws.admin(SOURCE).delete_group_policy(GroupName=pair.switch_group, PolicyName="SallyportSwitch")

    switch_groups.prepare_pair(pair.pk)

    assert aws.admin(SOURCE).list_group_policies(GroupName=pair.switch_group)["PolicyNames"] == []


def previewed(request: AccessRequest) -> dict[str, Any]:
    preview_module.preview(request.pk)
    request.refresh_from_db()
    assert request.previewed_at is not None
    assert request.preview is not None
    preview: dict[str, Any] = request.preview
    return preview


@pytest.fixture
def asked(scene: Offer, alice: User) -> AccessRequest:
    return services.request_access(
        requester=alice, offer=scene, duration=timedelta(minutes=30), reason="Look."
    )


def test_a_preview_shows_what_would_be_done_and_changes_nothing(
    asked: AccessRequest, aws: Aws
) -> None:
    preview = previewed(asked)

    assert preview["problem"] == ""
    assert [step["call"] for step in preview["steps"]][-1] == "iam:AttachRolePolicy"
    assert aws.issued_roles(TARGET) == []
    assert aws.groups_of(SOURCE, "userA") == {"Developers"}


def test_a_preview_leaves_out_what_exists_already(
    asked: AccessRequest, aws: Aws, pair: AccountPair
) -> None:
    switch_groups.prepare_pair(pair.pk)

    steps = previewed(asked)["steps"]

    assert [step["call"] for step in steps if step["side"] == "source"] == ["iam:AddUserToGroup"]


def test_a_preview_tells_what_aws_refuses(asked: AccessRequest, aws: Aws) -> None:
    aws.admin(TARGET).delete_role_policy(
        RoleName="SallyportProvisioner", PolicyName="SallyportProvisioner"
    )

    preview = previewed(asked)
    assert "iam:GetRole was answered AccessDenied" in preview["problem"]
    assert preview["steps"] == []


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_plan_command_prints_what_an_approver_sees(
    asked: AccessRequest, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("plan", asked.code, *options)

    printed = capsys.readouterr().out
    assert "iam:CreateRole" in printed
    assert "decision + PT30M" in printed
    assert plan.fingerprint(specs.spec_for_request(asked)) in printed


def test_a_lost_provisioner_role_is_tried_again_and_never_reads_ended(
    approved: Approved, aws: Aws, dana: User
) -> None:
    grant = settle(approved())
    iam = aws.admin(TARGET)
    iam.delete_role_policy(RoleName="SallyportProvisioner", PolicyName="SallyportProvisioner")
    services.revoke(person=dana, grant=grant, reason="Wrong account.")

    for _ in range(3):
        Grant.objects.filter(pk=grant.pk).update(next_check_at=grant.starts_at)
        grant = settle(grant)

    assert (grant.phase, grant.attempts, grant.needs_attention) == ("ending", 3, True)
    assert "AccessDenied" in grant.last_error
    assert grant.next_check_at is not None
    assert grant.ended_at is None


def test_a_source_that_lets_us_in_no_more_does_not_keep_the_target_open(
    approved: Approved, aws: Aws, dana: User
) -> None:
    grant = settle(approved())
    iam = aws.admin(SOURCE)
    iam.delete_role_policy(RoleName="SallyportProvisioner", PolicyName="SallyportProvisioner")
    iam.delete_role(RoleName="SallyportProvisioner")
    services.revoke(person=dana, grant=grant, reason="Wrong account.")

    grant = settle(grant)

    assert grant.phase == "ending"
    assert grant.locked_out_at is not None
    assert aws.issued_roles(TARGET) == []


def test_a_target_that_lets_us_in_no_more_does_not_keep_the_source_open(
    approved: Approved, aws: Aws, dana: User
) -> None:
    grant = settle(approved())
    iam = aws.admin(TARGET)
    iam.delete_role_policy(RoleName="SallyportProvisioner", PolicyName="SallyportProvisioner")
    iam.delete_role(RoleName="SallyportProvisioner")
    services.revoke(person=dana, grant=grant, reason="Wrong account.")

    grant = settle(grant)

    assert grant.phase == "ending"
    assert grant.locked_out_at is None  # We don't know that, so it is not said.
    assert f"switch-to-{TARGET}" not in aws.groups_of(SOURCE, "userA")
    assert refused_code(lambda: aws.enter("userA", role_arn(grant))) == "AccessDenied"


def test_a_role_removed_by_hand_is_shown_and_not_made_again(approved: Approved, aws: Aws) -> None:
    grant = settle(approved())
    iam = aws.admin(TARGET)
    iam.detach_role_policy(RoleName=grant.role_name, PolicyArn=READ_ONLY)
    iam.delete_role_policy(RoleName=grant.role_name, PolicyName="SallyportEnd")
    iam.delete_role(RoleName=grant.role_name)

    grant = settle(grant)

    assert (grant.phase, grant.attempts) == ("pending", 0)
    assert f"Make the role {grant.role_name}" in grant.last_error
    assert aws.issued_roles(TARGET) == []


def test_access_approved_while_another_one_ends_keeps_the_membership(
    approved: Approved, aws: Aws, dana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = settle(approved())
    services.revoke(person=dana, grant=first, reason="Wrong account.")
    second: list[Grant] = []
    note = lifecycle.note_lock_out

    def approved_meanwhile(grant: Grant, now: datetime) -> None:
        note(grant, now)
        second.append(approved())

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "note_lock_out", approved_meanwhile)
        assert settle(first).phase == "ended"

    assert f"switch-to-{TARGET}" in aws.groups_of(SOURCE, "userA")
    assert settle(second[0]).phase == "active"


@pytest.mark.parametrize("superseded", [False, True])
def test_a_membership_that_is_taken_away_too_late_is_put_back(
    superseded: bool, approved: Approved, aws: Aws, dana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker stood still between its question and its call, while others went on."""
    first, group = settle(approved()), f"switch-to-{TARGET}"
    services.revoke(person=dana, grant=first, reason="Wrong account.")
    second = settle(approved())
    asked = specs.others_need_membership

    def asked_before(grant: Grant, now: datetime) -> bool:
        if group in aws.groups_of(SOURCE, "userA"):
            return False
        if superseded:
            Grant.objects.filter(pk=first.pk).update(generation=F("generation") + 1)
        return asked(grant, now)

    with monkeypatch.context() as patch:
        patch.setattr(settling, "others_need_membership", asked_before)
        assert settle(first).phase == ("active" if superseded else "ended")

    assert group in aws.groups_of(SOURCE, "userA")
    aws.enter("userA", role_arn(second))


def test_two_accesses_that_end_together_leave_no_membership(
    approved: Approved, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = settle(approved()), settle(approved())
    over = max(first.ends_at, second.ends_at) + timedelta(seconds=1)
    for module in (converge, pacing):
        monkeypatch.setattr(module, "database_now", lambda: over)

    assert [settle(one).phase for one in (first, second)] == ["ended", "ended"]
    assert f"switch-to-{TARGET}" not in aws.groups_of(SOURCE, "userA")


def test_a_provision_that_is_refused_for_good_is_undone_and_told(
    approved: Approved, aws: Aws
) -> None:
    grant = approved()
    aws.admin(TARGET).delete_policy(PolicyArn=f"arn:aws:iam::{TARGET}:policy/SallyportBoundary")

    for _ in range(6):
        grant = settle(grant)
        if grant.phase == "ended":
            break
        Grant.objects.filter(pk=grant.pk).update(next_check_at=grant.starts_at)

    assert grant.phase in {"ended", "ending"}
    assert grant.revoked_by == "system:worker"
    assert "iam:CreateRole" in grant.revoke_reason
    assert aws.issued_roles(TARGET) == []
    assert f"switch-to-{TARGET}" not in aws.groups_of(SOURCE, "userA")


def test_no_credential_is_stored_or_told(approved: Approved, aws: Aws) -> None:
    settle(approved())

    text = " ".join(str(list(model._default_manager.values())) for model in apps.get_models())
    assert "SecurityReadOnlyRole" in text
    assert not re.search(r"\b(AKIA|ASIA)[A-Z0-9]{12,}", text)
    assert "SecretAccessKey" not in text
