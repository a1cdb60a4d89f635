"""Every rule of pre-flight, on both sides of its line."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from provisioning.core import preflight
from provisioning.core.plan import AccountRef, FoundGroup, GrantSpec
from provisioning.core.preflight import (
    Facts,
    Finding,
    LastCheck,
    Level,
    NotSeen,
    Simulation,
    SourceFacts,
    TargetFacts,
    Unread,
)
from tests.core.specs import CLASSIC, INLINE, NOW, spec

BLOCKS, WARN, UNKNOWN, OK = Level.BLOCKS, Level.WARN, Level.UNKNOWN, Level.OK
REFUSED = Unread("iam:Something", "AccessDenied")
THROTTLED = Unread("iam:Something", "Throttling")
QUOTAS = {
    "Roles": 12,
    "RolesQuota": 1000,
    "Groups": 3,
    "GroupsQuota": 300,
    "GroupsPerUserQuota": 10,
    "AttachedPoliciesPerRoleQuota": 10,
    "AssumeRolePolicySizeQuota": 2048,
    "RolePolicySizeQuota": 10240,
    "GroupPolicySizeQuota": 5120,
}
SOURCE = SourceFacts(
    user_id=CLASSIC.user_id,
    group=None,
    member=False,
    groups=1,
    mfa_devices=1,
    own_denies=Simulation(denied=False),
    quotas=QUOTAS,
    missing_policies=(),
)
TARGET = TargetFacts(role=None, boundary_exists=True, quotas=QUOTAS, missing_policies=())
CHECKS = tuple(
    LastCheck(account, passed=True, at=NOW - timedelta(hours=1))
    for account in (CLASSIC.source, CLASSIC.target)
)
FACTS = Facts(SOURCE, TARGET, CHECKS)
GROUP = FoundGroup(path="/sallyport/", inline={}, managed=())


def judged(facts: Facts = FACTS, wanted: GrantSpec = CLASSIC) -> dict[str, Finding]:
    return {one.key: one for one in preflight.findings(wanted, facts, NOW)}


def source(**changes: Any) -> Facts:
    return replace(FACTS, source=replace(SOURCE, **changes))


def target(**changes: Any) -> Facts:
    return replace(FACTS, target=replace(TARGET, **changes))


def quotas(**changes: int) -> dict[str, int]:
    return QUOTAS | changes


def test_where_everything_is_as_it_should_be_every_finding_is_good() -> None:
    found = judged()

    assert {one.level for one in found.values()} == {OK}
    assert set(found) == {
        "name_length",
        "partition",
        "session_length",
        "policy_count",
        "inline_size",
        "trust_size",
        "group_size",
        "user",
        "user_groups",
        "mfa",
        "own_denies",
        "group_quota",
        "group_policies",
        "role_quota",
        "boundary",
        "role_policies",
        "names",
        "check_111111111111",
        "check_222222222222",
    }
    assert not any(one.mend or one.who for one in found.values())


@pytest.mark.parametrize(
    ("key", "facts", "level", "words"),
    [
        ("user", source(user_id=""), BLOCKS, "There is no IAM user userA in Identity any more."),
        ("user", source(user_id="AIDAOTHER"), BLOCKS, "was deleted and made again"),
        ("user_groups", source(groups=9), OK, "userA is in 9 groups; AWS allows 10."),
        ("user_groups", source(groups=10), BLOCKS, "userA is in 10 groups; AWS allows 10."),
        ("user_groups", source(groups=10, member=True), OK, "userA is in switch-to-"),
        (
            "user_groups",
            source(groups=10, quotas=REFUSED),
            BLOCKS,
            "userA is in 10 groups; AWS allows 10.",
        ),
        ("user_groups", source(groups=REFUSED), UNKNOWN, "(iam:Something was refused)"),
        ("mfa", source(mfa_devices=0), WARN, "userA has no MFA device"),
        ("mfa", source(mfa_devices=REFUSED), UNKNOWN, "its template is older"),
        (
            "mfa",
            source(mfa_devices=THROTTLED),
            UNKNOWN,
            "(iam:Something: Throttling).",
        ),
        (
            "own_denies",
            source(own_denies=Simulation(denied=True)),
            BLOCKS,
            "of Identity denies userA",
        ),
        (
            "own_denies",
            source(own_denies=Simulation(denied=True, denied_by=("user_userA_NoRoles",))),
            BLOCKS,
            "of Identity (user_userA_NoRoles) denies userA the switch into the coming role",
        ),
        (
            "own_denies",
            source(own_denies=Simulation(denied=True, by_organization=True)),
            BLOCKS,
            "A policy of the organization of Identity denies",
        ),
        (
            "own_denies",
            source(own_denies=Simulation(denied=True, depends_on=("aws:sourceip",))),
            WARN,
            "depending on aws:sourceip: that is known only when they sign in.",
        ),
        (
            "own_denies",
            source(own_denies=Simulation(denied=False, outside_boundary=True)),
            WARN,
            "permissions boundary of userA does not seem to allow",
        ),
        ("own_denies", source(own_denies=REFUSED), UNKNOWN, "was refused"),
        ("group_quota", source(quotas=quotas(Groups=295)), OK, "5 are left"),
        ("group_quota", source(quotas=quotas(Groups=296)), WARN, "4 are left"),
        ("group_quota", source(quotas=quotas(Groups=300)), BLOCKS, "300 of 300 groups; 0 are left"),
        ("group_quota", source(quotas=REFUSED), UNKNOWN, "was refused"),
        ("group_quota", source(quotas={}), UNKNOWN, "without GroupsQuota"),
        ("group_policies", source(missing_policies=("arn:x",)), BLOCKS, "AWS has no policy arn:x."),
        ("group_policies", source(missing_policies=REFUSED), UNKNOWN, "was refused"),
        ("role_quota", target(quotas=quotas(Roles=980)), OK, "20 are left"),
        ("role_quota", target(quotas=quotas(Roles=981)), WARN, "19 are left"),
        ("role_quota", target(quotas=quotas(Roles=1000)), BLOCKS, "0 are left"),
        ("role_quota", target(quotas=quotas(Roles=1001)), BLOCKS, "0 are left"),
        ("role_quota", target(quotas=REFUSED), UNKNOWN, "was refused"),
        ("boundary", target(boundary_exists=False), BLOCKS, "does not exist"),
        ("boundary", target(boundary_exists=REFUSED), UNKNOWN, "was refused"),
        ("role_policies", target(missing_policies=("arn:y",)), BLOCKS, "AWS has no policy arn:y."),
        ("role_policies", target(missing_policies=REFUSED), UNKNOWN, "was refused"),
        ("names", replace(FACTS, foreign="A role named x exists."), BLOCKS, "A role named x"),
        ("source_account", replace(FACTS, source=NotSeen("No way in.", False)), BLOCKS, "No way"),
        ("target_account", replace(FACTS, target=NotSeen("No way in.", False)), BLOCKS, "No way"),
        ("target_account", replace(FACTS, target=NotSeen("Slow.", True)), UNKNOWN, "Slow."),
    ],
)
def test_each_rule_about_an_account(key: str, facts: Facts, level: Level, words: str) -> None:
    found = judged(facts)[key]

    assert (found.level, words in found.sentence) == (level, True), found
    assert bool(found.mend) == (level is not OK)


@pytest.mark.parametrize(
    ("key", "wanted", "given", "level", "words"),
    [
        ("name_length", spec(code="k" * 20), {}, OK, "the console can switch to 64 at most."),
        ("partition", spec(source=AccountRef("aws-cn", "1", "A")), {}, BLOCKS, "aws-cn"),
        ("session_length", spec(max_session=timedelta(hours=12)), {}, OK, "up to 12 h"),
        ("session_length", spec(max_session=timedelta(hours=12, seconds=1)), {}, BLOCKS, "1 to 12"),
        ("session_length", spec(max_session=timedelta(minutes=59)), {}, BLOCKS, "1 to 12"),
        ("policy_count", spec(managed_policies=tuple("abcdefghij")), {}, OK, "10 managed"),
        ("policy_count", spec(managed_policies=tuple("abcdefghijk")), {}, UNKNOWN, "11 managed"),
        (
            "policy_count",
            spec(managed_policies=tuple("abcdefghijk")),
            quotas(),
            BLOCKS,
            "11 managed policies; AWS takes 10 at most.",
        ),
        (
            "policy_count",
            spec(managed_policies=tuple("abcdefghijk")),
            quotas(AttachedPoliciesPerRoleQuota=25),
            OK,
            "AWS takes 25 at most.",
        ),
        (
            "policy_count",
            spec(managed_policies=tuple("abcdefghijklmnopqrstuvwxyz")),
            {},
            BLOCKS,
            "AWS takes 25 at most.",
        ),
        ("inline_size", spec(inline_policy=INLINE), {}, OK, "10,240 at most."),
        (
            "inline_size",
            spec(inline_policy={"x": "y" * 9_100}),
            {},
            WARN,
            "so little room is left.",
        ),
        (
            "inline_size",
            spec(inline_policy={"x": "y" * 10_100}),
            {},
            BLOCKS,
            "10,240 at most.",
        ),
        ("trust_size", spec(user_arn="u" * 1_400), {}, OK, "takes 2,048 at most."),
        ("trust_size", spec(user_arn="u" * 1_700), quotas(), WARN, "little room is left."),
        ("trust_size", spec(user_arn="u" * 2_000), quotas(), BLOCKS, "takes 2,048 at most."),
        ("trust_size", spec(user_arn="u" * 2_000), {}, UNKNOWN, "could not be read"),
        (
            "trust_size",
            spec(user_arn="u" * 2_000),
            quotas(AssumeRolePolicySizeQuota=4096),
            OK,
            "takes 4,096 at most.",
        ),
        ("trust_size", spec(user_arn="u" * 8_100), {}, BLOCKS, "takes 8,192 at most."),
    ],
)
def test_each_rule_about_names_and_sizes(
    key: str, wanted: GrantSpec, given: dict[str, int], level: Level, words: str
) -> None:
    found = (
        judged(target(quotas=given), wanted)
        if given
        else {one.key: one for one in preflight.static_findings(wanted)}
    )[key]

    assert (found.level, words in found.sentence) == (level, True), found
    assert bool(found.mend) == (level is not OK)


@pytest.mark.parametrize(("count", "level"), [(90, OK), (105, WARN), (120, BLOCKS)])
def test_a_switch_groups_policy_grows_with_its_targets(count: int, level: Level) -> None:
    wanted = spec(group_targets=tuple(f"{number:012}" for number in range(count)))

    found = judged(FACTS, wanted)["group_size"]

    assert found.level is level
    assert f"leads to {count} accounts" in found.sentence


def test_a_role_name_that_the_console_could_not_take_is_refused() -> None:
    long = spec(profile_role="R", user_name="u", code="k" * 60)

    found = {one.key: one for one in preflight.static_findings(long)}["name_length"]

    assert found.level is BLOCKS
    assert found.sentence.startswith(
        "The role's path and name have 74 characters; the console can switch to 64 at most."
    )


def test_what_exists_already_needs_no_room() -> None:
    full = source(group=GROUP, quotas=quotas(Groups=300))

    assert "group_quota" not in judged(full)


def test_nobody_elses_groups_and_devices_are_told_of() -> None:
    found = judged(source(user_id="AIDAOTHER", groups=10, mfa_devices=0))

    assert {"user_groups", "mfa", "own_denies"}.isdisjoint(found)


def test_without_a_demand_for_mfa_devices_do_not_matter() -> None:
    assert "mfa" not in judged(source(mfa_devices=0), spec(require_mfa=False))


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (LastCheck(CLASSIC.target), "was never checked"),
        (LastCheck(CLASSIC.target, passed=False, at=NOW), "found problems"),
        (
            LastCheck(CLASSIC.target, passed=True, at=NOW - timedelta(days=8)),
            "is 8 days old",
        ),
    ],
)
def test_a_connection_that_is_not_known_to_be_good_is_a_warning(
    check: LastCheck, words: str
) -> None:
    found = judged(replace(FACTS, checks=(check,)))["check_222222222222"]

    assert (found.level, found.account_id) == (WARN, "222222222222")
    assert words in found.sentence


def test_what_stands_in_the_way_comes_first_and_what_is_fine_last() -> None:
    facts = replace(
        FACTS,
        source=replace(SOURCE, mfa_devices=0, own_denies=REFUSED),
        target=replace(TARGET, boundary_exists=False),
    )

    levels = [one.level for one in preflight.findings(CLASSIC, facts, NOW)]

    assert levels == sorted(levels, key=list(Level).index)
    assert levels[0] is BLOCKS
    assert levels[-1] is OK


def test_an_account_that_was_seen_replaces_what_was_only_supposed() -> None:
    many = spec(managed_policies=tuple("abcdefghijk"))

    seen = [one for one in preflight.findings(many, FACTS, NOW) if one.key == "policy_count"]

    assert [one.level for one in seen] == [BLOCKS]


def test_more_static_rules_can_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    lint = Finding("lint", "The profile was read", WARN, "It reads data.")
    monkeypatch.setattr(preflight, "STATIC_RULES", [*preflight.STATIC_RULES, lambda spec: [lint]])

    assert lint in preflight.static_findings(CLASSIC)
    assert lint in preflight.findings(CLASSIC, FACTS, NOW)
