"""What a campaign asks about: everything that stands in its scope, read in batches.

People who are named one by one are asked about by offer, members of groups by group: to take
somebody out of a group is what removing means there, and the item lists all that this takes away.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth.models import Group
from django.db.models import Q

from accounts.four_eyes import second_admin
from accounts.models import ApprovalStage, Offer, User
from provisioning.models import Grant
from reviews.models import Campaign, Item

KINDS: Final = tuple(Item.Kind)
LABEL: Final = 310
"""Characters that a label may have; two long names and a remark are more."""
NAMED: Final = 20
"""Offers that the words of a group's item name; the others are counted."""


@dataclass(frozen=True)
class Batch:
    """Items to be made, and where to go on; None when nothing is left."""

    items: list[Item]
    then: list[Any] | None


def next_batch(campaign: Campaign, size: int) -> Batch:
    """The next items of a campaign that is being prepared."""
    kind, last = campaign.prepared or [KINDS[0].value, 0]
    rows = list(_rows(Item.Kind(kind), campaign, last)[:size])
    items = list(_MAKE[Item.Kind(kind)](campaign, rows))
    _assign(campaign, items)
    if len(rows) == size:
        return Batch(items, [kind, rows[-1].pk])
    at = KINDS.index(Item.Kind(kind)) + 1
    return Batch(items, [KINDS[at].value, 0] if at < len(KINDS) else None)


def _rows(kind: Item.Kind, campaign: Campaign, last: int) -> Any:
    """What stands, in the order of its keys, after the last one that was read."""
    offers = campaign.offers()
    open_ones = offers.filter(is_active=True).values("pk")
    rows: Any
    match kind:
        case Item.Kind.ASKS:
            rows = Offer.eligible_users.through.objects.filter(offer__in=open_ones)
        case Item.Kind.DECIDES:
            named = ApprovalStage.people.through.objects.select_related("approvalstage")
            rows = named.filter(approvalstage__offer__in=open_ones)
        case Item.Kind.MEMBER:
            rows = User.groups.through.objects.filter(
                Q(
                    group__in=Offer.eligible_groups.through.objects.filter(
                        offer__in=open_ones
                    ).values("group")
                )
                | Q(
                    group__in=ApprovalStage.groups.through.objects.filter(
                        approvalstage__offer__in=open_ones
                    ).values("group")
                )
                | Q(group__in=offers.filter(is_active=True).values("break_glass_group"))
            )
        case Item.Kind.LIVE:
            live = Grant.objects.live().filter(revoked_at__isnull=True)
            rows = live.with_parties().filter(request__offer__in=offers.values("pk"))
    return rows.filter(pk__gt=last).order_by("pk")


# --- Making items ----------------------------------------------------------------------------


def _people(keys: Iterable[int]) -> dict[int, User]:
    return User.objects.in_bulk(list(set(keys)))


def _offers(keys: Iterable[int]) -> dict[int, Offer]:
    return Offer.objects.with_accounts().in_bulk(list(set(keys)))


def _item(campaign: Campaign, kind: Item.Kind, person: User, what: str, **about: Any) -> Item:
    return Item(
        campaign=campaign,
        kind=kind,
        person=person,
        username=person.username,
        label=(person.label if person.is_active else f"{person.label}, switched off")[:LABEL],
        what=what,
        **about,
    )


def _asking(campaign: Campaign, rows: Sequence[Any]) -> Iterator[Item]:
    people, offers = _people(one.user_id for one in rows), _offers(one.offer_id for one in rows)
    for one in rows:
        offer = offers[one.offer_id]
        yield _item(campaign, Item.Kind.ASKS, people[one.user_id], str(offer), offer=offer)


def _deciding(campaign: Campaign, rows: Sequence[Any]) -> Iterator[Item]:
    people = _people(one.user_id for one in rows)
    offers = _offers(one.approvalstage.offer_id for one in rows)
    made = set(
        campaign.items.filter(kind=Item.Kind.DECIDES, person__in=people).values_list(
            "person", "offer"
        )
    )
    for one in rows:
        about = (one.user_id, one.approvalstage.offer_id)
        # Somebody may be named in several stages of one offer, and is asked about once.
        if about not in made:
            made.add(about)
            offer = offers[about[1]]
            yield _item(
                campaign,
                Item.Kind.DECIDES,
                people[about[0]],
                str(offer),
                offer=offer,
                takes_a_decider=True,
            )


def _members(campaign: Campaign, rows: Sequence[Any]) -> Iterator[Item]:
    people = _people(one.user_id for one in rows)
    groups = Group.objects.in_bulk(list({one.group_id for one in rows}))
    uses = {pk: _uses(group) for pk, group in groups.items()}
    for one in rows:
        words, decides = uses[one.group_id]
        yield _item(
            campaign,
            Item.Kind.MEMBER,
            people[one.user_id],
            words,
            group=groups[one.group_id],
            takes_a_decider=decides,
        )


def _uses(group: Group) -> tuple[str, bool]:
    """What a group gives, in words, and whether its members decide on anything."""
    open_ones = Offer.objects.with_accounts().filter(is_active=True)
    asks = [str(one) for one in open_ones.filter(eligible_groups=group).distinct()]
    decides = [str(one) for one in open_ones.filter(stages__groups=group).distinct()]
    takes = [str(one) for one in open_ones.filter(break_glass_group=group)]
    gives = (
        ("may ask for", asks),
        ("decides on", decides),
        ("may take at once in an emergency", takes),
    )
    parts = [f"{verb} {_named(those)}" for verb, those in gives if those]
    return f"{group.name}: {'; '.join(parts)}", bool(decides)


def _named(offers: Sequence[str]) -> str:
    more = len(offers) - NAMED
    words = ", ".join(offers[:NAMED])
    return f"{words} and {more} more" if more > 0 else words


def _live(campaign: Campaign, rows: Sequence[Grant]) -> Iterator[Item]:
    for grant in rows:
        ends = f"{grant.ends_at:%d %b %Y, %H:%M} UTC"
        words = f"{grant.request.offer}, until {ends} (grant {grant.code})"
        yield _item(campaign, Item.Kind.LIVE, grant.request.requester, words, grant=grant)


_MAKE: Final[dict[Item.Kind, Callable[[Campaign, Any], Iterator[Item]]]] = {
    Item.Kind.ASKS: _asking,
    Item.Kind.DECIDES: _deciding,
    Item.Kind.MEMBER: _members,
    Item.Kind.LIVE: _live,
}


# --- Who reviews what ------------------------------------------------------------------------


def _assign(campaign: Campaign, items: Iterable[Item]) -> None:
    """Give each person to one reviewer, themselves to another; approvers to one who may decide
    about them, where there is one."""
    reviewers = sorted(campaign.reviewers.all(), key=lambda one: one.pk)
    beside = reviewers
    if second_admin.holds():
        others = [one for one in reviewers if one.pk != campaign.created_by_id]
        beside = [one for one in others if second_admin.stands_beside(one)]
    for item in items:
        asked = beside if item.takes_a_decider else reviewers
        can = [one for one in asked if one.pk != item.person_id]
        item.reviewer = reviewer_for(item.person, can or reviewers)


def reviewer_for(person: User, reviewers: Sequence[User]) -> User:
    """Which of at least two reviewers is asked about somebody: always the same one, never
    themselves."""
    others = [one for one in reviewers if one.pk != person.pk]
    return others[person.pk % len(others)]
