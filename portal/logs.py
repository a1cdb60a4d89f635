"""What each line of the log says of the request that it belongs to."""

from typing import Any

import structlog
from django.dispatch import receiver
from django.http import HttpRequest
from django_structlog.signals import bind_extra_request_metadata

from accounts.sign_in.origin import client_address


@receiver(bind_extra_request_metadata)
def bind_address(request: HttpRequest, **_: Any) -> None:
    """Where the request comes from, as sign-in counts it. django-structlog's own takes whatever
    `X-Forwarded-For` says, which whoever sends the request writes."""
    structlog.contextvars.bind_contextvars(ip=client_address(request))
