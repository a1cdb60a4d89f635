"""The red button: pressed, carried out in batches, finished, lifted."""

from datetime import datetime

from django.db import transaction
from django.db.models import F

from accounts.models import Offer
from audit.models import append, append_all, event
from provisioning.core.states import RequestState
from provisioning.lifecycle.common import SWEEPER, StaleState
from provisioning.models import AccessRequest, Grant, Stop


@transaction.atomic
def press(stop: Stop, *, grants: int, requests: int) -> Stop:
    """Store that the red button was pressed, and how much its scope held then."""
    stop.save(force_insert=True)
    append(
        kind="stop:pressed",
        actor=stop.pressed_by,
        subject=stop.subject,
        sentence=f"The red button was pressed: {stop.words} ends now.",
        reason=stop.reason,
        data={"scope": stop.scope, "grants": grants, "requests": requests, "pauses": stop.pauses},
    )
    return stop


def _of_stop(stop: Stop) -> dict[str, object]:
    return {"stop": stop.pk, "scope": stop.scope}


@transaction.atomic
def stop_grants(stop: Stop, *, limit: int, now: datetime) -> list[int]:
    """Revoke the next grants of a stop's scope. Returns their keys; empty when none is free.

    What somebody else holds this moment is left for the next round, so that nobody waits here
    for anybody, and several may do this at once.
    """
    live = Grant.objects.live().filter(stop.within("request__"), revoked_at__isnull=True)
    free = live.select_for_update(of=("self",), skip_locked=True).order_by("next_check_at", "id")
    held = list(free.only("pk", "code")[:limit])
    keys = [one.pk for one in held]
    Grant.objects.filter(pk__in=keys).update(
        revoked_at=now,
        revoked_by=stop.pressed_by,
        revoke_reason=stop.reason,
        stop=stop,
        next_check_at=now,
        leased_until=None,
        attempts=0,
    )
    append_all(
        event(
            kind="grant:revoked",
            actor=stop.pressed_by,
            subject=one.subject,
            sentence="The access was ended with the red button.",
            reason=stop.reason,
            data=_of_stop(stop),
        )
        for one in held
    )
    return keys


@transaction.atomic
def stop_requests(stop: Stop, *, limit: int) -> int:
    """Withdraw the next requests that waited in a stop's scope when it was pressed."""
    waiting = AccessRequest.objects.waiting().filter(stop.within(), asked_at__lte=stop.pressed_at)
    free = waiting.select_for_update(of=("self",), skip_locked=True).order_by("id")
    held = list(free.select_related("extends")[:limit])
    AccessRequest.objects.filter(pk__in=[one.pk for one in held]).update(
        state=RequestState.CANCELLED
    )
    Stop.objects.filter(pk=stop.pk).update(cancelled=F("cancelled") + len(held))
    append_all(
        event(
            kind=f"request:state:{RequestState.CANCELLED}",
            actor=stop.pressed_by,
            subject=one.subject,
            sentence="The request was ended with the red button.",
            reason=stop.reason,
            data=_of_stop(stop) | {"request": one.code},
        )
        for one in held
    )
    return len(held)


def finish_stop(stop: Stop, now: datetime) -> bool:
    """Record that a stop has nothing left to revoke or to withdraw, if that is so.

    A request that is being decided on waits until that is committed, so those that wait are looked
    for first: what was approved of them is live then. Nobody sees an emergency before it is
    committed, but whoever takes it holds the offer.
    """
    waiting = AccessRequest.objects.waiting().filter(stop.within(), asked_at__lte=stop.pressed_at)
    live = Grant.objects.live().filter(stop.within("request__"), revoked_at__isnull=True)
    with transaction.atomic():
        if _is_being_taken() or waiting.exists() or live.exists():
            return False
        if Stop.objects.unfinished().filter(pk=stop.pk).update(finished_at=now) != 1:
            return False
        append(
            kind="stop:finished",
            actor=SWEEPER,
            subject=stop.subject,
            sentence="Everything in the scope of the red button is revoked and withdrawn.",
            data=_of_stop(stop) | {"grants": stop.grants.count()},
        )
    return True


def _is_being_taken() -> bool:
    """Whether somebody holds an offer that can be taken in an emergency, until the present
    transaction ends. Whoever takes one after that sees all that was pressed before."""
    breakable = Offer.objects.filter(break_glass_group__isnull=False).order_by("pk")
    free = breakable.select_for_update(of=("self",), skip_locked=True)
    return len(free.values_list("pk")) < breakable.count()


def lift_pause(stop: Stop, *, actor: str, sentence: str, now: datetime) -> None:
    """Let new access be asked for and approved again. Raises StaleState when it was lifted."""
    with transaction.atomic():
        if Stop.objects.pausing().filter(pk=stop.pk).update(lifted_at=now, lifted_by=actor) != 1:
            raise StaleState("This pause has been lifted before.")
        append(
            kind="stop:lifted",
            actor=actor,
            subject=stop.subject,
            sentence=sentence,
            data=_of_stop(stop),
        )
