"""Four eyes: what widens access waits for a second admin, by whatever door it comes."""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, connection, transaction

from accounts import four_eyes, people, proposals, services
from accounts.four_eyes import Proposed
from accounts.models import AccessProfile, Offer, ProfileVersion, Proposal, SecondAdmin, User
from accounts.proposals import Stale
from accounts.refusals import Refused
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning.services import retire
from tests.accounts.offers import save
from tests.factories import GroupFactory, OfferFactory, ProposalFactory, UserFactory

WHY = "Ticket 77: the night shift starts."


def _proposed(change: Callable[[], object]) -> Proposal:
    """The proposal that a change became."""
    with pytest.raises(Proposed) as caught:
        change()
    return caught.value.proposal


def _codes(change: Callable[[], object]) -> dict[str, list[str | None]]:
    with pytest.raises(ValidationError) as caught:
        change()
    found = caught.value.update_error_dict({})
    return {field: [one.code for one in errors] for field, errors in found.items()}


def _kinds() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("kind", flat=True))


# --- When the rule holds ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sandbox", "admins", "state", "holds"),
    [
        (False, 1, None, False),
        (False, 2, None, True),
        (False, 2, "unset", True),
        (True, 2, None, False),
        (True, 2, "on", True),
        (False, 1, "on", True),
        (False, 0, "on", True),
    ],
)
@pytest.mark.django_db
def test_it_holds_outside_the_sandbox_from_the_second_admin_on(
    sandbox: bool, admins: int, state: str | None, holds: bool, settings: Any
) -> None:
    settings.SANDBOX = sandbox
    UserFactory.create_batch(admins, role="admin")
    UserFactory.create(role="admin", is_active=False)
    if state:
        SecondAdmin.objects.create(pk=1, state=state, changed_at=database_now())
    assert four_eyes.holds() is holds
    with transaction.atomic():
        assert four_eyes.settle() is holds


def test_the_first_admin_sets_everything_up_alone_and_the_second_ends_that(
    dana: User, bob: User, offer: Offer, settings: Any
) -> None:
    settings.SANDBOX = False
    save(offer, actor=dana, max_duration=timedelta(hours=8))
    people.change_person(actor=dana, person=bob, role="admin", is_active=True)
    assert _kinds()[-2:] == ["user:changed", "rule:second_admin:on"]
    proposal = _proposed(
        lambda: save(offer, actor=dana, max_duration=timedelta(hours=9), reason=WHY)
    )
    assert proposal.proposed_by == dana


def test_an_admin_who_switches_the_other_one_off_is_not_alone_again(
    dana: User, frank: User, offer: Offer, settings: Any
) -> None:
    settings.SANDBOX = False
    retire.retire(actor=dana, thing=frank, confirmation="frank", reason="He has left.")
    assert four_eyes.admins() == 1
    _proposed(lambda: save(offer, actor=dana, max_duration=timedelta(hours=9), reason=WHY))


# --- Doors ------------------------------------------------------------------------------------


def test_a_wider_offer_is_a_proposal_and_changes_nothing(
    dana: User, alice: User, charlie: User, offer: Offer, second_admin: None
) -> None:
    proposal = _proposed(
        lambda: save(offer, actor=dana, eligible_users=[alice, charlie], reason=WHY)
    )
    assert list(offer.eligible_users.all()) == [alice]
    assert (proposal.about, proposal.state, proposal.reason) == (offer.subject, "open", WHY)
    [shown] = proposal.shown
    assert shown.sentence == "Charlie Castro (charlie) may ask from then on."
    event = AuditEvent.objects.get()
    assert (event.kind, event.actor, event.reason) == ("proposal:opened", "dana", WHY)
    assert event.sentence == (
        "Dana Dahl proposed: Change the offer Security read-only on Identity → Workload."
    )
    assert event.data["differences"][0]["after"] == (
        "Alice Ashby (alice), Charlie Castro (charlie)"
    )


def test_a_narrower_offer_takes_effect_at_once(
    dana: User, offer: Offer, second_admin: None
) -> None:
    save(offer, actor=dana, max_duration=timedelta(hours=1))
    offer.refresh_from_db()
    assert offer.max_duration == timedelta(hours=1)
    assert _kinds() == ["offer:changed"]


def test_a_mixed_change_waits_as_a_whole(
    dana: User, alice: User, charlie: User, offer: Offer, second_admin: None
) -> None:
    proposal = _proposed(lambda: save(offer, actor=dana, eligible_users=[charlie], reason=WHY))
    assert {one.direction.value for one in proposal.shown} == {"widening", "narrowing"}
    assert list(offer.eligible_users.all()) == [alice]
    assert AuditEvent.objects.get().data["mixed"] is True


def test_a_change_that_widens_needs_a_reason(dana: User, offer: Offer, second_admin: None) -> None:
    wide = timedelta(hours=9)
    codes = _codes(lambda: save(offer, actor=dana, max_duration=wide, reason="  "))
    assert codes == {"proposal_reason": ["reason_missing"]}
    assert not Proposal.objects.exists()


def test_of_one_thing_one_change_is_proposed_at_a_time(
    dana: User, frank: User, offer: Offer, second_admin: None
) -> None:
    wide = timedelta(hours=9)
    _proposed(lambda: save(offer, actor=dana, max_duration=wide, reason=WHY))
    codes = _codes(lambda: save(offer, actor=frank, max_duration=wide, reason=WHY))
    assert codes == {"__all__": ["proposal_one_open_per_subject"]}


def test_what_is_refused_directly_is_not_proposed_either(
    dana: User, offer: Offer, second_admin: None
) -> None:
    with pytest.raises(ValidationError):
        save(offer, actor=dana, eligible_users=[], reason=WHY)
    assert not Proposal.objects.exists()


def test_a_new_offer_waits_and_is_made_as_it_was_proposed(
    dana: User, frank: User, offer: Offer, alice: User, second_admin: None
) -> None:
    wanted = Offer(pair=offer.pair, profile=OfferFactory.create().profile)
    proposal = _proposed(lambda: save(wanted, actor=dana, eligible_users=[alice], reason=WHY))
    assert proposal.about == f"offer:new:{wanted.pair_id}:{wanted.profile_id}"
    proposals.confirm(admin=frank, proposal=proposal)
    made = Offer.objects.get(pair=wanted.pair, profile=wanted.profile)
    assert list(made.eligible_users.all()) == [alice]
    assert made.max_duration == timedelta(hours=4)
    assert list(made.requesters()) == [alice]
    assert [one.username for one in made.approvers()] == ["bob"]
    changed = AuditEvent.objects.get(kind="offer:made")
    assert (changed.actor, changed.data["proposal"]) == ("dana", proposal.pk)
    assert _kinds() == ["proposal:opened", "proposal:confirmed", "offer:made"]


def test_a_new_closed_offer_waits_for_its_opening(
    dana: User, frank: User, offer: Offer, second_admin: None
) -> None:
    wanted = Offer(pair=offer.pair, profile=OfferFactory.create().profile, is_active=False)
    save(wanted, actor=dana)
    proposal = _proposed(lambda: save(wanted, actor=dana, is_active=True, reason=WHY))
    assert {"eligible_users", "max_duration"} <= {one.field for one in proposal.shown}
    proposals.confirm(admin=frank, proposal=proposal)
    wanted.refresh_from_db()
    assert wanted.is_active


def _version(**fields: Any) -> ProfileVersion:
    given = {"role_name": "SecurityReadOnlyRole", "managed_policies": ["ReadOnlyAccess"]} | fields
    return ProfileVersion(**given)


def test_a_version_that_may_allow_more_waits(
    dana: User, frank: User, profile: AccessProfile, second_admin: None
) -> None:
    version = _version(managed_policies=["ReadOnlyAccess", "AWSBillingReadOnlyAccess"])
    proposal = _proposed(
        lambda: services.add_profile_version(
            actor=dana, profile=profile, version=version, reason=WHY
        )
    )
    assert profile.versions.count() == 1
    proposals.confirm(admin=frank, proposal=proposal)
    added = profile.versions.get(number=2)
    assert added.managed_policies == ["ReadOnlyAccess", "AWSBillingReadOnlyAccess"]
    assert (added.created_by, added.session_duration) == ("dana", timedelta(hours=1))


def test_a_version_that_allows_less_is_added_at_once(
    dana: User, profile: AccessProfile, second_admin: None
) -> None:
    version = _version(require_mfa=True, session_duration=timedelta(hours=1))
    services.add_profile_version(actor=dana, profile=profile, version=version)
    assert profile.versions.count() == 2


def test_a_new_profile_waits_for_nobody_because_nobody_can_be_given_it(
    dana: User, second_admin: None
) -> None:
    services.add_profile(actor=dana, profile=AccessProfile(name="New"), version=_version())
    assert AccessProfile.objects.get(name="New").versions.count() == 1


def test_who_joins_a_group_waits_and_who_leaves_one_does_not(
    dana: User, frank: User, alice: User, charlie: User, second_admin: None
) -> None:
    team = GroupFactory.create(name="Team")
    team.user_set.add(alice)
    people.save_group(actor=dana, group=team, name="Team", members=[])
    proposal = _proposed(
        lambda: people.save_group(
            actor=dana, group=team, name="Team", members=[charlie], reason=WHY
        )
    )
    assert not team.user_set.exists()
    proposals.confirm(admin=frank, proposal=proposal)
    assert list(team.user_set.all()) == [charlie]
    event = AuditEvent.objects.get(kind="group:changed", data__proposal=proposal.pk)
    assert event.sentence == "Dana Dahl changed the group Team: charlie joined."


def test_an_approver_who_leaves_a_group_waits_too(
    dana: User, alice: User, bob: User, pair: Any, second_admin: None
) -> None:
    team = GroupFactory.create(name="Team")
    team.user_set.add(bob)
    OfferFactory.create(pair=pair, eligible_users=[alice], approver_groups=[team])
    proposal = _proposed(
        lambda: people.save_group(actor=dana, group=team, name="Team", members=[], reason=WHY)
    )
    [shown] = [one for one in proposal.shown if one.field == "members"]
    assert shown.direction == "widening"


def test_a_new_group_without_members_is_made_at_once(dana: User, second_admin: None) -> None:
    people.save_group(actor=dana, group=Group(), name="Night shift", members=[])
    assert Group.objects.get().name == "Night shift"


def test_a_role_is_raised_by_two_and_lowered_by_one(
    dana: User, frank: User, alice: User, second_admin: None
) -> None:
    raised: dict[str, Any] = {"person": alice, "role": "admin", "is_active": True}
    proposal = _proposed(lambda: people.change_person(actor=dana, reason=WHY, **raised))
    alice.refresh_from_db()
    assert (alice.role, proposal.title) == ("member", "Make Alice Ashby (alice) an admin.")
    proposals.confirm(admin=frank, proposal=proposal)
    alice.refresh_from_db()
    assert alice.role == "admin"
    people.change_person(actor=dana, person=alice, role="member", is_active=True)
    alice.refresh_from_db()
    assert alice.role == "member"


def test_somebody_who_was_switched_off_signs_in_again_by_two(
    dana: User, frank: User, alice: User, second_admin: None
) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    alice.refresh_from_db()
    proposal = _proposed(
        lambda: people.change_person(
            actor=dana, person=alice, role="member", is_active=True, reason=WHY
        )
    )
    assert proposal.title == "Let Alice Ashby (alice) sign in again."
    proposals.confirm(admin=frank, proposal=proposal)
    alice.refresh_from_db()
    assert alice.is_active


def test_nobody_is_switched_off_past_the_page_that_ends_their_access(
    dana: User, alice: User
) -> None:
    off: dict[str, Any] = {"person": alice, "role": "member", "is_active": False}
    assert _codes(lambda: people.change_person(actor=dana, **off)) == {"is_active": ["switch_off"]}


def test_the_last_admin_stays_one(dana: User) -> None:
    codes = _codes(
        lambda: people.change_person(actor=dana, person=dana, role="member", is_active=True)
    )
    assert codes == {"role": ["last_admin"]}


# --- The rule itself --------------------------------------------------------------------------


def test_it_is_switched_on_at_once_and_off_by_two_only(dana: User, frank: User) -> None:
    people.switch_second_admin(actor=dana, on=True)
    assert four_eyes.holds()
    proposal = _proposed(lambda: people.switch_second_admin(actor=dana, on=False, reason=WHY))
    assert four_eyes.holds()
    proposals.confirm(admin=frank, proposal=proposal)
    assert not four_eyes.holds()
    rule = SecondAdmin.objects.get()
    assert (rule.state, rule.switched_off_by) == ("off", proposal)
    assert _kinds() == [
        "rule:second_admin:on",
        "proposal:opened",
        "proposal:confirmed",
        "rule:second_admin:off",
    ]


def test_one_admin_alone_does_not_lock_themselves_out(dana: User) -> None:
    codes = _codes(lambda: people.switch_second_admin(actor=dana, on=True))
    assert codes == {"__all__": ["one_admin_only"]}
    codes = _codes(lambda: people.switch_second_admin(actor=dana, on=False))
    assert codes == {"__all__": ["nothing_to_switch"]}


# --- The command line -------------------------------------------------------------------------


def _createsuperuser(monkeypatch: pytest.MonkeyPatch) -> User:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "a long enough secret 80")
    call_command("createsuperuser", username="grace", email="g@example.com", interactive=False)
    return User.objects.get(username="grace")


@pytest.mark.django_db
def test_the_first_superuser_is_an_admin_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _createsuperuser(monkeypatch).role == "admin"


def test_another_superuser_is_a_member_until_an_admin_confirms(
    dana: User, second_admin: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    grace = _createsuperuser(monkeypatch)
    assert grace.role == "member"
    proposal = Proposal.objects.get()
    assert (proposal.proposed_by, proposal.proposer) == (None, "An operator on the server")
    # This is also how the last admin left gets a second one.
    proposals.confirm(admin=dana, proposal=proposal)
    grace.refresh_from_db()
    assert grace.role == "admin"


def test_without_any_admin_the_command_line_makes_one_though_the_rule_holds(
    second_admin: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _createsuperuser(monkeypatch).role == "admin"


# --- Deciding ---------------------------------------------------------------------------------


@pytest.fixture
def waiting(dana: User, alice: User, charlie: User, offer: Offer, second_admin: None) -> Proposal:
    """Dana's: charlie may ask, too."""
    return _proposed(lambda: save(offer, actor=dana, eligible_users=[alice, charlie], reason=WHY))


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
    assert _codes(lambda: proposals.reject(admin=frank, proposal=waiting, reason=" ")) == {
        "reason": ["reason_missing"]
    }
    proposals.reject(admin=frank, proposal=waiting, reason="Not for charlie.")
    assert offer.eligible_users.count() == 1
    assert _kinds() == ["proposal:opened", "proposal:rejected"]
    with pytest.raises(Stale, match="This proposal is rejected already"):
        proposals.confirm(admin=frank, proposal=waiting)


def test_its_proposer_withdraws_it_and_nobody_else(
    waiting: Proposal, dana: User, frank: User
) -> None:
    with pytest.raises(Refused, match="Only who proposed something can withdraw it"):
        proposals.withdraw(person=frank, proposal=waiting)
    proposals.withdraw(person=dana, proposal=waiting)
    assert _kinds()[-2:] == ["proposal:withdraw:refused", "proposal:withdrawn"]


def _narrow(offer: Offer, dana: User) -> None:
    save(offer, actor=dana, max_duration=timedelta(hours=1))


def _rename(offer: Offer, dana: User) -> None:
    User.objects.filter(username="charlie").update(first_name="Karl")


def _new_version(offer: Offer, dana: User) -> None:
    services.add_profile_version(
        actor=dana, profile=offer.profile, version=_version(require_mfa=True)
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
    assert (offer.eligible_users.count(), _kinds()[-1]) == (1, "proposal:lapsed")


def test_a_new_offer_of_a_profile_that_has_changed_since_lapses(
    dana: User, frank: User, offer: Offer, second_admin: None
) -> None:
    wanted = Offer(pair=OfferFactory.create().pair, profile=offer.profile)
    proposal = _proposed(lambda: save(wanted, actor=dana, reason=WHY))
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

    monkeypatch.setattr("accounts.proposals.append", fail)
    with pytest.raises(RuntimeError), transaction.atomic():
        proposals.confirm(admin=frank, proposal=waiting)
    waiting.refresh_from_db()
    assert (waiting.state, offer.eligible_users.count()) == ("open", 1)


# --- What the database holds by itself --------------------------------------------------------


def _broken(write: Callable[[], object]) -> str:
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        write()
    return str(caught.value.__cause__.diag.constraint_name)  # type: ignore[union-attr]  # psycopg's.


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
    assert _broken(lambda: row.update(decided_by=by, decided_at=database_now(), **written)) in {
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
        assert _broken(partial(row.update, **changed)) == "proposal_keeps_its_content"
    assert _broken(row.delete) == "proposal_is_never_deleted"
    row.update(state="rejected", decided_by=frank, decided_at=database_now())
    assert _broken(lambda: row.update(state="open")) == "proposal_moves_once"
    assert _broken(lambda: ProposalFactory.create(state="confirmed")) == "proposal_begins_open"
    assert _broken(lambda: ProposalFactory.create(kind="wish")) == "proposal_kind_is_known"
    ProposalFactory.create(about="group:9")
    assert (
        _broken(lambda: ProposalFactory.create(about="group:9")) == "proposal_one_open_per_subject"
    )


def test_the_database_lets_only_two_switch_the_rule_off(
    dana: User, frank: User, second_admin: None
) -> None:
    rule = SecondAdmin.objects.filter(pk=1)
    other = ProposalFactory.create(proposed_by=dana)
    Proposal.objects.filter(pk=other.pk).update(
        state="confirmed", decided_by=frank, decided_at=database_now()
    )
    for by in (None, other):
        broken = _broken(partial(rule.update, state="off", switched_off_by=by))
        assert broken == "second_admin_is_switched_off_by_two"
    assert _broken(lambda: rule.update(state="unset")) == "second_admin_is_never_forgotten"
    assert _broken(lambda: rule.update(state="maybe")) == "second_admin_state_is_known"
    assert _broken(rule.delete) == "second_admin_is_never_deleted"
    second = SecondAdmin(pk=2, state="unset")
    assert _broken(lambda: second.save(force_insert=True)) == "second_admin_is_one_row"


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


def test_an_admin_who_was_just_switched_off_switches_nobody_off(dana: User, frank: User) -> None:
    User.objects.filter(pk=dana.pk).update(is_active=False)
    with pytest.raises(Refused, match="Your account is switched off"):
        retire.retire(actor=dana, thing=frank, confirmation="frank", reason="He has left.")
    frank.refresh_from_db()
    assert frank.is_active
    assert _kinds() == ["person:retire:refused"]


def test_a_group_with_a_long_name_is_proposed_like_any_other(
    dana: User, frank: User, bob: User, second_admin: None
) -> None:
    name = "Night shift " * 12
    proposal = _proposed(
        lambda: people.save_group(
            actor=dana, group=Group(), name=name.strip(), members=[bob], reason=WHY
        )
    )
    proposals.confirm(admin=frank, proposal=proposal)
    assert list(Group.objects.get().user_set.all()) == [bob]


@pytest.mark.django_db(transaction=True)
def test_of_two_admins_who_confirm_at_once_one_does(dana: User, frank: User) -> None:
    grace = UserFactory.create(username="grace", role="admin")
    SecondAdmin.objects.create(pk=1, state="on", changed_at=database_now())
    team = GroupFactory.create(name="Team")
    proposal = _proposed(
        lambda: people.save_group(actor=dana, group=team, name="Team", members=[grace], reason=WHY)
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
