"""The IAM documents of a grant: golden files, and what they mean."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from provisioning.core import documents, naming
from tests.core.golden import assert_golden
from tests.core.specs import CLASSIC, END

USER = "arn:aws:iam::111111111111:user/userA"
ROLE = naming.role_arn("aws", "222222222222", CLASSIC.role_name)
GROUP = naming.group_arn("aws", "111111111111", "switch-to-222222222222")
BOUNDARY = "arn:aws:iam::222222222222:policy/SallyportBoundary"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"

MADE = {
    "grant-trust": documents.trust_policy(
        user_arn=USER, end=documents.aws_time(END), require_mfa=True
    ),
    "grant-trust-without-mfa": documents.trust_policy(
        user_arn=USER, end=documents.aws_time(END), require_mfa=False
    ),
    "grant-dated-deny": documents.dated_deny(documents.aws_time(END)),
    "grant-deny-all": documents.deny_all(),
    "grant-switch": documents.switch_policy(
        partition="aws", targets=["333333333333", "222222222222"]
    ),
    "grant-source-session": documents.source_session_policy(
        group_arn=GROUP, user_arn=USER, policy_arns=[READ_ONLY]
    ),
    "grant-target-session": documents.target_session_policy(role_arn=ROLE, policy_arns=[READ_ONLY]),
    "preview-source-session": documents.source_preview_policy(
        group_arn=GROUP, user_arn=USER, policies_arn="arn:aws:iam::aws:policy/*"
    ),
    "preview-target-session": documents.target_preview_policy(
        role_arn=ROLE, boundary_arn=BOUNDARY, policies_arn="arn:aws:iam::aws:policy/*"
    ),
}


@pytest.mark.parametrize("name", sorted(MADE))
def test_document_is_the_golden_one(name: str) -> None:
    assert_golden(name, MADE[name])


def test_trust_names_one_user_before_the_end_with_mfa_and_nothing_else() -> None:
    (statement,) = MADE["grant-trust"]["Statement"]

    assert statement["Effect"] == "Allow"
    assert statement["Principal"] == {"AWS": USER}
    assert statement["Action"] == "sts:AssumeRole"
    assert statement["Condition"] == {
        "DateLessThan": {"aws:CurrentTime": "2026-11-23T12:30:00Z"},
        "Bool": {"aws:MultiFactorAuthPresent": "true"},
    }


def test_nothing_made_for_a_person_demands_an_external_id() -> None:
    # The console cannot send one, so the Switch role link would never work [AWS-FACTS 1.19].
    assert "ExternalId" not in json.dumps([MADE["grant-trust"], MADE["grant-switch"]])


def test_switch_policy_never_opens_every_role() -> None:
    (statement,) = MADE["grant-switch"]["Statement"]

    assert statement["Action"] == "sts:AssumeRole"
    assert statement["Resource"] == [
        "arn:aws:iam::222222222222:role/sallyport/*",
        "arn:aws:iam::333333333333:role/sallyport/*",
    ]


def test_the_deny_begins_where_the_trust_stops() -> None:
    (trust,) = MADE["grant-trust"]["Statement"]
    (deny,) = MADE["grant-dated-deny"]["Statement"]

    assert deny["Effect"] == "Deny"
    assert (deny["Action"], deny["Resource"]) == ("*", "*")
    assert (
        deny["Condition"]["DateGreaterThanEquals"]["aws:CurrentTime"]
        == trust["Condition"]["DateLessThan"]["aws:CurrentTime"]
    )


@pytest.mark.parametrize("name", ["grant-source-session", "grant-target-session"])
def test_session_policies_name_one_grant_and_fit(name: str) -> None:
    document = json.loads(json.dumps(MADE[name]))
    for one in document["Statement"]:
        one["Action"] = [one["Action"]] if isinstance(one["Action"], str) else one["Action"]

    assert len(documents.dumps(MADE[name])) <= documents.SESSION_POLICY_LIMIT
    looks = {"iam:GetRole", "iam:GetGroup", "iam:GetUser"}
    for statement in document["Statement"]:
        everywhere = statement["Resource"] == "*" and set(statement["Action"]) <= looks
        assert everywhere or statement["Resource"] in {GROUP, USER, ROLE}, statement


@pytest.mark.parametrize("name", ["preview-source-session", "preview-target-session"])
def test_sessions_that_try_a_plan_only_read_and_fit(name: str) -> None:
    asked = [
        action
        for statement in MADE[name]["Statement"]
        for action in (
            [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        )
    ]

    assert len(documents.dumps(MADE[name])) <= documents.SESSION_POLICY_LIMIT / 2
    assert all(one.startswith(("iam:Get", "iam:List", "iam:Simulate")) for one in asked)


def test_longest_names_still_fit_a_session_policy() -> None:
    arns = [
        naming.managed_policy_arn("aws-us-gov", f"job-function/{'P' * 60}{n}") for n in range(10)
    ]
    role = naming.role_arn("aws-us-gov", "222222222222", "r" * 53)

    policy = documents.target_session_policy(role_arn=role, policy_arns=arns)

    assert len(documents.dumps(policy)) <= documents.SESSION_POLICY_LIMIT


def test_times_are_utc_and_cut_never_rounded_up() -> None:
    berlin = timezone(timedelta(hours=1))
    moment = datetime(2026, 11, 23, 13, 30, 0, 999_999, tzinfo=berlin)

    assert documents.aws_time(moment) == "2026-11-23T12:30:00Z"
    assert documents.aws_time(moment.astimezone(UTC)) == "2026-11-23T12:30:00Z"


def test_order_and_list_form_do_not_make_documents_differ() -> None:
    one = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["a:X", "a:Y"], "Resource": "*"},
            {"Effect": "Deny", "Action": "a:Z", "Resource": ["r1", "r2"]},
        ],
    }
    other = {
        "Statement": [
            {"Resource": ["r2", "r1"], "Effect": "Deny", "Action": ["a:Z"]},
            {"Effect": "Allow", "Resource": ["*"], "Action": ["a:Y", "a:X"]},
        ],
        "Version": "2012-10-17",
    }

    assert documents.same(one, other)


def test_condition_values_are_compared_as_sets() -> None:
    one = documents.trust_policy(user_arn=USER, end="E", require_mfa=True)
    other = json.loads(json.dumps(one))
    other["Statement"][0]["Principal"]["AWS"] = [USER]
    other["Statement"][0]["Condition"]["Bool"]["aws:MultiFactorAuthPresent"] = ["true"]

    assert documents.same(one, other)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["Principal"].update(AWS="arn:aws:iam::111111111111:root"),
        lambda s: s["Condition"].pop("Bool"),
        lambda s: s["Condition"]["DateLessThan"].update(
            {"aws:CurrentTime": "2027-01-01T00:00:00Z"}
        ),
        lambda s: s.update(Effect="Deny"),
    ],
)
def test_any_change_of_meaning_makes_documents_differ(change: object) -> None:
    other = json.loads(json.dumps(MADE["grant-trust"]))
    change(other["Statement"][0])  # type: ignore[operator]  # one of the lambdas above

    assert not documents.same(MADE["grant-trust"], other)


def test_a_document_with_less_is_narrower_and_one_with_more_is_not() -> None:
    trust = MADE["grant-trust"]
    nobody = {"Version": "2012-10-17", "Statement": []}
    wider = json.loads(json.dumps(trust))
    wider["Statement"].append({"Effect": "Allow", "Principal": {"AWS": "*"}})

    assert documents.narrower(nobody, trust)
    assert not documents.narrower(wider, trust)


def test_a_missing_deny_is_never_called_narrower() -> None:
    nothing = {"Version": "2012-10-17", "Statement": []}

    assert not documents.narrower(nothing, MADE["grant-dated-deny"])
