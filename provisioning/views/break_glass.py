"""Taking access in an emergency, what is still to be reviewed, and the review."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from accounts.models import SHORTEST_GRANT, Offer
from audit.clock import database_now
from provisioning import authz
from provisioning.engine.preview import unseen_steps
from provisioning.forms.break_glass import BreakGlassForm
from provisioning.lifecycle import StaleState
from provisioning.models import BreakGlass
from provisioning.reading.asking import findings_before_asking
from provisioning.services import break_glass as services
from provisioning.services.common import Refused
from provisioning.views.common import PAGE, person_of, posted


@require_http_methods(["GET", "POST"])
def take(request: HttpRequest, pk: int) -> HttpResponse:
    """The form of an emergency, with the plan. To who may not, the page does not exist."""
    person, now = person_of(request), database_now()
    offer = get_object_or_404(Offer.objects.breakable_by(person).with_accounts(), pk=pk)
    longest = offer.break_glass_longest or SHORTEST_GRANT
    form = BreakGlassForm(longest, posted(request))
    answer = authz.can_break_glass(person, offer, now)
    if request.method == "POST" and form.is_valid():
        try:
            grant = services.take(
                person=person,
                offer=offer,
                duration=form.duration,
                reason=form.cleaned_data["reason"],
            )
        except ValidationError as error:
            form.add_error(None, error)
        except Refused as refused:
            form.add_error(None, ValidationError(list(refused.reasons)))
        except StaleState as moved:
            form.add_error(None, ValidationError(str(moved), code="moved"))
        else:
            messages.warning(request, "You broke the glass. Everybody who approves this is told.")
            return redirect(grant)
    context = {
        "offer": offer,
        "version": offer.profile.current,
        "form": form,
        "answer": answer,
        "longest": longest,
        "findings": findings_before_asking(person, offer),
        "steps": unseen_steps(services.unsaved(person, offer, longest), now)
        if answer.allowed
        else (),
    }
    status = 422 if form.errors else 200
    return render(request, "provisioning/break_glass.html", context, status=status)


@require_GET
def to_review(request: HttpRequest) -> HttpResponse:
    """Emergencies that two others have not reviewed yet, the oldest first."""
    found = BreakGlass.objects.open().visible_to(person_of(request))
    rows = found.select_related(
        "request__requester",
        "request__grant",
        "request__offer__pair__source",
        "request__offer__pair__target",
        "request__profile_version__profile",
        "group",
    ).prefetch_related("reviews__reviewer")
    context = {"rows": rows[:PAGE], "count": found.count(), "now": database_now()}
    return render(request, "provisioning/to_review.html", context)
