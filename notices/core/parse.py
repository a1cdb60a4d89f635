"""What the settings say of notices, parsed once. What cannot be right stops the process."""

import ipaddress
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from notices.core import signature

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,19}")
_MAIL: Final = {"smtp": {}, "smtp+tls": {"use_tls": True}, "smtp+ssl": {"use_ssl": True}}
MAIL_TIMEOUT: Final = 10
"""Seconds that a mail server may take for one answer."""


class BadSetting(ValueError):
    """A setting of notices cannot be used; the text says which, and never shows a secret."""


def channel_names(text: str) -> tuple[str, ...]:
    """`ops,audit`: names of shared channels."""
    names = tuple(one.strip() for one in text.split(",") if one.strip())
    for name in names:
        if name == "mail" or _NAME.fullmatch(name) is None:
            raise BadSetting(
                f"SALLYPORT_CHANNELS: {name!r} is no name. Use small letters, digits and hyphens, "
                "20 at most, and not the word mail."
            )
    if len(set(names)) < len(names):
        raise BadSetting("SALLYPORT_CHANNELS names a channel twice.")
    return names


def networks(text: str) -> tuple[Network, ...]:
    """`10.0.0.0/8,fd00::/8`."""
    try:
        return tuple(ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip())
    except ValueError as error:
        raise BadSetting(f"SALLYPORT_WEBHOOK_NETWORKS: {error}.") from error


def mailers(url: str) -> dict[str, dict[str, Any]]:
    """Django's MAILERS from `smtp+tls://user:password@host:587`. Without an address mail is an
    error, which is right for every process but the notifier."""
    if not url:
        return {"default": {"BACKEND": "notices.channels.mail.NoServer"}}
    parts = urlsplit(url)
    if parts.scheme not in _MAIL or not parts.hostname:
        raise BadSetting(
            "SALLYPORT_MAIL_URL has to be smtp+tls://, smtp+ssl:// or smtp://, with a host."
        )
    options: dict[str, Any] = {"host": parts.hostname, "timeout": MAIL_TIMEOUT}
    options |= _MAIL[parts.scheme]
    if parts.port:
        options["port"] = parts.port
    if parts.username:
        options |= {
            "username": unquote(parts.username),
            "password": unquote(parts.password or ""),
        }
    return {
        "default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}
    }


# --- Shared channels -------------------------------------------------------------------------

WEBHOOK_SCHEMES: Final = frozenset({"https", "http"})
CHAT_SCHEMES: Final = frozenset(
    {
        "discord",
        "gchat",
        "matrixs",
        "mmosts",
        "ntfys",
        "pagerduty",
        "rockets",
        "slack",
        "tgram",
        "webex",
        "workflows",
        "wxteams",
        "zulip",
    }
)
"""What apprise may be asked to open: services that are reached by TLS and show a message to people.
`workflows` is Microsoft Teams. Its schemes for plain HTTP, files, commands and mail stay closed."""


@dataclass(frozen=True)
class ChannelAddress:
    """Where a shared channel leads. It holds secrets: never show or log one."""

    name: str
    url: str = field(repr=False)
    secret: str = field(default="", repr=False)

    @property
    def is_webhook(self) -> bool:
        """Whether it takes our own signed JSON; else apprise knows its form."""
        return urlsplit(self.url).scheme in WEBHOOK_SCHEMES


def channel_addresses(
    text: str, names: Iterable[str], *, allow_http: bool
) -> dict[str, ChannelAddress]:
    """The address of each named channel, from TOML: `[ops]` with `address`, and for a webhook
    `secret`. Every named channel has one, and nothing else is there. Raises BadSetting."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The error's own text may quote a part of the file.
        raise BadSetting("SALLYPORT_CHANNEL_ADDRESSES is no TOML.") from error
    if set(tables) != set(names):
        odd = ", ".join(sorted(set(tables) ^ set(names)))
        raise BadSetting(
            f"SALLYPORT_CHANNELS and SALLYPORT_CHANNEL_ADDRESSES name different channels: {odd}."
        )
    return {name: _address(name, table, allow_http=allow_http) for name, table in tables.items()}


def _address(name: str, table: Any, *, allow_http: bool) -> ChannelAddress:
    if not isinstance(table, dict) or not {"address"} <= set(table) <= {"address", "secret"}:
        raise BadSetting(f"Channel {name}: give an address, for a webhook a secret, nothing else.")
    channel = ChannelAddress(name, str(table["address"]), str(table.get("secret", "")))
    scheme = urlsplit(channel.url).scheme
    if channel.is_webhook:
        if scheme == "http" and not allow_http:
            raise BadSetting(f"Channel {name}: a webhook is called by https only.")
        _check_webhook(channel)
    elif scheme not in CHAT_SCHEMES:
        raise BadSetting(
            f"Channel {name}: {scheme or 'an address without a scheme'} is not allowed. "
            f"Use https or one of {', '.join(sorted(CHAT_SCHEMES))}."
        )
    elif channel.secret:
        raise BadSetting(f"Channel {name}: only webhooks have a secret beside the address.")
    return channel


def _check_webhook(channel: ChannelAddress) -> None:
    parts = urlsplit(channel.url)
    if not parts.hostname or parts.username is not None:
        raise BadSetting(f"Channel {channel.name}: give the address with a host, without a user.")
    try:
        signature.key_of(channel.secret)
    except ValueError as error:
        raise BadSetting(f"Channel {channel.name}: {error}") from error
