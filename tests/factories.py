"""Rows for tests, made directly: what services do is tested by calling services."""

# mypy: disallow-untyped-calls=False, disallow-untyped-decorators=False
# factory_boy types its factories, but not the declarations inside them.

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group
from factory.declarations import (
    LazyAttribute,
    LazyFunction,
    RelatedFactory,
    Sequence,
    SubFactory,
    Trait,
)
from factory.django import DjangoModelFactory
from factory.helpers import post_generation

from accounts.aws_names import boundary_arn, default_switch_group, provisioner_role_arn
from accounts.models import (
    AccessProfile,
    AccountPair,
    ApprovalStage,
    AwsAccount,
    ConnectionCheck,
    IamIdentity,
    Offer,
    ProfileVersion,
    Proposal,
    User,
)
from accounts.models.proposals import fingerprint
from audit.clock import database_now
from provisioning.models import PENDING_LIFETIME, AccessRequest, Decision, Grant


class UserFactory(DjangoModelFactory[User]):
    """A member who can only be signed in with `force_login`: the password is unusable."""

    class Meta:
        model = User

    username = Sequence(lambda n: f"person{n}")
    email = LazyAttribute(lambda o: f"{o.username}@example.com")
    password = "!"


class GroupFactory(DjangoModelFactory[Group]):
    """A group of people in the portal."""

    class Meta:
        model = Group

    name = Sequence(lambda n: f"Team {n}")


class AwsAccountFactory(DjangoModelFactory[AwsAccount]):
    """An account whose provisioner role and boundary are named by convention."""

    class Meta:
        model = AwsAccount

    account_id = Sequence(lambda n: f"{300000000000 + n}")
    name = Sequence(lambda n: f"Account {n}")
    partition = "aws"
    provisioner_role_arn = LazyAttribute(lambda o: provisioner_role_arn(o.partition, o.account_id))
    boundary_arn = LazyAttribute(lambda o: boundary_arn(o.partition, o.account_id))


class ConnectionCheckFactory(DjangoModelFactory[ConnectionCheck]):
    """A check that waits for a worker."""

    class Meta:
        model = ConnectionCheck

    account = SubFactory(AwsAccountFactory)
    asked_by = "dana"


class AccountPairFactory(DjangoModelFactory[AccountPair]):
    """A pair of two new accounts with a switch group of its own."""

    class Meta:
        model = AccountPair

    source = SubFactory(AwsAccountFactory)
    target = SubFactory(AwsAccountFactory)
    switch_group = LazyAttribute(lambda o: default_switch_group(o.target.account_id))


class AccessProfileFactory(DjangoModelFactory[AccessProfile]):
    """A profile with one version: ReadOnlyAccess for an hour, with MFA."""

    class Meta:
        model = AccessProfile
        skip_postgeneration_save = True

    name = Sequence(lambda n: f"Profile {n}")
    version = RelatedFactory(
        "tests.factories.ProfileVersionFactory", factory_related_name="profile"
    )


class ProfileVersionFactory(DjangoModelFactory[ProfileVersion]):
    """One version of a profile."""

    class Meta:
        model = ProfileVersion

    profile = SubFactory(AccessProfileFactory, version=None)
    number = LazyAttribute(lambda o: o.profile.versions.count() + 1)
    role_name = "SecurityReadOnlyRole"
    managed_policies = LazyFunction(lambda: ["ReadOnlyAccess"])
    created_by = "dana"


class OfferFactory(DjangoModelFactory[Offer]):
    """An offer; name people and groups as lists: eligible_users=[alice], approver_users=[bob].

    Approvers make its first stage, with `quorum=2` for two of them; `ApprovalStageFactory` makes
    more. Without any of them the offer has no stage.
    """

    class Meta:
        model = Offer
        skip_postgeneration_save = True

    pair = SubFactory(AccountPairFactory)
    profile = SubFactory(AccessProfileFactory)

    @post_generation
    def eligible_users(self: Any, create: bool, named: Any, **kwargs: Any) -> None:
        """Who may ask."""
        self.eligible_users.set(named or [])

    @post_generation
    def eligible_groups(self: Any, create: bool, named: Any, **kwargs: Any) -> None:
        """Whose members may ask."""
        self.eligible_groups.set(named or [])

    @post_generation
    def approver_users(self: Any, create: bool, named: Any, **kwargs: Any) -> None:
        """Who approves in the first stage."""
        if named:
            first_stage(self).people.set(named)

    @post_generation
    def approver_groups(self: Any, create: bool, named: Any, **kwargs: Any) -> None:
        """Whose members approve in the first stage."""
        if named:
            first_stage(self).groups.set(named)

    @post_generation
    def quorum(self: Any, create: bool, number: Any, **kwargs: Any) -> None:
        """How many must approve in the first stage."""
        if number:
            first_stage(self)
            self.stages.update(quorum=number)


def first_stage(offer: Offer) -> ApprovalStage:
    """The first approval stage of an offer, made where there is none."""
    stage, _ = ApprovalStage.objects.get_or_create(
        offer=offer, position=1, defaults={"name": "Approval"}
    )
    return stage


class ApprovalStageFactory(DjangoModelFactory[ApprovalStage]):
    """One more stage of an offer; name people and groups as lists."""

    class Meta:
        model = ApprovalStage
        skip_postgeneration_save = True

    offer = SubFactory(OfferFactory)
    position = LazyAttribute(lambda o: o.offer.stages.count() + 1)
    name = LazyAttribute(lambda o: f"Stage {o.position}")

    @post_generation
    def people(self: Any, create: bool, named: Any, **kwargs: Any) -> None:
        """Who approves."""
        self.people.set(named or [])

    @post_generation
    def groups(self: Any, create: bool, named: Any, **kwargs: Any) -> None:
        """Whose members approve."""
        self.groups.set(named or [])


class ProposalFactory(DjangoModelFactory[Proposal]):
    """A proposal of nothing in particular: to make a new group. Name `proposed_by`."""

    class Meta:
        model = Proposal

    kind = "group"
    about = Sequence(lambda n: f"group:new:Team {n}")
    title = "Make the group Team."
    before = None
    after = LazyFunction(lambda: {"name": "Team", "members": []})
    differences = LazyFunction(list)
    fingerprint = fingerprint(None)
    proposed_by = SubFactory(UserFactory, role="admin")
    reason = "Ticket 77: the night shift starts."
    lapses_at = LazyFunction(lambda: database_now() + timedelta(days=14))


class IamIdentityFactory(DjangoModelFactory[IamIdentity]):
    """A verified identity; `unverified=True` makes one that nobody has looked up yet."""

    class Meta:
        model = IamIdentity

    class Params:
        unverified = Trait(
            arn="", unique_id="", verified_at=None, next_check_at=LazyFunction(database_now)
        )

    person = SubFactory(UserFactory)
    account = SubFactory(AwsAccountFactory)
    user_name = Sequence(lambda n: f"user{n}")
    arn = LazyAttribute(
        lambda o: f"arn:{o.account.partition}:iam::{o.account.account_id}:user/{o.user_name}"
    )
    unique_id = Sequence(lambda n: f"AIDAEXAMPLE{n:010}")
    verified_at = LazyFunction(database_now)
    next_check_at = None


def _identity_of(requester: User, offer: Offer) -> IamIdentity:
    known = IamIdentity.objects.filter(person=requester, account=offer.pair.source).first()
    return known or IamIdentityFactory.create(person=requester, account=offer.pair.source)


class AccessRequestFactory(DjangoModelFactory[AccessRequest]):
    """A pending request for half an hour, by the requester's own IAM user."""

    class Meta:
        model = AccessRequest

    requester = SubFactory(UserFactory)
    offer = SubFactory(OfferFactory)
    identity = LazyAttribute(lambda o: _identity_of(o.requester, o.offer))
    profile_version = LazyAttribute(lambda o: o.offer.profile.current)
    duration = timedelta(minutes=30)
    reason = "Ticket 1234: look at the failed backup."
    lapses_at = LazyFunction(lambda: database_now() + PENDING_LIFETIME)


class DecisionFactory(DjangoModelFactory[Decision]):
    """An approval. It does not move the request: `GrantFactory` makes both agree."""

    class Meta:
        model = Decision

    request = SubFactory(AccessRequestFactory)
    approver = SubFactory(UserFactory)
    verdict = Decision.Verdict.APPROVED
    fingerprint = "0" * 64
    decided_at = LazyFunction(database_now)


class GrantFactory(DjangoModelFactory[Grant]):
    """A grant that was approved just now and waits for its worker.

    Name the approver with `approver=bob`. A trigger demands an approval with the same fingerprint,
    so the decision is made first.
    """

    class Meta:
        model = Grant
        exclude = ("approver", "decision")

    request = SubFactory(AccessRequestFactory, state="approved")
    approver = SubFactory(UserFactory)
    decision = LazyAttribute(
        lambda o: DecisionFactory.create(
            request=o.request, approver=o.approver, fingerprint=o.fingerprint
        )
    )
    fingerprint = "0" * 64
    iam_user_arn = LazyAttribute(lambda o: o.request.identity.arn)
    iam_user_id = LazyAttribute(lambda o: o.request.identity.unique_id)
    boundary_arn = LazyAttribute(lambda o: o.request.offer.pair.target.boundary_arn)
    code = LazyAttribute(lambda o: o.request.code)
    identity = LazyAttribute(lambda o: o.request.identity)
    profile_version = LazyAttribute(lambda o: o.request.profile_version)
    # As in `lifecycle`: from the decision on; a second between the two would make it last longer.
    starts_at = LazyAttribute(lambda o: o.decision.decided_at.replace(microsecond=0))
    ends_at = LazyAttribute(lambda o: o.starts_at + o.request.duration)
    next_check_at = LazyAttribute(lambda o: o.starts_at)
