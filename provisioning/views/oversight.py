"""What admins and auditors watch: active grants and the audit log."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import authz, pages
from provisioning.core.states import Phase
from provisioning.forms import (
    GrantFilterForm,
)
from provisioning.models import ATTENTION_AFTER, Grant
from provisioning.views.common import (
    PAGE,
    for_overseers,
    person_of,
)


@require_GET
@for_overseers
def grants(request: HttpRequest) -> HttpResponse:
    """Every grant of everybody, live ones unless asked otherwise."""
    form = GrantFilterForm(request.GET)
    if not form.is_valid():
        return render(request, "provisioning/grants.html", {"form": form, "rows": []}, status=422)
    found = _filtered(form.cleaned_data["q"].strip(), form.cleaned_data["show"])
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    now, person = database_now(), person_of(request)
    rows = [
        {
            "access": pages.access(one, now),
            # Approvers revoke from the request's page: asking for each row would cost a query each.
            "revocable": person.is_portal_admin and authz.can_revoke(person, one),
        }
        for one in page.object_list
    ]
    context = {"form": form, "rows": rows, "page_obj": page, "now": now}
    template = "provisioning/grants.html"
    if request.htmx:  # type: ignore[attr-defined]  # django-htmx adds it
        template += "#live"
    return render(request, template, context)


def _filtered(text: str, show: str) -> Any:
    found = Grant.objects.with_parties().order_by("-id")
    found = found.filter(phase=Phase.ENDED) if show == "ended" else found.live()
    if show == "attention":
        found = found.filter(attempts__gte=ATTENTION_AFTER).exclude(last_error="")
    if show == "scheduled":
        found = found.filter(phase=Phase.SCHEDULED, revoked_at__isnull=True)
    if show == "ending":
        now = database_now()
        found = found.filter(Q(revoked_at__isnull=False) | Q(ends_at__lte=now))
    if text:
        found = found.filter(_matches(text))
    return found


def _matches(text: str) -> Q:
    pair = "request__offer__pair__"
    return (
        Q(request__requester__username__icontains=text)
        | Q(code__startswith=text)
        | Q(profile_version__role_name__icontains=text)
        | Q(**{f"{pair}source__name__icontains": text})
        | Q(**{f"{pair}target__name__icontains": text})
        | Q(**{f"{pair}source__account_id__startswith": text})
        | Q(**{f"{pair}target__account_id__startswith": text})
    )


@require_GET
@for_overseers
def audit_log(request: HttpRequest) -> HttpResponse:
    """Every event, newest first."""
    page = Paginator(AuditEvent.objects.all(), PAGE).get_page(request.GET.get("page"))
    return render(request, "provisioning/audit.html", {"page_obj": page})
