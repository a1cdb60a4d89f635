"""The Drift page and Repair, as each person meets them."""

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.models import AccountPair, AwsAccount, Offer, User
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning.models import AccountScan, DriftFinding, Grant
from tests.conftest import ClientFor
from tests.factories import AccountPairFactory, GrantFactory, OfferFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nudges go nowhere: what is asked for stands in the rows."""
    monkeypatch.setattr("provisioning.tasks.nudge", lambda task, pk: True)


@pytest.fixture
def narrowed(offer: Offer, alice: User, bob: User) -> Grant:
    """An access of alice's of which somebody took a part away in AWS."""
    now = database_now()
    return GrantFactory.create(
        request__offer=offer,
        request__requester=alice,
        approver=bob,
        phase="pending",
        settled_at=now,
        next_check_at=now + timedelta(minutes=30),
        last_error="Somebody took part of this access away in AWS.",
    )


def note(account: AwsAccount, grant: Grant | None = None, **values: Any) -> DriftFinding:
    now = database_now()
    whole = {
        "kind": "narrowed",
        "thing": "role",
        "name": "Role-userA-abcdefghijkm",
        "summary": "The role of this access is not there.",
        "approved": {"Boundary": "arn:aws:iam::222222222222:policy/SallyportBoundary"},
        "first_seen_at": now,
        "last_seen_at": now,
    }
    return DriftFinding.objects.create(account=account, grant=grant, **whole | values)


def path(grant: Grant) -> str:
    return f"/requests/{grant.code}/repair/"


@pytest.mark.parametrize(
    ("who", "status"), [("alice", 403), ("bob", 403), ("dana", 200), ("erin", 200)]
)
def test_admins_and_auditors_see_the_page(
    who: str, status: int, client_for: ClientFor, request: pytest.FixtureRequest
) -> None:
    client = client_for(request.getfixturevalue(who))

    assert client.get("/drift/").status_code == status
    assert (b"/drift/" in client.get("/access/").content) == (status == 200)


def test_a_finding_is_shown_side_by_side_with_what_differs_marked(
    narrowed: Grant, target: AwsAccount, dana: User, client_for: ClientFor
) -> None:
    note(target, narrowed, approved={"Boundary": "one"}, in_aws={"Boundary": "two"})

    text = client_for(dana).get("/drift/").content.decode()

    assert "<mark>-   one</mark>" in text
    assert "<mark>+   two</mark>" in text
    assert path(narrowed) in text
    assert "access of" in text


def test_an_auditor_is_offered_neither_repair_nor_a_scan(
    narrowed: Grant, target: AwsAccount, erin: User, client_for: ClientFor
) -> None:
    note(target, narrowed)

    text = client_for(erin).get("/drift/").content.decode()

    assert path(narrowed) not in text
    assert "Scan now" not in text


def test_what_needs_a_person_is_counted_in_the_navigation(
    target: AwsAccount, dana: User, client_for: ClientFor
) -> None:
    note(target, kind="unknown", name="a")
    note(target, kind="widened", name="b")
    note(target, kind="orphan", name="c", seen=9)
    note(target, kind="unknown", name="d", resolved_at=database_now())

    text = client_for(dana).get("/access/").content.decode()

    assert '<span class="count">2</span>' in text


def test_findings_are_filtered_and_an_unknown_filter_is_refused(
    source: AwsAccount, target: AwsAccount, dana: User, client_for: ClientFor
) -> None:
    note(source, kind="unknown", name="in-source")
    note(target, kind="orphan", name="in-target")
    client = client_for(dana)

    by_account = client.get("/drift/", {"account": target.account_id}).content
    by_kind = client.get("/drift/", {"kind": "unknown"}).content

    assert (b"in-target" in by_account, b"in-source" in by_account) == (True, False)
    assert (b"in-target" in by_kind, b"in-source" in by_kind) == (False, True)
    assert client.get("/drift/", {"kind": "everything"}).status_code == 422
    assert client.get("/drift/", {"account": "999999999999"}).status_code == 422


def test_what_is_urgent_comes_first_page_by_page(
    target: AwsAccount, dana: User, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.views.drift.PAGE", 2)
    kinds = ["narrowed", "orphan", "widened", "unknown", "narrowed"]
    made = [note(target, kind=kind, name=str(at)) for at, kind in enumerate(kinds)]
    in_order = [made[at].pk for at in (2, 4, 0, 3, 1)]
    client, found, address = client_for(dana), [], "/drift/"
    while address:
        page = client.get(address).context["page"]
        found.append([one.pk for one in page.rows])
        address = f"/drift/?after={page.next}" if page.next else ""

    assert found == [in_order[:2], in_order[2:4], in_order[4:]]
    back = client.get(f"/drift/?before=0-{in_order[3]}").context["page"]
    assert [one.pk for one in back.rows] == in_order[1:3]
    text = client.get(f"/drift/?after=0-{in_order[4]}").content.decode()
    assert "Nothing is left on this page" in text
    for wrong in ("after=1", "after=x-1", "page=2"):
        assert client.get(f"/drift/?{wrong}").status_code == 400


def test_with_nothing_found_the_page_says_when_each_account_was_read(
    target: AwsAccount, source: AwsAccount, dana: User, client_for: ClientFor
) -> None:
    now = database_now()
    AccountScan.objects.create(account=target, due_at=now, finished_at=now, objects_seen=77)

    client = client_for(dana)

    half = client.get("/drift/").content.decode()
    AccountScan.objects.create(account=source, due_at=now, finished_at=now, objects_seen=5)
    whole = client.get("/drift/").content.decode()

    assert "Nothing is known to differ" in half
    assert "Not yet" in half
    assert "AWS is as it was approved" in whole
    assert "77" in whole


def test_an_admin_has_all_accounts_scanned_now(
    target: AwsAccount, source: AwsAccount, dana: User, client_for: ClientFor
) -> None:
    answer = client_for(dana).post("/drift/scan/")

    assert answer.status_code == 302
    due = AccountScan.objects.filter(finished_at__isnull=True, due_at__lte=database_now())
    assert due.count() == 2
    assert AuditEvent.objects.get(kind="drift:scan:asked").actor == "dana"


@pytest.mark.parametrize("who", ["alice", "bob", "erin"])
def test_nobody_else_starts_a_scan(
    who: str, target: AwsAccount, client_for: ClientFor, request: pytest.FixtureRequest
) -> None:
    answer = client_for(request.getfixturevalue(who)).post("/drift/scan/")

    assert answer.status_code == 403
    assert not AccountScan.objects.exists()
    assert AuditEvent.objects.get(kind="drift:scan:refused").actor == who


@pytest.mark.parametrize("who", ["bob", "dana"])
def test_an_approver_or_an_admin_repairs(
    who: str, narrowed: Grant, client_for: ClientFor, request: pytest.FixtureRequest
) -> None:
    client = client_for(request.getfixturevalue(who))
    page = client.get(path(narrowed)).content.decode()
    assert "Give the access back to Alice Ashby?" in page

    answer = client.post(path(narrowed), {"reason": "Taken away by mistake."})

    assert answer.status_code == 302
    narrowed.refresh_from_db()
    assert narrowed.may_be_given
    assert narrowed.next_check_at is not None
    assert narrowed.next_check_at <= database_now()
    event = AuditEvent.objects.get(kind="grant:reopened")
    assert (event.actor, event.reason) == (who, "Taken away by mistake.")


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ("alice", "Nobody gives access back to themselves."),
        ("erin", "Auditors read everything and change nothing."),
    ],
)
def test_whoever_may_not_repair_is_told_why_and_recorded(
    who: str,
    words: str,
    narrowed: Grant,
    client_for: ClientFor,
    request: pytest.FixtureRequest,
) -> None:
    client = client_for(request.getfixturevalue(who))

    for answer in (client.get(path(narrowed)), client.post(path(narrowed))):
        assert answer.status_code == 403
        assert words in answer.content.decode()
    narrowed.refresh_from_db()
    assert narrowed.reopened_at is None
    refused = AuditEvent.objects.get(kind="grant:repair:refused")
    assert words in refused.reason


def test_to_a_stranger_there_is_nothing_to_repair(
    narrowed: Grant, charlie: User, client_for: ClientFor
) -> None:
    client = client_for(charlie)

    assert client.get(path(narrowed)).status_code == 404
    assert client.post(path(narrowed)).status_code == 404


def test_an_admin_does_not_repair_their_own_access(
    offer: Offer, dana: User, bob: User, client_for: ClientFor
) -> None:
    own = GrantFactory.create(
        request__offer=offer,
        request__requester=dana,
        approver=bob,
        phase="pending",
        settled_at=database_now(),
    )

    answer = client_for(dana).post(path(own))

    assert answer.status_code == 403
    assert "Nobody gives access back to themselves." in answer.content.decode()


@pytest.mark.parametrize("change", ["revoked", "over", "whole"])
def test_what_is_over_or_whole_is_not_repaired(
    change: str, narrowed: Grant, dana: User, client_for: ClientFor
) -> None:
    now = database_now()
    changes: dict[str, dict[str, Any]] = {
        "revoked": {"revoked_at": now, "revoked_by": "bob"},
        "over": {"phase": "ended", "ended_at": now, "next_check_at": None},
        "whole": {"phase": "active"},
    }
    Grant.objects.filter(pk=narrowed.pk).update(**changes[change])

    answer = client_for(dana).post(path(narrowed))

    assert answer.status_code == 409
    assert not AuditEvent.objects.filter(kind="grant:reopened").exists()


def test_a_note_of_two_lines_is_refused_at_the_field(
    narrowed: Grant, dana: User, client_for: ClientFor
) -> None:
    answer = client_for(dana).post(path(narrowed), {"reason": "one\ttwo"})

    assert answer.status_code == 422
    narrowed.refresh_from_db()
    assert narrowed.reopened_at is None


def test_narrowed_grants_lead_to_repair(narrowed: Grant, dana: User, client_for: ClientFor) -> None:
    client = client_for(dana)

    for page in ("/grants/", f"/requests/{narrowed.code}/"):
        assert path(narrowed) in client.get(page).content.decode()


def test_an_admin_has_a_switch_group_made_again(
    pair: AccountPair, source: AwsAccount, dana: User, client_for: ClientFor
) -> None:
    AccountPair.objects.filter(pk=pair.pk).update(next_check_at=None, prepared_at=database_now())
    found = note(source, thing="group", name=pair.switch_group)
    client = client_for(dana)
    path = f"/drift/{found.pk}/restore/"
    assert path in client.get("/drift/").content.decode()

    answer = client.post(path)

    assert answer.status_code == 302
    pair.refresh_from_db()
    assert pair.next_check_at is not None
    assert AuditEvent.objects.get(kind="pair:restore:asked").actor == "dana"
    DriftFinding.objects.update(resolved_at=database_now())
    assert client.post(path).status_code == 409


@pytest.mark.parametrize("who", ["alice", "bob", "erin"])
def test_nobody_else_has_a_switch_group_made_again(
    who: str,
    pair: AccountPair,
    source: AwsAccount,
    client_for: ClientFor,
    request: pytest.FixtureRequest,
) -> None:
    found = note(source, thing="group", name=pair.switch_group)

    answer = client_for(request.getfixturevalue(who)).post(f"/drift/{found.pk}/restore/")

    assert answer.status_code == 403
    assert not AuditEvent.objects.filter(kind="pair:restore:asked").exists()


def test_only_a_narrowed_group_is_made_again(
    target: AwsAccount, dana: User, client_for: ClientFor
) -> None:
    found = note(target, kind="unknown", thing="group")

    assert client_for(dana).post(f"/drift/{found.pk}/restore/").status_code == 404


def test_queries_do_not_grow_with_the_findings(
    target: AwsAccount,
    dana: User,
    client_for: ClientFor,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    client = client_for(dana)

    def more(count: int) -> None:
        for _ in range(count):
            offer = OfferFactory.create(pair=AccountPairFactory.create())
            grant = GrantFactory.create(request__offer=offer, approver=UserFactory.create())
            note(offer.pair.target, grant)
            note(offer.pair.target, grant, resolved_at=database_now())

    def queries() -> int:
        with django_assert_max_num_queries(100) as captured:
            assert client.get("/drift/").status_code == 200
        return len(captured)

    more(2)
    queries()
    few = queries()
    more(10)
    assert queries() == few
