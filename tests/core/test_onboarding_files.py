"""The files for an account's owner: golden, and by meaning the documents of the check."""

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import hcl2
import pytest

from provisioning.core import onboarding, onboarding_files
from provisioning.core.onboarding_files import Installation
from provisioning.core.steps import Side
from tests.core.golden import FOLDER
from tests.docs.test_cloudformation import SIDES, SOURCE, portal

ACCOUNT = "222222222222"
EXTERNAL_ID = "sallyport-0123456789abcdef0123456789abcdef"
REGIONS = {
    "aws": "us-east-1",
    "aws-us-gov": "us-gov-west-1",
    "aws-cn": "cn-north-1",
    "aws-eusc": "eusc-de-east-1",
}
TEMPLATE = "https://templates.s3.eu-central-1.amazonaws.com/1.0/sallyport-account.yaml"
HOSTILE = [
    "it's",
    '"; resource "aws_iam_user" "evil" { name = "evil" } #',
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    "one\ntouch pwned\n",
    "${file('/etc/passwd')}",
    "$${a}",
    "$$${a} %%{b} %{ if true }",
    "back\\slash\\",
    "\r\t\x01\x7f",
    "EOF\nEOT\n",
    "* / */ // #",
    "\u00e9\u2028\U0001f6aa",
    "{",
    "",
]


def installation(
    partition: str = "aws", side: str = "both", *, users: bool = False
) -> Installation:
    return Installation(
        partition=partition,
        account_id=ACCOUNT,
        region=REGIONS[partition],
        portal_principal=portal(partition),
        external_id=EXTERNAL_ID,
        sides=SIDES[side],
        users=users,
    )


class Hostile(Installation):
    """An installation whose values nobody has checked."""

    @property
    def trust(self) -> dict[str, Any]:
        return {"Principal": self.portal_principal, self.external_id: [{"x": [self.external_id]}]}


def hostile(text: str) -> Installation:
    return Hostile(text, text, text, text, text)


every_partition = pytest.mark.parametrize("partition", REGIONS)
every_side = pytest.mark.parametrize("side", SIDES)
every_hostile = pytest.mark.parametrize("text", HOSTILE)


# --- Golden ----------------------------------------------------------------------------------


@every_side
@pytest.mark.parametrize(
    ("ending", "made"),
    [("tf", onboarding_files.terraform), ("sh", onboarding_files.commands)],
)
def test_the_files_are_those_that_somebody_read_with_care(
    ending: str, made: Callable[[Installation], str], side: str
) -> None:
    """`GOLDEN=write` writes them anew; give the .tf to `terraform fmt -check` as well."""
    path, text = FOLDER / f"onboarding-{side}.{ending}", made(installation(side=side))
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize(
    ("ending", "made"),
    [("tf", onboarding_files.terraform), ("sh", onboarding_files.commands)],
)
def test_the_files_for_creating_users_are_those_that_somebody_read_with_care(
    ending: str, made: Callable[[Installation], str]
) -> None:
    path = FOLDER / f"onboarding-source-users.{ending}"
    text = made(installation(side="source", users=True))
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()
    assert all(one.name in text for one in installation(users=True).managed_policies)


# --- Terraform -------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """What python-hcl2 gives, without its quotes; escapes in our strings are JSON's."""
    match value:
        case str() if value.startswith('"'):
            return json.loads(value, strict=False)
        case list():
            return [plain(one) for one in value]
        case dict():
            return {plain(key): plain(one) for key, one in value.items() if key[:2] != "__"}
    return value


def parsed(text: str) -> Any:
    return plain(hcl2.loads(text))


def resources(file: Any) -> dict[str, dict[str, Any]]:
    """Arguments by type and name; a reference to a local stands as that local's value."""
    (local,) = file["locals"]

    def resolved(argument: Any) -> Any:
        name = str(argument).removeprefix("${jsonencode(local.").removesuffix(")}")
        return local[name] if name != str(argument) else argument

    return {
        f"{kind}.{name}": {key: resolved(one) for key, one in arguments.items()}
        for block in file["resource"]
        for kind, named in block.items()
        for name, arguments in named.items()
    }


@every_side
@every_partition
def test_terraform_makes_the_documents_of_the_check(partition: str, side: str) -> None:
    found = resources(parsed(onboarding_files.terraform(installation(partition, side))))
    role = found.pop("aws_iam_role.sallyport_provisioner")
    assert role["name"] == onboarding.PROVISIONER_ROLE_NAME
    assert "path" not in role
    assert role["assume_role_policy"] == onboarding.provisioner_trust_policy(
        portal_principal=portal(partition), external_id=EXTERNAL_ID
    )
    policy = found.pop("aws_iam_role_policy.sallyport_provisioner")
    assert policy == {
        "name": onboarding.PROVISIONER_POLICY_NAME,
        "role": "${aws_iam_role.sallyport_provisioner.name}",
        "policy": onboarding.provisioner_policy(
            partition=partition, account_id=ACCOUNT, sides=SIDES[side]
        ),
    }
    if side != "source":
        boundary = found.pop("aws_iam_policy.sallyport_boundary")
        assert boundary["name"] == onboarding.BOUNDARY_POLICY_NAME
        assert "path" not in boundary
        assert boundary["policy"] == onboarding.boundary_policy(
            partition=partition, account_id=ACCOUNT
        )
    assert not found


def test_terraform_stops_in_another_account_and_brings_no_provider() -> None:
    file = parsed(onboarding_files.terraform(installation()))
    (data,) = file["data"]
    (life,) = data["aws_caller_identity"]["sallyport"]["lifecycle"]
    assert life["postcondition"][0]["condition"] == (
        "${self.account_id == local.sallyport_account_id}"
    )
    assert file["locals"][0]["sallyport_account_id"] == ACCOUNT
    for name, one in resources(file).items():
        waits = one.get("depends_on") or [one.get("role")]
        assert waits[0] in {
            "${data.aws_caller_identity.sallyport}",
            "${aws_iam_role.sallyport_provisioner.name}",
        }, name
    assert not {"provider", "terraform"} & set(file)


@every_hostile
def test_nothing_breaks_out_of_a_terraform_string(text: str) -> None:
    made = hostile(text)
    file = parsed(onboarding_files.terraform(made))
    assert set(file) == {"locals", "data", "resource"}
    (local,) = file["locals"]
    assert local == {
        "sallyport_account_id": text,
        "sallyport_trust_policy": made.trust,
        "sallyport_provisioner_policy": made.permissions,
        "sallyport_boundary_policy": made.boundary,
    }
    assert set(resources(file)) == set(
        resources(parsed(onboarding_files.terraform(installation())))
    )


@every_hostile
def test_no_terraform_string_holds_a_template(text: str) -> None:
    """Terraform looks for templates before it reads escapes, so none may stand there unescaped."""
    written = onboarding_files.terraform(hostile(text))
    assert "${" not in written
    assert "%{" not in written


# --- AWS CLI ---------------------------------------------------------------------------------


@dataclass
class Call:
    """One `aws` command."""

    name: str
    options: dict[str, str]

    @classmethod
    def of(cls, words: list[str]) -> "Call":
        options = words[2:]
        assert all(one.startswith("--") for one in options[::2])
        pairs = zip(options[::2], options[1::2], strict=True)
        return cls(" ".join(words[:2]), {name[2:]: value for name, value in pairs})


def told(text: str) -> list[Call]:
    """The calls, as a shell would split them; a line continued with a backslash is one line."""
    lexer = shlex.shlex(text.replace(" \\\n", " "), posix=True, punctuation_chars="&;|")
    lexer.whitespace_split, lexer.commenters = True, ""
    chain: list[list[str]] = [[]]
    for word in lexer:
        if word == "&&":
            chain.append([])
        else:
            assert set(word) - set("&;|")
            chain[-1].append(word)
    guard, *commands = chain
    assert guard[0] == "test"
    assert guard[2:] == ["=", ACCOUNT]
    assert all(words[0] == "aws" for words in commands)
    return [Call.of(words[1:]) for words in commands]


STUB = """\
#!/bin/sh
# Stands for the AWS CLI: keeps its arguments, and says which account it is signed in to.
{ for word; do printf '%s\\0' "$word"; done; printf '\\0'; } >> "$RECORD"
[ "$1 $2" != "sts get-caller-identity" ] || printf '%s' "$SIGNED_IN_TO"
"""


def run(text: str, folder: Path, signed_in_to: str) -> tuple[int, list[Call]]:
    """Run the commands in a real shell, with a stub in place of the AWS CLI."""
    stub, record = folder / "aws", folder / "record"
    stub.write_text(STUB)
    stub.chmod(0o755)
    work = folder / "work"
    work.mkdir()
    done = subprocess.run(  # noqa: S603  # Our own text and stub; that is what is tested.
        ["/bin/sh", "-c", text],
        cwd=work,
        env={
            "PATH": f"{folder}:/usr/bin:/bin",
            "RECORD": str(record),
            "SIGNED_IN_TO": signed_in_to,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert not list(work.iterdir())
    assert done.stderr == ""
    calls: list[list[str]] = [[]]
    for word in record.read_bytes().decode().split("\0")[:-1]:
        # Every call has an even number of words, so an empty one at an even place is its end.
        if word == "" and len(calls[-1]) % 2 == 0:
            calls.append([])
        else:
            calls[-1].append(word)
    return done.returncode, [Call.of(words) for words in calls if words]


def check_calls(calls: list[Call], partition: str, side: str) -> None:
    assert all(one.options["region"] == REGIONS[partition] for one in calls)
    *boundary, role, policy = calls
    assert (role.name, policy.name) == ("iam create-role", "iam put-role-policy")
    assert role.options["role-name"] == onboarding.PROVISIONER_ROLE_NAME
    assert "path" not in role.options
    assert json.loads(role.options["assume-role-policy-document"]) == (
        onboarding.provisioner_trust_policy(
            portal_principal=portal(partition), external_id=EXTERNAL_ID
        )
    )
    assert policy.options["role-name"] == onboarding.PROVISIONER_ROLE_NAME
    assert policy.options["policy-name"] == onboarding.PROVISIONER_POLICY_NAME
    assert json.loads(policy.options["policy-document"]) == onboarding.provisioner_policy(
        partition=partition, account_id=ACCOUNT, sides=SIDES[side]
    )
    assert [one.name for one in boundary] == ["iam create-policy"] * (side != "source")
    for one in boundary:
        assert one.options["policy-name"] == onboarding.BOUNDARY_POLICY_NAME
        assert "path" not in one.options
        assert json.loads(one.options["policy-document"]) == onboarding.boundary_policy(
            partition=partition, account_id=ACCOUNT
        )


@every_side
@every_partition
def test_the_commands_make_the_documents_of_the_check(partition: str, side: str) -> None:
    check_calls(told(onboarding_files.commands(installation(partition, side))), partition, side)


@every_side
def test_a_shell_passes_on_what_is_meant(side: str, tmp_path: Path) -> None:
    code, (identity, *calls) = run(
        onboarding_files.commands(installation(side=side)), tmp_path, ACCOUNT
    )
    assert code == 0
    assert identity.name == "sts get-caller-identity"
    check_calls(calls, "aws", side)


@pytest.mark.parametrize("signed_in_to", ["333333333333", ""])
def test_the_commands_stop_in_another_account(signed_in_to: str, tmp_path: Path) -> None:
    code, calls = run(onboarding_files.commands(installation()), tmp_path, signed_in_to)
    assert code != 0
    assert [one.name for one in calls] == ["sts get-caller-identity"]


@every_hostile
def test_nothing_breaks_out_of_a_shell_word(text: str, tmp_path: Path) -> None:
    # "$( )" drops line ends, so the account that the stub answers with can have none.
    made = replace(hostile(text), account_id=text.rstrip("\n"))
    code, calls = run(onboarding_files.commands(made), tmp_path, text.rstrip("\n"))
    assert code == 0
    assert [one.name for one in calls] == [
        "sts get-caller-identity",
        "iam create-policy",
        "iam create-role",
        "iam put-role-policy",
    ]
    assert {one.options["region"] for one in calls} == {text}
    documents = [
        json.loads(value)
        for one in calls
        for name, value in one.options.items()
        if name.endswith("document")
    ]
    assert documents == [made.boundary, made.trust, made.permissions]


# --- CloudFormation --------------------------------------------------------------------------


@every_side
@every_partition
def test_the_quick_create_link_says_everything(partition: str, side: str) -> None:
    link = urlsplit(onboarding_files.quick_create_url(installation(partition, side), TEMPLATE))
    region = REGIONS[partition]
    host = {
        "aws": "console.aws.amazon.com",
        "aws-us-gov": "console.amazonaws-us-gov.com",
        "aws-cn": "console.amazonaws.cn",
        "aws-eusc": "console.amazonaws-eusc.eu",
    }[partition]
    assert (link.scheme, link.netloc) == ("https", f"{region}.{host}")
    assert (link.path, link.query) == ("/cloudformation/home", f"region={region}")
    route, _, values = link.fragment.partition("?")
    assert route == "/stacks/create/review"
    assert dict(parse_qsl(values, strict_parsing=True)) == {
        "templateURL": TEMPLATE,
        "stackName": "sallyport",
        "param_PortalPrincipalArn": portal(partition),
        "param_ExternalId": EXTERNAL_ID,
        "param_Side": side,
        "param_CreateUsers": "no",
    }


@every_hostile
def test_nothing_breaks_out_of_a_value_of_the_link(text: str) -> None:
    made = Hostile("aws", ACCOUNT, "us-east-1", text, text)
    link = urlsplit(onboarding_files.quick_create_url(made, f"{TEMPLATE}?{text}"))
    assert link.netloc == "us-east-1.console.aws.amazon.com"
    values = parse_qsl(link.fragment.partition("?")[2], keep_blank_values=True)
    assert values == [
        ("templateURL", f"{TEMPLATE}?{text}"),
        ("stackName", "sallyport"),
        ("param_PortalPrincipalArn", text),
        ("param_ExternalId", text),
        ("param_Side", "both"),
        ("param_CreateUsers", "no"),
    ]


def test_names_and_values_fit_the_template() -> None:
    """The names are case-sensitive; the console passes over a name that it does not know [9.1]."""
    assert list(installation().parameters) == list(SOURCE["Parameters"])
    sides = {installation(side=one).parameters["Side"] for one in SIDES}
    assert sides == set(SOURCE["Parameters"]["Side"]["AllowedValues"])


def test_descriptions_and_session_are_those_of_the_template() -> None:
    role = SOURCE["Resources"]["ProvisionerRole"]["Properties"]
    boundary = SOURCE["Resources"]["BoundaryPolicy"]["Properties"]
    assert role["Description"] == onboarding_files.ROLE_DESCRIPTION
    assert role["MaxSessionDuration"] == onboarding_files.MAX_SESSION_SECONDS
    assert boundary["Description"] == onboarding_files.BOUNDARY_DESCRIPTION


@pytest.mark.parametrize(
    "address",
    [
        TEMPLATE,
        f"{TEMPLATE}?versionId=3HL4kqtJlcpXroDTDmJ",
        "https://templates.s3.amazonaws.com/sallyport-account.yaml",
        "https://my.templates.s3.dualstack.us-east-1.amazonaws.com/a.yaml",
        "https://s3.us-gov-west-1.amazonaws.com/templates/a.yaml",
        "https://s3-eu-west-1.amazonaws.com/templates/a.yaml",
        "https://templates.s3.cn-north-1.amazonaws.com.cn/a.yaml",
        "https://templates.s3.eusc-de-east-1.amazonaws.eu/a.yaml",
    ],
)
def test_an_address_in_s3_will_do(address: str) -> None:
    assert onboarding_files.is_template_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        TEMPLATE.replace("https", "http"),
        "https://templates.s3.amazonaws.com",
        "https://templates.s3.amazonaws.com/",
        "https://templates.s3-website-us-east-1.amazonaws.com/a.yaml",
        "https://templates.s3-website.eu-central-1.amazonaws.com/a.yaml",
        "https://example.com/a.yaml",
        "https://s3.amazonaws.com.example.com/a.yaml",
        "https://example.com/s3.amazonaws.com/a.yaml",
        "https://user@templates.s3.amazonaws.com/a.yaml",
        "https://d111111abcdef8.cloudfront.net/a.yaml",
        f"{TEMPLATE}#part",
        f"{TEMPLATE}\n",
        f"{TEMPLATE} two",
        "javascript:alert(1)//https://templates.s3.amazonaws.com/a.yaml",
    ],
)
def test_no_other_address_will_do(address: str) -> None:
    assert not onboarding_files.is_template_address(address)


# --- One data --------------------------------------------------------------------------------


@every_side
@every_partition
def test_what_sallyport_cannot_do_is_said_for_the_sides_in_use(partition: str, side: str) -> None:
    made = installation(partition, side)
    assert made.cannot == onboarding.cannot(partition, ACCOUNT, SIDES[side])
    assert made.unfenced == onboarding.unfenced(SIDES[side])


@every_side
def test_the_arns_are_those_of_what_is_made(side: str) -> None:
    made = installation(side=side)
    boundary = "" if side == "source" else onboarding.boundary_arn("aws", ACCOUNT)
    assert made.role_arn == onboarding.provisioner_role_arn("aws", ACCOUNT)
    assert made.boundary_arn == boundary


@pytest.mark.parametrize(
    "change",
    [
        {"portal_principal": "arn:aws:iam::999999999999:root"},
        {"portal_principal": "*"},
        {"external_id": "two words"},
        {"sides": frozenset[Side]()},
    ],
)
def test_no_file_is_made_from_what_nobody_may_install(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        replace(installation(), **change)
