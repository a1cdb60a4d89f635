"""What differs between AWS and what was approved, and giving back what was taken away."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Case, OuterRef, QuerySet, Subquery, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import AwsAccount
from audit.clock import database_now
from provisioning import authz, services
from provisioning.core.drift import Kind, Thing, side_by_side
from provisioning.forms.drift import DriftFilterForm, RepairForm
from provisioning.lifecycle import StaleState
from provisioning.models import AccountScan, DriftFinding
from provisioning.reading import cards, keyset
from provisioning.views.common import (
    PAGE,
    for_overseers,
    known_keys,
    load_grant,
    person_of,
    posted,
)

URGENCY = Case(When(kind=Kind.WIDENED, then=2), When(kind=Kind.NARROWED, then=1), default=0)
URGENT_FIRST = keyset.Order("urgency", descending=True, counted=True)
HISTORY = 30
"""Settled findings that the page shows."""


@require_GET
@for_overseers
def drift_page(request: HttpRequest) -> HttpResponse:
    """Open findings first, then what was done lately, and when each account was last read."""
    return _page(request)


def _page(request: HttpRequest, *, status: int = 200) -> HttpResponse:
    known_keys(request, DriftFilterForm)
    form = DriftFilterForm(request.GET)
    if not form.is_valid():
        return render(request, "provisioning/drift.html", {"form": form}, status=422)
    chosen = _chosen(form.cleaned_data)
    found = chosen.open().annotate(urgency=URGENCY)
    page = keyset.page(found, URGENT_FIRST, request.GET, PAGE)
    person, now, accounts = person_of(request), database_now(), list(_last_scans())
    context = {
        "form": form,
        "page": page,
        "rows": [_row(person, one, now) for one in page.rows],
        "settled": chosen.filter(resolved_at__isnull=False).order_by("-resolved_at")[:HISTORY],
        "accounts": accounts,
        "unread": any(one.scan_error or not one.scanned_at for one in accounts),
        "filtered": any(form.cleaned_data.values()),
        "may_scan": authz.can_scan(person).allowed,
    }
    return render(request, "provisioning/drift.html", context, status=status)


def _chosen(wanted: dict[str, Any]) -> Any:
    found = DriftFinding.objects.select_related(
        "account",
        "grant__request__requester",
        "grant__request__offer__profile",
        "grant__identity",
    )
    if wanted["account"]:
        found = found.filter(account=wanted["account"])
    if wanted["kind"]:
        found = found.filter(kind=wanted["kind"])
    return found


def _row(person: Any, finding: DriftFinding, now: Any) -> dict[str, Any]:
    approved, in_aws = side_by_side(finding.approved, finding.in_aws)
    grant = finding.grant
    return {
        "finding": finding,
        "approved": approved,
        "in_aws": in_aws,
        "repairable": grant is not None
        and finding.kind == Kind.NARROWED
        and authz.may_repair_any(person, grant, now),
        "restorable": finding.kind == Kind.NARROWED
        and finding.thing == Thing.GROUP
        and authz.can_restore_group(person).allowed,
    }


def _last_scans() -> QuerySet[Any]:
    """All accounts with their last finished scan and the time of the next."""
    done = AccountScan.objects.filter(account=OuterRef("pk"), finished_at__isnull=False)
    read = done.filter(error="").order_by("-id")
    coming = AccountScan.objects.filter(account=OuterRef("pk"), finished_at__isnull=True)
    return AwsAccount.objects.order_by("name").annotate(
        scanned_at=Subquery(read.values("finished_at")[:1]),
        objects_seen=Subquery(read.values("objects_seen")[:1]),
        scan_error=Subquery(done.order_by("-id").values("error")[:1]),
        next_scan_at=Subquery(coming.values("due_at")[:1]),
    )


@require_POST
def scan_now(request: HttpRequest) -> HttpResponse:
    """Have all accounts scanned."""
    try:
        services.scan_now(person=person_of(request))
    except services.Refused as refused:
        raise PermissionDenied(str(refused)) from refused
    messages.info(request, "Workers are scanning the accounts. Reload this page in a moment.")
    return redirect("provisioning:drift")


@require_POST
@for_overseers
def restore_group(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a switch group made again as it is registered."""
    narrowed = DriftFinding.objects.filter(kind=Kind.NARROWED, thing=Thing.GROUP)
    finding = get_object_or_404(narrowed.select_related("account"), pk=pk)
    try:
        services.restore_group(person=person_of(request), finding=finding)
    except services.Refused as refused:
        raise PermissionDenied(str(refused)) from refused
    except StaleState as moved:
        messages.error(request, str(moved))
        return _page(request, status=409)
    messages.success(request, f"A worker is making {finding.name} again.")
    return redirect("provisioning:drift")


@require_http_methods(["GET", "POST"])
def repair(request: HttpRequest, code: str) -> HttpResponse:
    """Say what would be given back to whom, then let a worker do it."""
    grant, person = load_grant(request, code), person_of(request)
    answer = authz.can_repair(person, grant, database_now())
    form = RepairForm(posted(request))
    if request.method == "GET" and not answer.allowed:
        return _refused(request, grant, answer.reasons)
    # Whoever may not is refused by the service, which records it, whatever the form says.
    if request.method == "POST" and (form.is_valid() or not answer.allowed):
        try:
            services.repair(person=person, grant=grant, reason=form.cleaned_data.get("reason", ""))
        except services.Refused as refused:
            return _refused(request, grant, refused.reasons)
        except StaleState as moved:
            return _refused(request, grant, (str(moved),), status=409)
        messages.success(request, "A worker is giving back what was missing.")
        return redirect(grant)
    return _repair_page(request, grant, form, status=422 if form.errors else 200)


def _repair_page(
    request: HttpRequest, grant: Any, form: Any, *, status: int = 200, reasons: Any = ()
) -> HttpResponse:
    context = {
        "grant": grant,
        "offer": grant.request.offer,
        "form": form,
        "findings": grant.drift.open().filter(kind=Kind.NARROWED),
        "reasons": reasons,
        "access": cards.card_of(grant, database_now()),
    }
    return render(request, "provisioning/repair.html", context, status=status)


def _refused(
    request: HttpRequest, grant: Any, reasons: Any, *, status: int | None = None
) -> HttpResponse:
    """409 where the access has moved on, 403 where the person never may."""
    over = grant.is_over or not grant.should_exist(database_now())
    code = status or (409 if over or not grant.is_narrowed else 403)
    return _repair_page(request, grant, RepairForm(), status=code, reasons=reasons)
