"""The database refuses what forms refuse, whoever writes; and pages tell it at the field, also when
two admins send the same thing in the same moment."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from accounts import constraints
from accounts.constraints import FIELDS, refusal
from accounts.forms import AccountForm
from accounts.models import (
    AccessProfile,
    AccountPair,
    AwsAccount,
    FavouriteOffer,
    GuessCounter,
    IamIdentity,
    Offer,
    ProfileVersion,
    Proposal,
    SecondAdmin,
    User,
)
from accounts.services.accounts import change_account
from accounts.services.offers import StageWish, save_offer
from accounts.services.profiles import add_profile_version
from audit.clock import database_now
from tests.accounts.helpers import told
from tests.conftest import ClientFor
from tests.factories import (
    AccessProfileFactory,
    AccountPairFactory,
    ApprovalStageFactory,
    AwsAccountFactory,
    IamIdentityFactory,
    OfferFactory,
    ProfileVersionFactory,
    UserFactory,
)


def _broken(write: Callable[[], object]) -> str:
    """Name of the constraint or rule that refuses a write; the transaction goes on."""
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        write()
    return str(caught.value.__cause__.diag.constraint_name)  # type: ignore[union-attr]  # psycopg's.


def _same_pair() -> object:
    pair = AccountPairFactory.create()
    return AccountPairFactory.create(source=pair.source, target=pair.target)


def _pair_of_one() -> object:
    account = AwsAccountFactory.create()
    return AccountPairFactory.create(source=account, target=account)


def _same_offer() -> object:
    offer = OfferFactory.create()
    return OfferFactory.create(pair=offer.pair, profile=offer.profile)


def _same_iam_user() -> object:
    one = IamIdentityFactory.create(user_name="userA")
    return IamIdentityFactory.create(account=one.account, user_name="USERa")


def _same_person() -> object:
    one = IamIdentityFactory.create()
    return IamIdentityFactory.create(account=one.account, person=one.person)


def _same_version() -> object:
    profile = AccessProfileFactory.create()
    return ProfileVersionFactory.create(profile=profile, number=1)


def _twice(factory: Any, **fields: list[str]) -> Callable[[], object]:
    def write() -> object:
        (name, (first, second)) = next(iter(fields.items()))
        factory.create(**{name: first})
        return factory.create(**{name: second})

    return write


RETIRED = datetime(2026, 1, 1, tzinfo=UTC)

RULE: dict[str, Any] = {"auto_approve": True, "sensitivity": "low"}


def _same_favourite() -> object:
    offer, person = OfferFactory.create(), UserFactory.create()
    FavouriteOffer.objects.create(offer=offer, person=person)
    return FavouriteOffer.objects.create(offer=offer, person=person)


def _same_position() -> object:
    stage = ApprovalStageFactory.create()
    return ApprovalStageFactory.create(offer=stage.offer, position=1)


WRITES: dict[str, Callable[[], object]] = {
    "account_alias_unique": _twice(AwsAccountFactory, alias=["logs", "logs"]),
    "account_id_is_12_digits": lambda: AwsAccountFactory.create(account_id="12345678901"),
    "account_name_unique": _twice(AwsAccountFactory, name=["Logs", "LOGS"]),
    "account_partition_is_known": lambda: AwsAccountFactory.create(partition="aws-iso"),
    "accounts_awsaccount_account_id_key": _twice(
        AwsAccountFactory, account_id=["012345678901", "012345678901"]
    ),
    "identity_iam_user_unique": _same_iam_user,
    "identity_is_in_an_account_in_use": lambda: IamIdentityFactory.create(
        account__retiring_at=RETIRED
    ),
    "identity_person_unique": _same_person,
    "identity_removed_was_asked_for": lambda: IamIdentityFactory.create(removed_at=database_now()),
    "identity_removes_only_what_we_created": lambda: IamIdentityFactory.create(
        remove_asked_at=database_now()
    ),
    "identity_verified_has_unique_id": lambda: IamIdentityFactory.create(unique_id=""),
    "offer_duration_within_bounds": lambda: OfferFactory.create(max_duration=timedelta(minutes=4)),
    "favourite_is_unique": _same_favourite,
    "offer_break_glass_is_shorter": lambda: OfferFactory.create(
        break_glass_longest=timedelta(hours=1)
    ),
    "offer_rule_has_its_longest": lambda: OfferFactory.create(**RULE),
    "offer_rule_hours_are_whole": lambda: OfferFactory.create(auto_zone="Europe/Berlin"),
    "offer_rule_needs_low_sensitivity": lambda: OfferFactory.create(
        auto_approve=True, auto_longest=timedelta(hours=1)
    ),
    "offer_sensitivity_is_known": lambda: OfferFactory.create(sensitivity="secret"),
    "offer_usual_duration_within_bounds": lambda: OfferFactory.create(
        default_duration=timedelta(minutes=4)
    ),
    "offer_wait_within_bounds": lambda: OfferFactory.create(request_lifetime=timedelta(minutes=14)),
    "stage_position_unique": _same_position,
    "stage_position_within_bounds": lambda: ApprovalStageFactory.create(position=4),
    "stage_quorum_within_bounds": lambda: ApprovalStageFactory.create(quorum=0),
    "offer_is_on_a_pair_in_use": lambda: OfferFactory.create(pair__retiring_at=RETIRED),
    "offer_is_unique": _same_offer,
    "pair_is_in_one_partition": lambda: AccountPairFactory.create(target__partition="aws-cn"),
    "pair_is_unique": _same_pair,
    "pair_joins_accounts_in_use": lambda: AccountPairFactory.create(target__retiring_at=RETIRED),
    "pair_source_is_not_target": _pair_of_one,
    "profile_name_unique": _twice(AccessProfileFactory, name=["Reader", "reader"]),
    "profile_session_within_aws_bounds": lambda: AccessProfileFactory.create(
        version__session_duration=timedelta(hours=13)
    ),
    "profile_tone_is_of_the_palette": lambda: AccessProfileFactory.create(tone="000000"),
    "profile_version_unique": _same_version,
    "user_role_is_known": lambda: UserFactory.create(role="god"),
    "user_username_unique": _twice(UserFactory, username=["alice", "Alice"]),
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", WRITES)
def test_the_database_refuses(name: str) -> None:
    assert _broken(WRITES[name]) == name


def test_every_constraint_of_the_registry_is_tried() -> None:
    # Those of proposals stand behind triggers and are tried in four_eyes; those of counters,
    # which no form shows, in test_sign_in.
    elsewhere = (GuessCounter, Proposal, SecondAdmin)
    own = {one.name for model, one in constraints._constraints() if model not in elsewhere}
    assert own <= set(WRITES)
    assert set(FIELDS) <= set(WRITES) | {"account_id_is_immutable"}


@pytest.mark.django_db
def test_the_database_lets_no_account_become_another(source: AwsAccount) -> None:
    for field, value in (("account_id", "999999999999"), ("external_id", "mine")):
        rows = AwsAccount.objects.filter(pk=source.pk)
        name = _broken(partial(rows.update, **{field: value}))
        assert name == "account_id_is_immutable"


@pytest.mark.django_db
def test_the_database_lets_no_profile_version_change(profile: AccessProfile) -> None:
    versions = ProfileVersion.objects.filter(profile=profile)
    assert _broken(lambda: versions.update(role_name="Admin")) == "profile_version_is_immutable"
    assert _broken(versions.delete) == "profile_version_is_immutable"


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(FIELDS.keys() - {"account_id_is_immutable"}))
def test_a_refusal_of_the_database_is_told_at_its_field(name: str) -> None:
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        WRITES[name]()
    answer = refusal(caught.value)
    assert answer is not None
    [(field, [error])] = answer.error_dict.items()
    assert (field, error.code) == (FIELDS[name], name)
    assert "constraint" not in error.messages[0].lower()


@pytest.mark.django_db
def test_a_version_that_came_second_is_told_above_the_form() -> None:
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        _same_version()
    answer = refusal(caught.value)
    assert answer is not None
    assert answer.message_dict == {
        "__all__": ["Somebody has just added a version. Look at it, then try again."]
    }


def test_sqlite_names_some_constraints_by_their_columns() -> None:
    for text, field, code in (
        (
            "UNIQUE constraint failed: accounts_accountpair.source_id, "
            "accounts_accountpair.target_id",
            "target",
            "pair_is_unique",
        ),
        ("UNIQUE constraint failed: accounts_awsaccount.account_id", "account_id", "unique"),
        ("UNIQUE constraint failed: index 'account_name_unique'", "name", "account_name_unique"),
        (
            "CHECK constraint failed: pair_source_is_not_target",
            "target",
            "pair_source_is_not_target",
        ),
    ):
        answer = refusal(IntegrityError(text))
        assert answer is not None
        assert [(name, one[0].code) for name, one in answer.error_dict.items()] == [(field, code)]


def test_an_unknown_refusal_is_not_explained_away(monkeypatch: pytest.MonkeyPatch) -> None:
    error = IntegrityError("NOT NULL constraint failed: accounts_awsaccount.name")
    assert refusal(error) is None
    form = AccountForm({})
    monkeypatch.setattr(form, "is_valid", lambda: True)

    def fail() -> None:
        raise error

    with pytest.raises(IntegrityError, match="NOT NULL"):
        form.saved(fail)


# --- Two admins at once ----------------------------------------------------------------------


@pytest.fixture
def admin(dana: User, client_for: ClientFor) -> Client:
    return client_for(dana)


@dataclass(frozen=True)
class Race:
    """A form that is right, and what another admin stores a moment before it."""

    page: str
    typed: dict[str, Any]
    model: Any
    rival: Callable[[], object]


ACCOUNT = {"account_id": "012345678901", "name": "Logs", "partition": "aws"}


def _race_for_a_name() -> Race:
    rival = partial(AwsAccountFactory.create, name="logs")
    return Race("account-new", ACCOUNT, AwsAccount, rival)


def _race_for_an_account() -> Race:
    rival = partial(AwsAccountFactory.create, account_id="012345678901")
    return Race("account-new", ACCOUNT, AwsAccount, rival)


def _race_for_a_pair() -> Race:
    source, target = AwsAccountFactory.create_batch(2)
    typed = {"source": source.pk, "target": target.pk}
    rival = partial(AccountPairFactory.create, source=source, target=target)
    return Race("pair-new", typed, AccountPair, rival)


def _race_for_a_profile() -> Race:
    typed = {
        "name": "Reader",
        "tone": "99BCE3",
        "role_name": "Reader",
        "managed_policies": "ReadOnlyAccess",
        "session_duration": 1,
    }
    rival = partial(AccessProfileFactory.create, name="READER")
    return Race("profile-new", typed, AccessProfile, rival)


def _race_for_an_offer() -> Race:
    pair, profile = AccountPairFactory.create(), AccessProfileFactory.create()
    person = UserFactory.create()
    typed = {
        "pair": pair.pk,
        "profile": profile.pk,
        "max_duration": 60,
        "default_duration": "60",
        "request_lifetime": "1440",
        "sensitivity": "normal",
        "stage_1_quorum": "1",
        "eligible_users": [person.pk],
        "stage_1_people": [person.pk],
    }
    return Race("offer-new", typed, Offer, partial(OfferFactory.create, pair=pair, profile=profile))


def _race_for_an_iam_user() -> Race:
    account, person = AwsAccountFactory.create(), UserFactory.create()
    typed = {"person": person.pk, "account": account.pk, "user_name": "userA"}
    rival = partial(IamIdentityFactory.create, account=account, user_name="USERA")
    return Race("identity-new", typed, IamIdentity, rival)


def _race_for_a_person() -> Race:
    account, person = AwsAccountFactory.create(), UserFactory.create()
    typed = {"person": person.pk, "account": account.pk, "user_name": "userA"}
    rival = partial(IamIdentityFactory.create, account=account, person=person)
    return Race("identity-new", typed, IamIdentity, rival)


RACES = {
    "account_name_unique": (
        _race_for_a_name,
        "name",
        "Another account has this name already.",
    ),
    "unique": (_race_for_an_account, "account_id", "This account is registered already."),
    "pair_is_unique": (_race_for_a_pair, "target", "These two accounts are a pair already."),
    "profile_name_unique": (
        _race_for_a_profile,
        "name",
        "Another profile has this name already.",
    ),
    "offer_is_unique": (
        _race_for_an_offer,
        "profile",
        "This profile is offered on this pair already.",
    ),
    "identity_iam_user_unique": (
        _race_for_an_iam_user,
        "user_name",
        "Somebody else is this IAM user already.",
    ),
    "identity_person_unique": (
        _race_for_a_person,
        "person",
        "This person has an IAM user in this account already.",
    ),
}


@pytest.mark.parametrize("name", RACES)
@pytest.mark.parametrize("moment", ["before the service checks", "before the row is written"])
def test_who_comes_second_is_told_at_the_field(
    name: str, moment: str, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, field, message = RACES[name]
    race = scene()
    checked = race.model.full_clean

    def full_clean(self: Any, *args: Any, **kwargs: Any) -> None:
        """Services call it without arguments, forms do not."""
        by_service = not args and not kwargs and rivals
        if by_service and moment == "before the service checks":
            rivals.pop()()
        checked(self, *args, **kwargs)
        if by_service and moment == "before the row is written":
            rivals.pop()()

    rivals = [race.rival]
    monkeypatch.setattr(race.model, "full_clean", full_clean)
    response = admin.post(reverse(f"accounts:{race.page}"), race.typed)
    assert not rivals
    assert response.status_code == 422
    assert told(response) == {field: [(message, name)]}
    form = response.context["form"]
    assert {name: _as_typed(form[name].value()) for name in race.typed} == {
        name: _as_typed(value) for name, value in race.typed.items()
    }


def _as_typed(value: Any) -> Any:
    return [str(one) for one in value] if isinstance(value, list) else str(value)


@pytest.mark.django_db(transaction=True)
def test_of_two_admins_in_the_same_moment_one_registers_and_one_is_told(
    client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [client_for(UserFactory.create(role=User.Role.ADMIN)) for _ in range(2)]
    both_checked = threading.Barrier(2, timeout=10)
    checked = AwsAccount.full_clean

    def full_clean(self: AwsAccount, *args: Any, **kwargs: Any) -> None:
        checked(self, *args, **kwargs)
        if not args and not kwargs:
            both_checked.wait()

    monkeypatch.setattr(AwsAccount, "full_clean", full_clean)
    answers: list[Any] = [None, None]

    def post(number: int) -> None:
        typed = {"account_id": f"01234567890{number}", "name": "Logs", "partition": "aws"}
        try:
            answers[number] = clients[number].post(reverse("accounts:account-new"), typed)
        finally:
            connection.close()

    threads = [threading.Thread(target=post, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [302, 422]
    [second] = [answer for answer in answers if answer.status_code == 422]
    message = "Another account has this name already."
    assert told(second) == {"name": [(message, "account_name_unique")]}
    assert AwsAccount.objects.count() == 1


# --- Services repeat the rules of the forms --------------------------------------------------


@pytest.mark.django_db
def test_a_service_refuses_a_version_that_no_form_would_let_through(profile: AccessProfile) -> None:
    bad = ProfileVersion(
        role_name="Reader",
        managed_policies=["ReadOnlyAccess", "ReadOnlyAccess"],
        inline_policy={"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*"}},
    )
    with pytest.raises(ValidationError) as caught:
        add_profile_version(actor="setup", profile=profile, version=bad)
    codes = {field: [one.code for one in found] for field, found in caught.value.error_dict.items()}
    assert codes == {
        "managed_policies": ["policy_named_twice"],
        "inline_policy": ["policy_principal", "policy_action", "policy_resource"],
    }


@pytest.mark.django_db
def test_a_service_refuses_group_policies_that_change_things(source: AwsAccount) -> None:
    source.group_policies = ["AdministratorAccess"]
    with pytest.raises(ValidationError) as caught:
        change_account(actor="setup", account=source)
    assert [one.code for one in caught.value.error_dict["group_policies"]] == [
        "unknown_group_policy"
    ]


@pytest.mark.django_db
def test_a_service_moves_no_offer_to_another_pair(offer: Offer, bob: User) -> None:
    offer.pair = AccountPairFactory.create()
    with pytest.raises(ValidationError) as caught:
        save_offer(
            actor="setup",
            offer=offer,
            eligible_users=[bob],
            stages=[StageWish(people=[bob])],
        )
    assert [one.code for one in caught.value.error_list] == ["offer_moved"]
