"""Mail to one person, as HTML and as text."""

import smtplib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import formataddr
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives, mailers
from django.core.mail.backends.base import BaseEmailBackend
from django.template.loader import render_to_string

from accounts.models import User
from notices.channels.errors import NotSent
from notices.core.message import Message
from notices.core.words import one_line, subject


class NoServer(BaseEmailBackend):
    """For processes that know no mail server: they are not to send, and silence would hide it."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Refuse."""
        raise ConnectionRefusedError("This process knows no mail server.")


@dataclass(frozen=True)
class Place:
    """Which mail of which conversation this is: numbers of notices."""

    number: int
    first: int
    """The first mail of the conversation, which may be this one."""


def compose(message: Message, person: User, place: Place) -> EmailMultiAlternatives:
    """The mail. It has the same Message-ID at every attempt, so that a second copy shows as one."""
    context = {"message": message, "person": person, "base_url": settings.BASE_URL}
    own, first = message_id(place.number), message_id(place.first)
    headers = {"Message-ID": own, "Auto-Submitted": "auto-generated"}
    if place.first != place.number:
        headers |= {"In-Reply-To": first, "References": first}
    mail = EmailMultiAlternatives(
        subject=subject(message.subject),
        body=render_to_string("notices/mail.txt", context),
        from_email=settings.MAIL_FROM,
        to=[formataddr((one_line(person.label), person.email))],
        headers=headers,
    )
    mail.attach_alternative(render_to_string("notices/mail.html", context), "text/html")
    return mail


def message_id(number: int) -> str:
    """The Message-ID of a notice."""
    host = urlsplit(settings.BASE_URL).hostname
    return f"<notice-{number}.{settings.PORTAL_ID}@{host}>"


@contextmanager
def connection() -> Iterator[BaseEmailBackend]:
    """A connection to the mail server for several mails. It opens with the first."""
    backend = mailers.default
    try:
        yield backend
    finally:
        # A server that is gone can't be said goodbye to; what was sent is recorded.
        with suppress(OSError):
            backend.close()


def send(backend: BaseEmailBackend, mail: EmailMultiAlternatives) -> None:
    """Hand a mail over to the server. Raises NotSent."""
    try:
        backend.open()
        backend.send_messages([mail])
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as no:
        code = _code(no)
        for_good = code is not None and 500 <= code < 600
        raise NotSent(
            f"The mail server refused this mail ({code}).", for_good=for_good, channel_down=False
        ) from no
    except smtplib.SMTPAuthenticationError as no:
        raise NotSent("The mail server refused user name or password.") from no
    except smtplib.SMTPServerDisconnected as no:
        raise NotSent("The mail server hung up, or did not answer in time.") from no
    except smtplib.SMTPException as no:
        raise NotSent(f"The mail server did not take it: {type(no).__name__}.") from no
    except TimeoutError as no:
        raise NotSent("The mail server did not answer in time.") from no
    except OSError as no:
        raise NotSent(
            f"The mail server cannot be reached: {no.strerror or type(no).__name__}."
        ) from no


def _code(refused: smtplib.SMTPException) -> int | None:
    if isinstance(refused, smtplib.SMTPRecipientsRefused):
        return next((code for code, _ in refused.recipients.values()), None)
    return getattr(refused, "smtp_code", None)
