"""Refuse settings that would make a production installation unsafe."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register


@register(Tags.security, deploy=True)
def refuse_endpoint_override(**kwargs: Any) -> list[CheckMessage]:
    """An endpoint override would send provisioner credentials to somebody else's server."""
    if settings.SANDBOX or not settings.AWS_ENDPOINT_URL:
        return []
    return [
        Error(
            "AWS_ENDPOINT_URL is set outside the sandbox.",
            hint="Remove it: AWS calls must go to the endpoints that botocore resolves.",
            id="sallyport.E001",
        )
    ]


@register(Tags.security, deploy=True)
def refuse_plain_http(**kwargs: Any) -> list[CheckMessage]:
    """Sessions and Switch role links must not travel in the clear."""
    if settings.SANDBOX or urlsplit(settings.BASE_URL).scheme == "https":
        return []
    return [
        Error(
            "SALLYPORT_BASE_URL is not an https address.",
            hint="Serve the portal behind TLS and state its https address.",
            id="sallyport.E002",
        )
    ]


@register(Tags.security, deploy=True)
def refuse_endless_guessing(**kwargs: Any) -> list[CheckMessage]:
    """Without a limit a password is found in the end."""
    if settings.SANDBOX or settings.SIGN_IN_TRIES:
        return []
    return [
        Error(
            "Nothing limits how often somebody may guess a password.",
            hint="Set SALLYPORT_SIGN_IN_TRIES to a number from 1 to 100, or leave it away for 5.",
            id="sallyport.E004",
        )
    ]


@register(Tags.security, deploy=True)
def warn_of_unknown_addresses(**kwargs: Any) -> list[CheckMessage]:
    """One address that tries many names is noticed only where addresses are known and counted."""
    unknown = settings.BEHIND_PROXY and not settings.PROXIES
    if settings.SANDBOX or (settings.SIGN_IN_ADDRESS_TRIES and not unknown):
        return []
    return [
        Warning(
            "Wrong passwords are not counted by network address.",
            hint="Set SALLYPORT_PROXIES to the number of proxies that append to X-Forwarded-For."
            if unknown
            else "Set SALLYPORT_SIGN_IN_ADDRESS_TRIES, or leave it away for 100.",
            id="sallyport.W001",
        )
    ]


@register(Tags.security)
def refuse_public_sandbox(**kwargs: Any) -> list[CheckMessage]:
    """The sandbox signs anybody in with one click, so it may only be reached from this machine."""
    local = {"127.0.0.1", "localhost", "[::1]", "testserver"}
    if not settings.SANDBOX or set(settings.ALLOWED_HOSTS) <= local:
        return []
    return [
        Error(
            "The sandbox may only be served to this machine.",
            hint="Set ALLOWED_HOSTS to 127.0.0.1,localhost or turn SALLYPORT_SANDBOX off.",
            id="sallyport.E003",
        )
    ]
