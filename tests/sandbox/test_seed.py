"""The world and the seed of the sandbox, against the server that stands for AWS."""

import stat
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import AwsAccount, ConnectionCheck, IamIdentity, Offer, User
from accounts.services.accounts import change_account
from audit.models import AuditEvent
from provisioning.aws.clients import lend
from provisioning.aws.errors import AwsError, calling
from provisioning.core import onboarding
from sandbox import seed, world
from sandbox.people import PASSWORD, PEOPLE
from tests.sandbox.conftest import forget_aws

REGION = "us-east-1"


def in_aws() -> list[dict[str, Any]]:
    """Everything that IAM holds in the three accounts."""
    found = []
    for account_id in (world.ACCOUNT_A, world.ACCOUNT_B, world.portal_account()):
        iam = world.administrator(account_id)
        details: dict[str, Any] = {**iam.get_account_authorization_details()}
        details.pop("ResponseMetadata")
        for role in details["RoleDetailList"]:
            role.pop("RoleLastUsed", None)
        found.append(details)
    return found


def key_files(var: Path) -> dict[str, str]:
    """The files that hold keys, by name."""
    return {name: (var / name).read_text() for name in (world.PORTAL_KEY, world.USER_KEYS)}


@pytest.mark.usefixtures("seeded")
def test_every_connection_check_passes() -> None:
    for account in AwsAccount.objects.all():
        check = ConnectionCheck.objects.filter(account=account).latest("id")
        assert [one["title"] for one in check.findings if not one["ok"]] == []
        assert check.passed


@pytest.mark.usefixtures("seeded")
def test_every_linked_iam_user_is_found() -> None:
    linked = {(str(one), one.person.username) for one in IamIdentity.objects.all()}
    assert linked == {
        ("userA in Identity", "alice"),
        ("userB in Workload", "alice"),
        ("userC in Identity", "charlie"),
    }
    assert all(one.verified_at and one.unique_id for one in IamIdentity.objects.all())


@pytest.mark.usefixtures("seeded")
def test_offers_lead_both_ways_between_the_accounts() -> None:
    offers = {
        str(offer): (
            [str(person) for person in offer.eligible_users.all()],
            [str(group) for group in offer.stages.get().groups.all()],
            offer.profile.current.require_mfa,
        )
        for offer in Offer.objects.filter(profile__name="SecurityReadOnlyRole")
    }
    wanted = (["Alice Ashby"], ["Approvers"], True)
    assert offers == {
        "SecurityReadOnlyRole on Identity → Workload": wanted,
        "SecurityReadOnlyRole on Workload → Identity": wanted,
    }


@pytest.mark.usefixtures("seeded")
def test_two_more_offers_show_a_rule_a_ticket_a_warning_and_a_second_stage() -> None:
    lists = Offer.objects.get(profile__name="ViewOnlyRole")
    assert (lists.sensitivity, lists.auto_approve, lists.ticket_required) == ("low", True, True)
    support = Offer.objects.get(profile__name="SupportRole")
    assert [one.name for one in support.stages.all()] == ["Approval", "Account owner"]
    assert support.warning
    assert not [*lists.warnings(), *support.warnings()]


@pytest.mark.usefixtures("seeded")
def test_everybody_signs_in_with_the_password_that_is_printed() -> None:
    roles = {}
    for person in PEOPLE:
        user = authenticate(username=person.username, password=PASSWORD)
        assert isinstance(user, User)
        roles[user.username] = user.role
    assert roles == {
        "alice": "member",
        "bob": "member",
        "charlie": "member",
        "dana": "admin",
        "erin": "auditor",
        "frank": "admin",
    }


@pytest.mark.usefixtures("seeded")
def test_every_row_has_its_audit_event() -> None:
    kinds = AuditEvent.objects.values_list("kind", flat=True)
    for kind, number in {
        "person:made": len(PEOPLE),
        "person:group:joined": 2,
        "account:registered": 2,
        "pair:registered": 2,
        "profile:added": 3,
        "offer:made": 4,
        "identity:linked": 3,
        "identity:verified": 3,
        "account:check:passed": 2,
    }.items():
        assert list(kinds).count(kind) == number, kind


@pytest.mark.usefixtures("seeded")
def test_a_second_seed_only_reads_and_changes_nothing_in_aws(var: Path) -> None:
    aws, files = in_aws(), key_files(var)
    with CaptureQueriesContext(connection) as queries:
        seed.seed()
    assert in_aws() == aws
    assert key_files(var) == files
    assert {query["sql"].split()[0] for query in queries} == {"SELECT"}
    assert len(queries) <= 25


@pytest.mark.usefixtures("seeded")
def test_what_an_admin_has_changed_since_is_left_alone() -> None:
    account = AwsAccount.objects.get(account_id=world.ACCOUNT_A)
    account.name = "Head office"
    account.provisioner_role_arn += "2"
    change_account(actor="dana", account=account)
    seed.seed()
    account.refresh_from_db()
    assert account.name == "Head office"
    assert account.provisioner_role_arn.endswith("SallyportProvisioner2")


def test_a_world_that_aws_has_lost_is_made_anew(seeded: None, aws_endpoint: str) -> None:
    before = {one.pk: one.unique_id for one in IamIdentity.objects.all()}
    forget_aws(aws_endpoint)
    seed.seed()
    test_every_connection_check_passes()
    for identity in IamIdentity.objects.select_related("account"):
        assert identity.verified_at
        assert identity.unique_id != before[identity.pk]
        assert identity.unique_id == world.unique_id(
            identity.account.account_id, identity.user_name
        )
    assert AuditEvent.objects.filter(kind="identity:relinked").count() == 3


@pytest.mark.usefixtures("seeded")
def test_lost_key_files_are_made_anew_and_the_old_keys_end(var: Path) -> None:
    old = world.iam_users()[0].credentials
    for name in key_files(var):
        (var / name).unlink()
    seed.seed()
    key = world.iam_users()[0].credentials
    assert key != old
    assert lend("sts", REGION, key).client.get_caller_identity()["Arn"].endswith(":user/userA")
    with pytest.raises(AwsError, match="InvalidClientTokenId"), calling("sts:GetCallerIdentity"):
        lend("sts", REGION, old).client.get_caller_identity()
    assert AuditEvent.objects.filter(kind="identity:relinked").count() == 0


@pytest.mark.usefixtures("seeded")
def test_files_that_hold_keys_are_readable_by_their_owner_only(var: Path) -> None:
    modes = {stat.S_IMODE((var / name).stat().st_mode) for name in key_files(var)}
    assert modes == {0o600}


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("call", ["list_users", "create_user", "list_roles"])
def test_the_portal_itself_may_do_nothing_but_enter_provisioner_roles(call: str) -> None:
    iam = lend("iam", REGION, world.portal_credentials()).client
    with pytest.raises(AwsError, match="AccessDenied"), calling(call):
        getattr(iam, call)(**({"UserName": "mallory"} if call == "create_user" else {}))


@pytest.mark.usefixtures("seeded")
def test_installing_again_puts_right_what_was_changed_by_hand() -> None:
    account = AwsAccount.objects.get(account_id=world.ACCOUNT_B)
    iam, wanted = world.administrator(account.account_id), in_aws()
    arn = onboarding.boundary_arn("aws", account.account_id)
    wide = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
    for _ in range(4):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=wide, SetAsDefault=True)
    iam.put_role_policy(
        RoleName=onboarding.PROVISIONER_ROLE_NAME,
        PolicyName=onboarding.PROVISIONER_POLICY_NAME,
        PolicyDocument=wide,
    )
    world.install(account)
    document = iam.get_policy_version(
        PolicyArn=arn, VersionId=iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    )["PolicyVersion"]["Document"]
    assert document == onboarding.boundary_policy(partition="aws", account_id=account.account_id)
    assert in_aws()[1]["RoleDetailList"] == wanted[1]["RoleDetailList"]


@pytest.mark.usefixtures("empty_aws", "var", "db")
def test_a_seed_whose_check_fails_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "_put_policy", lambda *values: None)
    with pytest.raises(CommandError, match="The boundary policy is in place"):
        call_command("seed_sandbox")


@pytest.mark.usefixtures("db", "var")
@pytest.mark.parametrize("endpoint", ["", "https://iam.amazonaws.com", "http://localhost.evil/"])
def test_nothing_is_sent_where_the_stand_in_does_not_answer(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(CommandError, match="AWS_ENDPOINT_URL does not name a server on this"):
        call_command("seed_sandbox")
