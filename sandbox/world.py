"""What exists in AWS before Sallyport comes, made with the keys of the accounts' administrators.

Three accounts: the portal's own, whose IAM user `sallyport-portal` may assume provisioner roles
and do nothing else; account A, where userA and userC sign in; account B, where userB does. Into
each registered account its owner then installs the provisioner role and the boundary
(`install`), as docs/cloudformation/sallyport-account.yaml would.

Everything may be run again: what is there already is brought to what it should be.

How `make demo` uses it: `seed_sandbox` calls `make_world`; afterwards `portal_environment()` has
the portal's own identity for the environment of worker and sweeper. No other process needs it.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django.conf import settings

from accounts.aws_names import STS_REGION
from accounts.models import AwsAccount
from provisioning.aws.clients import Credentials, lend
from provisioning.aws.errors import AwsError, Kind, calling
from provisioning.core import onboarding, user_policies
from provisioning.core.documents import Document, dumps

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_sts import STSClient

ACCOUNT_A: Final = "111111111111"
ACCOUNT_B: Final = "222222222222"
ACCOUNT_NAMES: Final = {ACCOUNT_A: "Identity", ACCOUNT_B: "Workload"}
IAM_USERS: Final = {ACCOUNT_A: ("userA", "userC"), ACCOUNT_B: ("userB",)}
"""The people's IAM users, by account: they were there before anybody thought of Sallyport."""

PARTITION: Final = "aws"
GROUP: Final = "Developers"
GROUP_POLICY: Final = "arn:aws:iam::aws:policy/ReadOnlyAccess"
PORTAL_POLICY: Final = "AssumeProvisionerRoles"

PORTAL_KEY: Final = "portal_key.json"
USER_KEYS: Final = "iam_users.json"


class NotTheSandbox(Exception):
    """The AWS endpoint is not the local stand-in: nothing was sent there."""


@dataclass(frozen=True)
class IamUser:
    """An IAM user and the access key that this person holds."""

    account_id: str
    user_name: str
    credentials: Credentials = field(repr=False)

    @property
    def region(self) -> str:
        """The region whose endpoints this user's partition has."""
        return STS_REGION[PARTITION]

    @property
    def mfa_serial(self) -> str:
        """ARN of the MFA device with which this user signs in."""
        return f"arn:{PARTITION}:iam::{self.account_id}:mfa/{self.user_name}"


# --- Clients ---------------------------------------------------------------------------------


def client(service: str, credentials: Credentials, region: str) -> Any:
    """A client of the local stand-in. Raises NotTheSandbox where anything else would answer."""
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
    if endpoint.hostname not in {"127.0.0.1", "localhost"}:
        raise NotTheSandbox(
            "AWS_ENDPOINT_URL does not name a server on this machine. The sandbox makes users and "
            "roles with made-up keys, so it talks to its own stand-in for AWS only: use make demo."
        )
    return _client(service, credentials, region, endpoint.geturl())


@lru_cache(maxsize=64)
def _client(service: str, credentials: Credentials, region: str, endpoint: str) -> Any:
    """Kept, unlike the product's: these keys are made up, and making clients takes time."""
    return lend(service, region, credentials).client


def administrator(account_id: str, region: str = STS_REGION[PARTITION]) -> "IAMClient":
    """IAM as an account's administrator sees it. The stand-in for AWS knows these keys."""
    keys = Credentials(f"sandbox-admin-{account_id}", "administrator")
    iam: IAMClient = client("iam", keys, region)
    return iam


def _ensure(call: str, make: Callable[[], object]) -> bool:
    """Make something. Returns False where it exists already."""
    try:
        with calling(call):
            make()
    except AwsError as error:
        if error.kind is not Kind.EXISTS:
            raise
        return False
    return True


# --- The world -------------------------------------------------------------------------------


def make_world(accounts: Iterable[AwsAccount]) -> Credentials:
    """Make the portal's account, and in each registered account its people and the installation.

    Returns the portal's own identity. Raises AwsError and NotTheSandbox.
    """
    portal = portal_credentials()
    known = {(user.account_id, user.user_name): user for user in iam_users()}
    for account in accounts:
        for name in IAM_USERS.get(account.account_id, ()):
            key = (account.account_id, name)
            known[key] = _make_user(*key, known.get(key))
        install(account)
    _keep_users(known.values())
    return portal


def _make_user(account_id: str, name: str, known: IamUser | None) -> IamUser:
    iam = administrator(account_id)
    _ensure("iam:CreateGroup", lambda: iam.create_group(GroupName=GROUP))
    _ensure("iam:CreateUser", lambda: iam.create_user(UserName=name))
    with calling("iam:AttachGroupPolicy"):
        iam.attach_group_policy(GroupName=GROUP, PolicyArn=GROUP_POLICY)
    with calling("iam:AddUserToGroup"):
        iam.add_user_to_group(GroupName=GROUP, UserName=name)
    if known is not None and _is_good(known.credentials):
        return known
    return IamUser(account_id, name, _new_key(iam, name))


def _is_good(key: Credentials) -> bool:
    """Whether AWS still knows this access key."""
    sts: STSClient = client("sts", key, STS_REGION[PARTITION])
    try:
        with calling("sts:GetCallerIdentity"):
            sts.get_caller_identity()
    except AwsError as error:
        if error.code != "InvalidClientTokenId":
            raise
        return False
    return True


def _new_key(iam: "IAMClient", name: str) -> Credentials:
    """A new access key. Those that nobody has any more go first: a user can have only two."""
    with calling("iam:ListAccessKeys"):
        lost = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    for one in lost:
        with calling("iam:DeleteAccessKey"):
            iam.delete_access_key(UserName=name, AccessKeyId=one["AccessKeyId"])
    with calling("iam:CreateAccessKey"):
        key = iam.create_access_key(UserName=name)["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def add_mfa_devices() -> None:
    """Give every IAM user of the world the MFA device with which the sandbox signs them in.

    Only the seeded sandbox has them: a user with a device cannot be deleted as they are [8.3].
    """
    for user in iam_users():
        iam = administrator(user.account_id)
        with calling("iam:ListMFADevices"):
            known = iam.list_mfa_devices(UserName=user.user_name)["MFADevices"]
        if known:
            continue
        make = partial(iam.create_virtual_mfa_device, VirtualMFADeviceName=user.user_name)
        _ensure("iam:CreateVirtualMFADevice", make)
        with calling("iam:EnableMFADevice"):
            iam.enable_mfa_device(
                UserName=user.user_name,
                SerialNumber=user.mfa_serial,
                AuthenticationCode1="123456",
                AuthenticationCode2="654321",
            )


def unique_id(account_id: str, user_name: str) -> str:
    """AWS's own id of an IAM user of the world: another one after the world was made anew."""
    with calling("iam:GetUser"):
        return administrator(account_id).get_user(UserName=user_name)["User"]["UserId"]


# --- The portal's own identity ---------------------------------------------------------------


def portal_credentials() -> Credentials:
    """The access key of the portal's own IAM user; a new one where AWS does not know it any more.

    It is kept in a file that only this user of the machine can read.
    """
    kept = read_private(settings.VAR_DIR / PORTAL_KEY)
    if kept is not None:
        key = Credentials(kept["access_key_id"], kept["secret_access_key"])
        if _is_good(key):
            return key
    account_id, name = _portal_user()
    iam = administrator(account_id)
    _ensure("iam:CreateUser", lambda: iam.create_user(UserName=name))
    key = _new_key(iam, name)
    write_private(settings.VAR_DIR / PORTAL_KEY, _as_data(key))
    return key


def portal_environment() -> dict[str, str]:
    """The portal's own identity as botocore finds it: for worker and sweeper, and nobody else."""
    key = portal_credentials()
    return {
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
    }


def portal_account() -> str:
    """The account that the portal itself lives in."""
    return _portal_user()[0]


def _portal_user() -> tuple[str, str]:
    account_id, _, name = settings.AWS_PORTAL_PRINCIPAL.removeprefix("arn:aws:iam::").partition(":")
    return account_id, name.removeprefix("user/")


# --- What an account owner installs ----------------------------------------------------------


def install(account: AwsAccount) -> None:
    """Deploy the template in a registered account, and let the portal use its provisioner role.

    Raises AwsError where AWS refuses, for example a principal of another partition.
    """
    _allow_portal()
    iam = administrator(account.account_id, account.region)
    names = {"partition": account.partition, "account_id": account.account_id}
    _put_policy(iam, account, onboarding.BOUNDARY_POLICY_NAME, onboarding.boundary_policy(**names))
    if account.may_create_users:
        for name, document in (
            (user_policies.USER_BOUNDARY_NAME, user_policies.user_boundary_policy(**names)),
            (user_policies.OWN_CREDENTIALS_NAME, user_policies.own_credentials_policy(**names)),
        ):
            _put_policy(iam, account, name, document)
    _put_provisioner(iam, account)


def _allow_portal() -> None:
    """The portal's only right: to assume the provisioner roles of all registered accounts."""
    ids = AwsAccount.objects.filter(partition=PARTITION).values_list("account_id", flat=True)
    account_id, name = _portal_user()
    iam = administrator(account_id)
    with calling("iam:PutUserPolicy"):
        iam.put_user_policy(
            UserName=name,
            PolicyName=PORTAL_POLICY,
            PolicyDocument=dumps(onboarding.portal_policy(partition=PARTITION, account_ids=ids)),
        )


def _put_provisioner(iam: "IAMClient", account: AwsAccount) -> None:
    trust = dumps(
        onboarding.provisioner_trust_policy(
            portal_principal=settings.AWS_PORTAL_PRINCIPAL, external_id=account.external_id
        )
    )
    permissions = onboarding.provisioner_policy(
        partition=account.partition,
        account_id=account.account_id,
        users=account.may_create_users,
    )
    role = onboarding.PROVISIONER_ROLE_NAME
    if not _ensure(
        "iam:CreateRole",
        lambda: iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust),
    ):
        with calling("iam:UpdateAssumeRolePolicy"):
            iam.update_assume_role_policy(RoleName=role, PolicyDocument=trust)
    with calling("iam:PutRolePolicy"):
        iam.put_role_policy(
            RoleName=role,
            PolicyName=onboarding.PROVISIONER_POLICY_NAME,
            PolicyDocument=dumps(permissions),
        )


def _put_policy(iam: "IAMClient", account: AwsAccount, name: str, document: Document) -> None:
    if _ensure(
        "iam:CreatePolicy",
        lambda: iam.create_policy(PolicyName=name, PolicyDocument=dumps(document)),
    ):
        return
    arn = f"arn:{account.partition}:iam::{account.account_id}:policy/{name}"
    with calling("iam:ListPolicyVersions"):
        versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    old = [one["VersionId"] for one in versions if not one["IsDefaultVersion"]]
    current = next(one["VersionId"] for one in versions if one["IsDefaultVersion"])
    with calling("iam:GetPolicyVersion"):
        found = iam.get_policy_version(PolicyArn=arn, VersionId=current)["PolicyVersion"]
    if found["Document"] != document:
        _replace_version(iam, arn, dumps(document), old)


def _replace_version(iam: "IAMClient", arn: str, document: str, old: list[str]) -> None:
    """AWS keeps five versions of a policy, so those that are not in use go first."""
    for version in old:
        with calling("iam:DeletePolicyVersion"):
            iam.delete_policy_version(PolicyArn=arn, VersionId=version)
    with calling("iam:CreatePolicyVersion"):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)


# --- Keys of the IAM users -------------------------------------------------------------------


def iam_users() -> list[IamUser]:
    """The IAM users whose keys are at hand, by account and name. They stand for what people hold:
    Sallyport itself never reads them."""
    kept = read_private(settings.VAR_DIR / USER_KEYS) or {"users": []}
    return [
        IamUser(
            one["account_id"],
            one["user_name"],
            Credentials(one["access_key_id"], one["secret_access_key"]),
        )
        for one in kept["users"]
    ]


def iam_user(account_id: str, user_name: str) -> IamUser | None:
    """One of `iam_users`."""
    found = (one for one in iam_users() if one.account_id == account_id)
    return next((one for one in found if one.user_name == user_name), None)


def keys_are_kept() -> bool:
    """Whether the files with the keys of the portal and of all IAM users are there."""
    kept = {(one.account_id, one.user_name) for one in iam_users()}
    wanted = {(account_id, name) for account_id, names in IAM_USERS.items() for name in names}
    return (settings.VAR_DIR / PORTAL_KEY).exists() and wanted <= kept


def _keep_users(users: Iterable[IamUser]) -> None:
    ordered = sorted(users, key=lambda one: (one.account_id, one.user_name))
    rows = [
        {"account_id": one.account_id, "user_name": one.user_name} | _as_data(one.credentials)
        for one in ordered
    ]
    write_private(settings.VAR_DIR / USER_KEYS, {"users": rows})


def _as_data(key: Credentials) -> dict[str, str]:
    return {"access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key}


# --- Files that hold keys --------------------------------------------------------------------


def write_private(path: Path, data: dict[str, Any]) -> None:
    """Replace a file in one step; only its owner can read it, from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(data, file)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_private(path: Path) -> dict[str, Any] | None:
    """What `write_private` wrote; None where there is no such file, or nothing readable in it."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return data if isinstance(data, dict) else None
