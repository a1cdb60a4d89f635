"""Four eyes: what widens access waits for a second admin, by whatever door it comes."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError

from accounts.models import AccessProfile, Offer, Proposal, User
from accounts.services import groups, people, profiles, proposals
from audit.models import AuditEvent
from tests.accounts.four_eyes.helpers import WHY, codes_of, kinds_told, proposal_of, version_of
from tests.accounts.offers import save
from tests.factories import GroupFactory, OfferFactory


def test_a_wider_offer_is_a_proposal_and_changes_nothing(
    dana: User, alice: User, charlie: User, offer: Offer, second_admin: None
) -> None:
    proposal = proposal_of(
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
    assert kinds_told() == ["offer:changed"]


def test_a_mixed_change_waits_as_a_whole(
    dana: User, alice: User, charlie: User, offer: Offer, second_admin: None
) -> None:
    proposal = proposal_of(lambda: save(offer, actor=dana, eligible_users=[charlie], reason=WHY))
    assert {one.direction.value for one in proposal.shown} == {"widening", "narrowing"}
    assert list(offer.eligible_users.all()) == [alice]
    assert AuditEvent.objects.get().data["mixed"] is True


def test_a_change_that_widens_needs_a_reason(dana: User, offer: Offer, second_admin: None) -> None:
    wide = timedelta(hours=9)
    codes = codes_of(lambda: save(offer, actor=dana, max_duration=wide, reason="  "))
    assert codes == {"proposal_reason": ["reason_missing"]}
    assert not Proposal.objects.exists()


def test_of_one_thing_one_change_is_proposed_at_a_time(
    dana: User, frank: User, offer: Offer, second_admin: None
) -> None:
    wide = timedelta(hours=9)
    proposal_of(lambda: save(offer, actor=dana, max_duration=wide, reason=WHY))
    codes = codes_of(lambda: save(offer, actor=frank, max_duration=wide, reason=WHY))
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
    proposal = proposal_of(lambda: save(wanted, actor=dana, eligible_users=[alice], reason=WHY))
    assert proposal.about == f"offer:new:{wanted.pair_id}:{wanted.profile_id}"
    proposals.confirm(admin=frank, proposal=proposal)
    made = Offer.objects.get(pair=wanted.pair, profile=wanted.profile)
    assert list(made.eligible_users.all()) == [alice]
    assert made.max_duration == timedelta(hours=4)
    assert list(made.requesters()) == [alice]
    assert [one.username for one in made.approvers()] == ["bob"]
    changed = AuditEvent.objects.get(kind="offer:made")
    assert (changed.actor, changed.data["proposal"]) == ("dana", proposal.pk)
    assert kinds_told() == ["proposal:opened", "proposal:confirmed", "offer:made"]


def test_a_new_closed_offer_waits_for_its_opening(
    dana: User, frank: User, offer: Offer, second_admin: None
) -> None:
    wanted = Offer(pair=offer.pair, profile=OfferFactory.create().profile, is_active=False)
    save(wanted, actor=dana)
    proposal = proposal_of(lambda: save(wanted, actor=dana, is_active=True, reason=WHY))
    assert {"eligible_users", "max_duration"} <= {one.field for one in proposal.shown}
    proposals.confirm(admin=frank, proposal=proposal)
    wanted.refresh_from_db()
    assert wanted.is_active


def test_a_version_that_may_allow_more_waits(
    dana: User, frank: User, profile: AccessProfile, second_admin: None
) -> None:
    version = version_of(managed_policies=["ReadOnlyAccess", "AWSBillingReadOnlyAccess"])
    proposal = proposal_of(
        lambda: profiles.add_profile_version(
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
    version = version_of(require_mfa=True, session_duration=timedelta(hours=1))
    profiles.add_profile_version(actor=dana, profile=profile, version=version)
    assert profile.versions.count() == 2


def test_a_new_profile_waits_for_nobody_because_nobody_can_be_given_it(
    dana: User, second_admin: None
) -> None:
    profiles.add_profile(actor=dana, profile=AccessProfile(name="New"), version=version_of())
    assert AccessProfile.objects.get(name="New").versions.count() == 1


def test_who_joins_a_group_waits_and_who_leaves_one_does_not(
    dana: User, frank: User, alice: User, charlie: User, second_admin: None
) -> None:
    team = GroupFactory.create(name="Team")
    team.user_set.add(alice)
    groups.save_group(actor=dana, group=team, name="Team", members=[])
    proposal = proposal_of(
        lambda: groups.save_group(
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
    proposal = proposal_of(
        lambda: groups.save_group(actor=dana, group=team, name="Team", members=[], reason=WHY)
    )
    [shown] = [one for one in proposal.shown if one.field == "members"]
    assert shown.direction == "widening"


def test_a_new_group_without_members_is_made_at_once(dana: User, second_admin: None) -> None:
    groups.save_group(actor=dana, group=Group(), name="Night shift", members=[])
    assert Group.objects.get().name == "Night shift"


def test_a_role_is_raised_by_two_and_lowered_by_one(
    dana: User, frank: User, alice: User, second_admin: None
) -> None:
    raised: dict[str, Any] = {"person": alice, "role": "admin", "is_active": True}
    proposal = proposal_of(lambda: people.change_person(actor=dana, reason=WHY, **raised))
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
    proposal = proposal_of(
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
    assert codes_of(lambda: people.change_person(actor=dana, **off)) == {
        "is_active": ["switch_off"]
    }


def test_the_last_admin_stays_one(dana: User) -> None:
    codes = codes_of(
        lambda: people.change_person(actor=dana, person=dana, role="member", is_active=True)
    )
    assert codes == {"role": ["last_admin"]}


def test_a_group_with_a_long_name_is_proposed_like_any_other(
    dana: User, frank: User, bob: User, second_admin: None
) -> None:
    name = "Night shift " * 12
    proposal = proposal_of(
        lambda: groups.save_group(
            actor=dana, group=Group(), name=name.strip(), members=[bob], reason=WHY
        )
    )
    proposals.confirm(admin=frank, proposal=proposal)
    assert list(Group.objects.get().user_set.all()) == [bob]
