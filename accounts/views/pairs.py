"""Pages of account pairs."""

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from accounts.authz import admin_required, person_of, registry_readable
from accounts.forms import PairForm
from accounts.models import AccountPair, AwsAccount
from accounts.services.pairs import register_pair, warning_of_many_groups
from accounts.views.common import form_page, form_view, page, paged, posted


@require_GET
@registry_readable
def index(request: HttpRequest) -> HttpResponse:
    """All account pairs."""
    rows = AccountPair.objects.with_use().select_related("source", "target")
    rows = rows.annotate(offer_count=Count("offers")).order_by("source__name", "target__name")
    return page(request, "pairs.html", page_obj=paged(request, rows))


@form_view
@admin_required
def new(request: HttpRequest) -> HttpResponse:
    """Join two accounts into a pair."""
    form = PairForm(posted(request))
    actor = person_of(request)
    warned = form.is_valid() and form.warn(warning_of_many_groups(form.instance))
    if not warned and form.saved(lambda: register_pair(actor=actor, pair=form.instance)):
        messages.success(request, f"The pair {form.instance} is registered. Offer a profile on it.")
        return redirect("accounts:pairs")
    possible = AwsAccount.objects.count() > 1
    return form_page(request, "pair_new.html", form, possible=possible)
