"""Pages that are cut at a row, and not after so many rows (docs/adr/0024).

The address of a page names the row that it begins after, or ends before. So every page costs as
much as the first one, however deep it lies, and rows that come or go meanwhile neither repeat a
row nor leave one out. An index with the same columns must exist for each order.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.core.exceptions import BadRequest
from django.db.models import Model, Q, QuerySet

AFTER, BEFORE = "after", "before"
MOMENT: Final = "%Y%m%dT%H%M%S.%fZ"
DIGITS: Final = 18
"""The most that a key of a table has; a longer number is no key."""


@dataclass(frozen=True)
class Order:
    """By a moment that no row lacks, and by the key where moments are equal; or by the key alone,
    which is the order in which rows came. Both go the same way, as one index does."""

    field: str = "id"
    descending: bool = False
    counted: bool = False
    """Whether the field holds whole numbers, and no moments."""

    def columns(self, *, backwards: bool = False) -> list[str]:
        """What the rows are ordered by."""
        sign = "-" if self.descending is not backwards else ""
        names = ["id"] if self.field == "id" else [self.field, "id"]
        return [f"{sign}{name}" for name in names]

    def mark(self, row: Model) -> str:
        """How an address names a row of this order: `814`, or `20261127T193000.000000Z-814`."""
        if self.field == "id":
            return str(row.pk)
        value = getattr(row, self.field)
        return f"{value if self.counted else format(value.astimezone(UTC), MOMENT)}-{row.pk}"

    def beyond(self, mark: str, *, backwards: bool = False) -> Q:
        """Rows behind the marked one, or before it. Raises BadRequest for what is no mark."""
        value, key = self._read(mark)
        side = self._side(backwards)
        further = Q(**{f"id__{side}": key})
        if value is None:
            return further
        # The first condition follows from the second. It is what an index begins at.
        return Q(**{f"{self.field}__{side}e": value}) & (
            Q(**{f"{self.field}__{side}": value}) | further
        )

    def _side(self, backwards: bool) -> str:
        return "lt" if self.descending is not backwards else "gt"

    def _read(self, mark: str) -> tuple[datetime | int | None, int]:
        value, _, written = mark.rpartition("-")
        key = _number(written)
        if self.field == "id" and not value:
            return None, key
        if self.counted:
            return _number(value), key
        try:
            return datetime.strptime(value, MOMENT).replace(tzinfo=UTC), key
        except ValueError as error:
            raise BadRequest("An address names no moment to go on from.") from error


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > DIGITS:
        raise BadRequest(NO_ROW)
    return int(text)


NO_ROW: Final = "An address names no row to go on from."


@dataclass(frozen=True)
class ByNames(Order):
    """By names, which may stand in other tables, and by the key where they are equal: for lists
    that no history makes longer, because no index has such an order.

    An address names a row by its key alone. Its names are read as they are by now, so that a row
    which was renamed meanwhile is no other place to go on from than the list itself has for it.
    """

    _: KW_ONLY
    names: tuple[str, ...]
    among: QuerySet[Any]
    """The rows of which one may be named: those that the person may know of."""

    def columns(self, *, backwards: bool = False) -> list[str]:
        """What the rows are ordered by."""
        sign = "-" if self.descending is not backwards else ""
        return [f"{sign}{name}" for name in (*self.names, "id")]

    def beyond(self, mark: str, *, backwards: bool = False) -> Q:
        """Rows behind the marked one, or before it. Raises BadRequest for what is no mark."""
        key = _number(mark)
        values = self.among.filter(pk=key).values_list(*self.names).first()
        if values is None:
            raise BadRequest(NO_ROW)
        side = self._side(backwards)
        further = Q(**{f"id__{side}": key})
        for name, value in reversed(list(zip(self.names, values, strict=True))):
            further = Q(**{f"{name}__{side}": value}) | Q(**{name: value}) & further
        return further


@dataclass(frozen=True)
class Page:
    """Some rows, and the marks that the pages beside them go on from; empty where there is none."""

    rows: list[Any]
    previous: str = ""
    next: str = ""

    @property
    def alone(self) -> bool:
        """Whether there is no other page."""
        return not self.previous and not self.next


def page(rows: QuerySet[Any], order: Order, address: Mapping[str, str], size: int) -> Page:
    """The page of `rows` that an address asks for, in one query."""
    after, before = address.get(AFTER, ""), address.get(BEFORE, "")
    if after and before:
        raise BadRequest("An address asks for two pages at once.")
    backwards = bool(before)
    if after or before:
        rows = rows.filter(order.beyond(after or before, backwards=backwards))
    found = list(rows.order_by(*order.columns(backwards=backwards))[: size + 1])
    more, shown = len(found) > size, found[:size]
    if backwards:
        shown.reverse()
    if not shown:
        # What lay there is gone. The way back leads to the beginning, or to the end.
        return Page([])
    ahead, behind = (more, True) if backwards else (bool(after), more)
    return Page(
        shown,
        previous=order.mark(shown[0]) if ahead else "",
        next=order.mark(shown[-1]) if behind else "",
    )
