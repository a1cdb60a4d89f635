"""How often somebody may be wrong about a password, and how long they wait after that.

A try is counted before the password is looked at, and taken back when it was right: so tries at
the same moment cannot be more than the limit. Time is the database's (`audit.clock`). Why it is
done so: docs/adr/0034.
"""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Case, F, When
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac

from accounts.models import GuessCounter, GuessCounterQuerySet, User
from audit.clock import database_now
from audit.models import AuditEvent, append

log = structlog.get_logger(__name__)

Kind = GuessCounter.Kind
SIGN_IN: Final = "system:sign-in"
"""Who slows a sign-in down, in audit events."""
MOST: Final = 100
"""Wrong passwords one after the other that a name may have at all (NIST SP 800-63B, 5.2.2)."""
CLOSED: Final = timedelta(days=30)
"""How long it is closed after that, unless an admin opens it."""
FORGET_BATCH: Final = 1000
"""Rows that the sweeper removes in one round."""


@dataclass(frozen=True)
class Limit:
    """How many wrong tries are free, and how the wait after each further one grows."""

    tries: int
    longest_wait: timedelta
    memory: timedelta
    """How long without a try until all is forgotten."""
    most: int | None = None
    first_wait: timedelta = timedelta(seconds=30)

    def wait(self, failures: int) -> timedelta:
        """Until the next try, after so many wrong ones."""
        if failures < self.tries:
            return timedelta(0)
        if self.most is not None and failures >= self.most:
            return CLOSED
        doublings = min(failures - self.tries, 20)
        return min(self.first_wait * (1 << doublings), self.longest_wait)


def limit_of(kind: str) -> Limit:
    """The limit of one kind. One without tries is switched off."""
    if kind == Kind.ADDRESS:
        # Many people share an address, so it is generous, and no address is ever closed for good.
        return Limit(
            settings.SIGN_IN_ADDRESS_TRIES,
            longest_wait=timedelta(minutes=5),
            memory=timedelta(hours=1),
        )
    return Limit(
        settings.SIGN_IN_TRIES, longest_wait=timedelta(hours=1), memory=timedelta(days=1), most=MOST
    )


@dataclass(frozen=True, order=True)
class Key:
    """Which counter."""

    kind: str
    about: str
    device: str = ""


def hashed(kind: str, text: str) -> str:
    """What a counter keeps instead of the text."""
    return salted_hmac(f"accounts.guesses.{kind}", text, algorithm="sha256").hexdigest()


def normalised(name: str) -> str:
    """A user name without what people take for the same: case, width, space around it."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).strip().casefold())


def name_key(name: str, device: str = "") -> Key:
    """The counter of sign-ins with this name, on a device that it is known on or on all others."""
    return Key(Kind.NAME, hashed(Kind.NAME, normalised(name)), device)


def address_key(address: str) -> Key:
    """The counter of sign-ins from this address."""
    return Key(Kind.ADDRESS, hashed(Kind.ADDRESS, address))


def password_key(name: str) -> Key:
    """The counter of the old password, where somebody who is signed in changes theirs."""
    return Key(Kind.PASSWORD, hashed(Kind.PASSWORD, normalised(name)))


class TooManyGuesses(ValidationError):
    """No password is looked at before `wait` has passed. A form shows it like any other error."""

    def __init__(self, kind: str, wait: timedelta) -> None:
        self.wait = wait
        super().__init__(_refusal(kind, wait), code="too_many_guesses")

    @property
    def seconds(self) -> int:
        """Whole seconds until the next try, never too few."""
        return math.ceil(self.wait.total_seconds())


def _refusal(kind: str, wait: timedelta) -> str:
    if kind == Kind.ADDRESS:
        return (
            f"Too many wrong passwords from your network address. Wait {in_words(wait)}, then try "
            "again. This password was not looked at."
        )
    if wait > timedelta(days=1):
        return (
            "Too many wrong passwords for this user name, so no more are taken. Ask an admin to "
            "open it again."
        )
    return (
        f"Too many wrong passwords for this user name. Wait {in_words(wait)}, then try again. This "
        "password was not looked at. If you have forgotten it, ask an admin for a new one."
    )


def in_words(wait: timedelta) -> str:
    """A wait as people say it, rounded up: `30 seconds`, `1 minute`, `60 minutes`."""
    seconds = math.ceil(wait.total_seconds())
    number, unit = (seconds, "second") if seconds < 60 else (math.ceil(seconds / 60), "minute")
    return f"{number} {unit}{'' if number == 1 else 's'}"


# --- One try ---------------------------------------------------------------------------------


def begin(*keys: Key) -> Sequence[GuessCounter]:
    """Count one try, before its password is looked at. Raises TooManyGuesses.

    Give what it returns to `right` or to `wrong`. A try that is refused counts for nothing.
    """
    wanted = sorted(key for key in keys if limit_of(key.kind).tries)
    if not wanted:
        return []
    with transaction.atomic():
        rows = _locked(wanted)
        now = database_now()
        last = max(rows, key=lambda row: row.open_at)
        if last.open_at > now:
            raise TooManyGuesses(last.kind, last.open_at - now)
        for row in rows:
            _count(row, now)
        GuessCounter.objects.bulk_update(rows, ["failures", "open_at", "forgotten_at"])
    return rows


def _locked(keys: Sequence[Key]) -> list[GuessCounter]:
    """The rows of sorted keys, made where there are none, and ours until the transaction ends.

    The update of a row that is there already changes nothing: it waits for whoever has the row,
    and keeps the sweeper from removing it.
    """
    rows = [GuessCounter(kind=key.kind, about=key.about, device=key.device) for key in keys]
    fields = ["kind", "about", "device"]
    GuessCounter.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=fields, update_fields=["device"]
    )
    found = {Key(row.kind, row.about, row.device): row for row in _rows_of(keys)}
    return [found[key] for key in keys]


def _rows_of(keys: Sequence[Key]) -> Sequence[GuessCounter]:
    rows = GuessCounter.objects.filter(about__in=[key.about for key in keys])
    return list(rows.filter(device__in={key.device for key in keys}))


def _count(row: GuessCounter, now: datetime) -> None:
    limit = limit_of(row.kind)
    row.failures = 1 if row.forgotten_at <= now else row.failures + 1
    row.open_at = now + limit.wait(row.failures)
    row.forgotten_at = row.open_at + limit.memory


def right(rows: Sequence[GuessCounter]) -> None:
    """The password was right: the name starts anew, and the address gets this one try back.

    Not more, or whoever has one account could guess at all the others for ever.
    """
    for row in rows:
        if row.kind != Kind.ADDRESS:
            GuessCounter.objects.filter(kind=row.kind, about=row.about).delete()
            continue
        # A later try that was counted in between keeps the wait that it began.
        opened = Case(When(failures=row.failures, then=Now()), default=F("open_at"))
        GuessCounter.objects.filter(pk=row.pk, failures__gt=0).update(
            failures=F("failures") - 1, open_at=opened
        )


def wrong(rows: Sequence[GuessCounter], name: str) -> None:
    """The password was wrong. Where that begins a wait, or closes a name, it is recorded.

    Once for all the waits that follow, so that guessing fills neither record nor log; and nothing
    of a name that is nobody's.
    """
    for row in rows:
        if row.failures not in {limit_of(row.kind).tries, limit_of(row.kind).most}:
            continue
        log.warning("guesses_slowed", kind=row.kind, failures=row.failures, known=bool(row.device))
        if row.kind != Kind.ADDRESS:
            _record(row, name)


def _record(row: GuessCounter, name: str) -> None:
    person = User.objects.filter(username__iexact=normalised(name)).first()
    if person is None:
        # Whoever measures times must not learn from them whether somebody has this name.
        AuditEvent.objects.latest_about("user:nobody").first()
        return
    aspect, verb = ("closed", "closed") if row.failures == MOST else ("slowed", "slowed down")
    guessed = f"{row.failures} wrong passwords one after the other"
    append(
        kind=f"user:sign-in:{aspect}",
        actor=SIGN_IN,
        subject=f"user:{person.pk}",
        sentence=f"Sign-in as {person.username} is {verb} {row.where}: {guessed}.",
        data={"name": person.username, "failures": row.failures, "where": row.where},
    )


# --- For admins, and the sweeper -------------------------------------------------------------


def closed_for(person: User) -> GuessCounter | None:
    """What keeps this person from trying at this moment, the longest first."""
    return _counters_of(person).closed().order_by("-open_at").first()


def open_again(*, actor: str, label: str, person: User) -> bool:
    """Forget this person's wrong passwords, with the event. False where there were none."""
    with transaction.atomic():
        failures = _counters_of(person).delete()[0]
        if failures:
            append(
                kind="user:sign-in:opened",
                actor=actor,
                subject=f"user:{person.pk}",
                sentence=f"{label} let {person.username} try to sign in again at once.",
                data={"name": person.username},
            )
    return bool(failures)


def _counters_of(person: User) -> GuessCounterQuerySet:
    keys = name_key(person.username), password_key(person.username)
    return GuessCounter.objects.filter(about__in=[key.about for key in keys])


def forget(now: datetime) -> None:
    """Remove counters that count for nothing any more."""
    old = GuessCounter.objects.filter(forgotten_at__lt=now)
    oldest = old.order_by("forgotten_at").values_list("pk", flat=True)[:FORGET_BATCH]
    old.filter(pk__in=list(oldest)).delete()
