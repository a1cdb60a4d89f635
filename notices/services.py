"""Use cases: choose what one is told, choose shared channels, try again. Each writes its event."""

from django.db import transaction

from accounts.models import User
from audit.clock import database_now
from audit.models import append
from notices import authz
from notices.models import Notice, Preferences, Route
from provisioning.services.common import refusals_recorded, require

ROUTES = "notices:routes"


class NothingToRetry(Exception):
    """The notice has not failed, or somebody has had it tried again already."""


@transaction.atomic
def save_preferences(*, person: User, time_zone: str, muted: list[str]) -> None:
    """Store what a person wants to be told."""
    Preferences.objects.update_or_create(
        person=person, defaults={"time_zone": time_zone, "muted": muted}
    )
    append(
        kind="person:notices:chosen",
        actor=person.username,
        subject=f"person:{person.username}",
        sentence=f"{person.label} chose which notices they get.",
        data={"time_zone": time_zone, "muted": muted},
    )


def save_routes(*, admin: User, chosen: dict[str, tuple[list[str], bool]]) -> None:
    """Store where each topic is told beside mail, or instead of it. Raises Refused."""
    with refusals_recorded(ROUTES, admin, "notices", "choosing channels for notices"):
        require(authz.can_route(admin))
    with transaction.atomic():
        before = {one.topic: [one.channels, one.people] for one in Route.objects.all()}
        for topic, (channels, people) in chosen.items():
            Route.objects.update_or_create(
                topic=topic, defaults={"channels": channels, "people": people}
            )
        append(
            kind=f"{ROUTES}:chosen",
            actor=admin.username,
            subject="notices",
            sentence=f"{admin.label} chose the channels of notices.",
            data={"before": before, "after": {key: list(one) for key, one in chosen.items()}},
        )


def try_again(*, admin: User, notice: Notice) -> None:
    """Have a failed notice sent after all. Raises Refused or NothingToRetry."""
    subject = notice.event.subject
    with refusals_recorded("notices:retry", admin, subject, "trying a notice again"):
        require(authz.can_route(admin))
    with transaction.atomic():
        failed = Notice.objects.filter(pk=notice.pk, state=Notice.State.FAILED)
        values = {"state": Notice.State.WAITING, "attempts": 0, "done_at": None}
        if failed.update(next_try_at=database_now(), **values) != 1:
            raise NothingToRetry("This notice waits or was sent already.")
        append(
            kind="notices:retry:asked",
            actor=admin.username,
            subject=subject,
            sentence=f"{admin.label} had a notice to {notice.recipient} tried again.",
        )
