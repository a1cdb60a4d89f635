"""What speaks for and against a request before an approver is bothered.

Facts in, findings out. `Facts` is what `provisioning.engine.preview` read from both accounts; a
part that could not be read is `Unread` and gives a finding of level `unknown`, never an error.
Nothing here is a decision: `services.decide` refuses an approval while a finding `blocks`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from accounts.durations import MINUTE, in_words

from provisioning.core import documents, naming, plan
from provisioning.core.documents import Document
from provisioning.core.plan import AccountRef, FoundGroup, FoundRole, GrantSpec, WantedRole


class Level(StrEnum):
    """How much a finding weighs. The order is the one in which pages show them."""

    BLOCKS = "blocks"
    """AWS would refuse; the request cannot be approved until somebody has done something."""
    WARN = "warn"
    """It will work, or may work; somebody should know."""
    UNKNOWN = "unknown"
    """It could not be looked at; that speaks neither for nor against."""
    OK = "ok"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `who` can do what `mend` says; `account_id` has its page."""

    key: str
    title: str
    level: Level
    sentence: str = ""
    mend: str = ""
    who: str = ""
    account_id: str = ""


REQUESTER: Final = "the requester"
PORTAL_ADMIN: Final = "an admin of Sallyport"


def administrator_of(account: AccountRef) -> str:
    """Who can change things in an account."""
    return f"an administrator of {account.name} ({account.account_id})"


# --- Facts -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unread:
    """A read that AWS refused or did not answer."""

    call: str
    code: str

    @property
    def refused(self) -> bool:
        """Whether the provisioner role may not do it: its template is older than this reading."""
        return self.code == "AccessDenied"


@dataclass(frozen=True)
class Simulation:
    """What SimulatePrincipalPolicy says of a user who would enter the coming role.

    It knows the user's own policies and boundary, and nothing of the other account: only an
    explicit deny proves anything [AWS-FACTS 14.3].
    """

    denied: bool
    denied_by: tuple[str, ...] = ()
    """Ids of the policies whose statements deny, where AWS names them."""
    depends_on: tuple[str, ...] = ()
    """Condition keys that only a real sign-in has: the deny may then not hold."""
    by_organization: bool = False
    outside_boundary: bool = False
    """Whether the user's own permissions boundary does not allow it."""


@dataclass(frozen=True)
class SourceFacts:
    """What the source account shows. `user_id` is AWS's unique id of the IAM user, "" if gone."""

    user_id: str
    group: FoundGroup | None
    member: bool
    groups: int | Unread
    """In how many groups the user is."""
    mfa_devices: int | Unread
    own_denies: Simulation | Unread
    quotas: Mapping[str, int] | Unread
    """GetAccountSummary: usage and quotas by AWS's own names."""
    missing_policies: tuple[str, ...] | Unread
    """Managed policies of the switch group that do not exist."""


@dataclass(frozen=True)
class TargetFacts:
    """What the target account shows."""

    role: FoundRole | None
    boundary_exists: bool | Unread
    quotas: Mapping[str, int] | Unread
    missing_policies: tuple[str, ...] | Unread
    """Managed policies of the profile that do not exist."""


@dataclass(frozen=True)
class NotSeen:
    """An account that could not be looked at. `passing`: trying again later may help."""

    problem: str
    passing: bool


@dataclass(frozen=True)
class LastCheck:
    """The newest finished connection check of an account; `at` is None if there was none."""

    account: AccountRef
    passed: bool = False
    at: datetime | None = None


@dataclass(frozen=True)
class Facts:
    """Everything that was read for one request."""

    source: SourceFacts | NotSeen
    target: TargetFacts | NotSeen
    checks: tuple[LastCheck, ...] = ()
    foreign: str = ""
    """What of somebody else's stands in the way of our names, as a sentence; "" for nothing."""


# --- Quotas ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quota:
    """A limit of AWS: its name in GetAccountSummary, what a new account has, and the most that an
    account can be given [AWS-FACTS 3.3, 3.4]."""

    name: str
    default: int
    most: int


TRUST_SIZE: Final = Quota("AssumeRolePolicySizeQuota", 2048, 8192)
ROLE_INLINE_SIZE: Final = Quota("RolePolicySizeQuota", 10_240, 10_240)
GROUP_INLINE_SIZE: Final = Quota("GroupPolicySizeQuota", 5120, 5120)
POLICIES_PER_ROLE: Final = Quota("AttachedPoliciesPerRoleQuota", 10, 25)
GROUPS_PER_USER: Final = Quota("GroupsPerUserQuota", 10, 10)

ROLES_RESERVE: Final = 20
"""With fewer roles left than this, somebody should ask AWS for more."""
GROUPS_RESERVE: Final = 5
NEARLY_FULL: Final = 0.9
SESSION_BOUNDS: Final = (timedelta(hours=1), timedelta(hours=12))
"""What AWS takes as MaxSessionDuration [AWS-FACTS 3.1]."""
CHAINED: Final = timedelta(hours=1)
CHECK_HOLDS: Final = timedelta(days=7)
"""For how long a passed connection check says something."""


def _limit(quota: Quota, quotas: Mapping[str, int] | Unread | None) -> int | None:
    """The quota of this very account, or None where nobody has read it."""
    return quotas.get(quota.name) if isinstance(quotas, Mapping) else None


def size(document: Document) -> int:
    """Characters of a document as quotas count them: without white space [AWS-FACTS 3.4]."""
    return len(re.sub(r"\s", "", documents.dumps(document)))


@dataclass(frozen=True)
class _Amount:
    """So much of something that a quota limits."""

    key: str
    title: str
    what: str
    amount: int
    quota: Quota
    mend: str
    who: str

    def against(self, quotas: Mapping[str, int] | Unread | None) -> Finding:
        """Judge by the account's own quota; without it, by what AWS gives at least and at most."""
        limit = _limit(self.quota, quotas)
        known = self.quota.most if limit is None else limit
        if self.amount > known:
            return self._finding(Level.BLOCKS, f"{self.what}; AWS takes {known:,} at most.")
        if limit is None and self.amount > self.quota.default:
            words = f"{self.what}; AWS takes {self.quota.default:,}, unless it has granted this"
            return self._finding(Level.UNKNOWN, f"{words} account more, which could not be read.")
        room = self.quota.default if limit is None else limit
        if self.quota.default > 100 and self.amount > NEARLY_FULL * room:
            words = f"{self.what}; AWS takes {room:,} at most, so little room is left."
            return self._finding(Level.WARN, words)
        return self._finding(Level.OK, f"{self.what}; AWS takes {room:,} at most.")

    def _finding(self, level: Level, sentence: str) -> Finding:
        mend, who = ("", "") if level is Level.OK else (self.mend, self.who)
        return Finding(self.key, self.title, level, sentence, mend, who)


# --- Rules that need no AWS ------------------------------------------------------------------


def _name_length(spec: GrantSpec) -> Iterator[Finding]:
    title = "The role's name fits the console"
    length = len(naming.PATH) + len(spec.role_name)
    words = f"The role's path and name have {length} characters; the console can switch to "
    words += f"{naming.CONSOLE_LIMIT} at most."
    if length <= naming.CONSOLE_LIMIT:
        yield Finding("name_length", title, Level.OK, words)
        return
    yield Finding(
        "name_length",
        title,
        Level.BLOCKS,
        words,
        "Give the profile a shorter role name.",
        PORTAL_ADMIN,
    )


def _partition(spec: GrantSpec) -> Iterator[Finding]:
    title = "Both accounts are in the same partition of AWS"
    source, target = spec.source, spec.target
    if source.partition == target.partition:
        words = f"Both are in the partition {source.partition}: people switch only within one."
        yield Finding("partition", title, Level.OK, words)
        return
    yield Finding(
        "partition",
        title,
        Level.BLOCKS,
        f"{source.name} is in the partition {source.partition}, {target.name} in "
        f"{target.partition}. Nobody can switch from one partition of AWS to another.",
        "Offer this profile on a pair within one partition.",
        PORTAL_ADMIN,
    )


def _session_length(spec: GrantSpec) -> Iterator[Finding]:
    title = "The session length is one that AWS takes"
    hours = in_words(spec.max_session // MINUTE)
    if SESSION_BOUNDS[0] <= spec.max_session <= SESSION_BOUNDS[1]:
        note = " Whoever comes through another role first gets 1 h." if _is_long(spec) else ""
        yield Finding("session_length", title, Level.OK, f"A session lasts up to {hours}.{note}")
        return
    yield Finding(
        "session_length",
        title,
        Level.BLOCKS,
        f"The profile asks for sessions of {hours}; AWS takes 1 to 12 h.",
        "Change the session length of the profile.",
        PORTAL_ADMIN,
    )


def _is_long(spec: GrantSpec) -> bool:
    """Longer than role chaining allows, whatever the role says [AWS-FACTS 1.14]."""
    return spec.max_session > CHAINED


def _sample_role(spec: GrantSpec) -> WantedRole:
    """The role with a real end: sizes before the decision would count other words."""
    dated = replace(spec, ends_at=datetime(2099, 12, 31, tzinfo=UTC), revoked_at=None)
    role = plan.desired(dated, datetime(2000, 1, 1, tzinfo=UTC)).role
    assert role is not None  # noqa: S101  # A grant that has not ended has a role.
    return role


def _role_amounts(spec: GrantSpec) -> Iterator[_Amount]:
    role = _sample_role(spec)
    inline = sum(map(size, role.inline.values())) + size(documents.deny_all())
    yield _Amount(
        "policy_count",
        "The role can carry the profile's managed policies",
        f"The profile has {_number_of(len(spec.managed_policies), 'managed polic', 'y', 'ies')}",
        len(spec.managed_policies),
        POLICIES_PER_ROLE,
        "Take policies off the profile, or ask AWS to raise the quota of managed policies per "
        "role in the target account.",
        PORTAL_ADMIN,
    )
    yield _Amount(
        "inline_size",
        "The inline policies fit the role",
        "The profile's own statements have, together with what Sallyport adds to end and to lock "
        f"out, {inline:,} characters",
        inline,
        ROLE_INLINE_SIZE,
        "Shorten the profile's own statements.",
        PORTAL_ADMIN,
    )
    yield _Amount(
        "trust_size",
        "The trust policy fits the role",
        f"The trust policy has {size(role.trust):,} characters",
        size(role.trust),
        TRUST_SIZE,
        "Link the person to an IAM user with a shorter path or name.",
        PORTAL_ADMIN,
    )


def _number_of(number: int, stem: str, one: str, more: str) -> str:
    return f"{number} {stem}{one if number == 1 else more}"


def _group_amount(spec: GrantSpec) -> _Amount:
    policy = plan.desired_group(spec.group).policy
    targets = _number_of(len(spec.group_targets), "account", "", "s")
    return _Amount(
        "group_size",
        "The switch group's policy has room for its targets",
        f"{spec.switch_group} leads to {targets}, and its policy has {size(policy):,} characters",
        size(policy),
        GROUP_INLINE_SIZE,
        "Give some of the pairs that share this switch group a group of their own.",
        PORTAL_ADMIN,
    )


def _amounts_by_default(spec: GrantSpec) -> Iterator[Finding]:
    for amount in (*_role_amounts(spec), _group_amount(spec)):
        yield amount.against(None)


type StaticRule = Callable[[GrantSpec], Iterable[Finding]]

STATIC_RULES: list[StaticRule] = [
    _name_length,
    _partition,
    _session_length,
    _amounts_by_default,
]
"""What is known without asking AWS. A rule that only needs the spec is added here, and is then
looked at on the form before somebody asks, on the request's page and when it is decided."""


def static_findings(spec: GrantSpec) -> tuple[Finding, ...]:
    """What can be said before any worker has looked, most important first."""
    return ordered(finding for rule in STATIC_RULES for finding in rule(spec))


# --- Rules about the source account ----------------------------------------------------------


def _user(spec: GrantSpec, facts: SourceFacts) -> Iterator[Finding]:
    title = "The IAM user is the one that was linked"
    user, account = spec.user_name, spec.source
    if facts.user_id == spec.user_id:
        yield Finding(
            "user", title, Level.OK, f"{user} is there, with the unique id {spec.user_id}."
        )
        return
    if not facts.user_id:
        words = f"There is no IAM user {user} in {account.name} any more."
    else:
        words = f"The IAM user {user} in {account.name} was deleted and made again: for AWS this "
        words += "is somebody else."
    yield Finding(
        "user",
        title,
        Level.BLOCKS,
        words,
        "Link the person to their IAM user anew; then they withdraw this request and ask again.",
        PORTAL_ADMIN,
        account.account_id,
    )


def _groups_of_user(spec: GrantSpec, facts: SourceFacts) -> Iterator[Finding]:
    title = "The IAM user has room for the switch group"
    if facts.member:
        words = f"{spec.user_name} is in {spec.switch_group} already."
        yield Finding("user_groups", title, Level.OK, words)
        return
    if isinstance(facts.groups, Unread):
        yield _unknown("user_groups", title, facts.groups, spec.source)
        return
    limit = _limit(GROUPS_PER_USER, facts.quotas) or GROUPS_PER_USER.default
    groups = _number_of(facts.groups, "group", "", "s")
    words = f"{spec.user_name} is in {groups}; AWS allows {limit}."
    if facts.groups < limit:
        yield Finding("user_groups", title, Level.OK, words)
        return
    yield Finding(
        "user_groups",
        title,
        Level.BLOCKS,
        f"{words} This limit cannot be raised.",
        f"Take {spec.user_name} out of a group, or let pairs from {spec.source.name} share one "
        "switch group.",
        administrator_of(spec.source),
    )


def _mfa(spec: GrantSpec, facts: SourceFacts) -> Iterator[Finding]:
    title = "The IAM user can sign in with MFA"
    if not spec.require_mfa:
        return
    if isinstance(facts.mfa_devices, Unread):
        yield _unknown("mfa", title, facts.mfa_devices, spec.source)
    elif facts.mfa_devices:
        yield Finding("mfa", title, Level.OK, f"{spec.user_name} has an MFA device.")
    else:
        yield Finding(
            "mfa",
            title,
            Level.WARN,
            f"{spec.user_name} has no MFA device, and this profile lets nobody in without one.",
            f"Add an MFA device to {spec.user_name} in {spec.source.name}, then sign out there and "
            "in again with it.",
            REQUESTER,
        )


def _own_denies(spec: GrantSpec, facts: SourceFacts) -> Iterator[Finding]:
    title = "No policy of the source account denies the switch"
    found = facts.own_denies
    if isinstance(found, Unread):
        yield _unknown("own_denies", title, found, spec.source)
    elif not found.denied and found.outside_boundary:
        words = f"The permissions boundary of {spec.user_name} does not seem to allow "
        words += "sts:AssumeRole on the coming role."
        mend = f"Allow sts:AssumeRole on {_issued_roles(spec)} in that boundary."
        who = administrator_of(spec.source)
        yield Finding("own_denies", title, Level.WARN, words, mend, who)
    elif not found.denied:
        words = "By AWS's own simulation nothing in this account denies the switch. It cannot see "
        words += "the other account."
        yield Finding("own_denies", title, Level.OK, words)
    else:
        yield _denied(spec, found, title)


def _denied(spec: GrantSpec, found: Simulation, title: str) -> Finding:
    of = f"the organization of {spec.source.name}" if found.by_organization else spec.source.name
    named = f" ({', '.join(found.denied_by)})" if found.denied_by else ""
    words = f"A policy of {of}{named} denies {spec.user_name} the switch into the coming role "
    words += "(sts:AssumeRole)"
    mend = f"Leave {_issued_roles(spec)} out of that deny."
    who = administrator_of(spec.source)
    if found.depends_on:
        keys = ", ".join(found.depends_on)
        words += f", depending on {keys}: that is known only when they sign in."
        return Finding("own_denies", title, Level.WARN, words, mend, who)
    return Finding("own_denies", title, Level.BLOCKS, f"{words}.", mend, who)


def _issued_roles(spec: GrantSpec) -> str:
    return naming.role_arn(spec.target.partition, spec.target.account_id, "*")


def _room_for_group(spec: GrantSpec, facts: SourceFacts) -> Iterator[Finding]:
    if facts.group is None:
        yield _room(_GROUPS, facts.quotas, spec.source)


def _source_quotas(spec: GrantSpec, facts: SourceFacts) -> Iterator[Finding]:
    yield _group_amount(spec).against(facts.quotas)


def _group_policies(spec: GrantSpec, facts: SourceFacts) -> Iterator[Finding]:
    if spec.group_policies:
        title = "The switch group's managed policies exist"
        yield _policies("group_policies", title, facts.missing_policies, spec.source)


# --- Rules about the target account ----------------------------------------------------------


def _boundary(spec: GrantSpec, facts: TargetFacts) -> Iterator[Finding]:
    title = "The boundary policy exists"
    if isinstance(facts.boundary_exists, Unread):
        yield _unknown("boundary", title, facts.boundary_exists, spec.target)
    elif facts.boundary_exists:
        yield Finding("boundary", title, Level.OK, f"{spec.boundary_arn} exists.")
    else:
        yield Finding(
            "boundary",
            title,
            Level.BLOCKS,
            f"{spec.boundary_arn} does not exist, and no role is made without it.",
            _DEPLOY,
            administrator_of(spec.target),
            spec.target.account_id,
        )


def _role_policies(spec: GrantSpec, facts: TargetFacts) -> Iterator[Finding]:
    if spec.managed_policies:
        title = "The profile's managed policies exist"
        yield _policies("role_policies", title, facts.missing_policies, spec.target)


def _room_for_role(spec: GrantSpec, facts: TargetFacts) -> Iterator[Finding]:
    if facts.role is None:
        yield _room(_ROLES, facts.quotas, spec.target)


def _target_quotas(spec: GrantSpec, facts: TargetFacts) -> Iterator[Finding]:
    for amount in _role_amounts(spec):
        yield amount.against(facts.quotas)


# --- What the rules share --------------------------------------------------------------------

_DEPLOY: Final = "Deploy the current template in that account (docs/aws-setup.md), then look again."


def _unknown(key: str, title: str, unread: Unread, account: AccountRef) -> Finding:
    if unread.refused:
        words = f"{account.name} does not let Sallyport look ({unread.call} was refused): its "
        words += "template is older than this check."
        return Finding(
            key, title, Level.UNKNOWN, words, _DEPLOY, administrator_of(account), account.account_id
        )
    words = f"AWS did not tell when it was asked ({unread.call}: {unread.code})."
    return Finding(key, title, Level.UNKNOWN, words, "Look again.", "anybody on this page")


def _policies(
    key: str, title: str, missing: tuple[str, ...] | Unread, account: AccountRef
) -> Finding:
    if isinstance(missing, Unread):
        return _unknown(key, title, missing, account)
    if not missing:
        return Finding(key, title, Level.OK, "AWS has every one of them.")
    return Finding(
        key,
        title,
        Level.BLOCKS,
        f"AWS has no policy {', '.join(missing)}.",
        "Correct the names: on the profile for a role, on the account for a switch group.",
        PORTAL_ADMIN,
    )


@dataclass(frozen=True)
class _Counted:
    """Something of which an account can have so many."""

    key: str
    title: str
    plural: str
    used: str
    quota: str
    reserve: int


_ROLES: Final = _Counted(
    "role_quota", "The target account has room for a role", "roles", "Roles", "RolesQuota",
    ROLES_RESERVE,
)  # fmt: skip
_GROUPS: Final = _Counted(
    "group_quota", "The source account has room for a switch group", "groups", "Groups",
    "GroupsQuota", GROUPS_RESERVE,
)  # fmt: skip


def _room(counted: _Counted, quotas: Mapping[str, int] | Unread, account: AccountRef) -> Finding:
    if isinstance(quotas, Unread):
        return _unknown(counted.key, counted.title, quotas, account)
    used, limit = quotas.get(counted.used), quotas.get(counted.quota)
    if used is None or limit is None:
        unread = Unread("iam:GetAccountSummary", f"without {counted.quota}")
        return _unknown(counted.key, counted.title, unread, account)
    left = max(limit - used, 0)
    words = f"{account.name} has {used:,} of {limit:,} {counted.plural}; {left:,} are left."
    level = Level.BLOCKS if not left else Level.WARN if left < counted.reserve else Level.OK
    if level is Level.OK:
        return Finding(counted.key, counted.title, level, words)
    return Finding(
        counted.key,
        counted.title,
        level,
        words,
        f"Remove {counted.plural} that nobody needs, or ask AWS to raise the quota.",
        administrator_of(account),
    )


# --- All of it -------------------------------------------------------------------------------

_SOURCE_RULES: Final[Sequence[Callable[[GrantSpec, SourceFacts], Iterator[Finding]]]] = (
    _user,
    _source_quotas,
    _room_for_group,
    _group_policies,
)
_RULES_FOR_THE_USER: Final[Sequence[Callable[[GrantSpec, SourceFacts], Iterator[Finding]]]] = (
    _groups_of_user,
    _mfa,
    _own_denies,
)
"""What says nothing while the IAM user is gone or is somebody else."""
_TARGET_RULES: Final[Sequence[Callable[[GrantSpec, TargetFacts], Iterator[Finding]]]] = (
    _target_quotas,
    _room_for_role,
    _boundary,
    _role_policies,
)


def findings(spec: GrantSpec, facts: Facts, now: datetime) -> tuple[Finding, ...]:
    """Everything that was looked at, most important first.

    A finding about an account replaces the one of the same key that was made without asking AWS.
    """
    seen = {one.key: one for one in static_findings(spec)}
    for one in (*_source(spec, facts.source), *_target(spec, facts.target)):
        seen[one.key] = one
    return ordered((*seen.values(), *_names(facts), *_checks(facts.checks, now)))


def _source(spec: GrantSpec, facts: SourceFacts | NotSeen) -> Iterator[Finding]:
    if isinstance(facts, NotSeen):
        yield _not_seen("source", facts, spec.source)
        return
    for rule in _SOURCE_RULES:
        yield from rule(spec, facts)
    if facts.user_id == spec.user_id:
        for rule in _RULES_FOR_THE_USER:
            yield from rule(spec, facts)


def _target(spec: GrantSpec, facts: TargetFacts | NotSeen) -> Iterator[Finding]:
    if isinstance(facts, NotSeen):
        yield _not_seen("target", facts, spec.target)
        return
    for rule in _TARGET_RULES:
        yield from rule(spec, facts)


def _not_seen(side: str, facts: NotSeen, account: AccountRef) -> Finding:
    """What the look may not read, the worker may not read either: it would fail after approval."""
    return Finding(
        f"{side}_account",
        f"The {side} account can be looked at",
        Level.UNKNOWN if facts.passing else Level.BLOCKS,
        facts.problem,
        "It is tried again by itself."
        if facts.passing
        else f"Run Check connection on the page of {account.name}: it says what is missing.",
        "" if facts.passing else PORTAL_ADMIN,
        account.account_id,
    )


def _names(facts: Facts) -> Iterator[Finding]:
    title = "The names are free"
    if facts.foreign:
        mend = "Rename or remove it there: Sallyport never touches what it did not make."
        who = "an administrator of that account"
        yield Finding("names", title, Level.BLOCKS, facts.foreign, mend, who)
    elif not isinstance(facts.source, NotSeen) and not isinstance(facts.target, NotSeen):
        yield Finding("names", title, Level.OK, "Nobody else uses them in the two accounts.")


def _checks(checks: Iterable[LastCheck], now: datetime) -> Iterator[Finding]:
    for one in checks:
        yield _check(one, now)


def _check(last: LastCheck, now: datetime) -> Finding:
    account = last.account
    key, title = f"check_{account.account_id}", f"The connection of {account.name} was checked"
    if last.passed and last.at is not None and last.at > now - CHECK_HOLDS:
        return Finding(key, title, Level.OK, "The last check passed.", "", "", account.account_id)
    if last.at is None:
        words = f"The connection of {account.name} was never checked."
    elif not last.passed:
        words = f"The last connection check of {account.name} found problems."
    else:
        days = (now - last.at).days
        words = f"The last connection check of {account.name} is {days} days old."
    mend = f"Run Check connection on the page of {account.name}."
    return Finding(key, title, Level.WARN, words, mend, PORTAL_ADMIN, account.account_id)


def ordered(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Blocking ones first, then warnings, then what is unknown, then what is fine."""
    rank = {level: number for number, level in enumerate(Level)}
    return tuple(sorted(found, key=lambda one: rank[one.level]))


def blocking(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that stand in the way of an approval."""
    return tuple(one for one in found if one.level is Level.BLOCKS)
