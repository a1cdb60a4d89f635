"""What a person wants to be told; for admins and auditors, where notices go and how they fared."""

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from notices import authz, services
from notices.forms import LogFilterForm, PreferencesForm, RoutesForm
from notices.models import Notice, Preferences, Route
from notices.topics import BY_KEY, topics_for
from provisioning.services.common import Refused
from provisioning.views.common import PAGE, for_overseers, person_of, posted


@require_http_methods(["GET", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    """One's own notices."""
    person = person_of(request)
    chosen = Preferences.objects.filter(person=person).first() or Preferences(person=person)
    form = PreferencesForm(person, chosen, posted(request))
    if form.is_valid():
        services.save_preferences(
            person=person, time_zone=form.cleaned_data["time_zone"], muted=form.muted
        )
        messages.success(request, "Saved. It holds for what happens from now on.")
        return redirect("notices:preferences")
    context = {
        "form": form,
        "always": [one for one in topics_for(person) if one.always],
        "mail_is_on": bool(settings.MAIL_FROM),
    }
    status = 422 if form.is_bound else 200
    return render(request, "notices/preferences.html", context, status=status)


@require_http_methods(["GET", "POST"])
@for_overseers
def routes(request: HttpRequest) -> HttpResponse:
    """Where each topic is told beside mail. Admins choose, auditors look."""
    person = person_of(request)
    may_change = authz.can_route(person).allowed
    if request.method == "POST" and not may_change:
        raise PermissionDenied("Auditors read everything and change nothing.")
    form = RoutesForm({one.topic: one for one in Route.objects.all()}, posted(request))
    if form.is_bound and form.is_valid():
        services.save_routes(admin=person, chosen=form.chosen)
        messages.success(request, "Saved. It holds for what happens from now on.")
        return redirect("notices:routes")
    context = {"form": form, "may_change": may_change, "channels": settings.CHANNELS}
    status = 422 if form.is_bound else 200
    return render(request, "notices/routes.html", context, status=status)


@require_GET
@for_overseers
def log(request: HttpRequest) -> HttpResponse:
    """Every notice, newest first: to whom, by what, and how it went."""
    form = LogFilterForm(request.GET)
    if not form.is_valid():
        return render(request, "notices/log.html", {"form": form, "rows": []}, status=422)
    page = Paginator(_filtered(form), PAGE).get_page(request.GET.get("page"))
    may_change = authz.can_route(person_of(request)).allowed
    rows = [
        {
            "notice": one,
            "topic": BY_KEY[one.topic].about if one.topic in BY_KEY else one.topic,
            "retriable": may_change and one.state == Notice.State.FAILED,
        }
        for one in page.object_list
    ]
    return render(request, "notices/log.html", {"form": form, "rows": rows, "page_obj": page})


def _filtered(form: LogFilterForm) -> QuerySet[Notice]:
    found = Notice.objects.select_related("event", "person").order_by("-id")
    wanted = form.cleaned_data
    for field in ("state", "channel"):
        if wanted[field]:
            found = found.filter(**{field: wanted[field]})
    text = wanted["q"].strip()
    if text:
        by_name = Q(person__username__icontains=text) | Q(event__subject__endswith=f":{text}")
        found = found.filter(by_name)
    return found


@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a failed notice tried again."""
    person = person_of(request)
    if not person.sees_everything:
        raise PermissionDenied("This page is for admins and auditors.")
    notice = get_object_or_404(Notice.objects.select_related("event", "person"), pk=pk)
    try:
        services.try_again(admin=person, notice=notice)
    except Refused as refused:
        raise PermissionDenied(str(refused)) from refused
    except services.NothingToRetry as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, "It is tried again now.")
    return redirect("notices:log")
