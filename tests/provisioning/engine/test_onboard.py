"""*Check connection* and finding IAM users, against the server that stands for AWS."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import AccountPair, AwsAccount, ConnectionCheck, IamIdentity, User
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import services
from provisioning.engine import onboard
from tests.aws_world import Aws
from tests.conftest import ClientFor
from tests.factories import AwsAccountFactory

TARGET, ROLE = "222222222222", "SallyportProvisioner"
PORTAL = "arn:aws:iam::999999999999:user/sallyport-portal"


def check(account: AwsAccount) -> dict[str, dict[str, Any]]:
    """Run a check as a worker does; findings by key."""
    asked = ConnectionCheck.objects.create(account=account, asked_by="dana")
    onboard.run_check(asked.pk)
    asked.refresh_from_db()
    assert asked.finished_at is not None
    return {one["key"]: one for one in asked.findings}


def failed(findings: dict[str, dict[str, Any]]) -> set[str]:
    return {key for key, one in findings.items() if not one["ok"]}


def trust(aws: Aws, **changes: Any) -> None:
    """Replace the provisioner role's trust policy."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": PORTAL},
        "Action": "sts:AssumeRole",
    } | changes
    aws.admin(TARGET).update_assume_role_policy(
        RoleName=ROLE,
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )


def permissions(aws: Aws, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Change the provisioner role's own policy."""
    iam = aws.admin(TARGET)
    document = iam.get_role_policy(RoleName=ROLE, PolicyName=ROLE)["PolicyDocument"]
    change(document["Statement"])  # type: ignore[index,arg-type]  # botocore has decoded it
    iam.put_role_policy(RoleName=ROLE, PolicyName=ROLE, PolicyDocument=json.dumps(document))


def test_an_account_installed_from_the_template_passes(aws: Aws, target: AwsAccount) -> None:
    findings = check(target)

    assert failed(findings) == set()
    assert list(findings) == [
        "enter",
        "without",
        "wrong",
        "account",
        "trust",
        "needed",
        "no_more",
        "boundary",
    ]
    event = AuditEvent.objects.about(target.subject).last()
    assert event is not None
    assert event.kind == "account:check:passed"


def test_a_role_that_does_not_exist_says_so_and_tries_nothing_else(
    aws: Aws, target: AwsAccount
) -> None:
    AwsAccount.objects.filter(pk=target.pk).update(
        provisioner_role_arn=f"arn:aws:iam::{TARGET}:role/Nothing"
    )
    target.refresh_from_db()

    findings = check(target)

    assert findings["enter"]["ok"] is False
    assert "AccessDenied" in findings["enter"]["detail"]
    assert target.external_id in findings["enter"]["mend"]
    assert {one["ok"] for key, one in findings.items() if key != "enter"} == {None}


def test_a_role_that_lets_in_without_external_id_is_found(aws: Aws, target: AwsAccount) -> None:
    trust(aws)

    findings = check(target)

    assert {"without", "wrong", "trust"} <= failed(findings)
    assert "lacks the condition on sts:ExternalId" in findings["without"]["mend"]


def test_a_role_that_trusts_others_too_is_found(aws: Aws, target: AwsAccount) -> None:
    condition = {"StringEquals": {"sts:ExternalId": target.external_id}}
    trust(
        aws,
        Principal={"AWS": [PORTAL, "arn:aws:iam::111111111111:root"]},
        Condition=condition,
    )

    findings = check(target)

    assert failed(findings) == {"trust"}
    assert "111111111111" in findings["trust"]["detail"]


def test_a_role_in_another_account_than_typed_is_found(
    aws: Aws, source: AwsAccount, target: AwsAccount
) -> None:
    """The ARN of one account under the id of another, with that one's ExternalId."""
    AwsAccount.objects.filter(pk=target.pk).update(provisioner_role_arn=source.provisioner_role_arn)
    iam = aws.admin("111111111111")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": PORTAL},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": target.external_id}},
    }
    iam.update_assume_role_policy(
        RoleName=ROLE,
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    target.refresh_from_db()

    findings = check(target)

    assert findings["enter"]["ok"] is False
    assert (
        "The session is in account 111111111111, not in 222222222222."
        in (findings["enter"]["detail"])
    )


def drop(sid: str) -> Callable[[list[dict[str, Any]]], None]:
    def change(statements: list[dict[str, Any]]) -> None:
        statements[:] = [one for one in statements if one["Sid"] != sid]

    return change


def widen(statements: list[dict[str, Any]]) -> None:
    statements.append({"Effect": "Allow", "Action": "iam:CreateUser", "Resource": "*"})


@pytest.mark.parametrize(
    ("change", "found", "words"),
    [
        (drop("WriteBoundedRoles"), "needed", "iam:CreateRole"),
        (drop("ManageSwitchGroups"), "needed", "iam:AddUserToGroup"),
        (widen, "no_more", "iam:CreateUser"),
    ],
)
def test_missing_and_superfluous_rights_are_named(
    aws: Aws, target: AwsAccount, change: Any, found: str, words: str
) -> None:
    permissions(aws, change)

    findings = check(target)

    assert failed(findings) == {found}
    assert words in findings[found]["detail"]
    assert findings[found]["mend"]


def test_an_administrator_as_provisioner_is_found(aws: Aws, target: AwsAccount) -> None:
    aws.admin(TARGET).attach_role_policy(
        RoleName=ROLE, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    )

    assert failed(check(target)) == {"no_more"}


def test_a_missing_boundary_is_found(aws: Aws, target: AwsAccount) -> None:
    aws.admin(TARGET).delete_policy(PolicyArn=target.boundary_arn)

    findings = check(target)

    assert failed(findings) == {"boundary"}
    assert findings["boundary"]["mend"]


def test_a_source_needs_no_boundary(aws: Aws, source: AwsAccount, pair: AccountPair) -> None:
    aws.admin("111111111111").delete_policy(PolicyArn=source.boundary_arn)

    assert failed(check(source)) == set()


def test_a_boundary_that_lets_more_through_is_found(aws: Aws, target: AwsAccount) -> None:
    everything = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
    iam = aws.admin(TARGET)
    iam.create_policy_version(
        PolicyArn=target.boundary_arn, PolicyDocument=json.dumps(everything), SetAsDefault=True
    )

    assert failed(check(target)) == {"boundary"}


def test_a_check_is_run_once_by_one_worker(aws: Aws, target: AwsAccount) -> None:
    asked = services.check_connection(asked_by="dana", account=target)
    again = services.check_connection(asked_by="dana", account=target)
    onboard.run_check(asked.pk)
    first = ConnectionCheck.objects.get(pk=asked.pk).finished_at

    onboard.run_check(asked.pk)

    assert again == asked
    assert ConnectionCheck.objects.get(pk=asked.pk).finished_at == first


def test_a_check_that_has_begun_does_not_answer_a_later_question(
    aws: Aws, target: AwsAccount
) -> None:
    asked = services.check_connection(asked_by="dana", account=target)
    ConnectionCheck.objects.filter(pk=asked.pk).update(started_at="2026-01-01T00:00Z")

    again = services.check_connection(asked_by="dana", account=target)

    assert again != asked


def unverified(person: User) -> IamIdentity:
    IamIdentity.objects.filter(person=person).update(
        verified_at=None, arn="", unique_id="", next_check_at="2026-01-01T00:00Z"
    )
    return IamIdentity.objects.get(person=person)


def test_an_iam_user_is_found_with_its_unique_id(aws: Aws, alice: User) -> None:
    identity = unverified(alice)

    onboard.verify_identity(identity.pk)

    identity.refresh_from_db()
    assert identity.arn == "arn:aws:iam::111111111111:user/userA"
    assert identity.unique_id.startswith("AIDA")
    assert (identity.verified_at is not None, identity.next_check_at) == (True, None)


def test_an_iam_user_that_does_not_exist_is_told_and_looked_for_again(
    aws: Aws, bob: User, source: AwsAccount
) -> None:
    identity = IamIdentity.objects.create(person=bob, account=source, user_name="nobody")

    onboard.verify_identity(identity.pk)

    identity.refresh_from_db()
    assert identity.last_error == "There is no IAM user nobody in this account."
    assert identity.verified_at is None
    assert identity.next_check_at is not None


def test_another_user_of_the_same_name_is_not_adopted(aws: Aws, alice: User) -> None:
    identity = IamIdentity.objects.get(person=alice)
    IamIdentity.objects.filter(pk=identity.pk).update(next_check_at="2026-01-01T00:00Z")

    onboard.verify_identity(identity.pk)

    identity.refresh_from_db()
    assert identity.unique_id == "AIDAALICEALICEALICE00"
    assert identity.last_error == "The IAM user was deleted and made again: link it anew."


# --- Again and again -------------------------------------------------------------------------


def a_check(account: AwsAccount, *, hours_ago: float, ok: bool = True) -> ConnectionCheck:
    """A finished check of some time ago."""
    at = database_now() - timedelta(hours=hours_ago)
    made = ConnectionCheck.objects.create(
        account=account, asked_by="dana", finished_at=at, findings=[{"key": "enter", "ok": ok}]
    )
    ConnectionCheck.objects.filter(pk=made.pk).update(asked_at=at)
    return made


@pytest.mark.django_db
def test_a_connection_is_checked_again_once_the_last_check_is_old(
    source: AwsAccount, target: AwsAccount
) -> None:
    a_check(source, hours_ago=7)
    a_check(target, hours_ago=5)

    for _ in range(3):
        onboard.ask_again(database_now())

    assert source.checks.filter(finished_at__isnull=True).count() == 1
    assert not target.checks.filter(finished_at__isnull=True).exists()


@pytest.mark.django_db
def test_not_all_connections_are_checked_at_once() -> None:
    for _ in range(onboard.AT_ONCE + 3):
        a_check(AwsAccountFactory.create(), hours_ago=7)

    onboard.ask_again(database_now())

    asked = ConnectionCheck.objects.filter(finished_at__isnull=True)
    assert asked.count() == onboard.AT_ONCE


def test_a_failing_connection_tells_since_when(aws: Aws, target: AwsAccount) -> None:
    a_check(target, hours_ago=3)
    trust(aws, Principal={"AWS": "arn:aws:iam::999999999999:root"})

    check(target)
    check(target)

    second, first, _ = target.checks.all()
    assert first.failing_since == second.failing_since == first.finished_at
    trust(aws, Condition={"StringEquals": {"sts:ExternalId": target.external_id}})
    check(target)
    assert target.checks.latest("pk").failing_since is None


def test_old_checks_are_forgotten(aws: Aws, target: AwsAccount) -> None:
    for number in range(onboard.KEPT_CHECKS + 5):
        a_check(target, hours_ago=100 - number)

    check(target)

    assert target.checks.count() == onboard.KEPT_CHECKS


def test_the_accounts_page_says_since_when_a_connection_fails(
    target: AwsAccount, dana: User, client_for: ClientFor
) -> None:
    made = a_check(target, hours_ago=3, ok=False)
    ConnectionCheck.objects.filter(pk=made.pk).update(failing_since=made.finished_at)
    # A check that waits does not hide the last result.
    ConnectionCheck.objects.create(account=target, asked_by="dana")

    for path in ("/registry/accounts/", target.get_absolute_url()):
        text = client_for(dana).get(path).content.decode()
        assert "Failing since" in text
    assert "3 hours ago" in client_for(dana).get("/registry/accounts/").content.decode().replace(
        "\xa0", " "
    )
