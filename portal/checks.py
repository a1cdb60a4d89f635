"""Refuse settings that would make a production installation unsafe."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


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
