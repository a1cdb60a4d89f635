"""Pages of AWS accounts."""

from datetime import timedelta
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET

from accounts.authz import admin_required, person_of, registry_readable
from accounts.forms import AccountChangeForm, AccountForm
from accounts.models import AwsAccount, ConnectionCheck
from accounts.services.accounts import change_account, register_account
from accounts.views.common import STOP_POLLING, form_page, form_view, page, paged, posted
from audit.clock import database_now
from audit.models import AuditEvent

PATIENCE: Final = timedelta(seconds=30)
"""How long a check may wait for a worker before the page says that none has come."""


@require_GET
@registry_readable
def index(request: HttpRequest) -> HttpResponse:
    """All registered accounts."""
    return page(request, "accounts.html", page_obj=paged(request, AwsAccount.objects.with_use()))


@require_GET
@registry_readable
def show(request: HttpRequest, account_id: str) -> HttpResponse:
    """One account; to htmx only the state of its connection, until a check has finished."""
    shown = get_object_or_404(AwsAccount, account_id=account_id)
    check = shown.checks.first()
    waiting = check is None or check.state == "waiting"
    context: dict[str, Any] = {
        "account": shown,
        "check": check,
        "finished": shown.checks.filter(finished_at__isnull=False).first(),
        "waiting": waiting,
        "late": check is not None and _is_late(check),
    }
    if getattr(request, "htmx", False):
        status = 200 if waiting else STOP_POLLING
        return page(request, "account.html#connection", status=status, **context)
    return page(
        request,
        "account.html",
        pairs_from=shown.pairs_from.select_related("source", "target"),
        pairs_to=shown.pairs_to.select_related("source", "target"),
        identities=shown.identities.present().select_related("person", "account"),
        events=AuditEvent.objects.latest_about(shown.subject),
        **context,
    )


def _is_late(check: ConnectionCheck) -> bool:
    return check.started_at is None and check.asked_at < database_now() - PATIENCE


@form_view
@admin_required
def new(request: HttpRequest) -> HttpResponse:
    """Register an account."""
    form = AccountForm(posted(request))
    actor = person_of(request)
    if form.saved(lambda: register_account(actor=actor, account=form.instance)):
        messages.success(
            request, f"{form.instance} is registered. Its owner now sets up the provisioner role."
        )
        return redirect(form.instance)
    return form_page(request, "account_new.html", form)


@form_view
@admin_required
def edit(request: HttpRequest, account_id: str) -> HttpResponse:
    """Change an account's name, ARNs or group policies."""
    stored = get_object_or_404(AwsAccount, account_id=account_id)
    heading = str(stored)
    form = AccountChangeForm(posted(request), instance=stored)
    actor = person_of(request)
    if form.saved(lambda: change_account(actor=actor, account=form.instance)):
        messages.success(request, f"{form.instance} is changed. Check the connection again.")
        return redirect(form.instance)
    return form_page(request, "account_edit.html", form, account=stored, heading=heading)
