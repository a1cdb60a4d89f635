"""Use cases of the registry. Each is one transaction with its audit event.

Who may call them is asked by the views (`accounts.authz`); forms have parsed the input, and
`full_clean` repeats every rule of the models with the message at its field.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Count, Max

from accounts import switch_groups
from accounts.four_eyes import snapshots
from accounts.four_eyes.gate import Change, Proposed, guarded
from accounts.four_eyes.snapshots import key
from accounts.four_eyes.widening import Kind, Snapshot
from accounts.models import (
    AccessProfile,
    AccountPair,
    ApprovalStage,
    AwsAccount,
    FavouriteOffer,
    IamIdentity,
    Offer,
    ProfileVersion,
    Proposal,
    User,
    people_demanded_by,
)
from accounts.stages import MOST_STAGES
from audit.clock import database_now
from audit.models import append


def _store(thing: models.Model, *, actor: str, kind: str, sentence: str, **data: Any) -> None:
    """Validate, save, and append the event. `thing` has a `subject`."""
    thing.full_clean()
    thing.save()
    append(
        kind=kind,
        actor=actor,
        subject=str(getattr(thing, "subject")),  # noqa: B009  # Every registry model has one.
        sentence=sentence,
        data=data,
    )


@transaction.atomic
def register_account(*, actor: User | str, account: AwsAccount) -> AwsAccount:
    """Register an AWS account. A worker checks its connection next."""
    _store(
        account,
        actor=_name(actor),
        kind="account:registered",
        sentence=f"{_label(actor)} registered {account}.",
        provisioner_role_arn=account.provisioner_role_arn,
        boundary_arn=account.boundary_arn,
    )
    return account


@transaction.atomic
def change_account(*, actor: User | str, account: AwsAccount) -> AwsAccount:
    """Change an account's name, roles or group policies. Id and partition never change.

    Workers bring the switch groups of its pairs into line next.
    """
    _store(
        account,
        actor=_name(actor),
        kind="account:changed",
        sentence=f"{_label(actor)} changed {account}.",
        provisioner_role_arn=account.provisioner_role_arn,
        boundary_arn=account.boundary_arn,
        group_policies=account.group_policies,
        may_create_users=account.may_create_users,
    )
    account.pairs_from.update(next_check_at=database_now())
    return account


@transaction.atomic
def register_pair(*, actor: User | str, pair: AccountPair) -> AccountPair:
    """Join two accounts of one partition into a pair.

    Its switch group takes the target in, as far as AWS's limit of a group's policy allows.
    """
    # Two admins who fill a group at once wait for each other here.
    AwsAccount.objects.select_for_update().filter(pk=pair.source_id).first()
    _refuse_other_partition(pair)
    _refuse_full_group(pair)
    _store(
        pair,
        actor=_name(actor),
        kind="pair:registered",
        sentence=f"{_label(actor)} registered the pair {pair}.",
        switch_group=pair.switch_group,
    )
    return pair


def _refuse_other_partition(pair: AccountPair) -> None:
    if pair.source.partition != pair.target.partition:
        message = (
            f"{pair.target} is in another AWS partition than {pair.source}; "
            "roles cannot be entered across partitions."
        )
        raise ValidationError({"target": ValidationError(message, code="other_partition")})


def _refuse_full_group(pair: AccountPair) -> None:
    """A policy that AWS would refuse later would fail every grant of the group."""
    most = switch_groups.most_targets(pair.source.partition)
    there = AccountPair.objects.sharing(pair.source, pair.switch_group).count()
    if there >= most:
        message = (
            f"{pair.switch_group} is full: it has {there} targets, and AWS takes a policy for "
            f"{most} at most. Choose another group."
        )
        raise ValidationError({"switch_group": ValidationError(message, code="group_full")})


def groups_needed(source: AwsAccount) -> dict[User, set[str]]:
    """The switch groups that each person linked in a source could need at the same time: those of
    all offers that are open to them."""
    needed: dict[User, set[str]] = {}
    offers = Offer.objects.filter(pair__source=source, is_active=True).select_related("pair")
    linked = User.objects.filter(
        pk__in=IamIdentity.objects.usable().filter(account=source).values("person")
    )
    for offer in offers:
        for person in offer.requesters().filter(pk__in=linked.values("pk")):
            needed.setdefault(person, set()).add(offer.pair.switch_group)
    return needed


def warning_of_many_groups(pair: AccountPair) -> str:
    """Why a pair had better share a switch group, or nothing: a user is in ten groups at most."""
    most = switch_groups.GROUPS_PER_USER
    shared = AccountPair.objects.sharing(pair.source, pair.switch_group).exists()
    needed = {} if shared else groups_needed(pair.source)
    crowded = [person.label for person, groups in needed.items() if len(groups) >= most]
    if not crowded:
        return ""
    pairs = AccountPair.objects.filter(source=pair.source).values("switch_group")
    by_size = pairs.annotate(size=Count("pk")).order_by("size", "switch_group")
    roomiest = by_size.values_list("switch_group", flat=True).first()
    return (
        f"{len(crowded)} people could need {most} switch groups in {pair.source.name} already, and "
        f"AWS lets a user be in {most}: {', '.join(sorted(crowded)[:5])}. Share a group with "
        f"another pair, such as {roomiest}; or tick the box below."
    )


@transaction.atomic
def add_profile(
    *, actor: User | str, profile: AccessProfile, version: ProfileVersion
) -> AccessProfile:
    """Make an access profile with its first version."""
    _store(
        profile,
        actor=_name(actor),
        kind="profile:added",
        sentence=f"{_label(actor)} added the profile {profile}.",
    )
    # Nobody can be given it before it is offered, so a new profile waits for nobody.
    _store_version(actor=actor, profile=profile, version=version)
    return profile


def add_profile_version(
    *, actor: User | str, profile: AccessProfile, version: ProfileVersion, reason: str = ""
) -> ProfileVersion:
    """Add the next version of a profile. Requests made before keep the version they pinned.

    A risky version is refused while an open offer of the standard approval class holds the profile:
    what one approver may give must not grow unseen. Raises Proposed where it may give more than the
    current version: a second admin has to confirm it.
    """

    def prepare() -> Change:
        _check_version(actor=actor, profile=profile, version=version)
        return Change(
            Kind.PROFILE,
            profile.subject,
            f"Add {version}.",
            version_before(profile),
            snapshots.version(version),
        )

    def store() -> ProfileVersion:
        return _store_version(actor=actor, profile=profile, version=version)

    return guarded(prepare, store, actor=actor, reason=reason)


def version_before(profile: AccessProfile) -> Snapshot | None:
    """What roles of a profile may do today."""
    return snapshots.current_version(profile)


def store_version_from(
    after: Snapshot, *, actor: User | str, profile: AccessProfile, **facts: Any
) -> ProfileVersion:
    """Store a version that was proposed as data. Raises ValidationError as for a direct one."""
    version = ProfileVersion(**snapshots.restored(ProfileVersion, after))
    return _store_version(actor=actor, profile=profile, version=version, **facts)


def _check_version(*, actor: User | str, profile: AccessProfile, version: ProfileVersion) -> None:
    _lock(profile.pk)
    last = profile.versions.aggregate(last=Max("number"))["last"] or 0
    version.profile, version.number, version.created_by = profile, last + 1, _name(actor)
    version.full_clean()
    _refuse_risk_under_standard_offers(profile, version)


@transaction.atomic
def _store_version(
    *, actor: User | str, profile: AccessProfile, version: ProfileVersion, **facts: Any
) -> ProfileVersion:
    _check_version(actor=actor, profile=profile, version=version)
    version.save(force_insert=True)
    append(
        kind="profile:version:added",
        actor=_name(actor),
        subject=profile.subject,
        sentence=f"{_label(actor)} added {version}.",
        data={
            "role_name": version.role_name,
            "managed_policies": version.managed_policies,
            "inline_policy": version.inline_policy,
            "session_seconds": int(version.session_duration.total_seconds()),
            "require_mfa": version.require_mfa,
            "risk": version.report.risk.words,
            "risks": [one.sentence for one in version.report.risky],
            **facts,
        },
    )
    return version


def standard_offers(profile: AccessProfile) -> models.QuerySet[Offer]:
    """Open offers of a profile for which one approver is enough."""
    return profile.offers.with_accounts().of_one_approver().filter(is_active=True)


def _refuse_risk_under_standard_offers(profile: AccessProfile, version: ProfileVersion) -> None:
    if people_demanded_by(version.report) < 2:
        return
    offers = [str(one) for one in standard_offers(profile)]
    if offers:
        message = (
            "These permissions are risky, and one approver is enough for: "
            f"{'; '.join(offers)}. Have two people approve these offers first, or close them."
        )
        field = "managed_policies" if version.managed_policies else "inline_policy"
        raise ValidationError({field: ValidationError(message, code="standard_offers")})


def _lock(profile_id: int) -> None:
    """Of a new version and a changed offer of one profile, the later one sees the earlier."""
    AccessProfile.objects.select_for_update().get(pk=profile_id)


type People = dict[str, list[Any]]
"""Who may ask for an offer, by field."""


@dataclass(frozen=True)
class StageWish:
    """One approval stage as an admin wants it."""

    people: Sequence[User] = ()
    groups: Sequence[Group] = ()
    quorum: int = 1
    name: str = ""
    """Without one, `Approval`, or `Approval 2` and so on for the later ones."""

    def facts(self, position: int) -> dict[str, Any]:
        """The stage in an audit event."""
        return {
            "name": self.name or _stage_name(position),
            "quorum": self.quorum,
            "people": [str(one) for one in self.people],
            "groups": [str(one) for one in self.groups],
        }

    def snapshot(self, position: int) -> dict[str, Any]:
        """The stage as data."""
        return snapshots.stage(
            self.name or _stage_name(position), self.quorum, self.people, self.groups
        )


def _stage_name(position: int) -> str:
    return "Approval" if position == 1 else f"Approval {position}"


OFFER_FACTS = (
    "is_active",
    "is_listed",
    "sensitivity",
    "warning",
    "reason_prompt",
    "reason_example",
    "ticket_required",
    "ticket_pattern",
    "ticket_hint",
    "auto_approve",
    "auto_zone",
    "auto_days",
)
"""Fields that an event of an offer tells as they are."""


def save_offer(
    *,
    actor: User | str,
    offer: Offer,
    eligible_users: Iterable[User] = (),
    eligible_groups: Iterable[Group] = (),
    stages: Sequence[StageWish] = (),
    reason: str = "",
) -> Offer:
    """Make or change an offer: who may ask, who approves in which stage, for how long at most.

    Raises Proposed where this lets more happen than before: a second admin has to confirm it.
    """
    people: People = {
        "eligible_users": list(eligible_users),
        "eligible_groups": list(eligible_groups),
    }

    def prepare() -> Change:
        _check_offer(offer, people, stages)
        after = snapshots.offer(
            offer, people, [one.snapshot(at) for at, one in enumerate(stages, 1)]
        )
        about = offer.subject if offer.pk else f"{NEW_OFFER}{offer.pair_id}:{offer.profile_id}"
        title = f"{'Change' if offer.pk else 'Make'} the offer {offer}."
        return Change(Kind.OFFER, about, title, _offer_before(about), after)

    return guarded(
        prepare,
        lambda: _store_offer(actor=actor, offer=offer, people=people, stages=stages),
        actor=actor,
        reason=reason,
    )


@transaction.atomic
def offer_on_each(
    *, actor: User | str, offers: Sequence[Offer], rules: Mapping[str, Any], reason: str = ""
) -> tuple[list[Offer], list[Proposal]]:
    """Make several new offers with the same people and stages, all of them or none.

    Where a second admin has to confirm, each is a proposal of its own, and again all of them or
    none: `Proposed` ends here, so this transaction keeps them. Raises ValidationError.
    """
    made: list[Offer] = []
    proposed: list[Proposal] = []
    for offer in offers:
        try:
            made.append(save_offer(actor=actor, offer=offer, **rules, reason=reason))
        except Proposed as waiting:
            proposed.append(waiting.proposal)
    return made, proposed


NEW_OFFER = "offer:new:"


def offer_today(about: str, after: Snapshot) -> tuple[Snapshot | None, Snapshot]:
    """How an offer is now, and how it would be with a change that was proposed earlier: with the
    profile's version of now."""
    version = AccessProfile.objects.get(pk=key(after["profile"])).current.number
    return _offer_before(about), {**after, "profile_version": version}


def _offer_before(about: str) -> Snapshot | None:
    return None if about.startswith(NEW_OFFER) else snapshots.stored_offer(key(about))


def store_offer_from(about: str, after: Snapshot, *, actor: User | str, **facts: Any) -> Offer:
    """Store an offer that was proposed as data. Raises ValidationError as for a direct change."""
    is_new = about.startswith(NEW_OFFER)
    offer = Offer() if is_new else Offer.objects.get(pk=key(about))
    for name, value in snapshots.restored(Offer, after).items():
        setattr(offer, name, value)
    people = {
        field.name: _rows(field.related_model, after[field.name])
        for field in Offer._meta.many_to_many
    }
    stages = [
        StageWish(
            people=_rows(User, one["people"]),
            groups=_rows(Group, one["groups"]),
            quorum=one["quorum"],
            name=one["name"],
        )
        for one in after["stages"]
    ]
    return _store_offer(actor=actor, offer=offer, people=people, stages=stages, **facts)


def _rows(model: Any, tokens: Iterable[str]) -> list[Any]:
    return list(model._default_manager.filter(pk__in=map(key, tokens)).order_by("pk"))


def _check_offer(offer: Offer, people: People, stages: Sequence[StageWish]) -> None:
    _refuse_nobody(people, stages)
    _refuse_moving(offer)
    offer.full_clean()
    _lock(offer.profile_id)
    _refuse_few_approvers(offer, stages)


@transaction.atomic
def _store_offer(
    *,
    actor: User | str,
    offer: Offer,
    people: People,
    stages: Sequence[StageWish],
    **facts: Any,
) -> Offer:
    _check_offer(offer, people, stages)
    verb = "changed" if offer.pk else "made"
    offer.save()
    for field, named in people.items():
        getattr(offer, field).set(named)
    _save_stages(offer, stages)
    append(
        kind=f"offer:{verb}",
        actor=_name(actor),
        subject=offer.subject,
        sentence=f"{_label(actor)} {verb} the offer {offer}.",
        data=_offer_facts(offer)
        | {field: [str(one) for one in named] for field, named in people.items()}
        | {"stages": [one.facts(at) for at, one in enumerate(stages, 1)]}
        | facts,
    )
    return offer


def _offer_facts(offer: Offer) -> dict[str, Any]:
    minute = timedelta(minutes=1)
    return {
        "max_minutes": offer.max_duration // minute,
        "default_minutes": offer.default_duration // minute,
        "wait_minutes": offer.request_lifetime // minute,
        "auto_longest_minutes": offer.auto_longest // minute if offer.auto_longest else None,
        "auto_group": str(offer.auto_group) if offer.auto_group else None,
        "break_glass_group": str(offer.break_glass_group) if offer.break_glass_group else None,
        "break_glass_minutes": (
            offer.break_glass_longest // minute if offer.break_glass_longest else None
        ),
        "auto_hours": [str(one) if one else None for one in (offer.auto_from, offer.auto_until)],
        **{field: getattr(offer, field) for field in OFFER_FACTS},
    }


def _save_stages(offer: Offer, stages: Sequence[StageWish]) -> None:
    """Make the offer's stages these, in this order."""
    offer.stages.filter(position__gt=len(stages)).delete()
    for position, wish in enumerate(stages, 1):
        stage = offer.stages.filter(position=position).first()
        stage = stage or ApprovalStage(offer=offer, position=position)
        stage.name = wish.name or _stage_name(position)
        stage.quorum = wish.quorum
        stage.full_clean()
        stage.save()
        stage.people.set(wish.people)
        stage.groups.set(wish.groups)


def star(*, person: User, offer: Offer, wanted: bool) -> None:
    """Mark an offer as a favourite, or no longer. It is how somebody likes their page, and changes
    nothing of what they may do: no event."""
    if wanted:
        FavouriteOffer.objects.get_or_create(person=person, offer=offer)
    else:
        FavouriteOffer.objects.filter(person=person, offer=offer).delete()


def _refuse_moving(offer: Offer) -> None:
    """Requests and grants of an offer are read through its pair: another one would move them."""
    stored = Offer.objects.filter(pk=offer.pk).first()
    if stored and (stored.pair_id, stored.profile_id) != (offer.pair_id, offer.profile_id):
        message = "An offer keeps its pair and its profile. Make another one instead."
        raise ValidationError(message, code="offer_moved")


def _refuse_few_approvers(offer: Offer, stages: Sequence[StageWish]) -> None:
    """Risky permissions need two people, and a rule never decides for two. A closed offer gives
    nothing; opening it asks again."""
    said = sum(one.quorum for one in stages)
    demanded = people_demanded_by(offer.profile.current.report)
    errors = {}
    if offer.is_active and said < demanded:
        message = (
            f"{offer.profile.current} is risky, so it can only be offered where two different "
            "people must approve: raise the quorum, or add a stage."
        )
        errors["stage_1_quorum"] = ValidationError(message, code="too_few_approvals")
    if offer.auto_approve and max(said, demanded) > 1:
        message = "A rule approves only where one approval is enough, and nothing risky."
        errors["auto_approve"] = ValidationError(message, code="rule_needs_one_approval")
    if errors:
        raise ValidationError(dict(errors))


def _refuse_nobody(people: dict[str, list[Any]], stages: Sequence[StageWish]) -> None:
    errors: dict[str, ValidationError] = {}
    if not people["eligible_users"] and not people["eligible_groups"]:
        message = "Name at least one person or group who may ask."
        errors["eligible_users"] = ValidationError(message, code="nobody_may_ask")
    for position, stage in enumerate(stages or [StageWish()], 1):
        if not stage.people and not stage.groups:
            message = "Name at least one person or group who approves."
            error = ValidationError(message, code="nobody_approves")
            errors[f"stage_{position}_people"] = error
    if len(stages) > MOST_STAGES:
        message = f"An offer has at most {MOST_STAGES} stages."
        errors["stage_1_people"] = ValidationError(message, code="too_many_stages")
    if errors:
        raise ValidationError(dict(errors))


@transaction.atomic
def link_identity(*, actor: User | str, identity: IamIdentity) -> IamIdentity:
    """Say which IAM user a person is in a source account. A worker looks the user up next."""
    _store(
        identity,
        actor=_name(actor),
        kind="identity:linked",
        sentence=f"{_label(actor)} linked {identity.person.label} to {identity}.",
    )
    return identity


@transaction.atomic
def look_again(*, actor: User | str, identity: IamIdentity) -> bool:
    """Let a worker look for an identity's IAM user at once. False when it was found meanwhile."""
    failed = IamIdentity.objects.filter(pk=identity.pk).exclude(last_error="")
    if failed.update(next_check_at=database_now(), last_error="") != 1:
        return False
    append(
        kind="identity:check:asked",
        actor=_name(actor),
        subject=identity.subject,
        sentence=f"{_label(actor)} asked to look for {identity} again.",
    )
    return True


@transaction.atomic
def relink_identity(*, actor: User | str, identity: IamIdentity) -> IamIdentity:
    """Look an identity's IAM user up anew: it was deleted and made again under its old name.

    AWS's unique id is forgotten here and adopted afresh by a worker; grants that were approved for
    the former user are refused from then on, because their plan is another one.
    """
    former = identity.unique_id
    identity.arn, identity.unique_id, identity.last_error = "", "", ""
    identity.verified_at, identity.next_check_at = None, database_now()
    _store(
        identity,
        actor=_name(actor),
        kind="identity:relinked",
        sentence=f"{_label(actor)} linked {identity.person.label} to {identity} anew.",
        former_unique_id=former,
    )
    return identity


def _name(actor: User | str) -> str:
    return actor if isinstance(actor, str) else actor.username


def _label(actor: User | str) -> str:
    return actor if isinstance(actor, str) else actor.label
