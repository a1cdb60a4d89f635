"""Which grants, requests and events the lists show: filters, orders, bounded counts.

A list may be narrowed by what belongs to other tables, such as an account's name. Those tables
are small beside the history, so what matches there is looked up first, and the history is then
searched by keys, whose frequency the database knows: it goes through the rows in order where many
match, and straight to them where few do. See docs/adr/0024.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Prefetch, Q, QuerySet

from accounts.models import (
    AccessProfile,
    AccountPair,
    AwsAccount,
    IamIdentity,
    Offer,
    ProfileVersion,
    User,
)
from provisioning.core.states import Phase
from provisioning.models import (
    ATTENTION_AFTER,
    AccessRequest,
    AccessRequestQuerySet,
    Grant,
    GrantQuerySet,
)
from provisioning.reading.keyset import Order

# --- Orders ----------------------------------------------------------------------------------

LIVE_ORDERS: Final = {
    "-starts": Order("starts_at", descending=True),
    "starts": Order("starts_at"),
    "ends": Order("ends_at"),
    "-ends": Order("ends_at", descending=True),
}
NEWEST_FIRST: Final = Order(descending=True)
OLDEST_FIRST: Final = Order()
LATEST_FIRST: Final = Order("at", descending=True)
"""Of events, by their moment."""
OVER_ORDERS: Final = {
    "-ended": Order("ended_at", descending=True),
    "ended": Order("ended_at"),
}


def grant_orders(show: str) -> Mapping[str, Order]:
    """The orders of a list by their names in an address, the usual one first."""
    return OVER_ORDERS if show == Show.ENDED else LIVE_ORDERS


# --- Filters ---------------------------------------------------------------------------------


class Show:
    """Which grants, by the phase that is shown for them at this moment."""

    LIVE = ""
    ACTIVE = "active"
    PENDING = "pending"
    ATTENTION = "attention"
    SCHEDULED = "scheduled"
    ENDING = "ending"
    ENDED = "ended"


@dataclass(frozen=True)
class GrantFilter:
    """What a list of grants is narrowed to; nothing by default."""

    show: str = Show.LIVE
    text: str = ""
    person: User | None = None
    account: AwsAccount | None = None
    pair: AccountPair | None = None
    profile: AccessProfile | None = None

    def rows(self, now: datetime) -> GrantQuerySet:
        """The grants, in no order yet, each with what a line of the list says."""
        found: GrantQuerySet = with_names(_shown(Grant.objects.all(), self.show, now))
        if self.person is not None:
            found = found.filter(request__requester=self.person)
        if self.account is not None or self.pair is not None or self.profile is not None:
            found = found.filter(request__offer__in=self._offers())
        if self.text:
            found = found.filter(matches(self.text, "request__"))
        return found

    def _offers(self) -> list[int]:
        offers = Offer.objects.all()
        if self.account is not None:
            offers = offers.filter(Q(pair__source=self.account) | Q(pair__target=self.account))
        if self.pair is not None:
            offers = offers.filter(pair=self.pair)
        if self.profile is not None:
            offers = offers.filter(profile=self.profile)
        return list(offers.values_list("pk", flat=True))


def _shown(found: Any, show: str, now: datetime) -> Any:
    """As `Grant.phase_at` says it of one grant."""
    if show == Show.ENDED:
        return found.filter(phase=Phase.ENDED)
    found = found.live()
    over = Q(revoked_at__isnull=False) | Q(ends_at__lte=now)
    waits = Q(phase=Phase.SCHEDULED, starts_at__gt=now)
    enforced = Q(extending_from__isnull=True) | Q(extending_from__gt=now)
    active = Q(phase=Phase.ACTIVE) & enforced
    match show:
        case Show.ATTENTION:
            return found.filter(attempts__gte=ATTENTION_AFTER).exclude(last_error="")
        case Show.SCHEDULED:
            return found.filter(waits, revoked_at__isnull=True)
        case Show.ENDING:
            return found.filter(over)
        case Show.ACTIVE:
            return found.filter(active).exclude(over)
        case Show.PENDING:
            return found.exclude(over).exclude(waits).exclude(active)
    return found


def with_names(grants: Any) -> Any:
    """What a line of a list says, and no more: the rest of a grant costs a query, which tests
    count. Names are fetched beside the grants and not joined to them: to plan a join of nine tables
    takes the database longer than to read a page of it."""
    accounts = "pair__source", "pair__target"
    offers = Offer.objects.select_related(*accounts).only(
        *(f"{account}__{field}" for account in accounts for field in ("account_id", "name"))
    )
    people = User.objects.only("username", "first_name", "last_name")
    return (
        grants.select_related("request")
        .only(
            "code",
            "identity",
            "profile_version",
            "phase",
            "starts_at",
            "ends_at",
            "ended_at",
            "extending_from",
            "revoked_at",
            "settled_at",
            "attempts",
            "last_error",
            "request__requester",
            "request__offer",
        )
        .prefetch_related(
            Prefetch("request__requester", people),
            Prefetch("request__offer", offers),
            Prefetch("identity", IamIdentity.objects.only("user_name")),
            Prefetch("profile_version", ProfileVersion.objects.only("role_name")),
        )
    )


BROAD: Final = 1000
"""More matches than this are asked for by what they match, and not one by one."""


def matches(text: str, prefix: str = "") -> Q:
    """Requests whose person, accounts, role or code a text names; `prefix` leads to the request."""
    people = User.objects.filter(username__icontains=text)
    by_name = Q(pair__source__name__icontains=text) | Q(pair__target__name__icontains=text)
    by_id = Q(pair__source__account_id__startswith=text) | Q(
        pair__target__account_id__startswith=text
    )
    by_role = Q(profile__versions__role_name__icontains=text)
    offers = Offer.objects.filter(by_name | by_id | by_role).distinct()
    return (
        Q(**{f"{prefix}requester__in": _keys(people)})
        | Q(**{f"{prefix}offer__in": _keys(offers)})
        | Q(**{f"{prefix}code__startswith": text})
    )


def _keys(rows: QuerySet[Any]) -> Any:
    """The keys of what matches; where they are very many, the question itself."""
    keys = rows.order_by().values_list("pk", flat=True)
    few = list(keys[: BROAD + 1])
    return few if len(few) <= BROAD else keys


# --- Requests that are over ------------------------------------------------------------------


def over_for(person: User) -> AccessRequestQuerySet:
    """A person's own requests of which nothing is left: refused, or with an access that ended. An
    approved extension lives on in the grant that it extends."""
    over = AccessRequest.objects.filter(requester=person).exclude(state="pending")
    over = over.exclude(extends__isnull=False, state="approved")
    return over.filter(Q(grant=None) | Q(grant__phase=Phase.ENDED))


# --- Counts ----------------------------------------------------------------------------------

MANY: Final = 1000
"""No count goes on after this: what a page costs must not grow with its rows."""


@dataclass(frozen=True)
class Count:
    """How many rows there are, as far as they were counted."""

    show: str
    label: str
    number: int

    @property
    def words(self) -> str:
        """The number, or that there are more."""
        return f"{MANY:,}+" if self.number > MANY else f"{self.number:,}"


LABELS: Final = {
    Show.LIVE: "Live",
    Show.ATTENTION: "Need attention",
    Show.SCHEDULED: "Scheduled",
    Show.ENDING: "Ending",
}
"""What is counted, never with history in it."""


def counts(now: datetime) -> list[Count]:
    """How many grants there are of each kind, in one query that reads so many rows at most."""
    live = Grant.objects.live().order_by()
    # Two parts that are never both, because no index finds what is one or the other.
    revoked = live.filter(revoked_at__isnull=False)
    over = live.filter(revoked_at__isnull=True, ends_at__lte=now)
    # Told by its order to go along the index: nearly all ends are past, most of them in history.
    over = over.order_by("ends_at", "id")
    parts = {
        Show.LIVE: [live],
        Show.ATTENTION: [_shown(Grant.objects.order_by(), Show.ATTENTION, now)],
        Show.SCHEDULED: [_shown(Grant.objects.order_by(), Show.SCHEDULED, now)],
        Show.ENDING: [revoked, over],
    }
    found = iter(count_together([rows for some in parts.values() for rows in some]))
    return [
        Count(show, LABELS[show], sum(next(found) for _ in some)) for show, some in parts.items()
    ]


def count_together(kinds: Sequence[QuerySet[Any]]) -> Sequence[int]:
    """How many rows each of these has, counted to one more than MANY, in one query."""
    parts: list[str] = []
    values: list[Any] = []
    for rows in kinds:
        try:
            sql, params = rows.values("pk")[: MANY + 1].query.sql_with_params()
        except EmptyResultSet:  # Django knows without asking that nothing is in it.
            parts.append("0")
            continue
        parts.append(f"(SELECT COUNT(*) FROM ({sql}) AS found)")  # noqa: S608  # Django's own SQL.
        values.extend(params)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(parts)}", values)
        row: Sequence[int] = cursor.fetchone() or ()
    return row
