"""What use cases share: names in events, saving with the event, the lock of a profile."""

from typing import Any, Final

from django.db import models

from accounts.models import AccessProfile, User
from audit.models import append

SHELL: Final = "system:shell"
"""Whoever runs a command on the server."""


def name_of(actor: User | str) -> str:
    """An actor in audit events."""
    return actor if isinstance(actor, str) else actor.username


def label_of(actor: User | str) -> str:
    """An actor in sentences."""
    return actor if isinstance(actor, str) else actor.label


def save_and_tell(
    thing: models.Model, *, actor: str, kind: str, sentence: str, **data: Any
) -> None:
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


def lock_profile(profile_id: int) -> None:
    """Of a new version and a changed offer of one profile, the later one sees the earlier."""
    AccessProfile.objects.select_for_update().get(pk=profile_id)
