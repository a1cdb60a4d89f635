"""Would AWS allow this call? Policy evaluation as the IAM User Guide describes it.

Pure: documents and a request go in, a decision comes out. No moto, no Django, no clock; the
moment of the call is an argument. The server that stands for AWS decides by it, and the judge of
the tests asks it about whole states (ADR 22). The rules come from the IAM User Guide, chapters
"Policy evaluation logic", "Condition operators", "Set operators for multivalued context keys" and
"Variables and tags"; each function names its own.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache, lru_cache
from typing import Any

Context = Mapping[str, tuple[str, ...]]
"""Condition keys of one request: the key in lower case, and every value it has."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_DEFAULT = re.compile(r"^\s*([^,\s]+)\s*,\s*'(.*)'\s*$", re.DOTALL)
# A wildcard that came out of a variable is text, not a wildcard. Policies are Latin-1, so these
# two private characters cannot occur in one.
_AS_TEXT = str.maketrans({"*": "\ue000", "?": "\ue001"})
_BACK = str.maketrans({"\ue000": "*", "\ue001": "?"})


@dataclass(frozen=True, slots=True)
class Request:
    """One action on one resource, with the condition keys that hold while it is judged."""

    action: str
    resource: str
    context: Context

    @classmethod
    def at(
        cls, now: datetime, action: str, resource: str, keys: Mapping[str, str | Iterable[str]]
    ) -> Request:
        """Build a request made at `now`; a key with one value may be given as plain text."""
        context = {
            name.lower(): (value,) if isinstance(value, str) else tuple(value)
            for name, value in keys.items()
        }
        context["aws:currenttime"] = (now.astimezone(UTC).isoformat(),)
        context["aws:epochtime"] = (str(int(now.timestamp())),)
        return cls(action, resource, context)


# Wildcards and variables ------------------------------------------------------------------


@lru_cache(maxsize=8192)
def _glob(pattern: str) -> re.Pattern[str]:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.compile("".join(parts).translate(_BACK_ESCAPED), re.DOTALL)


_BACK_ESCAPED = str.maketrans({"\ue000": r"\*", "\ue001": r"\?"})


def like(pattern: str, value: str) -> bool:
    """Match with `*` (any run of characters) and `?` (one character), case-sensitive."""
    return _glob(pattern).fullmatch(value) is not None


def arn_like(pattern: str, arn: str) -> bool:
    """Compare two ARNs part by part, as ArnLike and ArnEquals do: both have six, and a wildcard
    reaches over a colon in the last part only ("Condition operators", ARN)."""
    wanted, found = pattern.split(":", 5), arn.split(":", 5)
    return len(wanted) == len(found) == 6 and all(map(like, wanted, found))


def resource_like(pattern: str, resource: str) -> bool:
    """Compare a Resource element with an ARN: parts that are missing are wildcards, and one at the
    end of a part goes on beyond the colon ("JSON policy elements: Resource")."""
    if pattern == "*":
        return True
    wanted = pattern.split(":", 5)
    wanted += ["*"] * (6 - len(wanted))
    return _resource(tuple(wanted)).fullmatch(resource) is not None


@lru_cache(maxsize=8192)
def _resource(parts: tuple[str, ...]) -> re.Pattern[str]:
    inner = (_inside(part) + (".*" if part.endswith("*") else "") for part in parts[:5])
    return re.compile(":".join([*inner, _glob(parts[5]).pattern]), re.DOTALL)


def _inside(part: str) -> str:
    """One part of an ARN, whose wildcards stay within it."""
    signs = ("[^:]*" if c == "*" else "[^:]" if c == "?" else re.escape(c) for c in part)
    return "".join(signs).translate(_BACK_ESCAPED)


def substitute(pattern: str, context: Context) -> str | None:
    """Fill in policy variables; None where one has no value and no default.

    `${*}`, `${?}` and `${$}` stand for the characters themselves. A key with several values
    cannot be a variable ("Single-valued vs. multivalued context keys").
    """
    if "${" not in pattern:
        return pattern
    missing = False

    def value(match: re.Match[str]) -> str:
        nonlocal missing
        found = _variable(match[1], context)
        missing = missing or found is None
        return (found or "").translate(_AS_TEXT)

    filled = _VARIABLE.sub(value, pattern)
    return None if missing else filled


def _variable(text: str, context: Context) -> str | None:
    if text in ("*", "?", "$"):
        return text
    with_default = _DEFAULT.match(text)
    key, default = (with_default[1], with_default[2]) if with_default else (text.strip(), None)
    values = context.get(key.lower(), ())
    return values[0] if len(values) == 1 else default


# Condition operators ----------------------------------------------------------------------

Test = Callable[[str, str], bool]
"""(value in the policy, value in the request) -> do they match"""


def _equals(wanted: str, found: str) -> bool:
    return wanted.translate(_BACK) == found


def _equals_ignore_case(wanted: str, found: str) -> bool:
    return wanted.translate(_BACK).lower() == found.lower()


def _number(compare: Callable[[float, float], bool]) -> Test:
    return lambda wanted, found: _safely(lambda: compare(float(found), float(wanted)))


def _date(compare: Callable[[datetime, datetime], bool]) -> Test:
    return lambda wanted, found: _safely(lambda: compare(parse_date(found), parse_date(wanted)))


def _address(wanted: str, found: str) -> bool:
    network = ipaddress.ip_network
    return _safely(lambda: ipaddress.ip_address(found) in network(wanted, strict=False))


def _safely(test: Callable[[], bool]) -> bool:
    """A value that is no number, date or address matches nothing."""
    try:
        return test()
    except (ValueError, OverflowError, TypeError):
        return False


def parse_date(text: str) -> datetime:
    """Read a date as policies write it: W3C ISO 8601 (a year is enough) or epoch seconds."""
    if re.fullmatch(r"\d{5,}(\.\d+)?", text):
        return datetime.fromtimestamp(float(text), UTC)
    if re.fullmatch(r"\d{4}(-\d{2})?", text):
        text = (text + "-01-01")[:10]
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": lambda found, wanted: found == wanted,
    "LessThan": lambda found, wanted: found < wanted,
    "LessThanEquals": lambda found, wanted: found <= wanted,
    "GreaterThan": lambda found, wanted: found > wanted,
    "GreaterThanEquals": lambda found, wanted: found >= wanted,
}

MATCHING: dict[str, Test] = {
    "StringEquals": _equals,
    "StringEqualsIgnoreCase": _equals_ignore_case,
    "StringLike": like,
    "ArnEquals": arn_like,
    "ArnLike": arn_like,
    "Bool": _equals_ignore_case,
    "IpAddress": _address,
    "BinaryEquals": _equals,
    **{f"Numeric{name}": _number(compare) for name, compare in _ORDERED.items()},
    **{f"Date{name}": _date(compare) for name, compare in _ORDERED.items()},
}
NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}
_OPERATOR = re.compile(r"^(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?$")


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator with one key: `{"StringLike": {"aws:username": ["a*", "b*"]}}`."""

    key: str
    wanted: tuple[str, ...]
    operator: str
    quantifier: str
    if_exists: bool

    @property
    def known(self) -> bool:
        return self.operator == "Null" or self.operator in MATCHING or self.operator in NEGATED

    def holds(self, context: Context) -> bool:
        """Say whether the condition is true for these keys; only for a known operator."""
        found = context.get(self.key, ())
        if self.operator == "Null":
            return ("false" if found else "true") in {value.lower() for value in self.wanted}
        if self.quantifier:
            found = tuple(value for value in found if value)
        if not found:
            return self._holds_without_key()
        return self._holds_for(found, context)

    def _holds_without_key(self) -> bool:
        """The key is absent: false, but for IfExists, ForAllValues and negated operators.

        ForAnyValue is false even with IfExists (observed, re:Post).
        """
        if self.quantifier == "ForAnyValue":
            return False
        return self.if_exists or self.quantifier == "ForAllValues" or self.operator in NEGATED

    def _holds_for(self, found: tuple[str, ...], context: Context) -> bool:
        negated = self.operator in NEGATED
        test = MATCHING[NEGATED.get(self.operator, self.operator)]
        wanted = [self._fill(value, context) for value in self.wanted]
        matched = [any(w is not None and test(w, f) for w in wanted) for f in found]
        if self.quantifier == "ForAllValues":
            return all(match != negated for match in matched)
        if self.quantifier == "ForAnyValue":
            return any(match != negated for match in matched)
        return any(matched) != negated

    def _fill(self, value: str, context: Context) -> str | None:
        """Variables work in string and ARN operators only; one without value equals nothing."""
        if "String" in self.operator or "Arn" in self.operator:
            return substitute(value, context)
        return value


# Documents --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Actions:
    """The Action or NotAction element: patterns by service, so that long lists stay quick."""

    inverted: bool
    by_service: Mapping[str, tuple[str, ...]]

    def cover(self, action: str) -> bool:
        action = action.lower()
        service = action.partition(":")[0]
        patterns = (*self.by_service.get(service, ()), *self.by_service.get("*", ()))
        return any(like(pattern, action) for pattern in patterns) != self.inverted


@dataclass(frozen=True, slots=True)
class Resources:
    """The Resource or NotResource element. A trust policy has none: its role is the resource."""

    inverted: bool
    patterns: tuple[str, ...]
    variables: bool

    def cover(self, resource: str, context: Context) -> bool:
        return any(self._match(p, resource, context) for p in self.patterns) != self.inverted

    def _match(self, pattern: str, resource: str, context: Context) -> bool:
        filled = substitute(pattern, context) if self.variables else pattern
        return filled is not None and resource_like(filled, resource)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement; `principals` holds the values under "AWS" of a trust policy."""

    allows: bool
    actions: Actions
    resources: Resources
    conditions: tuple[Condition, ...]
    principals: tuple[str, ...]

    def applies(self, request: Request) -> bool:
        return (
            self.actions.cover(request.action)
            and self.resources.cover(request.resource, request.context)
            and all(self._holds(condition, request.context) for condition in self.conditions)
        )

    def _holds(self, condition: Condition, context: Context) -> bool:
        """An operator that we do not know makes an Allow void and a Deny absolute."""
        return condition.holds(context) if condition.known else not self.allows


Policy = tuple[Statement, ...]


@lru_cache(maxsize=2048)
def parse_policy(document: str) -> Policy:
    """Read a policy document that has passed `load_document`, or AWS's own."""
    return read_policy(json.loads(document))


def read_policy(body: Mapping[str, Any]) -> Policy:
    """The same, of a document that was parsed already."""
    variables = body.get("Version") == "2012-10-17"
    return tuple(_statement(item, variables) for item in as_list(body["Statement"]))


def _statement(item: Mapping[str, Any], variables: bool) -> Statement:
    return Statement(
        allows=item["Effect"] == "Allow",
        actions=_actions(item),
        resources=_resources(item, variables),
        conditions=conditions_of(item.get("Condition") or {}, variables),
        principals=_principals(item.get("Principal")),
    )


def _actions(item: Mapping[str, Any]) -> Actions:
    by_service: dict[str, tuple[str, ...]] = {}
    for pattern in as_list(item.get("Action", item.get("NotAction", ()))):
        service = pattern.lower().partition(":")[0]
        group = "*" if "*" in service or "?" in service else service
        by_service[group] = (*by_service.get(group, ()), pattern.lower())
    return Actions("NotAction" in item, by_service)


def _resources(item: Mapping[str, Any], variables: bool) -> Resources:
    patterns = item.get("Resource", item.get("NotResource", "*"))
    return Resources("NotResource" in item, tuple(as_list(patterns)), variables)


def conditions_of(block: Mapping[str, Any], variables: bool) -> tuple[Condition, ...]:
    """Every condition of a Condition element."""
    return tuple(
        _condition(operator, key, values, variables)
        for operator, keys in block.items()
        for key, values in keys.items()
    )


def _condition(operator: str, key: str, values: Any, variables: bool) -> Condition:
    match = _OPERATOR.match(operator)
    quantifier, name, if_exists = match.groups() if match else (None, operator, None)
    wanted = tuple(_as_text(value) for value in as_list(values))
    if not variables:
        # Version 2008-10-17 takes "${aws:username}" as plain text.
        wanted = tuple(value.replace("${", "${$}{") for value in wanted)
    return Condition(key.lower(), wanted, name, quantifier or "", if_exists is not None)


def _principals(element: Any) -> tuple[str, ...]:
    if isinstance(element, Mapping):
        return tuple(as_list(element.get("AWS", ())))
    return ("*",) if element == "*" else ()


def as_list(value: Any) -> list[Any]:
    """Policies may write one value without its list."""
    return list(value) if isinstance(value, list | tuple) else [value]


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# Decisions --------------------------------------------------------------------------------


class Layer(Enum):
    """Where a policy comes from; the value is AWS's wording in its messages."""

    IDENTITY = "identity-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"


@dataclass(frozen=True, slots=True)
class Policies:
    """All that AWS asks about one caller; None where there is no boundary or session policy."""

    identity: tuple[Policy, ...]
    boundary: tuple[Policy, ...] | None = None
    session: tuple[Policy, ...] | None = None

    def layers(self) -> list[tuple[Layer, tuple[Policy, ...]]]:
        found = [(Layer.IDENTITY, self.identity)]
        if self.boundary is not None:
            found.append((Layer.BOUNDARY, self.boundary))
        if self.session is not None:
            found.append((Layer.SESSION, self.session))
        return found


@dataclass(frozen=True, slots=True)
class Decision:
    """What the caller's own policies say: who denies, and which layers do not allow."""

    denied_by: Layer | None
    silent: tuple[Layer, ...]

    @property
    def allowed(self) -> bool:
        return self.denied_by is None and not self.silent

    def reason(self, action: str) -> str:
        """The end of AWS's sentence "User: ... is not authorized to perform: ..."."""
        if self.denied_by is not None:
            article = "an" if self.denied_by is Layer.IDENTITY else "a"
            return f"with an explicit deny in {article} {self.denied_by.value}"
        layer = self.silent[0] if self.silent else Layer.IDENTITY
        return f"because no {layer.value} allows the {action} action"


def decide(request: Request, policies: Policies) -> Decision:
    """Judge by the caller's own policies: a deny anywhere wins, every layer must allow."""
    denied_by, silent = None, []
    for layer, documents in policies.layers():
        effects = {s.allows for policy in documents for s in policy if s.applies(request)}
        if False in effects and denied_by is None:
            denied_by = layer
        if True not in effects:
            silent.append(layer)
    return Decision(denied_by, tuple(silent))


# Trust policies ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller as a trust policy sees it.

    `unique_id` is AIDA... for a user and AROA... for a role; `session_arn` is there for the
    session of a role only.
    """

    account: str
    unique_id: str
    session_arn: str | None = None


class Trust(Enum):
    """What a trust policy says about one caller, from least to most."""

    DENIED = 0
    SILENT = 1
    ACCOUNT = 2  # Left to the caller's account: its policies must allow the call too.
    ROLE = 3  # Names the role of the session.
    CALLER = 4  # Names the user or the session itself.


def trust(request: Request, document: Policy, caller: Principal) -> Trust:
    """Judge a role's trust policy, whose principals are unique ids (see `bind` in sts.py)."""
    best = Trust.SILENT
    for statement in document:
        level = _names(statement, caller)
        if level is Trust.SILENT or not statement.applies(request):
            continue
        if not statement.allows:
            return Trust.DENIED
        best = max(best, level, key=lambda trust: trust.value)
    return best


def _names(statement: Statement, caller: Principal) -> Trust:
    levels = [_named_by(entry, caller) for entry in statement.principals]
    return max(levels, default=Trust.SILENT, key=lambda level: level.value)


def _named_by(entry: str, caller: Principal) -> Trust:
    by_name = Trust.ROLE if caller.session_arn else Trust.CALLER
    if entry in ("*", caller.unique_id):
        return by_name
    if entry == caller.session_arn:
        return Trust.CALLER
    return Trust.ACCOUNT if _account_of(entry) == caller.account else Trust.SILENT


@cache
def _account_of(entry: str) -> str | None:
    """The account that "111111111111" or "arn:aws:iam::111111111111:root" stands for."""
    match = re.fullmatch(r"(?:arn:[\w-]+:iam::)?(\d{12})(?::root)?", entry)
    return match[1] if match else None


def may_assume(trusted: Trust, own: Decision, *, same_account: bool) -> bool:
    """Put both sides of AssumeRole together (AssumeRole reference, "Permissions").

    Across accounts both sides must allow. Within one account a trust policy that names the
    caller is enough; a silent boundary or session policy then still stops a session that was
    named by its role ("Evaluating identity-based with resource-based policies").
    """
    if own.denied_by is not None or trusted in (Trust.DENIED, Trust.SILENT):
        return False
    if own.allowed:
        return True
    if not same_account or trusted is Trust.ACCOUNT:
        return False
    return trusted is Trust.CALLER or own.silent == (Layer.IDENTITY,)


class Malformed(ValueError):
    """A policy document that AWS would not store."""


def load_document(document: str) -> dict[str, Any]:
    """Parse JSON as strictly as IAM does: one object, no repeated key.

    Raises Malformed.
    """
    try:
        body = json.loads(document, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed("Syntax errors in policy.") from error
    if not isinstance(body, dict):
        raise Malformed("Syntax errors in policy.")
    return body


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) != len(pairs):
        raise Malformed("Syntax errors in policy.")
    return body


def _no_constant(name: str) -> Any:
    raise Malformed(f"{name} is no JSON.")
