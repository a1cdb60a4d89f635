"""The stand-in for AWS, as its own process, asked through boto3.

A refusal is asserted by AWS's own code. Nothing here waits for time to pass: the server's clock
is put ahead instead.
"""

import contextlib
import http.client
import json
import socket
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox import iam_state
from sandbox.sts import Sessions

ROOT = Path(__file__).resolve().parents[2]
ANY = "any secret: signatures are not checked"
SOURCE, TARGET = "111111111111", "222222222222"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
BOUNDARY = f"arn:aws:iam::{TARGET}:policy/SallyportBoundary"
ROLE = f"arn:aws:iam::{TARGET}:role/sallyport/Reader-userA-x1"
ISSUED = f"arn:aws:iam::{TARGET}:role/sallyport/*"
NAME = "Reader-userA-x1"


class Server:
    """One server process, and clients for it."""

    def __init__(self, state: Path | None = None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        command = [sys.executable, "-m", "sandbox.aws_server", "--port", str(self.port)]
        command += ["--state", str(state)] if state else []
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)  # noqa: S603
        self._session = boto3.Session()
        self._clients: dict[tuple[str, ...], Any] = {}
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                if self.ask("GET", "/moto-api/")[0] == 200:
                    return
            time.sleep(0.02)
        raise RuntimeError("the server did not start")

    def stop(self) -> str:
        """Stop as the supervisor does, and give back what it said."""
        self.process.terminate()
        return self.process.communicate(timeout=10)[1].decode()

    def ask(self, method: str, path: str, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def control(self, what: str) -> None:
        status, body = self.ask("POST", f"/sandbox-api/{what}", **{"X-Sandbox-Control": "yes"})
        assert status == 200, body

    def advance(self, **ahead: float) -> None:
        self.control(f"clock?offset={timedelta(**ahead).total_seconds()}")

    def client(
        self,
        service: Any,
        key: str,
        secret: str = ANY,
        token: str | None = None,
        region: str = "us-east-1",
    ) -> Any:
        known = (service, key, token or "", region)
        if known not in self._clients:
            self._clients[known] = self._session.client(
                service,
                region_name=region,
                endpoint_url=f"http://127.0.0.1:{self.port}",
                aws_access_key_id=key,
                aws_secret_access_key=secret,
                aws_session_token=token,
                # What botocore would refuse by itself must reach the server too.
                config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
            )
        return self._clients[known]

    def admin(self, account: str) -> Any:
        return self.client("iam", f"sandbox-admin-{account}")

    def user(self, name: str, account: str = SOURCE, service: str = "sts") -> Any:
        """A user by a key of their own, made once a test."""
        made = self.admin(account).create_access_key(UserName=name)["AccessKey"]
        return self.client(service, made["AccessKeyId"], made["SecretAccessKey"])

    def session(self, credentials: dict[str, Any], service: str = "iam") -> Any:
        return self.client(
            service,
            credentials["AccessKeyId"],
            credentials["SecretAccessKey"],
            credentials["SessionToken"],
        )


@pytest.fixture(scope="module")
def process() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def aws(process: Server) -> Server:
    """An empty AWS, at the present time."""
    process.control("reset")
    return process


@pytest.fixture
def source(aws: Server) -> Any:
    """The administrator of account A, in which userA and userC live."""
    client = aws.admin(SOURCE)
    for name in ("userA", "userC"):
        client.create_user(UserName=name)
    return client


@pytest.fixture
def target(aws: Server) -> Any:
    """The administrator of account B, with the boundary policy."""
    client = aws.admin(TARGET)
    text = policy(allow("*"), deny("sts:AssumeRole"))
    client.create_policy(PolicyName="SallyportBoundary", PolicyDocument=text)
    return client


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def trusts(principal: Any, **more: Any) -> str:
    body = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
    return policy(body | more)


def arn(name: str, account: str = SOURCE) -> str:
    return f"arn:aws:iam::{account}:user/{name}"


@contextlib.contextmanager
def refused(code: str, match: str | None = None) -> Iterator[None]:
    with pytest.raises(ClientError, match=match) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code


def assume(sts: Any, role: str = ROLE, **more: Any) -> dict[str, Any]:
    more = {"RoleSessionName": "userA"} | more
    answer: dict[str, Any] = sts.assume_role(RoleArn=role, **more)
    return answer


def may_assume(client: Any, name: str, resource: str = ISSUED) -> None:
    text = policy(allow("sts:AssumeRole", resource))
    client.put_user_policy(UserName=name, PolicyName="assume", PolicyDocument=text)


def make_role(client: Any, trust: str, name: str = NAME, **more: Any) -> dict[str, Any]:
    more = {"Path": "/sallyport/"} | more
    role: dict[str, Any] = client.create_role(
        RoleName=name, AssumeRolePolicyDocument=trust, **more
    )["Role"]
    return role


@pytest.fixture
def user_a(aws: Server, source: Any, target: Any) -> Any:
    """userA, whose side allows every issued role, and a role in B that trusts userA."""
    may_assume(source, "userA")
    make_role(target, trusts(arn("userA")))
    return aws.user("userA")


# Who calls ---------------------------------------------------------------------------------


def test_unknown_key_is_no_key(aws: Server) -> None:
    with refused("InvalidClientTokenId"):
        aws.client("sts", "AKIAIOSFODNN7EXAMPLE").get_caller_identity()


def test_request_without_signature_is_refused(aws: Server) -> None:
    status, body = aws.ask("POST", "/?Action=ListUsers&Version=2010-05-08")
    assert (status, b"MissingAuthenticationToken" in body) == (403, True)


def test_web_page_under_a_foreign_name_is_refused(aws: Server) -> None:
    assert aws.ask("GET", "/moto-api/", Host="attacker.example")[0] == 403


def test_control_without_its_header_is_refused(aws: Server, source: Any) -> None:
    assert aws.ask("POST", "/sandbox-api/reset")[0] == 403
    assert len(source.list_users()["Users"]) == 2


def test_administrator_acts_in_the_account_of_its_key(aws: Server) -> None:
    identity = aws.client("sts", f"sandbox-admin-{TARGET}").get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{TARGET}:root"
    assert aws.admin(TARGET).create_user(UserName="x")["User"]["Arn"] == arn("x", TARGET)
    assert aws.admin(SOURCE).list_users()["Users"] == []


def test_administrator_cannot_assume_a_role(aws: Server, user_a: Any) -> None:
    with refused("AccessDenied", "Roles may not be assumed by root accounts"):
        assume(aws.client("sts", f"sandbox-admin-{TARGET}"))


def test_user_is_known_by_their_key(aws: Server, source: Any) -> None:
    identity = aws.user("userA").get_caller_identity()
    assert (identity["Arn"], identity["Account"]) == (arn("userA"), SOURCE)
    assert identity["UserId"] == source.get_user(UserName="userA")["User"]["UserId"]


def test_user_is_known_by_a_fixed_key_while_they_exist(aws: Server, source: Any) -> None:
    fixed = aws.client("sts", f"sandbox-user-{SOURCE}-userA")
    assert fixed.get_caller_identity()["Arn"] == arn("userA")
    source.delete_user(UserName="userA")
    with refused("InvalidClientTokenId"):
        fixed.get_caller_identity()


def test_inactive_key_is_refused(aws: Server, source: Any) -> None:
    key = source.create_access_key(UserName="userA")["AccessKey"]["AccessKeyId"]
    source.update_access_key(UserName="userA", AccessKeyId=key, Status="Inactive")
    with refused("InvalidClientTokenId"):
        aws.client("sts", key).get_caller_identity()


def test_key_of_one_partition_is_none_in_another(aws: Server, source: Any) -> None:
    key = source.create_access_key(UserName="userA")["AccessKey"]["AccessKeyId"]
    china = aws.client("sts", key, region="cn-north-1")
    with refused("InvalidClientTokenId"):
        china.get_caller_identity()


def test_unique_ids_begin_as_those_of_aws(source: Any, target: Any, user_a: Any) -> None:
    assert source.get_user(UserName="userA")["User"]["UserId"].startswith("AIDA")
    assert source.create_group(GroupName="g")["Group"]["GroupId"].startswith("AGPA")
    assert target.get_role(RoleName=NAME)["Role"]["RoleId"].startswith("AROA")


def test_other_services_are_closed(aws: Server) -> None:
    with refused("AccessDenied"):
        aws.client("s3", f"sandbox-admin-{SOURCE}").list_buckets()
    with refused("AccessDenied"):
        aws.client("dynamodb", f"sandbox-admin-{SOURCE}").list_tables()


# What a user may do -------------------------------------------------------------------------


def test_user_without_policies_may_do_nothing(aws: Server, source: Any) -> None:
    message = (
        f"User: {arn('userA')} is not authorized to perform: iam:CreateRole on resource: "
        f"arn:aws:iam::{SOURCE}:role/a/x because no identity-based policy allows the "
        "iam:CreateRole action"
    )
    with refused("AccessDenied", message):
        make_role(aws.user("userA", service="iam"), trusts(SOURCE), "x", Path="/a/")


def test_explicit_deny_is_named(aws: Server, source: Any) -> None:
    text = policy(allow("*"), deny("iam:ListUsers"))
    source.put_user_policy(UserName="userA", PolicyName="p", PolicyDocument=text)
    iam = aws.user("userA", service="iam")
    iam.list_roles()
    with refused("AccessDenied", "with an explicit deny in an identity-based policy"):
        iam.list_users()


def test_policies_reach_a_user_through_groups_and_attachments(aws: Server, source: Any) -> None:
    iam = aws.user("userA", service="iam")
    source.create_group(GroupName="readers", Path="/sallyport/")
    source.attach_group_policy(GroupName="readers", PolicyArn=READ_ONLY)
    source.add_user_to_group(GroupName="readers", UserName="userA")
    assert len(iam.list_users()["Users"]) == 2
    with refused("AccessDenied"):
        iam.create_user(UserName="x")
    source.remove_user_from_group(GroupName="readers", UserName="userA")
    with refused("AccessDenied"):
        iam.list_users()


def test_boundary_limits_a_user(aws: Server, source: Any) -> None:
    made = source.create_policy(PolicyName="b", PolicyDocument=policy(allow("iam:List*")))
    boundary = made["Policy"]["Arn"]
    text = policy(allow("*"))
    source.put_user_policy(UserName="userA", PolicyName="all", PolicyDocument=text)
    source.put_user_permissions_boundary(UserName="userA", PermissionsBoundary=boundary)
    shown = source.get_user(UserName="userA")["User"]["PermissionsBoundary"]
    assert shown["PermissionsBoundaryArn"] == boundary
    iam = aws.user("userA", service="iam")
    iam.list_users()
    with refused("AccessDenied", "because no permissions boundary allows the iam:GetUser action"):
        iam.get_user()
    source.delete_user_permissions_boundary(UserName="userA")
    assert iam.get_user()["User"]["UserName"] == "userA"


def test_user_name_is_a_variable(aws: Server, source: Any) -> None:
    own = policy(allow("iam:*AccessKey*", f"arn:aws:iam::{SOURCE}:user/${{aws:username}}"))
    source.create_group(GroupName="self")
    source.put_group_policy(GroupName="self", PolicyName="keys", PolicyDocument=own)
    source.add_user_to_group(GroupName="self", UserName="userA")
    iam = aws.user("userA", service="iam")
    assert len(iam.list_access_keys()["AccessKeyMetadata"]) == 1
    with refused("AccessDenied"):
        iam.create_access_key(UserName="userC")


def test_lists_need_the_resource_star(aws: Server, source: Any) -> None:
    text = policy(allow("iam:ListRoles", f"arn:aws:iam::{SOURCE}:role/*"))
    source.put_user_policy(UserName="userA", PolicyName="p", PolicyDocument=text)
    with refused("AccessDenied"):
        aws.user("userA", service="iam").list_roles()


def test_tag_of_the_resource_is_a_condition(aws: Server, source: Any) -> None:
    tagged = {"StringEquals": {"aws:ResourceTag/owner": "us"}}
    text = policy(allow("iam:GetRole", Condition=tagged))
    source.put_user_policy(UserName="userA", PolicyName="p", PolicyDocument=text)
    make_role(source, trusts(SOURCE), "ours", Tags=[{"Key": "owner", "Value": "us"}])
    make_role(source, trusts(SOURCE), "theirs", Tags=[{"Key": "owner", "Value": "them"}])
    iam = aws.user("userA", service="iam")
    iam.get_role(RoleName="ours")
    with refused("AccessDenied"):
        iam.get_role(RoleName="theirs")


def test_region_is_a_condition(aws: Server, source: Any) -> None:
    elsewhere = {"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}
    text = policy(allow("*"), deny("*", Condition=elsewhere))
    source.put_user_policy(UserName="userA", PolicyName="p", PolicyDocument=text)
    make_role(source, trusts(arn("userA")))
    own = f"arn:aws:iam::{SOURCE}:role/sallyport/{NAME}"
    key = f"sandbox-user-{SOURCE}-userA"
    assume(aws.client("sts", key), own)
    with refused("AccessDenied"):
        assume(aws.client("sts", key, region="eu-west-1"), own)
    # IAM itself is always in us-east-1.
    aws.client("iam", key, region="eu-west-1").list_users()


@pytest.mark.parametrize(
    ("region", "partition"),
    [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("eusc-de-east-1", "aws-eusc")],
)
def test_every_partition_is_a_world_of_its_own(aws: Server, region: str, partition: str) -> None:
    admin = aws.client("iam", f"sandbox-admin-{SOURCE}", region=region)
    user = admin.create_user(UserName="userA")["User"]["Arn"]
    assert user == f"arn:{partition}:iam::{SOURCE}:user/userA"
    role = make_role(admin, trusts(user))["Arn"]
    admin.attach_role_policy(
        RoleName=NAME, PolicyArn=f"arn:{partition}:iam::aws:policy/ReadOnlyAccess"
    )
    sts = aws.client("sts", f"sandbox-user-{SOURCE}-userA", region=region)
    assert assume(sts, role)["AssumedRoleUser"]["Arn"].startswith(f"arn:{partition}:sts::")
    assert aws.admin(SOURCE).list_users()["Users"] == []


def test_own_user_is_meant_where_none_is_named(aws: Server, source: Any) -> None:
    source.put_user_policy(UserName="userA", PolicyName="p", PolicyDocument=policy(allow("iam:*")))
    assert aws.user("userA", service="iam").get_user()["User"]["UserName"] == "userA"
    with refused("ValidationError", "Must specify userName"):
        source.get_user()


# A provisioner as AWS's example of delegated boundaries has it -------------------------------

BOUNDED = {"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}}
PROVISIONER = policy(
    allow(
        [
            "iam:CreateRole",
            "iam:DeleteRole",
            "iam:UpdateAssumeRolePolicy",
            "iam:PutRolePolicy",
            "iam:DeleteRolePolicy",
            "iam:PutRolePermissionsBoundary",
        ],
        ISSUED,
        Condition=BOUNDED,
    ),
    allow(
        ["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
        ISSUED,
        Condition=BOUNDED | {"ArnLike": {"iam:PolicyARN": [READ_ONLY]}},
    ),
    allow(["iam:GetRole", "iam:TagRole"], ISSUED),
    allow("iam:ListRoles"),
    deny("iam:DeleteRolePermissionsBoundary"),
)


@pytest.fixture
def provisioner(aws: Server, source: Any, target: Any) -> Any:
    """A session of the provisioner role in account B."""
    source.create_user(UserName="portal")
    own = f"arn:aws:iam::{TARGET}:role/SallyportProvisioner"
    may_assume(source, "portal", own)
    with_id = {"StringEquals": {"sts:ExternalId": "portal-1"}}
    trust = trusts(arn("portal"), Condition=with_id)
    make_role(target, trust, "SallyportProvisioner", Path="/")
    target.put_role_policy(
        RoleName="SallyportProvisioner", PolicyName="p", PolicyDocument=PROVISIONER
    )
    portal = aws.user("portal")
    return aws.session(assume(portal, own, ExternalId="portal-1")["Credentials"])


TAGS = [{"Key": "sallyport:grant", "Value": "x1"}]


def test_provisioner_makes_and_removes_a_bounded_role(provisioner: Any, source: Any) -> None:
    role = make_role(provisioner, trusts(arn("userA")), PermissionsBoundary=BOUNDARY, Tags=TAGS)
    assert role["Arn"] == ROLE
    provisioner.put_role_policy(RoleName=NAME, PolicyName="p", PolicyDocument=policy(deny("*")))
    provisioner.attach_role_policy(RoleName=NAME, PolicyArn=READ_ONLY)
    provisioner.update_assume_role_policy(RoleName=NAME, PolicyDocument=trusts(arn("userC")))
    provisioner.detach_role_policy(RoleName=NAME, PolicyArn=READ_ONLY)
    provisioner.delete_role_policy(RoleName=NAME, PolicyName="p")
    provisioner.delete_role(RoleName=NAME)


@pytest.mark.parametrize(
    "change",
    [
        {"PermissionsBoundary": None},
        {"PermissionsBoundary": READ_ONLY},
        {"Path": "/"},
        {"Path": "/other/"},
        {"RoleName": "SallyportProvisioner2", "Path": "/"},
    ],
)
def test_provisioner_makes_no_other_role(provisioner: Any, change: dict[str, Any]) -> None:
    wanted = {"RoleName": NAME, "Path": "/sallyport/", "PermissionsBoundary": BOUNDARY} | change
    given = {name: value for name, value in wanted.items() if value is not None}
    with refused("AccessDenied", "iam:CreateRole"):
        provisioner.create_role(AssumeRolePolicyDocument=trusts(arn("userA")), **given)


def test_provisioner_attaches_from_the_catalogue_only(provisioner: Any) -> None:
    make_role(provisioner, trusts(arn("userA")), PermissionsBoundary=BOUNDARY)
    with refused("AccessDenied", "iam:AttachRolePolicy"):
        provisioner.attach_role_policy(
            RoleName=NAME, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
        )


def test_provisioner_leaves_unbounded_roles_alone(provisioner: Any, target: Any) -> None:
    make_role(target, trusts(arn("userA")))
    with refused("AccessDenied"):
        provisioner.delete_role(RoleName=NAME)
    with refused("AccessDenied"):
        provisioner.update_assume_role_policy(RoleName=NAME, PolicyDocument=trusts(SOURCE))


def test_provisioner_cannot_take_a_boundary_away(provisioner: Any) -> None:
    make_role(provisioner, trusts(arn("userA")), PermissionsBoundary=BOUNDARY)
    with refused("AccessDenied", "with an explicit deny in an identity-based policy"):
        provisioner.delete_role_permissions_boundary(RoleName=NAME)
    with refused("AccessDenied"):
        provisioner.put_role_permissions_boundary(RoleName=NAME, PermissionsBoundary=READ_ONLY)


def test_tags_on_a_new_role_need_their_own_permission(provisioner: Any, target: Any) -> None:
    without = json.loads(PROVISIONER)
    without["Statement"].append(deny("iam:TagRole"))
    target.put_role_policy(
        RoleName="SallyportProvisioner", PolicyName="p", PolicyDocument=json.dumps(without)
    )
    with refused("AccessDenied", "iam:TagRole"):
        make_role(provisioner, trusts(arn("userA")), PermissionsBoundary=BOUNDARY, Tags=TAGS)
    make_role(provisioner, trusts(arn("userA")), PermissionsBoundary=BOUNDARY)


def test_role_that_is_not_there_is_denied_where_only_a_path_is_allowed(provisioner: Any) -> None:
    with refused("AccessDenied", "iam:GetRole on resource: role gone"):
        provisioner.get_role(RoleName="gone")


def test_external_id_is_demanded(aws: Server, provisioner: Any) -> None:
    role = f"arn:aws:iam::{TARGET}:role/SallyportProvisioner"
    portal = aws.client("sts", f"sandbox-user-{SOURCE}-portal")
    for given in ({}, {"ExternalId": "portal-2"}, {"ExternalId": "PORTAL-1"}):
        with refused("AccessDenied"):
            assume(portal, role, **given)
    assume(portal, role, ExternalId="portal-1")


def test_session_policy_cuts_a_session_down(aws: Server, provisioner: Any) -> None:
    role = f"arn:aws:iam::{TARGET}:role/SallyportProvisioner"
    portal = aws.client("sts", f"sandbox-user-{SOURCE}-portal")
    one = policy(allow("iam:*", ROLE))
    narrow = aws.session(assume(portal, role, ExternalId="portal-1", Policy=one)["Credentials"])
    make_role(narrow, trusts(arn("userA")), PermissionsBoundary=BOUNDARY)
    with refused("AccessDenied", "because no session policy allows the iam:CreateRole action"):
        make_role(narrow, trusts(arn("userA")), "another", PermissionsBoundary=BOUNDARY)
    with refused("AccessDenied", "because no identity-based policy allows"):
        narrow.list_role_policies(RoleName=NAME)


def test_managed_session_policy_cuts_a_session_down(aws: Server, provisioner: Any) -> None:
    role = f"arn:aws:iam::{TARGET}:role/SallyportProvisioner"
    portal = aws.client("sts", f"sandbox-user-{SOURCE}-portal")
    arns = [{"arn": READ_ONLY}]
    reader = aws.session(
        assume(portal, role, ExternalId="portal-1", PolicyArns=arns)["Credentials"]
    )
    reader.list_roles()
    with refused("AccessDenied", "because no session policy"):
        make_role(reader, trusts(arn("userA")), PermissionsBoundary=BOUNDARY)


# AssumeRole ---------------------------------------------------------------------------------


def test_role_is_assumed_in_its_own_account(aws: Server, user_a: Any, target: Any) -> None:
    target.attach_role_policy(RoleName=NAME, PolicyArn=READ_ONLY)
    answer = assume(user_a)
    role_id = target.get_role(RoleName=NAME)["Role"]["RoleId"]
    expected = f"arn:aws:sts::{TARGET}:assumed-role/{NAME}/userA"
    assert answer["AssumedRoleUser"] == {"AssumedRoleId": f"{role_id}:userA", "Arn": expected}
    identity = aws.session(answer["Credentials"], "sts").get_caller_identity()
    assert (identity["Arn"], identity["Account"]) == (expected, TARGET)
    roles = aws.session(answer["Credentials"]).list_roles()["Roles"]
    assert [role["Arn"] for role in roles] == [ROLE]


def test_session_needs_its_token(aws: Server, user_a: Any) -> None:
    given = assume(user_a)["Credentials"]
    for token in (None, "another"):
        client = aws.client("sts", given["AccessKeyId"], given["SecretAccessKey"], token)
        with refused("InvalidClientTokenId"):
            client.get_caller_identity()


def test_another_user_is_refused(aws: Server, source: Any, user_a: Any) -> None:
    may_assume(source, "userC")
    message = f"User: {arn('userC')} is not authorized to perform: sts:AssumeRole on resource: "
    with refused("AccessDenied", message + ROLE):
        assume(aws.user("userC"))


def test_across_accounts_the_callers_side_must_allow_too(source: Any, user_a: Any) -> None:
    source.delete_user_policy(UserName="userA", PolicyName="assume")
    with refused("AccessDenied"):
        assume(user_a)


def test_path_of_the_role_counts(source: Any, user_a: Any) -> None:
    with refused("AccessDenied"):
        assume(user_a, f"arn:aws:iam::{TARGET}:role/{NAME}")
    may_assume(source, "userA", f"arn:aws:iam::{TARGET}:role/{NAME}")
    with refused("AccessDenied"):
        assume(user_a)


def test_within_an_account_a_trusted_user_needs_no_policy(aws: Server, source: Any) -> None:
    make_role(source, trusts(arn("userA")))
    own = f"arn:aws:iam::{SOURCE}:role/sallyport/{NAME}"
    assume(aws.user("userA"), own)
    source.update_assume_role_policy(RoleName=NAME, PolicyDocument=trusts(SOURCE))
    with refused("AccessDenied"):
        assume(aws.user("userA"), own)
    may_assume(source, "userA", own)
    assume(aws.client("sts", f"sandbox-user-{SOURCE}-userA"), own)


def test_role_that_does_not_exist_is_denied(user_a: Any) -> None:
    with refused("AccessDenied"):
        assume(user_a, f"arn:aws:iam::{TARGET}:role/sallyport/nobody")
    with refused("ValidationError"):
        assume(user_a, f"arn:aws:iam::{TARGET}:user/sallyport/nobody")


def test_boundary_of_a_role_holds_for_its_sessions(aws: Server, user_a: Any, target: Any) -> None:
    target.put_role_permissions_boundary(RoleName=NAME, PermissionsBoundary=BOUNDARY)
    text = policy(allow("sts:AssumeRole"), allow("iam:ListRoles"))
    target.put_role_policy(RoleName=NAME, PolicyName="p", PolicyDocument=text)
    make_role(target, trusts(TARGET), "second")
    session = assume(user_a)["Credentials"]
    aws.session(session).list_roles()
    with refused("AccessDenied"):
        assume(aws.session(session, "sts"), f"arn:aws:iam::{TARGET}:role/sallyport/second")


MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
DEVICE = f"arn:aws:iam::{SOURCE}:mfa/userA"


def test_mfa_is_demanded_where_the_trust_policy_says_so(target: Any, user_a: Any) -> None:
    document = trusts(arn("userA"), Condition=MFA)
    target.update_assume_role_policy(RoleName=NAME, PolicyDocument=document)
    with refused("AccessDenied"):
        assume(user_a)
    with refused("AccessDenied", "MultiFactorAuthentication failed"):
        assume(user_a, SerialNumber=DEVICE)
    for code in ("abcdef", "12345", "1234567"):
        with refused("ValidationError"):
            assume(user_a, SerialNumber=DEVICE, TokenCode=code)
    assume(user_a, SerialNumber=DEVICE, TokenCode="123456")


def test_session_of_a_role_carries_no_mfa(aws: Server, target: Any, user_a: Any) -> None:
    text = policy(allow("iam:ListRoles", Condition=MFA))
    target.put_role_policy(RoleName=NAME, PolicyName="p", PolicyDocument=text)
    session = assume(user_a, SerialNumber=DEVICE, TokenCode="123456")["Credentials"]
    with refused("AccessDenied"):
        aws.session(session).list_roles()


def zulu(ahead: timedelta) -> str:
    return (datetime.now(UTC) + ahead).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_dated_trust_closes_the_entrance(aws: Server, target: Any, user_a: Any) -> None:
    until = {"DateLessThan": {"aws:CurrentTime": zulu(timedelta(minutes=30))}}
    document = trusts(arn("userA"), Condition=until)
    target.update_assume_role_policy(RoleName=NAME, PolicyDocument=document)
    assume(user_a)
    aws.advance(minutes=31)
    with refused("AccessDenied"):
        assume(user_a)


def test_dated_deny_cuts_a_live_session(aws: Server, target: Any, user_a: Any) -> None:
    end = {"DateGreaterThanEquals": {"aws:CurrentTime": zulu(timedelta(minutes=30))}}
    text = policy(allow("iam:ListRoles"), deny("*", Condition=end))
    target.put_role_policy(RoleName=NAME, PolicyName="SallyportEnd", PolicyDocument=text)
    credentials = assume(user_a)["Credentials"]
    session = aws.session(credentials)
    session.list_roles()
    aws.advance(minutes=31)
    with refused("AccessDenied", "with an explicit deny in an identity-based policy"):
        session.list_roles()
    # A deny does not forbid this call, so it proves no access.
    aws.session(credentials, "sts").get_caller_identity()


def test_revoking_older_sessions_spares_newer_ones(aws: Server, target: Any, user_a: Any) -> None:
    old = aws.session(assume(user_a)["Credentials"])
    cut = {"DateLessThan": {"aws:TokenIssueTime": zulu(timedelta(seconds=30))}}
    text = policy(allow("iam:ListRoles"), deny("*", Condition=cut))
    target.put_role_policy(RoleName=NAME, PolicyName="AWSRevokeOlderSessions", PolicyDocument=text)
    with refused("AccessDenied"):
        old.list_roles()
    aws.advance(minutes=1)
    aws.session(assume(user_a)["Credentials"]).list_roles()


def test_session_expires(aws: Server, user_a: Any) -> None:
    sts = aws.session(assume(user_a, DurationSeconds=900)["Credentials"], "sts")
    aws.advance(seconds=890)
    sts.get_caller_identity()
    aws.advance(seconds=901)
    with refused("ExpiredToken"):
        sts.get_caller_identity()


def test_session_of_a_deleted_role_is_no_session(aws: Server, target: Any, user_a: Any) -> None:
    sts = aws.session(assume(user_a)["Credentials"], "sts")
    target.delete_role(RoleName=NAME)
    with refused("InvalidClientTokenId"):
        sts.get_caller_identity()
    make_role(target, trusts(arn("userA")))
    with refused("InvalidClientTokenId"):
        sts.get_caller_identity()


def test_session_is_no_longer_than_the_role_allows(target: Any, user_a: Any) -> None:
    with refused("ValidationError", "exceeds the MaxSessionDuration"):
        assume(user_a, DurationSeconds=3601)
    target.update_role(RoleName=NAME, MaxSessionDuration=7200)
    answer = assume(user_a, DurationSeconds=7200)
    left = answer["Credentials"]["Expiration"] - datetime.now(UTC)
    assert timedelta(minutes=119) < left <= timedelta(hours=2)
    with refused("ValidationError"):
        assume(user_a, DurationSeconds=899)


def test_chained_session_has_an_hour(aws: Server, target: Any, user_a: Any) -> None:
    first = target.get_role(RoleName=NAME)["Role"]["Arn"]
    make_role(target, trusts(first), "second", MaxSessionDuration=43200)
    second = f"arn:aws:iam::{TARGET}:role/sallyport/second"
    sts = aws.session(assume(user_a)["Credentials"], "sts")
    with refused("ValidationError", "role chaining"):
        assume(sts, second, DurationSeconds=3601)
    assume(sts, second, DurationSeconds=3600)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("RoleSessionName", "x" * 65),
        ("RoleSessionName", "user A"),
        ("RoleSessionName", "usér"),
        ("ExternalId", "x" * 1225),
        ("ExternalId", "a b"),
        ("DurationSeconds", 43201),
        ("RoleSessionName", "x"),
        ("ExternalId", "x"),
        ("DurationSeconds", "long"),
    ],
)
def test_bad_parameters_of_assume_role(user_a: Any, parameter: str, value: Any) -> None:
    with refused("ValidationError"):
        assume(user_a, **{parameter: value})


def test_bad_session_policy_is_refused(user_a: Any) -> None:
    with refused("MalformedPolicyDocument"):
        assume(user_a, Policy="{")
    with refused("PackedPolicyTooLarge"):
        assume(user_a, Policy=policy(allow("*", "arn:aws:s3:::" + "x" * 2048)))


def test_session_tags_need_their_own_permission(source: Any, target: Any, user_a: Any) -> None:
    tags = [{"Key": "team", "Value": "a"}]
    with refused("AccessDenied", "sts:TagSession"):
        assume(user_a, Tags=tags)
    both = ["sts:AssumeRole", "sts:TagSession"]
    text = policy(allow(both, ISSUED))
    source.put_user_policy(UserName="userA", PolicyName="assume", PolicyDocument=text)
    document = trusts(arn("userA"), Action=both)
    target.update_assume_role_policy(RoleName=NAME, PolicyDocument=document)
    assume(user_a, Tags=tags)


# Principals in trust policies ---------------------------------------------------------------


def principal_of(client: Any) -> Any:
    document = client.get_role(RoleName=NAME)["Role"]["AssumeRolePolicyDocument"]
    return document["Statement"][0]["Principal"]["AWS"]


def test_recreated_user_is_somebody_else(
    aws: Server, source: Any, target: Any, user_a: Any
) -> None:
    user_id = source.get_user(UserName="userA")["User"]["UserId"]
    assert principal_of(target) == arn("userA")
    source.delete_user_policy(UserName="userA", PolicyName="assume")
    key = source.list_access_keys(UserName="userA")["AccessKeyMetadata"][0]["AccessKeyId"]
    source.delete_access_key(UserName="userA", AccessKeyId=key)
    source.delete_user(UserName="userA")
    assert principal_of(target) == user_id

    source.create_user(UserName="userA")
    may_assume(source, "userA")
    assert principal_of(target) == user_id
    with refused("AccessDenied"):
        assume(aws.user("userA"))
    with refused("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{user_id}"'):
        target.update_assume_role_policy(RoleName=NAME, PolicyDocument=trusts(user_id))
    target.update_assume_role_policy(RoleName=NAME, PolicyDocument=trusts(arn("userA")))
    assume(aws.client("sts", f"sandbox-user-{SOURCE}-userA"))


def test_renamed_user_stays_trusted(source: Any, target: Any, user_a: Any) -> None:
    source.update_user(UserName="userA", NewUserName="userZ")
    assert principal_of(target) == arn("userZ")
    assume(user_a)


def test_recreated_role_is_somebody_else(aws: Server, source: Any, target: Any) -> None:
    make_role(source, trusts(arn("userA")), "hop", Path="/")
    hop = f"arn:aws:iam::{SOURCE}:role/hop"
    text = policy(allow("sts:AssumeRole", ISSUED))
    source.put_role_policy(RoleName="hop", PolicyName="p", PolicyDocument=text)
    make_role(target, trusts(hop))
    user = aws.user("userA")
    assume(aws.session(assume(user, hop)["Credentials"], "sts"))
    source.delete_role_policy(RoleName="hop", PolicyName="p")
    source.delete_role(RoleName="hop")
    make_role(source, trusts(arn("userA")), "hop", Path="/")
    source.put_role_policy(RoleName="hop", PolicyName="p", PolicyDocument=text)
    with refused("AccessDenied"):
        assume(aws.session(assume(user, hop)["Credentials"], "sts"))


@pytest.mark.parametrize(
    "principal",
    [
        arn("nobody"),
        arn("usera"),
        arn("*"),
        f"arn:aws:iam::{SOURCE}:user/path/userA",
        f"arn:aws:iam::{SOURCE}:role/nobody",
        f"arn:aws:iam::{SOURCE}:group/g",
        f"arn:aws-cn:iam::{SOURCE}:user/userA",
        "userA",
        "1111",
        "AIDAAAAAAAAAAAAAAAAAA",
        [arn("userA"), arn("nobody")],
    ],
)
def test_principal_that_does_not_exist_is_refused(source: Any, target: Any, principal: Any) -> None:
    with refused("MalformedPolicyDocument", "Invalid principal in policy"):
        make_role(target, trusts(principal))
    assert target.list_roles()["Roles"] == []


def test_account_number_is_stored_as_its_root(target: Any) -> None:
    role = make_role(target, trusts([SOURCE, "*"]))
    stored = role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"]
    assert stored == [f"arn:aws:iam::{SOURCE}:root", "*"]


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "[]",
        '{"Version": "2012-10-17"}',
        '{"Version": "2012-10-17", "Version": "2012-10-17", "Statement": []}',
        trusts(SOURCE, Resource="*"),
        trusts(SOURCE, Action="s3:GetObject"),
        trusts(SOURCE, Effect="Maybe"),
        trusts(SOURCE, Principal="*"),
        trusts(SOURCE, Principal={}),
        trusts(SOURCE, NotPrincipal={"AWS": SOURCE}),
        policy({"Effect": "Allow", "Action": "sts:AssumeRole"}),
        trusts(SOURCE, Condition={"DateLessThan": {"aws:CurrentTime": "soon-ish"}}),
    ],
)
def test_trust_policy_that_iam_would_not_store(target: Any, document: str) -> None:
    with refused("MalformedPolicyDocument"):
        make_role(target, document)
    make_role(target, trusts(SOURCE))
    with refused("MalformedPolicyDocument"):
        target.update_assume_role_policy(RoleName=NAME, PolicyDocument=document)


# The rules that moto lacks ------------------------------------------------------------------


def test_ten_groups_a_user(source: Any) -> None:
    for number in range(11):
        source.create_group(GroupName=f"g{number}")
    for number in range(10):
        source.add_user_to_group(GroupName=f"g{number}", UserName="userA")
    source.add_user_to_group(GroupName="g0", UserName="userA")
    with refused("LimitExceeded", "Cannot exceed quota for GroupsPerUser: 10"):
        source.add_user_to_group(GroupName="g10", UserName="userA")
    source.add_user_to_group(GroupName="g10", UserName="userC")


def test_quota_holds_for_calls_at_the_same_time(source: Any) -> None:
    groups = [f"g{number}" for number in range(15)]
    for name in groups:
        source.create_group(GroupName=name)

    def join(name: str) -> str:
        try:
            source.add_user_to_group(GroupName=name, UserName="userA")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "joined"

    with ThreadPoolExecutor(8) as pool:
        outcomes = Counter(pool.map(join, groups))
    assert outcomes == {"joined": 10, "LimitExceeded": 5}


def test_role_is_deleted_last(target: Any) -> None:
    make_role(target, trusts(SOURCE))
    target.put_role_policy(RoleName=NAME, PolicyName="p", PolicyDocument=policy(deny("*")))
    target.attach_role_policy(RoleName=NAME, PolicyArn=READ_ONLY)
    with refused("DeleteConflict", "must detach all policies first"):
        target.delete_role(RoleName=NAME)
    target.detach_role_policy(RoleName=NAME, PolicyArn=READ_ONLY)
    with refused("DeleteConflict", "must delete policies first"):
        target.delete_role(RoleName=NAME)
    target.delete_role_policy(RoleName=NAME, PolicyName="p")
    target.delete_role(RoleName=NAME)
    with refused("NoSuchEntity"):
        target.get_role(RoleName=NAME)


def test_group_is_deleted_last(source: Any) -> None:
    source.create_group(GroupName="g")
    source.add_user_to_group(GroupName="g", UserName="userA")
    source.put_group_policy(GroupName="g", PolicyName="p", PolicyDocument=policy(deny("*")))
    with refused("DeleteConflict", "must delete policies first"):
        source.delete_group(GroupName="g")
    source.delete_group_policy(GroupName="g", PolicyName="p")
    with refused("DeleteConflict", "must remove users from group first"):
        source.delete_group(GroupName="g")
    source.remove_user_from_group(GroupName="g", UserName="userA")
    source.delete_group(GroupName="g")


def test_user_is_deleted_last(source: Any) -> None:
    key = source.create_access_key(UserName="userA")["AccessKey"]["AccessKeyId"]
    source.create_login_profile(
        UserName="userA", Password="a-Passw0rd!", PasswordResetRequired=True
    )
    with refused("DeleteConflict", "must delete access keys first"):
        source.delete_user(UserName="userA")
    source.delete_access_key(UserName="userA", AccessKeyId=key)
    with refused("DeleteConflict", "must delete login profile first"):
        source.delete_user(UserName="userA")
    source.delete_login_profile(UserName="userA")
    source.delete_user(UserName="userA")


def test_policy_in_use_is_not_deleted(target: Any) -> None:
    make_role(target, trusts(SOURCE), PermissionsBoundary=BOUNDARY)
    with refused("DeleteConflict"):
        target.delete_policy(PolicyArn=BOUNDARY)
    target.delete_role(RoleName=NAME)
    target.delete_policy(PolicyArn=BOUNDARY)


def test_names_clash_whatever_their_case_and_path(source: Any, target: Any) -> None:
    source.create_group(GroupName="Readers", Path="/a/")
    with refused("EntityAlreadyExists"):
        source.create_group(GroupName="readers", Path="/b/")
    with refused("EntityAlreadyExists"):
        source.create_user(UserName="USERA")
    make_role(target, trusts(SOURCE), "Reader", Path="/a/")
    with refused("EntityAlreadyExists", "Role with name READER already exists"):
        make_role(target, trusts(SOURCE), "READER")
    with refused("EntityAlreadyExists"):
        target.create_policy(PolicyName="sallyportboundary", PolicyDocument=policy(deny("*")))


@pytest.mark.parametrize(
    "change",
    [
        {"RoleName": "x" * 65},
        {"RoleName": "a b"},
        {"RoleName": "rôle"},
        {"RoleName": "a/b"},
        {"Path": "sallyport"},
        {"Path": "/sallyport"},
        {"Path": "/a b/"},
        {"Path": f"/{'x' * 511}/"},
        {"Description": "x" * 1001},
        {"MaxSessionDuration": 3599},
        {"MaxSessionDuration": 43201},
        {"Tags": [{"Key": "k", "Value": "v" * 257}]},
        {"Tags": [{"Key": "k\n!", "Value": "v"}]},
        {"Tags": [{"Key": f"k{number}", "Value": "v"} for number in range(51)]},
        {"AssumeRolePolicyDocument": trusts(SOURCE, Sid="\u20ac").replace("\\u20ac", "\u20ac")},
    ],
)
def test_bad_parameters_of_create_role(target: Any, change: dict[str, Any]) -> None:
    good = {"RoleName": NAME, "AssumeRolePolicyDocument": trusts(SOURCE)}
    with refused("ValidationError"):
        target.create_role(**(good | change))


@pytest.mark.parametrize(
    ("operation", "names"),
    [
        ("create_group", {"GroupName": "x" * 129}),
        ("create_group", {"GroupName": "a:b"}),
        ("create_user", {"UserName": "x" * 65}),
        ("create_user", {"UserName": "a b"}),
        ("create_policy", {"PolicyName": "x" * 129, "PolicyDocument": "{}"}),
        ("create_policy", {"PolicyName": "p", "Path": "/a b/", "PolicyDocument": "{}"}),
        ("put_user_policy", {"UserName": "userA", "PolicyName": "a/b", "PolicyDocument": "{}"}),
        ("put_user_policy", {"UserName": "userA", "PolicyName": "p", "PolicyDocument": "\u20ac"}),
        ("put_user_policy", {"UserName": "userA", "PolicyName": "p", "PolicyDocument": "\x0b"}),
        ("list_roles", {"MaxItems": 1001}),
        ("list_roles", {"MaxItems": 0}),
    ],
)
def test_bad_parameters_of_other_calls(source: Any, operation: str, names: dict[str, Any]) -> None:
    with refused("ValidationError"):
        getattr(source, operation)(**names)


@pytest.mark.parametrize(
    ("quota", "said", "make"),
    [
        ("RolesQuota", "RolesPerAccount", lambda iam: make_role(iam, trusts(SOURCE))),
        ("GroupsQuota", "GroupsPerAccount", lambda iam: iam.create_group(GroupName="g")),
        ("UsersQuota", "UsersPerAccount", lambda iam: iam.create_user(UserName="u")),
        (
            "PoliciesQuota",
            "PoliciesPerAccount",
            lambda iam: iam.create_policy(PolicyName="p", PolicyDocument=policy(allow("*"))),
        ),
    ],
)
def test_an_account_holds_so_many_of_each_kind(
    aws: Server, target: Any, quota: str, said: str, make: Callable[[Any], Any]
) -> None:
    aws.control(f"quota?account={TARGET}&name={quota}&value=0")
    with refused("LimitExceeded", f"Cannot exceed quota for {said}: 0"):
        make(target)


def test_a_user_has_two_access_keys_and_a_policy_five_versions(source: Any, target: Any) -> None:
    for _ in range(2):
        source.create_access_key(UserName="userA")
    with refused("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2"):
        source.create_access_key(UserName="userA")
    for _ in range(4):
        target.create_policy_version(PolicyArn=BOUNDARY, PolicyDocument=policy(allow("*")))
    with refused("LimitExceeded"):
        target.create_policy_version(PolicyArn=BOUNDARY, PolicyDocument=policy(allow("*")))


def test_trust_policy_has_2048_characters(source: Any, target: Any) -> None:
    many = [f"arn:aws:iam::{number:012}:root" for number in range(60)]
    with refused("LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048"):
        make_role(target, trusts(many))
    # White space does not count.
    make_role(target, trusts(SOURCE).replace(" ", " " * 300))


@pytest.mark.parametrize(("kind", "limit"), [("role", 10240), ("group", 5120), ("user", 2048)])
def test_inline_policies_have_a_size_in_all(aws: Server, kind: str, limit: int) -> None:
    client = aws.admin(SOURCE)
    more = {"AssumeRolePolicyDocument": trusts(SOURCE)} if kind == "role" else {}
    named = {f"{kind.title()}Name": "x"}
    getattr(client, f"create_{kind}")(**named, **more)
    put = getattr(client, f"put_{kind}_policy")
    half = policy(deny("*", "arn:aws:s3:::" + "x" * (limit // 2 - 100)))
    put(**named, PolicyName="p1", PolicyDocument=half)
    put(**named, PolicyName="p1", PolicyDocument=half)
    put(**named, PolicyName="p2", PolicyDocument=half)
    with refused("LimitExceeded", f"Maximum policy size of {limit} bytes exceeded for {kind} x"):
        put(**named, PolicyName="p3", PolicyDocument=half)


def test_managed_policy_has_6144_characters(target: Any) -> None:
    with refused("LimitExceeded", "Cannot exceed quota for PolicySize: 6144"):
        target.create_policy(
            PolicyName="big", PolicyDocument=policy(deny("*", "arn:aws:s3:::" + "x" * 6100))
        )


def test_ten_managed_policies_a_role(target: Any) -> None:
    make_role(target, trusts(SOURCE))
    names = [policy["Arn"] for policy in target.list_policies(Scope="AWS")["Policies"][:11]]
    for name in names[:10]:
        target.attach_role_policy(RoleName=NAME, PolicyArn=name)
    target.attach_role_policy(RoleName=NAME, PolicyArn=names[0])
    with refused("LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10"):
        target.attach_role_policy(RoleName=NAME, PolicyArn=names[10])


@pytest.mark.parametrize(
    "document",
    [
        "{",
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}',
        policy({"Effect": "Allow", "Action": "*"}),
        policy(allow("GetRole")),
        policy(allow("*", "role/x")),
        policy(allow("*", Principal={"AWS": "*"})),
        policy(allow("*", Sid="a"), deny("*", Sid="a")),
    ],
)
def test_policy_that_iam_would_not_store(target: Any, document: str) -> None:
    make_role(target, trusts(SOURCE))
    with refused("MalformedPolicyDocument"):
        target.put_role_policy(RoleName=NAME, PolicyName="p", PolicyDocument=document)


def test_boundary_and_policy_must_exist(target: Any) -> None:
    missing = f"arn:aws:iam::{TARGET}:policy/nothing"
    with refused("NoSuchEntity", "does not exist or is not attachable"):
        make_role(target, trusts(SOURCE), PermissionsBoundary=missing)
    make_role(target, trusts(SOURCE))
    with refused("NoSuchEntity"):
        target.put_role_permissions_boundary(RoleName=NAME, PermissionsBoundary=missing)
    with refused("NoSuchEntity"):
        target.attach_role_policy(RoleName=NAME, PolicyArn=missing)


def test_policies_of_aws_cannot_be_changed(target: Any) -> None:
    with refused("AccessDenied"):
        target.delete_policy(PolicyArn=READ_ONLY)


def test_call_that_the_sandbox_lacks_says_so(target: Any) -> None:
    with refused("NotImplemented"):
        target.simulate_custom_policy(
            PolicyInputList=[policy(allow("*"))], ActionNames=["iam:GetRole"]
        )


# Reading ------------------------------------------------------------------------------------


def test_lists_honour_path_and_page(target: Any) -> None:
    for number in range(3):
        make_role(target, trusts(SOURCE), f"r{number}")
        target.create_group(GroupName=f"g{number}", Path="/sallyport/")
    make_role(target, trusts(SOURCE), "outside", Path="/")
    target.create_group(GroupName="outside")
    for operation, result in (("list_roles", "Roles"), ("list_groups", "Groups")):
        pages = target.get_paginator(operation).paginate(
            PathPrefix="/sallyport/", PaginationConfig={"PageSize": 2}
        )
        found = [len(page[result]) for page in pages]
        assert found == [2, 1]


def test_pages_may_end_before_they_are_full(aws: Server, source: Any, target: Any) -> None:
    make_role(target, trusts(SOURCE))
    for number in range(3):
        name = f"p{number}"
        target.put_role_policy(RoleName=NAME, PolicyName=name, PolicyDocument=policy(allow("*")))
        source.create_group(GroupName=f"g{number}")
        source.add_user_to_group(GroupName=f"g{number}", UserName="userA")
    target.attach_role_policy(RoleName=NAME, PolicyArn=READ_ONLY)
    target.attach_role_policy(RoleName=NAME, PolicyArn=BOUNDARY)
    aws.control("pages?size=1")

    def found(client: Any, operation: str, result: str, **names: str) -> list[int]:
        pages = client.get_paginator(operation).paginate(**names)
        return [len(page[result]) for page in pages]

    assert found(target, "list_role_policies", "PolicyNames", RoleName=NAME) == [1, 1, 1]
    attached = found(target, "list_attached_role_policies", "AttachedPolicies", RoleName=NAME)
    assert attached == [1, 1]
    assert found(source, "list_groups_for_user", "Groups", UserName="userA") == [1, 1, 1]
    assert found(source, "list_groups", "Groups") == [1, 1, 1]
    whole = found(target, "get_account_authorization_details", "RoleDetailList")
    assert (sum(whole), max(whole), len(whole) > 2) == (1, 1, True)
    aws.control("reset")
    assert len(aws.admin(SOURCE).list_policies(Scope="AWS")["Policies"]) == 100


def test_a_marker_that_aws_did_not_give_is_refused(target: Any) -> None:
    with refused("ValidationError", "Invalid Marker: next"):
        target.list_roles(Marker="next")


def test_authorization_details_tell_everything(source: Any, target: Any, user_a: Any) -> None:
    target.attach_role_policy(RoleName=NAME, PolicyArn=READ_ONLY)
    pages = target.get_paginator("get_account_authorization_details").paginate(
        PaginationConfig={"PageSize": 1}
    )
    found = [page for page in pages if page]
    roles = [role for page in found for role in page["RoleDetailList"]]
    policies = {policy["Arn"] for page in found for policy in page["Policies"]}
    statement = roles[0]["AssumeRolePolicyDocument"]["Statement"][0]
    assert statement["Principal"] == {"AWS": arn("userA")}
    assert roles[0]["AttachedManagedPolicies"][0]["PolicyArn"] == READ_ONLY
    assert policies == {READ_ONLY, BOUNDARY}


def test_account_summary_counts_and_tells_the_quotas(aws: Server, source: Any) -> None:
    before = source.get_account_summary()["SummaryMap"]
    source.create_group(GroupName="Team")
    aws.control(f"quota?account={SOURCE}&name=GroupsQuota&value=1")

    after = source.get_account_summary()["SummaryMap"]

    assert (before["Users"], before["Groups"], before["GroupsQuota"]) == (2, 0, 300)
    assert (after["Groups"], after["GroupsQuota"], after["RolesQuota"]) == (1, 1, 1000)
    with refused("LimitExceeded", "GroupsPerAccount: 1"):
        source.create_group(GroupName="Another")


def test_quotas_are_the_accounts_own_and_gone_after_a_reset(aws: Server, source: Any) -> None:
    aws.control(f"quota?account={TARGET}&name=GroupsQuota&value=0")
    source.create_group(GroupName="Team")

    aws.control("reset")

    assert aws.admin(TARGET).get_account_summary()["SummaryMap"]["GroupsQuota"] == 300


def test_a_role_takes_as_many_policies_as_its_account_may(aws: Server, target: Any) -> None:
    make_role(target, trusts(f"arn:aws:iam::{TARGET}:root"))
    aws.control(f"quota?account={TARGET}&name=AttachedPoliciesPerRoleQuota&value=0")

    with refused("LimitExceeded", "PoliciesPerRole: 0"):
        target.attach_role_policy(RoleName=NAME, PolicyArn=READ_ONLY)


def test_mfa_devices_are_those_of_a_user_who_exists(source: Any) -> None:
    made = source.create_virtual_mfa_device(VirtualMFADeviceName="phone")["VirtualMFADevice"]
    source.enable_mfa_device(
        UserName="userA",
        SerialNumber=made["SerialNumber"],
        AuthenticationCode1="123456",
        AuthenticationCode2="654321",
    )

    assert len(source.list_mfa_devices(UserName="userA")["MFADevices"]) == 1
    assert source.list_mfa_devices(UserName="userC")["MFADevices"] == []
    with refused("NoSuchEntity"):
        source.list_mfa_devices(UserName="nobody")


def simulated(client: Any, **more: Any) -> dict[str, Any]:
    given = {
        "PolicySourceArn": arn("userA"),
        "ActionNames": ["sts:AssumeRole"],
        "ResourceArns": [ROLE],
    } | more
    (result,) = client.simulate_principal_policy(**given)["EvaluationResults"]
    found: dict[str, Any] = result
    return found


def own_policy(client: Any, *statements: dict[str, Any]) -> None:
    client.put_user_policy(UserName="userA", PolicyName="own", PolicyDocument=policy(*statements))


@pytest.mark.parametrize(
    ("statements", "decision", "matched"),
    [
        ([allow("s3:*")], "implicitDeny", []),
        ([allow("sts:*")], "allowed", ["user_userA_own"]),
        ([allow("sts:*"), deny("sts:AssumeRole")], "explicitDeny", ["user_userA_own"]),
        ([deny("sts:*", "arn:aws:iam::*:role/other/*")], "implicitDeny", []),
    ],
)
def test_simulation_says_what_the_users_own_policies_say(
    source: Any, statements: list[dict[str, Any]], decision: str, matched: list[str]
) -> None:
    own_policy(source, *statements)

    found = simulated(source)

    assert found["EvalDecision"] == decision
    assert [one["SourcePolicyId"] for one in found["MatchedStatements"]] == matched
    assert (found["EvalActionName"], found["EvalResourceName"]) == ("sts:AssumeRole", ROLE)


def test_simulation_names_the_group_whose_policy_denies(source: Any) -> None:
    source.create_group(GroupName="Team")
    source.add_user_to_group(GroupName="Team", UserName="userA")
    source.put_group_policy(
        GroupName="Team", PolicyName="own", PolicyDocument=policy(deny("sts:*"))
    )

    (matched,) = simulated(source)["MatchedStatements"]

    assert (matched["SourcePolicyId"], matched["SourcePolicyType"]) == ("group_Team_own", "group")


def test_simulation_knows_of_a_sign_in_only_what_it_is_told(source: Any) -> None:
    without_mfa = {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}
    own_policy(source, allow("sts:*"), deny("*", Condition=without_mfa))
    told = {
        "ContextKeyName": "aws:MultiFactorAuthPresent",
        "ContextKeyValues": ["true"],
        "ContextKeyType": "boolean",
    }

    untold = simulated(source)

    assert untold["EvalDecision"] == "explicitDeny"
    assert untold["MissingContextValues"] == ["aws:multifactorauthpresent"]
    assert simulated(source, ContextEntries=[told])["EvalDecision"] == "allowed"
    assert simulated(source, ContextEntries=[told])["MissingContextValues"] == []


def test_simulation_tells_of_the_users_boundary(source: Any) -> None:
    own_policy(source, allow("sts:*"))
    source.put_user_permissions_boundary(UserName="userA", PermissionsBoundary=READ_ONLY)

    found = simulated(source)

    assert found["EvalDecision"] == "implicitDeny"
    assert found["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"] is False


def test_simulation_needs_its_own_permission_for_that_user(aws: Server, source: Any) -> None:
    caller = aws.user("userC", service="iam")
    with refused("AccessDenied", f"iam:SimulatePrincipalPolicy on resource: {arn('userA')}"):
        caller.simulate_principal_policy(
            PolicySourceArn=arn("userA"), ActionNames=["sts:AssumeRole"]
        )
    source.put_user_policy(
        UserName="userC",
        PolicyName="own",
        PolicyDocument=policy(allow("iam:SimulatePrincipalPolicy", arn("userA"))),
    )

    assert simulated(caller)["EvalDecision"] == "implicitDeny"
    with refused("AccessDenied"):
        simulated(caller, PolicySourceArn=arn("userC"))
    with refused("NoSuchEntity"):
        simulated(source, PolicySourceArn=arn("nobody"))


def test_update_of_a_role_leaves_the_rest(target: Any) -> None:
    make_role(target, trusts(SOURCE), Description="first", MaxSessionDuration=7200)
    target.update_role(RoleName=NAME, Description="second")
    role = target.get_role(RoleName=NAME)["Role"]
    assert (role["Description"], role["MaxSessionDuration"]) == ("second", 7200)


def test_use_of_a_role_is_remembered(aws: Server, target: Any, user_a: Any) -> None:
    assert target.get_role(RoleName=NAME)["Role"]["RoleLastUsed"] == {}
    aws.session(assume(user_a)["Credentials"], "sts").get_caller_identity()
    assert "LastUsedDate" in target.get_role(RoleName=NAME)["Role"]["RoleLastUsed"]


# Saved state --------------------------------------------------------------------------------


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """Start a server on one and the same state file."""
    running: list[Server] = []

    def starter() -> Server:
        running.append(Server(tmp_path / "aws.json"))
        return running[-1]

    yield starter
    for server in running:
        if server.process.poll() is None:
            server.stop()


def everything(server: Server) -> list[Any]:
    details = [
        server.admin(account).get_account_authorization_details() for account in (SOURCE, TARGET)
    ]
    keys = server.admin(SOURCE).list_access_keys(UserName="userA")["AccessKeyMetadata"]
    for detail in details:
        del detail["ResponseMetadata"]
    return [details, keys]


def test_state_survives_a_restart(start: Callable[[], Server], tmp_path: Path) -> None:
    first = start()
    source, target = first.admin(SOURCE), first.admin(TARGET)
    source.create_user(UserName="userA", Path="/people/", Tags=TAGS)
    source.create_group(GroupName="g", Path="/sallyport/")
    source.put_group_policy(
        GroupName="g", PolicyName="p", PolicyDocument=policy(allow("sts:AssumeRole", ISSUED))
    )
    source.add_user_to_group(GroupName="g", UserName="userA")
    key = source.create_access_key(UserName="userA")["AccessKey"]
    made = target.create_policy(
        PolicyName="SallyportBoundary", PolicyDocument=policy(allow("*")), Tags=TAGS
    )
    target.create_policy_version(
        PolicyArn=made["Policy"]["Arn"], PolicyDocument=policy(allow("iam:*")), SetAsDefault=True
    )
    make_role(
        target,
        trusts(f"arn:aws:iam::{SOURCE}:user/people/userA"),
        PermissionsBoundary=BOUNDARY,
        Tags=TAGS,
        Description="d",
        MaxSessionDuration=7200,
    )
    target.attach_role_policy(RoleName=NAME, PolicyArn=READ_ONLY)
    sts = first.client("sts", key["AccessKeyId"], key["SecretAccessKey"])
    session = assume(sts)["Credentials"]
    before = everything(first)
    assert first.stop() == ""
    file = tmp_path / "aws.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    second = start()
    assert everything(second) == before
    assert len(second.session(session).list_roles()["Roles"]) == 1
    assume(second.client("sts", key["AccessKeyId"], key["SecretAccessKey"]))
    second.admin(SOURCE).remove_user_from_group(GroupName="g", UserName="userA")
    assert [item.name for item in tmp_path.iterdir()] == ["aws.json"]


def test_state_is_saved_before_the_end(start: Callable[[], Server], tmp_path: Path) -> None:
    server = start()
    server.admin(SOURCE).create_user(UserName="userA")
    deadline = time.monotonic() + 20
    while not (tmp_path / "aws.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    server.process.kill()
    server.process.communicate()
    assert start().admin(SOURCE).get_user(UserName="userA")["User"]["UserName"] == "userA"


UNREADABLE = [
    "",
    "{",
    "[]",
    '{"format": "sallyport-sandbox-aws", "version": 99}',
    '{"format": "sallyport-sandbox-aws", "version": 1, "accounts": [{}], "sessions": []}',
]


@pytest.mark.parametrize("content", UNREADABLE)
def test_unreadable_state_is_set_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    file = tmp_path / "aws.json"
    file.write_text(content)
    sessions = Sessions()
    iam_state.read(file, sessions)
    assert "cannot be read" in capsys.readouterr().err
    assert (tmp_path / "aws.json.unreadable-1").read_text() == content
    assert iam_state.dump(sessions)["accounts"] == []


def test_server_starts_empty_on_an_unreadable_state(
    start: Callable[[], Server], tmp_path: Path
) -> None:
    (tmp_path / "aws.json").write_text("{")
    (tmp_path / "aws.json.unreadable-1").write_text("an older one")
    server = start()
    assert server.admin(SOURCE).list_users()["Users"] == []
    assert "aws.json.unreadable-2" in server.stop()
