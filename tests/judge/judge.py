"""Who may enter which role, and what a principal or session may do, at a time `at`.

Written from AWS's documentation (IAM User Guide, "UG" with the page's name, and AWS-FACTS by
number). It shares no code with the product or with the sandbox, so that it can judge both.

It covers identity policies, role trust and other resource policies, permissions boundaries and
session policies. It knows nothing of SCPs and RCPs, of IpAddress and Binary conditions, and of
what services do themselves. What it cannot judge it refuses with `CannotJudge`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache
from typing import Any, Final, Literal

from tests.judge.state import Document, Principal, State

type Context = Mapping[str, Sequence[str]]
"""What a request tells, by lower-cased key. A key without values is a missing key."""

type Layer = Literal["identity", "boundary", "session", "resource"]

ASSUME: Final = "sts:AssumeRole"


class CannotJudge(ValueError):
    """A policy that AWS would not take, or an element that the judge does not know."""


@dataclass(frozen=True)
class Verdict:
    """Whether AWS would let it pass, and the rule that decided."""

    allowed: bool
    why: str


@dataclass(frozen=True)
class Session:
    """A session of a role. It is bound to the role's unique id, as AWS binds it [5.6]."""

    role_id: str
    name: str = "session"
    issued_at: datetime | None = None


# --- Questions -------------------------------------------------------------------------------


def may_enter(
    state: State,
    principal_arn: str,
    role_arn: str,
    *,
    at: datetime,
    mfa: bool | None,
    external_id: str | None = None,
    session_name: str | None = None,
) -> Verdict:
    """Whether a user, or a session of a role, gets a session of a role.

    `mfa`: True and False are a sign-in with and without it; None is a long-term access key,
    where the key aws:MultiFactorAuthPresent is missing [4.10].
    """
    caller = state.find(principal_arn)
    if caller is None:
        return Verdict(False, "there is no such principal")
    context = entering(
        mfa=mfa if caller.is_user else False,
        external_id=external_id,
        session_name=session_name or caller.name,
    )
    who = caller.unique_id if caller.is_user else Session(caller.unique_id)
    return may_do(state, who, ASSUME, role_arn, at=at, context=context)


def entering(
    *, mfa: bool | None, external_id: str | None = None, session_name: str | None = None
) -> Context:
    """What an AssumeRole request tells beside who makes it and when."""
    told = {
        "aws:MultiFactorAuthPresent": None if mfa is None else str(mfa).lower(),
        "sts:ExternalId": external_id,
        "sts:RoleSessionName": session_name,
    }
    return {key: [value] for key, value in told.items() if value is not None}


def who_may_enter(
    state: State,
    role_arn: str,
    *,
    at: datetime,
    mfa: bool | None,
    external_id: str | None = None,
) -> set[str]:
    """All who may: ARNs of principals of the accounts that were read, and, as the trust policy
    names them, those of other accounts and services that it lets in."""
    inside = {
        one.arn
        for one in state.principals
        if may_enter(state, one.arn, role_arn, at=at, mfa=mfa, external_id=external_id).allowed
    }
    return inside | set(_outsiders(state, role_arn, at, entering(mfa=mfa, external_id=external_id)))


def _outsiders(state: State, role_arn: str, at: datetime, context: Context) -> Iterator[str]:
    role = state.find(role_arn)
    if role is None or role.trust is None:
        return
    told = _lowered({**_clock(at), **context})
    for statement in _statements(role.trust):
        applies = statement.get("Effect") == "Allow" and _acts(statement, ASSUME)
        if applies and _conditions_hold(statement, told, _has_variables(role.trust)):
            for kind, name in _named_principals(statement):
                if kind != "AWS" or name == "*" or not _is_read(state, name):
                    yield name


def _is_read(state: State, name: str) -> bool:
    account = name if name.isdigit() else name.split(":")[4] if ":" in name else None
    # A bare unique id is what is left of a deleted principal [4.3]: it lets in nobody.
    return account is None or state.knows(account)


def may_do(
    state: State,
    who: str | Session,
    action: str,
    resource: str,
    *,
    at: datetime,
    context: Context | None = None,
    session_policy: Document | None = None,
    resource_policy: Document | None = None,
) -> Verdict:
    """Whether a principal (ARN or unique id) or a session may do this.

    A role's ARN stands for some session of it. The trust policy of a role is its resource
    policy for sts:AssumeRole; for anything else pass `resource_policy`.
    """
    caller = state.find(who.role_id if isinstance(who, Session) else who)
    if caller is None:
        return Verdict(False, "there is no such principal")
    if action.lower() == "sts:getcalleridentity":
        return Verdict(True, "GetCallerIdentity needs no permission [5.8]")
    session = who if isinstance(who, Session) else None if caller.is_user else Session(who)
    if session_policy is not None and session is None:
        raise CannotJudge("an IAM user has no session policy")
    if action.lower() == ASSUME.lower():
        role = state.find(resource)
        if role is None or role.trust is None:
            return Verdict(False, "there is no such role")
        resource_policy = role.trust
    told = _lowered({**_identity_keys(caller, session), **_clock(at), **(context or {})})
    request = _Request(state, caller, session, action, resource, told)
    return _decide(request, session_policy, resource_policy)


# --- The decision (UG reference_policies_evaluation-logic) -------------------------------------


@dataclass(frozen=True)
class _Request:
    state: State
    caller: Principal
    session: Session | None
    action: str
    resource: str
    context: Context

    @property
    def is_cross_account(self) -> bool:
        """S3 and others have no account in their ARNs: they count as the caller's own."""
        parts = self.resource.split(":")
        owner = parts[4] if len(parts) > 5 else ""
        return owner.isdigit() and owner != self.caller.account_id


def _decide(
    request: _Request, session_policy: Document | None, resource_policy: Document | None
) -> Verdict:
    caller = request.caller
    layers: dict[Layer, list[Document]] = {"identity": list(caller.policies)}
    if caller.boundary is not None:
        layers["boundary"] = [caller.boundary]
    if session_policy is not None:
        layers["session"] = [session_policy]
    trusted = None
    if resource_policy is not None:
        for statement in _applying(request, resource_policy, "Deny", "resource"):
            return Verdict(False, f"explicit deny of the resource policy{_sid(statement)}")
        trusted = _strongest(request, resource_policy)
    for layer, documents in layers.items():
        for document in documents:
            for statement in _applying(request, document, "Deny", layer):
                return Verdict(False, f"explicit deny of the {layer} policies{_sid(statement)}")
    missing = [layer for layer, documents in layers.items() if not _allows(request, documents)]
    return _weigh(request, missing, trusted, has_resource_policy=resource_policy is not None)


def _weigh(
    request: _Request, missing: list[Layer], trusted: str | None, *, has_resource_policy: bool
) -> Verdict:
    if request.is_cross_account:
        if trusted is None:
            return Verdict(False, "the other account's resource policy does not allow it")
        if missing:
            return Verdict(False, f"across accounts both sides are needed: {missing[0]} lacks it")
        return Verdict(True, "both accounts allow it [4.1]")
    if trusted is not None and not [one for one in missing if one in _LIMITS[trusted]]:
        return Verdict(True, f"the resource policy names the {trusted} in the same account [4.1]")
    if request.action.lower() == ASSUME.lower() and trusted is None:
        return Verdict(False, "the trust policy does not allow it")
    if missing:
        return Verdict(False, f"implicit deny: {missing[0]} does not allow it")
    return Verdict(True, "the principal's own policies allow it")


_LIMITS: Final[Mapping[str, frozenset[Layer]]] = {
    "user": frozenset(),
    "session": frozenset(),
    "role": frozenset({"boundary", "session"}),
    "account": frozenset({"identity", "boundary", "session"}),
}
"""Which missing allows still count, in the same account, when a resource policy allows whom.
UG reference_policies_evaluation-logic, access_policies_boundaries [5.7, 6.8]."""


def _strongest(request: _Request, policy: Document) -> str | None:
    found = {
        matched
        for statement in _applying(request, policy, "Allow", "resource")
        for matched in _matched_principals(request, statement)
    }
    return next((one for one in ("user", "session", "role", "account") if one in found), None)


def _allows(request: _Request, documents: Iterable[Document]) -> bool:
    return any(
        True for document in documents for _ in _applying(request, document, "Allow", "identity")
    )


def _applying(
    request: _Request, document: Document, effect: str, layer: Layer
) -> Iterator[Mapping[str, Any]]:
    """The statements of this effect that apply to the request."""
    variables = _has_variables(document)
    for statement in _statements(document):
        _check(statement, layer)
        if statement["Effect"] != effect or not _acts(statement, request.action):
            continue
        if layer == "resource" and not set(_matched_principals(request, statement)):
            continue
        if not _covers(statement, request.resource, request.context, variables):
            continue
        if _conditions_hold(statement, request.context, variables):
            yield statement


def _sid(statement: Mapping[str, Any]) -> str:
    return f" ({statement['Sid']})" if "Sid" in statement else ""


# --- Statements --------------------------------------------------------------------------------

_ELEMENTS: Final = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "Condition"}
)


def _statements(document: Document) -> list[Mapping[str, Any]]:
    found = document["Statement"]
    return [found] if isinstance(found, Mapping) else list(found)


def _check(statement: Mapping[str, Any], layer: Layer) -> None:
    """Refuse what AWS does not take (UG reference_policies_grammar, 4.5)."""
    if "NotPrincipal" in statement:
        raise CannotJudge("NotPrincipal is refused")
    if unknown := set(statement) - _ELEMENTS:
        raise CannotJudge(f"unknown elements {sorted(unknown)}")
    if statement.get("Effect") not in {"Allow", "Deny"}:
        raise CannotJudge("Effect is Allow or Deny, in this spelling")
    if ("Action" in statement) == ("NotAction" in statement):
        raise CannotJudge("a statement has either Action or NotAction")
    if ("Principal" in statement) != (layer == "resource"):
        raise CannotJudge("resource policies have a Principal, and no others")
    resources = [one for one in ("Resource", "NotResource") if one in statement]
    if len(resources) > 1 or (layer != "resource" and not resources):
        raise CannotJudge("a statement has either Resource or NotResource")


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _acts(statement: Mapping[str, Any], action: str) -> bool:
    if "Action" in statement:
        return _is_one_of(action, tuple(_listed(statement["Action"])))
    return not _is_one_of(action, tuple(_listed(statement["NotAction"])))


@lru_cache(10_000)
def _is_one_of(action: str, patterns: tuple[str, ...]) -> bool:
    """Kept, because AWS's own policies name more than a thousand actions, and are asked often."""
    return any(matches_action(one, action) for one in patterns)


def matches_action(pattern: str, action: str) -> bool:
    """Without regard to case; wildcards within the name (UG reference_policies_elements_action)."""
    if pattern == "*":
        return True
    service, colon, name = pattern.lower().partition(":")
    if not colon or "*" in service or "?" in service:
        raise CannotJudge(f"not an action: {pattern}")
    wanted, _, call = action.lower().partition(":")
    return service == wanted and _name_pattern(name).fullmatch(call) is not None


@cache
def _name_pattern(name: str) -> re.Pattern[str]:
    return re.compile(_wild(name))


def _covers(statement: Mapping[str, Any], resource: str, context: Context, variables: bool) -> bool:
    key = "NotResource" if "NotResource" in statement else "Resource"
    if key not in statement:
        return True  # A trust policy: its resource is the role itself [4.5].
    rendered = [render(one, context, variables) for one in _listed(statement[key])]
    if None in rendered:
        return False  # UG reference_policies_variables: the whole statement may be invalid.
    hit = any(matches_resource(one, resource) for one in rendered if one is not None)
    return hit == (key == "Resource")


def matches_resource(pattern: "str | Pieces", resource: str) -> bool:
    """With regard to case. A wildcard at the end of one of an ARN's parts goes on beyond the
    colon, one inside a part does not; missing parts are wildcards
    (UG reference_policies_elements_resource)."""
    pieces: Pieces = [(pattern, False)] if isinstance(pattern, str) else pattern
    if pieces == [("*", False)]:
        return True
    parts = _split(pieces, 5)
    parts += [[("*", False)]] * (6 - len(parts))
    return _matches(":".join([*map(_part, parts[:5]), _wild(parts[5])]), resource)


def _part(pieces: "Pieces") -> str:
    spans = bool(pieces) and not pieces[-1][1] and pieces[-1][0].endswith("*")
    inner = _wild(pieces, any_sign="[^:]")
    return inner + (".*" if spans else "")


# --- Patterns and policy variables -------------------------------------------------------------

type Pieces = list[tuple[str, bool]]
"""A value of a policy in pieces: the text, and whether it is meant to the letter."""

_VARIABLE: Final = re.compile(r"\$\{\s*([^},]+?)\s*(?:,\s*'([^']*)'\s*)?\}")


def render(value: str, context: Context, variables: bool) -> Pieces | None:
    """A value with its policy variables filled in; None where one has no value and no default.

    What is filled in is meant to the letter (UG reference_policies_variables).
    """
    if not variables:
        return [(value, False)]
    pieces: Pieces = []
    end = 0
    for found in _VARIABLE.finditer(value):
        pieces.append((value[end : found.start()], False))
        end = found.end()
        filled = _fill(found.group(1), found.group(2), context)
        if filled is None:
            return None
        pieces.append((filled, True))
    pieces.append((value[end:], False))
    return [piece for piece in pieces if piece[0]]


def _fill(name: str, default: str | None, context: Context) -> str | None:
    if name in {"*", "?", "$"}:
        return name
    values = context.get(name.lower(), [])
    return values[0] if len(values) == 1 else default


def _has_variables(document: Document) -> bool:
    """Version 2008-10-17, also where none is named, has no variables [4.16]."""
    version = document.get("Version", "2008-10-17")
    if version not in {"2008-10-17", "2012-10-17"}:
        raise CannotJudge(f"unknown version {version}")
    return bool(version == "2012-10-17")


def _wild(pattern: str | Pieces, any_sign: str = ".") -> str:
    pieces: Pieces = [(pattern, False)] if isinstance(pattern, str) else pattern
    signs = {"*": f"{any_sign}*", "?": any_sign}
    return "".join(
        re.escape(text) if literal else "".join(signs.get(one, re.escape(one)) for one in text)
        for text, literal in pieces
    )


def _matches(expression: str, text: str) -> bool:
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _split(pieces: Pieces, colons: int) -> list[Pieces]:
    """Split at the first colons, also at those that a variable brought in."""
    parts: list[Pieces] = [[]]
    for text, literal in pieces:
        rest = text
        while ":" in rest and len(parts) <= colons:
            head, _, rest = rest.partition(":")
            parts[-1].append((head, literal))
            parts.append([])
        parts[-1].append((rest, literal))
    return [[piece for piece in part if piece[0]] for part in parts]


def _plain(pieces: Pieces) -> str:
    return "".join(text for text, _ in pieces)


# --- Principals (UG reference_policies_elements_principal) -------------------------------------


def _named_principals(statement: Mapping[str, Any]) -> list[tuple[str, str]]:
    principal = statement["Principal"]
    if principal == "*":
        return [("AWS", "*")]
    return [(kind, name) for kind, names in principal.items() for name in _listed(names)]


def _matched_principals(request: _Request, statement: Mapping[str, Any]) -> Iterator[str]:
    """How the statement names the caller: as this user, role or session, or by the account."""
    for kind, name in _named_principals(statement):
        matched = _matched(request, name) if kind == "AWS" else None
        if matched is not None:
            yield matched


def _matched(request: _Request, name: str) -> str | None:
    caller = request.caller
    itself = "user" if caller.is_user else "role"
    if name == "*":
        return itself
    if "*" in name or "?" in name:
        raise CannotJudge("no wildcards within a principal [4.5]")
    if name in {caller.account_id, f"arn:{caller.partition}:iam::{caller.account_id}:root"}:
        return "account"
    if request.session is not None and name == _session_arn(caller, request.session):
        return "session"
    # An ARN stands for the principal that lives now; the bare id for one that is gone [4.3].
    named = request.state.find(name)
    return itself if named is not None and named.unique_id == caller.unique_id else None


def _session_arn(role: Principal, session: Session) -> str:
    return f"arn:{role.partition}:sts::{role.account_id}:assumed-role/{role.name}/{session.name}"


# --- Conditions (UG reference_policies_elements_condition_operators) ---------------------------


def _identity_keys(caller: Principal, session: Session | None) -> dict[str, Sequence[str]]:
    """Keys about the principal (UG reference_policies_condition-keys)."""
    keys: dict[str, Sequence[str]] = {
        "aws:PrincipalArn": [caller.arn],
        "aws:PrincipalAccount": [caller.account_id],
        "aws:PrincipalType": ["User" if session is None else "AssumedRole"],
        "aws:userid": [caller.unique_id],
        **{f"aws:PrincipalTag/{key}": [value] for key, value in caller.tags},
    }
    if session is None:
        return keys | {"aws:username": [caller.name]}
    keys["aws:userid"] = [f"{caller.unique_id}:{session.name}"]
    if session.issued_at is not None:
        keys["aws:TokenIssueTime"] = [_written(session.issued_at)]
    return keys


def _clock(at: datetime) -> Context:
    return {"aws:CurrentTime": [_written(at)], "aws:EpochTime": [str(int(at.timestamp()))]}


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _lowered(context: Context) -> Context:
    """Names of keys are the same in any case; keys without a value are missing keys."""
    return {key.lower(): list(values) for key, values in context.items() if len(values)}


def _conditions_hold(statement: Mapping[str, Any], context: Context, variables: bool) -> bool:
    return all(
        condition_holds(operator, key, _values(values), context, variables=variables)
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def _values(values: Any) -> list[str]:
    listed = values if isinstance(values, list | tuple) else [values]
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in listed]


type _Test = Callable[[str, Pieces], bool]


def condition_holds(
    operator: str,
    key: str,
    wanted: Sequence[str],
    context: Context,
    *,
    variables: bool = True,
) -> bool:
    """One condition: several values are alternatives, and for a negated operator all excluded."""
    qualifier, _, rest = operator.rpartition(":")
    name = rest.removesuffix("IfExists")
    if qualifier not in {"", "ForAllValues", "ForAnyValue"}:
        raise CannotJudge(f"unknown operator {operator}")
    told = _lowered(context).get(key.lower(), [])
    if operator == "Null":
        return any(one.lower() == str(not told).lower() for one in wanted)
    positive = _NEGATED.get(name, name)
    if positive not in _TESTS:
        raise CannotJudge(f"unknown operator {operator}")
    if not told:
        return _holds_without(qualifier, negated=name in _NEGATED, if_exists=name != rest)
    if not qualifier and len(told) > 1:
        raise CannotJudge(f"{key} has several values, {operator} takes one")
    filled = [
        render(one, _lowered(context), variables and positive in _WITH_VARIABLES) for one in wanted
    ]
    if None in filled and name == rest:
        return False
    known = [one for one in filled if one is not None]
    test = _TESTS[positive]
    hits = [any(test(one, pieces) for pieces in known) != (name in _NEGATED) for one in told]
    return any(hits) if qualifier == "ForAnyValue" else all(hits)


def _holds_without(qualifier: str, *, negated: bool, if_exists: bool) -> bool:
    """With the key missing. ForAnyValue is false even with IfExists (observed, re:Post)."""
    if qualifier == "ForAnyValue":
        return False
    return qualifier == "ForAllValues" or if_exists or negated


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise CannotJudge(f"not a number: {text}") from None


def _moment(text: str) -> Decimal:
    """ISO 8601 or seconds since 1970."""
    if re.fullmatch(r"\d+(\.\d+)?", text) and len(text) != 4:
        return Decimal(text)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise CannotJudge(f"not a date: {text}") from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    whole = int(parsed.replace(microsecond=0).timestamp())
    return whole + Decimal(parsed.microsecond) / 1_000_000


def _ordered(read: Callable[[str], Decimal], compare: Callable[[Decimal, Decimal], bool]) -> _Test:
    return lambda told, pieces: compare(read(told), read(_plain(pieces)))


def _arn_like(told: str, pieces: Pieces) -> bool:
    """Each of the six parts by itself; ArnEquals and ArnLike are the same."""
    pattern, parts = _split(pieces, 5), told.split(":", 5)
    return len(pattern) == len(parts) == 6 and all(
        _matches(_wild(one), part) for one, part in zip(pattern, parts, strict=True)
    )


_COMPARISONS: Final[Mapping[str, Callable[[Decimal, Decimal], bool]]] = {
    "Equals": lambda told, wanted: told == wanted,
    "LessThan": lambda told, wanted: told < wanted,
    "LessThanEquals": lambda told, wanted: told <= wanted,
    "GreaterThan": lambda told, wanted: told > wanted,
    "GreaterThanEquals": lambda told, wanted: told >= wanted,
}

_TESTS: Final[Mapping[str, _Test]] = {
    "StringEquals": lambda told, pieces: told == _plain(pieces),
    "StringEqualsIgnoreCase": lambda told, pieces: told.casefold() == _plain(pieces).casefold(),
    "StringLike": lambda told, pieces: _matches(_wild(pieces), told),
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda told, pieces: told.lower() == _plain(pieces).lower(),
    **{f"Numeric{name}": _ordered(_number, test) for name, test in _COMPARISONS.items()},
    **{f"Date{name}": _ordered(_moment, test) for name, test in _COMPARISONS.items()},
}

_NEGATED: Final[Mapping[str, str]] = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}

_WITH_VARIABLES: Final = frozenset(
    {"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "Bool"}
)
"""Where policy variables are filled in (UG reference_policies_elements_condition_operators)."""
