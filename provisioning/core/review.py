"""How to judge the policies that are found on a provisioner role, against the template's."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from provisioning.core.coverage import (
    EVERYTHING,
    Condition,
    Reading,
    Selector,
    Statement,
    implies,
    read,
)
from provisioning.core.documents import Document

NAMES_SHOWN: Final = 12
"""Actions that one sentence names."""


@dataclass(frozen=True)
class PermissionReview:
    """What differs from the template, as sentences for the account's page."""

    missing: tuple[str, ...]
    """What Sallyport needs and does not have, or may not have."""
    extra: tuple[str, ...]
    """What goes beyond the template, or cannot be judged."""

    @property
    def ok(self) -> bool:
        """Whether what was found gives what is needed and no more."""
        return not self.missing and not self.extra


def review_permissions(wanted: Document, found: Sequence[Document]) -> PermissionReview:
    """Compare the template's policy with all the policies found on the role.

    `found` holds every inline policy's document and every attached managed policy's. A document
    that could not be read is given as an empty one: whatever cannot be judged counts as extra.
    Serves for the boundary too, where `missing` means that the owner made it tighter.
    """
    template, there = read(wanted), read(*found)
    return PermissionReview(
        missing=tuple(_sentences(_lacking(template, there))),
        extra=there.unread
        + tuple(_sentences(_beyond(template, there)))
        + tuple(_sentences(_unguarded(template, there))),
    )


type _Finding = tuple[str, Selector, Selector]
"""What is wrong, and with which actions on which resources."""


def _lacking(template: Reading, found: Reading) -> Iterator[_Finding]:
    """What the template allows and the policies found do not."""
    for needed in template.allows:
        for action, resource in needed.points():
            reason = _why_lacking(needed, action, resource, template, found)
            if reason:
                yield reason, action, resource


def _why_lacking(
    needed: Statement, action: Selector, resource: Selector, template: Reading, found: Reading
) -> str:
    for deny in found.denies:
        if deny.touches(action, resource) and not _is_in(deny, template.denies):
            return f"Denied, at least in part, by {deny.label}"
    allowing = [one for one in found.allows if one.holds(action, resource)]
    if any(implies(needed.condition, one.condition) for one in allowing):
        return ""
    if allowing:
        return f"Allowed by {allowing[0].label} only under further conditions"
    return "Not allowed"


def _is_in(deny: Statement, denies: Sequence[Statement]) -> bool:
    """Whether all that a statement denies is also denied by one of `denies`."""
    return all(
        any(one.holds(*point) and implies(deny.condition, one.condition) for one in denies)
        for point in deny.points()
    )


def _beyond(template: Reading, found: Reading) -> Iterator[_Finding]:
    """What the policies found allow and the template does not."""
    for given in found.allows:
        for action, resource in given.points():
            holding = [one for one in template.allows if one.holds(action, resource)]
            if not any(implies(given.condition, one.condition) for one in holding):
                yield _why_beyond(given, action, holding, template), action, resource


def _why_beyond(
    given: Statement, action: Selector, holding: Sequence[Statement], template: Reading
) -> str:
    if holding:
        keys = ", ".join(sorted({key for one in holding for _, key in one.condition}))
        return f"{given.label} allows this without the template's condition on {keys}"
    if any(own.covers(action) for one in template.allows for own in one.actions):
        return f"{given.label} allows this on more than the template's resources"
    return f"{given.label} allows what the template does not"


def _unguarded(template: Reading, found: Reading) -> Iterator[_Finding]:
    """What the template denies and the policies found do not."""
    for guard in template.denies:
        for action, resource in guard.points():
            if not any(
                one.holds(action, resource) and implies(guard.condition, one.condition)
                for one in found.denies
            ):
                yield "Not denied, though the template denies it", action, resource


def _sentences(findings: Iterable[_Finding]) -> Iterator[str]:
    """One sentence for all actions that share reason and resource, in the order found."""
    grouped: dict[tuple[str, Selector], list[str]] = {}
    for reason, action, resource in findings:
        grouped.setdefault((reason, resource), []).append(str(action))
    for (reason, resource), names in grouped.items():
        yield f"{reason}: {_some(names)} on {resource}."


def _some(names: Sequence[str]) -> str:
    """The first names and the number of the rest: AWS's own policies have a thousand actions."""
    shown, rest = ", ".join(names[:NAMES_SHOWN]), len(names) - NAMES_SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown


def review_trust(wanted: Document, found: Document) -> PermissionReview:
    """Compare the template's trust policy with the one found on the provisioner role."""
    template, there = read(wanted, trust=True), read(found, trust=True)
    (own,) = template.allows
    return PermissionReview(
        missing=tuple(_missing_trust(own, there)),
        extra=there.unread + tuple(dict.fromkeys(_extra_trust(own, there))),
    )


def _missing_trust(own: Statement, found: Reading) -> Iterator[str]:
    (portal,), (assume,) = own.principals, own.actions
    denying = [one for one in found.denies if one.touches(assume, EVERYTHING)]
    yield from (f"{one.label} may keep the portal out." for one in denying)
    letting = [
        one for one in found.allows if portal in one.principals and one.holds(assume, EVERYTHING)
    ]
    if not letting:
        yield f"The role does not trust the portal's principal {portal}."
    elif not any(implies(own.condition, one.condition) for one in letting):
        yield f"{letting[0].label} {_condition_gap(own.condition, letting[0].condition)}."


def _condition_gap(own: Condition, found: Condition) -> str:
    if any(found.get(place, values) != values for place, values in own.items()):
        return "demands another ExternalId than this account's"
    further = ", ".join(sorted(place[1] for place in found if place not in own))
    return f"lets the portal in only under further conditions: {further}"


def _extra_trust(own: Statement, found: Reading) -> Iterator[str]:
    for one in found.allows:
        yield from (_stranger(one, name) for name in one.principals if name not in own.principals)
        for action in one.actions:
            if not any(mine.covers(action) for mine in own.actions):
                yield f"{one.label} allows {action}, which the template does not."
        if not implies(one.condition, own.condition):
            yield f"{one.label} does not demand this account's ExternalId."


def _stranger(statement: Statement, name: str) -> str:
    if name == "*":
        return f"{statement.label} trusts everybody in AWS."
    return f"{statement.label} also trusts {name}."
