"""What to say about the permissions of a profile: findings, one risk, a summary in words.

Pure, and the same answer everywhere: beside the editor, at the profile, on the request form, for
the approver, and where the approval class of an offer is demanded.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import Any, Final

from accounts.permissions import catalogue, effects, knowledge, managed
from accounts.permissions.effects import Effects

INLINE_MAX: Final = 10_240
"""Characters of all inline policies of a role, white space not counted [AWS-FACTS 3.4]."""
UNKNOWN_MAX: Final = 20
"""Unknown actions told of one document: who has that many reads the first ones."""
SHOWN: Final = 4
"""Names told in one sentence before the rest is counted."""
DATA_SERVICES_OF_NOTE: Final = ("s3", "dynamodb", "logs", "ssm", "sqs", "rds", "lambda", "ec2")
"""Told first, because most accounts have something in them."""


class Severity(StrEnum):
    """How much a finding weighs. Refused permissions are never stored."""

    REFUSED = "refused"
    RISKY = "risky"
    NOTE = "note"


class Risk(IntEnum):
    """The one word for a version; higher is worse."""

    SETTINGS = 0
    DATA = 1
    CHANGES = 2
    HIGH = 3

    @property
    def words(self) -> str:
        """For people."""
        return RISK_WORDS[self]


RISK_WORDS: Final = {
    Risk.SETTINGS: "Reads settings",
    Risk.DATA: "Reads data",
    Risk.CHANGES: "Makes changes",
    Risk.HIGH: "High risk",
}


@dataclass(frozen=True)
class Finding:
    """One thing to know about the permissions, and what to do about it."""

    key: str
    severity: Severity
    sentence: str
    advice: str = ""
    statement: int | None = None
    """Number of the statement, from 1."""
    sid: str = ""
    action: str = ""
    """The pattern as it was written, or the name of the managed policy."""

    @property
    def where(self) -> str:
        """The place in words: `Statement 2 (ReadBuckets)`."""
        if self.statement is None:
            return ""
        return f"Statement {self.statement}" + (f" ({self.sid})" if self.sid else "")


@dataclass(frozen=True)
class Report:
    """Everything that is known about a set of permissions."""

    findings: tuple[Finding, ...]
    effects: Effects
    inline_size: int
    unknown: tuple[str, ...] = ()
    """Managed policies of which nothing is known."""

    @property
    def refused(self) -> tuple[Finding, ...]:
        """What must not be stored."""
        return self._of(Severity.REFUSED)

    @property
    def risky(self) -> tuple[Finding, ...]:
        """What demands the high approval class."""
        return self._of(Severity.RISKY)

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What is good to know."""
        return self._of(Severity.NOTE)

    def _of(self, severity: Severity) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.severity is severity)

    @property
    def risk(self) -> Risk:
        """What the version amounts to in one word."""
        if self.risky or self.refused:
            return Risk.HIGH
        if self.effects.changes:
            return Risk.CHANGES
        return Risk.DATA if self.effects.data else Risk.SETTINGS

    @property
    def summary(self) -> str:
        """What somebody with these permissions can really do, in a sentence or two."""
        sentence = _summary(self.effects)
        if not self.unknown:
            return sentence
        known = f"{sentence} " if self.effects != effects.NOTHING else ""
        return f"{known}What {_listed(self.unknown, 'policy')} gives is not known."

    @property
    def digest(self) -> str:
        """Names the risks, so that a confirmation of these is none of others."""
        risks = sorted(f"{one.key} {one.where} {one.action} {one.sentence}" for one in self.risky)
        return hashlib.sha256("\n".join(risks).encode()).hexdigest()[:16]


def review(managed_policies: Sequence[str], inline_policy: dict[str, Any] | None) -> Report:
    """The report on a profile version's permissions. Takes any JSON object as inline policy."""
    text = "" if inline_policy is None else json.dumps(inline_policy)
    return _reviewed(tuple(managed_policies), text)


@lru_cache(maxsize=256)
def _reviewed(managed_policies: tuple[str, ...], text: str) -> Report:
    inline = json.loads(text) if text else {}
    inline = inline if isinstance(inline, dict) else {}
    own = effects.of(inline)
    known = [policy for name in managed_policies if (policy := managed.find(name))]
    total = own
    for policy in known:
        total |= policy.effects
    findings = (
        *_managed_findings(managed_policies),
        *_statement_findings(inline),
        *_combined(total, own, known),
    )
    unknown = tuple(name for name in managed_policies if managed.find(name) is None)
    length = size(inline) if inline else 0
    return Report(tuple(dict.fromkeys(findings)), total, length, unknown)


def size(document: dict[str, Any]) -> int:
    """Characters of a document as it is sent, which is how AWS counts them."""
    return len(json.dumps(document, separators=(",", ":")))


# --- Managed policies ------------------------------------------------------------------------


def _managed_findings(names: Iterable[str]) -> Iterator[Finding]:
    for name in names:
        policy = managed.find(name)
        if policy is None:
            yield _unknown_policy(name)
        elif not policy.attachable:
            yield Finding(
                "managed-not-attachable",
                Severity.REFUSED,
                f"AWS keeps {name} for roles of its own and attaches it to no other.",
                "Choose another policy.",
                action=name,
            )
        else:
            yield from _known_policy(policy)


def _unknown_policy(name: str) -> Finding:
    """Unknown means closed: nobody here can say what it gives."""
    return Finding(
        "managed-unknown",
        Severity.RISKY,
        f"{name} is not among the {len(managed.names()):,} AWS managed policies that Sallyport "
        "knows, so nothing can be said about what it gives.",
        "Check the name and its path, such as job-function/ViewOnlyAccess. If AWS has added it "
        "lately, read it in the AWS console first.",
        action=name,
    )


def _known_policy(policy: managed.ManagedPolicy) -> Iterator[Finding]:
    words = managed.WORDS.get(policy.name)
    if words:
        yield Finding("managed-known", Severity.NOTE, f"{policy.name} {words}.", action=policy.name)
    whole = len(policy.effects.whole)
    if whole:
        yield Finding(
            "managed-whole-service",
            Severity.RISKY,
            f"{policy.name} gives every action of {_services(policy.effects.whole)}, changes "
            "included, also those that AWS adds later.",
            "Prefer a policy that reads, or name the changes in an inline policy.",
            action=policy.name,
        )


# --- Statements of the inline policy ---------------------------------------------------------


def _statement_findings(document: dict[str, Any]) -> Iterator[Finding]:
    unknown = 0
    for number, statement in enumerate(effects.listed(document.get("Statement")), start=1):
        if not isinstance(statement, dict):
            continue
        sid = statement.get("Sid")
        place = {"statement": number, "sid": sid if isinstance(sid, str) else ""}
        for finding in _of_statement(statement):
            unknown += finding.key == "unknown-action"
            if unknown <= UNKNOWN_MAX or finding.key != "unknown-action":
                yield replace(finding, **place)  # type: ignore[arg-type]  # Both are fields.


def _of_statement(statement: dict[str, Any]) -> Iterator[Finding]:
    for element in ("Action", "NotAction"):
        for pattern in effects.listed(statement.get(element)):
            if isinstance(pattern, str) and pattern:
                yield from _known(pattern)
    for element in ("Principal", "NotPrincipal"):
        if element in statement:
            yield Finding(
                "principal",
                Severity.REFUSED,
                f"{element} does not belong in the policy of a role.",
                f"Remove {element}: who may use the role is Sallyport's to say.",
            )
    if statement.get("Effect") != "Allow":
        return
    if "NotAction" in statement:
        yield Finding(
            "not-action",
            Severity.REFUSED,
            "NotAction with Allow grants everything else, also what AWS adds later.",
            "Name the actions instead.",
        )
    if "NotResource" in statement:
        yield Finding(
            "not-resource",
            Severity.RISKY,
            "NotResource with Allow grants every other resource, also those made later.",
            "Name the resources instead, and deny the exceptions in a statement of their own.",
        )
    for pattern in effects.listed(statement.get("Action")):
        if isinstance(pattern, str):
            yield from _of_allowed(pattern, everywhere(statement))


def _known(pattern: str) -> Iterator[Finding]:
    try:
        catalogue.expand(pattern)
    except catalogue.Unknown as unknown:
        hint = f"Did you mean {unknown.nearest}?" if unknown.nearest else "Check the spelling."
        yield Finding(
            "unknown-action",
            Severity.REFUSED,
            f"{unknown} So this statement would not do what it seems to say.",
            hint,
            action=pattern,
        )


def everywhere(statement: dict[str, Any]) -> bool:
    """Whether a statement is about all resources of some kind: `*`, or an ARN that ends in one."""
    if "NotResource" in statement:
        return True
    named = effects.listed(statement.get("Resource"))
    return any(isinstance(one, str) and _is_wide(one) for one in named)


def _is_wide(resource: str) -> bool:
    parts = resource.split(":", 5)
    if len(parts) < 6:
        return "*" in resource
    # What is left of the wildcard names a kind (`secret:*`, `table/*`) or nothing at all.
    name = parts[5].replace("/", ":").split(":")
    own = name[1:] if len(name) > 1 and parts[2] != "s3" else name
    return bool(own) and own[0].strip("*") == ""


def _of_allowed(pattern: str, wide: bool) -> Iterator[Finding]:
    actions = catalogue.covered(pattern)
    if not actions:
        return
    if not pattern.strip("*"):
        yield _everything(pattern)
        return
    changes = {one for one in actions if effects.is_change(one)}
    prefix = next(iter(actions)).partition(":")[0]
    identity = changes & knowledge.identity_changes()
    if identity:
        yield _identity(pattern, identity)
    elif changes and actions == catalogue.whole_service(prefix):
        yield Finding(
            "whole-service",
            Severity.RISKY,
            f"{pattern} gives all {len(actions)} actions of {catalogue.service_name(prefix)}, "
            f"{len(changes)} of which change something, and those that AWS adds later.",
            "Name the actions, or begin with what only reads: "
            f"{prefix}:Get*, {prefix}:List*, {prefix}:Describe*.",
            action=pattern,
        )
    yield from _sharing(pattern, changes)
    yield from _credentials(pattern, actions, wide)
    if wide and actions & knowledge.data() - knowledge.credentials():
        yield _data(pattern, actions & knowledge.data() - knowledge.credentials())
    if changes and not identity:
        yield _changes(pattern, changes)


def _everything(pattern: str) -> Finding:
    return Finding(
        "everything",
        Severity.RISKY,
        "It gives all actions of all services; only the boundary limits it.",
        "Name the services and actions that the work needs.",
        action=pattern,
    )


def _identity(pattern: str, changes: set[str]) -> Finding:
    return Finding(
        "identity-changes",
        Severity.RISKY,
        f"{pattern} covers {_names(changes)}: it changes who may do what in the account.",
        "Remove it. The boundary of Sallyport's template forbids all of it, so it gives nothing "
        "there; an account owner may have loosened theirs.",
        action=pattern,
    )


def _sharing(pattern: str, changes: set[str]) -> Iterator[Finding]:
    levels = catalogue.everything()
    shares = {one for one in changes if levels[one] is catalogue.Level.SHARING}
    shares -= knowledge.identity_changes()
    if shares:
        yield Finding(
            "outlasts",
            Severity.RISKY,
            f"{pattern} covers {_names(shares)}: it can share resources with somebody else, and "
            "what was shared stays shared after the access has ended.",
            "Leave these actions out, or keep them to single resources.",
            action=pattern,
        )


def _credentials(pattern: str, actions: frozenset[str], wide: bool) -> Iterator[Finding]:
    answered = actions & knowledge.credentials()
    if answered:
        yield Finding(
            "credentials",
            Severity.RISKY if wide else Severity.NOTE,
            f"{pattern} covers {_names(answered)}: it hands out passwords or keys, which go on "
            "working after the access has ended.",
            "Name the single resources that are needed, and change those secrets afterwards.",
            action=pattern,
        )


def _data(pattern: str, actions: Iterable[str]) -> Finding:
    return Finding(
        "reads-data",
        Severity.NOTE,
        f"{pattern} reads stored data of every resource: {_names(actions)}.",
        "Name the resources if only some are needed.",
        action=pattern,
    )


def _changes(pattern: str, changes: set[str]) -> Finding:
    return Finding(
        "changes",
        Severity.NOTE,
        f"{pattern} changes things: {_names(changes)}.",
        action=pattern,
    )


# --- All together ----------------------------------------------------------------------------


def _combined(
    total: Effects, own: Effects, known: Sequence[managed.ManagedPolicy]
) -> Iterator[Finding]:
    for path in total.escalations:
        yield _escalation(path, total.notable)
    for policy in known:
        yield from _managed_reading(policy)
        yield from _managed_sharing(policy)
    loose = total.notable & knowledge.loose_settings()
    if loose:
        yield Finding(
            "loose-settings",
            Severity.NOTE,
            f"It shows settings that often hold passwords or personal data: {_names(loose)}.",
            "Keep passwords out of environment variables, user data and templates.",
        )


def _escalation(path: knowledge.Escalation, given: frozenset[str]) -> Finding:
    used = sorted({one for group in path.needs for one in group if one in given})
    closed = not path.opened_by(frozenset(used) - knowledge.forbidden_by_boundary())
    advice = (
        "The boundary of Sallyport's template forbids it; an account owner may have loosened "
        "theirs. Remove it all the same: it gives nothing."
        if closed
        else "The boundary does not stop this one. Leave the actions out if the work can do "
        "without them."
    )
    sentence = f"A way to more permissions: {path.sentence} It needs {_names(used)}."
    return Finding(f"escalation-{path.key}", Severity.RISKY, sentence, advice)


def _managed_reading(policy: managed.ManagedPolicy) -> Iterator[Finding]:
    answered = policy.effects.notable & knowledge.credentials()
    if answered:
        yield Finding(
            "credentials",
            Severity.RISKY,
            f"{policy.name} covers {_names(answered)}: it hands out passwords or keys, which go "
            "on working after the access has ended.",
            "Choose a policy without them.",
            action=policy.name,
        )
    if policy.effects.data:
        yield Finding(
            "reads-data",
            Severity.NOTE,
            f"{policy.name} reads stored data of {_services(policy.effects.data)}.",
            "job-function/ViewOnlyAccess lists and describes without reading data."
            if policy.name == "ReadOnlyAccess"
            else "",
            action=policy.name,
        )


def _managed_sharing(policy: managed.ManagedPolicy) -> Iterator[Finding]:
    if policy.effects.shares:
        yield Finding(
            "outlasts",
            Severity.RISKY,
            f"{policy.name} can share resources of {_services(policy.effects.shares)} with "
            "somebody else, and what was shared stays shared after the access has ended.",
            "Prefer an inline policy with the actions that the work needs.",
            action=policy.name,
        )


# --- Words -----------------------------------------------------------------------------------


def _summary(given: Effects) -> str:
    if given == effects.NOTHING:
        return "Gives nothing by itself."
    reads = (
        f"Reads stored data of {_services(given.data)}"
        if given.data
        else "Lists and reads settings, and no stored data that Sallyport knows of"
    )
    if not (given.settings | given.data | given.changes):
        reads = "Gives nothing within the boundary"
    changes = f"changes {_services(given.changes)}" if given.changes else "changes nothing"
    blocked = " The boundary takes part of it away." if given.blocked else ""
    return f"{reads}; {changes}.{blocked}"


def _services(prefixes: frozenset[str]) -> str:
    """`Amazon S3, AWS Lambda and 5 more services`."""
    first = [one for one in DATA_SERVICES_OF_NOTE if one in prefixes]
    ordered = [*first, *sorted(prefixes.difference(first))]
    names = [catalogue.service_name(one) for one in ordered]
    return _listed(names, "service")


def _names(actions: Iterable[str]) -> str:
    return _listed(sorted(actions), "action")


def _listed(names: Sequence[str], what: str) -> str:
    plural = "policies" if what == "policy" else f"{what}s"
    if len(names) <= SHOWN:
        return names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" and {names[-1]}"
    shown = SHOWN - 1
    return f"{', '.join(names[:shown])} and {len(names) - shown} more {plural}"
