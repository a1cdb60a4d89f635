"""Use cases of account pairs."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count

from accounts import switch_groups
from accounts.models import AccountPair, AwsAccount, IamIdentity, Offer, User
from accounts.services.common import label_of, name_of, save_and_tell


@transaction.atomic
def register_pair(*, actor: User | str, pair: AccountPair) -> AccountPair:
    """Join two accounts of one partition into a pair.

    Its switch group takes the target in, as far as AWS's limit of a group's policy allows.
    """
    # Two admins who fill a group at once wait for each other here.
    AwsAccount.objects.select_for_update().filter(pk=pair.source_id).first()
    _refuse_other_partition(pair)
    _refuse_full_group(pair)
    save_and_tell(
        pair,
        actor=name_of(actor),
        kind="pair:registered",
        sentence=f"{label_of(actor)} registered the pair {pair}.",
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
