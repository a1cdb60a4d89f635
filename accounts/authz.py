"""Who may look at the registry, and who may change it."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from accounts.models import User

type View[**P] = Callable[Concatenate[HttpRequest, P], HttpResponse]


def person_of(request: HttpRequest) -> User:
    """Who is signed in. LoginRequiredMiddleware lets nobody else through; if it did, 403."""
    if not isinstance(request.user, User):
        raise PermissionDenied("Nobody is signed in.")
    return request.user


def may_read_registry(person: User) -> bool:
    """Admins and auditors look."""
    return person.sees_everything


def may_change_registry(person: User) -> bool:
    """Admins change."""
    return person.is_portal_admin


def registry_readable[**P](view: View[P]) -> View[P]:
    """Let in who may look; everybody else gets 403."""
    return _guarded(view, may_read_registry, "Only admins and auditors see the registry.")


def admin_required[**P](view: View[P]) -> View[P]:
    """Let in who may change; everybody else gets 403."""
    return _guarded(view, may_change_registry, "Only admins change the registry.")


def _guarded[**P](view: View[P], allowed: Callable[[User], bool], refusal: str) -> View[P]:
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not allowed(person_of(request)):
            raise PermissionDenied(refusal)
        return view(request, *args, **kwargs)

    return guarded
