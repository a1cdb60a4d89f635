"""What permissions amount to: the list of actions, the lint, the words. No database."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.iam.aws_managed_policies import aws_managed_policies_data

from accounts.forms.drafts import EXAMPLES, Draft, examples
from accounts.permissions import catalogue, effects, knowledge, managed, positions
from accounts.permissions.catalogue import Level
from accounts.permissions.lint import Report, Risk, Severity, review
from provisioning.core import coverage, onboarding

PASS_ROLE = ["iam:PassRole", "ec2:RunInstances"]


def policy(*actions: str, resource: Any = "*", **more: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource} | more
    return {"Version": "2012-10-17", "Statement": [statement]}


def inline(*actions: str, **more: Any) -> Report:
    return review([], policy(*actions, **more))


def keys(report: Report, severity: Severity) -> set[str]:
    return {one.key for one in report.findings if one.severity is severity}


# --- The list of actions ---------------------------------------------------------------------


def test_the_list_is_complete_enough() -> None:
    assert len(catalogue.services()) > 430
    assert len(catalogue.everything()) > 20_000
    assert {"iam", "sts", "s3", "ec2", "dynamodb", "lambda", "kms"} <= catalogue.services().keys()


@pytest.mark.parametrize(
    ("action", "level"),
    [
        ("s3:GetObject", Level.READ),
        ("s3:ListAllMyBuckets", Level.LIST),
        ("s3:PutBucketPolicy", Level.SHARING),
        ("ec2:RunInstances", Level.WRITE),
        ("ec2:CreateTags", Level.TAGGING),
        ("iam:PassRole", Level.WRITE),
        ("sts:AssumeRole", Level.WRITE),
    ],
)
def test_actions_have_aws_levels(action: str, level: Level) -> None:
    assert catalogue.everything()[action] is level


@pytest.mark.parametrize(
    ("pattern", "nearest"),
    [
        ("s3:ListObjects", "s3:ListBucket"),
        ("s3:GetObjct", "s3:GetObject"),
        ("lamda:InvokeFunction", "lambda:InvokeFunction"),
        ("s3:Lst*", "s3:L*"),
        ("zzzzzz:Do", ""),
    ],
)
def test_an_unknown_action_is_told_with_the_nearest_known_one(pattern: str, nearest: str) -> None:
    with pytest.raises(catalogue.Unknown) as caught:
        catalogue.expand(pattern)
    assert caught.value.nearest == nearest


def test_case_and_wildcards_are_read_as_iam_reads_them() -> None:
    assert catalogue.expand("S3:getobject") == {"s3:GetObject"}
    assert catalogue.expand("sts:Get?allerIdentity") == {"sts:GetCallerIdentity"}
    assert catalogue.expand("s3:*") == catalogue.whole_service("s3")
    assert catalogue.expand("*") == set(catalogue.everything())


def test_every_table_names_actions_that_exist() -> None:
    tables = (
        knowledge.DATA,
        knowledge.CREDENTIALS,
        knowledge.LOOSE_SETTINGS,
        knowledge.IDENTITY_READS,
        knowledge.DENIED_BY_BOUNDARY,
        tuple(sorted(knowledge.NOT_A_CHANGE - {"cassandra:Select"})),
        tuple(sorted(knowledge.ingredients())),
    )
    assert [one for table in tables for one in table if not catalogue.covered(one)] == []


def test_the_boundary_is_that_of_the_template() -> None:
    services = tuple(f"{one}:*" for one in knowledge.IDENTITY_SERVICES)
    denied = {*onboarding.BECOMING_SOMEBODY_ELSE, *onboarding.BORROWING_A_ROLE}
    assert services == onboarding.IDENTITY_SERVICES
    assert knowledge.IDENTITY_READS == onboarding.IDENTITY_READS
    assert set(knowledge.DENIED_BY_BOUNDARY) == denied


# --- Managed policies ------------------------------------------------------------------------


def test_the_file_of_managed_policies_is_what_the_rules_make_of_them() -> None:
    policies = json.loads(aws_managed_policies_data)
    assert len(managed.names()) == len(policies)
    sample = random.Random(7).sample(sorted(policies), 60)  # noqa: S311  # A sample, no secret.
    for name in {*sample, "ReadOnlyAccess", "PowerUserAccess", "AdministratorAccess"}:
        path = policies[name]["Path"].lstrip("/")
        known = managed.find(path + name)
        assert known is not None
        if known.attachable:
            assert known.effects == effects.of(policies[name]["Document"]), name


@pytest.mark.parametrize(
    ("name", "risk"),
    [
        ("ReadOnlyAccess", Risk.DATA),
        ("SecurityAudit", Risk.DATA),
        ("job-function/ViewOnlyAccess", Risk.SETTINGS),
        ("IAMReadOnlyAccess", Risk.SETTINGS),
        ("AmazonEC2ReadOnlyAccess", Risk.SETTINGS),
        ("AmazonS3ReadOnlyAccess", Risk.DATA),
        ("AmazonS3FullAccess", Risk.HIGH),
        ("IAMFullAccess", Risk.HIGH),
        ("PowerUserAccess", Risk.HIGH),
        ("AdministratorAccess", Risk.HIGH),
        ("job-function/SystemAdministrator", Risk.HIGH),
        ("NobodyKnowsThisAccess", Risk.HIGH),
    ],
)
def test_managed_policies_are_rated(name: str, risk: Risk) -> None:
    assert review([name], None).risk is risk


def test_every_named_policy_exists() -> None:
    assert managed.WORDS.keys() <= managed.names()


def test_a_policy_of_a_service_linked_role_is_refused() -> None:
    name = next(one for one in sorted(managed.names()) if one.startswith("aws-service-role/"))
    assert keys(review([name], None), Severity.REFUSED) == {"managed-not-attachable"}


# --- The lint --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "key"),
    [
        (policy("s3:ListObjects"), "unknown-action"),
        (policy("s3:Zz*"), "unknown-action"),
        (policy("s3:GetObject", Principal="*"), "principal"),
        ({"Statement": {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}}, "not-action"),
        ({"Statement": {"Effect": "Deny", "Action": "s3:Gte*", "Resource": "*"}}, "unknown-action"),
    ],
)
def test_what_is_refused(document: dict[str, Any], key: str) -> None:
    report = review([], document)
    assert keys(report, Severity.REFUSED) == {key}
    assert report.risk is Risk.HIGH


@pytest.mark.parametrize(
    ("report", "key"),
    [
        (inline("*"), "everything"),
        (inline("ec2:*"), "whole-service"),
        (inline("iam:*"), "identity-changes"),
        (inline("iam:Create*"), "identity-changes"),
        (inline("organizations:*"), "identity-changes"),
        (inline("s3:PutBucketPolicy"), "outlasts"),
        (inline("secretsmanager:GetSecretValue"), "credentials"),
        (inline("s3:GetObject", NotResource="arn:aws:s3:::x"), "not-resource"),
        (inline(*PASS_ROLE), "escalation-pass-role-ec2"),
        (inline("iam:CreatePolicyVersion"), "escalation-policy-version"),
        (inline("iam:UpdateAssumeRolePolicy"), "escalation-trust"),
        (inline("lambda:UpdateFunctionCode"), "escalation-run-in-function"),
        (inline("ssm:SendCommand"), "escalation-run-on-machine"),
        (inline("cloudformation:UpdateStack"), "escalation-run-in-stack"),
        (inline("eks:CreateAccessEntry"), "escalation-cluster-access"),
        (review(["job-function/Billing"], policy("sts:AssumeRole")), "escalation-other-role"),
    ],
)
def test_what_is_risky(report: Report, key: str) -> None:
    assert key in keys(report, Severity.RISKY)
    assert report.risk is Risk.HIGH


@pytest.mark.parametrize(
    ("report", "risk"),
    [
        (inline("s3:ListAllMyBuckets", "ec2:Describe*"), Risk.SETTINGS),
        (inline("iam:List*", "iam:Get*", "organizations:Describe*"), Risk.SETTINGS),
        (inline("s3:GetObject"), Risk.DATA),
        (inline("dynamodb:Scan"), Risk.DATA),
        (inline("kms:Decrypt"), Risk.DATA),
        (inline("ec2:StartInstances"), Risk.CHANGES),
        (
            inline(
                "secretsmanager:GetSecretValue",
                resource="arn:aws:secretsmanager:*:*:secret:team-x-*",
            ),
            Risk.DATA,
        ),
        (inline("iam:PassRole", Effect="Deny"), Risk.SETTINGS),
        (inline("ec2:RunInstances"), Risk.CHANGES),
    ],
)
def test_what_one_approver_may_give(report: Report, risk: Risk) -> None:
    assert report.risk is risk
    assert not report.risky


@pytest.mark.parametrize("path", knowledge.ESCALATIONS, ids=lambda one: one.key)
def test_every_escalation_is_found_and_needs_all_its_parts(path: knowledge.Escalation) -> None:
    every = [group[0] for group in path.needs]
    assert f"escalation-{path.key}" in keys(inline(*every), Severity.RISKY)
    for left_out in every:
        rest = [one for one in every if one != left_out]
        found = keys(inline(*rest), Severity.RISKY) if rest else set()
        assert f"escalation-{path.key}" not in found


def test_an_escalation_says_whether_the_boundary_stops_it() -> None:
    stopped = next(one for one in inline("ssm:SendCommand").risky if "escal" in one.key)
    open_one = next(one for one in inline("eks:CreateAccessEntry").risky if "escal" in one.key)
    assert stopped.advice.startswith("The boundary of Sallyport's template forbids it")
    assert open_one.advice.startswith("The boundary does not stop this one")


def test_parts_of_an_escalation_meet_across_policies() -> None:
    assert review(["AmazonEC2ReadOnlyAccess"], policy("iam:PassRole")).risk is Risk.HIGH
    together = review(["job-function/NetworkAdministrator"], policy("iam:PassRole"))
    assert "escalation-pass-role-ec2" not in keys(together, Severity.RISKY)
    split = {"Version": "2012-10-17", "Statement": []}
    split["Statement"] = [policy(one)["Statement"][0] for one in PASS_ROLE]
    assert "escalation-pass-role-ec2" in keys(review([], split), Severity.RISKY)


def test_a_finding_says_where() -> None:
    document = policy("s3:GetObject")
    document["Statement"].append(
        {"Sid": "Odd", "Effect": "Allow", "Action": "s3:Nope", "Resource": "*"}
    )
    (finding,) = review([], document).refused
    assert (finding.statement, finding.where, finding.action) == (2, "Statement 2 (Odd)", "s3:Nope")


def test_a_denial_everywhere_takes_away() -> None:
    document = policy("s3:*")
    deny = {"Effect": "Deny", "Action": "s3:Get*", "Resource": "*"}
    assert "s3" in effects.of(document).data
    document["Statement"].append(deny)
    assert "s3" not in effects.of(document).data
    document["Statement"][1]["Condition"] = {"Bool": {"aws:ViaAWSService": "false"}}
    assert "s3" in effects.of(document).data


@pytest.mark.parametrize(
    ("report", "summary"),
    [
        (
            review(["job-function/ViewOnlyAccess"], None),
            "Lists and reads settings, and no stored data that Sallyport knows of; "
            "changes nothing.",
        ),
        (
            inline("s3:GetObject", "ec2:StartInstances"),
            "Reads stored data of Amazon S3; changes Amazon EC2.",
        ),
        (
            inline("iam:CreateUser"),
            "Gives nothing within the boundary; changes nothing. "
            "The boundary takes part of it away.",
        ),
        (review(["NewAccess"], None), "What NewAccess gives is not known."),
        (inline("s3:GetObject", Effect="Deny"), "Gives nothing by itself."),
    ],
)
def test_the_summary_says_what_can_really_be_done(report: Report, summary: str) -> None:
    assert report.summary == summary


def test_a_confirmation_is_of_these_risks_and_no_others() -> None:
    one, other = inline("iam:*"), inline("iam:*", "ec2:*")
    assert one.digest == inline("iam:*").digest
    assert one.digest != other.digest


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["Statement", "Action", "NotAction", "Effect", "Resource", "Sid", "x"]),
            inner | st.sampled_from(["Allow", "Deny", "*", "s3:*", "iam:P*", "x:y"]),
            max_size=5,
        )
    ),
    max_leaves=30,
)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_the_lint_reads_any_json(document: Any) -> None:
    report = review([], document if isinstance(document, dict) else {"Statement": document})
    assert report.risk in Risk
    assert report.summary


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200), JSON)
def test_a_draft_reads_any_text(text: str, document: Any) -> None:
    for typed in (text, json.dumps(document, indent=1)):
        draft = Draft(text, typed)
        assert draft.report.summary is not None
        for row in (*draft.refused, *draft.risky, *draft.notes):
            assert row.line is None or row.line > 0


@pytest.mark.parametrize("name", ["s3:Get*", "*:*", "ec2:*a*e*i*o*u*?"])
def test_patterns_are_read_like_the_judge_of_foreign_policies_reads_them(name: str) -> None:
    want = {
        one
        for one in catalogue.everything()
        if name != "*:*" and coverage.covers(name.lower(), one.lower())
    }
    assert catalogue.covered(name) == frozenset(want)


# --- Drafts ----------------------------------------------------------------------------------


def test_a_draft_names_lines() -> None:
    text = json.dumps(policy("s3:GetObject", "s3:Nope"), indent=2)
    (row,) = Draft("", text).refused
    assert text.splitlines()[(row.line or 0) - 1].strip() == '"s3:Nope"'


def test_a_draft_that_is_no_json_says_where() -> None:
    draft = Draft("", '{\n  "Version": ,\n}')
    assert draft.problems == ["This is not valid JSON: Expecting value (line 2, column 14)."]
    assert not draft.is_readable


def test_spans_of_statements_survive_quotes_and_nesting() -> None:
    document = policy('a"b{', Condition={"x": {"y": ["{", "}"]}})
    document["Statement"] *= 2
    text = json.dumps({"Id": '"Statement"', **document})
    spans = positions.statement_spans(text)
    assert [json.loads(text[start:end]) for start, end in spans] == document["Statement"]


def test_the_examples_are_clean() -> None:
    assert len(examples()) == len(EXAMPLES)
    for name, text in examples():
        draft = Draft("", text)
        assert not draft.problems, name
        assert not draft.refused, name
        assert not draft.risky, name


def test_the_size_is_counted_as_aws_counts() -> None:
    assert Draft("", json.dumps(policy("s3:GetObject"), indent=4)).size == (
        f"{len(json.dumps(policy('s3:GetObject'), separators=(',', ':')))} of 10,240 characters"
    )
