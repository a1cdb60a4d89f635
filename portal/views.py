"""Signing in, one's own password, and what is shown when a page fails."""

import sys
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, redirect_to_login
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import InterfaceError, InternalError, OperationalError
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.authz import person_of
from accounts.services import people
from accounts.sign_in.forms import OwnPasswordForm, SignInForm, refusal_of
from accounts.sign_in.origin import remember_device

CHANGED: Final = (
    "Your password is changed. You stay signed in here, and are signed out everywhere else."
)


class SignInView(LoginView):
    """The sign-in page; in the sandbox also one button for each of its people."""

    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Sign in, and know the browser again."""
        response = super().form_valid(form)
        remember_device(response, person_of(self.request))
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """422 at the form, as everywhere; 429 where the password was not even looked at."""
        return _refused(super().form_invalid(form), form)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the sandbox's people."""
        context = super().get_context_data(**kwargs)
        if settings.SANDBOX:
            context["sandbox_people"] = import_string("sandbox.people.PEOPLE")
        return context


def _refused(response: HttpResponse, form: Form) -> HttpResponse:
    """The page of a form that asks for a password and was not accepted."""
    response.status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    refusal = refusal_of(form)
    if refusal:
        response.status_code = HTTPStatus.TOO_MANY_REQUESTS
        response["Retry-After"] = str(refusal.seconds)
    return response


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def own_password(request: HttpRequest) -> HttpResponse:
    """Somebody changes their own password. They stay signed in here, and nowhere else."""
    person = person_of(request)
    if not person.has_usable_password():
        if request.method == "POST":
            raise PermissionDenied("Sallyport keeps no password for you, so none can be changed.")
        return render(request, "registration/own_password.html")
    form = OwnPasswordForm(person, request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            people.change_own_password(person=person, password=form.cleaned_data["new_password1"])
        except ValidationError as error:
            form.add_error(None, error)
        else:
            update_session_auth_hash(request, person)
            messages.success(request, CHANGED)
            return redirect("own-password")
    page = render(request, "registration/own_password.html", {"form": form})
    return _refused(page, form) if form.is_bound else page


@login_not_required
def admin_sign_in(request: HttpRequest) -> HttpResponse:
    """Django's admin has no sign-in page of its own: there is one door, and it counts."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.GET.get("next", ""))
    if not admin.site.has_permission(request):
        raise PermissionDenied("Only staff see Django's admin site.")
    return redirect("admin:index")


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
