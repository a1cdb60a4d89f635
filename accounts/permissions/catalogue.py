"""AWS's services and actions, from a file that `scripts/permissions_data.py` makes.

Read when first asked for, and kept: 22,000 names in about 20 MB. Action names are compared as IAM
compares them, without regard to case.
"""

import difflib
import gzip
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

DATA: Final = Path(__file__).parent / "data"


class Level(StrEnum):
    """AWS's access levels, as its Service Authorization Reference gives them."""

    LIST = "L"
    READ = "R"
    WRITE = "W"
    TAGGING = "T"
    SHARING = "P"
    """AWS says "Permissions management": policies on the resources themselves, above all."""


@dataclass(frozen=True)
class Service:
    """One service prefix, such as s3."""

    prefix: str
    name: str
    levels: dict[str, Level]
    """Of each action, by its name as AWS writes it."""


class Unknown(ValueError):
    """AWS has no such action. `nearest` is a known one that may have been meant, or empty."""

    def __init__(self, sentence: str, nearest: str = "") -> None:
        super().__init__(sentence)
        self.nearest = nearest


MEANT: Final = {
    "s3:copyobject": "s3:PutObject",
    "s3:headbucket": "s3:ListBucket",
    "s3:headobject": "s3:GetObject",
    "s3:listbuckets": "s3:ListAllMyBuckets",
    "s3:listobjects": "s3:ListBucket",
    "s3:listobjectsv2": "s3:ListBucket",
    "s3:deleteobjects": "s3:DeleteObject",
    "s3:uploadpart": "s3:PutObject",
    "lambda:invoke": "lambda:InvokeFunction",
    "monitoring:getmetricdata": "cloudwatch:GetMetricData",
}
"""API calls that IAM knows by another name: people write these from memory of the SDK."""


def load(name: str) -> dict[str, Any]:
    """One of the two data files."""
    content: dict[str, Any] = json.loads(gzip.decompress((DATA / name).read_bytes()))
    return content


@cache
def services() -> dict[str, Service]:
    """Every service by its prefix, in lower case."""
    return {prefix: _service(prefix, one) for prefix, one in _file()["services"].items()}


@cache
def _file() -> dict[str, Any]:
    return load("actions.json.gz")


def source() -> str:
    """Where the list comes from and how old it is, for people."""
    return f"{_file()['source']} of {_file()['updated']}"


def _service(prefix: str, stored: dict[str, str]) -> Service:
    named = {level: stored.get(level, "").split() for level in Level}
    levels = {name: level for level, names in named.items() for name in names}
    return Service(prefix, stored["name"], levels)


@cache
def everything() -> dict[str, Level]:
    """Every action, written `s3:GetObject`, with its level."""
    return {
        f"{one.prefix}:{name}": level
        for one in services().values()
        for name, level in one.levels.items()
    }


@cache
def every_action() -> frozenset[str]:
    """The same without levels."""
    return frozenset(everything())


def service_name(prefix: str) -> str:
    """What people call a service: Amazon S3."""
    known = services().get(prefix)
    return known.name if known else prefix


def expand(pattern: str) -> frozenset[str]:
    """The known actions that a pattern of a policy covers. Raises Unknown when there are none."""
    found = _expand(pattern)
    if not found:
        raise _unknown(pattern)
    return found


def covered(pattern: str) -> frozenset[str]:
    """The same without complaint: none where AWS has none."""
    return _expand(pattern)


@cache
def whole_service(prefix: str) -> frozenset[str]:
    """All actions of a service."""
    return frozenset(f"{prefix}:{name}" for name in services()[prefix].levels)


def _expand(pattern: str) -> frozenset[str]:
    if not pattern.strip("*"):
        return every_action()
    prefix, _, name = pattern.lower().partition(":")
    known = services().get(prefix)
    if known is None:
        return frozenset()
    if name == "*":
        return whole_service(prefix)
    return frozenset(f"{prefix}:{one}" for one in known.levels if _like(name, one.lower()))


def _like(pattern: str, name: str) -> bool:
    """Whether a name matches `*` and `?`. No regular expression: a hostile pattern full of stars
    would keep one busy for ever."""
    here = there = mark = 0
    star = -1
    while there < len(name):
        if here < len(pattern) and pattern[here] == "*":
            star, mark = here, there
            here += 1
        elif here < len(pattern) and pattern[here] in ("?", name[there]):
            here, there = here + 1, there + 1
        elif star >= 0:
            mark += 1
            here, there = star + 1, mark
        else:
            return False
    return not pattern[here:].strip("*")


@lru_cache(maxsize=1024)
def _unknown(pattern: str) -> Unknown:
    prefix, _, name = pattern.lower().partition(":")
    meant = MEANT.get(pattern.lower(), "")
    known = services().get(prefix)
    if known is None:
        close = difflib.get_close_matches(prefix, services(), n=1, cutoff=0.6)
        nearest = meant or _in_service(close[0], name) if close else meant
        return Unknown(f"AWS has no service “{_short(prefix)}”.", nearest)
    if re.search(r"[*?]", name):
        nearest = f"{prefix}:{_common_start(name, known)}*"
        return Unknown(f"“{_short(pattern)}” matches no action of {known.name}.", nearest)
    sentence = f"{known.name} has no action “{_short(pattern.partition(':')[2])}”."
    return Unknown(sentence, meant or _nearest(known, name))


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"


def _in_service(prefix: str, name: str) -> str:
    """The action of that name, or one like it, in a service that may have been meant."""
    known = services()[prefix]
    exact = [one for one in known.levels if one.lower() == name]
    return f"{prefix}:{exact[0]}" if exact else _nearest(known, name) or f"{prefix}:*"


def _nearest(known: Service, name: str) -> str:
    lower = {one.lower(): one for one in known.levels}
    close = difflib.get_close_matches(name[:80], lower, n=1, cutoff=0.6)
    return f"{known.prefix}:{lower[close[0]]}" if close else ""


def _common_start(name: str, known: Service) -> str:
    """As much of the pattern's beginning as some action has."""
    fixed = re.split(r"[*?]", name)[0]
    for length in range(len(fixed), 0, -1):
        for one in known.levels:
            if one.lower().startswith(fixed[:length]):
                return one[:length]
    return ""
