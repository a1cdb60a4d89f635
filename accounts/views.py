"""Pages of the registry: load, check the form, call one service, answer.

Admins may change, auditors may look, everybody else gets 403.
"""

from datetime import timedelta
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.models import Group
from django.db.models import Count
from django.forms import model_to_dict
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.defaultfilters import pluralize
from django.views.decorators.http import require_GET, require_POST

from accounts import services
from accounts.authz import admin_required, person_of, registry_readable
from accounts.drafts import Draft, examples
from accounts.forms import (
    AccountChangeForm,
    AccountForm,
    IdentityForm,
    OfferChangeForm,
    OfferForm,
    OffersForm,
    PairForm,
    ProfileForm,
    VersionForm,
)
from accounts.models import (
    AccessProfile,
    AccountPair,
    AwsAccount,
    ConnectionCheck,
    IamIdentity,
    Offer,
    Proposal,
    User,
)
from accounts.permissions import catalogue, managed
from accounts.view_parts import (
    form_page,
    form_view,
    open_proposal,
    page,
    paged,
    posted,
    proposing,
)
from audit.clock import database_now
from audit.models import AuditEvent

STOP_POLLING: Final = 286
"""htmx stops asking when it gets this status."""
PATIENCE: Final = timedelta(seconds=30)
"""How long a check may wait for a worker before the page says that none has come."""

# --- AWS accounts ----------------------------------------------------------------------------


@require_GET
@registry_readable
def accounts(request: HttpRequest) -> HttpResponse:
    """All registered accounts."""
    return page(request, "accounts.html", page_obj=paged(request, AwsAccount.objects.with_use()))


@require_GET
@registry_readable
def account(request: HttpRequest, account_id: str) -> HttpResponse:
    """One account; to htmx only the state of its connection, until a check has finished."""
    shown = get_object_or_404(AwsAccount, account_id=account_id)
    check = shown.checks.first()
    waiting = check is None or check.state == "waiting"
    context: dict[str, Any] = {
        "account": shown,
        "check": check,
        "finished": shown.checks.filter(finished_at__isnull=False).first(),
        "waiting": waiting,
        "late": check is not None and _is_late(check),
    }
    if getattr(request, "htmx", False):
        status = 200 if waiting else STOP_POLLING
        return page(request, "account.html#connection", status=status, **context)
    return page(
        request,
        "account.html",
        pairs_from=shown.pairs_from.select_related("source", "target"),
        pairs_to=shown.pairs_to.select_related("source", "target"),
        identities=shown.identities.present().select_related("person", "account"),
        events=AuditEvent.objects.latest_about(shown.subject),
        **context,
    )


def _is_late(check: ConnectionCheck) -> bool:
    return check.started_at is None and check.asked_at < database_now() - PATIENCE


@form_view
@admin_required
def account_new(request: HttpRequest) -> HttpResponse:
    """Register an account."""
    form = AccountForm(posted(request))
    actor = person_of(request)
    if form.saved(lambda: services.register_account(actor=actor, account=form.instance)):
        messages.success(
            request, f"{form.instance} is registered. Its owner now sets up the provisioner role."
        )
        return redirect(form.instance)
    return form_page(request, "account_new.html", form)


@form_view
@admin_required
def account_edit(request: HttpRequest, account_id: str) -> HttpResponse:
    """Change an account's name, ARNs or group policies."""
    stored = get_object_or_404(AwsAccount, account_id=account_id)
    heading = str(stored)
    form = AccountChangeForm(posted(request), instance=stored)
    actor = person_of(request)
    if form.saved(lambda: services.change_account(actor=actor, account=form.instance)):
        messages.success(request, f"{form.instance} is changed. Check the connection again.")
        return redirect(form.instance)
    return form_page(request, "account_edit.html", form, account=stored, heading=heading)


# --- Account pairs ---------------------------------------------------------------------------


@require_GET
@registry_readable
def pairs(request: HttpRequest) -> HttpResponse:
    """All account pairs."""
    rows = AccountPair.objects.with_use().select_related("source", "target")
    rows = rows.annotate(offer_count=Count("offers")).order_by("source__name", "target__name")
    return page(request, "pairs.html", page_obj=paged(request, rows))


@form_view
@admin_required
def pair_new(request: HttpRequest) -> HttpResponse:
    """Join two accounts into a pair."""
    form = PairForm(posted(request))
    actor = person_of(request)
    warned = form.is_valid() and form.warn(services.warning_of_many_groups(form.instance))
    if not warned and form.saved(lambda: services.register_pair(actor=actor, pair=form.instance)):
        messages.success(request, f"The pair {form.instance} is registered. Offer a profile on it.")
        return redirect("accounts:pairs")
    possible = AwsAccount.objects.count() > 1
    return form_page(request, "pair_new.html", form, possible=possible)


# --- Access profiles -------------------------------------------------------------------------


@require_GET
@registry_readable
def profiles(request: HttpRequest) -> HttpResponse:
    """All access profiles."""
    return page(request, "profiles.html", page_obj=paged(request, AccessProfile.objects.with_use()))


@require_GET
@registry_readable
def profile(request: HttpRequest, pk: int) -> HttpResponse:
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
def profile_new(request: HttpRequest) -> HttpResponse:
    """Make a profile with its first version."""
    form = ProfileForm(posted(request))
    actor = person_of(request)

    def save() -> None:
        services.add_profile(actor=actor, profile=form.profile, version=form.instance)

    if form.saved(save):
        messages.success(request, f"The profile {form.profile} is made. Offer it on a pair.")
        return redirect(form.profile)
    return form_page(request, "profile_new.html", form, **_editor(form))


@form_view
@proposing
@admin_required
def version_new(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a version to a profile, beginning from the current one."""
    shown = get_object_or_404(AccessProfile, pk=pk)
    current = shown.versions.order_by("-number").first()
    initial = model_to_dict(current, fields=VersionForm.Meta.fields) if current else {}
    form = VersionForm(posted(request), initial=initial)
    actor = person_of(request)

    def save() -> None:
        services.add_profile_version(
            actor=actor, profile=shown, version=form.instance, reason=form.reason
        )

    if form.saved(save):
        messages.success(request, f"{form.instance} is what new requests are made with.")
        return redirect(shown)
    editor = _editor(form) | {"blocking": services.standard_offers(shown)}
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
def permissions_lint(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """What the lint says to permissions that are being typed; nothing is kept."""
    fields = ("managed_policies", "inline_policy", "confirmed")
    draft = Draft(*(request.POST.get(name, "") for name in fields))
    shown = None if pk is None else get_object_or_404(AccessProfile, pk=pk)
    blocking = services.standard_offers(shown) if shown else ()
    return page(request, "lint.html", draft=draft, blocking=blocking)


# --- Offers ----------------------------------------------------------------------------------

PEOPLE: Final = ("eligible_users", "eligible_groups", "stages__people", "stages__groups")


@require_GET
@registry_readable
def offers(request: HttpRequest) -> HttpResponse:
    """All offers."""
    rows = Offer.objects.with_accounts().prefetch_related(*PEOPLE)
    return page(request, "offers.html", page_obj=paged(request, rows))


@require_GET
@registry_readable
def offer(request: HttpRequest, pk: int) -> HttpResponse:
    """One offer."""
    shown = get_object_or_404(Offer.objects.with_accounts().prefetch_related(*PEOPLE), pk=pk)
    return page(
        request,
        "offer.html",
        offer=shown,
        version=shown.profile.current,
        warnings=shown.warnings(),
        waiting=open_proposal(shown.subject),
        events=AuditEvent.objects.latest_about(shown.subject),
    )


@form_view
@proposing
@admin_required
def offer_new(request: HttpRequest) -> HttpResponse:
    """Offer a profile on a pair."""
    form = OfferForm(posted(request))
    if _offer_saved(request, form):
        messages.success(request, f"The offer {form.instance} is made.")
        return redirect(form.instance)
    possible = AccountPair.objects.exists() and AccessProfile.objects.exists()
    return form_page(request, "offer_new.html", form, possible=possible)


@form_view
@admin_required
def offers_on_pairs(request: HttpRequest) -> HttpResponse:
    """Offer a profile on several pairs: first show what would be made, then make or propose it."""
    form, actor = OffersForm(posted(request)), person_of(request)
    made: list[Offer] = []
    proposed: list[Proposal] = []

    def save() -> None:
        offers = [form.offer_on(pair) for pair in form.new_pairs()]
        done = services.offer_on_each(
            actor=actor, offers=offers, rules=form.rules(), reason=form.reason
        )
        made.extend(done[0])
        proposed.extend(done[1])

    shown = form.is_valid() and bool(form.new_pairs())
    if shown and form.cleaned_data["confirmed"] == form.to_confirm and form.saved(save):
        if proposed:
            count = f"{len(proposed)} proposal{pluralize(proposed)}"
            messages.warning(request, f"Nothing is offered yet: {count} for a second admin.")
            return redirect("accounts:proposals")
        messages.success(request, f"{len(made)} offer{pluralize(made, ' is,s are')} made.")
        return redirect("accounts:offers")
    valid = form.is_bound and form.is_valid()
    return page(
        request,
        "offers_on_pairs.html",
        status=422 if form.is_bound and not valid else 200,
        form=form,
        new_pairs=form.new_pairs() if valid else (),
        existing=form.existing() if valid else (),
        seen=valid,
    )


@form_view
@proposing
@admin_required
def offer_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change who may ask, who approves, for how long."""
    stored = get_object_or_404(Offer.objects.with_accounts(), pk=pk)
    form = OfferChangeForm(posted(request), instance=stored)
    if _offer_saved(request, form):
        messages.success(request, f"The offer {form.instance} is changed.")
        return redirect(form.instance)
    return form_page(request, "offer_edit.html", form, offer=stored)


def _offer_saved(request: HttpRequest, form: OfferChangeForm) -> bool:
    actor = person_of(request)
    return form.saved(
        lambda: services.save_offer(
            actor=actor, offer=form.instance, **form.rules(), reason=form.reason
        )
    )


# --- IAM identities --------------------------------------------------------------------------


@require_GET
@registry_readable
def identities(request: HttpRequest) -> HttpResponse:
    """Who is which IAM user; to htmx only the table, while one of them is being looked for."""
    rows = paged(request, IamIdentity.objects.present().select_related("person", "account"))
    looking = any(one.state in {"looking", "making", "removing"} for one in rows)
    if getattr(request, "htmx", False):
        status = 200 if looking else STOP_POLLING
        template = "identities.html#table"
        return page(request, template, status=status, page_obj=rows, looking=looking)
    may_create = AwsAccount.objects.filter(may_create_users=True).exists()
    return page(
        request, "identities.html", page_obj=rows, looking=looking, may_create_users=may_create
    )


@form_view
@admin_required
def identity_new(request: HttpRequest) -> HttpResponse:
    """Link a person to an IAM user."""
    form = IdentityForm(posted(request))
    actor = person_of(request)
    if form.saved(lambda: services.link_identity(actor=actor, identity=form.instance)):
        linked = form.instance
        messages.success(request, f"{linked.person.label} is linked to {linked}.")
        return redirect("accounts:identities")
    return form_page(
        request,
        "identity_new.html",
        form,
        possible=AwsAccount.objects.exists(),
        may_create_users=AwsAccount.objects.filter(may_create_users=True).exists(),
    )


@require_POST
@admin_required
def identity_look_again(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a worker look at once for an IAM user that was not found."""
    identity = get_object_or_404(IamIdentity.objects.select_related("account"), pk=pk)
    if services.look_again(actor=person_of(request), identity=identity):
        messages.info(request, f"A worker looks for {identity} now.")
    else:
        messages.info(request, f"{identity} has been found meanwhile.")
    return redirect("accounts:identities")


@require_POST
@admin_required
def identity_relink(request: HttpRequest, pk: int) -> HttpResponse:
    """Accept that an IAM user was deleted and made again: forget the former one's unique id."""
    failed = (
        IamIdentity.objects.filter(created_by_portal=False)
        .exclude(last_error="")
        .exclude(unique_id="")
    )
    identity = get_object_or_404(failed.select_related("account", "person"), pk=pk)
    services.relink_identity(actor=person_of(request), identity=identity)
    messages.success(request, f"{identity} is linked anew. A worker looks for the user now.")
    return redirect("accounts:identities")


# --- People ----------------------------------------------------------------------------------


@require_GET
@registry_readable
def people(request: HttpRequest) -> HttpResponse:
    """Who can sign in, with roles and groups."""
    users = User.objects.order_by("username").prefetch_related("groups")
    groups = Group.objects.annotate(members=Count("user")).order_by("name")
    return page(request, "people.html", page_obj=paged(request, users), groups=groups)
