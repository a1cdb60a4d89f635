"""How pages write the values of a rule."""

import json
from datetime import timedelta
from typing import Any, Final

from accounts.durations import MINUTE, in_words
from accounts.four_eyes.widening.words import Names

NOTHING: Final = "\N{EN DASH}"
"""How a value that is not there is written."""


def text(value: Any) -> str:
    """A value of any field."""
    match value:
        case None | "":
            return NOTHING
        case True:
            return "yes"
        case False:
            return "no"
        case list() | dict():
            return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
        case _:
            return str(value)


def span(value: Any, names: Names) -> str:
    """Seconds as people say them."""
    if not isinstance(value, int | float):
        return text(value)
    return in_words(timedelta(seconds=value) // MINUTE)


def named(value: Any, names: Names) -> str:
    """One row by its name."""
    return names.get(str(value), str(value)) if value else NOTHING


def names_of(value: Any, names: Names) -> str:
    """Rows by their names, side by side."""
    if not isinstance(value, list):
        return text(value)
    return ", ".join(names.get(str(one), str(one)) for one in value) or "nobody"


def lines(value: Any, names: Names) -> str:
    """Texts, one a line."""
    return "\n".join(map(str, value)) or NOTHING if isinstance(value, list) else text(value)
