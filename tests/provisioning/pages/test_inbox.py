"""The inbox of an approver: what it holds, how it is narrowed, what each row says."""

from datetime import timedelta

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import Offer, User
from provisioning.models import AccessRequest
from provisioning.services import questions
from provisioning.services.terms import change_terms
from tests.aws_world import decide
from tests.conftest import ClientFor
from tests.factories import (
    AccessRequestFactory,
    ApprovalStageFactory,
    OfferFactory,
    UserFactory,
    first_stage,
)

pytestmark = pytest.mark.django_db


def codes(page: object) -> list[str]:
    return [one.code for one in page.context["waiting"]]  # type: ignore[attr-defined]


@pytest.fixture
def asked(offer: Offer, alice: User) -> AccessRequest:
    return AccessRequestFactory.create(offer=offer, requester=alice)


def test_what_waits_for_me_for_others_and_what_i_decided(
    asked: AccessRequest, alice: User, bob: User, charlie: User, client_for: ClientFor
) -> None:
    ApprovalStageFactory.create(offer=asked.offer, people=[charlie])
    gone = AccessRequestFactory.create(
        requester=alice,
        offer=OfferFactory.create(
            pair=asked.offer.pair, eligible_users=[alice], approver_users=[bob]
        ),
    )
    decide(gone, bob)
    browser, second = client_for(bob), client_for(charlie)

    assert codes(browser.get("/approvals/")) == [asked.code]
    assert codes(browser.get("/approvals/?show=mine")) == [gone.code]
    assert codes(second.get("/approvals/")) == []
    assert codes(second.get("/approvals/?show=others")) == [asked.code]

    asked.refresh_from_db()
    decide(AccessRequest.objects.with_parties().get(pk=asked.pk), bob)

    assert codes(browser.get("/approvals/?show=others")) == [asked.code]
    assert codes(second.get("/approvals/")) == [asked.code]


def waiting_count(browser: Client) -> int:
    """What the navigation says of approvals, on any page."""
    navigation = browser.get("/approvals/decided/").context["navigation"]
    return next(int(one["count"]) for one in navigation if one["label"] == "Approvals")


def test_what_i_have_approved_does_not_wait_for_me_any_more(
    asked: AccessRequest, bob: User, charlie: User, client_for: ClientFor
) -> None:
    first_stage(asked.offer).people.add(charlie)
    asked.offer.stages.update(quorum=2)
    first, second = client_for(bob), client_for(charlie)
    assert (waiting_count(first), waiting_count(second)) == (1, 1)
    decide(AccessRequest.objects.with_parties().get(pk=asked.pk), bob)

    assert codes(first.get("/approvals/")) == []
    assert "Nothing waits for you" in first.get("/approvals/").content.decode()
    for show in ("approved", "others", "mine"):
        page = first.get(f"/approvals/?show={show}")
        assert codes(page) == [asked.code]
        assert "You approved" in page.content.decode()
    assert codes(second.get("/approvals/")) == [asked.code]
    assert codes(second.get("/approvals/?show=approved")) == []
    assert (waiting_count(first), waiting_count(second)) == (0, 1)


def test_of_another_plan_i_am_asked_again(
    asked: AccessRequest, bob: User, charlie: User, client_for: ClientFor
) -> None:
    first_stage(asked.offer).people.add(charlie)
    asked.offer.stages.update(quorum=2)
    decide(AccessRequest.objects.with_parties().get(pk=asked.pk), bob)
    change_terms(person=charlie, request=asked, duration=timedelta(minutes=5), starts_at=None)
    browser = client_for(bob)

    assert codes(browser.get("/approvals/")) == [asked.code]
    assert codes(browser.get("/approvals/?show=approved")) == []
    assert waiting_count(browser) == 1


@pytest.mark.parametrize(
    ("text", "found"), [("alice", True), ("Workload", True), ("111111", True), ("carol", False)]
)
def test_it_is_narrowed_by_person_and_account(
    text: str, found: bool, asked: AccessRequest, bob: User, client_for: ClientFor
) -> None:
    page = client_for(bob).get(f"/approvals/?q={text}")

    assert codes(page) == ([asked.code] if found else [])
    assert ("No request matches" in page.content.decode()) is not found


def test_an_unknown_filter_is_an_error_and_not_everything(bob: User, client_for: ClientFor) -> None:
    assert client_for(bob).get("/approvals/?show=everything").status_code == 422
    assert client_for(bob).get("/approvals/?shew=mine").status_code == 400


def test_a_row_says_what_is_new_and_can_be_chosen(
    asked: AccessRequest, alice: User, bob: User, client_for: ClientFor
) -> None:
    questions.say(person=alice, request=asked, text="It is urgent.")

    text = client_for(bob).get("/approvals/").content.decode()

    assert "1 new comment" in text
    assert f'id="pick-{asked.code}"' in text
    assert "Decide on the chosen ones together" in text
    assert "<kbd>j</kbd>" in text


@pytest.mark.parametrize("show", ["", "approved", "others", "mine"])
def test_many_rows_cost_as_many_queries_as_few(
    show: str,
    asked: AccessRequest,
    alice: User,
    bob: User,
    client_for: ClientFor,
    django_assert_num_queries: DjangoAssertNumQueries,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    other, browser = UserFactory.create(), client_for(bob)

    def more() -> None:
        offer = OfferFactory.create(
            pair=asked.offer.pair, eligible_users=[alice], approver_users=[bob]
        )
        ApprovalStageFactory.create(offer=offer, people=[other])
        request = AccessRequestFactory.create(requester=alice, offer=offer, approvals_needed=2)
        if show:
            decide(request, bob)

    more()
    browser.get("/approvals/")
    with django_assert_max_num_queries(30) as few:
        browser.get(f"/approvals/?show={show}")
    for _ in range(3):
        more()
    with django_assert_num_queries(len(few)):
        browser.get(f"/approvals/?show={show}")
