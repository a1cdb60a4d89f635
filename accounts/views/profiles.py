"""Pages of access profiles and their versions, and of the editor of permissions."""

from typing import Any

from django.contrib import messages
from django.forms import model_to_dict
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from accounts.authz import admin_required, person_of, registry_readable
from accounts.forms import ProfileForm, VersionForm
from accounts.forms.drafts import Draft, examples
from accounts.models import AccessProfile, User
from accounts.permissions import catalogue, managed
from accounts.services.profiles import add_profile, add_profile_version, standard_offers
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


@require_GET
@registry_readable
def index(request: HttpRequest) -> HttpResponse:
    """All access profiles."""
    return page(request, "profiles.html", page_obj=paged(request, AccessProfile.objects.with_use()))


@require_GET
@registry_readable
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """One profile with all its versions."""
    shown = get_object_or_404(AccessProfile, pk=pk)
    versions = list(shown.versions.order_by("-number"))
    return page(
        request,
        "profile.html",
        profile=shown,
        versions=versions,
        names=User.objects.labels_of(one.created_by for one in versions),
        sources=(catalogue.source(), managed.source()),
        offers=shown.offers.with_accounts().prefetch_related("stages", "profile__versions"),
        waiting=open_proposal(shown.subject),
        events=AuditEvent.objects.latest_about(shown.subject),
    )


@form_view
@admin_required
def new(request: HttpRequest) -> HttpResponse:
    """Make a profile with its first version."""
    form = ProfileForm(posted(request))
    actor = person_of(request)

    def save() -> None:
        add_profile(actor=actor, profile=form.profile, version=form.instance)

    if form.saved(save):
        messages.success(request, f"The profile {form.profile} is made. Offer it on a pair.")
        return redirect(form.profile)
    return form_page(request, "profile_new.html", form, **_editor(form))


@form_view
@proposing
@admin_required
def new_version(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a version to a profile, beginning from the current one."""
    shown = get_object_or_404(AccessProfile, pk=pk)
    current = shown.versions.order_by("-number").first()
    initial = model_to_dict(current, fields=VersionForm.Meta.fields) if current else {}
    form = VersionForm(posted(request), initial=initial)
    actor = person_of(request)

    def save() -> None:
        add_profile_version(actor=actor, profile=shown, version=form.instance, reason=form.reason)

    if form.saved(save):
        messages.success(request, f"{form.instance} is what new requests are made with.")
        return redirect(shown)
    editor = _editor(form) | {"blocking": standard_offers(shown)}
    return form_page(request, "version_new.html", form, profile=shown, current=current, **editor)


def _editor(form: VersionForm) -> dict[str, Any]:
    """What the editor shows beside its fields: for what was posted, or for what it begins with."""
    draft = Draft(
        managed_text=str(form["managed_policies"].value() or ""),
        inline_text=str(form["inline_policy"].value() or ""),
        confirmed=str(form.data.get("confirmed", "")),
    )
    return {"draft": draft, "examples": examples()}


@require_POST
@admin_required
def lint(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """What the lint says to permissions that are being typed; nothing is kept."""
    fields = ("managed_policies", "inline_policy", "confirmed")
    draft = Draft(*(request.POST.get(name, "") for name in fields))
    shown = None if pk is None else get_object_or_404(AccessProfile, pk=pk)
    blocking = standard_offers(shown) if shown else ()
    return page(request, "lint.html", draft=draft, blocking=blocking)
