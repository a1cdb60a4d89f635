"""Pages of who may what: people's roles, groups, proposals, the second admin."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from accounts import guesses, people, proposals
from accounts.authz import admin_required, person_of, registry_readable
from accounts.four_eyes import second_admin, snapshots
from accounts.models import Proposal, SecondAdmin, User
from accounts.proposals import Stale
from accounts.refusals import Refused
from accounts.rule_forms import GroupForm, PersonForm, ReasonForm, ShowForm
from accounts.view_parts import (
    form_page,
    form_view,
    open_proposal,
    page,
    paged,
    posted,
    proposing,
)
from audit.models import AuditEvent

# --- People ----------------------------------------------------------------------------------


@form_view
@registry_readable
def person(request: HttpRequest, pk: int) -> HttpResponse:
    """Somebody's role, groups and history; admins change the role here."""
    shown = get_object_or_404(User, pk=pk)
    if request.method == "POST":
        return _person_changed(request, pk)
    return _person_page(request, shown, PersonForm(instance=shown))


@proposing
@admin_required
def _person_changed(request: HttpRequest, pk: int) -> HttpResponse:
    stored = get_object_or_404(User, pk=pk)
    form = PersonForm(request.POST, instance=get_object_or_404(User, pk=pk))

    def save() -> None:
        people.change_person(
            actor=person_of(request),
            person=stored,
            role=form.cleaned_data["role"],
            is_active=form.cleaned_data.get("is_active", True),
            reason=form.reason,
        )

    if form.saved(save):
        messages.success(request, f"{stored.label} is changed.")
        return redirect("accounts:person", pk)
    return _person_page(request, get_object_or_404(User, pk=pk), form)


def _person_page(request: HttpRequest, shown: User, form: PersonForm) -> HttpResponse:
    return form_page(
        request,
        "person.html",
        form,
        person=shown,
        groups=shown.groups.order_by("name"),
        events=AuditEvent.objects.latest_about(f"user:{shown.pk}"),
        waiting=open_proposal(f"user:{shown.pk}"),
        guessed=guesses.closed_for(shown),
    )


@require_POST
@admin_required
def person_open_sign_in(request: HttpRequest, pk: int) -> HttpResponse:
    """Let somebody try their password at once, who would have to wait."""
    shown, admin = get_object_or_404(User, pk=pk), person_of(request)
    if guesses.open_again(actor=admin.username, label=admin.label, person=shown):
        messages.success(request, f"{shown.label} can try to sign in again at once.")
    else:
        messages.info(request, f"Nothing keeps {shown.label} from trying to sign in.")
    return redirect("accounts:person", pk)


# --- Groups ----------------------------------------------------------------------------------


@form_view
@proposing
@admin_required
def group_new(request: HttpRequest) -> HttpResponse:
    """Make a group."""
    form = GroupForm(posted(request))
    if _group_saved(request, form, Group()):
        messages.success(request, f"The group {form.cleaned_data['name']} is made.")
        return redirect("accounts:people")
    return form_page(request, "group.html", form, group=None)


@form_view
@registry_readable
def group(request: HttpRequest, pk: int) -> HttpResponse:
    """One group: who is in it, and what that gives them."""
    if request.method == "POST":
        return _group_changed(request, pk)
    shown = get_object_or_404(Group, pk=pk)
    return _group_page(request, shown, GroupForm(instance=shown))


@proposing
@admin_required
def _group_changed(request: HttpRequest, pk: int) -> HttpResponse:
    stored = get_object_or_404(Group, pk=pk)
    form = GroupForm(request.POST, instance=get_object_or_404(Group, pk=pk))
    if _group_saved(request, form, stored):
        messages.success(request, f"The group {stored.name} is changed.")
        return redirect("accounts:group", pk)
    return _group_page(request, get_object_or_404(Group, pk=pk), form)


def _group_saved(request: HttpRequest, form: GroupForm, group: Group) -> bool:
    return form.saved(
        lambda: people.save_group(
            actor=person_of(request),
            group=group,
            name=form.cleaned_data["name"],
            members=form.cleaned_data["members"],
            reason=form.reason,
        )
    )


def _group_page(request: HttpRequest, shown: Group, form: GroupForm) -> HttpResponse:
    return form_page(
        request,
        "group.html",
        form,
        group=shown,
        members=shown.user_set.order_by("first_name", "last_name", "username"),
        uses=snapshots.uses_of(shown),
        events=AuditEvent.objects.latest_about(f"group:{shown.pk}"),
        waiting=open_proposal(f"group:{shown.pk}"),
    )


# --- Proposals -------------------------------------------------------------------------------


@require_GET
@registry_readable
def proposal_list(request: HttpRequest) -> HttpResponse:
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
def proposal(request: HttpRequest, pk: int) -> HttpResponse:
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
def proposal_confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """Confirm: the change is made now."""
    return _decided(request, pk, "confirm")


@require_POST
@registry_readable
def proposal_reject(request: HttpRequest, pk: int) -> HttpResponse:
    """Reject: the change is never made."""
    return _decided(request, pk, "reject")


@require_POST
@registry_readable
def proposal_withdraw(request: HttpRequest, pk: int) -> HttpResponse:
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
def second_admin_switch(request: HttpRequest) -> HttpResponse:
    """Switch the rule on, or propose to switch it off."""
    form = ReasonForm(posted(request))
    on = not second_admin.holds()
    if request.method == "POST" and form.is_valid():
        try:
            people.switch_second_admin(
                actor=person_of(request), on=on, reason=form.cleaned_data["reason"]
            )
        except ValidationError as error:
            errors = error.update_error_dict({})
            for one in (one for those in errors.values() for one in those):
                form.add_error("reason" if one.code == "reason_missing" else None, one)
        else:
            messages.success(request, "From now on what widens access waits for a second admin.")
            return redirect("accounts:proposals")
    status = 422 if form.errors else 200
    return page(request, "second_admin.html", status=status, form=form, on=on, rule=_rule())
