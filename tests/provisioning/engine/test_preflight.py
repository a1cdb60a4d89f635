"""Pre-flight against the server that stands for AWS: each fault, and who is told what."""

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from accounts.models import AccountPair, AwsAccount, Offer, User
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import services, specs, tasks
from provisioning.aws.errors import AwsError, Kind
from provisioning.core import preflight
from provisioning.core.plan import fingerprint
from provisioning.core.preflight import Finding, Level
from provisioning.engine import onboard, preview, switch_groups
from provisioning.models import AccessRequest, Decision, Grant
from provisioning.sweep import Sweeper
from tests.aws_world import Aws, approve
from tests.conftest import ClientFor
from tests.factories import (
    AccessRequestFactory,
    ConnectionCheckFactory,
    OfferFactory,
    ProfileVersionFactory,
    first_stage,
)

SOURCE, TARGET = "111111111111", "222222222222"
PROVISIONER = "SallyportProvisioner"
GROUP = "switch-to-222222222222"


@pytest.fixture
def asked(scene: Offer, alice: User) -> AccessRequest:
    return services.request_access(
        requester=alice, offer=scene, duration=timedelta(minutes=30), reason="Look."
    )


def look(request: AccessRequest) -> dict[str, dict[str, str]]:
    """Have a worker look, and give its findings by key."""
    AccessRequest.objects.filter(pk=request.pk).update(next_look_at=database_now())
    tasks.preview_request(request.pk)
    request.refresh_from_db()
    assert request.preview is not None
    return {one["key"]: one for one in request.preview["findings"]}


def levels(findings: dict[str, dict[str, str]], *wanted: str) -> set[str]:
    return {key for key, one in findings.items() if one["level"] in wanted}


def give_mfa(aws: Aws, user: str) -> None:
    iam = aws.admin(SOURCE)
    serial = iam.create_virtual_mfa_device(VirtualMFADeviceName=user)["VirtualMFADevice"]
    iam.enable_mfa_device(
        UserName=user,
        SerialNumber=serial["SerialNumber"],
        AuthenticationCode1="123456",
        AuthenticationCode2="654321",
    )


def make_anew(aws: Aws) -> None:
    remove(aws)
    aws.admin(SOURCE).create_user(UserName="userA")


def remove(aws: Aws) -> None:
    iam = aws.admin(SOURCE)
    for key in iam.list_access_keys(UserName="userA")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="userA", AccessKeyId=key["AccessKeyId"])
    for group in aws.groups_of(SOURCE, "userA"):
        iam.remove_user_from_group(GroupName=group, UserName="userA")
    iam.delete_user(UserName="userA")


def fill_groups(aws: Aws) -> None:
    for number in range(9):
        aws.admin(SOURCE).create_group(GroupName=f"Team{number}")
        aws.admin(SOURCE).add_user_to_group(GroupName=f"Team{number}", UserName="userA")


def deny(aws: Aws, **statement: Any) -> None:
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*"} | statement],
    }
    aws.admin(SOURCE).put_user_policy(
        UserName="userA", PolicyName="NoRoles", PolicyDocument=json.dumps(document)
    )


def older_template(aws: Aws) -> None:
    """What stood in the source account before pre-flight could read more."""
    iam = aws.admin(SOURCE)
    answer: Any = iam.get_role_policy(RoleName=PROVISIONER, PolicyName=PROVISIONER)
    policy = answer["PolicyDocument"]
    policy["Statement"] = [one for one in policy["Statement"] if one["Sid"] != "LookAhead"]
    iam.put_role_policy(
        RoleName=PROVISIONER, PolicyName=PROVISIONER, PolicyDocument=json.dumps(policy)
    )


def take_role_name(aws: Aws, asked: AccessRequest) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{TARGET}:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    name = specs.spec_for_request(asked).role_name
    aws.admin(TARGET).create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))


# --- Faults ----------------------------------------------------------------------------------


def test_in_two_accounts_that_are_set_up_well_nothing_stands_in_the_way(
    asked: AccessRequest, aws: Aws, source: AwsAccount, target: AwsAccount
) -> None:
    give_mfa(aws, "userA")
    for account in (source, target):
        onboard.run_check(ConnectionCheckFactory.create(account=account).pk)

    findings = look(asked)

    assert levels(findings, "blocks", "warn", "unknown") == set()
    assert findings["role_quota"]["sentence"] == "Workload has 1 of 1,000 roles; 999 are left."
    assert findings["user_groups"]["sentence"] == "userA is in 1 group; AWS allows 10."
    assert aws.issued_roles(TARGET) == []
    assert aws.groups_of(SOURCE, "userA") == {"Developers"}


type Fault = Callable[[Aws, AccessRequest], object]

FAULTS: dict[str, tuple[Fault, str, str]] = {
    "the user is gone": (lambda aws, _: remove(aws), "user", "There is no IAM user userA"),
    "the user was made anew": (lambda aws, _: make_anew(aws), "user", "deleted and made again"),
    "the user is in ten groups": (
        lambda aws, _: fill_groups(aws),
        "user_groups",
        "userA is in 10 groups; AWS allows 10.",
    ),
    "an own policy denies": (
        lambda aws, _: deny(aws),
        "own_denies",
        "A policy of Identity (user_userA_NoRoles) denies userA the switch",
    ),
    "no role is left": (
        lambda aws, _: aws.control(f"quota?account={TARGET}&name=RolesQuota&value=1"),
        "role_quota",
        "Workload has 1 of 1 roles; 0 are left.",
    ),
    "no group is left": (
        lambda aws, _: aws.control(f"quota?account={SOURCE}&name=GroupsQuota&value=1"),
        "group_quota",
        "Identity has 1 of 1 groups; 0 are left.",
    ),
    "a role takes no policies": (
        lambda aws, _: aws.control(
            f"quota?account={TARGET}&name=AttachedPoliciesPerRoleQuota&value=0"
        ),
        "policy_count",
        "1 managed policy; AWS takes 0 at most.",
    ),
    "a trust policy may be short only": (
        lambda aws, _: aws.control(
            f"quota?account={TARGET}&name=AssumeRolePolicySizeQuota&value=100"
        ),
        "trust_size",
        "AWS takes 100 at most.",
    ),
    "the boundary is gone": (
        lambda aws, _: aws.admin(TARGET).delete_policy(
            PolicyArn=f"arn:aws:iam::{TARGET}:policy/SallyportBoundary"
        ),
        "boundary",
        "policy/SallyportBoundary does not exist",
    ),
    "a role has the name": (take_role_name, "names", "that this grant did not make"),
    "a group has the name": (
        lambda aws, _: aws.admin(SOURCE).create_group(GroupName=GROUP),
        "names",
        f"A group named {GROUP} exists outside /sallyport/.",
    ),
    "the provisioner may nothing": (
        lambda aws, _: aws.admin(TARGET).delete_role_policy(
            RoleName=PROVISIONER, PolicyName=PROVISIONER
        ),
        "target_account",
        "iam:GetRole was answered AccessDenied",
    ),
    "the provisioner is gone": (
        lambda _, asked: AwsAccount.objects.filter(account_id=SOURCE).update(
            provisioner_role_arn=f"arn:aws:iam::{SOURCE}:role/Nothing"
        ),
        "source_account",
        "sts:AssumeRole was answered AccessDenied",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_what_to_do_and_stops_the_approval_not_the_rejection(
    asked: AccessRequest, aws: Aws, bob: User, fault: str, pair: AccountPair
) -> None:
    cause, key, words = FAULTS[fault]
    cause(aws, asked)

    found = look(asked)

    assert levels(found, "blocks") == {key}
    assert words in found[key]["sentence"]
    assert found[key]["mend"]
    assert found[key]["who"]
    with pytest.raises(services.CannotBeSetUp) as caught:
        approve(AccessRequest.objects.with_parties().get(pk=asked.pk), bob)
    (reason,) = caught.value.reasons
    assert reason.startswith(f"{found[key]['sentence']} {found[key]['mend']}")
    assert not Grant.objects.exists()
    event = AuditEvent.objects.about(asked.subject).last()
    assert event is not None
    assert (event.kind, event.reason) == ("request:decide:refused", reason)
    services.decide(
        approver=bob,
        request=asked,
        verdict=Decision.Verdict.REJECTED,
        fingerprint="0" * 64,
        reason="Not now.",
    )
    asked.refresh_from_db()
    assert asked.state == "rejected"


def test_managed_policies_that_do_not_exist_are_named(
    scene: Offer, aws: Aws, alice: User, dana: User, source: AwsAccount
) -> None:
    first_stage(scene).people.add(dana)  # What nobody knows needs two approvers.
    ProfileVersionFactory.create(
        profile=scene.profile, managed_policies=["ReadOnlyAccess", "NoSuchThing"]
    )
    AwsAccount.objects.filter(pk=source.pk).update(group_policies=["NorThisOne"])
    scene.refresh_from_db()
    request = services.request_access(
        requester=alice, offer=scene, duration=timedelta(minutes=30), reason="Look."
    )

    found = look(request)

    assert levels(found, "blocks") == {"role_policies", "group_policies"}
    there = "arn:aws:iam::aws:policy"
    assert found["role_policies"]["sentence"] == f"AWS has no policy {there}/NoSuchThing."
    assert found["group_policies"]["sentence"] == f"AWS has no policy {there}/NorThisOne."


def test_once_it_is_mended_another_look_opens_the_way(
    asked: AccessRequest, aws: Aws, bob: User
) -> None:
    fill_groups(aws)
    assert levels(look(asked), "blocks") == {"user_groups"}

    aws.admin(SOURCE).remove_user_from_group(GroupName="Team0", UserName="userA")
    assert levels(look(asked), "blocks") == set()

    approve(AccessRequest.objects.with_parties().get(pk=asked.pk), bob)


def test_a_member_of_the_switch_group_needs_no_room_in_another(
    asked: AccessRequest, aws: Aws, pair: AccountPair
) -> None:
    switch_groups.prepare_pair(pair.pk)
    aws.admin(SOURCE).add_user_to_group(GroupName=GROUP, UserName="userA")
    for number in range(8):
        aws.admin(SOURCE).create_group(GroupName=f"Team{number}")
        aws.admin(SOURCE).add_user_to_group(GroupName=f"Team{number}", UserName="userA")

    assert look(asked)["user_groups"]["level"] == "ok"


def test_an_account_with_the_older_template_is_told_of_and_works(
    asked: AccessRequest, aws: Aws, bob: User, source: AwsAccount
) -> None:
    older_template(aws)

    found = look(asked)

    assert levels(found, "unknown") == {"mfa", "own_denies"}
    assert levels(found, "blocks") == set()
    assert found["mfa"]["sentence"] == (
        "Identity does not let Sallyport look (iam:ListMFADevices was refused): its template is "
        "older than this check."
    )
    assert found["own_denies"]["sentence"] == (
        "Identity does not let Sallyport look (iam:SimulatePrincipalPolicy was refused): its "
        "template is older than this check."
    )
    approve(AccessRequest.objects.with_parties().get(pk=asked.pk), bob)


def test_the_connection_check_passes_with_the_older_template_and_says_what_is_new(
    aws: Aws, source: AwsAccount, pair: AccountPair
) -> None:
    older_template(aws)
    check = ConnectionCheckFactory.create(account=source)

    onboard.run_check(check.pk)

    check.refresh_from_db()
    (needed,) = [one for one in check.findings if one["key"] == "needed"]
    assert check.passed
    assert "pre-flight says less" in needed["detail"]
    assert "iam:SimulatePrincipalPolicy" in needed["detail"]


def test_the_usual_deny_without_mfa_is_no_obstacle(asked: AccessRequest, aws: Aws) -> None:
    deny(aws, Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}})

    assert look(asked)["own_denies"]["level"] == "ok"


def test_a_deny_that_depends_on_the_sign_in_is_a_warning(asked: AccessRequest, aws: Aws) -> None:
    deny(aws, Condition={"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}})

    found = look(asked)["own_denies"]

    assert found["level"] == "warn"
    assert "depending on aws:sourceip" in found["sentence"]


def test_a_boundary_of_the_persons_own_that_shuts_them_in_is_a_warning(
    asked: AccessRequest, aws: Aws
) -> None:
    read_only = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    aws.admin(SOURCE).put_user_permissions_boundary(UserName="userA", PermissionsBoundary=read_only)

    found = look(asked)["own_denies"]

    assert found["level"] == "warn"
    assert "The permissions boundary of userA" in found["sentence"]


def test_a_deny_of_other_roles_is_no_obstacle(asked: AccessRequest, aws: Aws) -> None:
    deny(aws, Resource=f"arn:aws:iam::{TARGET}:role/admin/*")

    assert look(asked)["own_denies"]["level"] == "ok"


def test_a_user_without_mfa_device_is_a_warning_only_where_mfa_is_demanded(
    asked: AccessRequest, scene: Offer, alice: User
) -> None:
    assert look(asked)["mfa"]["level"] == "warn"

    services.cancel(person=alice, request=asked)
    ProfileVersionFactory.create(profile=scene.profile, require_mfa=False)
    other = services.request_access(
        requester=alice, offer=scene, duration=timedelta(minutes=30), reason="Look."
    )
    assert "mfa" not in look(other)


# --- Looks that fail, and looking again ------------------------------------------------------


def silent(*args: object) -> None:
    raise AwsError(Kind.TRANSIENT, call="sts:AssumeRole", code="Throttling", message="Slow down.")


def test_a_look_without_an_answer_is_tried_again_and_leaves_what_was_found(
    asked: AccessRequest, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_groups(aws)
    before = look(asked)
    seen_at = asked.previewed_at
    began = database_now()
    with monkeypatch.context() as patched:
        patched.setattr(preview, "look_into_source", silent)
        for number in (1, 2):
            assert look(asked) == before
            assert asked.looks_failed == number
    assert asked.previewed_at == seen_at
    assert asked.preview is not None
    assert "sts:AssumeRole was answered Throttling" in asked.preview["problem"]
    assert asked.next_look_at is not None
    assert began < asked.next_look_at < database_now() + timedelta(minutes=10)

    look(asked)

    assert asked.looks_failed == 0
    assert not asked.look_is_due(database_now() + timedelta(days=1))
    assert asked.preview["problem"] == ""


def test_what_is_not_due_is_not_looked_at(asked: AccessRequest, aws: Aws) -> None:
    look(asked)
    first = asked.previewed_at

    tasks.preview_request(asked.pk)

    asked.refresh_from_db()
    assert asked.previewed_at == first


def test_a_slow_look_does_not_overwrite_a_newer_one(asked: AccessRequest, aws: Aws) -> None:
    began = database_now()
    fill_groups(aws)
    look(asked)

    preview.look(AccessRequest.objects.with_parties().get(pk=asked.pk), began)

    asked.refresh_from_db()
    assert asked.previewed_at is not None
    assert asked.previewed_at > began


def test_what_is_asked_for_during_a_look_is_looked_at_again(
    asked: AccessRequest, aws: Aws, alice: User
) -> None:
    AccessRequest.objects.filter(pk=asked.pk).update(previewed_at=database_now())
    began = database_now()
    assert services.look_again(person=alice, request=asked)

    preview.look(AccessRequest.objects.with_parties().get(pk=asked.pk), began)

    asked.refresh_from_db()
    assert asked.next_look_at is not None


def test_the_sweeper_finds_due_looks_and_leaves_those_of_decided_requests(
    offer: Offer, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def take(task: Any, pk: int, **how: Any) -> bool:
        if task is tasks.preview_request:
            told.append(pk)
        return True

    monkeypatch.setattr(tasks, "nudge", take)
    due = AccessRequestFactory.create(offer=offer, requester=alice)
    later = AccessRequestFactory.create(
        offer=OfferFactory.create(),
        requester=alice,
        next_look_at=database_now() + timedelta(minutes=1),
    )
    seen = AccessRequestFactory.create(
        offer=OfferFactory.create(), requester=alice, previewed_at=database_now()
    )
    over = AccessRequestFactory.create(
        offer=OfferFactory.create(), requester=alice, state="cancelled"
    )

    Sweeper().sweep()

    assert told == [due.pk]
    assert not {later.pk, seen.pk, over.pk} & set(told)


# --- Pages -----------------------------------------------------------------------------------


def blocked(request: AccessRequest, **changes: str) -> AccessRequest:
    """A request whose newest look met an obstacle."""
    finding = {
        "key": "user_groups",
        "title": "The IAM user has room for the switch group",
        "level": "blocks",
        "sentence": "userA is in 10 groups; AWS allows 10.",
        "mend": "Take userA out of a group.",
        "who": "an administrator of Identity (111111111111)",
        "account_id": "",
    } | changes
    fine = finding | {"key": "names", "title": "The names are free", "level": "ok", "mend": ""}
    AccessRequest.objects.filter(pk=request.pk).update(
        preview={"steps": [], "problem": "", "findings": [finding, fine]},
        previewed_at=database_now(),
        next_look_at=None,
    )
    return AccessRequest.objects.with_parties().get(pk=request.pk)


@pytest.fixture
def stuck(offer: Offer, alice: User) -> AccessRequest:
    return blocked(AccessRequestFactory.create(offer=offer, requester=alice))


WORDS = (
    "userA is in 10 groups; AWS allows 10.",
    "Take userA out of a group.",
    "an administrator of Identity (111111111111)",
)


@pytest.mark.parametrize("who", ["alice", "bob", "dana", "erin"])
def test_everybody_who_may_see_the_request_is_told_what_to_do(
    stuck: AccessRequest,
    who: str,
    alice: User,
    bob: User,
    dana: User,
    erin: User,
    client_for: ClientFor,
) -> None:
    person = {"alice": alice, "bob": bob, "dana": dana, "erin": erin}[who]

    text = client_for(person).get(stuck.get_absolute_url()).content.decode()

    assert all(word in text for word in WORDS)
    assert "Cannot be set up yet" in text
    assert "1 thing looked at and good" in text
    assert (f"/requests/{stuck.code}/look-again/" in text) == (who != "erin")


def test_a_stranger_learns_nothing(
    stuck: AccessRequest, charlie: User, client_for: ClientFor
) -> None:
    client = client_for(charlie)

    assert client.get(stuck.get_absolute_url()).status_code == 404
    assert client.post(f"/requests/{stuck.code}/look-again/").status_code == 404


def test_the_approve_button_says_why_it_is_off_and_rejecting_stays_possible(
    stuck: AccessRequest, bob: User, client_for: ClientFor
) -> None:
    text = client_for(bob).get(stuck.get_absolute_url()).content.decode()
    approve_button = text[text.index('value="approved"') :].partition(">")[0]
    reject_button = text[text.index('value="rejected"') :].partition(">")[0]

    assert "disabled" in approve_button
    assert 'aria-describedby="why-not"' in approve_button
    assert "It cannot be approved yet" in text
    assert "disabled" not in reject_button


def test_approving_all_the_same_answers_409_and_names_the_reason(
    stuck: AccessRequest, bob: User, client_for: ClientFor
) -> None:
    shown = fingerprint(specs.spec_for_request(stuck))

    page = client_for(bob).post(
        f"/requests/{stuck.code}/decide/", {"verdict": "approved", "fingerprint": shown}
    )

    assert page.status_code == 409
    assert [str(one) for one in page.context["messages"]] == [
        "userA is in 10 groups; AWS allows 10. Take userA out of a group. "
        "Who can do that: an administrator of Identity (111111111111)."
    ]
    stuck.refresh_from_db()
    assert stuck.state == "pending"


def test_a_warning_does_not_stop_an_approval(
    stuck: AccessRequest, bob: User, client_for: ClientFor
) -> None:
    warned = blocked(stuck, level="warn")
    page = client_for(bob).get(stuck.get_absolute_url()).content.decode()
    assert "With a warning" in page
    assert "why-not" not in page

    assert approve(warned, bob).phase == "pending"


def test_a_request_that_nobody_has_looked_at_can_be_decided(
    offer: Offer, alice: User, bob: User, client_for: ClientFor
) -> None:
    asked = AccessRequestFactory.create(offer=offer, requester=alice)

    text = client_for(bob).get(asked.get_absolute_url()).content.decode()

    assert "No worker has looked into the accounts" in text
    assert "Not all known" in text
    assert approve(asked, bob).phase == "pending"


def test_lists_mark_what_cannot_be_set_up(
    stuck: AccessRequest, alice: User, bob: User, client_for: ClientFor
) -> None:
    approvals = client_for(bob).get("/approvals/").content.decode()
    mine = client_for(alice).get("/access/").content.decode()

    assert "Cannot be set up yet" in approvals
    assert all(word in mine for word in WORDS)


@pytest.mark.parametrize("path", ["/access/", "/approvals/"])
def test_findings_cost_the_lists_no_query(
    stuck: AccessRequest,
    alice: User,
    bob: User,
    client_for: ClientFor,
    path: str,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    client = client_for(bob if path == "/approvals/" else alice)

    def queries() -> int:
        with django_assert_max_num_queries(100) as captured:
            client.get(path)
        return len(captured)

    queries()
    with_finding = queries()
    AccessRequest.objects.filter(pk=stuck.pk).update(preview=None)
    assert queries() == with_finding


@pytest.fixture
def nudged(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sent: list[int] = []

    def take(task: object, pk: int) -> bool:
        sent.append(pk)
        return True

    monkeypatch.setattr(tasks, "nudge", take)
    return sent


@pytest.mark.parametrize("who", ["alice", "bob", "dana"])
def test_who_is_concerned_may_have_it_looked_at_again_once_at_a_time(
    stuck: AccessRequest,
    who: str,
    alice: User,
    bob: User,
    dana: User,
    client_for: ClientFor,
    nudged: list[int],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    person = {"alice": alice, "bob": bob, "dana": dana}[who]
    client, url = client_for(person), f"/requests/{stuck.code}/look-again/"

    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(url)
    assert answer.headers["Location"] == stuck.get_absolute_url()
    stuck.refresh_from_db()
    asked_at = stuck.next_look_at
    assert asked_at is not None
    with django_capture_on_commit_callbacks(execute=True):
        client.post(url)

    stuck.refresh_from_db()
    assert stuck.next_look_at == asked_at
    # The second press asks for no second look; it repeats a nudge that may be lost.
    assert nudged == [stuck.pk, stuck.pk]
    events = AuditEvent.objects.about(stuck.subject).filter(kind="request:look:asked")
    assert [one.actor for one in events] == [who]
    text = client.get(stuck.get_absolute_url()).content.decode()
    assert "It is being looked at again at this moment." in text


def test_an_auditor_may_not_have_it_looked_at(
    stuck: AccessRequest, erin: User, client_for: ClientFor
) -> None:
    assert client_for(erin).post(f"/requests/{stuck.code}/look-again/").status_code == 403

    event = AuditEvent.objects.about(stuck.subject).last()
    assert event is not None
    assert (event.kind, event.actor) == ("request:look:refused", "erin")
    stuck.refresh_from_db()
    assert stuck.next_look_at is None


def test_a_decided_request_is_not_looked_at_again(
    offer: Offer, alice: User, client_for: ClientFor
) -> None:
    over = AccessRequestFactory.create(offer=offer, requester=alice, state="cancelled")

    page = client_for(alice).post(f"/requests/{over.code}/look-again/")

    assert page.status_code == 409
    assert "This request is cancelled already." in page.content.decode()


@pytest.mark.parametrize(
    ("who", "minutes", "again"),
    [("bob", 6, True), ("bob", 4, False), ("alice", 6, False), ("dana", 6, False)],
)
def test_an_old_look_is_repeated_when_an_approver_opens_the_page(
    stuck: AccessRequest,
    who: str,
    minutes: int,
    again: bool,
    alice: User,
    bob: User,
    dana: User,
    client_for: ClientFor,
) -> None:
    old = database_now() - timedelta(minutes=minutes)
    AccessRequest.objects.filter(pk=stuck.pk).update(previewed_at=old)
    person = {"alice": alice, "bob": bob, "dana": dana}[who]

    text = client_for(person).get(stuck.get_absolute_url()).content.decode()

    stuck.refresh_from_db()
    assert (stuck.next_look_at is not None) == again
    assert ("It is being looked at again at this moment." in text) == again


def test_a_page_that_is_open_gets_new_findings_once_and_keeps_what_was_typed(
    stuck: AccessRequest, bob: User, client_for: ClientFor
) -> None:
    client, url = client_for(bob), stuck.get_absolute_url()
    mark = client.get(url).context["plan"].mark
    fragment = {"HX-Request": "true"}

    same = client.get(url, {"seen": mark}, headers=fragment).content.decode()
    blocked(stuck, level="warn")
    new = client.get(url, {"seen": mark}, headers=fragment).content.decode()

    assert 'id="preflight"' not in same
    assert 'id="preflight"' in new
    assert 'id="verdict"' in new
    assert "disabled" not in new[new.index('value="approved"') :].partition(">")[0]
    assert 'name="reason"' not in new


def test_once_decided_an_open_page_loses_the_findings(
    offer: Offer, alice: User, client_for: ClientFor
) -> None:
    over = AccessRequestFactory.create(offer=offer, requester=alice, state="cancelled")
    client, url = client_for(alice), over.get_absolute_url()

    polled = client.get(url, {"seen": "0-0-1"}, headers={"HX-Request": "true"})

    assert '<div id="preflight" hx-swap-oob="delete"></div>' in polled.content.decode()
    assert "Can it be set up?" not in client.get(url).content.decode()


# --- What needs no AWS -----------------------------------------------------------------------


def impossible(spec: object) -> list[Finding]:
    return [Finding("lint", "A title", Level.BLOCKS, "It can never be.", "Change it.", "an admin")]


def test_what_can_never_be_set_up_is_told_on_the_form_and_not_asked_for(
    offer: Offer, alice: User, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "STATIC_RULES", [impossible])
    client, url = client_for(alice), f"/offers/{offer.pk}/request/"

    assert "It can never be." in client.get(url).content.decode()
    page = client.post(url, {"duration": "30", "reason": "Ticket SEC-214"})

    assert page.status_code == 422
    assert page.context["form"].non_field_errors() == [
        "It can never be. Change it. Who can do that: an admin."
    ]
    assert page.context["form"]["reason"].value() == "Ticket SEC-214"
    assert not AccessRequest.objects.exists()


def test_a_profile_that_no_account_could_carry_is_refused_by_name(
    offer: Offer, alice: User, dana: User
) -> None:
    first_stage(offer).people.add(dana)  # What nobody knows needs two approvers.
    ProfileVersionFactory.create(
        profile=offer.profile, managed_policies=[f"Policy{number}" for number in range(26)]
    )

    with pytest.raises(ValidationError) as caught:
        services.request_access(
            requester=alice, offer=offer, duration=timedelta(minutes=30), reason="Look."
        )

    assert caught.value.error_list[0].code == services.CANNOT_BE_SET_UP
    assert "The profile has 26 managed policies; AWS takes 25 at most." in caught.value.messages[0]


def test_what_became_impossible_since_stops_the_approval_without_a_look(
    offer: Offer, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = AccessRequestFactory.create(offer=offer, requester=alice)
    monkeypatch.setattr(preflight, "STATIC_RULES", [impossible])

    with pytest.raises(services.CannotBeSetUp) as caught:
        approve(asked, bob)

    assert caught.value.reasons == ("It can never be. Change it. Who can do that: an admin.",)


# --- The command -----------------------------------------------------------------------------


def printed(*arguments: str) -> str:
    out = StringIO()
    call_command("plan", *arguments, stdout=out)
    return out.getvalue()


def test_the_plan_command_tries_the_plan_and_prints_what_it_found(
    asked: AccessRequest, aws: Aws
) -> None:
    fill_groups(aws)
    assert "looked at never" in printed(asked.code)

    text = printed(asked.code, "--observe")
    data = json.loads(printed(asked.code, "--json"))

    assert text.startswith("[blocks] The IAM user has room for the switch group: userA is in 10")
    assert "What to do: Take userA out of a group" in text
    assert data["findings"][0]["key"] == "user_groups"
    assert data["looked_at"]
    assert [step["call"] for step in data["steps"]][-1] == "iam:AttachRolePolicy"


def test_the_plan_command_tries_no_decided_request(offer: Offer, alice: User) -> None:
    over = AccessRequestFactory.create(offer=offer, requester=alice, state="cancelled")

    with pytest.raises(CommandError, match="The request is cancelled: there is nothing to try"):
        call_command("plan", over.code, "--observe")
