"""The cast and the scene that most tests play in.

alice asks, bob approves, charlie is a stranger, dana administers, erin audits. The scene is the
classic walk-through: account A ("Identity", source) and account B ("Workload", target).
"""

from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import (
    AccessProfile,
    AccountPair,
    AwsAccount,
    IamIdentity,
    Offer,
    SecondAdmin,
    User,
)
from audit.clock import database_now
from tests.aws_world import approved, aws, scene
from tests.factories import (
    AccessProfileFactory,
    AccountPairFactory,
    AwsAccountFactory,
    IamIdentityFactory,
    OfferFactory,
    UserFactory,
)

__all__ = ["approved", "aws", "scene"]
"""Fixtures that live in a module of their own; pytest finds them by being imported here."""

type ClientFor = Callable[[User | None], Client]


@pytest.fixture
def client_for() -> ClientFor:
    """A browser that this person is signed in with; nobody is with None."""

    def signed_in(person: User | None) -> Client:
        client = Client()
        if person is not None:
            client.force_login(person)
        return client

    return signed_in


@pytest.fixture
def alice(db: None, source: AwsAccount) -> User:
    """A member who asks for access. She is userA in the source account."""
    person = UserFactory.create(username="alice", first_name="Alice", last_name="Ashby")
    IamIdentityFactory.create(
        person=person, account=source, user_name="userA", unique_id="AIDAALICEALICEALICE00"
    )
    return person


@pytest.fixture
def identity(alice: User, source: AwsAccount) -> IamIdentity:
    """Alice's IAM user in the source account."""
    return IamIdentity.objects.get(person=alice, account=source)


@pytest.fixture
def bob(db: None) -> User:
    """A member who approves."""
    return UserFactory.create(username="bob", first_name="Bob", last_name="Brandt")


@pytest.fixture
def charlie(db: None, source: AwsAccount) -> User:
    """A stranger: a member whom no offer names. He is userC in the source account."""
    person = UserFactory.create(username="charlie", first_name="Charlie", last_name="Castro")
    IamIdentityFactory.create(
        person=person, account=source, user_name="userC", unique_id="AIDACHARLIECHARLIE000"
    )
    return person


@pytest.fixture
def dana(db: None) -> User:
    """An admin."""
    return UserFactory.create(
        username="dana", first_name="Dana", last_name="Dahl", role=User.Role.ADMIN, is_staff=True
    )


@pytest.fixture
def frank(db: None) -> User:
    """Another admin."""
    return UserFactory.create(
        username="frank", first_name="Frank", last_name="Fischer", role=User.Role.ADMIN
    )


@pytest.fixture
def second_admin(db: None) -> None:
    """What widens access waits for a second admin."""
    SecondAdmin.objects.create(pk=1, state=SecondAdmin.State.ON, changed_at=database_now())


@pytest.fixture
def erin(db: None) -> User:
    """An auditor."""
    return UserFactory.create(
        username="erin", first_name="Erin", last_name="Eze", role=User.Role.AUDITOR
    )


@pytest.fixture
def source(db: None) -> AwsAccount:
    """Account A, where people sign in."""
    return AwsAccountFactory.create(
        account_id="111111111111", name="Identity", external_id=f"sallyport-{1:032x}"
    )


@pytest.fixture
def target(db: None) -> AwsAccount:
    """Account B, which people want to enter."""
    return AwsAccountFactory.create(
        account_id="222222222222", name="Workload", external_id=f"sallyport-{2:032x}"
    )


@pytest.fixture
def pair(source: AwsAccount, target: AwsAccount) -> AccountPair:
    """A to B."""
    return AccountPairFactory.create(source=source, target=target)


@pytest.fixture
def profile(db: None) -> AccessProfile:
    """SecurityReadOnlyRole with ReadOnlyAccess."""
    return AccessProfileFactory.create(
        name="Security read-only", description="Look at everything, change nothing."
    )


@pytest.fixture
def offer(pair: AccountPair, profile: AccessProfile, alice: User, bob: User) -> Offer:
    """The profile on the pair: alice may ask, bob approves, four hours at most."""
    return OfferFactory.create(
        pair=pair, profile=profile, eligible_users=[alice], approver_users=[bob]
    )
