"""A rule as data: how it is, and how it is to be. `widening` compares two of them.

Everything of a model is in its snapshot, so a field that is added later is compared without
anybody thinking of it here; what it means is said there.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q

from accounts.four_eyes.widening import Snapshot
from accounts.models import AccessProfile, AccountPair, Offer, ProfileVersion, User

NO_RULES: Final = {"id", "created_at"}
"""Fields that say nothing about what a rule lets happen."""
PREFIXES: Final[Mapping[type[models.Model], str]] = {
    User: "user",
    Group: "group",
    AccountPair: "pair",
    AccessProfile: "profile",
}
"""How snapshots name rows."""


def token(row: models.Model) -> str:
    """A row in a snapshot: `user:4`."""
    return f"{PREFIXES[type(row)]}:{row.pk}"


def key(text: str) -> int:
    """The key of the row that a token names."""
    return int(text.partition(":")[2])


def tokens(rows: Iterable[models.Model]) -> list[str]:
    """Rows, in an order that does not depend on how they came."""
    return [token(row) for row in sorted(set(rows), key=lambda one: one.pk)]


def fields_of(row: models.Model, *, without: Iterable[str] = ()) -> dict[str, Any]:
    """The fields of a row as JSON data."""
    left_out = NO_RULES | set(without)
    return {
        field.name: _value(row, field)
        for field in row._meta.concrete_fields
        if field.name not in left_out
    }


def _value(row: models.Model, field: Any) -> Any:
    value = getattr(row, field.attname)
    if value is not None and field.is_relation:
        return f"{PREFIXES[field.related_model]}:{value}"
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    if value is None or isinstance(value, bool | int | str | list | dict):
        # An enum's member is a str, and JSON has its plain value only.
        return str(value) if isinstance(value, str) else value
    return field.value_to_string(row)


def restored(model: type[models.Model], stored: Snapshot) -> dict[str, Any]:
    """The fields of a model from a snapshot, by attribute name."""
    fields = {field.name: field for field in model._meta.concrete_fields}
    return {
        fields[name].attname: _restored(fields[name], value)
        for name, value in stored.items()
        if name in fields
    }


def _restored(field: Any, value: Any) -> Any:
    if value is None:
        return None
    if field.is_relation:
        return key(value)
    if isinstance(field, models.DurationField):
        return timedelta(seconds=value)
    return field.to_python(value)


# --- Each kind of rule -----------------------------------------------------------------------


def offer(
    offer: Offer,
    people: Mapping[str, Iterable[models.Model]],
    stages: Sequence[Snapshot],
) -> dict[str, Any]:
    """An offer with who may ask, the stages of its approval, and the version of its profile:
    whoever confirms an offer confirms those permissions."""
    return {
        **fields_of(offer),
        "profile_version": offer.profile.current.number,
        **{name: tokens(rows) for name, rows in people.items()},
        "stages": list(stages),
    }


def stage(
    name: str, quorum: int, people: Iterable[models.Model], groups: Iterable[models.Model]
) -> dict[str, Any]:
    """One stage of approval."""
    return {"name": name, "quorum": quorum, "people": tokens(people), "groups": tokens(groups)}


def stored_offer(pk: int) -> dict[str, Any]:
    """An offer as it is in the database now."""
    found = Offer.objects.select_related("profile").get(pk=pk)
    people = {one.name: getattr(found, one.name).all() for one in Offer._meta.many_to_many}
    rows = found.stages.order_by("position").prefetch_related("people", "groups")
    stages = [stage(one.name, one.quorum, one.people.all(), one.groups.all()) for one in rows]
    return offer(found, people, stages)


def version(version: ProfileVersion) -> dict[str, Any]:
    """What roles of this version may do. The number and the author are no rule."""
    return {
        **fields_of(version, without=("profile", "number", "created_by")),
        "amounts_to": version.report.risk.words,
    }


def current_version(profile: AccessProfile) -> dict[str, Any] | None:
    """The version that new requests are made with; None for a profile that has none yet."""
    current = profile.versions.order_by("-number").first()
    return version(current) if current else None


def group(group: Group, members: Iterable[User], *, name: str) -> dict[str, Any]:
    """A group and what its members get."""
    return {
        "name": name,
        "members": tokens(members),
        **uses_of(group),
    }


def uses_of(group: Group) -> dict[str, list[str]]:
    """The same as `offers_of` by the names of the offers."""
    return {use: sorted({str(one) for one in found}) for use, found in offers_of(group).items()}


def offers_of(group: Group) -> dict[str, list[Offer]]:
    """The offers that a group may ask for, that it decides on, and that it may take in an
    emergency, closed ones too; by their names."""
    by_use = {
        "may_ask_for": Q(eligible_groups=group),
        "decides_on": Q(stages__groups=group),
        "may_take": Q(break_glass_group=group),
    }
    if group._state.adding:
        return {use: [] for use in by_use}
    named = Offer.objects.with_accounts()
    # A group in several stages decides on an offer once.
    return {
        use: sorted(set(named.filter(by)), key=lambda one: (str(one), one.pk))
        for use, by in by_use.items()
    }


def person(person: User, *, role: str, is_active: bool) -> dict[str, Any]:
    """What somebody may do beyond what offers name them for."""
    return {"role": role, "is_active": is_active, "groups": tokens(person.groups.all())}


# --- Names for people ------------------------------------------------------------------------


def names(*snapshots: Snapshot | None) -> dict[str, str]:
    """What pages call the rows that snapshots name; one query for each kind of row."""
    found: dict[str, set[int]] = {}
    for text in _strings(snapshots):
        prefix, _, number = text.partition(":")
        if prefix in PREFIXES.values() and number.isdecimal():
            found.setdefault(prefix, set()).add(int(number))
    return {
        token(row): _name(row)
        for model, prefix in PREFIXES.items()
        for row in _rows(model, found.get(prefix, set()))
    }


def _rows(model: type[models.Model], keys: set[int]) -> Iterable[models.Model]:
    if not keys:
        return ()
    rows = model._default_manager.filter(pk__in=keys)
    return rows.select_related("source", "target") if model is AccountPair else rows


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _strings(one)


def _name(row: models.Model) -> str:
    if not isinstance(row, User):
        return str(row)
    name = f"{row.label} ({row.username})" if row.get_full_name() else row.username
    return name if row.is_active else f"{name}, switched off"
