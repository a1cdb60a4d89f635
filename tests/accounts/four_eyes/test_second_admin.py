"""The second admin: when what widens access waits for one, and who switches that."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction

from accounts.four_eyes import second_admin as rule
from accounts.models import Offer, Proposal, SecondAdmin, User
from accounts.refusals import Refused
from accounts.services import people, proposals
from accounts.services.second_admin import switch_second_admin
from audit.clock import database_now
from provisioning.services import retire
from tests.accounts.four_eyes.helpers import WHY, codes_of, kinds_told, proposal_of, refused_by
from tests.accounts.offers import save
from tests.factories import ProposalFactory, UserFactory


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
    assert rule.holds() is holds
    with transaction.atomic():
        assert rule.settle() is holds


def test_the_first_admin_sets_everything_up_alone_and_the_second_ends_that(
    dana: User, bob: User, offer: Offer, settings: Any
) -> None:
    settings.SANDBOX = False
    save(offer, actor=dana, max_duration=timedelta(hours=8))
    people.change_person(actor=dana, person=bob, role="admin", is_active=True)
    assert kinds_told()[-2:] == ["user:changed", "rule:second_admin:on"]
    proposal = proposal_of(
        lambda: save(offer, actor=dana, max_duration=timedelta(hours=9), reason=WHY)
    )
    assert proposal.proposed_by == dana


def test_an_admin_who_switches_the_other_one_off_is_not_alone_again(
    dana: User, frank: User, offer: Offer, settings: Any
) -> None:
    settings.SANDBOX = False
    retire.retire(actor=dana, thing=frank, confirmation="frank", reason="He has left.")
    assert rule.admins() == 1
    proposal_of(lambda: save(offer, actor=dana, max_duration=timedelta(hours=9), reason=WHY))


def test_it_is_switched_on_at_once_and_off_by_two_only(dana: User, frank: User) -> None:
    switch_second_admin(actor=dana, on=True)
    assert rule.holds()
    proposal = proposal_of(lambda: switch_second_admin(actor=dana, on=False, reason=WHY))
    assert rule.holds()
    proposals.confirm(admin=frank, proposal=proposal)
    assert not rule.holds()
    row = SecondAdmin.objects.get()
    assert (row.state, row.switched_off_by) == ("off", proposal)
    assert kinds_told() == [
        "rule:second_admin:on",
        "proposal:opened",
        "proposal:confirmed",
        "rule:second_admin:off",
    ]


def test_one_admin_alone_does_not_lock_themselves_out(dana: User) -> None:
    codes = codes_of(lambda: switch_second_admin(actor=dana, on=True))
    assert codes == {"__all__": ["one_admin_only"]}
    codes = codes_of(lambda: switch_second_admin(actor=dana, on=False))
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


def test_the_database_lets_only_two_switch_the_rule_off(
    dana: User, frank: User, second_admin: None
) -> None:
    rows = SecondAdmin.objects.filter(pk=1)
    other = ProposalFactory.create(proposed_by=dana)
    Proposal.objects.filter(pk=other.pk).update(
        state="confirmed", decided_by=frank, decided_at=database_now()
    )
    for by in (None, other):
        refused = refused_by(partial(rows.update, state="off", switched_off_by=by))
        assert refused == "second_admin_is_switched_off_by_two"
    assert refused_by(lambda: rows.update(state="unset")) == "second_admin_is_never_forgotten"
    assert refused_by(lambda: rows.update(state="maybe")) == "second_admin_state_is_known"
    assert refused_by(rows.delete) == "second_admin_is_never_deleted"
    second = SecondAdmin(pk=2, state="unset")
    assert refused_by(lambda: second.save(force_insert=True)) == "second_admin_is_one_row"


def test_an_admin_who_was_just_switched_off_switches_nobody_off(dana: User, frank: User) -> None:
    User.objects.filter(pk=dana.pk).update(is_active=False)
    with pytest.raises(Refused, match="Your account is switched off"):
        retire.retire(actor=dana, thing=frank, confirmation="frank", reason="He has left.")
    frank.refresh_from_db()
    assert frank.is_active
    assert kinds_told() == ["person:retire:refused"]
