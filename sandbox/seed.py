"""Fills the sandbox: the classic walk-through, made as an admin would make it.

Everything goes through the services of the portal, with their checks and audit events, in the
order of a real installation: the account is registered, its owner installs the template, then
the connection is checked. What is there already is left as it is, also where somebody has
changed it since.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.db import transaction

from accounts.aws_names import boundary_arn, default_switch_group, provisioner_role_arn
from accounts.models import (
    AccessProfile,
    AccountPair,
    AwsAccount,
    ConnectionCheck,
    IamIdentity,
    Offer,
    ProfileVersion,
    User,
)
from accounts.services.accounts import register_account
from accounts.services.identities import link_identity, relink_identity
from accounts.services.offers import StageWish, save_offer
from accounts.services.pairs import register_pair
from accounts.services.profiles import add_profile
from audit.models import append
from provisioning import services
from provisioning.aws.errors import AwsError
from provisioning.aws.sessions import assume
from provisioning.engine import onboard
from provisioning.engine.entry import provisioner
from sandbox import world
from sandbox.people import PASSWORD, PEOPLE, Person
from sandbox.world import ACCOUNT_A, ACCOUNT_B, ACCOUNT_NAMES

SETUP: Final = "system:setup"
ROLES: Final = {
    "dana": User.Role.ADMIN,
    "erin": User.Role.AUDITOR,
    "frank": User.Role.ADMIN,
}
APPROVERS: Final = "Approvers"
APPROVER: Final = "bob"
ON_CALL: Final = "On call"
"""Its one member may break the glass for account B."""
CALLED: Final = "charlie"
REQUESTER: Final = "alice"
ADMIN: Final = "dana"
PROFILE: Final = "SecurityReadOnlyRole"
GROUP_POLICIES: Final = {ACCOUNT_A: ["ReadOnlyAccess"]}
PAIRS: Final = ((ACCOUNT_A, ACCOUNT_B), (ACCOUNT_B, ACCOUNT_A))
IDENTITIES: Final = (
    ("alice", ACCOUNT_A, "userA"),
    ("alice", ACCOUNT_B, "userB"),
    ("charlie", ACCOUNT_A, "userC"),
)


class SeedFailed(Exception):
    """The sandbox is not as it should be; the message says what was found."""


def seed() -> None:
    """Bring people, registry and AWS to where the walk-through begins.

    Raises SeedFailed if a connection check or a look-up does not pass, and AwsError.
    """
    make_people()
    accounts = [_account(account_id) for account_id in ACCOUNT_NAMES]
    for source, target in PAIRS:
        _pair_with_offer(source, target)
    _more_offers(*PAIRS[0])
    for username, account_id, user_name in IDENTITIES:
        _identity(username, account_id, user_name)
    accounts = [account for account in accounts if _is_as_seeded(account)]
    if _stands(accounts) and not _unproved(accounts):
        return
    world.make_world(accounts)
    world.add_mfa_devices()
    with portal_identity():
        for account in accounts:
            _check(account)
        for identity in _identities(accounts):
            _look_up(identity)


# --- People ----------------------------------------------------------------------------------


def make_people() -> None:
    """Make the people who are not there yet, and the group that approves."""
    there = set(User.objects.values_list("username", flat=True))
    missing = [person for person in PEOPLE if person.username not in there]
    # One hash for all: making one takes long by design, and they share the password.
    password = make_password(PASSWORD) if missing else ""
    for person in missing:
        make_person(person, password)
    for name, member in ((APPROVERS, APPROVER), (ON_CALL, CALLED)):
        if not Group.objects.filter(name=name, user__username=member).exists():
            join_group(name, member)


@transaction.atomic
def make_person(person: Person, password: str) -> User:
    """Make somebody who can sign in. `password` is a hash. Raises ValidationError."""
    first, _, last = person.full_name.partition(" ")
    role = ROLES.get(person.username, User.Role.MEMBER)
    user = User(
        username=person.username,
        first_name=first,
        last_name=last,
        email=f"{person.username}@example.com",
        password=password,
        role=role,
        is_staff=role == User.Role.ADMIN,
    )
    user.full_clean()
    user.save()
    append(
        kind="person:made",
        actor=SETUP,
        subject=f"person:{user.username}",
        sentence=f"{user.label} was made, as {user.get_role_display().lower()}.",
        data={"role": role.value},
    )
    return user


@transaction.atomic
def join_group(name: str, username: str) -> None:
    """Put a person into a group of the portal; the group is made if it is missing."""
    person = User.objects.get(username=username)
    group, _ = Group.objects.get_or_create(name=name)
    person.groups.add(group)
    append(
        kind="person:group:joined",
        actor=SETUP,
        subject=f"person:{username}",
        sentence=f"{person.label} joined the group {name}.",
        data={"group": name},
    )


# --- Registry --------------------------------------------------------------------------------


def _account(account_id: str) -> AwsAccount:
    found = AwsAccount.objects.filter(account_id=account_id).first()
    return found or register_account(
        actor=SETUP,
        account=AwsAccount(
            account_id=account_id,
            name=ACCOUNT_NAMES[account_id],
            partition=world.PARTITION,
            provisioner_role_arn=provisioner_role_arn(world.PARTITION, account_id),
            boundary_arn=boundary_arn(world.PARTITION, account_id),
            group_policies=GROUP_POLICIES.get(account_id, []),
        ),
    )


def _pair_with_offer(source_id: str, target_id: str) -> None:
    pair = AccountPair.objects.filter(
        source__account_id=source_id, target__account_id=target_id
    ).first()
    pair = pair or register_pair(
        actor=SETUP,
        pair=AccountPair(
            source=AwsAccount.objects.get(account_id=source_id),
            target=AwsAccount.objects.get(account_id=target_id),
            switch_group=default_switch_group(target_id),
        ),
    )
    if not pair.offers.exists():
        everything = "Look at everything in the account, change nothing."
        profile = _profile(PROFILE, everything, "ReadOnlyAccess")
        _offer(Offer(pair=pair, profile=profile, **_emergency(target_id)))


def _offer(offer: Offer, *more: StageWish) -> None:
    """Offer something to who asks in the walk-through; the group that approves comes first."""
    approvers = StageWish(groups=[Group.objects.get(name=APPROVERS)])
    save_offer(
        actor=SETUP,
        offer=offer,
        eligible_users=[User.objects.get(username=REQUESTER)],
        stages=[approvers, *more],
    )


def _more_offers(source_id: str, target_id: str) -> None:
    """Beside the walk-through: a rule and a ticket on one offer, a warning and a second stage on
    another."""
    pair = AccountPair.objects.get(source__account_id=source_id, target__account_id=target_id)
    names = "See what there is, without what is in it."
    lists = _profile("ViewOnlyRole", names, "job-function/ViewOnlyAccess")
    if pair.offers.filter(profile=lists).exists():
        return
    _offer(
        Offer(
            pair=pair,
            profile=lists,
            sensitivity="low",
            ticket_required=True,
            ticket_pattern="[A-Z]+-[0-9]+",
            ticket_hint="a ticket such as OPS-12",
            auto_approve=True,
            auto_longest=timedelta(minutes=30),
        )
    )
    support = _profile("SupportRole", "Open and follow cases with AWS.", "AWSSupportAccess")
    _offer(
        Offer(
            pair=pair,
            profile=support,
            sensitivity="high",
            warning="What you write in a case is read outside of this organisation.",
            reason_prompt="Which case is it about?",
            reason_example="case 8812: the failed backup of November",
            max_duration=timedelta(hours=8),
        ),
        StageWish(name="Account owner", people=[User.objects.get(username=ADMIN)]),
    )


def _emergency(target_id: str) -> dict[str, Any]:
    """Who may take it at once: in account B, for half an hour, whoever is on call."""
    if target_id != ACCOUNT_B:
        return {}
    return {
        "break_glass_group": Group.objects.get(name=ON_CALL),
        "break_glass_longest": timedelta(minutes=30),
    }


def _profile(name: str, description: str, policy: str) -> AccessProfile:
    found = AccessProfile.objects.filter(name=name).first()
    return found or add_profile(
        actor=SETUP,
        profile=AccessProfile(name=name, description=description),
        version=ProfileVersion(role_name=name, managed_policies=[policy]),
    )


def _is_as_seeded(account: AwsAccount) -> bool:
    """Whether nobody has pointed the account at other roles since; such a one is theirs to mend."""
    roles = (account.provisioner_role_arn, account.boundary_arn)
    names = (account.partition, account.account_id)
    return roles == (provisioner_role_arn(*names), boundary_arn(*names))


def _identity(username: str, account_id: str, user_name: str) -> None:
    theirs = {"person__username": username, "account__account_id": account_id}
    if not IamIdentity.objects.filter(**theirs).exists():
        link_identity(
            actor=SETUP,
            identity=IamIdentity(
                person=User.objects.get(username=username),
                account=AwsAccount.objects.get(account_id=account_id),
                user_name=user_name,
            ),
        )


# --- Proof -----------------------------------------------------------------------------------


@contextmanager
def portal_identity() -> Iterator[None]:
    """Be the portal's worker for a while: botocore takes its identity from the environment."""
    identity = world.portal_environment()
    before = {name: os.environ.get(name) for name in identity}
    os.environ.update(identity)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _stands(accounts: list[AwsAccount]) -> bool:
    """Whether AWS still knows the portal and lets it into every account.

    It does not after the server that stands for AWS was started without its state.
    """
    if not world.keys_are_kept():
        return False
    try:
        with portal_identity():
            for account in accounts:
                assume(provisioner(account), session_name="sallyport-seed")
    except AwsError as error:
        if error.code in {"AccessDenied", "InvalidClientTokenId"}:
            return False
        raise
    return True


def _unproved(accounts: list[AwsAccount]) -> bool:
    """Whether a check has not passed yet, or an IAM user has not been found."""
    last = [ConnectionCheck.objects.filter(account=account).first() for account in accounts]
    return not all(check and check.passed for check in last) or any(
        identity.verified_at is None for identity in _identities(accounts)
    )


def _identities(accounts: list[AwsAccount]) -> list[IamIdentity]:
    """The identities that should be found: those of the IAM users that the world has."""
    linked = IamIdentity.objects.filter(account__in=accounts).select_related("account", "person")
    return [one for one in linked if one.user_name in world.IAM_USERS[one.account.account_id]]


def _check(account: AwsAccount) -> None:
    check = services.check_connection(asked_by=SETUP, account=account)
    onboard.run_check(check.pk)
    check.refresh_from_db()
    if not check.passed:
        bad = [f"{one['title']}: {one['detail']}" for one in check.findings if not one["ok"]]
        raise SeedFailed("\n".join([f"The connection check of {account} did not pass.", *bad]))


def _look_up(identity: IamIdentity) -> None:
    """Find an IAM user; one that was made anew since it was found before is linked anew."""
    present = world.unique_id(identity.account.account_id, identity.user_name)
    if identity.unique_id not in {"", present}:
        relink_identity(actor=SETUP, identity=identity)
    onboard.verify_identity(identity.pk)
    identity.refresh_from_db()
    if identity.verified_at is None:
        raise SeedFailed(f"{identity} was not found in AWS. {identity.last_error}")
