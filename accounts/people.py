"""Use cases of people, groups and the second admin. Each is one transaction with its audit event.

Who may call them is asked by the views (`accounts.authz`). What widens access waits for a second
admin (`accounts.four_eyes`); `accounts.proposals` stores it through the same functions then.
"""

from collections.abc import Collection, Iterable
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.four_eyes import second_admin, snapshots
from accounts.four_eyes.gate import Change, Proposed, guarded
from accounts.four_eyes.widening import Kind, Snapshot
from accounts.models import Proposal, SecondAdmin, User
from audit.models import append

SHELL = "system:shell"
"""Whoever runs a command on the server."""


def _name(actor: User | str) -> str:
    return actor if isinstance(actor, str) else actor.username


def _label(actor: User | str) -> str:
    return actor if isinstance(actor, str) else actor.label


# --- A person's role -------------------------------------------------------------------------


def change_person(
    *, actor: User | str, person: User, role: str, is_active: bool, reason: str = ""
) -> User:
    """Change somebody's role, or let them sign in again. Raises Proposed, or ValidationError.

    Switching somebody off ends their access first: `provisioning.services.retire` does that.
    """

    def prepare() -> Change:
        stored = User.objects.select_for_update().get(pk=person.pk)
        _refuse_switching_off(stored, is_active)
        _refuse_no_admin(stored, role)
        after = snapshots.person(stored, role=role, is_active=is_active)
        return person_change(stored, after)

    return guarded(
        prepare,
        lambda: store_person(actor=actor, person=person, role=role, is_active=is_active),
        actor=actor,
        reason=reason,
    )


def person_change(stored: User, after: Snapshot) -> Change:
    """A change of what somebody may do."""
    role = User.Role(after["role"]).label
    title = f"Make {stored.label} ({stored.username}) {_with_article(role.lower())}."
    if after["role"] == stored.role:
        title = f"Let {stored.label} ({stored.username}) sign in again."
    before = snapshots.person(stored, role=stored.role, is_active=stored.is_active)
    return Change(Kind.PERSON, f"user:{stored.pk}", title, before, after)


def _with_article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _refuse_switching_off(stored: User, is_active: bool) -> None:
    if stored.is_active and not is_active:
        message = "Use Switch off: it ends this person's access first."
        raise ValidationError({"is_active": ValidationError(message, code="switch_off")})


def _refuse_no_admin(stored: User, role: str) -> None:
    if role not in User.Role.values:
        raise ValidationError({"role": ValidationError("Choose a role.", code="unknown_role")})
    others = User.objects.filter(role=User.Role.ADMIN, is_active=True).exclude(pk=stored.pk)
    if stored.is_portal_admin and role != User.Role.ADMIN and not others.exists():
        message = "Nobody else is an admin. Make somebody else one first."
        raise ValidationError({"role": ValidationError(message, code="last_admin")})


def store_person(
    *, actor: User | str, person: User, role: str, is_active: bool, **facts: Any
) -> User:
    """Store a role and whether somebody can sign in, with the event."""
    person.role, person.is_active = User.Role(role), is_active
    person.save(update_fields=["role", "is_active"])
    append(
        kind="user:changed",
        actor=_name(actor),
        subject=f"user:{person.pk}",
        sentence=f"{_label(actor)} changed the user {person.username}: "
        f"{person.get_role_display().lower()}, {'can' if is_active else 'cannot'} sign in.",
        data={"name": person.username, "role": role, "is_active": is_active, **facts},
    )
    # With the second admin the rule comes on by itself.
    second_admin.settle()
    return person


def change_own_password(*, person: User, password: str) -> None:
    """Store the new password of somebody who has just proved the old one, with the event.

    Raises ValidationError if the old one is theirs no more.
    """
    with transaction.atomic():
        stored = User.objects.select_for_update().get(pk=person.pk)
        if stored.password != person.password:
            message = "Your password was changed meanwhile. Sign in again with the new one."
            raise ValidationError({"old_password": ValidationError(message, code="stale")})
        person.set_password(password)
        # Nothing else: role and rights may have been changed since this person was read.
        person.save(update_fields=["password"])
        append(
            kind="user:password:changed",
            actor=person.username,
            subject=f"user:{person.pk}",
            sentence=f"{person.label} changed their own password.",
            data={"name": person.username},
        )


# --- Groups ----------------------------------------------------------------------------------


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
        actor=_name(actor),
        subject=f"group:{group.pk}",
        sentence=f"{_label(actor)} {verb} the group {name}{_moved(came, went)}.",
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


# --- The second admin ------------------------------------------------------------------------


def switch_second_admin(*, actor: User, on: bool, reason: str = "") -> None:
    """Have a second admin confirm what widens access, or no longer. Raises Proposed, or
    ValidationError.

    Switching it on takes effect at once; off it goes only with two.
    """

    def prepare() -> Change:
        is_on = second_admin.settle()
        if on == is_on:
            message = f"It is {'on' if on else 'off'} already."
            raise ValidationError(message, code="nothing_to_switch")
        if on and second_admin.admins() < 2:
            message = "Make somebody else an admin first: nobody could confirm anything."
            raise ValidationError(message, code="one_admin_only")
        title = f"Switch the second admin {'on' if on else 'off'}."
        return Change(Kind.SECOND_ADMIN, second_admin.RULE, title, {"on": is_on}, {"on": on})

    guarded(prepare, lambda: store_second_admin(actor=actor, on=on), actor=actor, reason=reason)


def store_second_admin(*, actor: User | str, on: bool, by: Proposal | None = None) -> None:
    """Store that the rule is on, or off by a confirmed proposal."""
    state = SecondAdmin.State.ON if on else SecondAdmin.State.OFF
    sentence = f"{_label(actor)} switched the second admin {state}."
    second_admin.switch(
        second_admin.locked_rule(), state, actor=_name(actor), sentence=sentence, by=by
    )


# --- From the command line -------------------------------------------------------------------


def raise_from_shell(person: User) -> Proposal | None:
    """Make somebody an admin, as whoever runs a command on the server asks.

    Where the rule holds and there is an admin, one of them has to confirm: returns the proposal
    then. Without any admin it takes effect at once: this is how the first one is made, and how an
    installation without admins is mended.
    """
    if second_admin.admins() == 0:
        store_person(actor=SHELL, person=person, role=User.Role.ADMIN, is_active=True)
        return None
    try:
        change_person(actor=SHELL, person=person, role=User.Role.ADMIN, is_active=True)
    except Proposed as waiting:
        return waiting.proposal
    return None
