"""Strangers' hands in AWS: what people change in accounts that they administer, without a word."""

from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import ClientError

from provisioning.models import Grant
from tests.rig.stand import GROUP, READ_ONLY, SOURCE, TARGET, TRUST_ROOT, administrator

ADMIN_POLICY: Final = "arn:aws:iam::aws:policy/AdministratorAccess"
STRANGER: Final = "userX"
"""An IAM user whom nobody has linked to anybody."""


def _if_there(edit: Callable[[Any, Grant], object]) -> Callable[[Grant], None]:
    """What is to be changed may be gone already."""

    def careful(grant: Grant) -> None:
        try:
            edit(administrator(TARGET), grant)
        except ClientError as error:
            # Each client has exception classes of its own, and edits use several.
            if error.response["Error"]["Code"] != "NoSuchEntity":
                raise

    return careful


def _delete_role(iam: Any, grant: Grant) -> None:
    for one in iam.list_attached_role_policies(RoleName=grant.role_name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=grant.role_name, PolicyArn=one["PolicyArn"])
    for policy in iam.list_role_policies(RoleName=grant.role_name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=grant.role_name, PolicyName=policy)
    iam.delete_role(RoleName=grant.role_name)


def _delete_user(iam: Any, grant: Grant) -> None:
    home, user = administrator(SOURCE), grant.identity.user_name
    for group in home.list_groups_for_user(UserName=user)["Groups"]:
        home.remove_user_from_group(GroupName=group["GroupName"], UserName=user)
    for key in home.list_access_keys(UserName=user)["AccessKeyMetadata"]:
        home.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    for device in home.list_mfa_devices(UserName=user)["MFADevices"]:
        home.deactivate_mfa_device(UserName=user, SerialNumber=device["SerialNumber"])
    home.delete_user(UserName=user)


EDITS: Final[dict[str, Callable[[Grant], None]]] = {
    "attach": _if_there(
        lambda iam, grant: iam.attach_role_policy(RoleName=grant.role_name, PolicyArn=ADMIN_POLICY)
    ),
    "detach": _if_there(
        lambda iam, grant: iam.detach_role_policy(RoleName=grant.role_name, PolicyArn=READ_ONLY)
    ),
    "trust": _if_there(
        lambda iam, grant: iam.update_assume_role_policy(
            RoleName=grant.role_name, PolicyDocument=TRUST_ROOT
        )
    ),
    "no-end": _if_there(
        lambda iam, grant: iam.delete_role_policy(
            RoleName=grant.role_name, PolicyName="SallyportEnd"
        )
    ),
    "leave": _if_there(
        lambda iam, grant: administrator(SOURCE).remove_user_from_group(
            GroupName=GROUP, UserName=grant.identity.user_name
        )
    ),
    "join": _if_there(
        lambda iam, grant: administrator(SOURCE).add_user_to_group(
            GroupName=GROUP, UserName=STRANGER
        )
    ),
    "delete-role": _if_there(_delete_role),
    "delete-user": _if_there(_delete_user),
}
