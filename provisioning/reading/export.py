"""Lists as CSV, line by line: a million of them never stand in memory together."""

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from django.db.models import QuerySet

from provisioning.models import Grant
from provisioning.reading import keyset
from provisioning.reading.keyset import Order

CHUNK: Final = 1000
"""Grants that one query reads. Each goes on where the last one ended, so no transaction and no
cursor stays open as long as somebody downloads."""
HEAD: Final = (
    "Code",
    "Person",
    "User name",
    "IAM user",
    "Source account",
    "Source",
    "Target account",
    "Target",
    "Role",
    "Starts (UTC)",
    "Ends (UTC)",
    "Revoked (UTC)",
    "Removed (UTC)",
    "Phase",
    "Needs attention",
    "Last error",
)
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001  # The wide ones count too.
"""What a spreadsheet may take a cell for a formula by. Names, reasons and errors are other
people's words, and whoever opens the file is an admin (OWASP, CSV Injection)."""


def grants(rows: QuerySet[Grant], order: Order, now: datetime) -> Iterator[str]:
    """The lines of the file, the head first."""
    yield line(HEAD)
    mark = ""
    while True:
        page = keyset.page(rows, order, {keyset.AFTER: mark}, CHUNK)
        yield "".join(line(_cells(one, now)) for one in page.rows)
        mark = page.next
        if not mark:
            return


def _cells(grant: Grant, now: datetime) -> Sequence[str]:
    person, pair = grant.request.requester, grant.request.offer.pair
    return (
        grant.code,
        person.label,
        person.username,
        grant.identity.user_name,
        pair.source.account_id,
        pair.source.name,
        pair.target.account_id,
        pair.target.name,
        grant.role_name,
        _moment(grant.starts_at),
        _moment(grant.enforced_until),
        _moment(grant.revoked_at),
        _moment(grant.ended_at),
        grant.phase_at(now).value,
        "yes" if grant.needs_attention else "",
        grant.last_error,
    )


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else ""


class _Last:
    """A file that keeps what was written to it last."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def line(cells: Sequence[str]) -> str:
    """One line of CSV, in which no cell is a formula."""
    kept = _Last()
    csv.writer(kept).writerow([defused(one) for one in cells])
    return kept.text


def defused(cell: str) -> str:
    """The text as a spreadsheet shows it and never runs it."""
    return f"'{cell}" if cell.lstrip(" ").startswith(FORMULA) else cell
