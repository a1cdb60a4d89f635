"""What the registry's pages have in common: rendering, forms, lists, histories, proposals."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, Final

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.authz import may_change_registry, person_of
from accounts.forms import RegistryForm
from accounts.four_eyes.gate import Proposed
from accounts.models import Proposal

PAGE: Final = 50
"""Rows of one page of a list."""
STOP_POLLING: Final = 286
"""htmx stops asking when it gets this status."""

form_view = require_http_methods(["GET", "HEAD", "POST"])


def page(request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
    """Render a page of the registry, which knows whether this person may change anything."""
    context["may_change"] = may_change_registry(person_of(request))
    return render(request, f"accounts/{template}", context, status=status)


def form_page(
    request: HttpRequest, template: str, form: RegistryForm, **context: Any
) -> HttpResponse:
    """Render a form: empty, or with what was wrong in it."""
    status = 422 if form.is_bound else 200
    return page(request, template, status=status, form=form, **context)


def posted(request: HttpRequest) -> Any:
    """What a form begins with: what was sent, or nothing."""
    return request.POST if request.method == "POST" else None


def proposing[**P](
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Lead whoever proposed a change to the proposal, and say that nothing has changed yet."""

    @wraps(view)
    def led(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Proposed as waiting:
            messages.warning(request, str(waiting))
            return redirect(waiting.proposal)

    return led


def paged(request: HttpRequest, rows: QuerySet[Any]) -> Page[Any]:
    """The page of a list that the address asks for."""
    return Paginator(rows, PAGE).get_page(request.GET.get("page"))


def open_proposal(about: str) -> Proposal | None:
    """The proposal that is open about something."""
    return Proposal.objects.open().select_related("proposed_by").filter(about=about).first()
