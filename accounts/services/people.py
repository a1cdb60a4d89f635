"""Use cases of people: their roles, who signs in again, and their passwords."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.four_eyes import second_admin, snapshots
from accounts.four_eyes.gate import Change, Proposed, guarded
from accounts.four_eyes.widening import Kind, Snapshot
from accounts.models import Proposal, User
from accounts.services.common import SHELL, label_of, name_of
from audit.models import append


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
        actor=name_of(actor),
        subject=f"user:{person.pk}",
        sentence=f"{label_of(actor)} changed the user {person.username}: "
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
