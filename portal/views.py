"""Signing in."""

from typing import Any

from django.conf import settings
from django.contrib.auth.views import LoginView
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
