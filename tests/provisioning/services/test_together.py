"""Several requests decided at once: all or none, each bound to the plan that was shown."""

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.models import AccountPair, Offer, User
from audit.models import AuditEvent
from provisioning import specs
from provisioning.core.plan import fingerprint
from provisioning.models import AccessRequest, Decision, Grant
from provisioning.services import terms
from tests.conftest import ClientFor
from tests.factories import (
    AccessRequestFactory,
    AwsAccountFactory,
    OfferFactory,
    UserFactory,
    first_stage,
)

pytestmark = pytest.mark.django_db
URL = "/approvals/together/"


def make(pair: AccountPair, alice: User, bob: User, number: int) -> list[AccessRequest]:
    """Requests of alice's for offers of their own."""
    return [
        AccessRequestFactory.create(
            requester=alice,
            offer=OfferFactory.create(pair=pair, eligible_users=[alice], approver_users=[bob]),
        )
        for _ in range(number)
    ]


@pytest.fixture
def picked(pair: AccountPair, alice: User, bob: User) -> list[AccessRequest]:
    return make(pair, alice, bob, 3)


def form(requests: list[AccessRequest], **changes: Any) -> dict[str, Any]:
    picks = [f"{one.code}:{fingerprint(specs.spec_for_request(one))}" for one in requests]
    return {"picks": picks, "verdict": "approved", "reason": ""} | changes


def test_all_are_approved_with_a_decision_and_a_grant_each(
    picked: list[AccessRequest], bob: User, client_for: ClientFor
) -> None:
    page = client_for(bob).post(URL, form(picked), follow=True)

    assert "You approved 3 requests." in page.content.decode()
    assert Grant.objects.count() == 3
    approved = AuditEvent.objects.filter(kind="request:state:approved")
    assert {one.subject for one in approved} == {one.subject for one in picked}


def test_all_are_rejected_with_the_one_reason(
    picked: list[AccessRequest], bob: User, client_for: ClientFor
) -> None:
    client_for(bob).post(URL, form(picked, verdict="rejected", reason="Freeze until Monday."))

    said = set(Decision.objects.values_list("verdict", "reason"))
    assert said == {("rejected", "Freeze until Monday.")}
    assert Decision.objects.count() == 3


def test_one_plan_that_moved_keeps_all_undecided(
    picked: list[AccessRequest], alice: User, bob: User, client_for: ClientFor
) -> None:
    shown = form(picked)
    other = UserFactory.create()
    first_stage(picked[1].offer).people.add(other)
    terms.change_terms(
        person=other,
        request=picked[1],
        duration=picked[1].duration / 2,
        starts_at=None,
    )

    page = client_for(bob).post(URL, shown)

    assert page.status_code == 409
    text = page.content.decode()
    assert "Nothing was decided: see below what has changed." in text
    assert text.count("The plan has changed since you opened this page. Look again.") == 1
    assert not Decision.objects.exists()
    assert not Grant.objects.exists()
    assert set(AccessRequest.objects.values_list("state", flat=True)) == {"pending"}
    refusal = AuditEvent.objects.get(kind="request:decide:refused")
    assert (refusal.actor, refusal.subject) == ("bob", picked[1].subject)


def test_everything_that_speaks_against_it_is_told_at_once(
    picked: list[AccessRequest], alice: User, bob: User, client_for: ClientFor
) -> None:
    AccessRequest.objects.filter(pk=picked[0].pk).update(state="cancelled")
    picked[2].offer.eligible_users.clear()

    page = client_for(bob).post(URL, form(picked))

    problems = [row["problem"] for row in page.context["rows"]]
    assert problems == [
        "This request is cancelled already.",
        "",
        "Alice Ashby is told: This offer is not open to you. Ask an admin to name you on it.",
    ]


def test_one_foreign_request_among_ten_is_not_found_and_decides_nothing(
    pair: AccountPair, alice: User, bob: User, client_for: ClientFor
) -> None:
    foreign = AccessRequestFactory.create()
    requests = [*make(pair, alice, bob, 9), foreign]

    assert client_for(bob).post(URL, form(requests)).status_code == 404
    assert client_for(bob).get(f"{URL}?pick={foreign.code}").status_code == 404
    assert not Decision.objects.exists()


def test_nobody_decides_on_their_own_request_among_others(
    picked: list[AccessRequest], bob: User, client_for: ClientFor
) -> None:
    offer = picked[0].offer
    offer.eligible_users.add(bob)
    own = AccessRequestFactory.create(requester=bob, offer=offer)

    page = client_for(bob).post(URL, form([*picked, own]))

    assert page.status_code == 409
    assert "Nobody decides on their own request." in page.content.decode()
    assert not Decision.objects.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reason": "", "verdict": "rejected"}, "Say why you reject"),
        ({"picks": ["nonsense"]}, "Choose 1 to 20 requests on the page before this."),
        ({"picks": ["k3v9m2x7q4a\0:1"]}, "Choose 1 to 20 requests on the page before this."),
        ({"verdict": "maybe"}, "Select a valid choice."),
    ],
)
def test_bad_input_decides_nothing(
    changes: dict[str, Any],
    message: str,
    picked: list[AccessRequest],
    bob: User,
    client_for: ClientFor,
) -> None:
    page = client_for(bob).post(URL, form(picked, **changes))

    assert page.status_code in {404, 422}
    if page.status_code == 422:
        assert message in str(page.context["form"].errors)
    assert not Decision.objects.exists()


def test_the_page_shows_every_plan_and_binds_to_its_fingerprint(
    picked: list[AccessRequest], bob: User, client_for: ClientFor
) -> None:
    query = "&".join(f"pick={one.code}" for one in picked)

    page = client_for(bob).get(f"{URL}?{query}")

    text = page.content.decode()
    for pick in form(picked)["picks"]:
        assert f'value="{pick}"' in text
    assert text.count("CreateRole") >= 3


def test_without_a_choice_the_inbox_is_shown_again(bob: User, client_for: ClientFor) -> None:
    page = client_for(bob).get(URL, follow=True)

    assert "Choose the requests first." in page.content.decode()


@pytest.mark.parametrize("who", ["alice", "bob", "charlie", "dana", "erin"])
def test_who_may_decide_together(
    who: str,
    picked: list[AccessRequest],
    request: pytest.FixtureRequest,
    client_for: ClientFor,
) -> None:
    expected = {"alice": 409, "bob": 302, "charlie": 404, "dana": 409, "erin": 409}

    browser = client_for(request.getfixturevalue(who))

    assert browser.post(URL, form(picked)).status_code == expected[who]
    assert Decision.objects.exists() == (who == "bob")


def test_many_plans_cost_as_many_queries_as_few(
    offer: Offer,
    alice: User,
    bob: User,
    client_for: ClientFor,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    pairs = [offer.pair]
    few = make(offer.pair, alice, bob, 1)
    for _ in range(3):
        other = OfferFactory.create(pair__source=offer.pair.source)
        pairs.append(other.pair)
    many = few + [one for pair in pairs for one in make(pair, alice, bob, 2)]
    browser = client_for(bob)
    AwsAccountFactory.create()

    def queries(requests: list[AccessRequest]) -> str:
        return URL + "?" + "&".join(f"pick={one.code}" for one in requests)

    browser.get(queries(few))
    for requests in (few, many):
        with django_assert_num_queries(6):
            browser.get(queries(requests))
