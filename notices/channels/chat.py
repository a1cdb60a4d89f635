"""A message to a chat room, through apprise, which knows the forms of the services."""

import logging
import re
from typing import Any, Final
from urllib.parse import unquote

from notices.channels.errors import NotSent
from notices.core.message import Message
from notices.core.parse import ChannelAddress
from notices.core.words import for_chat

LONGEST_NOTE: Final = 300


def text_of(message: Message) -> str:
    """The body. What people typed can call nobody, and no link of theirs hides where it leads."""
    facts = [f"{label}: {for_chat(value)}" for label, value in message.facts]
    quote = [f"“{for_chat(message.quote)}”"] if message.quote else []
    links = [f"{link.label}: {link.url}" for link in message.links]
    parts = [[for_chat(line) for line in message.lines], facts, quote, links]
    return "\n\n".join("\n".join(part) for part in parts if part)


def send(channel: ChannelAddress, message: Message) -> None:
    """Post it. Raises NotSent."""
    server = _server(channel)
    notes = _Notes()
    logger = logging.getLogger("apprise")
    logger.addHandler(notes)
    try:
        done = server.notify(
            title=for_chat(message.headline), body=text_of(message), body_format="text"
        )
    finally:
        logger.removeHandler(notes)
    if not done:
        words = without_secrets(notes.last or "The service did not take it.", channel.url)
        raise NotSent(words[:LONGEST_NOTE])


def _server(channel: ChannelAddress) -> Any:
    # Imported here because it takes a second to load, and only those who have such a channel pay.
    import apprise

    # No redirects: what a service answers must not choose where the message goes next.
    asset = apprise.AppriseAsset(http_redirects=False, app_id="Sallyport")
    found = apprise.Apprise.instantiate(channel.url, asset=asset)
    if found is None:
        raise NotSent("The address of this channel is not complete.")
    return found


class _Notes(logging.Handler):
    """Keeps what apprise says last: it tells only there why something failed."""

    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.last = record.getMessage()


def without_secrets(text: str, url: str) -> str:
    """Without any part of the channel's address, as it is written there or as it is meant."""
    parts = {one for form in (url, unquote(url)) for one in re.split(r"[/:@?&=#]+", form)}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= 5:
            text = text.replace(part, "…")
    return text
