"""Deciding on several requests at once: every plan on one page, all or nothing."""

import re
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.models import look_up_targets
from audit.clock import database_now
from provisioning.core.naming import CODE_ALPHABET, CODE_LENGTH
from provisioning.forms.deciding import MOST, TogetherForm
from provisioning.models import AccessRequest, Decision
from provisioning.reading.plans import plan_view
from provisioning.services import together
from provisioning.views.common import person_of

CODE: Final = re.compile(f"[{CODE_ALPHABET}]{{{CODE_LENGTH}}}")


@require_http_methods(["GET", "POST"])
def decide_together(request: HttpRequest) -> HttpResponse:
    """Show what was picked in the inbox, then decide on all of it or on none."""
    if request.method == "GET":
        codes = request.GET.getlist("pick")
        if not codes:
            messages.info(request, "Choose the requests first.")
            return redirect("provisioning:approvals")
        return _page(request, codes)
    form = TogetherForm(request.POST)
    if not form.is_valid():
        codes = [one.partition(":")[0] for one in request.POST.getlist("picks")]
        return _page(request, codes, form=form, status=422)
    shown: dict[str, str] = form.cleaned_data["picks"]
    verdict = Decision.Verdict(form.cleaned_data["verdict"])
    picks = [together.Pick(one, shown[one.code]) for one in _load(request, list(shown))]
    try:
        together.decide_all(
            approver=person_of(request),
            picks=picks,
            verdict=verdict,
            reason=form.cleaned_data["reason"],
        )
    except together.NotAll as refused:
        messages.error(request, "Nothing was decided: see below what has changed.")
        return _page(request, list(shown), problems=refused.problems, status=409)
    messages.success(request, f"You {verdict} {len(picks)} requests.")
    return redirect("provisioning:approvals")


def _load(request: HttpRequest, codes: list[str]) -> list[AccessRequest]:
    """The requests that were picked; with one among them that this person may not see, none."""
    if not all(map(CODE.fullmatch, codes)):
        raise Http404
    wanted = set(codes[:MOST])
    visible = AccessRequest.objects.visible_to(person_of(request)).with_parties()
    found = list(visible.filter(code__in=wanted).order_by("id"))
    if len(found) != len(wanted) or len(set(codes)) > MOST:
        raise Http404
    return found


def _page(
    request: HttpRequest,
    codes: list[str],
    *,
    form: TogetherForm | None = None,
    problems: dict[str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    picked, now = _load(request, codes), database_now()
    look_up_targets(one.offer.pair for one in picked)
    rows: list[dict[str, Any]] = [
        {
            "asked": one,
            "plan": plan_view(one, now),
            "problem": (problems or {}).get(one.code, ""),
        }
        for one in picked
    ]
    context = {
        "rows": rows,
        "form": form or TogetherForm(),
        "blocked": any(row["plan"].blocks for row in rows),
    }
    return render(request, "provisioning/together.html", context, status=status)
