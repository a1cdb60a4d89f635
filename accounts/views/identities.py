"""Pages of IAM identities."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from accounts.authz import admin_required, person_of, registry_readable
from accounts.forms import IdentityForm
from accounts.models import AwsAccount, IamIdentity
from accounts.services import identities
from accounts.views.common import STOP_POLLING, form_page, form_view, page, paged, posted


@require_GET
@registry_readable
def index(request: HttpRequest) -> HttpResponse:
    """Who is which IAM user; to htmx only the table, while one of them is being looked for."""
    rows = paged(request, IamIdentity.objects.present().select_related("person", "account"))
    looking = any(one.state in {"looking", "making", "removing"} for one in rows)
    if getattr(request, "htmx", False):
        status = 200 if looking else STOP_POLLING
        template = "identities.html#table"
        return page(request, template, status=status, page_obj=rows, looking=looking)
    may_create = AwsAccount.objects.filter(may_create_users=True).exists()
    return page(
        request, "identities.html", page_obj=rows, looking=looking, may_create_users=may_create
    )


@form_view
@admin_required
def new(request: HttpRequest) -> HttpResponse:
    """Link a person to an IAM user."""
    form = IdentityForm(posted(request))
    actor = person_of(request)
    if form.saved(lambda: identities.link_identity(actor=actor, identity=form.instance)):
        linked = form.instance
        messages.success(request, f"{linked.person.label} is linked to {linked}.")
        return redirect("accounts:identities")
    return form_page(
        request,
        "identity_new.html",
        form,
        possible=AwsAccount.objects.exists(),
        may_create_users=AwsAccount.objects.filter(may_create_users=True).exists(),
    )


@require_POST
@admin_required
def look_again(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a worker look at once for an IAM user that was not found."""
    identity = get_object_or_404(IamIdentity.objects.select_related("account"), pk=pk)
    if identities.look_again(actor=person_of(request), identity=identity):
        messages.info(request, f"A worker looks for {identity} now.")
    else:
        messages.info(request, f"{identity} has been found meanwhile.")
    return redirect("accounts:identities")


@require_POST
@admin_required
def relink(request: HttpRequest, pk: int) -> HttpResponse:
    """Accept that an IAM user was deleted and made again: forget the former one's unique id."""
    failed = (
        IamIdentity.objects.filter(created_by_portal=False)
        .exclude(last_error="")
        .exclude(unique_id="")
    )
    identity = get_object_or_404(failed.select_related("account", "person"), pk=pk)
    identities.relink_identity(actor=person_of(request), identity=identity)
    messages.success(request, f"{identity} is linked anew. A worker looks for the user now.")
    return redirect("accounts:identities")
