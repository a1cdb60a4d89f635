"""The limits that the service models of IAM and STS set to each parameter.

botocore checks neither the longest length nor the pattern, and moto only some, so a bad name
would pass here and fail at AWS. The models are botocore's own, read through moto.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from moto.core.utils import get_service_model

from sandbox.aws_errors import AwsError, validation
from sandbox.iam_requests import Params

NAME = r"[\w+=,.@-]+"
PRINTABLE = "It must contain only printable ASCII characters."
SAID = {
    # Where IAM has a sentence of its own instead of the pattern.
    NAME: "It must contain only alphanumeric characters and/or the following: +=,.@_-",
    r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)": (
        "It must begin and end with / and contain only alphanumeric characters and/or / characters."
    ),
    r"[\u0009\u000A\u000D\u0020-\u00FF]+": PRINTABLE,
}


def has_operation(service: str, action: str) -> bool:
    """Say whether AWS has this operation at all."""
    return action in get_service_model(service).operation_names


def check_shapes(service: str, action: str, params: Params) -> None:
    """Refuse parameters that are missing, too long, out of range or badly spelt.

    Raises AwsError with ValidationError.
    """
    shape = get_service_model(service).operation_model(action).input_shape
    if shape is None:
        return
    missing = [name for name in shape.required_members if not _given(name, params)]
    problems = [f"Value null at '{_wire(n)}' {FAILED}: Member must not be null" for n in missing]
    for name, value in params.items():
        leaf = _leaf(shape, name)
        if leaf is not None:
            problems += _problems(name, value, leaf)
    problems += _too_many(shape, params)
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
        raise validation(f"{count}: {'; '.join(problems)}")


FAILED = "failed to satisfy constraint"


def _given(name: str, params: Params) -> bool:
    return name in params or any(key.startswith(f"{name}.") for key in params)


def _too_many(shape: Any, params: Params) -> Iterator[str]:
    """Lists that are longer than the model lets them be."""
    for name, member in shape.members.items():
        limit = member.metadata.get("max") if member.type_name == "list" else None
        heads = {key.split(".")[2] for key in params if key.startswith(f"{name}.member.")}
        if limit is not None and len(heads) > limit:
            place = f"Value at '{_wire(name)}' {FAILED}: Member must"
            yield f"{place} have length less than or equal to {limit}"


def _leaf(shape: Any, name: str) -> Any:
    """Follow `Tags.member.1.Key` down the model; None where the model knows no such parameter."""
    for part in name.split("."):
        if shape.type_name == "structure":
            shape = shape.members.get(part)
        elif shape.type_name == "list":
            # The words "member" and the number both stay at the list's own level.
            shape = shape.member if part.isdigit() else shape
        else:
            return None
        if shape is None:
            return None
    return shape


def _problems(name: str, value: str, leaf: Any) -> Iterator[str]:
    place = f"Value '{value}' at '{_wire(name)}' {FAILED}: Member must"
    metadata = leaf.metadata
    if leaf.type_name in ("integer", "long") and not re.fullmatch(r"-?\d{1,18}", value, re.ASCII):
        yield f"{place} be a whole number"
        return
    size, what = _size(leaf.type_name, value)
    if size is not None and size < metadata.get("min", size):
        yield f"{place} have {what} greater than or equal to {metadata['min']}"
    if size is not None and size > metadata.get("max", size):
        yield f"{place} have {what} less than or equal to {metadata['max']}"
    if metadata.get("enum") and value not in metadata["enum"]:
        yield f"{place} satisfy enum value set: [{', '.join(metadata['enum'])}]"
    pattern = metadata.get("pattern")
    if pattern and value and not _compiled(pattern).fullmatch(value):
        if pattern in SAID:
            raise _said(name, pattern)
        yield f"{place} satisfy regular expression pattern: {pattern}"


def _said(name: str, pattern: str) -> AwsError:
    return validation(f"The specified value for {_wire(name)} is invalid. {SAID[pattern]}")


def _size(kind: str, value: str) -> tuple[int | None, str]:
    if kind in ("integer", "long"):
        return int(value), "value"
    return (len(value) if kind == "string" else None), "length"


def _wire(name: str) -> str:
    return name[:1].lower() + name[1:]


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Turn a Java pattern into Python's; Java's \\w is ASCII, and Python has no \\p{L}."""
    if r"\p{" in pattern:
        letters = pattern.replace(r"\p{L}\p{Z}\p{N}", r"\w\s")
        return re.compile(letters)
    return re.compile(pattern, re.ASCII)
