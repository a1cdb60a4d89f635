"""Reads a profile's inline policy: from text to a document that AWS will take, or the reasons.

What a person pastes here ends up on roles in other people's accounts, so everything that AWS
would refuse later, or read in another way than the person who reviews it, is refused now: two
values for one key, numbers that are none, statements that grant by exception.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from django.core.exceptions import ValidationError

POLICY_VERSION: Final = "2012-10-17"
MAX_DEPTH: Final = 20
MAX_SIZE: Final = 9_900
"""Characters of the document as it is sent. AWS takes 10,240 in all inline policies of a role
[AWS-FACTS 3.4]; the rest is for the dated deny and the revocation that Sallyport adds."""
CHARACTERS: Final = re.compile(r"[\t\n\r\x20-\xff]*")
"""What IAM accepts in a policy document [AWS-FACTS 3.1]."""
ACTION: Final = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+", re.ASCII)
SID: Final = re.compile(r"[A-Za-z0-9]*", re.ASCII)

DOCUMENT_KEYS: Final = frozenset({"Version", "Id", "Statement"})
STATEMENT_KEYS: Final = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
PRINCIPALS: Final = frozenset({"Principal", "NotPrincipal"})


def parse(text: str) -> dict[str, Any]:
    """The document that a text holds. Raises ValidationError with every reason that was found."""
    if not CHARACTERS.fullmatch(text):
        _refuse(_odd_character(text), "policy_characters")
    document: dict[str, Any] = _load(text)
    check(document)
    return document


def check(document: Any) -> None:
    """Refuse a document that AWS would not take, or that a profile must not hold."""
    if not isinstance(document, dict):
        _refuse("A policy is one JSON object: it begins with { and ends with }.", "policy_object")
    if depth(document) > MAX_DEPTH:
        _refuse(f"The document is nested more than {MAX_DEPTH} levels deep.", "policy_depth")
    problems = [*_strings(document), *_size(document), *_top(document), *_statements(document)]
    if problems:
        raise ValidationError(problems)


def size(document: dict[str, Any]) -> int:
    """Characters of a document as it is sent to AWS, which does not count white space."""
    return len(json.dumps(document, separators=(",", ":")))


def _refuse(message: str, code: str) -> NoReturn:
    raise ValidationError(message, code=code)


# --- From text to values ---------------------------------------------------------------------


def _load(text: str) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except json.JSONDecodeError as error:
        _refuse(
            f"This is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno}).",
            "policy_json",
        )
    except RecursionError:
        _refuse(f"The document is nested more than {MAX_DEPTH} levels deep.", "policy_depth")
    except ValueError:  # A number with thousands of digits.
        _refuse("This is not valid JSON: a number is too long.", "policy_json")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON leaves open which of two values counts: the reviewer and AWS might differ."""
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            _refuse(f"The key “{key}” stands twice in the same object.", "policy_duplicate_key")
        seen[key] = value
    return seen


def _refuse_constant(name: str) -> NoReturn:
    _refuse(f"{name} is not a JSON value.", "policy_number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        _refuse(f"The number {text[:20]} is too large.", "policy_number")
    return number


def _odd_character(text: str) -> str:
    for line, content in enumerate(text.split("\n"), start=1):
        odd = CHARACTERS.sub("", content, count=1)
        if odd:
            return (
                f"Line {line} holds the character U+{ord(odd[0]):04X}. AWS takes tabs, line ends "
                "and the characters U+0020 to U+00FF only."
            )
    raise AssertionError("A text that does not match has an odd character.")


# --- From values to reasons ------------------------------------------------------------------


def depth(value: Any) -> int:
    """How many objects and lists stand inside each other; not recursive, as depth is limited."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        one, level = waiting.pop()
        if isinstance(one, dict | list):
            deepest = max(deepest, level)
            inner = one.values() if isinstance(one, dict) else one
            waiting.extend((part, level + 1) for part in inner)
    return deepest


def _problem(message: str, code: str) -> ValidationError:
    return ValidationError(message, code=code)


def _strings(value: Any) -> Iterator[ValidationError]:
    """Escapes such as \\u0000 only show their character after parsing."""
    if isinstance(value, str):
        if not CHARACTERS.fullmatch(value):
            yield _problem(
                _odd_character(value).replace("Line 1 holds", "A text holds"), "policy_characters"
            )
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(key)
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _size(document: dict[str, Any]) -> Iterator[ValidationError]:
    length = size(document)
    if length > MAX_SIZE:
        yield _problem(
            f"The document has {length:,} characters without white space; at most {MAX_SIZE:,} "
            "fit on a role beside Sallyport's own policies.",
            "policy_size",
        )


def _top(document: dict[str, Any]) -> Iterator[ValidationError]:
    for key in sorted(document.keys() - DOCUMENT_KEYS):
        yield _problem(f"A policy has no element “{key}”.", "policy_unknown_element")
    if document.get("Version") != POLICY_VERSION:
        yield _problem(
            f'Write "Version": "{POLICY_VERSION}": with any other, AWS reads variables as text.',
            "policy_version",
        )
    if not _listed(document.get("Statement")):
        yield _problem("The policy needs at least one statement.", "policy_statement")


def _statements(document: dict[str, Any]) -> Iterator[ValidationError]:
    sids: set[str] = set()
    for number, statement in enumerate(_listed(document.get("Statement")), start=1):
        if not isinstance(statement, dict):
            yield _problem(f"Statement {number} is not a JSON object.", "policy_statement")
            continue
        for message, code in _statement(statement):
            yield _problem(f"Statement {number}: {message}", code)
        sid = statement.get("Sid", "")
        if sid and isinstance(sid, str) and sid in sids:
            yield _problem(f"Statement {number}: the Sid “{sid}” is taken.", "policy_sid")
        sids.add(str(sid))


def _statement(statement: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key in sorted(statement.keys() & PRINCIPALS):
        yield f"remove {key}; who may use the role is Sallyport's to say.", "policy_principal"
    for key in sorted(statement.keys() - STATEMENT_KEYS - PRINCIPALS):
        yield f"there is no element “{key}”.", "policy_unknown_element"
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield 'Effect must be "Allow" or "Deny".', "policy_effect"
    if "NotAction" in statement and statement.get("Effect") == "Allow":
        yield (
            "NotAction with Allow grants everything else, also what AWS adds later; "
            "name the actions instead.",
            "policy_not_action",
        )
    yield from _either(statement, "Action", "NotAction")
    yield from _either(statement, "Resource", "NotResource")
    yield from _actions(statement)
    yield from _rest(statement)


def _either(statement: dict[str, Any], name: str, inverse: str) -> Iterator[tuple[str, str]]:
    present = [key for key in (name, inverse) if key in statement]
    code = f"policy_{name.lower()}"
    if len(present) != 1:
        yield f"it needs either {name} or {inverse}, and not both.", code
    for key in present:
        values = _listed(statement[key])
        if not values or not all(isinstance(one, str) and one for one in values):
            yield f"{key} must be a text or a list of texts.", code


def _actions(statement: dict[str, Any]) -> Iterator[tuple[str, str]]:
    named = [*_listed(statement.get("Action")), *_listed(statement.get("NotAction"))]
    for one in named:
        if isinstance(one, str) and one and not ACTION.fullmatch(one):
            yield f"“{one}” is not an action, such as s3:GetObject.", "policy_action"


def _rest(statement: dict[str, Any]) -> Iterator[tuple[str, str]]:
    sid = statement.get("Sid", "")
    if not isinstance(sid, str) or not SID.fullmatch(sid):
        yield "a Sid has letters and digits only.", "policy_sid"
    condition = statement.get("Condition", {})
    if not isinstance(condition, dict) or not all(isinstance(v, dict) for v in condition.values()):
        yield (
            "Condition must be an object of operators, each with keys and values.",
            "policy_condition",
        )


def _listed(value: Any) -> list[Any]:
    """AWS takes one thing for a list of one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
