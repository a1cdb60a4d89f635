"""Pages of groups."""

from django.contrib import messages
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from accounts.authz import admin_required, person_of, registry_readable
from accounts.forms import GroupForm
from accounts.four_eyes import snapshots
from accounts.services.groups import save_group
from accounts.views.common import form_page, form_view, open_proposal, posted, proposing
from audit.models import AuditEvent


@form_view
@proposing
@admin_required
def new(request: HttpRequest) -> HttpResponse:
    """Make a group."""
    form = GroupForm(posted(request))
    if _group_saved(request, form, Group()):
        messages.success(request, f"The group {form.cleaned_data['name']} is made.")
        return redirect("accounts:people")
    return form_page(request, "group.html", form, group=None)


@form_view
@registry_readable
def show(request: HttpRequest, pk: int) -> HttpResponse:
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
        lambda: save_group(
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
        uses=snapshots.offers_of(shown),
        events=AuditEvent.objects.latest_about(f"group:{shown.pk}"),
        waiting=open_proposal(f"group:{shown.pk}"),
    )
