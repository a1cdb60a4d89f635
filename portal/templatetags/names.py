"""How pages write names: those without spaces, of accounts, roles, IAM users and groups; and those
of the portal's own parts."""

import re
from collections.abc import Mapping
from typing import Final

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from audit import models as audit

register = template.Library()

FITS: Final = 20
"""Characters that fit into every place of every page, also on a phone: such a word stays whole."""
_PLACES: Final = re.compile(
    r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[-_./:@+=,])(?=[A-Za-z0-9])"
)


@register.filter
def breakable(name: object) -> SafeString:
    """A name that may go on in the next line where a reader would part it: `AmazonRDSFullAccess`
    after `RDS` or `Full`, and not after `Acces`.

    Nothing is added to the text itself: what is copied or searched for stays the name.
    """
    words = re.split(r"(\s+)", str(name))
    return mark_safe("".join(map(_word, words)))  # noqa: S308  # Each part is escaped.


def _word(word: str) -> str:
    parts = _PLACES.split(word) if len(word) > FITS else [word]
    return "<wbr>".join(map(escape, parts))


@register.filter
def as_actor(name: str, labels: Mapping[str, str] | None = None) -> str:
    """Who did something, where a line begins with it: `Bob Brandt`, `A worker`.

    `labels` are those of `User.objects.labels_of`. Whoever is in it no more has their user name.
    """
    return (labels or {}).get(name) or audit.as_actor(name)


@register.filter
def by_actor(name: str, labels: Mapping[str, str] | None = None) -> str:
    """The same inside a sentence: `by Bob Brandt`, `by a worker`."""
    who = as_actor(name, labels)
    return f"by {who[0].lower()}{who[1:]}" if name in audit.PARTS else f"by {who}"
