"""My access: what a person can use now, and the way in."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from audit.clock import database_now
from provisioning import services
from provisioning.models import AccessRequest, Grant
from provisioning.reading import cards, keyset, listing
from provisioning.views.common import PAGE, STOP_POLLING, known_keys, person_of

LATEST = 10
"""Of what is over, shown below what a person has."""


@require_GET
def my_access(request: HttpRequest) -> HttpResponse:
    """What this person can use now, what is on its way, and what is over."""
    person, now = person_of(request), database_now()
    mine = Grant.objects.held_by(person).for_list()
    live = [cards.card_of(grant, now) for grant in mine.live().order_by("ends_at")]
    waiting = list(AccessRequest.objects.filter(requester=person).waiting().for_list())
    settled = not waiting and all(one.grant.rests_at(now) for one in live)
    context = {
        "usable": [one for one in live if one.usable],
        "moving": [one for one in live if not one.usable],
        "waiting": waiting,
        "settled": settled,
    }
    if request.htmx:  # type: ignore[attr-defined]  # django-htmx adds it
        status = STOP_POLLING if settled else 200
        return render(request, "provisioning/access.html#live", context, status=status)
    newest = listing.over_for(person).for_list().order_by("-id")[: LATEST + 1]
    context["over"] = newest[:LATEST]
    context["more_over"] = len(newest) > LATEST
    return render(request, "provisioning/access.html", context)


@require_GET
def my_history(request: HttpRequest) -> HttpResponse:
    """All that is over of what this person has asked for and had, newest first."""
    known_keys(request)
    over = listing.over_for(person_of(request)).for_list()
    page = keyset.page(over, listing.NEWEST_FIRST, request.GET, PAGE)
    return render(request, "provisioning/access_history.html", {"page": page})


@require_GET
def switch_role(request: HttpRequest, code: str) -> HttpResponse:
    """Send the holder on to the console, if the access is active at this moment."""
    grant = get_object_or_404(Grant.objects.held_by(person_of(request)).with_parties(), code=code)
    try:
        services.note_link_opened(person=person_of(request), grant=grant)
    except services.Refused as refused:
        context = {
            "grant": grant,
            "reasons": refused.reasons,
            "phase": grant.phase_at(database_now()),
        }
        return render(request, "provisioning/switch_refused.html", context, status=409)
    return HttpResponseRedirect(cards.switch_role_url(grant))
