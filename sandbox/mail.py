"""What stands for a mail server: a folder with one file for each mail, and the looks into it."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage as ParsedMessage
from email.policy import default
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend


class FolderBackend(BaseEmailBackend):
    """Writes mail to files, in the form that any mail program opens."""

    def __init__(self, *, folder: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folder = folder

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Write them. A reader never meets half a file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for message in email_messages:
            path = self.folder / f"{time.time_ns()}.eml"
            half = path.with_suffix(".new")
            half.write_bytes(message.message().as_bytes())
            half.rename(path)
        return len(email_messages)


@dataclass(frozen=True)
class Mail:
    """One mail, parsed as a receiver's program would."""

    name: str
    at: datetime
    message: ParsedMessage

    @property
    def to(self) -> str:
        """The receiver."""
        return str(self.message["To"])

    @property
    def subject(self) -> str:
        """The subject."""
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        """The part without HTML."""
        return self._part("plain")

    @property
    def html(self) -> str:
        """The part with HTML."""
        return self._part("html")

    def _part(self, kind: str) -> str:
        part = self.message.get_body([kind])
        return str(part.get_content()) if part is not None else ""


def newest(count: int) -> list[Mail]:
    """The last mails, newest first."""
    paths = sorted(settings.MAIL_FOLDER.glob("*.eml"), reverse=True)
    return [_read(path) for path in islice(paths, count)]


def find(name: str) -> Mail | None:
    """The mail of this name, if there is one."""
    path: Path = settings.MAIL_FOLDER / f"{name}.eml"
    return _read(path) if re.fullmatch("[0-9]{1,20}", name) and path.is_file() else None


def _read(path: Path) -> Mail:
    message = message_from_bytes(path.read_bytes(), policy=default)
    if not isinstance(message, ParsedMessage):
        raise TypeError(f"{path} is no mail.")
    at = datetime.fromtimestamp(int(path.stem) / 1e9, tz=UTC)
    return Mail(path.stem, at, message)
