"""Pages of proposals, and of the second admin who decides on them."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from accounts.authz import admin_required, person_of, registry_readable
from accounts.forms import ReasonForm, ShowForm
from accounts.four_eyes import second_admin
from accounts.models import Proposal, SecondAdmin, User
from accounts.refusals import Refused
from accounts.services import proposals
from accounts.services.proposals import Stale
from accounts.services.second_admin import switch_second_admin
from accounts.views.common import form_view, open_proposal, page, paged, posted, proposing
from audit.models import AuditEvent


@require_GET
@registry_readable
def index(request: HttpRequest) -> HttpResponse:
    """Changes that wait for a second admin, and what became of earlier ones."""
    form = ShowForm(request.GET)
    if not form.is_valid():
        return page(request, "proposals.html", status=422, form=form, rule=_rule())
    show = form.cleaned_data["show"]
    rows = Proposal.objects.select_related("proposed_by", "decided_by")
    if show != "all":
        rows = rows.filter(state=show or Proposal.State.OPEN)
    return page(
        request,
        "proposals.html",
        form=form,
        show=show,
        page_obj=paged(request, rows),
        rule=_rule(),
        mine=person_of(request),
    )


def _rule() -> dict[str, Any]:
    """The second admin, as pages tell of it."""
    state = SecondAdmin.objects.filter(pk=1).first()
    return {
        "holds": second_admin.holds(),
        "since": state.changed_at if state else None,
        "admins": second_admin.admins(),
        "waiting": open_proposal(second_admin.RULE),
    }


@require_GET
@registry_readable
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """One proposal with what differs; admins confirm, reject or withdraw it here."""
    return _proposal_page(request, pk, ReasonForm())


def _proposal_page(
    request: HttpRequest, pk: int, form: ReasonForm, *, status: int = 200
) -> HttpResponse:
    parties = Proposal.objects.select_related("proposed_by", "decided_by")
    shown, viewer = get_object_or_404(parties, pk=pk), person_of(request)
    found = shown.shown
    return page(
        request,
        "proposal.html",
        status=status,
        proposal=shown,
        form=form,
        widening=[one for one in found if one.direction == "widening"],
        narrowing=[one for one in found if one.direction == "narrowing"],
        neutral=[one for one in found if one.direction == "neutral"],
        stale=proposals.why_stale(shown) if shown.state == Proposal.State.OPEN else "",
        may_decide=proposals.may_decide(viewer, shown),
        may_withdraw=proposals.may_withdraw(viewer, shown),
        others=_who_can_confirm(shown),
        target=_address_of(shown),
        events=AuditEvent.objects.latest_about(shown.subject),
    )


def _who_can_confirm(shown: Proposal) -> list[str]:
    admins = User.objects.filter(role=User.Role.ADMIN, is_active=True)
    return [one.label for one in admins.exclude(pk=shown.proposed_by_id or 0).order_by("username")]


_PAGES = {
    "offer": "accounts:offer",
    "profile": "accounts:profile",
    "group": "accounts:group",
    "user": "accounts:person",
}


def _address_of(shown: Proposal) -> tuple[str, int] | None:
    """The page of what a proposal is about: its name among the addresses, and the key."""
    kind, _, number = shown.about.partition(":")
    return (_PAGES[kind], int(number)) if kind in _PAGES and number.isdecimal() else None


@require_POST
@registry_readable
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """Confirm: the change is made now."""
    return _decided(request, pk, "confirm")


@require_POST
@registry_readable
def reject(request: HttpRequest, pk: int) -> HttpResponse:
    """Reject: the change is never made."""
    return _decided(request, pk, "reject")


@require_POST
@registry_readable
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Take one's own proposal back."""
    return _decided(request, pk, "withdraw")


_DONE = {
    "confirm": "Confirmed: the change is made.",
    "reject": "Rejected: nothing has changed.",
    "withdraw": "Withdrawn: nothing has changed.",
}


def _decided(request: HttpRequest, pk: int, verdict: str) -> HttpResponse:
    shown, form = get_object_or_404(Proposal, pk=pk), ReasonForm(request.POST)
    if not form.is_valid():
        return _proposal_page(request, pk, form, status=422)
    viewer, reason = person_of(request), form.cleaned_data["reason"]
    try:
        match verdict:
            case "confirm":
                proposals.confirm(admin=viewer, proposal=shown, reason=reason)
            case "reject":
                proposals.reject(admin=viewer, proposal=shown, reason=reason)
            case _:
                proposals.withdraw(person=viewer, proposal=shown, reason=reason)
    except Refused as refused:
        raise PermissionDenied(str(refused)) from refused
    except Stale as stale:
        messages.error(request, str(stale))
        return _proposal_page(request, pk, form, status=409)
    except ValidationError as error:
        _tell(form, error)
        return _proposal_page(request, pk, form, status=422)
    messages.success(request, _DONE[verdict])
    return redirect(shown)


def _tell(form: ReasonForm, refused: ValidationError) -> None:
    """What a service refuses, at its field or above the form."""
    for name, errors in refused.update_error_dict({}).items():
        for error in errors:
            form.add_error(name if name in form.fields else None, error)


@form_view
@proposing
@admin_required
def second_admin_page(request: HttpRequest) -> HttpResponse:
    """Switch the rule on, or propose to switch it off."""
    form = ReasonForm(posted(request))
    on = not second_admin.holds()
    if request.method == "POST" and form.is_valid():
        try:
            switch_second_admin(actor=person_of(request), on=on, reason=form.cleaned_data["reason"])
        except ValidationError as error:
            errors = error.update_error_dict({})
            for one in (one for those in errors.values() for one in those):
                form.add_error("reason" if one.code == "reason_missing" else None, one)
        else:
            messages.success(request, "From now on what widens access waits for a second admin.")
            return redirect("accounts:proposals")
    status = 422 if form.errors else 200
    return page(request, "second_admin.html", status=status, form=form, on=on, rule=_rule())
