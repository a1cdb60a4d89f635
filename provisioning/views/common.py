"""What all pages share: who asks, what they may see, where a page is cut."""

from collections.abc import Callable
from typing import Concatenate

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404

from accounts.models import User
from provisioning.models import AccessRequest, Grant

PAGE = 50
STOP_POLLING = 286
"""htmx stops asking when it gets this status."""


def person_of(request: HttpRequest) -> User:
    """Who is signed in; LoginRequiredMiddleware has let nobody else through."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to. An empty post is a post too: its missing fields are errors."""
    return request.POST if request.method == "POST" else None


def load(request: HttpRequest, code: str) -> AccessRequest:
    """A request that this person may see; to anybody else it does not exist."""
    visible = AccessRequest.objects.visible_to(person_of(request)).with_parties()
    return get_object_or_404(visible, code=code)


def load_grant(request: HttpRequest, code: str) -> Grant:
    visible = Grant.objects.visible_to(person_of(request)).with_parties()
    return get_object_or_404(visible, code=code)


def for_overseers[**P](
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Only admins and auditors; everybody else is told so (403)."""

    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not person_of(request).sees_everything:
            raise PermissionDenied("This page is for admins and auditors.")
        return view(request, *args, **kwargs)

    return guarded
