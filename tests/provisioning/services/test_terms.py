"""A shorter time or a later start: shown before it is decided on, and never more than asked."""

from datetime import datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.models import Offer, User
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import approvals, lifecycle, services, specs
from provisioning.core.plan import fingerprint
from provisioning.models import AccessRequest, Decision, Grant
from provisioning.services import terms
from provisioning.services.common import Refused
from tests.aws_world import decide
from tests.conftest import ClientFor
from tests.factories import AccessRequestFactory, GrantFactory, UserFactory, first_stage

pytestmark = pytest.mark.django_db
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)


@pytest.fixture
def asked(offer: Offer, alice: User) -> AccessRequest:
    """Alice asks for an hour."""
    return AccessRequestFactory.create(offer=offer, requester=alice, duration=HOUR)


def change(
    request: AccessRequest,
    person: User,
    duration: timedelta = QUARTER,
    starts_at: datetime | None = None,
) -> AccessRequest:
    terms.change_terms(
        person=person, request=request, duration=duration, starts_at=starts_at, reason="Too long."
    )
    return AccessRequest.objects.with_parties().get(pk=request.pk)


def mark(request: AccessRequest) -> str:
    return fingerprint(specs.spec_for_request(request))


def test_a_shorter_time_is_what_is_granted(asked: AccessRequest, bob: User) -> None:
    grant = decide(change(asked, bob), bob)

    assert grant is not None
    assert timedelta(0) <= grant.starts_at + QUARTER - grant.ends_at < timedelta(seconds=1)
    asked.refresh_from_db()
    assert (asked.duration, asked.lasts) == (HOUR, QUARTER)


def test_a_later_start_makes_the_access_wait(asked: AccessRequest, bob: User) -> None:
    later = database_now().replace(microsecond=0) + timedelta(hours=3)

    grant = decide(change(asked, bob, HOUR, later), bob)

    assert grant is not None
    assert (grant.phase, grant.starts_at, grant.ends_at) == ("scheduled", later, later + HOUR)


def test_other_terms_are_another_plan_that_is_to_be_read_first(
    asked: AccessRequest, bob: User
) -> None:
    seen = mark(asked)
    changed = change(asked, bob)

    assert mark(changed) != seen
    with pytest.raises(
        services.PlanMoved,
        match=r"^The plan has changed since you opened this page\. Look again\.$",
    ):
        services.decide(
            approver=bob, request=changed, verdict=Decision.Verdict.APPROVED, fingerprint=seen
        )
    assert not Grant.objects.exists()


def test_approvals_of_the_former_terms_count_no_more(offer: Offer, alice: User, bob: User) -> None:
    first = UserFactory.create()
    first_stage(offer).people.add(first)
    request = AccessRequestFactory.create(
        offer=offer, requester=alice, duration=HOUR, approvals_needed=2
    )
    decide(request, first)

    changed = change(request, bob)
    tally = approvals.tally(changed, mark(changed))

    assert (len(tally.counted), [one.approver for one in tally.void]) == (0, [first])
    assert decide(changed, bob) is None
    assert decide(changed, first) is not None


def test_what_was_asked_for_can_be_put_back(asked: AccessRequest, bob: User) -> None:
    seen = mark(asked)

    back = change(change(asked, bob), bob, HOUR)

    assert not back.has_other_terms
    assert mark(back) == seen
    sentences = AuditEvent.objects.about(asked.subject).values_list("sentence", flat=True)
    assert list(sentences) == [
        "Bob Brandt changed the terms to 15 min.",
        "Bob Brandt put back the terms that were asked for.",
    ]


def test_the_event_tells_the_terms_and_what_was_asked_for(asked: AccessRequest, bob: User) -> None:
    change(asked, bob)

    told = AuditEvent.objects.get(kind="request:terms")
    assert (told.actor, told.reason) == ("bob", "Too long.")
    assert (told.data["minutes"], told.data["asked_minutes"]) == (15, 60)


def test_the_steps_of_the_former_terms_are_not_shown_as_those_of_the_new(
    asked: AccessRequest, bob: User
) -> None:
    began = database_now()
    lifecycle.note_preview(asked, {"steps": ["old"], "findings": [], "problem": ""}, began)

    changed = change(AccessRequest.objects.with_parties().get(pk=asked.pk), bob)
    # A look that began before the change ends after it.
    lifecycle.note_preview(changed, {"steps": ["old"], "findings": []}, began)

    changed.refresh_from_db()
    assert changed.preview is not None
    assert changed.preview["steps"] == []
    assert changed.look_is_due(database_now())


@pytest.mark.parametrize(
    ("minutes", "start", "field", "message"),
    [
        (61, None, "minutes", "Choose between 5 and 60 minutes: as long as was asked for, or sho"),
        (4, None, "minutes", "Choose between 5 and 60 minutes: as long as was asked for, or sho"),
        (60, -1, "starts_at", "Choose a later start than was asked for: sooner is not yours to "),
        (60, 15 * 24, "starts_at", "Choose a start within the next 14 days."),
        (60, None, "__all__", "These are the terms already."),
    ],
)
def test_terms_never_give_more_than_was_asked_for(
    asked: AccessRequest, bob: User, minutes: int, start: int | None, field: str, message: str
) -> None:
    starts_at = None if start is None else database_now() + timedelta(hours=start)
    with pytest.raises(ValidationError) as caught:
        change(asked, bob, timedelta(minutes=minutes), starts_at)

    found = caught.value.message_dict if field != "__all__" else {field: caught.value.messages}
    assert found[field][0].startswith(message)
    asked.refresh_from_db()
    assert not asked.has_other_terms


def test_a_start_that_was_asked_for_is_not_brought_forward(
    offer: Offer, alice: User, bob: User
) -> None:
    later = database_now() + timedelta(hours=5)
    request = AccessRequestFactory.create(offer=offer, requester=alice, starts_at=later)

    for sooner in (None, later - HOUR):
        with pytest.raises(ValidationError, match="sooner is not yours to give"):
            change(request, bob, timedelta(minutes=30), sooner)


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ("alice", "Nobody decides on their own request."),
        ("charlie", "You are not an approver of this offer."),
        ("dana", "You are not an approver of this offer."),
        ("erin", "Auditors read everything and change nothing."),
    ],
)
def test_only_who_may_decide_changes_the_terms(
    who: str, reason: str, asked: AccessRequest, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(Refused) as caught:
        change(asked, request.getfixturevalue(who))

    assert reason in caught.value.reasons
    refusal = AuditEvent.objects.get(kind="request:terms:refused")
    assert (refusal.actor, refusal.subject) == (who, asked.subject)


def test_more_time_is_approved_as_asked(offer: Offer, alice: User, bob: User) -> None:
    grant = GrantFactory.create(
        request__offer=offer, request__requester=alice, approver=bob, phase="active"
    )
    request = services.extend_access(
        person=alice, grant=grant, duration=timedelta(minutes=30), reason="Not done."
    )

    with pytest.raises(Refused) as caught:
        change(request, bob)
    assert caught.value.reasons == ("More time is approved as it was asked for, or rejected.",)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"terms_duration": 2 * HOUR, "terms_by": "bob"}, "request_terms_are_not_longer"),
        ({"terms_duration": -HOUR, "terms_by": "bob"}, "request_terms_are_not_longer"),
        ({"terms_duration": QUARTER, "terms_by": "alice"}, "request_terms_are_by_another"),
        ({"terms_duration": QUARTER}, "request_terms_are_by_another"),
        (
            {"terms_duration": QUARTER, "terms_by": "bob", "state": "approved"},
            "request_terms_are_by_another",
        ),
    ],
)
def test_the_database_refuses_terms_that_no_approver_could_set(
    changes: dict[str, object], rule: str, asked: AccessRequest, alice: User, bob: User
) -> None:
    people = {"alice": alice, "bob": bob}
    values = changes | (
        {"terms_by": people[str(changes["terms_by"])]} if "terms_by" in changes else {}
    )
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        AccessRequest.objects.filter(pk=asked.pk).update(**values)


def test_the_database_refuses_a_start_before_the_one_asked_for(
    offer: Offer, alice: User, bob: User
) -> None:
    later = database_now() + timedelta(hours=5)
    request = AccessRequestFactory.create(offer=offer, requester=alice, starts_at=later)
    rule = "request_terms_are_not_sooner"
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        AccessRequest.objects.filter(pk=request.pk).update(terms_start=later - HOUR, terms_by=bob)


# --- On the page -----------------------------------------------------------------------------


def test_the_page_strikes_the_original_through_and_asks_again(
    asked: AccessRequest, bob: User, client_for: ClientFor
) -> None:
    browser, url = client_for(bob), f"/requests/{asked.code}/"
    before = browser.get(url).context["plan"].fingerprint

    after = browser.post(f"{url}terms/", {"minutes": "15", "why": "Too long."}, follow=True)

    text = after.content.decode()
    assert "Read the plan as it is now, then approve or reject it." in text
    assert '<s><span class="sr-only">no longer </span>1 h</s>' in text
    assert after.context["plan"].fingerprint != before
    late = browser.post(f"{url}decide/", {"verdict": "approved", "fingerprint": before})
    assert late.status_code == 409


@pytest.mark.parametrize(
    ("typed", "field", "message"),
    [
        ({"minutes": "61"}, "__all__", "Choose between 5 and 60 minutes"),
        ({"minutes": "9" * 30}, "__all__", "Choose between 5 and 60 minutes"),
        ({"minutes": "x"}, "minutes", "Enter a whole number."),
        ({"starts_at": "soon"}, "starts_at", "Write a date and a time"),
        ({"why": "two\x1blines"}, "why", "Use one line without control characters"),
    ],
)
def test_bad_terms_are_told_at_the_field(
    typed: dict[str, str],
    field: str,
    message: str,
    asked: AccessRequest,
    bob: User,
    client_for: ClientFor,
) -> None:
    page = client_for(bob).post(f"/requests/{asked.code}/terms/", {"minutes": "15"} | typed)

    assert page.status_code == 422
    errors = page.context["terms_form"].errors
    assert message in (errors.get(field) or errors["minutes"])[0]


def test_who_asked_is_told_on_the_page_what_became_of_the_wish(
    asked: AccessRequest, alice: User, bob: User, client_for: ClientFor
) -> None:
    change(asked, bob)

    text = client_for(alice).get(f"/requests/{asked.code}/").content.decode()
    assert "Bob Brandt changed the terms to 15 min." in text
    assert "Changed by" in text
