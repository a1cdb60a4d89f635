"""What an audit event is about, as rows: read when it is taken up, and anew when it is told."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from accounts.models import AwsAccount, User
from audit.clock import database_now
from audit.models import AuditEvent
from notices.core.words import moment
from notices.models import MAIL, Preferences
from provisioning.models import AccessRequest, Grant


@dataclass(frozen=True)
class Story:
    """One event and the things that it names, as they are now."""

    event: AuditEvent
    now: datetime
    request: AccessRequest | None = None
    grant: Grant | None = None
    account: AwsAccount | None = None
    person: User | None = None
    """Of an event about a person."""

    @property
    def asked(self) -> AccessRequest:
        """The request that the event is about."""
        if self.request is None:
            raise LookupError(f"{self.event} names no request.")
        return self.request

    @property
    def access(self) -> Grant:
        """The grant that the event is about."""
        if self.grant is None:
            raise LookupError(f"{self.event} names no grant.")
        return self.grant

    @property
    def where(self) -> AwsAccount:
        """The account that the event is about."""
        if self.account is None:
            raise LookupError(f"{self.event} names no account.")
        return self.account

    @property
    def actor(self) -> str:
        """Who did it, as people name them."""
        person = User.objects.filter(username=self.event.actor).first()
        return person.label if person else "Sallyport"


def story_of(event: AuditEvent) -> Story:
    """Load what an event names."""
    now = database_now()
    kind, _, name = event.subject.partition(":")
    if kind == "grant":
        grant = Grant.objects.with_parties().filter(code=name).first()
        return Story(event, now, request=_request(event, name), grant=grant)
    if kind == "account":
        return Story(event, now, account=AwsAccount.objects.filter(account_id=name).first())
    if kind == "user":
        return Story(event, now, person=User.objects.filter(pk=name).first())
    return Story(event, now)


def _request(event: AuditEvent, code: str) -> AccessRequest | None:
    """A grant and its extensions share a subject: events of an extension name it in their data."""
    requests = AccessRequest.objects.with_parties()
    return requests.filter(code=event.data.get("request", code)).first()


@dataclass(frozen=True)
class Reader:
    """Whom a message is made for."""

    channel: str
    person: User | None = None
    zone: str = ""

    @property
    def is_shared(self) -> bool:
        """Whether anybody may be reading: nothing that is for one person goes there."""
        return self.channel != MAIL

    def moment(self, at: datetime) -> str:
        """A moment as this reader wants it."""
        return moment(at, self.zone)


def reader(channel: str, person: User | None) -> Reader:
    """Load how a recipient wants to read."""
    chosen = Preferences.objects.filter(person=person).first() if person else None
    return Reader(channel, person, chosen.time_zone if chosen else "")


def address(path: str) -> str:
    """The absolute address of a page: below the configured base and nowhere else."""
    return f"{settings.BASE_URL}{path}"
