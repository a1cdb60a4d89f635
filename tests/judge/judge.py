"""Who may enter which role, and what a principal or session may do, at a time `at`.

The rules are those of `sandbox/evaluation.py`, by which the server that stands for AWS decides too:
what the tests conclude from documents is what runs meet. This module puts whole states before them,
as they are read back from IAM: who is named by a trust policy, which policies a caller has, which
keys a request carries. It shares no code with the product.

It knows identity policies, role trust and other resource policies, permissions boundaries and
session policies. It knows nothing of SCPs and RCPs, of IpAddress and Binary conditions (a state
tells no addresses), and of what services do themselves. The server has to decide somehow where AWS
would not have taken a policy, and refuses; here that is a mistake of the test or of the document,
and is refused with `CannotJudge`. "UG" is the IAM User Guide with the page's name, a number in
brackets one of AWS-FACTS.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from sandbox import evaluation
from sandbox.evaluation import Condition, Decision, Policies, Policy, Request, Statement, Trust
from tests.judge.state import Document, Principal, State

type Context = Mapping[str, Sequence[str]]
"""What a request tells, by key in any case. A key without values is a missing key."""

type Layer = Literal["identity", "resource"]

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
    request = Request.at(at, ASSUME, role_arn, dict(context))
    for raw, statement in zip(_raw(role.trust), _read(role.trust, "resource"), strict=True):
        if statement.allows and _applies(statement, request):
            for kind, name in _named_principals(raw):
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
    keys = {**_identity_keys(caller, session), **(context or {})}
    request = Request.at(at, action, resource, keys)
    own = _own(request, caller, session_policy)
    if resource_policy is None:
        trusted = Trust.SILENT
    else:
        principal = evaluation.Principal(
            caller.account_id, caller.unique_id, _session_arn(caller, session) if session else None
        )
        document = _bound(state, resource_policy)
        _refuse_unknown(document, request)
        trusted = evaluation.trust(request, document, principal)
    return _weigh(request, caller, own, trusted)


# --- The decision (UG reference_policies_evaluation-logic) -------------------------------------


def _own(request: Request, caller: Principal, session_policy: Document | None) -> Decision:
    """What the caller's own policies say."""

    def read(document: Document | None) -> tuple[Policy, ...] | None:
        return None if document is None else (_read(document, "identity"),)

    policies = Policies(
        identity=tuple(_read(one, "identity") for one in caller.policies),
        boundary=read(caller.boundary),
        session=read(session_policy),
    )
    for _, documents in policies.layers():
        for document in documents:
            _refuse_unknown(document, request)
    return evaluation.decide(request, policies)


def _weigh(request: Request, caller: Principal, own: Decision, trusted: Trust) -> Verdict:
    if trusted is Trust.DENIED:
        return Verdict(False, "explicit deny of the resource policy")
    if own.denied_by is not None:
        return Verdict(False, f"explicit deny of the {own.denied_by.value}")
    same = not _is_elsewhere(request.resource, caller)
    both = evaluation.may_assume(trusted, own, same_account=same)
    if both or not same or request.action.lower() == ASSUME.lower():
        return Verdict(both, f"the resource policy says {trusted.name}; {own.silent} are silent")
    return Verdict(own.allowed, f"no resource policy allows it; {own.silent} are silent")


def _is_elsewhere(resource: str, caller: Principal) -> bool:
    """S3 and others have no account in their ARNs: they count as the caller's own."""
    parts = resource.split(":")
    owner = parts[4] if len(parts) > 5 else ""
    return owner.isdigit() and owner != caller.account_id


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
        keys["aws:TokenIssueTime"] = [session.issued_at.astimezone(UTC).isoformat()]
    return keys


# --- Principals (UG reference_policies_elements_principal) -------------------------------------


def _bound(state: State, document: Document) -> Policy:
    """A resource policy with the ids of those who live now instead of their ARNs [4.3]."""
    return tuple(
        replace(one, principals=tuple(_bind(state, name) for name in one.principals))
        for one in _read(document, "resource")
    )


def _bind(state: State, name: str) -> str:
    if name != "*" and ("*" in name or "?" in name):
        raise CannotJudge("no wildcards within a principal [4.5]")
    named = state.find(name)
    return named.unique_id if named is not None else name


def _named_principals(statement: Mapping[str, Any]) -> list[tuple[str, str]]:
    principal = statement["Principal"]
    if principal == "*":
        return [("AWS", "*")]
    return [(kind, name) for kind, names in principal.items() for name in evaluation.as_list(names)]


def _session_arn(role: Principal, session: Session) -> str:
    return f"arn:{role.partition}:sts::{role.account_id}:assumed-role/{role.name}/{session.name}"


# --- What is refused ---------------------------------------------------------------------------

_ELEMENTS: Final = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "Condition"}
)
_NOT_JUDGED: Final = frozenset({"IpAddress", "NotIpAddress", "BinaryEquals"})
_READ: Final[dict[tuple[int, Layer], tuple[Document, Policy]]] = {}
"""Documents that were read: AWS's own name more than a thousand actions, and are asked often. Each
is kept with its document, so that no other one can get its id."""
_KEPT: Final = 1000


def _read(document: Document, layer: Layer) -> Policy:
    """A document's statements, once it was seen that AWS would take them."""
    known = _READ.get((id(document), layer))
    if known is None:
        if document.get("Version", "2008-10-17") not in {"2008-10-17", "2012-10-17"}:
            raise CannotJudge(f"unknown version {document['Version']}")
        for statement in _raw(document):
            _check(statement, layer)
        if len(_READ) >= _KEPT:
            _READ.clear()
        known = _READ[id(document), layer] = (document, evaluation.read_policy(document))
    return known[1]


def _raw(document: Document) -> list[Mapping[str, Any]]:
    return evaluation.as_list(document["Statement"])


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
    for action in evaluation.as_list(statement.get("Action", statement.get("NotAction"))):
        _check_action(action)


def _check_action(pattern: str) -> None:
    service, colon, _ = pattern.partition(":")
    if pattern != "*" and (not colon or "*" in service or "?" in service):
        raise CannotJudge(f"not an action: {pattern}")


def _refuse_unknown(policy: Policy, request: Request) -> None:
    """Refuse conditions that would decide about this request and cannot be judged."""
    for statement in policy:
        if statement.actions.cover(request.action) and statement.resources.cover(
            request.resource, request.context
        ):
            for condition in statement.conditions:
                _check_condition(condition, request.context)


def _applies(statement: Statement, request: Request) -> bool:
    _refuse_unknown((statement,), request)
    return statement.applies(request)


def _check_condition(condition: Condition, context: evaluation.Context) -> None:
    name = condition.operator
    if not condition.known or name in _NOT_JUDGED:
        raise CannotJudge(f"unknown operator {name}")
    told = context.get(condition.key, ())
    if len(told) > 1 and not condition.quantifier and name != "Null":
        raise CannotJudge(f"{condition.key} has several values, {name} takes one")
    if "Date" in name or "Numeric" in name:
        for value in (*condition.wanted, *told):
            _check_value(name, value)


def _check_value(operator: str, value: str) -> None:
    read = evaluation.parse_date if "Date" in operator else float
    try:
        read(value)
    except ValueError:
        kind = "date" if "Date" in operator else "number"
        raise CannotJudge(f"not a {kind}: {value}") from None


# --- The rules one by one, as the tests of the judge ask for them ------------------------------


def matches_action(pattern: str, action: str) -> bool:
    """Without regard to case; wildcards within the name (UG reference_policies_elements_action)."""
    _check_action(pattern)
    return evaluation.like(pattern.lower(), action.lower())


def matches_resource(pattern: str, resource: str) -> bool:
    """With regard to case (UG reference_policies_elements_resource)."""
    return evaluation.resource_like(pattern, resource)


def condition_holds(
    operator: str,
    key: str,
    wanted: Sequence[str],
    context: Context,
    *,
    variables: bool = True,
) -> bool:
    """One condition: several values are alternatives, and for a negated operator all excluded."""
    told = {name.lower(): tuple(values) for name, values in context.items()}
    (condition,) = evaluation.conditions_of({operator: {key: list(wanted)}}, variables)
    _check_condition(condition, told)
    return condition.holds(told)
