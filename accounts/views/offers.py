"""Pages of offers."""

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.defaultfilters import pluralize
from django.views.decorators.http import require_GET

from accounts.authz import admin_required, person_of, registry_readable
from accounts.forms import OfferChangeForm, OfferForm, OffersForm
from accounts.models import AccessProfile, AccountPair, Offer, Proposal
from accounts.services.offers import offer_on_each, save_offer
from accounts.views.common import (
    form_page,
    form_view,
    open_proposal,
    page,
    paged,
    posted,
    proposing,
)
from audit.models import AuditEvent

PEOPLE: Final = ("eligible_users", "eligible_groups", "stages__people", "stages__groups")


@require_GET
@registry_readable
def index(request: HttpRequest) -> HttpResponse:
    """All offers."""
    rows = Offer.objects.with_accounts().prefetch_related(*PEOPLE)
    return page(request, "offers.html", page_obj=paged(request, rows))


@require_GET
@registry_readable
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """One offer."""
    shown = get_object_or_404(Offer.objects.with_accounts().prefetch_related(*PEOPLE), pk=pk)
    return page(
        request,
        "offer.html",
        offer=shown,
        version=shown.profile.current,
        warnings=shown.warnings(),
        waiting=open_proposal(shown.subject),
        events=AuditEvent.objects.latest_about(shown.subject),
    )


@form_view
@proposing
@admin_required
def new(request: HttpRequest) -> HttpResponse:
    """Offer a profile on a pair."""
    form = OfferForm(posted(request))
    if _offer_saved(request, form):
        messages.success(request, f"The offer {form.instance} is made.")
        return redirect(form.instance)
    possible = AccountPair.objects.exists() and AccessProfile.objects.exists()
    return form_page(request, "offer_new.html", form, possible=possible)


@form_view
@admin_required
def new_on_pairs(request: HttpRequest) -> HttpResponse:
    """Offer a profile on several pairs: first show what would be made, then make or propose it."""
    form, actor = OffersForm(posted(request)), person_of(request)
    made: list[Offer] = []
    proposed: list[Proposal] = []

    def save() -> None:
        offers = [form.offer_on(pair) for pair in form.new_pairs()]
        done = offer_on_each(actor=actor, offers=offers, rules=form.rules(), reason=form.reason)
        made.extend(done[0])
        proposed.extend(done[1])

    shown = form.is_valid() and bool(form.new_pairs())
    if shown and form.cleaned_data["confirmed"] == form.to_confirm and form.saved(save):
        if proposed:
            count = f"{len(proposed)} proposal{pluralize(proposed)}"
            messages.warning(request, f"Nothing is offered yet: {count} for a second admin.")
            return redirect("accounts:proposals")
        messages.success(request, f"{len(made)} offer{pluralize(made, ' is,s are')} made.")
        return redirect("accounts:offers")
    valid = form.is_bound and form.is_valid()
    return page(
        request,
        "offers_on_pairs.html",
        status=422 if form.is_bound and not valid else 200,
        form=form,
        new_pairs=form.new_pairs() if valid else (),
        existing=form.existing() if valid else (),
        seen=valid,
    )


@form_view
@proposing
@admin_required
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change who may ask, who approves, for how long."""
    stored = get_object_or_404(Offer.objects.with_accounts(), pk=pk)
    form = OfferChangeForm(posted(request), instance=stored)
    if _offer_saved(request, form):
        messages.success(request, f"The offer {form.instance} is changed.")
        return redirect(form.instance)
    return form_page(request, "offer_edit.html", form, offer=stored)


def _offer_saved(request: HttpRequest, form: OfferChangeForm) -> bool:
    actor = person_of(request)
    return form.saved(
        lambda: save_offer(actor=actor, offer=form.instance, **form.rules(), reason=form.reason)
    )
