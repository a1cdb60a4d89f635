"""What an account owner installs for Sallyport, and the judgement of what is found installed."""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from accounts import aws_names
from provisioning.core import documents, onboarding, steps, user_policies
from provisioning.core.documents import Document
from provisioning.core.onboarding import BOTH_SIDES
from provisioning.core.steps import Side
from tests.core.golden import assert_golden

ACCOUNT = "222222222222"
PORTAL = "arn:aws:iam::999999999999:role/SallyportPortal"
EXTERNAL_ID = "sallyport-0123456789abcdef0123456789abcdef"
SOURCE, TARGET = frozenset({Side.SOURCE}), frozenset({Side.TARGET})
PARTITIONS = ["aws", "aws-us-gov", "aws-cn", "aws-eusc"]

BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/SallyportBoundary"
OWN_ROLE = f"arn:aws:iam::{ACCOUNT}:role/SallyportProvisioner"
ISSUED = f"arn:aws:iam::{ACCOUNT}:role/sallyport/Reader-alice-abcdefghjkmn"
SWITCH_GROUP = f"arn:aws:iam::{ACCOUNT}:group/sallyport/switch-to-333333333333"
BOUNDED = {"iam:PermissionsBoundary": BOUNDARY}


def provisioner(sides: frozenset[Side] = BOTH_SIDES, partition: str = "aws") -> Document:
    return onboarding.provisioner_policy(partition=partition, account_id=ACCOUNT, sides=sides)


def boundary(partition: str = "aws") -> Document:
    return onboarding.boundary_policy(partition=partition, account_id=ACCOUNT)


def trust() -> Document:
    return onboarding.provisioner_trust_policy(portal_principal=PORTAL, external_id=EXTERNAL_ID)


DOCUMENTS = {
    "onboarding-provisioner-both": provisioner(),
    "onboarding-provisioner-source": provisioner(SOURCE),
    "onboarding-provisioner-target": provisioner(TARGET),
    "onboarding-provisioner-source-users": onboarding.provisioner_policy(
        partition="aws", account_id=ACCOUNT, sides=SOURCE, users=True
    ),
    "onboarding-user-boundary": user_policies.user_boundary_policy(
        partition="aws", account_id=ACCOUNT
    ),
    "onboarding-own-credentials": user_policies.own_credentials_policy(
        partition="aws", account_id=ACCOUNT
    ),
    "onboarding-boundary": boundary(),
    "onboarding-trust": trust(),
    "onboarding-portal": onboarding.portal_policy(
        partition="aws", account_ids=[ACCOUNT, "111111111111"]
    ),
}


# The documents as they are.


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_are_as_in_the_golden_files(name: str) -> None:
    assert_golden(name, DOCUMENTS[name])


@pytest.mark.parametrize("partition", PARTITIONS)
def test_partitions_differ_in_nothing_but_their_arns(partition: str) -> None:
    def as_aws(document: Document) -> Any:
        return json.loads(documents.dumps(document).replace(f"arn:{partition}:", "arn:aws:"))

    assert as_aws(provisioner(partition=partition)) == provisioner()
    assert as_aws(boundary(partition)) == boundary()


def test_sizes_stay_within_what_aws_takes() -> None:
    assert len(documents.dumps(provisioner())) <= 10_240  # inline policies of a role [3.4]
    assert len(documents.dumps(boundary())) <= 6_144  # a managed policy [3.4]
    assert len(documents.dumps(trust())) <= 2_048  # a trust policy [3.3]


def test_an_account_on_both_sides_gets_what_each_side_needs() -> None:
    both = {one["Sid"] for one in provisioner()["Statement"]}
    parts = [{one["Sid"] for one in provisioner(side)["Statement"]} for side in (SOURCE, TARGET)]
    assert both == parts[0] | parts[1]
    assert len(both) == len(provisioner()["Statement"])
    with pytest.raises(ValueError, match="source, a target, or both"):
        provisioner(frozenset())


@pytest.mark.parametrize(
    "principal",
    [
        "*",
        "999999999999",
        "arn:aws:iam::999999999999:root",
        "arn:aws:iam::999999999999:role/*",
        "arn:aws:sts::999999999999:assumed-role/SallyportPortal/session",
        f"{PORTAL}\n",
    ],
)
def test_the_trust_policy_takes_one_role_or_user_only(principal: str) -> None:
    with pytest.raises(ValueError, match="not the ARN of one role or IAM user"):
        onboarding.provisioner_trust_policy(portal_principal=principal, external_id=EXTERNAL_ID)


@pytest.mark.parametrize("external_id", ["", "x", "has space", "*", "ü" * 8, "x" * 1225])
def test_the_trust_policy_takes_no_malformed_external_id(external_id: str) -> None:
    with pytest.raises(ValueError, match="an ExternalId has"):
        onboarding.provisioner_trust_policy(portal_principal=PORTAL, external_id=external_id)


# What the documents mean, by an evaluator of their own.


@cache
def expression(pattern: str) -> re.Pattern[str]:
    parts = ("." if one == "?" else ".*" if one == "*" else re.escape(one) for one in pattern)
    return re.compile("".join(parts))


def matches(pattern: str, text: str) -> bool:
    return expression(pattern).fullmatch(text) is not None


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def satisfied(condition: Document, context: Mapping[str, str]) -> bool:
    for operator, keys in condition.items():
        assert operator in {"StringEquals", "ArnEquals", "ArnLike", "ForAllValues:StringLike"}
        for key, values in keys.items():
            value = context.get(key)
            if value is None and operator.startswith("ForAllValues:"):
                continue
            if value is None or not any(matches(one, value) for one in listed(values)):
                return False
    return True


def speaks_of(statement: Document, action: str, resource: str, context: Mapping[str, str]) -> bool:
    names = listed(statement.get("Action", statement.get("NotAction")))
    named = any(matches(one.lower(), action.lower()) for one in names)
    return (
        named != ("NotAction" in statement)
        and any(matches(one, resource) for one in listed(statement["Resource"]))
        and satisfied(statement.get("Condition", {}), context)
    )


def allowed(
    document: Document, action: str, resource: str, context: Mapping[str, str] | None = None
) -> bool:
    effects = {
        one["Effect"]
        for one in document["Statement"]
        if speaks_of(one, action, resource, context or {})
    }
    return effects == {"Allow"}


def arn(kind_and_name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:{kind_and_name}"


PRODUCT_STEPS = sorted(
    (one for one in steps.Step.__subclasses__()), key=lambda one: (one.side, one.action)
)


@pytest.mark.parametrize("step", PRODUCT_STEPS, ids=lambda step: step.__name__)
def test_every_step_of_a_plan_is_allowed_on_its_side_and_not_on_the_other(
    step: type[steps.Step],
) -> None:
    ours = ISSUED if step.side is Side.TARGET else SWITCH_GROUP
    context = BOUNDED | {"iam:PolicyARN": "arn:aws:iam::aws:policy/ReadOnlyAccess"}
    other = SOURCE if step.side is Side.TARGET else TARGET
    assert allowed(provisioner(frozenset({step.side})), f"iam:{step.action}", ours, context)
    assert not allowed(provisioner(other), f"iam:{step.action}", ours, context)


def test_what_a_session_is_narrowed_to_is_within_what_the_role_may_do() -> None:
    """A session gets what both its own policy and the role's allow."""
    reading = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    sessions = [
        documents.target_session_policy(role_arn=ISSUED, policy_arns=[reading]),
        documents.source_session_policy(
            group_arn=SWITCH_GROUP, user_arn=arn("user/alice"), policy_arns=[reading]
        ),
    ]
    for statement in (one for session in sessions for one in session["Statement"]):
        for action in listed(statement["Action"]):
            context = BOUNDED | {"iam:PolicyARN": reading}
            assert allowed(provisioner(), action, statement["Resource"], context), action


READS = [
    ("iam:GetRole", ISSUED, TARGET),
    ("iam:GetRolePolicy", ISSUED, TARGET),
    ("iam:ListRolePolicies", ISSUED, TARGET),
    ("iam:ListAttachedRolePolicies", ISSUED, TARGET),
    ("iam:GetPolicy", BOUNDARY, TARGET),
    ("iam:GetPolicyVersion", BOUNDARY, TARGET),
    ("iam:GetUser", arn("user/staff/alice"), SOURCE),
    ("iam:ListGroupsForUser", arn("user/alice"), SOURCE),
    ("iam:ListMFADevices", arn("user/alice"), SOURCE),
    ("iam:SimulatePrincipalPolicy", arn("user/alice"), SOURCE),
    ("iam:GetGroup", SWITCH_GROUP, SOURCE),
    ("iam:GetGroupPolicy", SWITCH_GROUP, SOURCE),
    ("iam:ListGroupPolicies", SWITCH_GROUP, SOURCE),
    ("iam:ListAttachedGroupPolicies", SWITCH_GROUP, SOURCE),
    *(
        (action, resource, side)
        for side in (SOURCE, TARGET)
        for action, resource in [
            ("iam:GetRole", OWN_ROLE),
            ("iam:ListRolePolicies", OWN_ROLE),
            ("iam:GetRolePolicy", OWN_ROLE),
            ("iam:ListAttachedRolePolicies", OWN_ROLE),
            ("iam:GetAccountSummary", "*"),
            ("iam:ListRoles", "*"),
            ("iam:GetAccountAuthorizationDetails", "*"),
            ("iam:GetPolicy", "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"),
        ]
    ),
]


@pytest.mark.parametrize(("action", "resource", "side"), READS)
def test_the_provisioner_may_read_what_sallyport_reads(
    action: str, resource: str, side: frozenset[Side]
) -> None:
    assert allowed(provisioner(side), action, resource)


def test_tags_are_written_with_sallyports_own_keys_only() -> None:
    assert allowed(provisioner(), "iam:TagRole", ISSUED, {"aws:TagKeys": "sallyport:grant"})
    assert not allowed(provisioner(), "iam:TagRole", ISSUED, {"aws:TagKeys": "team"})


WRITES_ON_ROLES = [
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
]


@pytest.mark.parametrize("action", WRITES_ON_ROLES)
def test_no_role_is_written_without_the_boundary(action: str) -> None:
    policy = {"iam:PolicyARN": "arn:aws:iam::aws:policy/ReadOnlyAccess"}
    other = {"iam:PermissionsBoundary": arn("policy/AdministratorAccess")}
    assert allowed(provisioner(), action, ISSUED, BOUNDED | policy)
    assert not allowed(provisioner(), action, ISSUED, policy)
    assert not allowed(provisioner(), action, ISSUED, other | policy)


@pytest.mark.parametrize(
    "action", ["iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy"]
)
def test_a_role_that_lost_its_boundary_can_still_be_removed(action: str) -> None:
    foreign = {"iam:PolicyARN": arn("policy/attached-by-hand")}
    assert allowed(provisioner(), action, ISSUED, foreign)


def test_a_role_that_lost_its_boundary_gets_it_back_and_is_then_written() -> None:
    assert allowed(provisioner(), "iam:PutRolePermissionsBoundary", ISSUED, BOUNDED)
    assert not allowed(provisioner(), "iam:PutRolePolicy", ISSUED)


@pytest.mark.parametrize(
    "policy", [arn("policy/own"), arn("policy/ReadOnlyAccess", "111111111111")]
)
def test_roles_and_groups_get_no_managed_policy_but_awss_own(policy: str) -> None:
    context = BOUNDED | {"iam:PolicyARN": policy}
    assert not allowed(provisioner(), "iam:AttachRolePolicy", ISSUED, context)
    assert not allowed(provisioner(), "iam:AttachGroupPolicy", SWITCH_GROUP, context)


def test_groups_get_only_the_three_policies_that_read() -> None:
    def attach(name: str) -> bool:
        context = {"iam:PolicyARN": f"arn:aws:iam::aws:policy/{name}"}
        return allowed(provisioner(), "iam:AttachGroupPolicy", SWITCH_GROUP, context)

    assert all(map(attach, ["ReadOnlyAccess", "SecurityAudit", "job-function/ViewOnlyAccess"]))
    assert not any(map(attach, ["AdministratorAccess", "PowerUserAccess", "IAMFullAccess"]))


def test_the_registry_takes_the_policies_that_groups_may_get() -> None:
    assert set(aws_names.GROUP_POLICIES) == set(onboarding.GROUP_POLICIES)


# AWS-FACTS 6.10: each published path begins with one of these.
ESCALATIONS = [
    ("iam:CreatePolicyVersion", arn("policy/any")),
    ("iam:CreatePolicyVersion", BOUNDARY),
    ("iam:SetDefaultPolicyVersion", arn("policy/any")),
    ("iam:SetDefaultPolicyVersion", BOUNDARY),
    ("iam:DeletePolicyVersion", BOUNDARY),
    ("iam:DeletePolicy", BOUNDARY),
    ("iam:CreatePolicy", BOUNDARY),
    ("iam:CreateUser", arn("user/sallyport/new")),
    ("iam:CreateAccessKey", arn("user/admin")),
    ("iam:DeleteAccessKey", arn("user/admin")),
    ("iam:UpdateAccessKey", arn("user/admin")),
    ("iam:CreateLoginProfile", arn("user/admin")),
    ("iam:UpdateLoginProfile", arn("user/admin")),
    ("iam:DeactivateMFADevice", arn("user/admin")),
    ("iam:CreateVirtualMFADevice", arn("mfa/any")),
    ("iam:CreateServiceSpecificCredential", arn("user/admin")),
    ("iam:PutUserPolicy", arn("user/alice")),
    ("iam:AttachUserPolicy", arn("user/alice")),
    ("iam:PutUserPermissionsBoundary", arn("user/alice")),
    ("iam:DeleteUserPermissionsBoundary", arn("user/alice")),
    ("iam:PutGroupPolicy", arn("group/Admins")),
    ("iam:PutGroupPolicy", arn("group/sallyport")),
    ("iam:AttachGroupPolicy", arn("group/Admins")),
    ("iam:AddUserToGroup", arn("group/Admins")),
    ("iam:CreateGroup", arn("group/new")),
    ("iam:UpdateGroup", SWITCH_GROUP),
    ("iam:CreateRole", arn("role/new")),
    ("iam:PutRolePolicy", arn("role/Admin")),
    ("iam:PutRolePolicy", arn("role/sallyport-admin")),
    ("iam:PutRolePolicy", arn("role/other/sallyport/x")),
    ("iam:PutRolePolicy", ISSUED.replace(ACCOUNT, "333333333333")),
    ("iam:AttachRolePolicy", arn("role/Admin")),
    ("iam:UpdateAssumeRolePolicy", arn("role/Admin")),
    ("iam:PutRolePermissionsBoundary", arn("role/Admin")),
    ("iam:DeleteRolePermissionsBoundary", ISSUED),
    ("iam:DeleteRolePermissionsBoundary", arn("role/Admin")),
    ("iam:PutRolePolicy", OWN_ROLE),
    ("iam:AttachRolePolicy", OWN_ROLE),
    ("iam:UpdateAssumeRolePolicy", OWN_ROLE),
    ("iam:DeleteRolePolicy", OWN_ROLE),
    ("iam:DetachRolePolicy", OWN_ROLE),
    ("iam:DeleteRole", OWN_ROLE),
    ("iam:TagRole", OWN_ROLE),
    ("iam:CreateServiceLinkedRole", arn("role/aws-service-role/x")),
    ("iam:CreateSAMLProvider", arn("saml-provider/x")),
    ("iam:CreateOpenIDConnectProvider", arn("oidc-provider/x")),
    ("iam:AddRoleToInstanceProfile", arn("instance-profile/x")),
    ("iam:PassRole", ISSUED),
    ("iam:PassRole", arn("role/Admin")),
    ("sts:AssumeRole", ISSUED),
    ("sts:AssumeRole", arn("role/Admin")),
    ("sts:GetFederationToken", "*"),
    ("organizations:LeaveOrganization", "*"),
    ("account:CloseAccount", "*"),
    ("sso:CreatePermissionSet", "*"),
    ("sso:CreateAccountAssignment", "*"),
    ("sso-directory:CreateUser", "*"),
    ("identitystore:CreateGroupMembership", "*"),
    ("account-access:CreateEntitlement", "*"),
    ("rolesanywhere:CreateTrustAnchor", "*"),
]

# With or without iam:PassRole, through a service.
THROUGH_SERVICES = [
    "apprunner:UpdateService",
    "bedrock-agentcore:InvokeCodeInterpreter",
    "cloudformation:CreateChangeSet",
    "cloudformation:UpdateStack",
    "cloudformation:UpdateStackSet",
    "codebuild:StartBuild",
    "codebuild:StartBuildBatch",
    "ec2-instance-connect:SendSSHPublicKey",
    "ec2-instance-connect:SendSerialConsoleSSHPublicKey",
    "ec2:ModifyInstanceAttribute",
    "ec2:ModifyLaunchTemplate",
    "ecs:ExecuteCommand",
    "glue:UpdateDevEndpoint",
    "glue:UpdateJob",
    "lambda:UpdateFunctionCode",
    "lambda:UpdateFunctionConfiguration",
    "sagemaker:CreatePresignedNotebookInstanceUrl",
    "sagemaker:UpdateNotebookInstance",
    "ssm:SendCommand",
    "ssm:StartSession",
]
# Harmless without iam:PassRole, which is denied.
WITH_PASS_ROLE = [
    "apprunner:CreateService",
    "bedrock-agentcore:CreateCodeInterpreter",
    "cloudformation:CreateStack",
    "cloudformation:CreateStackSet",
    "codebuild:CreateProject",
    "datapipeline:CreatePipeline",
    "ec2:RunInstances",
    "ecs:RunTask",
    "glue:CreateJob",
    "lambda:CreateFunction",
    "sagemaker:CreateNotebookInstance",
]


@pytest.mark.parametrize("sides", [BOTH_SIDES, SOURCE, TARGET], ids=["both", "source", "target"])
@pytest.mark.parametrize(("action", "resource"), ESCALATIONS)
def test_the_provisioner_opens_no_published_escalation_path(
    action: str, resource: str, sides: frozenset[Side]
) -> None:
    harmless = BOUNDED | {
        "iam:PolicyARN": "arn:aws:iam::aws:policy/ReadOnlyAccess",
        "aws:TagKeys": "sallyport:grant",
    }
    assert not allowed(provisioner(sides), action, resource, harmless)


@pytest.mark.parametrize("action", THROUGH_SERVICES + WITH_PASS_ROLE)
def test_the_provisioner_uses_no_service(action: str) -> None:
    assert not allowed(provisioner(), action, "*")


def test_what_cannot_be_fenced_is_only_what_the_threat_model_says() -> None:
    """AWS-FACTS 6.4: no condition limits these two, so the path alone does."""
    assert allowed(provisioner(), "iam:PutGroupPolicy", SWITCH_GROUP)
    assert allowed(provisioner(), "iam:AddUserToGroup", SWITCH_GROUP)
    assert not allowed(provisioner(TARGET), "iam:PutGroupPolicy", SWITCH_GROUP)
    assert not allowed(provisioner(TARGET), "iam:AddUserToGroup", SWITCH_GROUP)


@pytest.mark.parametrize(("action", "resource"), ESCALATIONS)
def test_no_issued_role_can_take_a_published_escalation_path(action: str, resource: str) -> None:
    assert not allowed(boundary(), action, resource)


@pytest.mark.parametrize("action", THROUGH_SERVICES)
def test_no_issued_role_can_borrow_a_role_through_a_service(action: str) -> None:
    assert not allowed(boundary(), action, "*")


@pytest.mark.parametrize("action", ["iam:PassRole", "sts:AssumeRole", "sts:AssumeRoot"])
def test_becoming_somebody_else_is_denied_in_so_many_words(action: str) -> None:
    """An explicit Deny also binds where a resource policy names the session [AWS-FACTS 6.8]."""
    assert any(
        one["Effect"] == "Deny" and speaks_of(one, action, "*", {})
        for one in boundary()["Statement"]
    )


# Against AWS's own lists.

AWS_ACTIONS: dict[str, Any] = json.loads(
    resources.files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text()
)
MANAGED: dict[str, Any] = json.loads(aws_managed_policies_data)
READING = re.compile(
    "(Get|BatchGet|List|Describe|Search|IsMember|Generate|Simulate)", re.IGNORECASE
)


def aws_actions(pattern: str) -> list[str]:
    """AWS's actions, in lower case, that match a pattern."""
    service, _, name = pattern.partition(":")
    known = AWS_ACTIONS.get(service, {"Actions": {}})["Actions"]
    return [f"{service}:{one}" for one in known if matches(name.lower(), one.lower())]


@pytest.mark.parametrize("document", [provisioner(), boundary()], ids=["provisioner", "boundary"])
def test_every_action_named_exists_in_aws(document: Document) -> None:
    for statement in document["Statement"]:
        for pattern in listed(statement.get("Action", statement.get("NotAction"))):
            assert aws_actions(pattern), pattern


FIRST_LOOKS = {"iam:GetGroup", "iam:GetRole", "iam:GetUser"}
"""Allowed everywhere: IAM knows no path of what does not exist, and would answer AccessDenied."""


# Of what does not exist IAM knows no path: their first look is not fenced.
FIRST_LOOKS = {"iam:GetGroup", "iam:GetRole", "iam:GetUser"}


def test_resources_named_are_of_the_kind_that_aws_asks_for() -> None:
    for statement in provisioner()["Statement"]:
        kind = statement["Resource"].split(":")[-1].split("/")[0]
        for name in statement["Action"]:
            service, action = name.lower().split(":")
            kinds = AWS_ACTIONS[service]["Actions"][action].get("Resources", ["*"])
            if statement["Effect"] == "Allow" and name not in FIRST_LOOKS:
                assert kind in kinds, name


@pytest.mark.parametrize(
    ("action", "what"), [("GetRole", "role"), ("GetGroup", "group"), ("GetUser", "user")]
)
def test_what_does_not_exist_may_be_looked_for(action: str, what: str) -> None:
    """IAM judges a name that it does not know as an ARN without a path."""
    assert allowed(provisioner(), f"iam:{action}", arn(f"{what}/not-there"))


@pytest.mark.parametrize(
    "service", [one.removesuffix(":*") for one in onboarding.IDENTITY_SERVICES if one != "sts:*"]
)
def test_the_boundary_leaves_only_reading_in_identity_services(service: str) -> None:
    may = [one for one in aws_actions(f"{service}:*") if allowed(boundary(), one, "*")]
    assert all(READING.match(one.partition(":")[2]) for one in may)


def test_the_boundary_leaves_reading_iam_possible() -> None:
    reads = [one for one in aws_actions("iam:*") if re.match("iam:(get|list)", one)]
    assert len(reads) > 70
    assert all(allowed(boundary(), one, "*") for one in reads)
    assert allowed(boundary(), "iam:GetRole", ISSUED)
    assert allowed(boundary(), "iam:GetPolicyVersion", BOUNDARY)


CLOSED_IN_READING_POLICIES = {
    "ReadOnlyAccess": {
        # Gives a token with which one takes on another role.
        "cognito-identity:getopenidtokenfordeveloperidentity",
        # Only an IAM user can call it, never a role.
        "sts:getsessiontoken",
    },
    "SecurityAudit": set(),
    "ViewOnlyAccess": set(),
}


@pytest.mark.parametrize("name", CLOSED_IN_READING_POLICIES)
def test_awss_reading_policies_work_in_full_under_the_boundary(name: str) -> None:
    statements = MANAGED[name]["Document"]["Statement"]
    given = {
        action
        for one in statements
        if one["Effect"] == "Allow"
        for pattern in listed(one["Action"])
        for action in aws_actions(pattern)
    }
    assert len(given) > 100
    closed = {one for one in given if not allowed(boundary(), one, "*")}
    assert closed == CLOSED_IN_READING_POLICIES[name]


# Reviews of what is found.


def edited(document: Document, place: int, **changes: Any) -> Document:
    """A copy with one statement changed; a change to None takes the element out."""
    copied = copy.deepcopy(document)
    statement = copied["Statement"][place] | changes
    copied["Statement"][place] = {
        key: value for key, value in statement.items() if value is not None
    }
    return copied


def without(document: Document, place: int) -> Document:
    copied = copy.deepcopy(document)
    del copied["Statement"][place]
    return copied


def with_statement(document: Document, statement: Document) -> Document:
    copied = copy.deepcopy(document)
    copied["Statement"].append(statement)
    return copied


type Case = tuple[str, Document]


def removals(document: Document) -> Iterator[Case]:
    """Everything that takes from what the template allows."""
    for place, one in enumerate(document["Statement"]):
        if one["Effect"] != "Allow":
            continue
        sid = one["Sid"]
        yield f"{sid}: gone", without(document, place)
        yield (
            f"{sid}: narrower condition",
            edited(document, place, Condition=one.get("Condition", {}) | {"Bool": {"aws:x": True}}),
        )
        yield f"{sid}: other resource", edited(document, place, Resource=arn("role/other/*"))
        for action in listed(one.get("Action", [])):
            rest = [other for other in one["Action"] if other != action]
            if rest:
                yield f"{sid}: no {action}", edited(document, place, Action=rest)
            for resource in {one["Resource"], "*"}:
                deny = {"Effect": "Deny", "Action": action.upper(), "Resource": resource}
                yield f"{sid}: denied {action}", with_statement(document, deny)
        for case, condition in other_values(one.get("Condition", {}), "another"):
            yield f"{sid}: {case}", edited(document, place, Condition=condition)


def widenings(document: Document) -> Iterator[Case]:
    """Everything that gives more than the template."""
    for place, one in enumerate(document["Statement"]):
        cases = wider_allow if one["Effect"] == "Allow" else weaker_deny
        for case, statement in cases(one):
            if statement is None:
                yield f"{one['Sid']}: {case}", without(document, place)
            elif not documents.same(one, statement):
                changed = copy.deepcopy(document)
                changed["Statement"][place] = statement
                yield f"{one['Sid']}: {case}", changed


def wider_allow(one: Document) -> Iterator[tuple[str, Document]]:
    for extra in ("iam:CreateUser", "iam:CreatePolicy*", "iam:*", "*", "iam:?etLoginProfile"):
        if "Action" in one:
            yield f"also {extra}", one | {"Action": [*one["Action"], extra]}
    for place, action in enumerate(listed(one.get("Action", []))):
        wider = [*one["Action"][:place], f"{action[:-1]}*", *one["Action"][place + 1 :]]
        if not action.endswith("*"):
            yield f"{action} with a star", one | {"Action": wider}
    for excluded in listed(one.get("NotAction", [])):
        rest = [other for other in one["NotAction"] if other != excluded]
        yield f"{excluded} not excluded", one | {"NotAction": rest}
    for resource in sorted(wider_resources(one["Resource"])):
        yield f"on {resource}", one | {"Resource": [one["Resource"], resource]}
        yield f"only on {resource}", one | {"Resource": resource}
    if "Action" in one:
        plain = {key: value for key, value in one.items() if key != "Action"}
        yield "NotAction", plain | {"NotAction": one["Action"]}
    plain = {key: value for key, value in one.items() if key != "Resource"}
    if one["Resource"] != "*":
        yield "NotResource", plain | {"NotResource": one["Resource"]}
    for case, condition in wider_conditions(one.get("Condition", {})):
        yield case, one | {"Condition": condition}


def wider_resources(resource: str) -> set[str]:
    wider = {
        "*",
        resource.replace("/sallyport/", "/"),
        resource.replace(ACCOUNT, "*"),
        resource.replace("arn:aws:", "arn:*:"),
        resource.replace("SallyportProvisioner", "*"),
        resource.replace("/*", "*"),
    }
    return wider - {resource}


def wider_conditions(condition: Document) -> Iterator[tuple[str, Document]]:
    for operator in condition:
        rest = {key: value for key, value in condition.items() if key != operator}
        yield f"no {operator}", rest
        yield f"{operator}IfExists", rest | {f"{operator}IfExists": condition[operator]}
        yield f"Not for {operator}", rest | {"StringNotLike": condition[operator]}
    yield from other_values(condition, "*")
    yield from other_values(condition, "arn:aws:iam::*:policy/Mine")


def other_values(condition: Document, value: str) -> Iterator[tuple[str, Document]]:
    for operator, keys in condition.items():
        for key in keys:
            yield f"{operator} {key} is {value}", condition | {operator: {key: value}}


def weaker_deny(one: Document) -> Iterator[tuple[str, Document | None]]:
    yield "gone", None
    yield "with a condition", one | {"Condition": {"Bool": {"aws:x": "true"}}}
    yield "on less", one | {"Resource": arn("role/other/*")}
    yield "allowed instead", one | {"Effect": "Allow"}
    for action in one["Action"]:
        rest = [other for other in one["Action"] if other != action]
        yield f"not {action}", one | {"Action": rest}
    for resource in listed(one["Resource"]):
        rest = [other for other in listed(one["Resource"]) if other != resource]
        yield f"not on {resource}", (one | {"Resource": rest}) if rest else None


TEMPLATES = {
    "both": provisioner(),
    "source": provisioner(SOURCE),
    "target": provisioner(TARGET),
    "boundary": boundary(),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_template_itself_passes_the_review(name: str) -> None:
    review = onboarding.review_permissions(TEMPLATES[name], [TEMPLATES[name]])
    assert review.ok, review


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_review_ignores_how_a_policy_is_written(name: str) -> None:
    found: list[Document] = []
    for one in reversed(copy.deepcopy(TEMPLATES[name]["Statement"])):
        one.pop("Sid")
        for element in ("Action", "NotAction"):
            if element in one:
                one[element] = [text.upper() for text in reversed(listed(one[element]))]
                one[element] = one[element][0] if len(one[element]) == 1 else one[element]
        one["Resource"] = listed(one["Resource"])[::-1]
        for keys in one.get("Condition", {}).values():
            keys |= {key.upper(): listed(keys.pop(key)) for key in list(keys)}
        # Spread over several policies, as an account owner may have done.
        found.append({"Version": "2012-10-17", "Statement": one})
    review = onboarding.review_permissions(TEMPLATES[name], found)
    assert review.ok, review


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_review_notices_whatever_is_taken_away(name: str) -> None:
    cases = list(removals(TEMPLATES[name]))
    unnoticed = [
        case
        for case, found in cases
        if not onboarding.review_permissions(TEMPLATES[name], [found]).missing
    ]
    assert not unnoticed
    assert len(cases) >= 10


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_review_notices_whatever_is_given_beyond_the_template(name: str) -> None:
    cases = list(widenings(TEMPLATES[name]))
    unnoticed = [
        case
        for case, found in cases
        if not onboarding.review_permissions(TEMPLATES[name], [found]).extra
    ]
    assert not unnoticed
    assert len(cases) >= 60


def test_the_review_notices_a_second_policy() -> None:
    admin = MANAGED["AdministratorAccess"]["Document"]
    review = onboarding.review_permissions(provisioner(), [provisioner(), admin])
    assert review.extra == ("Statement 1 of policy 2 allows what the template does not: * on *.",)
    assert not review.missing


def test_the_review_counts_what_it_cannot_judge_as_extra() -> None:
    review = onboarding.review_permissions(provisioner(), [provisioner(), {}])
    assert review.extra == ("Policy 2 could not be read.",)
    assert onboarding.review_trust(trust(), {}).extra == ("The policy could not be read.",)
    odd = onboarding.review_permissions(provisioner(), [provisioner(), {"Statement": [1]}])
    assert odd.extra == ("Statement 1 of policy 2 cannot be judged: it is no statement.",)


def test_a_sentence_names_a_dozen_actions_and_counts_the_rest() -> None:
    names = [f"s3:Get{number}" for number in range(14)]
    found = {"Statement": {"Effect": "Allow", "Action": names[:13], "Resource": "*"}}
    (sentence,) = onboarding.review_permissions(provisioner(), [provisioner(), found]).extra
    assert sentence.endswith(f"{', '.join(names[:12])} and 1 more on *.")
    found["Statement"]["Action"] = names[:12]
    (sentence,) = onboarding.review_permissions(provisioner(), [provisioner(), found]).extra
    assert sentence.endswith(f"{', '.join(names[:12])} on *.")


def test_the_review_says_what_is_missing_in_sentences() -> None:
    review = onboarding.review_permissions(provisioner(), [provisioner(SOURCE)])
    assert f"Not allowed: iam:GetPolicy, iam:GetPolicyVersion on {BOUNDARY}." in review.missing
    assert not review.extra
    nothing = onboarding.review_permissions(provisioner(), [])
    assert len(nothing.missing) >= 7
    assert nothing.extra[0] == (
        "Not denied, though the template denies it: iam:DeleteRolePermissionsBoundary, "
        "iam:DeleteUserPermissionsBoundary, iam:PutUserPermissionsBoundary, iam:PassRole, "
        "sts:AssumeRole on *."
    )


def test_a_denial_that_is_the_templates_only_in_part_is_noticed() -> None:
    deny = {"Effect": "Deny", "Action": ["iam:PassRole", "iam:GetRole"], "Resource": "*"}
    review = onboarding.review_permissions(provisioner(), [with_statement(provisioner(), deny)])
    (sentence,) = review.missing
    assert sentence.startswith("Denied, at least in part, by Statement ")
    assert not review.extra


def test_the_review_says_how_a_statement_goes_beyond_the_template() -> None:
    def sentence(**statement: Any) -> str:
        found = with_statement(provisioner(), {"Sid": "Mine", "Effect": "Allow"} | statement)
        (only,) = onboarding.review_permissions(provisioner(), [found]).extra
        return only

    assert sentence(Action="s3:GetObject", Resource="*") == (
        "“Mine” allows what the template does not: s3:GetObject on *."
    )
    assert sentence(Action="iam:DeleteRole", Resource="*") == (
        "“Mine” allows this on more than the template's resources: iam:DeleteRole on *."
    )
    assert sentence(Action="iam:CreateRole", Resource=ISSUED) == (
        "“Mine” allows this without the template's condition on iam:permissionsboundary: "
        f"iam:CreateRole on {ISSUED}."
    )


def test_a_review_is_good_only_if_nothing_is_missing_and_nothing_is_too_much() -> None:
    assert onboarding.PermissionReview((), ()).ok
    assert not onboarding.PermissionReview(("a",), ()).ok
    assert not onboarding.PermissionReview((), ("b",)).ok


def test_a_tighter_boundary_lacks_something_and_exceeds_nothing() -> None:
    closed = [*onboarding.IDENTITY_SERVICES, "s3:*"]
    review = onboarding.review_permissions(boundary(), [edited(boundary(), 0, NotAction=closed)])
    assert review.missing
    assert not review.extra


@pytest.mark.parametrize("braces", ["{}", "{0}", "%s"])
def test_labels_of_foreign_statements_are_only_text(braces: str) -> None:
    foreign = {"Sid": braces, "Effect": "Allow", "Action": "*", "Resource": "*"}
    review = onboarding.review_permissions(provisioner(), [provisioner(), {"Statement": foreign}])
    assert review.extra == (f"“{braces}” of policy 2 allows what the template does not: * on *.",)


# Reviews of trust policies.

RIGHT_ID = {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}


def trusting(**changes: Any) -> Document:
    return edited(trust(), 0, **changes)


def test_the_templates_trust_passes_the_review() -> None:
    assert onboarding.review_trust(trust(), trust()).ok
    listed_form = trusting(
        Sid=None,
        Principal={"AWS": [PORTAL]},
        Action=["STS:assumerole"],
        Condition={"StringEquals": {"STS:ExternalID": [EXTERNAL_ID]}},
    )
    assert onboarding.review_trust(trust(), listed_form).ok


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (trusting(Principal="*"), "“PortalWithExternalId” trusts everybody in AWS."),
        (
            trusting(Principal={"AWS": ["*", PORTAL]}),
            "“PortalWithExternalId” trusts everybody in AWS.",
        ),
        (
            trusting(Principal={"AWS": [PORTAL, "arn:aws:iam::999999999999:role/Other"]}),
            "“PortalWithExternalId” also trusts arn:aws:iam::999999999999:role/Other.",
        ),
        (
            trusting(Principal={"AWS": [PORTAL, "999999999999"]}),
            "“PortalWithExternalId” also trusts account 999999999999.",
        ),
        (
            trusting(Principal={"AWS": "AROAEXAMPLEEXAMPLE"}),
            "“PortalWithExternalId” also trusts AROAEXAMPLEEXAMPLE.",
        ),
        (
            trusting(Principal={"AWS": PORTAL, "Service": "ec2.amazonaws.com"}),
            "“PortalWithExternalId” also trusts Service ec2.amazonaws.com.",
        ),
        (
            trusting(Condition=None),
            "“PortalWithExternalId” does not demand this account's ExternalId.",
        ),
        (
            trusting(Condition={"StringEqualsIfExists": RIGHT_ID["StringEquals"]}),
            "“PortalWithExternalId” does not demand this account's ExternalId.",
        ),
        (
            trusting(Condition={"StringLike": {"sts:ExternalId": "*"}}),
            "“PortalWithExternalId” does not demand this account's ExternalId.",
        ),
        (
            trusting(Condition={"StringEquals": {"sts:ExternalId": [EXTERNAL_ID, "other"]}}),
            "“PortalWithExternalId” does not demand this account's ExternalId.",
        ),
        (
            trusting(Action=["sts:AssumeRole", "sts:TagSession"]),
            "“PortalWithExternalId” allows sts:TagSession, which the template does not.",
        ),
        (
            trusting(Action="sts:*"),
            "“PortalWithExternalId” allows sts:*, which the template does not.",
        ),
        (
            trusting(Principal=None, NotPrincipal={"AWS": "111111111111"}),
            "“PortalWithExternalId” cannot be judged: it has NotPrincipal.",
        ),
        (
            with_statement(
                trust(), {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
            ),
            "Statement 2 trusts everybody in AWS.",
        ),
    ],
)
def test_the_trust_review_notices_whoever_else_may_come_in(found: Document, sentence: str) -> None:
    assert sentence in onboarding.review_trust(trust(), found).extra


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ({"Statement": []}, f"The role does not trust the portal's principal {PORTAL}."),
        (
            trusting(Principal={"AWS": "AROAEXAMPLEEXAMPLE"}),
            f"The role does not trust the portal's principal {PORTAL}.",
        ),
        (
            trusting(Action="sts:TagSession"),
            f"The role does not trust the portal's principal {PORTAL}.",
        ),
        (
            trusting(Condition={"StringEquals": {"sts:ExternalId": "other"}}),
            "“PortalWithExternalId” demands another ExternalId than this account's.",
        ),
        (
            trusting(Condition=RIGHT_ID | {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}),
            "“PortalWithExternalId” lets the portal in only under further conditions: "
            "aws:sourceip.",
        ),
        (
            with_statement(
                trust(), {"Effect": "Deny", "Action": "sts:*", "Principal": {"AWS": "*"}}
            ),
            "Statement 2 may keep the portal out.",
        ),
    ],
)
def test_the_trust_review_notices_what_keeps_the_portal_out(found: Document, sentence: str) -> None:
    assert sentence in onboarding.review_trust(trust(), found).missing


def test_a_second_statement_may_let_the_portal_in() -> None:
    other = trust()["Statement"][0] | {"Condition": {"StringEquals": {"sts:ExternalId": "old"}}}
    review = onboarding.review_trust(trust(), {"Statement": [other, *trust()["Statement"]]})
    assert not review.missing
    assert review.extra


# What is said to account owners.


@pytest.mark.parametrize(
    ("sides", "number"),
    [(BOTH_SIDES, 9), (SOURCE, 8), (TARGET, 9)],
    ids=["both", "source", "target"],
)
def test_every_claim_is_borne_out_by_the_policy(sides: frozenset[Side], number: int) -> None:
    sentences = onboarding.cannot("aws", ACCOUNT, sides)
    assert len(sentences) == number
    assert all(one.startswith("It cannot ") and one.endswith(".") for one in sentences)


def test_a_claim_is_left_out_when_the_policy_does_not_bear_it_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admin = MANAGED["AdministratorAccess"]["Document"]
    monkeypatch.setattr(onboarding, "provisioner_policy", lambda **_: admin)
    assert onboarding.cannot("aws", ACCOUNT) == ()


@pytest.mark.parametrize(
    ("widened", "sentence"),
    [
        ({"Action": "s3:GetObject", "Resource": "*"}, "outside IAM"),
        ({"Action": "iam:DeleteGroup", "Resource": arn("group/*")}, "outside the path"),
        ({"Action": "iam:CreateAccessKey", "Resource": arn("user/*")}, "IAM users"),
        ({"Action": "iam:CreatePolicyVersion", "Resource": "*"}, "managed policies, and so"),
        ({"Action": "iam:PutRolePolicy", "Resource": OWN_ROLE}, "its own role"),
        ({"Action": "sts:AssumeRole", "Resource": ISSUED}, "enter a role"),
        ({"Action": "iam:PutRolePolicy", "Resource": ISSUED}, "without the boundary"),
    ],
)
def test_each_claim_falls_with_the_fence_it_speaks_of(
    widened: Document, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = with_statement(provisioner(), {"Effect": "Allow"} | widened)
    assert any(sentence in one for one in onboarding.cannot("aws", ACCOUNT))
    monkeypatch.setattr(onboarding, "provisioner_policy", lambda **_: found)
    assert not any(sentence in one for one in onboarding.cannot("aws", ACCOUNT))


def test_where_users_may_be_created_every_other_claim_still_holds() -> None:
    sentences = onboarding.cannot("aws", ACCOUNT, SOURCE, users=True)
    assert len(sentences) == 11
    assert not any(
        one.startswith("It cannot create, change or delete IAM users, ") for one in sentences
    )
    assert any("IAM users outside the path /sallyport/" in one for one in sentences)
    assert any("access keys, for anybody" in one for one in sentences)
    assert "SallyportUserBoundary" in onboarding.unfenced(SOURCE, users=True)[-1]


NEW_USER = arn("user/sallyport/newcomer")
USER_BOUNDED = {"iam:PermissionsBoundary": arn("policy/SallyportUserBoundary")}
OWN = {"iam:PolicyARN": arn("policy/SallyportOwnCredentials")}


@pytest.mark.parametrize(
    ("action", "resource", "keys", "may"),
    [
        ("iam:CreateUser", NEW_USER, USER_BOUNDED, True),
        ("iam:CreateUser", NEW_USER, {}, False),
        ("iam:CreateUser", NEW_USER, BOUNDED, False),
        ("iam:CreateUser", arn("user/newcomer"), USER_BOUNDED, False),
        ("iam:AttachUserPolicy", NEW_USER, USER_BOUNDED | OWN, True),
        ("iam:AttachUserPolicy", NEW_USER, OWN, False),
        (
            "iam:AttachUserPolicy",
            NEW_USER,
            USER_BOUNDED | {"iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"},
            False,
        ),
        ("iam:PutUserPolicy", NEW_USER, USER_BOUNDED, False),
        ("iam:UpdateLoginProfile", NEW_USER, {}, True),
        ("iam:UpdateLoginProfile", arn("user/admin"), {}, False),
        ("iam:DeleteUser", arn("user/admin"), {}, False),
        ("iam:CreateAccessKey", NEW_USER, {}, False),
        ("iam:DeleteUserPermissionsBoundary", NEW_USER, USER_BOUNDED, False),
        ("iam:CreatePolicyVersion", arn("policy/SallyportUserBoundary"), {}, False),
        ("iam:CreatePolicyVersion", arn("policy/SallyportOwnCredentials"), {}, False),
    ],
)
def test_users_are_created_only_under_the_path_and_only_with_their_boundary(
    action: str, resource: str, keys: dict[str, str], may: bool
) -> None:
    policy = DOCUMENTS["onboarding-provisioner-source-users"]
    assert allowed(policy, action, resource, keys) is may


def test_what_aws_cannot_forbid_is_said_too() -> None:
    assert len(onboarding.unfenced()) == 3
    assert any("trust policy" in one for one in onboarding.unfenced(TARGET))
    assert not any("trust policy" in one for one in onboarding.unfenced(SOURCE))
    assert any("who is added to a group" in one for one in onboarding.unfenced(SOURCE))
