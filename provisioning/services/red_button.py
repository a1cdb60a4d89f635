"""Use cases of admins: end all access within a scope at once, and let new access begin again."""

from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet

from accounts.models import AccountPair, AwsAccount, User
from audit.clock import database_now
from provisioning import authz, lifecycle, tasks
from provisioning.core.states import Phase
from provisioning.models import ATTENTION_AFTER, AccessRequest, Grant, Stop
from provisioning.services.common import nudge_on_commit, refusals_recorded, require

type Thing = User | AwsAccount | AccountPair | None
"""Whose access ends; None for everybody's."""
NOTHING_TO_END = "There is no access and no waiting request to end here."


def stop_of(thing: Thing) -> Stop:
    """A stop of this scope that nobody has pressed yet."""
    match thing:
        case User():
            return Stop(scope=Stop.Scope.PERSON, person=thing)
        case AwsAccount():
            return Stop(scope=Stop.Scope.ACCOUNT, account=thing)
        case AccountPair():
            return Stop(scope=Stop.Scope.PAIR, pair=thing)
        case _:
            return Stop(scope=Stop.Scope.EVERYTHING)


def name_of(thing: Thing) -> str:
    """What an admin types to confirm."""
    match thing:
        case User():
            return thing.username
        case AwsAccount():
            return thing.account_id
        case AccountPair():
            return f"{thing.source.name} to {thing.target.name}"
        case _:
            return "everything"


@dataclass(frozen=True)
class Held:
    """What a scope holds."""

    grants: QuerySet[Grant]
    """Access that nobody has revoked yet."""
    requests: QuerySet[AccessRequest]
    """Requests that wait for a decision."""
    ending: QuerySet[Grant]
    """Access that was revoked before and is still being removed."""


def held_by(stop: Stop) -> Held:
    """What a scope holds now, those that end last first: they are the longest open."""
    live = Grant.objects.live().with_parties().filter(stop.within("request__"))
    waiting = AccessRequest.objects.waiting().with_parties().filter(stop.within())
    return Held(
        grants=live.filter(revoked_at__isnull=True).order_by("-ends_at", "id"),
        requests=waiting.order_by("id"),
        ending=live.filter(revoked_at__isnull=False),
    )


def press(
    *, actor: User, thing: Thing, key: UUID, confirmation: str, reason: str, pause: bool
) -> Stop:
    """End all access within a scope, and withdraw what waits for it. A second press, by whomever,
    changes nothing while the first is carried out, and is answered with the first.

    Accepted is accepted: once the row is there, the sweeper carries it out even if this process
    dies. Raises Refused, or ValidationError at the field.
    """
    stop = stop_of(thing)
    attempt = f"pressing the red button for {stop.words}"
    with refusals_recorded("stop:press", actor, "stop", attempt):
        require(authz.can_stop(actor))
    if confirmation.strip() != name_of(thing):
        message = f"Type this exactly: {name_of(thing)}"
        raise ValidationError({"confirmation": ValidationError(message, code="not_confirmed")})
    stop.key, stop.pressed_by, stop.reason, stop.pauses = key, actor.username, reason, pause
    found = held_by(stop)
    pressed = _pressed_before(stop)
    if pressed is None:
        grants, requests = found.grants.count(), found.requests.count()
        if not (grants or requests or pause):
            raise ValidationError(NOTHING_TO_END, code="nothing_to_end")
        pressed = _store(stop, grants, requests)
    # The first rows are done before the page answers: mostly that is all of them.
    tasks.go_on_with_stop(pressed.pk, batches=1)
    return pressed


def _pressed_before(stop: Stop) -> Stop | None:
    """The same press, or an unfinished one of the same scope that does all that this one would."""
    same = Q(key=stop.key)
    unfinished = Q(
        finished_at__isnull=True,
        scope=stop.scope,
        person=stop.person,
        account=stop.account,
        pair=stop.pair,
    )
    if stop.pauses:
        unfinished &= Q(pauses=True)
    return Stop.objects.filter(same | unfinished).first()


def _store(stop: Stop, grants: int, requests: int) -> Stop:
    try:
        with transaction.atomic():
            lifecycle.press(stop, grants=grants, requests=requests)
            nudge_on_commit(tasks.carry_out_stop, stop.pk)
    except IntegrityError as error:
        if "stop_one_unfinished" not in str(error) and "key" not in str(error):
            raise
        unfinished = "The red button was pressed for this a moment ago, and is being carried out."
        raise ValidationError(unfinished, code="stop_unfinished") from error
    return Stop.objects.with_things().get(pk=stop.pk)


def lift(*, actor: User, stop: Stop) -> None:
    """Let new access within a scope be asked for and approved again. Raises Refused or StaleState.

    What was ended does not come back.
    """
    with refusals_recorded("stop:lift", actor, stop.subject, "lifting a pause"):
        require(authz.can_stop(actor))
    lifecycle.lift_pause(
        stop,
        actor=actor.username,
        sentence=f"{actor.label} lifted the pause after {stop.words} had been ended.",
        now=database_now(),
    )


@dataclass(frozen=True)
class Progress:
    """How far a stop has come, in numbers of grants."""

    left: int
    """Not revoked yet: batches follow."""
    locking: int
    """Revoked, and AWS has not confirmed yet that nobody gets through."""
    removing: int
    """Nobody gets through; parts in AWS are still being removed."""
    ended: int
    """Nothing is left in AWS."""
    failing: int
    """Of those that are not ended: several attempts failed."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.left + self.locking + self.removing + self.ended

    @property
    def closed(self) -> int:
        """Through which nobody gets any more, as AWS has confirmed."""
        return self.removing + self.ended


def progress(stop: Stop) -> Progress:
    """How far a stop has come: counts, however many grants there are."""
    ended = Q(phase=Phase.ENDED)
    locked = Q(locked_out_at__isnull=False)
    numbers = stop.grants.aggregate(
        ended=Count("pk", filter=ended),
        removing=Count("pk", filter=~ended & locked),
        locking=Count("pk", filter=~ended & ~locked),
        failing=Count("pk", filter=FAILING),
    )
    left = 0 if stop.finished_at else held_by(stop).grants.count()
    return Progress(left=left, **numbers)


FAILING = ~Q(phase=Phase.ENDED) & Q(attempts__gte=ATTENTION_AFTER) & ~Q(last_error="")


def failing(stop: Stop) -> QuerySet[Grant]:
    """Grants of a stop that a person should look at."""
    return stop.grants.filter(FAILING).with_parties().order_by("id")
