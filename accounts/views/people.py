"""Pages of people: who they are, what their role is, whether they can sign in."""

from django.contrib import messages
from django.contrib.auth.models import Group
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from accounts.authz import admin_required, person_of, registry_readable
from accounts.forms import PersonForm
from accounts.models import User
from accounts.services.people import change_person
from accounts.sign_in import guesses
from accounts.views.common import form_page, form_view, open_proposal, page, paged, proposing
from audit.models import AuditEvent


@require_GET
@registry_readable
def index(request: HttpRequest) -> HttpResponse:
    """Who can sign in, with roles and groups."""
    users = User.objects.order_by("username").prefetch_related("groups")
    groups = Group.objects.annotate(members=Count("user")).order_by("name")
    return page(request, "people.html", page_obj=paged(request, users), groups=groups)


@form_view
@registry_readable
def show(request: HttpRequest, pk: int) -> HttpResponse:
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
        change_person(
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
def open_sign_in(request: HttpRequest, pk: int) -> HttpResponse:
    """Let somebody try their password at once, who would have to wait."""
    shown, admin = get_object_or_404(User, pk=pk), person_of(request)
    if guesses.open_again(actor=admin.username, label=admin.label, person=shown):
        messages.success(request, f"{shown.label} can try to sign in again at once.")
    else:
        messages.info(request, f"Nothing keeps {shown.label} from trying to sign in.")
    return redirect("accounts:person", pk)
