"""Reviews: what they ask about, who answers, what a removal does, and how they end."""

import csv
import hashlib
import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Offer, User
from accounts.refusals import Refused
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import hooks, sweep
from provisioning.models import Grant
from provisioning.reading import export
from provisioning.services import break_glass
from reviews import evidence, items, services
from reviews.models import Campaign, Item
from reviews.services import Stale
from tests.factories import GrantFactory, GroupFactory, OfferFactory, UserFactory

SOON = timedelta(days=10)


def _campaign(admin: User, *reviewers: User, **fields: Any) -> Campaign:
    given: dict[str, Any] = {"title": "Autumn", "due_at": database_now() + SOON} | fields
    return services.start(admin=admin, campaign=Campaign(**given), reviewers=reviewers)


def _decide(campaign: Campaign, reviewer: User, verdict: str, *chosen: Item) -> int:
    return services.decide(
        reviewer=reviewer,
        campaign=campaign,
        keys=[one.pk for one in chosen],
        verdict=verdict,
        reason="Seen.",
    )


def _codes(change: Callable[[], object]) -> dict[str, list[str | None]]:
    with pytest.raises(ValidationError) as caught:
        change()
    found = caught.value.update_error_dict({})
    return {field: [one.code for one in errors] for field, errors in found.items()}


def _kinds() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("kind", flat=True))


@pytest.fixture
def grant(offer: Offer, alice: User, bob: User) -> Grant:
    """Alice has access, which bob approved."""
    return GrantFactory.create(request__offer=offer, request__requester=alice, approver=bob)


@pytest.fixture
def campaign(dana: User, frank: User, charlie: User, offer: Offer, grant: Grant) -> Campaign:
    """Dana's, in which frank and charlie review: alice asks, bob decides, alice has access."""
    return _campaign(dana, frank, charlie)


def _one(campaign: Campaign, kind: str) -> Item:
    return campaign.items.get(kind=kind)


# --- Starting ---------------------------------------------------------------------------------


def test_it_asks_about_everything_that_stands(campaign: Campaign, grant: Grant) -> None:
    assert campaign.state == "open"
    found = campaign.items.values_list("kind", "username", "what", "takes_a_decider")
    ends = f"{grant.ends_at:%d %b %Y, %H:%M} UTC"
    named = "Security read-only on Identity → Workload"
    assert list(found) == [
        ("asks", "alice", named, False),
        ("decides", "bob", named, True),
        ("live", "alice", f"{named}, until {ends} (grant {grant.code})", False),
    ]
    assert _kinds() == ["review:started", "review:opened"]
    opened = AuditEvent.objects.get(kind="review:opened")
    assert opened.subject == campaign.subject
    assert sum(opened.data["waiting"].values()) == 3


def test_members_of_groups_are_asked_about_by_group_with_all_that_it_gives(
    dana: User, frank: User, charlie: User, offer: Offer, alice: User
) -> None:
    team = GroupFactory.create(name="Team")
    team.user_set.add(alice)
    other = OfferFactory.create(eligible_groups=[team], approver_groups=[team])
    offer.eligible_groups.add(team)
    item = _one(_campaign(dana, frank, charlie), "member")
    assert item.what.startswith("Team: may ask for ")
    assert {str(one) in item.what for one in (other, offer)} == {True}
    assert item.what.endswith(f"decides on {other}")
    assert item.takes_a_decider


@pytest.mark.parametrize("scope", ["account", "pair", "profile"])
def test_a_scope_leaves_out_what_is_not_in_it(
    scope: str, dana: User, frank: User, charlie: User, offer: Offer
) -> None:
    OfferFactory.create(eligible_users=[charlie], approver_users=[charlie])
    thing = {"account": offer.pair.target, "pair": offer.pair, "profile": offer.profile}[scope]
    found = _campaign(dana, frank, charlie, scope=scope, **{scope: thing}).items
    assert set(found.values_list("offer", flat=True)) == {offer.pk}


def test_a_closed_offer_gives_nothing_and_is_not_asked_about(
    dana: User, frank: User, charlie: User, offer: Offer
) -> None:
    Offer.objects.update(is_active=False)
    assert not _campaign(dana, frank, charlie).items.exists()


def test_nobody_is_asked_about_themselves(dana: User, bob: User, alice: User, offer: Offer) -> None:
    by_person = dict(
        _campaign(dana, bob, alice).items.values_list("username", "reviewer__username")
    )
    assert by_person == {"alice": "bob", "bob": "alice"}


def test_of_one_reviewer_the_admin_who_starts_it_is_the_other(
    dana: User, bob: User, offer: Offer
) -> None:
    campaign = _campaign(dana, bob)
    assert set(campaign.reviewers.all()) == {dana, bob}
    assert _one(campaign, "decides").reviewer == dana


@pytest.mark.parametrize(
    ("who", "days", "codes"),
    [
        (["dana"], 10, {"reviewers": ["one_reviewer_only"]}),
        ([], 10, {"reviewers": ["one_reviewer_only"]}),
        (["erin", "bob"], 10, {"reviewers": ["cannot_review"]}),
        (["alice", "bob"], 0, {"due_at": ["due_out_of_bounds"]}),
        (["alice", "bob"], 181, {"due_at": ["due_out_of_bounds"]}),
    ],
)
def test_what_a_review_needs(
    who: list[str],
    days: int,
    codes: Any,
    dana: User,
    erin: User,
    alice: User,
    bob: User,
) -> None:
    reviewers = User.objects.filter(username__in=who)
    due = database_now() + timedelta(days=days)
    assert _codes(lambda: _campaign(dana, *reviewers, due_at=due)) == codes
    assert not Campaign.objects.exists()


@pytest.mark.parametrize("who", ["bob", "erin"])
def test_only_admins_start_reviews(who: str, alice: User, request: pytest.FixtureRequest) -> None:
    person = request.getfixturevalue(who)
    with pytest.raises(Refused, match="Only admins start reviews"):
        _campaign(person, alice, person)
    assert _kinds() == ["review:start:refused"]


def test_a_large_review_is_prepared_in_batches_that_meet_no_item_twice(
    dana: User, frank: User, charlie: User, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "BATCH", 4)
    offer.eligible_users.set(UserFactory.create_batch(10))
    campaign = _campaign(dana, frank, charlie)
    assert (campaign.state, campaign.items.count()) == ("preparing", 4)
    with pytest.raises(Stale, match="This review is being prepared"):
        _decide(campaign, frank, "keep", campaign.items.all()[0])
    while campaign.state == "preparing":
        services.step(database_now())
        campaign.refresh_from_db()
    assert campaign.items.count() == 11
    assert _kinds().count("review:opened") == 1


def test_batches_cost_the_same_for_any_number_of_rows(
    campaign: Campaign, offer: Offer, django_assert_num_queries: Any
) -> None:
    campaign.prepared = []
    offer.eligible_users.set(UserFactory.create_batch(3))
    with django_assert_num_queries(5):
        items.next_batch(campaign, 100)
    offer.eligible_users.set(UserFactory.create_batch(30))
    with django_assert_num_queries(5):
        items.next_batch(campaign, 100)


@given(st.sets(st.integers(1, 50), min_size=2), st.integers(1, 50))
def test_whoever_is_asked_is_somebody_else_and_always_the_same(keys: set[int], about: int) -> None:
    reviewers = [User(pk=one) for one in sorted(keys)]
    chosen = items.reviewer_for(User(pk=about), reviewers)
    assert chosen.pk in keys
    assert chosen.pk != about
    assert chosen.pk == items.reviewer_for(User(pk=about), list(reviewers)).pk


# --- Deciding ---------------------------------------------------------------------------------


def test_what_is_kept_stays(campaign: Campaign, frank: User, offer: Offer, grant: Grant) -> None:
    assert _decide(campaign, frank, "keep", *campaign.items.all()) == 3
    assert set(campaign.items.values_list("decision", "reason", "decided_by__username")) == {
        ("keep", "Seen.", "frank")
    }
    grant.refresh_from_db()
    assert (offer.eligible_users.count(), grant.revoked_at) == (1, None)
    event = AuditEvent.objects.filter(kind="review:item:keep").first()
    assert event is not None
    assert (event.actor, event.data["person"]) == ("frank", "alice")


def test_who_may_ask_no_longer_loses_what_rested_on_it(
    campaign: Campaign, frank: User, offer: Offer, grant: Grant
) -> None:
    _decide(campaign, frank, "remove", _one(campaign, "asks"))
    grant.refresh_from_db()
    assert not offer.eligible_users.exists()
    assert grant.revoked_by == "frank"
    assert grant.revoke_reason == "Review Autumn: Seen."
    assert _one(campaign, "asks").outcome == "Taken away. Live grants revoked: 1."
    assert {"offer:narrowed", "grant:revoked", "review:item:remove"} <= set(_kinds())


def test_live_access_that_rests_on_something_else_stays(
    campaign: Campaign, frank: User, alice: User, offer: Offer, grant: Grant
) -> None:
    team = GroupFactory.create()
    team.user_set.add(alice)
    offer.eligible_groups.add(team)
    _decide(campaign, frank, "remove", _one(campaign, "asks"))
    grant.refresh_from_db()
    assert grant.revoked_at is None
    assert _one(campaign, "asks").outcome == "Taken away."


def test_a_member_leaves_the_group(
    dana: User, frank: User, charlie: User, alice: User, offer: Offer, grant: Grant
) -> None:
    team = GroupFactory.create(name="Team")
    team.user_set.add(alice)
    offer.eligible_groups.set([team])
    offer.eligible_users.clear()
    campaign = _campaign(dana, frank, charlie)
    _decide(campaign, frank, "remove", _one(campaign, "member"))
    grant.refresh_from_db()
    assert not team.user_set.exists()
    assert grant.revoked_by == "frank"
    assert "Alice Ashby left the group Team." in AuditEvent.objects.values_list(
        "sentence", flat=True
    )


def test_an_approver_decides_no_longer_at_once_though_an_admin_alone_would_wait(
    campaign: Campaign, frank: User, offer: Offer, second_admin: None
) -> None:
    _decide(campaign, frank, "remove", _one(campaign, "decides"))
    assert not offer.approvers().exists()


def test_live_access_is_revoked_and_the_right_to_ask_stays(
    campaign: Campaign, frank: User, offer: Offer, grant: Grant
) -> None:
    _decide(campaign, frank, "remove", _one(campaign, "live"))
    grant.refresh_from_db()
    assert (grant.revoked_by, offer.eligible_users.count()) == ("frank", 1)


def test_what_is_gone_already_is_said_so(campaign: Campaign, frank: User, offer: Offer) -> None:
    offer.eligible_users.clear()
    Grant.objects.update(revoked_at=database_now())
    _decide(campaign, frank, "remove", _one(campaign, "asks"), _one(campaign, "live"))
    assert _one(campaign, "asks").outcome == "It was gone already."
    assert _one(campaign, "live").outcome == "It had ended already."


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ("bob", "You are not a reviewer of this review."),
        ("dana", "You are not a reviewer of this review."),
        ("erin", "Auditors read everything and change nothing."),
    ],
)
def test_only_reviewers_decide(
    who: str, reason: str, campaign: Campaign, request: pytest.FixtureRequest
) -> None:
    person = request.getfixturevalue(who)
    with pytest.raises(Refused) as caught:
        _decide(campaign, person, "keep", _one(campaign, "asks"))
    assert reason in caught.value.reasons
    assert _kinds()[-1] == "review:decide:refused"
    assert _one(campaign, "asks").decision == "open"


def test_nobody_decides_on_their_own_items_and_one_of_them_refuses_all(
    dana: User, alice: User, bob: User, offer: Offer
) -> None:
    campaign = _campaign(dana, alice, bob)
    with pytest.raises(Refused, match="Nobody reviews themselves"):
        _decide(campaign, alice, "keep", *campaign.items.all())
    assert set(campaign.items.values_list("decision", flat=True)) == {"open"}


def test_items_of_another_review_are_refused_with_all_others(
    campaign: Campaign, dana: User, frank: User, charlie: User
) -> None:
    other = _campaign(dana, frank, charlie, title="Other")
    with pytest.raises(Refused, match="does not belong to this review"):
        _decide(campaign, frank, "keep", _one(campaign, "asks"), _one(other, "asks"))
    assert _one(campaign, "asks").decision == "open"


def test_one_admin_alone_takes_no_approver_away_by_a_review_of_their_own(
    dana: User, charlie: User, offer: Offer, grant: Grant, second_admin: None
) -> None:
    OfferFactory.create(eligible_users=[dana], approver_users=[charlie])
    campaign = _campaign(dana, charlie)
    item = campaign.items.get(kind="decides", username="bob")
    assert item.reviewer == charlie
    with pytest.raises(Refused, match="another reviewer decides about approvers"):
        _decide(campaign, dana, "remove", item)
    _decide(campaign, charlie, "remove", item)


@pytest.mark.parametrize("is_open", [False, True], ids=["closed offer", "open offer"])
def test_an_account_that_one_admin_has_made_takes_no_approver_away(
    is_open: bool, dana: User, charlie: User, offer: Offer, second_admin: None
) -> None:
    # A closed offer is one admin's work as well, so who decides on it is nobody's second person.
    OfferFactory.create(eligible_users=[dana], approver_users=[charlie], is_active=is_open)
    campaign = _campaign(dana, charlie)
    item = campaign.items.get(kind="decides", username="bob")
    if not is_open:
        with pytest.raises(Refused, match=r"Another admin, or somebody who decides on requests"):
            _decide(campaign, charlie, "remove", item)
        assert [one.username for one in offer.approvers()] == ["bob"]
        return
    _decide(campaign, charlie, "remove", item)
    assert not offer.approvers().exists()


def test_a_group_that_decides_by_now_is_no_longer_one_admins_to_empty(
    dana: User, frank: User, bob: User, alice: User, offer: Offer, second_admin: None
) -> None:
    team = GroupFactory.create(name="Team")
    team.user_set.add(bob)
    offer.eligible_groups.add(team)
    campaign = _campaign(dana, frank, remove_on_timeout=True)
    item = _one(campaign, "member")
    assert not item.takes_a_decider
    OfferFactory.create(eligible_users=[alice], approver_groups=[team])
    with pytest.raises(Refused, match="another reviewer decides about approvers"):
        _decide(campaign, dana, "remove", item)
    services.step(_later(campaign, minutes=1))
    assert _one(campaign, "member").decision == "unanswered"
    assert list(team.user_set.all()) == [bob]


def test_who_may_take_access_in_an_emergency_is_asked_about_and_loses_it_with_the_group(
    dana: User, frank: User, charlie: User, alice: User, offer: Offer
) -> None:
    team = GroupFactory.create(name="Oncall")
    team.user_set.add(alice)
    offer.break_glass_group, offer.break_glass_longest = team, timedelta(minutes=30)
    offer.save()
    emergency = break_glass.take(
        person=alice, offer=offer, duration=timedelta(minutes=30), reason="Production is down."
    )
    campaign = _campaign(dana, frank, charlie)
    item = _one(campaign, "member")
    assert item.what == f"Oncall: may take at once in an emergency {offer}"
    _decide(campaign, frank, "remove", _one(campaign, "asks"))
    emergency.refresh_from_db()
    assert emergency.revoked_at is None
    _decide(campaign, frank, "remove", item)
    emergency.refresh_from_db()
    assert emergency.revoked_by == "frank"


def test_a_decision_needs_items_a_verdict_and_a_reason(campaign: Campaign, frank: User) -> None:
    codes = _codes(
        lambda: services.decide(
            reviewer=frank, campaign=campaign, keys=[], verdict="maybe", reason=" "
        )
    )
    assert codes == {
        "items": ["nothing_chosen"],
        "reason": ["reason_missing"],
        "verdict": ["unknown_verdict"],
    }


def test_what_was_kept_may_still_be_removed_and_nothing_comes_back(
    campaign: Campaign, frank: User, charlie: User
) -> None:
    item = _one(campaign, "live")
    _decide(campaign, frank, "keep", item)
    with pytest.raises(Stale, match="Some of these were decided meanwhile"):
        _decide(campaign, charlie, "keep", item)
    _decide(campaign, charlie, "remove", item)
    with pytest.raises(Stale, match="Some of these were decided meanwhile"):
        _decide(campaign, frank, "keep", item)


def test_without_the_event_nothing_is_removed(
    campaign: Campaign, frank: User, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**event: Any) -> None:
        raise RuntimeError("The audit log is full.")

    monkeypatch.setattr("reviews.services.append", fail)
    with pytest.raises(RuntimeError), transaction.atomic():
        _decide(campaign, frank, "remove", _one(campaign, "asks"))
    assert offer.eligible_users.count() == 1


# --- Time -------------------------------------------------------------------------------------


def _later(campaign: Campaign, **ago: Any) -> datetime:
    """A moment after the due date."""
    return campaign.due_at + timedelta(**ago)


def test_reviewers_are_reminded_before_the_due_date_and_after_it(campaign: Campaign) -> None:
    services.step(campaign.due_at - timedelta(days=4))
    assert "review:due" not in _kinds()
    services.step(campaign.due_at - timedelta(days=2))
    due = AuditEvent.objects.get(kind="review:due")
    assert sum(due.data["waiting"].values()) == 3
    assert due.data["path"] == campaign.get_absolute_url()
    services.step(campaign.due_at - timedelta(days=1))
    services.step(_later(campaign, minutes=1))
    services.step(_later(campaign, hours=2))
    assert _kinds().count("review:overdue") == 1
    services.step(_later(campaign, days=2))
    assert _kinds().count("review:overdue") == 2
    campaign.refresh_from_db()
    assert campaign.state == "open"


def test_a_review_in_which_everything_is_decided_closes_when_it_is_due(
    campaign: Campaign, frank: User
) -> None:
    _decide(campaign, frank, "keep", *campaign.items.all())
    services.step(campaign.due_at - timedelta(days=2))
    assert "review:due" not in _kinds()
    services.step(_later(campaign, minutes=1))
    campaign.refresh_from_db()
    assert (campaign.state, campaign.closed_by) == ("closed", "system:sweeper")
    services.step(_later(campaign, days=9))


@pytest.mark.parametrize("rule", [False, True], ids=["one admin", "a second admin"])
def test_what_nobody_answers_is_removed_where_that_was_chosen(
    rule: bool,
    dana: User,
    frank: User,
    charlie: User,
    offer: Offer,
    grant: Grant,
    request: pytest.FixtureRequest,
) -> None:
    if rule:
        request.getfixturevalue("second_admin")
    campaign = _campaign(dana, frank, charlie, remove_on_timeout=True)
    services.step(campaign.due_at - timedelta(days=1))
    services.step(_later(campaign, minutes=1))
    campaign.refresh_from_db()
    grant.refresh_from_db()
    assert campaign.state == "closed"
    assert (offer.eligible_users.count(), grant.revoked_by) == (0, "system:sweeper")
    assert _one(campaign, "decides").decision == ("unanswered" if rule else "remove")
    assert offer.approvers().count() == (1 if rule else 0)


def test_an_admin_closes_when_nothing_waits_or_it_is_overdue(
    campaign: Campaign, dana: User, frank: User
) -> None:
    with pytest.raises(Refused, match="Items wait for a decision"):
        services.close(admin=dana, campaign=campaign)
    with pytest.raises(Refused, match="Only admins close reviews"):
        services.close(admin=User.objects.get(username="charlie"), campaign=campaign)
    _decide(campaign, frank, "keep", *campaign.items.all())
    services.close(admin=dana, campaign=campaign)
    with pytest.raises(Stale, match="This review is closed"):
        services.close(admin=dana, campaign=campaign)
    closed = AuditEvent.objects.get(kind="review:closed")
    assert closed.data["counts"] == {
        "open": 0,
        "keep": 3,
        "remove": 0,
        "unanswered": 0,
        "all": 3,
    }


def test_the_sweeper_takes_the_steps_and_survives_one_that_fails(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert services.step in hooks.AFTER_SWEEP

    def fail(now: datetime) -> None:
        raise RuntimeError("A campaign is broken.")

    seen: list[datetime] = []
    monkeypatch.setattr(hooks, "AFTER_SWEEP", [fail, seen.append])
    monkeypatch.setattr("provisioning.tasks.nudge", lambda task, pk, **_: True)
    sweep.Sweeper().sweep()
    assert len(seen) == 1


def test_a_broken_review_keeps_no_other_from_its_steps(campaign: Campaign, frank: User) -> None:
    broken = Campaign.objects.create(
        title="Broken", due_at=campaign.due_at, created_by=frank, next_step_at=database_now()
    )
    services.step(_later(campaign, days=9))
    broken.refresh_from_db()
    assert broken.state == "preparing"
    assert _kinds()[-1] == "review:overdue"


# --- Evidence ---------------------------------------------------------------------------------


def test_the_evidence_says_who_decided_what_and_a_change_would_show(
    campaign: Campaign, dana: User, frank: User
) -> None:
    _decide(campaign, frank, "keep", *campaign.items.all())
    services.close(admin=dana, campaign=campaign)
    campaign.refresh_from_db()
    document = json.loads(evidence.as_json(campaign))
    assert document["items_sha256"] == document["items_sha256_at_the_end"] == campaign.content_hash
    lines = [{"review": campaign.pk, "title": campaign.title}, *document["items"]]
    said = "".join(
        json.dumps(one, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
        for one in lines
    )
    assert hashlib.sha256(said.encode()).hexdigest() == campaign.content_hash
    kinds = [one["kind"] for one in document["events"]]
    assert (kinds[0], kinds[-1]) == ("review:started", "review:closed")
    first = document["items"][0]
    assert (first["username"], first["decision"], first["decided_by"]) == ("alice", "keep", "frank")


@pytest.mark.parametrize(
    "evil",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=cmd|' /C calc'!A0", " =1", "＝1"],  # noqa: RUF001  # The wide one counts too.
)
def test_no_cell_of_the_export_is_a_formula(
    evil: str, dana: User, frank: User, charlie: User, offer: Offer
) -> None:
    User.objects.filter(username="alice").update(first_name=evil, last_name="")
    campaign = _campaign(dana, frank, charlie)
    _decide(campaign, frank, "keep", _one(campaign, "asks"))
    Item.objects.filter(campaign=campaign)
    rows = list(csv.reader(io.StringIO(evidence.as_csv(campaign))))
    for row in rows:
        assert not any(cell.startswith(export.FORMULA) for cell in row)
    assert rows[-1] == ["sha256", evidence.content_hash(campaign)]


@given(st.text())
def test_whatever_stands_in_a_cell_is_no_formula_and_is_not_lost(text: str) -> None:
    cell = export.defused(text)
    assert not cell.lstrip(" ").startswith(export.FORMULA)
    assert cell in {text, f"'{text}"}


# --- What the database holds by itself --------------------------------------------------------


def _broken(write: Callable[[], object]) -> str:
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        write()
    return str(caught.value.__cause__.diag.constraint_name)  # type: ignore[union-attr]  # psycopg's.


def test_the_database_keeps_items_as_they_are(
    campaign: Campaign, alice: User, bob: User, frank: User
) -> None:
    row = campaign.items.filter(kind="asks")
    now = database_now()
    for changed in ({"what": "x"}, {"username": "x"}, {"person": bob}, {"takes_a_decider": True}):
        broken = _broken(partial(row.update, **changed))
        assert broken == "review_item_keeps_what_it_is_about"
    decided: dict[str, Any] = {"decided_at": now, "decision": "keep"}
    assert _broken(partial(row.update, decided_by=alice, **decided)) == (
        "review_nobody_reviews_themselves"
    )
    assert _broken(partial(row.update, decision="keep")) == "review_decision_is_whole"
    assert _broken(row.delete) == "review_item_is_never_deleted"
    row.update(decision="remove", decided_at=now, decided_by=frank)
    assert _broken(partial(row.update, decision="keep")) == "review_item_moves_along_its_edges"


def test_the_database_takes_no_item_after_the_beginning(campaign: Campaign, frank: User) -> None:
    item = _one(campaign, "asks")
    item.pk = None
    assert _broken(partial(item.save, force_insert=True)) == "review_item_is_made_first"


def test_a_closed_review_never_changes(campaign: Campaign, dana: User, frank: User) -> None:
    _decide(campaign, frank, "keep", *campaign.items.all())
    services.close(admin=dana, campaign=campaign)
    rows, row = campaign.items.all(), Campaign.objects.filter(pk=campaign.pk)
    assert _broken(partial(rows.update, reason="x")) == "review_closed_item_never_changes"
    assert _broken(partial(row.update, closed_by="x")) == "review_moves_along_its_edges"
    assert _broken(partial(row._raw_delete, "default")) == "review_is_never_deleted"


def test_the_database_keeps_what_a_review_is_about(campaign: Campaign, frank: User) -> None:
    row = Campaign.objects.filter(pk=campaign.pk)
    changes: list[dict[str, Any]] = [
        {"title": "x"},
        {"due_at": database_now()},
        {"remove_on_timeout": True},
        {"created_by": frank},
    ]
    for changed in changes:
        assert _broken(partial(row.update, **changed)) == "review_keeps_what_it_is_about"
    assert _broken(partial(row.update, state="preparing")) == "review_moves_along_its_edges"
