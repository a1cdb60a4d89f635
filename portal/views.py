"""Signing in, and what is shown when a page fails."""

import sys
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.auth.views import LoginView
from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.module_loading import import_string


class SignInView(LoginView):
    """The sign-in page; in the sandbox also one button for each of its people."""

    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the sandbox's people."""
        context = super().get_context_data(**kwargs)
        if settings.SANDBOX:
            context["sandbox_people"] = import_string("sandbox.people.PEOPLE")
        return context


DATABASE_AWAY = OperationalError, InterfaceError, InternalError
"""It restarts, is cut off, takes no writes, or gave up on two who waited for each other."""


def failed(request: HttpRequest) -> HttpResponse:
    """A page that failed: 503 where the database is away, which passes by itself, else 500.

    Nothing may be needed here that could fail as well: no context, no session.
    """
    away = isinstance(sys.exception(), DATABASE_AWAY)
    status = HTTPStatus.SERVICE_UNAVAILABLE if away else HTTPStatus.INTERNAL_SERVER_ERROR
    answer = HttpResponse(render_to_string(f"{status:d}.html"), status=status)
    if away:
        answer["Retry-After"] = "5"
    return answer
