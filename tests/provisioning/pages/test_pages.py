"""Pages of requests, decisions and grants: what they answer, and what they lose."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from accounts.models import Offer, User
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import specs
from provisioning.core.plan import fingerprint
from provisioning.models import AccessRequest, Grant
from tests.conftest import ClientFor
from tests.factories import (
    AccessRequestFactory,
    GrantFactory,
    IamIdentityFactory,
    OfferFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

type Person = Callable[[str], User | None]


@pytest.fixture
def cast(alice: User, bob: User, charlie: User, dana: User, erin: User) -> dict[str, User | None]:
    people = (alice, bob, charlie, dana, erin)
    return {"nobody": None} | {person.username: person for person in people}


@pytest.fixture
def asked(offer: Offer, alice: User) -> AccessRequest:
    return AccessRequestFactory.create(offer=offer, requester=alice)


@pytest.fixture
def grant(offer: Offer, alice: User, bob: User) -> Grant:
    return GrantFactory.create(
        request__offer=offer, request__requester=alice, phase="active", approver=bob
    )


def test_a_code_that_nothing_has_is_not_found(
    cast: dict[str, User | None], client_for: ClientFor
) -> None:
    for who, person in cast.items():
        status = client_for(person).get("/requests/abcdefghijkm/").status_code
        assert status == (302 if who == "nobody" else 404)


def test_an_unsafe_post_without_a_token_is_refused(alice: User, asked: AccessRequest) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)

    assert client.post(f"/requests/{asked.code}/look-again/").status_code == 403
    assert client.post(f"/requests/{asked.code}/cancel/").status_code == 403
    asked.refresh_from_db()
    assert asked.state == "pending"


def test_asking_from_the_form(offer: Offer, alice: User, client_for: ClientFor) -> None:
    page = client_for(alice).post(
        f"/offers/{offer.pk}/request/", {"duration": "30", "reason": "Ticket SEC-214"}
    )

    request = AccessRequest.objects.get()
    assert page.headers["Location"] == f"/requests/{request.code}/"
    assert (request.duration, request.reason) == (timedelta(minutes=30), "Ticket SEC-214")


@pytest.mark.parametrize(
    ("typed", "field", "message"),
    [
        ({"duration": "241"}, "duration", "Choose between 5 min and 4 h"),
        ({"duration": "4"}, "duration", "Choose between 5 min and 4 h"),
        ({"duration": "-1"}, "duration", "Write it such as 90 min"),
        ({"duration": "9999999"}, "duration", "Choose between 5 min and 4 h"),
        ({"duration": "soon"}, "duration", "Write it such as 90 min"),
        ({"reason": ""}, "reason", "This field is required."),
        ({"reason": "x" * 501}, "reason", "at most 500 characters"),
        ({"reason": "two\x1blines"}, "reason", "one line without control characters"),
    ],
)
def test_bad_input_is_told_at_the_field_and_nothing_typed_is_lost(
    offer: Offer,
    alice: User,
    client_for: ClientFor,
    typed: dict[str, str],
    field: str,
    message: str,
) -> None:
    values = {"duration": "30", "reason": "Ticket SEC-214"} | typed

    page = client_for(alice).post(f"/offers/{offer.pk}/request/", values)

    assert page.status_code == 422
    form = page.context["form"]
    assert list(form.errors) == [field]
    assert message in form.errors[field][0]
    assert not AccessRequest.objects.exists()
    for name, value in values.items():
        assert form[name].value() == value


def test_a_second_request_is_told_on_the_form(
    asked: AccessRequest, alice: User, client_for: ClientFor
) -> None:
    page = client_for(alice).post(
        f"/offers/{asked.offer_id}/request/", {"duration": "30", "reason": "Again"}
    )

    assert page.status_code == 422
    assert "waits for a decision" in page.content.decode()
    assert AccessRequest.objects.count() == 1


def decision(asked: AccessRequest, **changes: str) -> dict[str, str]:
    shown = fingerprint(specs.spec_for_request(asked))
    return {"verdict": "approved", "fingerprint": shown, "reason": ""} | changes


def test_the_approver_sees_every_object_and_document_of_both_accounts(
    asked: AccessRequest, bob: User, client_for: ClientFor
) -> None:
    text = client_for(bob).get(asked.get_absolute_url()).content.decode().replace("<wbr>", "")

    for call in ("CreateGroup", "PutGroupPolicy", "AddUserToGroup", "CreateRole", "PutRolePolicy"):
        assert f"iam:{call}" in text
    assert f"SecurityReadOnlyRole-userA-{asked.code}" in text
    assert "arn:aws:iam::111111111111:user/userA" in text
    assert "arn:aws:iam::222222222222:policy/SallyportBoundary" in text
    assert "decision + PT30M" in text
    assert "SallyportBoundary" in text
    assert "ReadOnlyAccess" in text


NOT_SEEN = "no worker has seen both accounts"
NOTHING_DONE = "Nothing of this was done, because nobody approved it."


def test_a_waiting_request_speaks_of_what_would_be(
    asked: AccessRequest, bob: User, client_for: ClientFor
) -> None:
    text = client_for(bob).get(asked.get_absolute_url()).content.decode()

    assert "asks for" in text
    assert "What would be done in AWS" in text
    assert NOT_SEEN in text
    assert NOTHING_DONE not in text


@pytest.mark.parametrize("state", ["rejected", "cancelled", "expired"])
def test_what_nobody_approved_says_that_nothing_was_done(
    state: str, asked: AccessRequest, bob: User, client_for: ClientFor
) -> None:
    AccessRequest.objects.filter(pk=asked.pk).update(state=state)

    text = client_for(bob).get(asked.get_absolute_url()).content.decode()

    assert "asked for" in text
    assert "What would have been done in AWS" in text
    assert NOTHING_DONE in text
    assert NOT_SEEN not in text


def test_what_was_approved_speaks_of_what_is_done(
    grant: Grant, bob: User, client_for: ClientFor
) -> None:
    text = client_for(bob).get(grant.request.get_absolute_url()).content.decode()

    assert "asked for" in text
    assert "What is done in AWS" in text
    assert NOTHING_DONE not in text
    assert NOT_SEEN not in text


def test_approving_from_the_page(asked: AccessRequest, bob: User, client_for: ClientFor) -> None:
    page = client_for(bob).post(f"/requests/{asked.code}/decide/", decision(asked))

    assert page.status_code == 302
    assert Grant.objects.get().request == asked


def test_a_changed_plan_answers_409_and_shows_the_page_anew(
    asked: AccessRequest, bob: User, client_for: ClientFor
) -> None:
    page = client_for(bob).post(
        f"/requests/{asked.code}/decide/", decision(asked, fingerprint="0" * 64)
    )

    assert page.status_code == 409
    assert "The plan has changed since you opened this page." in page.content.decode()
    assert not Grant.objects.exists()


def test_rejecting_needs_a_reason_and_keeps_the_page(
    asked: AccessRequest, bob: User, client_for: ClientFor
) -> None:
    page = client_for(bob).post(
        f"/requests/{asked.code}/decide/", decision(asked, verdict="rejected")
    )

    assert page.status_code == 422
    assert "Say why you reject" in page.content.decode()
    asked.refresh_from_db()
    assert asked.state == "pending"


@pytest.mark.parametrize("who", ["alice", "dana", "erin"])
def test_who_may_look_but_not_decide_is_refused(
    asked: AccessRequest, cast: dict[str, User | None], who: str, client_for: ClientFor
) -> None:
    page = client_for(cast[who]).post(f"/requests/{asked.code}/decide/", decision(asked))

    assert page.status_code == 403
    assert not Grant.objects.exists()
    assert 'value="approved"' not in page.content.decode()


def test_a_late_verdict_answers_409(grant: Grant, bob: User, client_for: ClientFor) -> None:
    page = client_for(bob).post(f"/requests/{grant.code}/decide/", decision(grant.request))

    assert page.status_code == 409
    assert "This request is approved already." in page.content.decode()


@pytest.mark.parametrize("field", ["approver", "requester", "state", "code", "ends_at"])
def test_extra_fields_change_nothing(
    asked: AccessRequest, bob: User, dana: User, client_for: ClientFor, field: str
) -> None:
    client_for(bob).post(f"/requests/{asked.code}/decide/", decision(asked) | {field: str(dana.pk)})

    made = Grant.objects.get()
    assert made.request.decision is not None
    assert made.request.decision.approver == bob
    assert made.request.requester.username == "alice"
    assert made.code == asked.code


def test_the_switch_role_link_leads_to_this_role_and_is_recorded(
    grant: Grant, alice: User, client_for: ClientFor, settings: Settings
) -> None:
    settings.SANDBOX_CONSOLE_BASE = ""

    answer = client_for(alice).get(f"/requests/{grant.code}/switch-role/")

    url = urlsplit(answer.headers["Location"])
    assert (url.scheme, url.netloc, url.path) == ("https", "signin.aws.amazon.com", "/switchrole")
    assert parse_qs(url.query) == {
        "account": ["222222222222"],
        "roleName": [f"sallyport/SecurityReadOnlyRole-userA-{grant.code}"],
        "displayName": ["SecurityReadOnlyRole @ Workload"],
        "color": ["B7CA9D"],
    }
    assert AuditEvent.objects.about(grant.subject).last().kind == "grant:switch_link:opened"  # type: ignore[union-attr]  # there is one


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"phase": "pending"}, "This access is not ready yet."),
        ({"phase": "ending"}, "This access has ended."),
    ],
)
def test_the_link_is_refused_unless_active(
    grant: Grant, alice: User, client_for: ClientFor, change: dict[str, Any], words: str
) -> None:
    Grant.objects.filter(pk=grant.pk).update(**change)

    page = client_for(alice).get(f"/requests/{grant.code}/switch-role/")

    assert page.status_code == 409
    assert words in page.content.decode()
    assert "Location" not in page.headers
    assert not AuditEvent.objects.filter(kind="grant:switch_link:opened").exists()


def test_past_its_end_nothing_reads_as_active(
    offer: Offer, alice: User, client_for: ClientFor
) -> None:
    over = GrantFactory.create(
        request__offer=offer,
        request__requester=alice,
        phase="active",
        starts_at=database_now() - timedelta(hours=1),
    )

    page = client_for(alice).get("/access/").content.decode()

    assert "Switch role</a>" not in page
    assert "Its parts in AWS are being removed" in page
    assert client_for(alice).get(f"/requests/{over.code}/switch-role/").status_code == 409


def test_the_switch_role_button_is_for_the_holder_alone(
    grant: Grant, alice: User, bob: User, dana: User, client_for: ClientFor
) -> None:
    link = f"/requests/{grant.code}/switch-role/"

    assert link in client_for(alice).get(grant.get_absolute_url()).content.decode()
    for other in (bob, dana):
        assert link not in client_for(other).get(grant.get_absolute_url()).content.decode()


def test_revoking_needs_a_reason_giving_back_does_not(
    grant: Grant, alice: User, dana: User, client_for: ClientFor
) -> None:
    refused = client_for(dana).post(f"/requests/{grant.code}/revoke/", {"reason": ""})
    assert refused.status_code == 422
    grant.refresh_from_db()
    assert grant.revoked_at is None

    assert client_for(alice).post(f"/requests/{grant.code}/revoke/").status_code == 302
    grant.refresh_from_db()
    assert grant.revoked_by == "alice"


def test_revoking_twice_answers_409(grant: Grant, dana: User, client_for: ClientFor) -> None:
    client = client_for(dana)
    client.post(f"/requests/{grant.code}/revoke/", {"reason": "Wrong account."})

    assert client.post(f"/requests/{grant.code}/revoke/", {"reason": "Again."}).status_code == 409


def test_polling_stops_once_nothing_moves_any_more(
    grant: Grant, asked: None, alice: User, client_for: ClientFor
) -> None:
    client, htmx = client_for(alice), {"HX-Request": "true"}
    url = grant.get_absolute_url()
    assert client.get(url, headers=htmx).status_code == 200

    Grant.objects.filter(pk=grant.pk).update(
        phase="ended", ended_at=grant.ends_at, next_check_at=None
    )

    last = client.get(url, headers=htmx)
    assert last.status_code == 286
    assert "hx-get" not in last.content.decode()
    assert "<html" not in last.content.decode()


@pytest.fixture(name="asked")
def no_request_beside_the_grant(request: pytest.FixtureRequest, offer: Offer, alice: User) -> Any:
    """A pending request, except beside a grant of the same offer."""
    if "grant" in request.fixturenames:
        return None
    return AccessRequestFactory.create(offer=offer, requester=alice)


def test_what_people_type_is_shown_as_text(
    offer: Offer, alice: User, bob: User, client_for: ClientFor
) -> None:
    evil = "<script>alert(1)</script>{{ 7|add:7 }}"
    request = AccessRequestFactory.create(offer=offer, requester=alice, reason=evil)

    text = client_for(bob).get(request.get_absolute_url()).content.decode()

    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7|add:7 }}" in text


def test_pages_send_the_headers_that_keep_them_apart(alice: User, client_for: ClientFor) -> None:
    answer = client_for(alice).get("/access/")

    policy = answer.headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'"):
        assert rule in policy
    for rule in ("frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "no-store" in answer.headers["Cache-Control"]


def test_no_page_has_inline_script_or_style(
    grant: Grant, alice: User, dana: User, client_for: ClientFor
) -> None:
    urls = ["/access/", "/offers/", "/approvals/", grant.get_absolute_url()]
    pages = [client_for(alice).get(url) for url in urls]
    pages += [client_for(dana).get(url) for url in ("/grants/", "/audit/", "/registry/accounts/")]
    for page in pages:
        text = page.content.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)", text)
        assert not re.search(r"\sstyle=|\son[a-z]+=|<style", text)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 1),
        ("?q=alice", 1),
        ("?q=nobody", 0),
        ("?q=2222", 1),
        ("?show=ended", 0),
        ("?show=ending", 0),
    ],
)
def test_admins_filter_the_grants(
    grant: Grant, dana: User, client_for: ClientFor, query: str, found: int
) -> None:
    page = client_for(dana).get(f"/grants/{query}")

    assert page.status_code == 200
    assert len(page.context["rows"]) == found


def test_an_unknown_filter_is_an_error_and_not_everything(
    grant: Grant, dana: User, client_for: ClientFor
) -> None:
    page = client_for(dana).get("/grants/?show=everything")

    assert page.status_code == 422
    assert page.context["rows"] == []


@pytest.mark.parametrize(
    ("actor", "words"),
    [("bob", "by Bob Brandt,"), ("system:worker", "by a worker,"), ("gone", "by gone,")],
)
def test_the_page_names_in_full_who_ended_access_early(
    actor: str, words: str, grant: Grant, alice: User, client_for: ClientFor
) -> None:
    Grant.objects.filter(pk=grant.pk).update(revoked_at=database_now(), revoked_by=actor)

    page = client_for(alice).get(f"/requests/{grant.code}/").content.decode()

    assert f"<b>Ended early</b> {words}" in page


@pytest.mark.parametrize("path", ["/access/", "/offers/", "/approvals/", "/grants/", "/audit/"])
def test_queries_of_a_page_do_not_grow_with_its_rows(
    offer: Offer,
    alice: User,
    bob: User,
    dana: User,
    client_for: ClientFor,
    path: str,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    person = {"/approvals/": bob, "/grants/": dana, "/audit/": dana}.get(path, alice)
    client = client_for(person)

    def more(count: int) -> None:
        for _ in range(count):
            other = OfferFactory.create(eligible_users=[alice], approver_users=[bob])
            IamIdentityFactory.create(person=alice, account=other.pair.source)
            AccessRequestFactory.create(offer=other, requester=alice)
            GrantFactory.create(
                request__offer=other, request__requester=alice, phase="active", approver=bob
            )

    def queries() -> int:
        with django_assert_max_num_queries(200) as captured:
            assert client.get(path).status_code == 200
        return len(captured)

    more(2)
    queries()
    few = queries()
    more(10)
    assert queries() == few


def test_health_is_told_without_signing_in(db: None) -> None:
    assert Client().get("/healthz/live").status_code == 200
    assert Client().get("/healthz/ready").status_code == 200


def test_everybody_is_asked_to_sign_in_first(db: None) -> None:
    answer = Client().get("/grants/")

    assert answer.status_code == 302
    assert answer.headers["Location"] == "/sign-in/?next=/grants/"


def test_a_poll_after_the_session_ended_takes_the_whole_page_to_sign_in(db: None) -> None:
    answer = Client().get("/access/", headers={"HX-Request": "true"})

    assert answer.headers["HX-Redirect"] == "/sign-in/?next=/access/"
    assert "Location" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/requests/%00/",
        "/requests/abc%00/switch-role/",
        "/requests/../grants/",
        "/requests/ABCDEFGHJKMN/",
        "/accounts/1234567890%00/check/",
        "/accounts/%EF%BC%91%EF%BC%9223456789012/check/",
        "/offers/99999999999999999999999/request/",
    ],
)
def test_odd_addresses_are_not_found_and_never_an_error(
    dana: User, client_for: ClientFor, path: str
) -> None:
    client = client_for(dana)

    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 404


def test_a_person_who_was_switched_off_is_out_at_the_next_click(client_for: ClientFor) -> None:
    person = UserFactory.create()
    client = client_for(person)
    assert client.get("/access/").status_code == 200

    User.objects.filter(pk=person.pk).update(is_active=False)

    assert client.get("/access/").status_code == 302
