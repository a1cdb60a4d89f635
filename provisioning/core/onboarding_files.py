"""The files that an account's owner installs, written from the documents that the check compares.

Everything that comes from outside is quoted, though the portal makes or checks it all: these files
are run with administrator rights in somebody else's account.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from provisioning.core import onboarding, user_policies
from provisioning.core.documents import Document, pretty
from provisioning.core.steps import Side

TEMPLATE_NAME: Final = "sallyport-account.yaml"
TERRAFORM_NAME: Final = "sallyport-account.tf"
STACK_NAME: Final = "sallyport"

ROLE_DESCRIPTION: Final = (
    "Assumed by Sallyport to make and remove time-limited access under /sallyport/."
)
BOUNDARY_DESCRIPTION: Final = (
    "What no role made by Sallyport may exceed. It grants nothing by itself."
)
USER_BOUNDARY_DESCRIPTION: Final = (
    "What no IAM user made by Sallyport may exceed. It grants nothing by itself."
)
OWN_CREDENTIALS_DESCRIPTION: Final = (
    "Lets IAM users made by Sallyport look after their own password and MFA."
)
MAX_SESSION_SECONDS: Final = 3600

CONSOLE_HOSTS: Final[dict[str, str]] = {
    "aws": "console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-eusc": "console.amazonaws-eusc.eu",
}
"""Console host of each partition, behind the region [AWS-FACTS 2.5, 9.1]."""

_TEMPLATE_ADDRESS: Final = re.compile(
    r"https://(?:[a-z0-9.-]+\.)?s3(?![.-]website)(?:[.-][a-z0-9-]+)*"
    r"\.amazonaws\.(?:com|com\.cn|eu)/[\x21\x22\x24-\x7e]+",
    re.ASCII,
)


def is_template_address(text: str) -> bool:
    """Whether CloudFormation takes a template from there: S3 over https, no S3 website [9.2]."""
    return _TEMPLATE_ADDRESS.fullmatch(text) is not None


@dataclass(frozen=True)
class ManagedPolicy:
    """A managed policy of the account's own: how Terraform calls it, and what AWS does."""

    key: str
    name: str
    description: str
    document: Document


@dataclass(frozen=True)
class Installation:
    """What is to be installed in one account. Raises ValueError for a portal principal or an
    ExternalId that no provisioner role may trust."""

    partition: str
    account_id: str
    region: str
    portal_principal: str
    external_id: str
    sides: frozenset[Side] = onboarding.BOTH_SIDES
    users: bool = False
    """Whether Sallyport may create IAM users here."""

    def __post_init__(self) -> None:
        """Fail before half a file is written."""
        _ = self.trust, self.permissions

    @property
    def role_arn(self) -> str:
        """ARN of the role that these files make."""
        return onboarding.provisioner_role_arn(self.partition, self.account_id)

    @property
    def boundary_arn(self) -> str:
        """ARN of the boundary policy that these files make; a source account needs none."""
        if self.boundary is None:
            return ""
        return onboarding.boundary_arn(self.partition, self.account_id)

    @property
    def trust(self) -> Document:
        """The trust policy of the provisioner role."""
        return onboarding.provisioner_trust_policy(
            portal_principal=self.portal_principal, external_id=self.external_id
        )

    @property
    def permissions(self) -> Document:
        """The inline policy of the provisioner role."""
        return onboarding.provisioner_policy(
            partition=self.partition,
            account_id=self.account_id,
            sides=self.sides,
            users=self.users,
        )

    @property
    def managed_policies(self) -> tuple["ManagedPolicy", ...]:
        """The managed policies that are made beside the role."""
        made = []
        if self.boundary is not None:
            name = onboarding.BOUNDARY_POLICY_NAME
            made.append(ManagedPolicy("boundary", name, BOUNDARY_DESCRIPTION, self.boundary))
        return (*made, *(self._user_policies() if self.users else ()))

    def _user_policies(self) -> tuple["ManagedPolicy", ...]:
        names = {"partition": self.partition, "account_id": self.account_id}
        return (
            ManagedPolicy(
                "user_boundary",
                user_policies.USER_BOUNDARY_NAME,
                USER_BOUNDARY_DESCRIPTION,
                user_policies.user_boundary_policy(**names),
            ),
            ManagedPolicy(
                "own_credentials",
                user_policies.OWN_CREDENTIALS_NAME,
                OWN_CREDENTIALS_DESCRIPTION,
                user_policies.own_credentials_policy(**names),
            ),
        )

    @property
    def boundary(self) -> Document | None:
        """The boundary policy, where roles are made."""
        if Side.TARGET not in self.sides:
            return None
        return onboarding.boundary_policy(partition=self.partition, account_id=self.account_id)

    @property
    def cannot(self) -> tuple[str, ...]:
        """What Sallyport cannot do in this account."""
        return onboarding.cannot(self.partition, self.account_id, self.sides, self.users)

    @property
    def unfenced(self) -> tuple[str, ...]:
        """What AWS gives no means to forbid."""
        return onboarding.unfenced(self.sides, self.users)

    @property
    def parameters(self) -> dict[str, str]:
        """The values of the CloudFormation template's parameters."""
        side = "both" if self.sides == onboarding.BOTH_SIDES else min(self.sides).value
        return {
            "PortalPrincipalArn": self.portal_principal,
            "ExternalId": self.external_id,
            "Side": side,
            "CreateUsers": "yes" if self.users else "no",
        }


# --- CloudFormation --------------------------------------------------------------------------


def quick_create_url(made: Installation, template_url: str) -> str:
    """The link that opens the console's *Quick create stack*, filled in [9.1].

    Everything behind the # is percent-encoded in full, as in `console.switch_role_url`.
    """
    values = {"templateURL": template_url, "stackName": STACK_NAME}
    values |= {f"param_{name}": value for name, value in made.parameters.items()}
    region = quote(made.region, safe="")
    fragment = urlencode(values, quote_via=quote, safe="")
    return (
        f"https://{region}.{CONSOLE_HOSTS[made.partition]}/cloudformation/home?region={region}"
        f"#/stacks/create/review?{fragment}"
    )


# --- AWS CLI ---------------------------------------------------------------------------------


def commands(made: Installation) -> str:
    """Commands for a POSIX shell, each run only if the one before has succeeded.

    The first one stops where the shell is signed in to another account.
    """
    identity = _command("sts get-caller-identity", made, {"query": "Account", "output": "text"})
    chain = [f'test "$({identity})" = {shlex.quote(made.account_id)}']
    for policy in made.managed_policies:
        options = {
            "policy-name": policy.name,
            "description": policy.description,
            "policy-document": pretty(policy.document),
        }
        chain.append(_command("iam create-policy", made, options, " \\\n  "))
    role = {
        "role-name": onboarding.PROVISIONER_ROLE_NAME,
        "description": ROLE_DESCRIPTION,
        "max-session-duration": str(MAX_SESSION_SECONDS),
        "assume-role-policy-document": pretty(made.trust),
    }
    chain.append(_command("iam create-role", made, role, " \\\n  "))
    permissions = {
        "role-name": onboarding.PROVISIONER_ROLE_NAME,
        "policy-name": onboarding.PROVISIONER_POLICY_NAME,
        "policy-document": pretty(made.permissions),
    }
    chain.append(_command("iam put-role-policy", made, permissions, " \\\n  "))
    return " &&\n".join(chain) + "\n"


def _command(call: str, made: Installation, options: Mapping[str, str], between: str = " ") -> str:
    # IAM is the same in all regions, but the region decides which partition's IAM is called.
    every = {"region": made.region, **options}
    words = [f"--{name} {shlex.quote(value)}" for name, value in every.items()]
    return between.join([f"aws {call}", *words])


# --- Terraform -------------------------------------------------------------------------------

_TERRAFORM_HEAD: Final = """\
# Lets Sallyport make time-limited access in one AWS account. Written by Sallyport; the documents
# are those of its CloudFormation template. Terraform 1.2 or later, with the AWS provider signed
# in to this very account.
"""


def terraform(made: Installation) -> str:
    """A file for Terraform. It configures no provider, so that it fits into an existing module."""
    documents = {
        "sallyport_trust_policy": made.trust,
        "sallyport_provisioner_policy": made.permissions,
    }
    for policy in made.managed_policies:
        documents[f"sallyport_{policy.key}_policy"] = policy.document
    values = {"sallyport_account_id": made.account_id, **documents}
    wrong = f"The AWS provider is signed in to another account than {made.account_id}."
    blocks = [
        _block("locals", _attributes(values, 1, quoted=False)),
        f"""\
data "aws_caller_identity" "sallyport" {{
  lifecycle {{
    postcondition {{
      condition     = self.account_id == local.sallyport_account_id
      error_message = {_hcl_string(wrong)}
    }}
  }}
}}
""",
    ]
    for policy in made.managed_policies:
        blocks.append(f"""\
resource "aws_iam_policy" "sallyport_{policy.key}" {{
  name        = {_hcl_string(policy.name)}
  description = {_hcl_string(policy.description)}
  policy      = jsonencode(local.sallyport_{policy.key}_policy)

  depends_on = [data.aws_caller_identity.sallyport]
}}
""")
    blocks += [
        f"""\
resource "aws_iam_role" "sallyport_provisioner" {{
  name                 = {_hcl_string(onboarding.PROVISIONER_ROLE_NAME)}
  description          = {_hcl_string(ROLE_DESCRIPTION)}
  max_session_duration = {MAX_SESSION_SECONDS}
  assume_role_policy   = jsonencode(local.sallyport_trust_policy)

  depends_on = [data.aws_caller_identity.sallyport]
}}
""",
        f"""\
resource "aws_iam_role_policy" "sallyport_provisioner" {{
  name   = {_hcl_string(onboarding.PROVISIONER_POLICY_NAME)}
  role   = aws_iam_role.sallyport_provisioner.name
  policy = jsonencode(local.sallyport_provisioner_policy)
}}
""",
    ]
    return "\n".join([_TERRAFORM_HEAD, *blocks])


def _block(head: str, body: str) -> str:
    return f"{head} {{\n{body}\n}}\n"


def _hcl(value: Any, depth: int) -> str:
    """A value of a document as HCL writes it."""
    match value:
        case str():
            return _hcl_string(value)
        case list():
            inner = "".join(f"{'  ' * (depth + 1)}{_hcl(one, depth + 1)},\n" for one in value)
            return f"[\n{inner}{'  ' * depth}]"
        case dict():
            return f"{{\n{_attributes(value, depth + 1)}\n{'  ' * depth}}}"
    raise TypeError(f"documents hold text, lists and objects, not {type(value).__name__}")


def _attributes(values: Mapping[str, Any], depth: int, *, quoted: bool = True) -> str:
    """`name = value` lines. Neighbours of one line each are aligned, as `terraform fmt` does."""
    lines: list[str] = []
    run: list[tuple[str, str]] = []

    def flush() -> None:
        width = max((len(name) for name, _ in run), default=0)
        lines.extend(f"{'  ' * depth}{name:{width}} = {text}" for name, text in run)
        run.clear()

    for key, value in values.items():
        name, text = _hcl_string(key) if quoted else key, _hcl(value, depth)
        if "\n" in text:
            flush()
        run.append((name, text))
        if "\n" in text:
            flush()
    flush()
    return "\n".join(lines)


_SPECIAL: Final = re.compile(r'[\x00-\x1f\x7f"\\]|[$%](?=\{)')


def _hcl_string(text: str) -> str:
    """A quoted string of HCL that says exactly this: `${` and `%{` start no template in it."""
    return f'"{_SPECIAL.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    sign = found[0]
    return f"\\{sign}" if sign in '"\\' else f"\\u{ord(sign):04x}"
