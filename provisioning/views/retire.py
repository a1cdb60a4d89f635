"""Taking things out of use: what depends on them, a typed confirmation, and a reason."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import AccountPair, AwsAccount, Offer, User
from provisioning import authz
from provisioning.engine.retirement import Thing, dependents
from provisioning.forms.ending import RetireForm
from provisioning.services import retire as services
from provisioning.services.common import Refused
from provisioning.views.common import PAGE, only_if, person_of, posted

confirmed_view = require_http_methods(["GET", "POST"])


@confirmed_view
def account(request: HttpRequest, account_id: str) -> HttpResponse:
    """Retire an account with all its pairs."""
    _only_admins(request)
    shown = get_object_or_404(AwsAccount, account_id=account_id)
    return _retire(request, shown, shown.get_absolute_url())


@confirmed_view
def pair(request: HttpRequest, pk: int) -> HttpResponse:
    """Retire a pair."""
    _only_admins(request)
    shown = get_object_or_404(AccountPair.objects.select_related("source", "target"), pk=pk)
    return _retire(request, shown, reverse("accounts:pairs"))


@confirmed_view
def offer(request: HttpRequest, pk: int) -> HttpResponse:
    """Close an offer and end what came of it."""
    _only_admins(request)
    shown = get_object_or_404(Offer.objects.with_accounts(), pk=pk)
    return _retire(request, shown, shown.get_absolute_url())


@confirmed_view
def person(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a person off and end their access."""
    _only_admins(request)
    return _retire(request, get_object_or_404(User, pk=pk), reverse("accounts:people"))


def _only_admins(request: HttpRequest) -> None:
    only_if(authz.can_retire(person_of(request), retired=False))


def _retire(request: HttpRequest, thing: Thing, back: str) -> HttpResponse:
    """The page of one thing; a refusal is 409, because an admin may in principle."""
    actor, name = person_of(request), services.name_of(thing)
    answer = services.can_retire(actor, thing)
    form = RetireForm(name, posted(request))
    status = 200 if answer.allowed else 409
    # Whoever may not is refused by the service, which records it, whatever the form says.
    if request.method == "POST" and (form.is_valid() or not answer.allowed):
        try:
            services.retire(
                actor=actor,
                thing=thing,
                confirmation=form.cleaned_data.get("confirmation", ""),
                reason=form.cleaned_data.get("reason", ""),
            )
        except Refused as refused:
            answer, status = services.can_retire(actor, thing), 409
            messages.error(request, str(refused))
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, f"{name} is out of use; what it gave is being removed.")
            return redirect(back)
    if form.errors and status == 200:
        status = 422
    context = _listed(thing) | {"name": name, "answer": answer, "form": form, "back": back}
    return render(request, "provisioning/retire.html", context, status=status)


def _listed(thing: Thing) -> dict[str, Any]:
    """What depends on it, as the page lists it."""
    found = dependents(thing)
    return {
        "thing": thing,
        "kind": services.KINDS[type(thing)],
        "grants": found.to_revoke[:PAGE],
        "requests": found.requests[:PAGE],
        "counts": {
            "grants": found.to_revoke.count(),
            "requests": found.requests.count(),
            "ending": found.grants.filter(revoked_at__isnull=False).count(),
        },
        "offers": found.offers,
        "pairs": found.pairs,
        "identities": found.identities,
    }


@require_POST
def bring_back(request: HttpRequest, account_id: str) -> HttpResponse:
    """Take a retired account into use again."""
    _only_admins(request)
    shown = get_object_or_404(AwsAccount, account_id=account_id)
    try:
        services.bring_back(actor=person_of(request), account=shown)
    except Refused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, f"{shown} is in use again. Register its pairs anew.")
    return redirect(shown)
