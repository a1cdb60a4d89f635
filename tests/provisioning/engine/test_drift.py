"""Scans against the server that stands for AWS: what they see, what is done, what stays."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from accounts.models import AccountPair, AwsAccount, User
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import services
from provisioning.aws import scan as scan_module
from provisioning.engine import converge, cutback, drift, switch_groups
from provisioning.models import AccountScan, DriftFinding, Grant
from tests.aws_world import Approved, Aws, approve, only_statement

SOURCE, TARGET = "111111111111", "222222222222"
GROUP = "switch-to-222222222222"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
EVERYTHING = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
)
OPEN_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{TARGET}:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
BOUNDARY = f"arn:aws:iam::{TARGET}:policy/SallyportBoundary"


def settle(grant: Grant) -> Grant:
    converge.converge(grant.pk)
    return Grant.objects.with_parties().get(pk=grant.pk)


@pytest.fixture
def active(approved: Approved, pair: AccountPair) -> Grant:
    """An access that a worker has seen to be complete, of a pair whose group is ready."""
    switch_groups.prepare_pair(pair.pk)
    grant = settle(approved())
    assert grant.phase == "active"
    return grant


def scan(account: AwsAccount) -> AccountScan:
    """Scan an account now."""
    row = account.scans.filter(finished_at__isnull=True).first()
    if row is None:
        row = AccountScan.objects.create(account=account, due_at=database_now())
    AccountScan.objects.filter(pk=row.pk).update(due_at=database_now())
    drift.run_scan(row.pk)
    row.refresh_from_db()
    assert row.finished_at is not None
    return row


def findings(account: AwsAccount) -> list[tuple[str, str, str]]:
    rows = account.drift.open().order_by("id")
    return [(one.kind, one.thing, one.name) for one in rows]


def finding(account: AwsAccount) -> DriftFinding:
    return account.drift.open().get()


def whole_iam(aws: Aws, account_id: str) -> Any:
    """Everything that an account's administrator sees."""
    pages = aws.admin(account_id).get_paginator("get_account_authorization_details").paginate()
    found: dict[str, list[Any]] = {}
    for page in pages:
        for kind, things in page.items():
            if isinstance(things, list):
                found.setdefault(kind, []).extend(things)
    for role in found["RoleDetailList"]:
        role.pop("RoleLastUsed", None)  # The portal's own visits show here.
    return found


def make_role(aws: Aws, name: str, path: str = "/sallyport/", **tags: str) -> None:
    aws.admin(TARGET).create_role(
        Path=path,
        RoleName=name,
        AssumeRolePolicyDocument=OPEN_TRUST,
        PermissionsBoundary=BOUNDARY,
        Tags=[{"Key": f"sallyport:{key}", "Value": value} for key, value in tags.items()],
    )


# --- Nothing to see --------------------------------------------------------------------------


def test_what_is_as_approved_is_no_finding(
    active: Grant, source: AwsAccount, target: AwsAccount
) -> None:
    for account in (source, target):
        row = scan(account)
        assert (row.error, row.calls) == ("", 1)
        assert findings(account) == []


def test_an_active_access_is_next_looked_at_when_it_ends(active: Grant) -> None:
    assert active.next_check_at == active.ends_at


# --- Widened: cut back -----------------------------------------------------------------------


def test_a_widened_trust_is_seen_and_cut_back(active: Grant, target: AwsAccount, aws: Aws) -> None:
    iam = aws.admin(TARGET)
    iam.update_assume_role_policy(RoleName=active.role_name, PolicyDocument=OPEN_TRUST)

    scan(target)

    found = finding(target)
    assert (found.kind, found.grant) == ("widened", active)
    assert list(found.approved) == list(found.in_aws) == ["Trust"]
    active.refresh_from_db()
    assert active.next_check_at is not None
    assert active.next_check_at <= database_now()
    grant = settle(active)
    trust = iam.get_role(RoleName=grant.role_name)["Role"]["AssumeRolePolicyDocument"]
    assert only_statement(trust)["Principal"] == {"AWS": grant.iam_user_arn}
    assert grant.phase == "active"
    scan(target)
    found.refresh_from_db()
    assert found.resolved_at is not None
    assert "cut back" in found.done


def test_a_policy_that_somebody_attached_is_detached(
    active: Grant, target: AwsAccount, aws: Aws
) -> None:
    iam = aws.admin(TARGET)
    iam.attach_role_policy(RoleName=active.role_name, PolicyArn=ADMIN)

    scan(target)
    settle(active)

    attached = iam.list_attached_role_policies(RoleName=active.role_name)["AttachedPolicies"]
    assert [one["PolicyArn"] for one in attached] == [READ_ONLY]


def test_a_removed_deny_is_written_again(active: Grant, target: AwsAccount, aws: Aws) -> None:
    iam = aws.admin(TARGET)
    iam.delete_role_policy(RoleName=active.role_name, PolicyName="SallyportEnd")

    scan(target)
    assert finding(target).kind == "widened"
    settle(active)

    assert iam.list_role_policies(RoleName=active.role_name)["PolicyNames"] == ["SallyportEnd"]


def test_a_member_whom_nobody_approved_leaves_the_group(
    active: Grant, source: AwsAccount, aws: Aws
) -> None:
    aws.admin(SOURCE).add_user_to_group(GroupName=GROUP, UserName="userC")

    scan(source)

    found = finding(source)
    assert (found.kind, found.thing, found.name) == ("widened", "membership", f"{GROUP}/userC")
    cutback.act(found.pk)
    found.refresh_from_db()
    assert GROUP not in aws.groups_of(SOURCE, "userC")
    assert GROUP in aws.groups_of(SOURCE, "userA")
    assert found.resolved_at is not None
    assert found.done == f"Take the IAM user userC out of {GROUP}."
    event = AuditEvent.objects.get(kind="drift:widened:removed")
    assert event.subject == f"account:{SOURCE}"


def test_a_member_who_was_approved_since_the_scan_stays(
    approved: Approved, pair: AccountPair, source: AwsAccount, aws: Aws
) -> None:
    switch_groups.prepare_pair(pair.pk)
    aws.admin(SOURCE).add_user_to_group(GroupName=GROUP, UserName="userA")
    scan(source)
    found = finding(source)
    grant = approved()

    cutback.act(found.pk)

    assert GROUP in aws.groups_of(SOURCE, "userA")
    found.refresh_from_db()
    assert found.done == cutback.NOT_ANY_MORE
    assert settle(grant).phase == "active"


def test_a_policy_put_on_a_switch_group_is_removed(
    active: Grant, source: AwsAccount, aws: Aws
) -> None:
    iam = aws.admin(SOURCE)
    iam.put_group_policy(GroupName=GROUP, PolicyName="Mine", PolicyDocument=EVERYTHING)
    iam.put_group_policy(GroupName=GROUP, PolicyName="SallyportSwitch", PolicyDocument=EVERYTHING)
    iam.attach_group_policy(GroupName=GROUP, PolicyArn=ADMIN)

    scan(source)
    found = finding(source)
    cutback.act(found.pk)

    assert iam.list_group_policies(GroupName=GROUP)["PolicyNames"] == ["SallyportSwitch"]
    assert iam.list_attached_group_policies(GroupName=GROUP)["AttachedPolicies"] == []
    switch = iam.get_group_policy(GroupName=GROUP, PolicyName="SallyportSwitch")
    assert only_statement(switch["PolicyDocument"])["Action"] == "sts:AssumeRole"
    scan(source)
    assert findings(source) == []


# --- Narrowed: shown -------------------------------------------------------------------------


def test_a_removed_role_is_shown_and_not_given_back(
    active: Grant, target: AwsAccount, aws: Aws
) -> None:
    iam = aws.admin(TARGET)
    iam.detach_role_policy(RoleName=active.role_name, PolicyArn=READ_ONLY)
    iam.delete_role_policy(RoleName=active.role_name, PolicyName="SallyportEnd")
    iam.delete_role(RoleName=active.role_name)

    scan(target)
    grant = settle(active)

    assert findings(target) == [("narrowed", "role", active.role_name)]
    assert grant.phase == "pending"
    assert aws.issued_roles(TARGET) == []
    scan(target)
    grant.refresh_from_db()
    assert grant.next_check_at == grant.ends_at, "What is known asks for no other look."
    event = AuditEvent.objects.get(kind="drift:narrowed:found")
    assert (event.subject, event.reason, event.data) == (
        grant.subject,
        "The role of this access is not there.",
        {"finding": finding(target).pk},
    )
    assert event.sentence == "A scan saw that somebody took part of this access away in AWS."


def test_what_was_given_back_by_hand_is_seen(active: Grant, target: AwsAccount, aws: Aws) -> None:
    iam = aws.admin(TARGET)
    iam.detach_role_policy(RoleName=active.role_name, PolicyArn=READ_ONLY)
    scan(target)
    assert settle(active).phase == "pending"
    iam.attach_role_policy(RoleName=active.role_name, PolicyArn=READ_ONLY)

    scan(target)

    assert findings(target) == []
    assert settle(active).phase == "active"
    iam.detach_role_policy(RoleName=active.role_name, PolicyArn=READ_ONLY)
    scan(target)
    told = AuditEvent.objects.filter(kind="drift:narrowed:found")
    assert told.count() == 2, "What is taken away once more is news."


def test_a_missing_member_is_shown(active: Grant, source: AwsAccount, aws: Aws) -> None:
    aws.admin(SOURCE).remove_user_from_group(GroupName=GROUP, UserName="userA")

    scan(source)

    found = finding(source)
    assert (found.kind, found.thing, found.grant) == ("narrowed", "membership", active)


def test_a_user_who_was_made_again_is_not_the_one_who_was_approved(
    active: Grant, source: AwsAccount, aws: Aws
) -> None:
    iam = aws.admin(SOURCE)
    _delete_user(iam)
    iam.create_user(UserName="userA")
    iam.add_user_to_group(GroupName=GROUP, UserName="userA")

    scan(source)

    assert {(kind, thing) for kind, thing, _ in findings(source)} == {
        ("widened", "membership"),
        ("narrowed", "membership"),
    }
    assert settle(active).revoked_at is not None


def _delete_user(iam: Any) -> None:
    for group in iam.list_groups_for_user(UserName="userA")["Groups"]:
        iam.remove_user_from_group(GroupName=group["GroupName"], UserName="userA")
    for key in iam.list_access_keys(UserName="userA")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="userA", AccessKeyId=key["AccessKeyId"])
    for name in iam.list_user_policies(UserName="userA")["PolicyNames"]:
        iam.delete_user_policy(UserName="userA", PolicyName=name)
    for one in iam.list_attached_user_policies(UserName="userA")["AttachedPolicies"]:
        iam.detach_user_policy(UserName="userA", PolicyArn=one["PolicyArn"])
    iam.delete_user(UserName="userA")


def test_a_person_repairs_what_was_taken_away_on_both_sides(
    active: Grant, source: AwsAccount, target: AwsAccount, bob: User, aws: Aws
) -> None:
    aws.admin(TARGET).detach_role_policy(RoleName=active.role_name, PolicyArn=READ_ONLY)
    aws.admin(SOURCE).remove_user_from_group(GroupName=GROUP, UserName="userA")
    scan(source)
    scan(target)
    narrowed = settle(active)

    services.repair(person=bob, grant=narrowed)

    grant = settle(narrowed)
    assert (grant.phase, grant.last_error, grant.reopened_at) == ("active", "", None)
    attached = aws.admin(TARGET).list_attached_role_policies(RoleName=grant.role_name)
    assert [one["PolicyArn"] for one in attached["AttachedPolicies"]] == [READ_ONLY]
    assert GROUP in aws.groups_of(SOURCE, "userA")
    scan(source)
    scan(target)
    assert findings(source) == findings(target) == []


def test_what_was_taken_from_a_switch_group_is_shown_and_an_admin_gives_it_back(
    active: Grant, source: AwsAccount, dana: User, aws: Aws
) -> None:
    iam = aws.admin(SOURCE)
    iam.delete_group_policy(GroupName=GROUP, PolicyName="SallyportSwitch")

    scan(source)

    found = finding(source)
    assert (found.kind, found.thing, found.act_at) == ("narrowed", "group", None)
    assert iam.list_group_policies(GroupName=GROUP)["PolicyNames"] == []
    event = AuditEvent.objects.get(kind="drift:narrowed:found")
    assert (event.subject, event.data) == (source.subject, {"finding": found.pk})
    assert "part of the switch group switch-to-222222222222 away" in event.sentence
    services.restore_group(person=dana, finding=found)
    switch_groups.prepare_pair(active.request.offer.pair_id)
    assert iam.list_group_policies(GroupName=GROUP)["PolicyNames"] == ["SallyportSwitch"]
    scan(source)
    assert findings(source) == []


# --- Orphans and what is not ours ------------------------------------------------------------


def test_an_orphan_is_removed_after_its_grace_and_two_scans(
    aws: Aws, target: AwsAccount, settings: Settings
) -> None:
    settings.ORPHAN_GRACE = timedelta(0)
    make_role(aws, "Left-userA-abcdefghijkm", portal="sandbox", grant="abcdefghijkm")
    aws.admin(TARGET).attach_role_policy(RoleName="Left-userA-abcdefghijkm", PolicyArn=READ_ONLY)

    scan(target)
    found = finding(target)
    assert (found.kind, found.act_at) == ("orphan", None)
    scan(target)
    found.refresh_from_db()
    cutback.act(found.pk)

    assert aws.issued_roles(TARGET) == []
    found.refresh_from_db()
    assert found.resolved_at is not None
    event = AuditEvent.objects.get(kind="drift:orphan:removed")
    assert event.data["steps"][0]["call"] == "iam:PutRolePolicy", "Locked out before all else."


def test_an_orphan_is_left_alone_within_its_grace(aws: Aws, target: AwsAccount) -> None:
    make_role(aws, "Left-userA-abcdefghijkm", portal="sandbox", grant="abcdefghijkm")
    scan(target)
    scan(target)
    found = finding(target)
    assert found.act_at is not None
    assert found.act_at > database_now()

    cutback.act(found.pk)

    assert aws.issued_roles(TARGET) == ["Left-userA-abcdefghijkm"]


def test_an_orphan_that_lost_our_tag_meanwhile_is_not_touched(
    aws: Aws, target: AwsAccount, settings: Settings
) -> None:
    settings.ORPHAN_GRACE = timedelta(0)
    make_role(aws, "Left-userA-abcdefghijkm", portal="sandbox", grant="abcdefghijkm")
    scan(target)
    scan(target)
    found = finding(target)
    aws.admin(TARGET).untag_role(RoleName="Left-userA-abcdefghijkm", TagKeys=["sallyport:portal"])
    before = whole_iam(aws, TARGET)

    cutback.act(found.pk)

    assert whole_iam(aws, TARGET) == before


def test_look_alikes_are_never_touched(
    active: Grant, aws: Aws, source: AwsAccount, target: AwsAccount, settings: Settings
) -> None:
    settings.ORPHAN_GRACE = timedelta(0)
    for number in range(10):
        code = f"abcdefghijk{'abcdefghij'[number]}"
        make_role(aws, f"Elsewhere-userA-{code}", "/", portal="sandbox", grant=code)
        make_role(aws, f"Near-userA-{code}", "/sallyport-not/", portal="sandbox", grant=code)
        make_role(aws, f"Other-userA-{code}", portal="another", grant=code)
        make_role(aws, f"Bare-userA-{code}")
        aws.admin(TARGET).create_group(GroupName=f"switch-{number}", Path="/sallyport/")
    before = [whole_iam(aws, one) for one in (SOURCE, TARGET)]

    for account in (source, target, source, target):
        scan(account)
        for found in account.drift.open():
            cutback.act(found.pk)

    assert [whole_iam(aws, one) for one in (SOURCE, TARGET)] == before
    assert {kind for kind, _, _ in findings(target)} == {"unknown"}
    assert len(findings(target)) == 30, "Only what stands under our path is reported."
    assert findings(source) == []


def test_a_role_whose_tags_were_changed_is_reported_and_not_touched(
    active: Grant, aws: Aws, target: AwsAccount, settings: Settings
) -> None:
    settings.ORPHAN_GRACE = timedelta(0)
    aws.admin(TARGET).tag_role(
        RoleName=active.role_name, Tags=[{"Key": "sallyport:grant", "Value": "zzzzzzzzzzzz"}]
    )

    scan(target)
    scan(target)

    found = finding(target)
    assert (found.kind, found.grant, found.act_at) == ("unknown", active, None)


# --- Work ------------------------------------------------------------------------------------


def test_a_scan_reads_page_by_page(
    active: Grant, target: AwsAccount, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_module, "PAGE", 3)
    for number in range(8):
        make_role(aws, f"Bare-{number}")

    row = scan(target)

    assert row.calls >= 3
    assert row.objects_seen >= 10
    assert len(findings(target)) == 8


def test_a_scan_that_crashed_is_taken_up_again(target: AwsAccount, aws: Aws) -> None:
    now = database_now()
    row = AccountScan.objects.create(
        account=target, due_at=now, started_at=now, leased_until=now - timedelta(seconds=1)
    )

    drift.run_scan(row.pk)

    row.refresh_from_db()
    assert row.finished_at is not None


def test_a_scan_that_another_worker_holds_is_left_to_it(target: AwsAccount, aws: Aws) -> None:
    now = database_now()
    row = AccountScan.objects.create(
        account=target, due_at=now, started_at=now, leased_until=now + timedelta(minutes=1)
    )

    drift.run_scan(row.pk)

    row.refresh_from_db()
    assert row.finished_at is None


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_scans(target: AwsAccount, aws: Aws) -> None:
    row = AccountScan.objects.create(account=target, due_at=database_now())

    def work(_: int) -> None:
        try:
            drift.run_scan(row.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as workers:
        list(workers.map(work, range(6)))

    assert target.scans.filter(finished_at__isnull=False).count() == 1
    assert target.scans.filter(finished_at__isnull=True).count() == 1


def test_a_worker_that_lost_its_scan_stores_nothing(
    target: AwsAccount, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_role(aws, "Bare-1")
    row = AccountScan.objects.create(account=target, due_at=database_now())

    def stolen(iam: Any) -> Any:
        later = database_now() + timedelta(seconds=1)
        AccountScan.objects.filter(pk=row.pk).update(started_at=later)
        return scan_module.scan(iam)

    monkeypatch.setattr(drift, "scan", stolen)
    drift.run_scan(row.pk)

    row.refresh_from_db()
    assert row.finished_at is None
    assert findings(target) == []


def test_each_account_has_one_next_scan_however_many_sweepers_there_are(
    source: AwsAccount, target: AwsAccount
) -> None:
    for _ in range(3):
        drift.schedule(database_now())

    planned = [one.account_id for one in AccountScan.objects.order_by("account")]
    assert planned == [source.pk, target.pk]


def test_a_failed_scan_says_why_settles_nothing_and_comes_again(
    active: Grant, target: AwsAccount, aws: Aws
) -> None:
    make_role(aws, "Bare-1")
    scan(target)
    elsewhere = f"arn:aws:iam::{TARGET}:role/Elsewhere"
    AwsAccount.objects.filter(pk=target.pk).update(provisioner_role_arn=elsewhere)

    row = scan(AwsAccount.objects.get(pk=target.pk))

    assert row.error.startswith("sts:AssumeRole was answered AccessDenied")
    assert len(findings(target)) == 1
    again = target.scans.get(finished_at__isnull=True)
    assert again.due_at < database_now() + timedelta(minutes=10)


def test_only_the_newest_scans_are_kept(target: AwsAccount, aws: Aws) -> None:
    for _ in range(8):
        scan(target)

    assert target.scans.filter(finished_at__isnull=False).count() == drift.KEPT


def test_an_access_that_is_being_made_is_no_drift(
    approved: Approved, pair: AccountPair, source: AwsAccount, target: AwsAccount, aws: Aws
) -> None:
    switch_groups.prepare_pair(pair.pk)
    approved()

    scan(source)
    scan(target)

    assert findings(source) == findings(target) == []


def test_what_changed_after_the_rows_were_read_is_compared_with_the_rows_of_now(
    active: Grant,
    approved: Approved,
    bob: User,
    alice: User,
    target: AwsAccount,
    aws: Aws,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """AWS collects the page while the rows are read: access given or extended meanwhile is there
    in the one and not in the other."""
    changed = Event()
    read_rows = drift._Scan._expect

    def rows_before_the_change(one: drift._Scan) -> None:
        read_rows(one)
        request = services.extend_access(
            person=alice, grant=active, duration=timedelta(minutes=10), reason="Not done yet."
        )
        approve(request, bob)
        settle(active)
        settle(approved())
        changed.set()

    def page_after_it(iam: Any) -> Any:
        assert changed.wait(60)
        yield from scan_module.scan(iam)

    monkeypatch.setattr(drift._Scan, "_expect", rows_before_the_change)
    monkeypatch.setattr(drift, "scan", page_after_it)

    assert scan(target).error == ""
    assert findings(target) == []
    assert set(Grant.objects.values_list("phase", flat=True)) == {"active"}


# --- What no finding of its own tells --------------------------------------------------------


def test_a_narrowed_group_narrows_all_access_that_goes_through_it(
    active: Grant, source: AwsAccount, aws: Aws, dana: User
) -> None:
    aws.admin(SOURCE).delete_group_policy(GroupName=GROUP, PolicyName="SallyportSwitch")

    scan(source)

    assert findings(source) == [("narrowed", "group", GROUP)]
    assert Grant.objects.due(database_now()).get() == active
    narrowed = settle(active)
    assert narrowed.phase == "pending"
    services.repair(person=dana, grant=narrowed, reason="Removed by mistake.")
    assert settle(active).phase == "active"
    scan(source)
    assert findings(source) == []


def test_access_of_a_narrowed_group_is_looked_at_once_and_not_at_every_scan(
    active: Grant, source: AwsAccount, target: AwsAccount, aws: Aws
) -> None:
    aws.admin(SOURCE).delete_group_policy(GroupName=GROUP, PolicyName="SallyportSwitch")
    scan(source)
    settle(active)

    for account in (source, target):
        scan(account)

    assert not Grant.objects.due(database_now()).exists()


def test_access_in_which_nothing_is_missing_any_more_reads_active_again(
    active: Grant, target: AwsAccount, aws: Aws
) -> None:
    iam = aws.admin(TARGET)
    iam.detach_role_policy(RoleName=active.role_name, PolicyArn=READ_ONLY)
    assert settle(active).phase == "pending"
    iam.attach_role_policy(RoleName=active.role_name, PolicyArn=READ_ONLY)

    scan(target)

    assert findings(target) == []
    assert Grant.objects.due(database_now()).get() == active
    assert settle(active).phase == "active"


def test_what_is_cut_back_from_an_access_stands_in_its_record(
    active: Grant, target: AwsAccount, aws: Aws
) -> None:
    aws.admin(TARGET).attach_role_policy(RoleName=active.role_name, PolicyArn=ADMIN)
    scan(target)

    settle(active)

    event = AuditEvent.objects.about(active.subject).get(kind="grant:cut_back")
    assert (event.actor, event.data["call"]) == ("system:worker", "iam:DetachRolePolicy")
    assert "AdministratorAccess" in event.sentence
