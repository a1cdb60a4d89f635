"""Every document that the engine makes, brought about by a real run on the server that stands for
AWS, read back from there, and judged by AWS's documented rules alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import botocore.session
import pytest
from django.conf import settings

from accounts.models import AwsAccount, Offer, User
from provisioning import services
from provisioning.aws.errors import AwsError
from provisioning.core import documents, retirement
from provisioning.engine import converge
from provisioning.models import Grant
from sandbox import world
from tests.aws_world import Approved, Aws
from tests.factories import ProfileVersionFactory, first_stage
from tests.judge.judge import ASSUME, Session, entering, may_do, may_enter, who_may_enter
from tests.judge.state import Document, Principal, State, read_state

SOURCE, TARGET, THIRD = "111111111111", "222222222222", "333333333333"
PORTAL = "999999999999"
USER_A = f"arn:aws:iam::{SOURCE}:user/userA"
BOUNDARY = f"arn:aws:iam::{TARGET}:policy/SallyportBoundary"
ADMIN_POLICY = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY_POLICY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
EVERYTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
SECOND = timedelta(seconds=1)
NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


administrator = cache(world.administrator)
"""Made once: they hold made-up keys, and to make them takes longer than to use them."""


def look() -> State:
    """All accounts as they are now."""
    return read_state({one: administrator(one) for one in (SOURCE, TARGET, THIRD, PORTAL)})


def settle(grant: Grant) -> Grant:
    """Let a worker look at a grant, and read the row again."""
    converge.converge(grant.pk)
    return Grant.objects.with_parties().get(pk=grant.pk)


def arn_of(grant: Grant) -> str:
    return f"arn:aws:iam::{TARGET}:role/sallyport/{grant.role_name}"


def end_of(grant: Grant) -> datetime:
    """AWS's policies know whole seconds."""
    return grant.ends_at.replace(microsecond=0)


def issued(state: State, grant: Grant) -> Principal:
    role = state.find(arn_of(grant))
    assert role is not None
    return role


def provisioner(state: State, account_id: str) -> Principal:
    role = state.find(f"arn:aws:iam::{account_id}:role/SallyportProvisioner")
    assert role is not None
    return role


def make_admin(account_id: str, user: str) -> str:
    """Let an IAM user do everything in their account, AssumeRole on everything included."""
    iam = administrator(account_id)
    if user not in {one["UserName"] for one in iam.list_users()["Users"]}:
        iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="Admin", PolicyDocument=EVERYTHING)
    return f"arn:aws:iam::{account_id}:user/{user}"


@dataclass(frozen=True)
class Standing:
    """What stands in AWS while a classic grant of userA's is active."""

    state: State
    role: str
    starts_at: datetime
    end: datetime

    @property
    def session(self) -> Session:
        """The person's session of the issued role."""
        found = self.state.find(self.role)
        assert found is not None
        return Session(found.unique_id, "userA")


_SEEN: dict[str, Any] = {}
"""What was read once and is only looked at: a new world for each test would take most of the
time. Who changes anything takes `aws` and looks for themselves. All ask for the database, so that
any of them may come first."""


@pytest.fixture
def standing(request: pytest.FixtureRequest, db: None) -> Standing:
    """The classic grant, active, as both accounts showed it when it was first asked for."""
    if "standing" not in _SEEN:
        request.getfixturevalue("aws")
        grant = settle(request.getfixturevalue("approved")())
        _SEEN["standing"] = Standing(look(), arn_of(grant), grant.starts_at, end_of(grant))
    found: Standing = _SEEN["standing"]
    return found


@pytest.fixture
def installed(request: pytest.FixtureRequest, db: None) -> State:
    """Both accounts when their owners have installed the provisioner role, and nobody came yet."""
    if "installed" not in _SEEN:
        request.getfixturevalue("aws")
        _SEEN["installed"] = look()
    found: State = _SEEN["installed"]
    return found


def needs_two(offer: Offer, other: User) -> None:
    """What is risky can be offered under the high class only."""
    first_stage(offer).people.add(other)
    offer.stages.update(quorum=2)


def change_profile(offer: Offer, **values: Any) -> None:
    ProfileVersionFactory.create(profile=offer.profile, **values)


def calls(service: str, *, reading: bool | None = None) -> list[str]:
    """All calls that a service's API has; only those that read, or those that do not."""
    model = botocore.session.get_session().get_service_model(service)
    reads = ("Get", "List", "Generate", "Simulate")
    return [
        f"{service}:{name}"
        for name in model.operation_names
        if reading is None or name.startswith(reads) == reading
    ]


# --- Who may enter an issued role --------------------------------------------------------------


def test_only_the_right_user_may_enter_before_the_end_and_nobody_from_it_on(
    standing: Standing,
) -> None:
    state, role, end = standing.state, standing.role, standing.end

    assert who_may_enter(state, role, at=standing.starts_at, mfa=True) == {USER_A}
    assert who_may_enter(state, role, at=end - SECOND, mfa=True) == {USER_A}
    for later in (end, end + SECOND, end + timedelta(days=365)):
        assert who_may_enter(state, role, at=later, mfa=True) == set()


@pytest.mark.parametrize("mfa", [False, None], ids=["signed in without", "with an access key"])
def test_without_mfa_nobody_may_enter_where_the_offer_demands_it(
    standing: Standing, mfa: bool | None
) -> None:
    assert who_may_enter(standing.state, standing.role, at=standing.starts_at, mfa=mfa) == set()


def test_where_the_offer_demands_no_mfa_the_user_may_enter_without_until_the_end(
    scene: Offer, approved: Approved, aws: Aws
) -> None:
    change_profile(scene, require_mfa=False)
    grant = settle(approved())
    state, role, end = look(), arn_of(grant), end_of(grant)

    for mfa in (True, False, None):
        assert who_may_enter(state, role, at=end - SECOND, mfa=mfa) == {USER_A}
        assert who_may_enter(state, role, at=end, mfa=mfa) == set()


def test_admins_of_all_accounts_and_a_namesake_are_denied(approved: Approved, aws: Aws) -> None:
    grant = settle(approved())
    others = [
        make_admin(SOURCE, "userC"),
        make_admin(TARGET, "userA"),
        make_admin(TARGET, "userB"),
        make_admin(THIRD, "userA"),
    ]
    state, role = look(), arn_of(grant)

    assert who_may_enter(state, role, at=grant.starts_at, mfa=True) == {USER_A}
    for one in others:
        verdict = may_enter(state, one, role, at=grant.starts_at, mfa=True)
        assert not verdict.allowed, one
        assert "trust policy" in verdict.why or "resource policy" in verdict.why


def test_a_user_made_anew_under_the_same_name_is_denied(approved: Approved, aws: Aws) -> None:
    grant = settle(approved())
    iam = aws.admin(SOURCE)
    for group in aws.groups_of(SOURCE, "userA"):
        iam.remove_user_from_group(GroupName=group, UserName="userA")
    for key in iam.list_access_keys(UserName="userA")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="userA", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="userA")
    make_admin(SOURCE, "userA")

    assert who_may_enter(look(), arn_of(grant), at=grant.starts_at, mfa=True) == set()


def test_membership_opens_no_role_but_issued_ones_of_the_target(
    approved: Approved, aws: Aws
) -> None:
    grant = settle(approved())
    open_to_all = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":'
        f'"arn:aws:iam::{SOURCE}:root"}},"Action":"sts:AssumeRole"}}]}}'
    )
    for account, path in ((TARGET, "/"), (THIRD, "/sallyport/"), (SOURCE, "/sallyport/")):
        aws.admin(account).create_role(
            Path=path, RoleName="Other", AssumeRolePolicyDocument=open_to_all
        )
    state = look()

    for other in (
        f"arn:aws:iam::{TARGET}:role/Other",
        f"arn:aws:iam::{THIRD}:role/sallyport/Other",
        f"arn:aws:iam::{SOURCE}:role/sallyport/Other",
    ):
        assert not may_enter(state, USER_A, other, at=grant.starts_at, mfa=True).allowed, other
    assert may_enter(state, USER_A, arn_of(grant), at=grant.starts_at, mfa=True).allowed


def test_after_a_revocation_nobody_may_enter_and_the_live_session_may_do_nothing(
    approved: Approved, aws: Aws, dana: User
) -> None:
    grant = settle(approved())
    session = Session(issued(look(), grant).unique_id, "userA")

    services.revoke(person=dana, grant=grant, reason="Wrong account.")
    grant = settle(grant)
    state = look()

    assert who_may_enter(state, arn_of(grant), at=grant.starts_at, mfa=True) == set()
    assert not may_do(state, session, "s3:ListAllMyBuckets", "*", at=grant.starts_at).allowed
    assumed = may_do(
        state, USER_A, ASSUME, arn_of(grant), at=grant.starts_at, context=entering(mfa=True)
    )
    assert not assumed.allowed


# --- What a session there may do ---------------------------------------------------------------

SOME_CALLS = (
    "s3:ListAllMyBuckets",
    "s3:GetObject",
    "ec2:DescribeInstances",
    "iam:ListRoles",
    "sts:GetSessionToken",
)


def test_a_live_session_reads_before_the_end_and_is_denied_everything_from_it_on(
    standing: Standing,
) -> None:
    state, session, end = standing.state, standing.session, standing.end

    assert may_do(state, session, "s3:ListAllMyBuckets", "*", at=end - SECOND).allowed
    assert not may_do(state, session, "s3:PutObject", "*", at=end - SECOND).allowed
    for later in (end, end + timedelta(hours=12)):
        for call in SOME_CALLS:
            verdict = may_do(state, session, call, "*", at=later)
            assert (verdict.allowed, "explicit deny" in verdict.why) == (False, True), call


def test_the_dated_deny_wins_over_a_bucket_that_names_the_session(standing: Standing) -> None:
    """[5.7]: such a grant passes by boundary and session policy, but not by a Deny."""
    name = standing.role.replace(":iam:", ":sts:").replace("role/sallyport", "assumed-role")
    bucket: Document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"{name}/userA"},
                "Action": "s3:*",
                "Resource": "*",
            }
        ],
    }
    asked = (standing.state, standing.session, "s3:PutObject", "arn:aws:s3:::box/key")

    assert may_do(*asked, at=standing.end - SECOND, resource_policy=bucket).allowed
    assert not may_do(*asked, at=standing.end, resource_policy=bucket).allowed


def test_the_first_call_of_a_revocation_alone_denies_the_session_everything(
    approved: Approved, aws: Aws
) -> None:
    grant = settle(approved())
    aws.admin(TARGET).put_role_policy(
        RoleName=grant.role_name,
        PolicyName="SallyportRevoked",
        PolicyDocument=documents.dumps(documents.deny_all()),
    )
    state = look()
    session = Session(issued(state, grant).unique_id, "userA")

    for call in SOME_CALLS:
        verdict = may_do(state, session, call, "*", at=grant.starts_at)
        assert (verdict.allowed, "explicit deny" in verdict.why) == (False, True), call


def test_a_profile_of_ones_own_opens_what_it_says_and_nothing_else(
    scene: Offer, approved: Approved, aws: Aws
) -> None:
    bucket = "arn:aws:s3:::logs"
    profile = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket}],
    }
    change_profile(scene, managed_policies=[], inline_policy=profile)
    grant = settle(approved())
    state, end = look(), end_of(grant)
    session = Session(issued(state, grant).unique_id, "userA")

    assert may_do(state, session, "s3:ListBucket", bucket, at=end - SECOND).allowed
    assert not may_do(state, session, "s3:ListBucket", bucket, at=end).allowed
    assert not may_do(state, session, "s3:ListBucket", f"{bucket}2", at=end - SECOND).allowed
    assert not may_do(state, session, "s3:GetObject", bucket, at=end - SECOND).allowed


TAKING_OVER = (
    # AWS-FACTS 6.10, beside all of IAM's and STS's own calls.
    "account:CloseAccount",
    "apprunner:UpdateService",
    "cloudformation:UpdateStack",
    "cloudformation:UpdateStackSet",
    "codebuild:StartBuild",
    "codebuild:UpdateProject",
    "ec2-instance-connect:SendSSHPublicKey",
    "ecs:ExecuteCommand",
    "glue:UpdateDevEndpoint",
    "glue:UpdateJob",
    "iam:PassRole",
    "identitystore:CreateGroupMembership",
    "lambda:UpdateFunctionCode",
    "lambda:UpdateFunctionConfiguration",
    "organizations:LeaveOrganization",
    "sagemaker:CreatePresignedNotebookInstanceUrl",
    "ssm:SendCommand",
    "ssm:StartSession",
    "sso:CreateAccountAssignment",
)
HARMLESS_IN_STS = {
    "sts:GetCallerIdentity",
    "sts:DecodeAuthorizationMessage",
    "sts:GetAccessKeyInfo",
}


def test_administrator_access_under_our_boundary_cannot_write_iam_or_become_somebody_else(
    scene: Offer, approved: Approved, aws: Aws, dana: User
) -> None:
    needs_two(scene, dana)
    change_profile(scene, managed_policies=["AdministratorAccess"])
    grant = settle(approved())
    state = look()
    session = Session(issued(state, grant).unique_id, "userA")
    forbidden = [
        *calls("iam", reading=False),
        *(one for one in calls("sts") if one not in HARMLESS_IN_STS and one != ASSUME),
        *TAKING_OVER,
    ]
    resources = ["*", f"arn:aws:iam::{TARGET}:role/Other", arn_of(grant), BOUNDARY]

    opened = [
        (call, resource)
        for call in forbidden
        for resource in resources
        if may_do(state, session, call, resource, at=grant.starts_at).allowed
    ]

    assert opened == []
    assert len(forbidden) > 100
    assert may_do(state, session, "s3:PutObject", "*", at=grant.starts_at).allowed
    assert may_do(state, session, "ec2:RunInstances", "*", at=grant.starts_at).allowed
    assert may_do(state, session, "iam:ListRoles", "*", at=grant.starts_at).allowed


def test_administrator_access_under_our_boundary_enters_no_role_that_trusts_it(
    scene: Offer, approved: Approved, aws: Aws, dana: User
) -> None:
    """[6.11]: where a role is named in the same account, only an explicit Deny stops it."""
    needs_two(scene, dana)
    change_profile(scene, managed_policies=["AdministratorAccess"])
    grant = settle(approved())
    role = arn_of(grant)
    trusting(aws, "NamesIt", role)
    trusting(aws, "NamesTheAccount", f"arn:aws:iam::{TARGET}:root")
    state = look()

    for name in ("NamesIt", "NamesTheAccount"):
        entered = may_enter(
            state, role, f"arn:aws:iam::{TARGET}:role/{name}", at=grant.starts_at, mfa=None
        )
        assert (entered.allowed, "explicit deny" in entered.why) == (False, True), name


def trusting(aws: Aws, name: str, principal: str) -> None:
    document = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":'
        f'"{principal}"}},"Action":"sts:AssumeRole"}}]}}'
    )
    aws.admin(TARGET).create_role(RoleName=name, AssumeRolePolicyDocument=document)


# --- The provisioner role ----------------------------------------------------------------------


def test_only_the_portal_with_the_accounts_own_external_id_enters_the_provisioner_role(
    aws: Aws,
) -> None:
    for account, user in ((SOURCE, "userA"), (TARGET, "userB"), (PORTAL, "somebody")):
        make_admin(account, user)
    state = look()
    ids = dict(AwsAccount.objects.values_list("account_id", "external_id"))

    def entering_with(account_id: str, external_id: str | None) -> set[str]:
        role = provisioner(state, account_id).arn
        return who_may_enter(state, role, at=NOON, mfa=None, external_id=external_id)

    for account_id, other in ((SOURCE, TARGET), (TARGET, SOURCE)):
        assert entering_with(account_id, ids[account_id]) == {settings.AWS_PORTAL_PRINCIPAL}
        assert entering_with(account_id, None) == set()
        assert entering_with(account_id, ids[other]) == set()


def test_the_portals_own_user_may_enter_provisioner_roles_and_nothing_else(
    approved: Approved, aws: Aws
) -> None:
    grant = settle(approved())
    trusting(aws, "TrustsThePortal", settings.AWS_PORTAL_PRINCIPAL)
    state = look()
    portal = settings.AWS_PORTAL_PRINCIPAL
    context = entering(mfa=None)

    for call in (*calls("iam"), *calls("s3"), *SOME_CALLS):
        assert not may_do(state, portal, call, "*", at=grant.starts_at).allowed, call
    for role in (arn_of(grant), f"arn:aws:iam::{TARGET}:role/TrustsThePortal"):
        verdict = may_do(state, portal, ASSUME, role, at=grant.starts_at, context=context)
        assert not verdict.allowed, role


def iam_arn(account_id: str, rest: str) -> str:
    return f"arn:aws:iam::{account_id}:{rest}"


def outside(account_id: str) -> Iterator[str]:
    """Objects that are none of ours, some of them named to look like ours."""
    for rest in (
        "role/Admin",
        "role/SallyportProvisioner",
        "role/sallyport",
        "role/sallyportx/Role",
        "role/x/sallyport/Role",
        "role/Sallyport/Role",
        "role/aws-service-role/sallyport/Role",
        "group/Admins",
        "group/sallyportx/Admins",
        "user/userA",
        "user/sallyport/userX",
        "policy/Custom",
        "policy/SallyportBoundary",
        "policy/sallyport/Custom",
        "instance-profile/sallyport/Machine",
        "saml-provider/idp",
        "mfa/userA",
    ):
        yield iam_arn(account_id, rest)
    yield "*"


READS_ANYWHERE = {
    "iam:GetAccountAuthorizationDetails",
    "iam:GetAccountSummary",
    "iam:GetGroup",
    "iam:GetRole",
    "iam:GetUser",
    "iam:ListRoles",
}
READS_OF_A_PERSON = {
    "iam:ListGroupsForUser",
    "iam:ListMFADevices",
    "iam:SimulatePrincipalPolicy",
}
READS_THERE = {
    "role/SallyportProvisioner": {
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListRolePolicies",
    },
    "policy/SallyportBoundary": {"iam:GetPolicy", "iam:GetPolicyVersion"},
    "user/userA": READS_OF_A_PERSON,
    "user/sallyport/userX": READS_OF_A_PERSON,
}


@pytest.mark.parametrize("account_id", [SOURCE, TARGET])
def test_the_provisioner_touches_nothing_outside_the_path(
    installed: State, account_id: str
) -> None:
    """Every call of IAM on every such object, with the keys that would help it most."""
    state = installed
    who = provisioner(state, account_id).arn
    helping = {
        "iam:PermissionsBoundary": [iam_arn(account_id, "policy/SallyportBoundary")],
        "iam:PolicyARN": ["arn:aws:iam::aws:policy/ReadOnlyAccess"],
    }

    opened = {
        (call, resource)
        for call in [*calls("iam"), "iam:PassRole"]
        for resource in outside(account_id)
        if may_do(state, who, call, resource, at=NOON, context=helping).allowed
    }
    reading = {
        (call, resource)
        for resource in outside(account_id)
        for call in READS_ANYWHERE | READS_THERE.get(resource.partition(f"{account_id}:")[2], set())
    }

    assert opened == reading


@pytest.mark.parametrize("account_id", [SOURCE, TARGET])
def test_the_provisioner_does_nothing_beyond_iam(installed: State, account_id: str) -> None:
    state = installed
    who = provisioner(state, account_id).arn
    services_of_escalation = (
        "cloudformation",
        "codebuild",
        "ec2",
        "ecs",
        "glue",
        "lambda",
        "organizations",
        "sagemaker",
        "ssm",
    )
    asked = [call for service in services_of_escalation for call in calls(service)]
    asked += [*TAKING_OVER, "s3:GetObject", "secretsmanager:GetSecretValue", "kms:Decrypt"]

    assert [call for call in asked if may_do(state, who, call, "*", at=NOON).allowed] == []


OURS = iam_arn(TARGET, "role/sallyport/Role")
OUR_GROUP = iam_arn(TARGET, "group/sallyport/Group")
BOUNDED = {"iam:PermissionsBoundary": [BOUNDARY]}
UNBOUNDED: dict[str, list[str]] = {}
ANOTHER = {"iam:PermissionsBoundary": [iam_arn(TARGET, "policy/Wide")]}
AWS_ADMIN = {"iam:PermissionsBoundary": [ADMIN_POLICY]}


def attaching(policy: str) -> dict[str, list[str]]:
    return {"iam:PolicyARN": [policy]}


WRITES = (
    "iam:CreateRole",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
)

type Asked = tuple[str, str, dict[str, list[str]]]

REFUSED: list[Asked] = [
    *((call, OURS, keys) for call in WRITES for keys in (UNBOUNDED, ANOTHER, AWS_ADMIN)),
    ("iam:DeleteRolePermissionsBoundary", OURS, BOUNDED),
    ("iam:AttachRolePolicy", OURS, attaching(ADMIN_POLICY)),
    ("iam:AttachRolePolicy", OURS, BOUNDED),
    ("iam:AttachRolePolicy", OURS, BOUNDED | attaching(iam_arn(TARGET, "policy/Own"))),
    ("iam:AttachGroupPolicy", OUR_GROUP, attaching(ADMIN_POLICY)),
    ("iam:AttachGroupPolicy", OUR_GROUP, attaching(iam_arn(TARGET, "policy/ReadOnlyAccess"))),
    ("iam:TagRole", OURS, BOUNDED | {"aws:TagKeys": ["sallyport:grant", "team"]}),
    ("iam:UntagRole", OURS, BOUNDED),
    ("iam:PassRole", OURS, BOUNDED),
    ("iam:AddRoleToInstanceProfile", OURS, BOUNDED),
    ("iam:CreateServiceLinkedRole", OURS, BOUNDED),
    *(
        (call, iam_arn(TARGET, "user/sallyport/userX"), BOUNDED)
        for call in (
            "iam:AttachUserPolicy",
            "iam:CreateAccessKey",
            "iam:CreateLoginProfile",
            "iam:CreateUser",
            "iam:DeleteUserPermissionsBoundary",
            "iam:EnableMFADevice",
            "iam:PutUserPermissionsBoundary",
            "iam:PutUserPolicy",
            "iam:UpdateLoginProfile",
        )
    ),
    *(
        (call, iam_arn(TARGET, "policy/sallyport/Custom"), BOUNDED)
        for call in ("iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion")
    ),
]
ALLOWED: list[Asked] = [
    *((call, OURS, BOUNDED) for call in WRITES),
    ("iam:AttachRolePolicy", OURS, BOUNDED | attaching(ADMIN_POLICY)),
    ("iam:TagRole", OURS, {"aws:TagKeys": ["sallyport:grant"]}),
    ("iam:DeleteRole", OURS, UNBOUNDED),
    ("iam:DetachRolePolicy", OURS, attaching(iam_arn(TARGET, "policy/Own"))),
    ("iam:AttachGroupPolicy", OUR_GROUP, attaching("arn:aws:iam::aws:policy/ReadOnlyAccess")),
    ("iam:AddUserToGroup", OUR_GROUP, UNBOUNDED),
    # AWS has no key for what a group's policy says [6.4]: only the path and the session bound it.
    ("iam:PutGroupPolicy", OUR_GROUP, UNBOUNDED),
]


@pytest.mark.parametrize(
    ("asked", "allowed"), [(REFUSED, False), (ALLOWED, True)], ids=["refused", "allowed"]
)
def test_within_the_path_the_provisioner_makes_bounded_roles_and_no_users(
    installed: State, asked: list[Asked], allowed: bool
) -> None:
    state = installed
    who = provisioner(state, TARGET).arn

    wrong = [
        (call, resource, context)
        for call, resource, context in asked
        if may_do(state, who, call, resource, at=NOON, context=context).allowed is not allowed
    ]

    assert wrong == []


def test_even_with_administrator_access_the_provisioner_keeps_boundaries_and_its_own_role(
    aws: Aws,
) -> None:
    aws.admin(TARGET).attach_role_policy(RoleName="SallyportProvisioner", PolicyArn=ADMIN_POLICY)
    state = look()
    own = provisioner(state, TARGET).arn
    asked = [
        ("iam:DeleteRolePermissionsBoundary", OURS),
        ("iam:DeleteUserPermissionsBoundary", iam_arn(TARGET, "user/userB")),
        ("iam:CreatePolicyVersion", BOUNDARY),
        ("iam:SetDefaultPolicyVersion", BOUNDARY),
        ("iam:DeletePolicy", BOUNDARY),
        ("iam:PutRolePolicy", own),
        ("iam:AttachRolePolicy", own),
        ("iam:DetachRolePolicy", own),
        ("iam:DeleteRolePolicy", own),
        ("iam:UpdateAssumeRolePolicy", own),
        ("iam:PutRolePermissionsBoundary", own),
        ("iam:DeleteRole", own),
        ("iam:PassRole", "*"),
    ]

    for call, resource in asked:
        verdict = may_do(state, own, call, resource, at=NOON, context=BOUNDED)
        assert (verdict.allowed, "explicit deny" in verdict.why) == (False, True), call


def test_the_provisioner_enters_no_issued_role_although_its_trust_names_it(
    approved: Approved, aws: Aws
) -> None:
    """[6.11]: UpdateAssumeRolePolicy would be enough to take a role over."""
    grant = settle(approved())
    own = provisioner(look(), TARGET).arn
    document = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":'
        f'["{own}","arn:aws:iam::{TARGET}:root","{provisioner(look(), SOURCE).arn}"]}},'
        '"Action":"sts:AssumeRole"}]}'
    )
    aws.admin(TARGET).update_assume_role_policy(RoleName=grant.role_name, PolicyDocument=document)
    state = look()

    for account_id in (TARGET, SOURCE):
        who = provisioner(state, account_id).arn
        verdict = may_enter(state, who, arn_of(grant), at=grant.starts_at, mfa=None)
        assert (verdict.allowed, "explicit deny" in verdict.why) == (False, True)


# --- The portal's sessions ---------------------------------------------------------------------


def test_a_session_in_the_target_changes_this_grants_role_and_no_other(
    standing: Standing,
) -> None:
    state, first, second = standing.state, standing.role, f"{standing.role}2"
    narrowed = documents.target_session_policy(
        role_arn=first, policy_arns=["arn:aws:iam::aws:policy/ReadOnlyAccess"]
    )
    who = provisioner(state, TARGET).arn

    def may(call: str, resource: str, **keys: list[str]) -> bool:
        context = {key.replace("_", ":"): value for key, value in keys.items()} | BOUNDED
        return may_do(
            state,
            who,
            call,
            resource,
            at=standing.starts_at,
            context=context,
            session_policy=narrowed,
        ).allowed

    read_only = ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
    for call in (*WRITES, "iam:DeleteRole", "iam:DeleteRolePolicy"):
        assert may(call, first), call
        assert not may(call, second), call
    assert may("iam:AttachRolePolicy", first, iam_PolicyARN=read_only)
    assert not may("iam:AttachRolePolicy", second, iam_PolicyARN=read_only)
    assert not may("iam:AttachRolePolicy", first, iam_PolicyARN=[ADMIN_POLICY])


def test_a_session_in_the_source_changes_this_pairs_group_and_no_other(
    standing: Standing,
) -> None:
    state = standing.state
    group = iam_arn(SOURCE, f"group/sallyport/switch-to-{TARGET}")
    narrowed = documents.source_session_policy(group_arn=group, policy_arns=[], user_arn=USER_A)
    who = provisioner(state, SOURCE).arn
    other = iam_arn(SOURCE, "group/sallyport/switch-to-333333333333")

    def may(call: str, resource: str) -> bool:
        return may_do(
            state, who, call, resource, at=standing.starts_at, session_policy=narrowed
        ).allowed

    for call in ("iam:PutGroupPolicy", "iam:AddUserToGroup", "iam:RemoveUserFromGroup"):
        assert may(call, group), call
        assert not may(call, other), call
    assert may("iam:ListGroupsForUser", USER_A)
    assert not may("iam:ListGroupsForUser", iam_arn(SOURCE, "user/userC"))
    assert not may("iam:AttachGroupPolicy", group)
    assert not may("iam:DeleteGroup", group)


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_session_that_tries_a_plan_changes_nothing_and_reads_this_request_alone(
    standing: Standing, side: str
) -> None:
    """Every call of IAM, on the objects of this request and on others of the same kind."""
    account_id = SOURCE if side == "source" else TARGET
    policies = "arn:aws:iam::aws:policy/*"
    group = iam_arn(SOURCE, f"group/sallyport/switch-to-{TARGET}")
    if side == "source":
        narrowed = documents.source_preview_policy(
            group_arn=group, user_arn=USER_A, policies_arn=policies
        )
        own = {group, USER_A}
        others = {iam_arn(SOURCE, "user/userC"), iam_arn(SOURCE, "group/sallyport/other")}
    else:
        narrowed = documents.target_preview_policy(
            role_arn=standing.role, boundary_arn=BOUNDARY, policies_arn=policies
        )
        own = {standing.role, BOUNDARY}
        others = {f"{standing.role}2", iam_arn(TARGET, "policy/Own")}
    who = provisioner(standing.state, account_id).arn

    def opened(resources: set[str]) -> set[str]:
        return {
            call
            for call in [*calls("iam"), "iam:PassRole"]
            for resource in resources
            if may_do(
                standing.state,
                who,
                call,
                resource,
                at=standing.starts_at,
                context=BOUNDED | attaching(READ_ONLY_POLICY),
                session_policy=narrowed,
            ).allowed
        }

    anywhere = {"iam:GetAccountSummary"} | (
        {"iam:GetGroup", "iam:GetUser"} if side == "source" else {"iam:GetRole"}
    )
    assert opened(others | {"*"}) == anywhere
    assert opened(own) <= set(calls("iam", reading=True))
    assert opened({READ_ONLY_POLICY}) == anywhere | {"iam:GetPolicy"}


def test_a_session_that_removes_a_group_gives_nothing_and_touches_no_other(
    standing: Standing,
) -> None:
    group = iam_arn(SOURCE, f"group/sallyport/switch-to-{TARGET}")
    other = iam_arn(SOURCE, "group/sallyport/switch-to-333333333333")
    narrowed = retirement.session_policy(group)
    who = provisioner(standing.state, SOURCE).arn

    def may(call: str, resource: str) -> bool:
        return may_do(
            standing.state, who, call, resource, at=standing.starts_at, session_policy=narrowed
        ).allowed

    for call in ("iam:DeleteGroup", "iam:DeleteGroupPolicy", "iam:DetachGroupPolicy"):
        assert may(call, group), call
        assert not may(call, other), call
    for call in ("iam:PutGroupPolicy", "iam:AddUserToGroup", "iam:RemoveUserFromGroup"):
        assert not may(call, group), call


def test_a_session_that_scans_an_account_reads_it_and_does_nothing_else(
    standing: Standing,
) -> None:
    for account_id in (SOURCE, TARGET):
        who = provisioner(standing.state, account_id).arn
        allowed = {
            call
            for call in [*calls("iam"), "iam:PassRole", "sts:AssumeRole"]
            for resource in ("*", standing.role, USER_A)
            if may_do(
                standing.state,
                who,
                call,
                resource,
                at=standing.starts_at,
                context=BOUNDED | attaching(READ_ONLY_POLICY),
                session_policy=documents.scan_session_policy(),
            ).allowed
        }
        assert allowed == {"iam:GetAccountAuthorizationDetails"}


def test_a_session_that_cuts_a_group_back_adds_nobody_and_touches_no_other(
    standing: Standing,
) -> None:
    group = iam_arn(SOURCE, f"group/sallyport/switch-to-{TARGET}")
    other = iam_arn(SOURCE, "group/sallyport/switch-to-333333333333")
    narrowed = documents.cut_back_session_policy(group_arn=group)
    who = provisioner(standing.state, SOURCE).arn

    def may(call: str, resource: str) -> bool:
        return may_do(
            standing.state,
            who,
            call,
            resource,
            at=standing.starts_at,
            context=attaching(READ_ONLY_POLICY),
            session_policy=narrowed,
        ).allowed

    for call in ("iam:DeleteGroupPolicy", "iam:DetachGroupPolicy", "iam:RemoveUserFromGroup"):
        assert may(call, group), call
        assert not may(call, other), call
    for call in ("iam:AddUserToGroup", "iam:AttachGroupPolicy", "iam:CreateGroup"):
        assert not may(call, group), call


def test_a_session_that_removes_an_orphan_gives_nothing_and_touches_no_other_role(
    standing: Standing,
) -> None:
    narrowed = documents.removal_session_policy(role_arn=standing.role)
    who = provisioner(standing.state, TARGET).arn

    def may(call: str, resource: str) -> bool:
        return may_do(
            standing.state,
            who,
            call,
            resource,
            at=standing.starts_at,
            context=BOUNDED | attaching(READ_ONLY_POLICY),
            session_policy=narrowed,
        ).allowed

    for call in ("iam:PutRolePolicy", "iam:DetachRolePolicy", "iam:DeleteRole"):
        assert may(call, standing.role), call
        assert not may(call, f"{standing.role}2"), call
    for call in ("iam:AttachRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:CreateRole"):
        assert not may(call, standing.role), call


# --- The judge and the server that stands for AWS ----------------------------------------------


def was_let_in(aws: Aws, user: str, role: str, *, mfa: bool) -> bool:
    try:
        aws.enter(user, role, mfa=mfa)
    except AwsError as refusal:
        if refusal.code != "AccessDenied":
            raise
        return False
    return True


@pytest.mark.parametrize("late", [False, True], ids=["before the end", "after it"])
def test_the_judge_and_the_server_agree_on_who_enters(
    approved: Approved, aws: Aws, late: bool
) -> None:
    grant = settle(approved())
    at = end_of(grant) + SECOND if late else grant.starts_at
    if late:
        aws.clock_ahead(timedelta(minutes=31))
    make_admin(SOURCE, "userC")
    state, role = look(), arn_of(grant)

    for user in ("userA", "userC"):
        for mfa in (True, None):
            who = iam_arn(SOURCE, f"user/{user}")
            judged = may_enter(state, who, role, at=at, mfa=mfa)
            assert was_let_in(aws, user, role, mfa=mfa is True) is judged.allowed, judged.why
