"""Finding what may be asked for, and asking: for one offer, or for several in one go."""

from collections.abc import Sequence
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import BadRequest, ValidationError
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.html import escape
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Offer, User
from accounts.services.offers import star as star_offer
from accounts.stages import needed
from audit.clock import database_now
from provisioning import authz, services
from provisioning.forms.asking import AskForm, prefilled, reading
from provisioning.lifecycle import StaleState
from provisioning.models import AccessRequest, Grant
from provisioning.reading.asking import admins_to_ask, findings_before_asking, who_approves
from provisioning.reading.catalogue import catalogue
from provisioning.views.common import known_keys, person_of, posted

MOST_TOGETHER: Final = 10
"""Offers in one go: more would be a form that nobody reads."""
LONGEST_SEARCH: Final = 100


@require_GET
def offers(request: HttpRequest) -> HttpResponse:
    """What this person may ask for, and why something can't be asked for right now."""
    known_keys(request, Form, "q")
    words = request.GET.get("q", "")[:LONGEST_SEARCH]
    if "\0" in words:
        raise BadRequest("No name holds such a character.")
    person = person_of(request)
    shown = catalogue(person, words, request.GET)
    answers = [shown.not_paused, *(row.answer for row in shown.rows)]
    context = {
        "catalogue": shown,
        "page": shown.page,
        "q": words,
        "admins": admins_to_ask(person, answers),
    }
    return render(request, "provisioning/offers.html", context)


@require_POST
def star(request: HttpRequest, pk: int) -> HttpResponse:
    """Mark an offer as a favourite, or no longer."""
    person = person_of(request)
    offer = get_object_or_404(Offer.objects.shown_to(person), pk=pk)
    star_offer(person=person, offer=offer, wanted=request.POST.get("wanted") == "yes")
    back = request.POST.get("back", "")
    if url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        return redirect(back)
    return redirect("provisioning:offers")


@require_http_methods(["GET", "POST"])
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    """The request form of one offer. A link may fill it in; only a person's POST sends it."""
    person, now = person_of(request), database_now()
    offer = get_object_or_404(Offer.objects.shown_to(person).with_accounts(), pk=pk)
    form, wrong = _form(request, [offer])
    if request.method == "POST" and (made := _sent(person, form)):
        messages.success(request, "Your request is with the approvers.")
        return redirect(made[0])
    stages = offer.stages_for_new()
    answer = authz.can_request(person, offer, stages=stages)
    context = {
        "offer": offer,
        "version": offer.profile.current,
        "form": form,
        "wrong_in_link": wrong,
        "now": now,
        "live": _live_already(person, offer),
        "answer": answer,
        "admins": admins_to_ask(person, [answer]),
        "stages": who_approves(stages, person),
        "needed": needed(stages),
        "findings": findings_before_asking(person, offer),
    }
    return render(request, "provisioning/ask.html", context, status=422 if form.errors else 200)


def _form(request: HttpRequest, chosen: Sequence[Offer]) -> tuple[AskForm, list[str]]:
    now = database_now()
    if request.method == "POST":
        return AskForm(chosen, now, posted(request)), []
    return prefilled(chosen, now, request.GET)


def _sent(person: User, form: AskForm) -> list[AccessRequest]:
    """The requests that a valid form made; none where it is refused, which the form then tells."""
    if not form.is_valid():
        return []
    try:
        return services.request_together(
            requester=person,
            wishes=[services.Wish(one, form.durations[one.pk]) for one in form.offers],
            starts_at=form.cleaned_data["starts_at"],
            ticket=form.cleaned_data["ticket"],
            reason=form.cleaned_data["reason"],
        )
    except ValidationError as error:
        form.add_error(None, error)
    except services.Refused as refused:
        form.add_error(None, ValidationError(list(refused.reasons)))
    except StaleState as moved:
        form.add_error(None, ValidationError(str(moved), code="moved"))
    return []


@require_GET
def read_duration(request: HttpRequest, pk: int) -> HttpResponse:
    """What a duration that is being typed means; nothing is kept."""
    offer = get_object_or_404(Offer.objects.shown_to(person_of(request)), pk=pk)
    return HttpResponse(escape(reading(offer, database_now(), request.GET)))


@require_http_methods(["GET", "POST"])
def ask_together(request: HttpRequest) -> HttpResponse:
    """One form for several offers: one reason, a duration for each, a request for each."""
    person = person_of(request)
    chosen = _chosen(request, person)
    if len(chosen) == 1:
        return redirect("provisioning:ask", pk=chosen[0].pk)
    form, wrong = _form(request, chosen)
    if request.method == "POST" and (made := _sent(person, form)):
        messages.success(request, f"{len(made)} requests are with the approvers.")
        return redirect("provisioning:access")
    answers = authz.can_request_each(person, chosen)
    context = {
        "form": form,
        "wrong_in_link": wrong,
        "refused": [(offer, answer) for offer, answer in answers if not answer.allowed],
        "admins": admins_to_ask(person, [answer for _, answer in answers]),
        "now": database_now(),
    }
    status = 422 if form.errors else 200
    return render(request, "provisioning/ask_together.html", context, status=status)


def _chosen(request: HttpRequest, person: User) -> list[Offer]:
    """The offers that the address names. One that this person must not know of is not found."""
    keys = [one for one in request.GET.getlist("offer") if one.isascii() and one.isdigit()]
    keys = list(dict.fromkeys(key[:18] for key in keys))
    if not keys or len(keys) > MOST_TOGETHER:
        raise Http404
    found = Offer.objects.shown_to(person).with_accounts().in_bulk([int(one) for one in keys])
    if len(found) != len(keys):
        raise Http404
    return [found[int(key)] for key in keys]


def _live_already(person: User, offer: Offer) -> list[dict[str, Any]]:
    """This person's grants of the same offer that live or will, and whether each can be extended:
    somebody who wants more time seldom wants a second role."""
    now = database_now()
    mine = Grant.objects.held_by(person).with_parties().live()
    mine = mine.filter(request__offer=offer, revoked_at__isnull=True, ends_at__gt=now)
    return [
        {"grant": one, "answer": authz.can_extend(person, one, now), "phase": one.phase_at(now)}
        for one in mine.order_by("ends_at")
    ]
