"""The red button: what would end, a typed confirmation, and the progress."""

from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import AccountPair, AwsAccount, User
from provisioning import authz
from provisioning.forms.ending import StopForm, StopSearchForm
from provisioning.lifecycle import StaleState
from provisioning.models import Stop
from provisioning.services import red_button as services
from provisioning.services.common import Refused
from provisioning.services.red_button import Thing
from provisioning.views.common import (
    PAGE,
    STOP_POLLING,
    for_overseers,
    only_if,
    person_of,
    posted,
)

MATCHES = 10
"""Of each kind, when somebody looks for whose access is to end."""
confirmed_view = require_http_methods(["GET", "POST"])


@require_GET
@for_overseers
def red_button(request: HttpRequest) -> HttpResponse:
    """Whose access could be ended, which pauses are in force, and what was pressed lately."""
    form = StopSearchForm(request.GET)
    text = form.cleaned_data["q"].strip() if form.is_valid() else ""
    pauses, lately = authz.pauses(), list(Stop.objects.with_things()[:MATCHES])
    context = {
        "form": form,
        "text": text,
        "pauses": pauses,
        "lately": lately,
        "names": User.objects.labels_of(one.pressed_by for one in (*pauses, *lately)),
    }
    found = _matching(text) if text else {}
    status = 200 if form.is_valid() else 422
    return render(request, "provisioning/red_button.html", context | found, status=status)


def _matching(text: str) -> dict[str, Any]:
    people = Q(username__icontains=text) | Q(first_name__icontains=text)
    account = Q(name__icontains=text) | Q(account_id__startswith=text)
    pairs = Q(source__name__icontains=text) | Q(target__name__icontains=text)
    numbers = Q(source__account_id__startswith=text) | Q(target__account_id__startswith=text)
    joined = AccountPair.objects.filter(pairs | numbers).select_related("source", "target")
    return {
        "people": User.objects.filter(people | Q(last_name__icontains=text)).order_by("username")[
            :MATCHES
        ],
        "accounts": AwsAccount.objects.filter(account).order_by("name")[:MATCHES],
        "pairs": joined.filter(retired_at=None)[:MATCHES],
    }


@confirmed_view
def everything(request: HttpRequest) -> HttpResponse:
    """End all access of everybody."""
    return _press(request, None)


@confirmed_view
def person(request: HttpRequest, pk: int) -> HttpResponse:
    """End all access of a person."""
    _only_admins(request)
    return _press(request, get_object_or_404(User, pk=pk))


@confirmed_view
def account(request: HttpRequest, account_id: str) -> HttpResponse:
    """End all access from and into an account."""
    _only_admins(request)
    return _press(request, get_object_or_404(AwsAccount, account_id=account_id))


@confirmed_view
def pair(request: HttpRequest, pk: int) -> HttpResponse:
    """End all access through a pair."""
    _only_admins(request)
    pairs = AccountPair.objects.select_related("source", "target")
    return _press(request, get_object_or_404(pairs, pk=pk))


def _only_admins(request: HttpRequest) -> None:
    only_if(authz.can_stop(person_of(request)))


def _press(request: HttpRequest, thing: Thing) -> HttpResponse:
    _only_admins(request)
    initial = {"key": uuid4(), "pause": thing is None}
    form = StopForm(services.name_of(thing), posted(request), initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            pressed = services.press(
                actor=person_of(request),
                thing=thing,
                key=form.cleaned_data["key"],
                confirmation=form.cleaned_data["confirmation"],
                reason=form.cleaned_data["reason"],
                pause=form.cleaned_data["pause"],
            )
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return redirect(pressed)
    stop = services.stop_of(thing)
    found = services.held_by(stop)
    context = {
        "stop": stop,
        "thing": thing,
        "form": form,
        "grants": found.grants[:PAGE],
        "requests": found.requests[:PAGE],
        "counts": {
            "grants": found.grants.count(),
            "requests": found.requests.count(),
            "ending": found.ending.count(),
        },
    }
    status = 422 if form.errors else 200
    return render(request, "provisioning/stop_confirm.html", context, status=status)


@require_GET
@for_overseers
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """How far a red button has come; polled until AWS has nothing left of it."""
    shown = get_object_or_404(Stop.objects.with_things(), pk=pk)
    progress = services.progress(shown)
    settled = shown.finished_at is not None and progress.ended == progress.total
    context = {
        "stop": shown,
        "names": User.objects.labels_of([shown.pressed_by, shown.lifted_by]),
        "progress": progress,
        "settled": settled,
        "failing": services.failing(shown)[:PAGE] if progress.failing else (),
    }
    if request.htmx:  # type: ignore[attr-defined]  # django-htmx adds it
        status = STOP_POLLING if settled else 200
        return render(request, "provisioning/stop.html#live", context, status=status)
    return render(request, "provisioning/stop.html", context)


@require_POST
def lift(request: HttpRequest, pk: int) -> HttpResponse:
    """Let new access be asked for and approved again."""
    _only_admins(request)
    shown = get_object_or_404(Stop.objects.with_things(), pk=pk)
    try:
        services.lift(actor=person_of(request), stop=shown)
    except (Refused, StaleState) as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, "The pause is lifted: people can ask again.")
    return redirect("provisioning:red-button")
