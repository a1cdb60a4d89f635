"""Use cases of groups."""

from collections.abc import Collection, Iterable
from typing import Any

from django.contrib.auth.models import Group

from accounts.four_eyes import snapshots
from accounts.four_eyes.gate import Change, guarded
from accounts.four_eyes.widening import Kind, Snapshot
from accounts.models import Proposal, User
from accounts.services.common import label_of, name_of
from audit.models import append


def save_group(
    *, actor: User | str, group: Group, name: str, members: Iterable[User], reason: str = ""
) -> Group:
    """Make a group, rename it, say who is in it. Raises Proposed, or ValidationError.

    A new group is made at once, without members if those have to wait.
    """
    members = list(members)

    def prepare() -> Change:
        group.name = name
        group.full_clean()
        if group.pk:
            Group.objects.select_for_update().get(pk=group.pk)
        return group_change(group, snapshots.group(group, members, name=name))

    def store() -> Group:
        return store_group(actor=actor, group=group, name=name, members=members)

    return guarded(prepare, store, actor=actor, reason=reason)


def group_change(group: Group, after: Snapshot) -> Change:
    """A change of a group."""
    stored = Group.objects.filter(pk=group.pk).first()
    if stored is None:
        title = f"Make the group {after['name']}."
        about = f"group:new:{after['name']}"[: Proposal.ABOUT]
        return Change(Kind.GROUP, about, title, None, after)
    before = snapshots.group(stored, stored.user_set.all(), name=stored.name)
    return Change(
        Kind.GROUP, f"group:{stored.pk}", f"Change the group {stored.name}.", before, after
    )


def store_group(
    *, actor: User | str, group: Group, name: str, members: Collection[User], **facts: Any
) -> Group:
    """Store a group's name and members, with the event."""
    verb = "changed" if group.pk else "added"
    before = set(group.user_set.all()) if group.pk else set()
    group.name = name
    group.full_clean()
    group.save()
    group.user_set.set(members)
    came, went = set(members) - before, before - set(members)
    append(
        kind=f"group:{verb}",
        actor=name_of(actor),
        subject=f"group:{group.pk}",
        sentence=f"{label_of(actor)} {verb} the group {name}{_moved(came, went)}.",
        data={
            "name": name,
            "members": _usernames(members),
            "added": _usernames(came),
            "removed": _usernames(went),
            **facts,
        },
    )
    return group


def _usernames(people: Iterable[User]) -> list[str]:
    return sorted(one.username for one in people)


def _moved(came: Collection[User], went: Collection[User]) -> str:
    parts = [
        f"{', '.join(_usernames(people))} {verb}"
        for people, verb in ((came, "joined"), (went, "left"))
        if people
    ]
    return f": {'; '.join(parts)}" if parts else ""
