"""What AWS accepts as an account id, a name or an ARN, checked by full match in ASCII.

botocore checks no patterns and no maximum lengths [AWS-FACTS 3.2], so a bad name would travel to
AWS and come back hours later as a failed grant. The patterns are those of botocore's IAM and STS
models [3.1, 3.8]; `\\w` is written out, because Python's accepts letters that AWS does not.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.core.exceptions import ValidationError
from django.db import models

NAME = r"[A-Za-z0-9_+=,.@-]"
ACCOUNT_ID: Final = re.compile(r"[0-9]{12}", re.ASCII)
ACCOUNT_ALIAS: Final = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
USER_NAME: Final = re.compile(NAME + r"{1,64}", re.ASCII)
ROLE_NAME: Final = re.compile(NAME + r"{1,64}", re.ASCII)
PROFILE_ROLE_NAME_MAX: Final = 32
"""Leaves room in the console's 64 characters for the path, the IAM user and the grant's code."""
GROUP_NAME: Final = re.compile(NAME + r"{1,128}", re.ASCII)
ROLE_ARN: Final = re.compile(
    r"arn:(?P<partition>aws|aws-us-gov|aws-cn|aws-eusc):iam::(?P<account_id>[0-9]{12})"
    r":role/(?P<path>(?:[\x21-\x2E\x30-\x7E]+/)*)(?P<name>" + NAME + r"{1,64})",
    re.ASCII,
)
POLICY_ARN: Final = re.compile(
    r"arn:(?P<partition>aws|aws-us-gov|aws-cn|aws-eusc):iam::(?P<account_id>[0-9]{12})"
    r":policy/(?:[A-Za-z0-9.,+@=_-]+/)*" + NAME + r"{1,128}",
    re.ASCII,
)
AWS_MANAGED_POLICY: Final = re.compile(
    r"(?:[A-Za-z0-9.,+@=_-]+/)*[A-Za-z0-9_+=,.@-]{1,128}", re.ASCII
)
ONE_LINE: Final = re.compile(
    r"[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]*"
)
"""No control characters, line ends or direction marks: with these a name reads as another one."""
MANAGED_POLICIES_MAX: Final = 10
"""AWS's default quota of managed policies on a role [3.3]."""


class Partition(models.TextChoices):
    """An AWS partition. Roles never delegate from one to another [AWS-FACTS 1.9]."""

    AWS = "aws", "AWS (commercial)"
    US_GOV = "aws-us-gov", "AWS GovCloud (US)"
    CHINA = "aws-cn", "AWS China"
    EU_SOVEREIGN = "aws-eusc", "AWS European Sovereign Cloud"


STS_REGION: Final[dict[str, str]] = {
    Partition.AWS: "us-east-1",
    Partition.US_GOV: "us-gov-west-1",
    Partition.CHINA: "cn-north-1",
    Partition.EU_SOVEREIGN: "eusc-de-east-1",
}
"""The region whose STS endpoint is used, the one where the partition's IAM lives [7.8, 7.10]."""


GROUP_POLICIES: Final = ("ReadOnlyAccess", "SecurityAudit", "job-function/ViewOnlyAccess")
"""The AWS managed policies that a switch group may carry: a group has no boundary [6.4], so the
list is closed and all of them only read. `provisioning.core.onboarding` limits the provisioner
role to the same ones; a test compares the two."""


def provisioner_role_arn(partition: str, account_id: str) -> str:
    """ARN of the provisioner role where the account owner has used our template as it is."""
    return f"arn:{partition}:iam::{account_id}:role/SallyportProvisioner"


def boundary_arn(partition: str, account_id: str) -> str:
    """ARN of the boundary policy where the account owner has used our template as it is."""
    return f"arn:{partition}:iam::{account_id}:policy/SallyportBoundary"


def default_switch_group(target_account_id: str) -> str:
    """Name of a pair's switch group where it shares none: one group per target is the tightest."""
    return f"switch-to-{target_account_id}"


class Tone(models.TextChoices):
    """The classic colours of the Switch role form [AWS-FACTS 1.2]."""

    RED = "F2B0A9", "Red"
    ORANGE = "FBBF93", "Orange"
    YELLOW = "FAD791", "Yellow"
    GREEN = "B7CA9D", "Green"
    BLUE = "99BCE3", "Blue"


@dataclass(frozen=True)
class RoleArn:
    """A role's ARN, parsed once."""

    partition: str
    account_id: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "RoleArn":
        """Parse an ARN; raises ValidationError for anything but an IAM role's."""
        match = ROLE_ARN.fullmatch(text)
        if match is None:
            raise ValidationError(
                "Not a role's ARN. It looks like "
                "arn:aws:iam::123456789012:role/SallyportProvisioner.",
                code="malformed_role_arn",
            )
        return cls(match["partition"], match["account_id"], match["name"])


def _validator(pattern: re.Pattern[str], message: str, code: str, text: str) -> None:
    if pattern.fullmatch(text) is None:
        raise ValidationError(message, code=code)


def validate_account_id(text: str) -> None:
    """Exactly 12 digits, as text: an id may begin with a zero."""
    message = "An AWS account id is exactly 12 digits, zeros in front included."
    _validator(ACCOUNT_ID, message, "malformed_account_id", text)


def validate_account_alias(text: str) -> None:
    """An account alias, which is a part of a sign-in address [IAM: CreateAccountAlias]."""
    message = (
        "An account alias has 3 to 63 lower-case letters, digits and single hyphens, with a letter "
        "or digit at both ends."
    )
    _validator(ACCOUNT_ALIAS, message, "malformed_account_alias", text)


def validate_role_arn(text: str) -> None:
    """An IAM role's ARN."""
    RoleArn.parse(text)


def validate_policy_arn(text: str) -> None:
    """A managed policy's ARN."""
    message = (
        "Not a policy's ARN. It looks like arn:aws:iam::123456789012:policy/SallyportBoundary."
    )
    _validator(POLICY_ARN, message, "malformed_policy_arn", text)


def objections_to_arns(
    *, partition: str, account_id: str, role: str, boundary: str
) -> dict[str, ValidationError]:
    """What speaks against an account's two ARNs, by field. Malformed ones are others' to refuse."""
    found: dict[str, ValidationError] = {}
    for field, match in (
        ("provisioner_role_arn", ROLE_ARN.fullmatch(role)),
        ("boundary_arn", POLICY_ARN.fullmatch(boundary)),
    ):
        if match and ACCOUNT_ID.fullmatch(account_id) and match["account_id"] != account_id:
            message = f"This ARN belongs to account {match['account_id']}, not to {account_id}."
            found[field] = ValidationError(message, code="arn_of_other_account")
        elif match and match["partition"] != partition:
            message = f"This ARN is in the partition {match['partition']}, not in {partition}."
            found[field] = ValidationError(message, code="arn_of_other_partition")
        elif match and match[0].lower().partition("/")[2].startswith("sallyport/"):
            message = "It must stand outside the path /sallyport/, where the provisioner may write."
            found[field] = ValidationError(message, code="arn_under_our_path")
    return found


def validate_user_name(text: str) -> None:
    """An IAM user name."""
    message = "An IAM user name has 1 to 64 letters, digits or + = , . @ _ - and no spaces."
    _validator(USER_NAME, message, "malformed_user_name", text)


def validate_profile_role_name(text: str) -> None:
    """The beginning of the names of issued roles."""
    message = (
        f"A role name here has 1 to {PROFILE_ROLE_NAME_MAX} letters, digits or + = , . @ _ - "
        "and no spaces: AWS allows 64, and the IAM user and a code follow it."
    )
    if len(text) > PROFILE_ROLE_NAME_MAX:
        raise ValidationError(message, code="malformed_role_name")
    _validator(ROLE_NAME, message, "malformed_role_name", text)


def validate_group_name(text: str) -> None:
    """An IAM group name."""
    message = "An IAM group name has 1 to 128 letters, digits or + = , . @ _ - and no spaces."
    _validator(GROUP_NAME, message, "malformed_group_name", text)


def validate_one_line(text: str) -> None:
    """A label: one line, no control characters, which logs and mails would trip over."""
    message = "Use one line without control characters and direction marks."
    _validator(ONE_LINE, message, "control_characters", text)


def managed_policy_name(text: str) -> str:
    """The name of an AWS managed policy, path included, from a name or any partition's ARN.

    Kept without the partition, because one profile may be offered in several [AWS-FACTS 7.9, 13.1].
    Raises ValidationError for a customer managed policy or a malformed name.
    """
    name = re.sub(r"^arn:(?:aws|aws-us-gov|aws-cn|aws-eusc):iam::aws:policy/", "", text.strip())
    if name.startswith("arn:"):
        raise ValidationError(
            "Only AWS managed policies can be named here; "
            "put your own statements into the inline policy.",
            code="customer_managed_policy",
        )
    _validator(
        AWS_MANAGED_POLICY,
        f"“{text}” is not the name of an AWS managed policy, such as ReadOnlyAccess.",
        "malformed_policy_name",
        name,
    )
    return name


def managed_policy_names(texts: Iterable[str]) -> list[str]:
    """Names of AWS managed policies in the order given, each once.

    Raises ValidationError with every reason: malformed ones, doubled ones, more than a role takes.
    """
    names: list[str] = []
    problems: list[ValidationError] = []
    for text in texts:
        try:
            name = managed_policy_name(text)
        except ValidationError as error:
            problems.append(error)
            continue
        if name in names:
            problems.append(ValidationError(f"{name} is named twice.", code="policy_named_twice"))
        names.append(name)
    if len(names) > MANAGED_POLICIES_MAX:
        message = f"AWS attaches at most {MANAGED_POLICIES_MAX} managed policies to a role."
        problems.append(ValidationError(message, code="too_many_policies"))
    if problems:
        raise ValidationError(problems)
    return names
