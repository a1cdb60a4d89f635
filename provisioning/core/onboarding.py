"""What an account owner installs for Sallyport, and how to judge what is found installed.

Two objects in each account, both outside `/sallyport/` so that Sallyport can touch neither: the
*provisioner role*, which the portal assumes, and the *boundary policy*, which no issued role may
exceed. `docs/cloudformation/sallyport-account.yaml` makes the same documents; a test compares.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from provisioning.core import naming, user_policies
from provisioning.core.coverage import (
    EVERYTHING,
    Condition,
    Reading,
    Selector,
    Statement,
    actions,
    implies,
    read,
)
from provisioning.core.documents import VERSION, Document
from provisioning.core.naming import PATH
from provisioning.core.review import PermissionReview as PermissionReview
from provisioning.core.review import review_permissions as review_permissions
from provisioning.core.review import review_trust as review_trust
from provisioning.core.steps import Side

PROVISIONER_ROLE_NAME: Final = "SallyportProvisioner"
PROVISIONER_POLICY_NAME: Final = "SallyportProvisioner"
"""The one inline policy of the provisioner role."""
BOUNDARY_POLICY_NAME: Final = "SallyportBoundary"

BOTH_SIDES: Final = frozenset(Side)

GROUP_POLICIES: Final = ("ReadOnlyAccess", "SecurityAudit", "job-function/ViewOnlyAccess")
"""The AWS managed policies that a switch group may carry. A group has no boundary [AWS-FACTS 6.4],
so the list is closed and all of them only read."""

PORTAL_PRINCIPAL: Final = re.compile(
    r"arn:aws[a-z-]*:iam::[0-9]{12}:(?:role|user)/[A-Za-z0-9_+=,.@/-]+", re.ASCII
)
EXTERNAL_ID: Final = re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}", re.ASCII)
"""What STS takes as an ExternalId [AWS-FACTS 3.8]."""

BOUNDARY_KEY: Final = "iam:PermissionsBoundary"

PREFLIGHT_SID: Final = "LookAhead"
"""The statement that pre-flight alone uses: whether a person has MFA, and whether a policy of
their own account denies the switch. Without it these two findings are unknown, nothing else."""


def provisioner_role_arn(partition: str, account_id: str) -> str:
    """ARN of the provisioner role."""
    return f"arn:{partition}:iam::{account_id}:role/{PROVISIONER_ROLE_NAME}"


def boundary_arn(partition: str, account_id: str) -> str:
    """ARN of the boundary policy."""
    return f"arn:{partition}:iam::{account_id}:policy/{BOUNDARY_POLICY_NAME}"


def portal_policy(*, partition: str, account_ids: Iterable[str]) -> Document:
    """All that the portal's own principal may do: enter the provisioner roles of these accounts."""
    return {
        "Version": VERSION,
        "Statement": [
            {
                "Sid": "EnterProvisionerRoles",
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Resource": [provisioner_role_arn(partition, one) for one in sorted(account_ids)],
            }
        ],
    }


def provisioner_trust_policy(*, portal_principal: str, external_id: str) -> Document:
    """Who may assume the provisioner role: the portal's principal, with this account's ExternalId.

    The ExternalId stops the portal from being talked into using another customer's role
    [AWS-FACTS 4.19]. Raises ValueError for a principal that is not one role or one IAM user (an
    account's root would let in everybody there [4.2]), and for a malformed ExternalId.
    """
    if PORTAL_PRINCIPAL.fullmatch(portal_principal) is None:
        raise ValueError(f"not the ARN of one role or IAM user: {portal_principal!r}")
    if EXTERNAL_ID.fullmatch(external_id) is None:
        raise ValueError("an ExternalId has 2 to 1224 letters, digits or _ + = , . @ : / -")
    return {
        "Version": VERSION,
        "Statement": [
            {
                "Sid": "PortalWithExternalId",
                "Effect": "Allow",
                "Principal": {"AWS": portal_principal},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
            }
        ],
    }


def provisioner_policy(
    *,
    partition: str,
    account_id: str,
    sides: frozenset[Side] = BOTH_SIDES,
    optional: bool = True,
    users: bool = False,
) -> Document:
    """What the provisioner role may do, for an account that is a source, a target, or both.

    Without `optional` it is what Sallyport cannot do without: an account that installed a template
    before pre-flight could read more goes on to work. With `users`, it may also create IAM users
    (`user_policies`). Raises ValueError if `sides` is empty.
    """
    if not sides:
        raise ValueError("an account is a source, a target, or both")
    statements = _provisioner_statements(_Arns(partition, account_id))
    chosen = [one for side, one in statements if side is None or side in sides]
    needed = [one for one in chosen if optional or one["Sid"] != PREFLIGHT_SID]
    if users:
        names = {"partition": partition, "account_id": account_id}
        needed += user_policies.provisioner_allowances(**names)
        needed += user_policies.provisioner_denials(**names)
    return {"Version": VERSION, "Statement": needed}


@dataclass(frozen=True)
class _Arns:
    """The ARNs of one account that the documents name."""

    partition: str
    account_id: str

    @property
    def roles(self) -> str:
        return naming.role_arn(self.partition, self.account_id, "*")

    @property
    def groups(self) -> str:
        return naming.group_arn(self.partition, self.account_id, "*")

    @property
    def users(self) -> str:
        return f"arn:{self.partition}:iam::{self.account_id}:user/*"

    @property
    def created_users(self) -> str:
        return user_policies.user_arn(self.partition, self.account_id, "*")

    @property
    def provisioner(self) -> str:
        return provisioner_role_arn(self.partition, self.account_id)

    @property
    def boundary(self) -> str:
        return boundary_arn(self.partition, self.account_id)

    def managed(self, name: str = "*") -> str:
        return naming.managed_policy_arn(self.partition, name)


def _provisioner_statements(arns: _Arns) -> Iterator[tuple[Side | None, Document]]:
    """Every statement with the side that needs it; None where any account does."""
    yield from ((None, one) for one in _common_statements(arns))
    yield from ((Side.TARGET, one) for one in _target_statements(arns))
    yield from ((Side.SOURCE, one) for one in _source_statements(arns))
    yield from ((None, one) for one in _denials(arns))


def _common_statements(arns: _Arns) -> Iterator[Document]:
    # AWS scopes three of these to no resource [AWS-FACTS 6.5]. The other three are the first look
    # at a thing: of what does not exist IAM knows no path, so a permission for our path alone
    # would answer AccessDenied where NoSuchEntity is the truth. The overview shows as much.
    yield _allow(
        "ReadIamOverview",
        "*",
        "iam:GetAccountAuthorizationDetails",
        "iam:GetAccountSummary",
        "iam:GetGroup",
        "iam:GetRole",
        "iam:GetUser",
        "iam:ListRoles",
    )
    yield _allow(
        "ReadOwnRole",
        arns.provisioner,
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListRolePolicies",
    )
    yield _allow("ReadManagedPolicies", arns.managed(), "iam:GetPolicy", "iam:GetPolicyVersion")


def _target_statements(arns: _Arns) -> Iterator[Document]:
    bounded = {"StringEquals": {BOUNDARY_KEY: arns.boundary}}
    yield _allow("ReadBoundary", arns.boundary, "iam:GetPolicy", "iam:GetPolicyVersion")
    # On CreateRole and PutRolePermissionsBoundary the key is the boundary in the request, on the
    # others the one on the role already [6.2]. A role that has lost its boundary gets it back
    # first; until then nothing can be added to it.
    yield _allow(
        "WriteBoundedRoles",
        arns.roles,
        "iam:CreateRole",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
        "iam:UpdateAssumeRolePolicy",
        "iam:UpdateRole",
        condition=bounded,
    )
    # Alone, because iam:PolicyARN exists in no other call: elsewhere it would deny [6.2].
    yield _allow(
        "AttachAwsPolicies",
        arns.roles,
        "iam:AttachRolePolicy",
        condition=bounded | {"ArnLike": {"iam:PolicyARN": arns.managed()}},
    )
    # Only our own tag keys: any other tag could open what the account grants by tags.
    yield _allow(
        "TagRoles",
        arns.roles,
        "iam:TagRole",
        condition={"ForAllValues:StringLike": {"aws:TagKeys": "sallyport:*"}},
    )
    # Removal has no condition: it must work on a role whose boundary was taken off by hand, and
    # on policies that somebody else attached, or such a role could never be cleaned up.
    yield _allow(
        "ReadAndRemoveRoles",
        arns.roles,
        "iam:DeleteRole",
        "iam:DeleteRolePolicy",
        "iam:DetachRolePolicy",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListRolePolicies",
    )


def _source_statements(arns: _Arns) -> Iterator[Document]:
    yield _allow("FindPeople", arns.users, "iam:ListGroupsForUser")
    yield _allow(PREFLIGHT_SID, arns.users, "iam:ListMFADevices", "iam:SimulatePrincipalPolicy")
    yield _allow(
        "ManageSwitchGroups",
        arns.groups,
        "iam:AddUserToGroup",
        "iam:CreateGroup",
        "iam:DeleteGroup",
        "iam:DeleteGroupPolicy",
        "iam:DetachGroupPolicy",
        "iam:GetGroupPolicy",
        "iam:ListAttachedGroupPolicies",
        "iam:ListGroupPolicies",
        "iam:PutGroupPolicy",
        "iam:RemoveUserFromGroup",
    )
    yield _allow(
        "AttachReadingPolicies",
        arns.groups,
        "iam:AttachGroupPolicy",
        condition={"ArnEquals": {"iam:PolicyARN": [arns.managed(one) for one in GROUP_POLICIES]}},
    )


def _denials(arns: _Arns) -> Iterator[Document]:
    """What stays forbidden whatever else somebody attaches to the provisioner role."""
    yield _deny(
        "KeepBoundaries",
        "*",
        "iam:DeleteRolePermissionsBoundary",
        "iam:DeleteUserPermissionsBoundary",
        "iam:PutUserPermissionsBoundary",
    )
    yield _deny(
        "KeepBoundaryPolicy",
        arns.boundary,
        "iam:CreatePolicy",
        "iam:CreatePolicyVersion",
        "iam:DeletePolicy",
        "iam:DeletePolicyVersion",
        "iam:SetDefaultPolicyVersion",
        "iam:TagPolicy",
        "iam:UntagPolicy",
    )
    yield _deny(
        "KeepOwnRole",
        arns.provisioner,
        "iam:AttachRolePolicy",
        "iam:CreateRole",
        "iam:DeleteRole",
        "iam:DeleteRolePolicy",
        "iam:DetachRolePolicy",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
        "iam:TagRole",
        "iam:UntagRole",
        "iam:UpdateAssumeRolePolicy",
        "iam:UpdateRole",
        "iam:UpdateRoleDescription",
    )
    # A role that names the provisioner in its trust policy could be entered without any Allow
    # here [6.11]; a Deny still stops it.
    yield _deny("EnterNoRole", "*", "iam:PassRole", "sts:AssumeRole")


IDENTITY_SERVICES: Final = (
    "account:*",
    "account-access:*",
    "iam:*",
    "identity-sync:*",
    "identitystore:*",
    "identitystore-auth:*",
    "organizations:*",
    "rolesanywhere:*",
    "sso:*",
    "sso-directory:*",
    "sso-oauth:*",
    "sts:*",
)
"""Closed to issued roles except for reading, so that an action added by AWS later is closed too."""

IDENTITY_READS: Final = (
    "account:Get*",
    "account:List*",
    "account-access:Get*",
    "account-access:List*",
    "iam:Generate*",
    "iam:Get*",
    "iam:List*",
    "iam:Simulate*",
    "identity-sync:Get*",
    "identity-sync:List*",
    "identitystore:Describe*",
    "identitystore:Get*",
    "identitystore:IsMemberInGroups",
    "identitystore:List*",
    "identitystore-auth:BatchGet*",
    "identitystore-auth:List*",
    "organizations:Describe*",
    "organizations:List*",
    "rolesanywhere:Get*",
    "rolesanywhere:List*",
    "sso:Describe*",
    "sso:Get*",
    "sso:List*",
    "sso:Search*",
    "sso-directory:Describe*",
    "sso-directory:Get*",
    "sso-directory:IsMemberIn*",
    "sso-directory:List*",
    "sso-directory:Search*",
    "sts:DecodeAuthorizationMessage",
    "sts:GetAccessKeyInfo",
    "sts:GetCallerIdentity",
)

BECOMING_SOMEBODY_ELSE: Final = (
    "cognito-identity:GetOpenIdTokenForDeveloperIdentity",
    "iam:PassRole",
    "signin:Delete*",
    "signin:Put*",
    "sts:Assume*",
    "sts:GetDelegatedAccessToken",
    "sts:GetFederationToken",
    "sts:GetWebIdentityToken",
)
"""Denied in so many words, because a boundary that merely does not allow something is passed over
where a resource policy names the role's session itself [AWS-FACTS 6.8]."""

BORROWING_A_ROLE: Final = (
    "apprunner:UpdateService",
    "bedrock-agentcore:InvokeCodeInterpreter",
    "bedrock-agentcore:StartCodeInterpreterSession",
    "cloudformation:CreateChangeSet",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:UpdateStack",
    "cloudformation:UpdateStackInstances",
    "cloudformation:UpdateStackSet",
    "codebuild:StartBuild",
    "codebuild:StartBuildBatch",
    "codebuild:UpdateProject",
    "ec2-instance-connect:Send*",
    "ec2:CreateLaunchTemplateVersion",
    "ec2:ModifyInstanceAttribute",
    "ec2:ModifyLaunchTemplate",
    "ecs:ExecuteCommand",
    "glue:UpdateDevEndpoint",
    "glue:UpdateJob",
    "lambda:UpdateFunctionCode",
    "lambda:UpdateFunctionConfiguration",
    "sagemaker:CreateNotebookInstanceLifecycleConfig",
    "sagemaker:CreatePresigned*Url",
    "sagemaker:UpdateNotebookInstance*",
    "ssm:CreateAssociation*",
    "ssm:ResumeSession",
    "ssm:SendCommand",
    "ssm:StartAutomationExecution",
    "ssm:StartSession",
    "ssm:UpdateAssociation",
)
"""Ways to run one's own code, or a shell, under a role that a machine or function has already: it
would act as somebody else and go on after the end. The published ones [AWS-FACTS 6.10]; the list
cannot be complete, and an account owner who wants one of them takes it out of the boundary."""

_CHANGES: Final = (
    "iam:Add*",
    "iam:Attach*",
    "iam:Create*",
    "iam:Delete*",
    "iam:Detach*",
    "iam:Put*",
    "iam:Remove*",
    "iam:Set*",
    "iam:Tag*",
    "iam:Untag*",
    "iam:Update*",
)


def boundary_policy(*, partition: str, account_id: str) -> Document:
    """The permissions boundary of every issued role: what no profile can exceed.

    Everything but changing identities, becoming somebody else, and touching what is Sallyport's.
    It grants nothing by itself.
    """
    arns = _Arns(partition, account_id)
    own = [arns.roles, arns.groups, arns.provisioner, arns.boundary]
    return {
        "Version": VERSION,
        "Statement": [
            {
                "Sid": "UseServices",
                "Effect": "Allow",
                "NotAction": list(IDENTITY_SERVICES),
                "Resource": "*",
            },
            _allow("ReadIdentities", "*", *IDENTITY_READS),
            _deny("StayYourself", "*", *BECOMING_SOMEBODY_ELSE),
            _deny("BorrowNoRole", "*", *BORROWING_A_ROLE),
            _deny("LeaveSallyportAlone", own, *_CHANGES),
        ],
    }


def _allow(
    sid: str, resource: str | list[str], *names: str, condition: Document | None = None
) -> Document:
    return _made("Allow", sid, resource, names, condition)


def _deny(sid: str, resource: str | list[str], *names: str) -> Document:
    return _made("Deny", sid, resource, names, None)


def _made(
    effect: str,
    sid: str,
    resource: str | list[str],
    names: Sequence[str],
    condition: Document | None,
) -> Document:
    statement: Document = {
        "Sid": sid,
        "Effect": effect,
        "Action": list(names),
        "Resource": resource,
    }
    return statement | ({"Condition": condition} if condition else {})


def cannot(
    partition: str,
    account_id: str,
    sides: frozenset[Side] = BOTH_SIDES,
    users: bool = False,
) -> tuple[str, ...]:
    """What Sallyport cannot do in an account, as sentences.

    Each is checked against the very policy that the account owner installs, and left out where
    that policy does not bear it out.
    """
    policy = read(
        provisioner_policy(partition=partition, account_id=account_id, sides=sides, users=users)
    )
    claims = _claims(_Arns(partition, account_id), sides, users)
    return tuple(one.sentence for one in claims if one.borne_out_by(policy))


_CREDENTIALS: Final = (
    "iam:AttachUserPolicy",
    "iam:ChangePassword",
    "iam:CreateUser",
    "iam:DeleteUser*",
    "iam:DetachUserPolicy",
    "iam:EnableMFADevice",
    "iam:PutUser*",
    "iam:UpdateUser",
    "iam:*AccessKey",
    "iam:*LoginProfile",
    "iam:*SSHPublicKey",
    "iam:*ServiceSpecificCredential",
    "iam:*SigningCertificate",
    "iam:*VirtualMFADevice",
)
_OTHER_CHANGES: Final = (
    "iam:Accept*",
    "iam:Associate*",
    "iam:Change*",
    "iam:Deactivate*",
    "iam:Disable*",
    "iam:Enable*",
    "iam:Reset*",
    "iam:Resync*",
    "iam:Upload*",
)


@dataclass(frozen=True)
class _Claim:
    """A sentence, and what must not be possible for it to be true."""

    sentence: str
    actions: tuple[Selector, ...]
    resource: Selector = EVERYTHING
    unless: Condition | None = None
    """A condition that makes it harmless after all."""

    def borne_out_by(self, policy: Reading) -> bool:
        """Whether nothing in the policy may allow any of it."""
        return not any(
            one.touches(action, self.resource) and not self._harmless(one)
            for action in self.actions
            for one in policy.allows
        )

    def _harmless(self, allowing: Statement) -> bool:
        return self.unless is not None and implies(allowing.condition, self.unless)


def _claims(arns: _Arns, sides: frozenset[Side], users: bool) -> Iterator[_Claim]:
    created = (arns.created_users,) if users else ()
    ours = Selector((arns.roles, arns.groups, *created), inverted=True)
    yield _Claim(
        "It cannot read or change anything outside IAM: no data, no machines, no logs, no bills.",
        (actions(("iam:*",), inverted=True),),
    )
    yield _Claim(
        f"It cannot change anything in IAM outside the path {PATH}.",
        _each(*_CHANGES, *_OTHER_CHANGES),
        ours,
    )
    yield from _user_claims(arns) if users else _no_user_claims()
    yield _Claim(
        f"It cannot create or change managed policies, and so not {BOUNDARY_POLICY_NAME}.",
        _each("iam:CreatePolicy*", "iam:DeletePolicy*", "iam:SetDefaultPolicyVersion"),
    )
    yield _Claim(
        f"It cannot change its own role {PROVISIONER_ROLE_NAME}, nor who may assume it.",
        _each(*_CHANGES),
        Selector((arns.provisioner,)),
    )
    yield _Claim(
        "It cannot enter a role, nor pass one to a service.", _each("iam:PassRole", "sts:*")
    )
    yield from _target_claims(arns) if Side.TARGET in sides else _no_target_claims(arns)
    yield from _source_claims(arns) if Side.SOURCE in sides else _no_source_claims(arns)


def _no_user_claims() -> Iterator[_Claim]:
    yield _Claim(
        "It cannot create, change or delete IAM users, their passwords, keys or MFA devices.",
        _each(*_CREDENTIALS),
    )


def _user_claims(arns: _Arns) -> Iterator[_Claim]:
    names = (arns.partition, arns.account_id)
    boundary = user_policies.user_boundary_arn(*names)
    yield _Claim(
        f"It cannot create, change or delete IAM users outside the path {PATH}, nor their "
        "passwords, keys or MFA devices.",
        _each(*_CREDENTIALS, "iam:DeactivateMFADevice"),
        Selector((arns.created_users,), inverted=True),
    )
    yield _Claim(
        "It cannot make access keys, for anybody.",
        _each("iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:CreateServiceSpecific*"),
    )
    yield _Claim(
        f"It cannot create an IAM user without the boundary {user_policies.USER_BOUNDARY_NAME}, "
        "nor take it off.",
        _each("iam:CreateUser", "iam:*UserPermissionsBoundary"),
        unless={("StringEquals", BOUNDARY_KEY.lower()): frozenset({boundary})},
    )
    yield _Claim(
        "It cannot give an IAM user a policy, other than attaching "
        f"{user_policies.OWN_CREDENTIALS_NAME}.",
        _each("iam:AttachUserPolicy", "iam:PutUserPolicy"),
        unless={
            ("ArnEquals", "iam:policyarn"): frozenset({user_policies.own_credentials_arn(*names)})
        },
    )


def _target_claims(arns: _Arns) -> Iterator[_Claim]:
    yield _Claim(
        f"It cannot make a role without the boundary {BOUNDARY_POLICY_NAME}, take it off a role, "
        "or add a policy or a person to a role that lacks it.",
        _each(
            "iam:AttachRolePolicy",
            "iam:CreateRole",
            "iam:DeleteRolePermissionsBoundary",
            "iam:PutRolePermissionsBoundary",
            "iam:PutRolePolicy",
            "iam:UpdateAssumeRolePolicy",
        ),
        unless={("StringEquals", BOUNDARY_KEY.lower()): frozenset({arns.boundary})},
    )
    yield _Claim(
        "It cannot attach managed policies to a role, other than AWS's own.",
        _each("iam:AttachRolePolicy"),
        unless={("ArnLike", "iam:policyarn"): frozenset({arns.managed()})},
    )


def _source_claims(arns: _Arns) -> Iterator[_Claim]:
    names = ", ".join(one.rpartition("/")[2] for one in GROUP_POLICIES)
    yield _Claim(
        f"It cannot attach managed policies to a group, other than {names}.",
        _each("iam:AttachGroupPolicy"),
        unless={("ArnEquals", "iam:policyarn"): frozenset(map(arns.managed, GROUP_POLICIES))},
    )


def _no_target_claims(arns: _Arns) -> Iterator[_Claim]:
    every = Selector((f"arn:{arns.partition}:iam::{arns.account_id}:role/*",))
    yield _Claim("It cannot make or change any role.", _each(*_CHANGES), every)


def _no_source_claims(arns: _Arns) -> Iterator[_Claim]:
    every = Selector((f"arn:{arns.partition}:iam::{arns.account_id}:group/*",))
    yield _Claim("It cannot touch IAM groups, nor who is in them.", _each(*_CHANGES), every)


def _each(*patterns: str) -> tuple[Selector, ...]:
    return tuple(actions((one,)) for one in patterns)


def unfenced(sides: frozenset[Side] = BOTH_SIDES, users: bool = False) -> tuple[str, ...]:
    """What AWS gives no means to forbid, so that nobody reads more into `cannot` than is there."""
    said = tuple(sentence for side, sentence in _UNFENCED if side is None or side in sides)
    return (*said, _UNFENCED_USERS) if users else said


_UNFENCED_USERS: Final = (
    "AWS cannot limit who gets a password that is set. Whoever took over the portal could sign in "
    f"as any IAM user under {PATH}, though never with more than "
    f"{user_policies.USER_BOUNDARY_NAME} allows."
)

_UNFENCED: Final = (
    (
        None,
        "It can read the account's whole IAM configuration: AWS limits "
        "iam:GetAccountAuthorizationDetails to no path.",
    ),
    (
        Side.TARGET,
        "AWS cannot limit what a trust policy says. Whoever took over the portal could let "
        f"anybody in AWS into a role under {PATH}, though never with more than "
        f"{BOUNDARY_POLICY_NAME} allows. A resource control policy on sts:AssumeRole prevents it.",
    ),
    (
        Side.SOURCE,
        "AWS cannot limit what an inline policy of a group says, nor who is added to a group. "
        "Whoever took over the portal could give an existing IAM user any permission in this "
        "account. A permissions boundary on the IAM users prevents it.",
    ),
)
