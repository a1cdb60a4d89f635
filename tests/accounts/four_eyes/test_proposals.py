"""Deciding on proposals, and what the database itself holds of them."""

import threading
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from accounts.models import Offer, Proposal, SecondAdmin, User
from accounts.refusals import Refused
from accounts.services import groups, profiles, proposals
from accounts.services.proposals import Stale
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning.services import retire
from tests.accounts.four_eyes.helpers import (
    WHY,
    codes_of,
    kinds_told,
    proposal_of,
    refused_by,
    version_of,
)
from tests.accounts.offers import save
from tests.factories import GroupFactory, OfferFactory, ProposalFactory, UserFactory


@pytest.fixture
def waiting(dana: User, alice: User, charlie: User, offer: Offer, second_admin: None) -> Proposal:
    """Dana's: charlie may ask, too."""
    return proposal_of(lambda: save(offer, actor=dana, eligible_users=[alice, charlie], reason=WHY))


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ("dana", "You proposed this. Another admin has to confirm it; you can withdraw it."),
        ("alice", "Only admins confirm or reject."),
        ("erin", "Only admins confirm or reject."),
    ],
)
@pytest.mark.parametrize("verdict", ["confirm", "reject"])
def test_only_another_admin_decides(
    verdict: str, who: str, reason: str, waiting: Proposal, request: pytest.FixtureRequest
) -> None:
    person = request.getfixturevalue(who)
    with pytest.raises(Refused) as caught:
        getattr(proposals, verdict)(admin=person, proposal=waiting, reason="Because.")
    assert caught.value.reasons == (reason,)
    event = AuditEvent.objects.get(kind=f"proposal:{verdict}:refused")
    assert (event.actor, event.subject, event.reason) == (who, waiting.subject, reason)
    waiting.refresh_from_db()
    assert waiting.state == "open"


def test_an_admin_who_is_none_any_more_does_not_confirm(waiting: Proposal, frank: User) -> None:
    User.objects.filter(pk=frank.pk).update(role="member")
    with pytest.raises(Refused, match="Only admins confirm or reject"):
        proposals.confirm(admin=frank, proposal=waiting)


def test_a_confirmed_change_is_made(
    waiting: Proposal, frank: User, alice: User, charlie: User, offer: Offer
) -> None:
    proposals.confirm(admin=frank, proposal=waiting, reason="Seen the ticket.")
    assert set(offer.eligible_users.all()) == {alice, charlie}
    waiting.refresh_from_db()
    assert (waiting.state, waiting.decided_by) == ("confirmed", frank)
    event = AuditEvent.objects.get(kind="proposal:confirmed")
    assert (event.actor, event.reason) == ("frank", "Seen the ticket.")


def test_a_rejected_change_is_never_made(waiting: Proposal, frank: User, offer: Offer) -> None:
    assert codes_of(lambda: proposals.reject(admin=frank, proposal=waiting, reason=" ")) == {
        "reason": ["reason_missing"]
    }
    proposals.reject(admin=frank, proposal=waiting, reason="Not for charlie.")
    assert offer.eligible_users.count() == 1
    assert kinds_told() == ["proposal:opened", "proposal:rejected"]
    with pytest.raises(Stale, match="This proposal is rejected already"):
        proposals.confirm(admin=frank, proposal=waiting)


def test_its_proposer_withdraws_it_and_nobody_else(
    waiting: Proposal, dana: User, frank: User
) -> None:
    with pytest.raises(Refused, match="Only who proposed something can withdraw it"):
        proposals.withdraw(person=frank, proposal=waiting)
    proposals.withdraw(person=dana, proposal=waiting)
    assert kinds_told()[-2:] == ["proposal:withdraw:refused", "proposal:withdrawn"]


def _narrow(offer: Offer, dana: User) -> None:
    save(offer, actor=dana, max_duration=timedelta(hours=1))


def _rename(offer: Offer, dana: User) -> None:
    User.objects.filter(username="charlie").update(first_name="Karl")


def _new_version(offer: Offer, dana: User) -> None:
    profiles.add_profile_version(
        actor=dana, profile=offer.profile, version=version_of(require_mfa=True)
    )


def _demote(offer: Offer, dana: User) -> None:
    User.objects.filter(pk=dana.pk).update(role="member")


@pytest.mark.parametrize(
    ("move", "why"),
    [
        (_narrow, "What it is about has changed since it was proposed. Propose it anew."),
        (_rename, "What it is about has changed since it was proposed. Propose it anew."),
        (_new_version, "What it is about has changed since it was proposed. Propose it anew."),
        (_demote, "Dana Dahl is no admin any more. Propose it anew."),
    ],
)
def test_what_has_moved_since_lapses_instead_of_being_confirmed(
    move: Any, why: str, waiting: Proposal, dana: User, frank: User, offer: Offer
) -> None:
    move(offer, dana)
    with pytest.raises(Stale) as caught:
        proposals.confirm(admin=frank, proposal=waiting)
    assert str(caught.value) == why
    waiting.refresh_from_db()
    assert (waiting.state, waiting.decided_by) == ("lapsed", None)
    assert (offer.eligible_users.count(), kinds_told()[-1]) == (1, "proposal:lapsed")


def test_a_new_offer_of_a_profile_that_has_changed_since_lapses(
    dana: User, frank: User, offer: Offer, second_admin: None
) -> None:
    wanted = Offer(pair=OfferFactory.create().pair, profile=offer.profile)
    proposal = proposal_of(lambda: save(wanted, actor=dana, reason=WHY))
    _new_version(offer, dana)
    with pytest.raises(Stale):
        proposals.confirm(admin=frank, proposal=proposal)


@pytest.mark.django_db
def test_what_nobody_decides_lapses() -> None:
    now = database_now()
    old = ProposalFactory.create(lapses_at=now - timedelta(seconds=1))
    young = ProposalFactory.create()
    assert proposals.lapse(now) == 1
    old.refresh_from_db()
    young.refresh_from_db()
    assert (old.state, young.state) == ("lapsed", "open")
    event = AuditEvent.objects.get()
    assert (event.kind, event.actor) == ("proposal:lapsed", "system:sweeper")


def test_without_the_event_nothing_is_confirmed(
    waiting: Proposal, frank: User, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**event: Any) -> None:
        raise RuntimeError("The audit log is full.")

    monkeypatch.setattr("accounts.services.proposals.append", fail)
    with pytest.raises(RuntimeError), transaction.atomic():
        proposals.confirm(admin=frank, proposal=waiting)
    waiting.refresh_from_db()
    assert (waiting.state, offer.eligible_users.count()) == ("open", 1)


# --- What the database holds by itself --------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "constraint"),
    [
        ({"state": "confirmed", "decided_by": "dana"}, "proposal_needs_a_second_admin"),
        ({"state": "rejected", "decided_by": "dana"}, "proposal_needs_a_second_admin"),
        ({"state": "confirmed", "decided_by": "erin"}, "proposal_is_decided_by_an_admin"),
        ({"state": "confirmed", "decided_by": None}, "proposal_is_decided_by_an_admin"),
        ({"state": "lapsed", "decided_by": "frank"}, "proposal_decision_is_whole"),
        ({"state": "open", "decided_by": "frank"}, "proposal_decision_is_whole"),
        ({"state": "withdrawn", "decided_by": "frank"}, "proposal_is_withdrawn_by_its_proposer"),
        ({"state": "done", "decided_by": "frank"}, "proposal_state_is_known"),
    ],
)
def test_the_database_refuses_decisions_that_are_none(
    written: dict[str, Any], constraint: str, dana: User, erin: User, frank: User
) -> None:
    proposal = ProposalFactory.create(proposed_by=dana)
    who = written.pop("decided_by")
    by = User.objects.filter(username=who).first()
    row = Proposal.objects.filter(pk=proposal.pk)
    assert refused_by(lambda: row.update(decided_by=by, decided_at=database_now(), **written)) in {
        constraint,
        "proposal_decision_is_whole",
    }


def test_the_database_keeps_proposals_as_they_are(dana: User, frank: User) -> None:
    proposal = ProposalFactory.create(proposed_by=dana)
    row = Proposal.objects.filter(pk=proposal.pk)
    written: list[dict[str, Any]] = [
        {"after": {}},
        {"before": {}},
        {"about": "x"},
        {"proposed_by": frank},
    ]
    for changed in written:
        assert refused_by(partial(row.update, **changed)) == "proposal_keeps_its_content"
    assert refused_by(row.delete) == "proposal_is_never_deleted"
    row.update(state="rejected", decided_by=frank, decided_at=database_now())
    assert refused_by(lambda: row.update(state="open")) == "proposal_moves_once"
    assert refused_by(lambda: ProposalFactory.create(state="confirmed")) == "proposal_begins_open"
    assert refused_by(lambda: ProposalFactory.create(kind="wish")) == "proposal_kind_is_known"
    ProposalFactory.create(about="group:9")
    assert (
        refused_by(lambda: ProposalFactory.create(about="group:9"))
        == "proposal_one_open_per_subject"
    )


@pytest.mark.django_db(transaction=True)
def test_what_is_closed_while_a_proposal_is_confirmed_stays_closed(
    waiting: Proposal, dana: User, frank: User, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = proposals._store
    told: list[str] = []

    def close() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '100ms'")
        try:
            retire.retire(actor=dana, thing=offer, confirmation=offer.profile.name, reason="Out.")
            told.append("closed")
        except OperationalError as error:
            told.append(type(error.__cause__).__name__)
        finally:
            connection.close()

    def store(proposal: Proposal) -> None:
        other = threading.Thread(target=close)
        other.start()
        other.join()
        stored(proposal)

    monkeypatch.setattr(proposals, "_store", store)
    proposals.confirm(admin=frank, proposal=waiting)
    # It waits for the confirmation, and closes what that has changed.
    assert told == ["LockNotAvailable"]


@pytest.mark.django_db(transaction=True)
def test_of_two_admins_who_confirm_at_once_one_does(dana: User, frank: User) -> None:
    grace = UserFactory.create(username="grace", role="admin")
    SecondAdmin.objects.create(pk=1, state="on", changed_at=database_now())
    team = GroupFactory.create(name="Team")
    proposal = proposal_of(
        lambda: groups.save_group(actor=dana, group=team, name="Team", members=[grace], reason=WHY)
    )
    start, said = threading.Barrier(2), []

    def confirm(admin: User) -> None:
        start.wait()
        try:
            proposals.confirm(admin=admin, proposal=proposal)
            said.append("confirmed")
        except Stale as stale:
            said.append(str(stale))
        finally:
            connection.close()

    threads = [threading.Thread(target=confirm, args=[one]) for one in (frank, grace)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(said) == ["This proposal is confirmed already.", "confirmed"]
    assert AuditEvent.objects.filter(kind="group:changed").count() == 1
