"""Where a try to sign in comes from: which browser, which network address."""

import secrets
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from accounts.models import User
from accounts.sign_in import guesses

DEVICE_SALT: Final = "accounts.sign_in.device"
"""Another one would forget all browsers that are known."""
DEVICE_KNOWN_FOR: Final = timedelta(days=180)
"""Since somebody last signed in with it."""


def known_device(request: HttpRequest, username: str) -> str:
    """The id of the browser, if this name has signed in with it before; else nothing."""
    try:
        about, device = signing.loads(
            request.COOKIES.get(settings.DEVICE_COOKIE_NAME, ""),
            salt=DEVICE_SALT,
            max_age=DEVICE_KNOWN_FOR,
        )
    except signing.BadSignature:
        return ""
    return str(device) if about == guesses.name_key(username).about else ""


def remember_device(response: HttpResponse, person: User) -> None:
    """Know this browser again when this person signs in. It lets nobody in."""
    about = guesses.name_key(person.username).about
    response.set_cookie(
        settings.DEVICE_COOKIE_NAME,
        signing.dumps([about, secrets.token_hex(16)], salt=DEVICE_SALT),
        max_age=DEVICE_KNOWN_FOR,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )


def client_address(request: HttpRequest) -> str | None:
    """Where a request comes from, as far as it can be believed; None where nothing can be said.

    Whoever sends a request writes `X-Forwarded-For` too. Only as many of its last entries count as
    the settings name proxies that append to it. Of IPv6 the network counts: one person has
    2**64 addresses in it.
    """
    came_from = str(request.META.get("REMOTE_ADDR", ""))
    proxies: int = settings.PROXIES
    if proxies:
        hops = request.headers.get("X-Forwarded-For", "").split(",")
        return _place(hops[-proxies:][0]) or _place(came_from)
    return None if settings.BEHIND_PROXY else _place(came_from)


def _place(text: str) -> str | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ip_network((address.packed, 64), strict=False))
    return str(address)
