"""What admins and auditors watch: active grants and the audit log."""

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from audit.clock import database_now
from provisioning.forms.filters import AuditFilterForm, GrantFilterForm
from provisioning.reading import export, keyset, listing
from provisioning.reading.lines import grant_line
from provisioning.views.common import (
    PAGE,
    chosen_order,
    for_overseers,
    headings,
    known_keys,
    person_of,
)


@require_GET
@for_overseers
def grants(request: HttpRequest) -> HttpResponse:
    """Every grant of everybody, live ones unless asked otherwise."""
    known_keys(request, GrantFilterForm, "sort")
    form = GrantFilterForm(request.GET)
    if not form.is_valid():
        context = {"form": form, "rows": [], "narrowed": form.narrowed}
        return render(request, "provisioning/grants.html", context, status=422)
    person, now = person_of(request), database_now()
    orders = listing.grant_orders(form.filter.show)
    name, order = chosen_order(request, orders)
    page = keyset.page(form.filter.rows(now), order, request.GET, PAGE)
    context = {
        "form": form,
        "narrowed": form.narrowed,
        "pair": form.filter.pair,
        "page": page,
        "rows": [grant_line(one, person, now) for one in page.rows],
        "counts": listing.counts(now),
        "show": form.filter.show,
        "over": form.filter.show == listing.Show.ENDED,
        "heads": headings(orders, name),
    }
    template = "provisioning/grants.html"
    if request.htmx:  # type: ignore[attr-defined]  # django-htmx adds it
        template += "#live"
    return render(request, template, context)


@require_GET
@for_overseers
def grants_csv(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """The list as it is filtered and sorted, from its beginning to its end."""
    known_keys(request, GrantFilterForm, "sort", paged=False)
    form = GrantFilterForm(request.GET)
    if not form.is_valid():
        context = {"form": form, "rows": [], "narrowed": form.narrowed}
        return render(request, "provisioning/grants.html", context, status=422)
    now = database_now()
    _, order = chosen_order(request, listing.grant_orders(form.filter.show))
    lines = export.grants(form.filter.rows(now), order, now)
    return StreamingHttpResponse(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="grants-{now:%Y%m%dT%H%MZ}.csv"'},
    )


@require_GET
@for_overseers
def audit_log(request: HttpRequest) -> HttpResponse:
    """Every event, newest first."""
    known_keys(request, AuditFilterForm)
    form = AuditFilterForm(request.GET)
    if not form.is_valid():
        return render(request, "provisioning/audit.html", {"form": form}, status=422)
    page = keyset.page(form.rows(), form.order, request.GET, PAGE)
    context = {"form": form, "page": page, "narrowed": any(form.cleaned_data.values())}
    return render(request, "provisioning/audit.html", context)
