"""The CloudFormation template makes the same documents as provisioning/core/onboarding.py."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.api import ManualArgs, lint_file

from provisioning.core import onboarding, user_policies
from provisioning.core.steps import Side

TEMPLATE = Path(__file__).parents[2] / "docs" / "cloudformation" / "sallyport-account.yaml"
ACCOUNT = "222222222222"
EXTERNAL_ID = "sallyport-0123456789abcdef0123456789abcdef"
SIDES = {
    "source": frozenset({Side.SOURCE}),
    "target": frozenset({Side.TARGET}),
    "both": frozenset(Side),
}
PARTITIONS = ["aws", "aws-us-gov", "aws-cn", "aws-eusc"]
NOTHING = object()


class Loader(yaml.SafeLoader):
    """Reads `!Sub x` as `{"Sub": x}`."""


def function(loader: Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.ScalarNode)
    return {suffix: loader.construct_scalar(node)}


Loader.add_multi_constructor("!", function)
SOURCE = yaml.load(TEMPLATE.read_text(), Loader=Loader)  # noqa: S506  # It is a SafeLoader.


@dataclass
class Deployment:
    """What CloudFormation would make of the template, for one partition and set of parameters."""

    values: dict[str, str]

    def resolve(self, node: Any) -> Any:
        match node:
            case {"Ref": "AWS::NoValue"}:
                return NOTHING
            case {"Ref": name}:
                return self.values[name]
            case {"Sub": text}:
                return re.sub(r"\$\{(.+?)\}", lambda found: self.values[found[1]], text)
            case {"If": [name, then, otherwise]}:
                holds = self.resolve(SOURCE["Conditions"][name])
                return self.resolve(then if holds else otherwise)
            case {"Not": [inner]}:
                return not self.resolve(inner)
            case {"Equals": [one, other]}:
                return self.resolve(one) == self.resolve(other)
            case dict():
                return {key: self.resolve(value) for key, value in node.items()}
            case list():
                return [one for one in map(self.resolve, node) if one is not NOTHING]
        return node

    def resources(self) -> dict[str, Any]:
        return {
            name: self.resolve(one["Properties"])
            for name, one in SOURCE["Resources"].items()
            if self.resolve({"If": [one["Condition"], True, False]} if "Condition" in one else True)
        }


def portal(partition: str) -> str:
    return f"arn:{partition}:iam::999999999999:role/SallyportPortal"


def deployed(partition: str, side: str, users: str = "no") -> dict[str, Any]:
    values = {
        # `${!x}` is how CloudFormation writes a `${x}` that is IAM's own.
        "!aws:username": "${aws:username}",
        "AWS::Partition": partition,
        "AWS::AccountId": ACCOUNT,
        "PortalPrincipalArn": portal(partition),
        "ExternalId": EXTERNAL_ID,
        "Side": side,
        "CreateUsers": users,
    }
    return Deployment(values).resources()


def test_cfn_lint_finds_nothing() -> None:
    regions = ["us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1"]
    assert lint_file(TEMPLATE, config=ManualArgs(regions=regions)) == []


@pytest.mark.parametrize("users", ["no", "yes"])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_template_makes_the_provisioner_role(partition: str, side: str, users: str) -> None:
    role = deployed(partition, side, users)["ProvisionerRole"]
    assert role["RoleName"] == onboarding.PROVISIONER_ROLE_NAME
    assert role.get("Path", "/") == "/"
    assert "ManagedPolicyArns" not in role
    assert role["AssumeRolePolicyDocument"] == onboarding.provisioner_trust_policy(
        portal_principal=portal(partition), external_id=EXTERNAL_ID
    )
    (policy,) = role["Policies"]
    assert policy["PolicyName"] == onboarding.PROVISIONER_POLICY_NAME
    assert policy["PolicyDocument"] == onboarding.provisioner_policy(
        partition=partition, account_id=ACCOUNT, sides=SIDES[side], users=users == "yes"
    )


@pytest.mark.parametrize("side", ["target", "both"])
@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_template_makes_the_boundary_policy(partition: str, side: str) -> None:
    boundary = deployed(partition, side)["BoundaryPolicy"]
    assert boundary["ManagedPolicyName"] == onboarding.BOUNDARY_POLICY_NAME
    assert boundary.get("Path", "/") == "/"
    assert boundary["PolicyDocument"] == onboarding.boundary_policy(
        partition=partition, account_id=ACCOUNT
    )


@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_template_makes_the_two_policies_of_created_users(partition: str) -> None:
    made = deployed(partition, "source", "yes")
    names = {"partition": partition, "account_id": ACCOUNT}
    boundary, own = made["UserBoundaryPolicy"], made["OwnCredentialsPolicy"]
    assert boundary["ManagedPolicyName"] == "SallyportUserBoundary"
    assert boundary["PolicyDocument"] == user_policies.user_boundary_policy(**names)
    assert own["ManagedPolicyName"] == "SallyportOwnCredentials"
    assert own["PolicyDocument"] == user_policies.own_credentials_policy(**names)
    assert {boundary.get("Path", "/"), own.get("Path", "/")} == {"/"}


def test_a_source_account_needs_no_boundary_policy() -> None:
    assert list(deployed("aws", "source")) == ["ProvisionerRole"]


def test_the_parameters_take_what_the_code_takes_and_no_account_root() -> None:
    parameters = SOURCE["Parameters"]
    principal, external = (
        re.compile(parameters[name]["AllowedPattern"])
        for name in ("PortalPrincipalArn", "ExternalId")
    )
    for partition in PARTITIONS:
        assert principal.fullmatch(portal(partition))
    assert not principal.fullmatch("arn:aws:iam::999999999999:root")
    assert not principal.fullmatch("*")
    assert external.fullmatch(EXTERNAL_ID)
    assert parameters["Side"]["AllowedValues"] == ["source", "target", "both"]


def test_no_parameter_is_hidden() -> None:
    """A quick-create link ignores NoEcho parameters [AWS-FACTS 9.1]."""
    assert all("NoEcho" not in one for one in SOURCE["Parameters"].values())
