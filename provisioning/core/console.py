"""Links into the AWS console."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from provisioning.core import naming

SIGN_IN_HOSTS: Final[dict[str, str]] = {
    "aws": "signin.aws.amazon.com",
    "aws-us-gov": "signin.amazonaws-us-gov.com",
    "aws-cn": "signin.amazonaws.cn",
    "aws-eusc": "signin.amazonaws-eusc.eu",
}
"""Sign-in host of each partition [AWS-FACTS 1.8]."""

DISPLAY_NAME_LIMIT: Final = 64


@dataclass(frozen=True)
class SwitchRole:
    """What the console's Switch Role form is filled with."""

    partition: str
    account_id: str
    role_name: str
    display_name: str
    colour: str

    @property
    def role_with_path(self) -> str:
        """The role as the form wants it: with its path, without the first slash [1.3]."""
        return f"{naming.PATH.lstrip('/')}{self.role_name}"


def switch_role_url(link: SwitchRole, *, base: str = "") -> str:
    """The link that opens the console's Switch Role form, filled in [1.1-1.3].

    Every value is percent-encoded, `+` and `/` included: names may contain `+ = , . @ -`, and a
    raw `+` would be read as a space. The account is always its 12-digit id, never an alias [1.6].
    `base` replaces `https://<sign-in host>` where something else stands for AWS.
    """
    base = base or f"https://{SIGN_IN_HOSTS[link.partition]}"
    query = urlencode(
        {
            "account": link.account_id,
            "roleName": link.role_with_path,
            "displayName": link.display_name[:DISPLAY_NAME_LIMIT],
            "color": link.colour,
        },
        quote_via=quote,
        safe="",
    )
    return f"{base}/switchrole?{query}"


def sign_in_url(*, partition: str, account_id: str, base: str = "") -> str:
    """Where an IAM user of an account signs in; it comes before the Switch Role link [1.10]."""
    if base:
        return f"{base}/sign-in?account={account_id}"
    return f"https://{account_id}.{SIGN_IN_HOSTS[partition]}/console"
