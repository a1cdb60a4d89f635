"""Pages of reviews: load, check the form, call one service, answer."""

from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.authz import person_of
from accounts.models import User
from accounts.refusals import Refused
from audit.clock import database_now
from audit.models import AuditEvent
from reviews import authz, evidence, services
from reviews.forms import CampaignForm, FilterForm, ItemsForm
from reviews.models import Campaign, Item

PAGE: Final = 50


@require_GET
def campaigns(request: HttpRequest) -> HttpResponse:
    """Reviews that this person sees: their own, all for admins and auditors."""
    person = person_of(request)
    rows = Campaign.objects.visible_to(person).with_progress()
    rows = rows.select_related("account", "pair__source", "pair__target", "profile")
    context = {
        "page_obj": Paginator(rows, PAGE).get_page(request.GET.get("page")),
        "may_start": not authz.reasons_against_starting(person),
    }
    return render(request, "reviews/campaigns.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Start a review."""
    person = person_of(request)
    if found := authz.reasons_against_starting(person):
        raise PermissionDenied(" ".join(found))
    form = CampaignForm(request.POST if request.method == "POST" else None)

    def save() -> None:
        services.start(
            admin=person, campaign=form.instance, reviewers=form.cleaned_data["reviewers"]
        )

    if form.saved(save):
        messages.success(request, f"The review {form.instance.title} has begun.")
        return redirect(form.instance)
    return render(request, "reviews/new.html", {"form": form}, status=422 if form.is_bound else 200)


def _load(request: HttpRequest, pk: int) -> Campaign:
    """A review that this person sees; to anybody else it does not exist."""
    rows = Campaign.objects.visible_to(person_of(request)).distinct()
    named = rows.select_related("account", "pair__source", "pair__target", "profile", "created_by")
    return get_object_or_404(named, pk=pk)


@require_GET
def campaign(request: HttpRequest, pk: int) -> HttpResponse:
    """One review: how far it is, and its items, a page at a time."""
    shown = _load(request, pk)
    return _campaign_page(request, shown, ItemsForm())


def _campaign_page(
    request: HttpRequest, shown: Campaign, form: ItemsForm, *, status: int = 200
) -> HttpResponse:
    person, filters = person_of(request), FilterForm(request.GET)
    if not filters.is_valid():
        status = 422
    chosen = filters.cleaned_data
    reviews = not authz.reasons_against_deciding(person, shown)
    deciders = not authz.reasons_against_taking_deciders(person, shown)
    rows = _rows(shown, person, chosen, reviews)
    counts = evidence.progress(shown)
    context = {
        "campaign": shown,
        "filters": filters,
        "form": form,
        "rows": [_row(one, person, shown, reviews, deciders) for one in rows[:PAGE]],
        "next": rows[PAGE - 1].pk if len(rows) > PAGE else None,
        "after": chosen.get("after"),
        "chosen": set(form.keys()),
        "counts": counts,
        "done": counts["all"] - counts["open"],
        "reviewers": shown.reviewers.order_by("username"),
        "reviews": reviews and shown.state == Campaign.State.OPEN,
        "overdue": shown.state == Campaign.State.OPEN and shown.due_at <= database_now(),
        "may_close": shown.state == Campaign.State.OPEN
        and not authz.reasons_against_closing(person, shown, database_now()),
        "may_export": authz.may_export(person),
        "events": AuditEvent.objects.latest_about(shown.subject),
    }
    return render(request, "reviews/campaign.html", context, status=status)


def _rows(shown: Campaign, person: User, chosen: dict[str, Any], reviews: bool) -> list[Item]:
    """The items of one page, by key: a page costs the same however far it is."""
    rows = shown.items.select_related("reviewer", "decided_by").order_by("pk")
    show = chosen.get("show") or ("open" if shown.state == Campaign.State.OPEN else "all")
    if show != "all":
        rows = rows.filter(decision=show)
    if reviews and not chosen.get("whose"):
        rows = rows.filter(reviewer=person)
    if chosen.get("after"):
        rows = rows.filter(pk__gt=chosen["after"])
    return list(rows[: PAGE + 1])


def _row(
    item: Item, person: User, shown: Campaign, reviews: bool, deciders: bool
) -> dict[str, Any]:
    free = item.decision in {Item.Decision.OPEN, Item.Decision.KEEP}
    mine = reviews and item.person_id != person.pk and (deciders or not item.takes_a_decider)
    return {"item": item, "may_decide": free and mine and shown.state == Campaign.State.OPEN}


@require_POST
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep or remove the items that were chosen, all of them or none."""
    shown = _load(request, pk)
    form = ItemsForm(request.POST)
    if not form.is_valid():
        return _campaign_page(request, shown, form, status=422)
    try:
        count = services.decide(
            reviewer=person_of(request),
            campaign=shown,
            keys=form.keys(),
            verdict=request.POST.get("verdict", ""),
            reason=form.cleaned_data["reason"],
        )
    except Refused as refused:
        raise PermissionDenied(str(refused)) from refused
    except services.Stale as stale:
        messages.error(request, str(stale))
        return _campaign_page(request, _load(request, pk), form, status=409)
    except ValidationError as error:
        for name, errors in error.update_error_dict({}).items():
            for one in errors:
                form.add_error(name if name in form.fields else None, one)
        return _campaign_page(request, shown, form, status=422)
    verb = "kept" if request.POST["verdict"] == "keep" else "removed"
    messages.success(request, f"{count} item{'' if count == 1 else 's'} {verb}.")
    return redirect(shown)


@require_POST
def close(request: HttpRequest, pk: int) -> HttpResponse:
    """Close a review for good."""
    shown = _load(request, pk)
    person = person_of(request)
    if not person.is_portal_admin:
        raise PermissionDenied("Only admins close reviews.")
    try:
        services.close(admin=person, campaign=shown)
    except (Refused, services.Stale) as refused:
        messages.error(request, str(refused))
        return _campaign_page(request, shown, ItemsForm(), status=409)
    messages.success(request, "The review is closed. It never changes from now on.")
    return redirect(shown)


@require_GET
def export(request: HttpRequest, pk: int, form: str) -> HttpResponse:
    """The evidence: who decided what and when, with a hash of it."""
    shown = _load(request, pk)
    if not authz.may_export(person_of(request)):
        raise PermissionDenied("Evidence is for admins and auditors.")
    if form == "csv":
        answer = HttpResponse(evidence.as_csv(shown), content_type="text/csv; charset=utf-8")
    else:
        answer = HttpResponse(evidence.as_json(shown), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="review-{shown.pk}.{form}"'
    return answer
