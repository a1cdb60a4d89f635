"""My access: what a person can use now, and the way in."""

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from audit.clock import database_now
from provisioning import pages, services
from provisioning.core.states import Phase
from provisioning.models import AccessRequest, Grant
from provisioning.views.common import (
    STOP_POLLING,
    person_of,
)


@require_GET
def my_access(request: HttpRequest) -> HttpResponse:
    """What this person can use now, what is on its way, and what is over."""
    person, now = person_of(request), database_now()
    mine = Grant.objects.held_by(person).with_parties()
    live = [pages.access(grant, now) for grant in mine.live().order_by("ends_at")]
    waiting = list(AccessRequest.objects.filter(requester=person).waiting().with_parties())
    settled = not waiting and all(_is_settled(one) for one in live)
    context = {
        "usable": [one for one in live if one.usable],
        "moving": [one for one in live if not one.usable],
        "waiting": waiting,
        "settled": settled,
    }
    if request.htmx:  # type: ignore[attr-defined]  # django-htmx adds it
        status = STOP_POLLING if settled else 200
        return render(request, "provisioning/access.html#live", context, status=status)
    over = AccessRequest.objects.filter(requester=person).exclude(state="pending").with_parties()
    # An approved extension lives on in the grant that it extends.
    over = over.exclude(extends__isnull=False, state="approved")
    context["over"] = over.filter(Q(grant=None) | Q(grant__phase=Phase.ENDED))[:10]
    return render(request, "provisioning/access.html", context)


def _is_settled(one: pages.Access) -> bool:
    """Whether nothing but the clock will change it soon."""
    waits = one.phase is Phase.SCHEDULED
    return waits or (one.usable and not one.grant.is_extending)


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
    return HttpResponseRedirect(pages.switch_role_url(grant))
