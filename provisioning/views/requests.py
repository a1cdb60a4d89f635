"""Asking, one request from the question to the end, and deciding on it."""

import re
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.durations import MINUTE, in_words
from accounts.models import Offer, User
from accounts.stages import needed
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import approvals as approval_rules
from provisioning import authz, services
from provisioning.approvals import Standing
from provisioning.core.plan import fingerprint
from provisioning.core.states import RequestState
from provisioning.forms.asking import ExtendForm
from provisioning.forms.break_glass import ReviewForm
from provisioning.forms.deciding import CommentForm, DecisionForm, TermsForm
from provisioning.forms.ending import GiveBackForm, RevokeForm
from provisioning.forms.filters import DecidedFilterForm, InboxFilterForm
from provisioning.lifecycle import StaleState
from provisioning.models import (
    AccessRequest,
    AccessRequestQuerySet,
    BreakGlass,
    Decision,
    Grant,
    Review,
)
from provisioning.reading import cards, keyset, listing
from provisioning.reading.asking import ask_again_query
from provisioning.reading.doors import doors
from provisioning.reading.plans import plan_view
from provisioning.reading.progress import grant_of, progress, stage
from provisioning.reading.requester import about_requester
from provisioning.services import break_glass as emergencies
from provisioning.services import questions
from provisioning.services import terms as terms_service
from provisioning.specs import spec_for_request
from provisioning.views.common import (
    PAGE,
    STOP_POLLING,
    known_keys,
    load,
    load_grant,
    person_of,
    posted,
)

LATEST = 20
"""Of what was decided, shown below what waits."""


def _wished(request: HttpRequest) -> dict[str, str]:
    """The minutes that the button beside the countdown named, for a person to look at."""
    minutes = request.GET.get("minutes", "")
    return {"minutes": minutes} if re.fullmatch("[0-9]{1,5}", minutes) else {}


@require_http_methods(["GET", "POST"])
def extend(request: HttpRequest, code: str) -> HttpResponse:
    """Ask for more time on one's own access."""
    person, now = person_of(request), database_now()
    grant = get_object_or_404(Grant.objects.held_by(person).with_parties(), code=code)
    answer = authz.can_extend(person, grant, now)
    if request.method == "GET" and not answer.allowed:
        # It is their own access, so what speaks against it is how things stand: 409.
        return _conflict(request, code, " ".join(answer.reasons))
    longest = authz.longest_extension(grant, now)
    form = ExtendForm(grant.ends_at, longest, posted(request), initial=_wished(request))
    # Whoever may not is refused by the service, which records it, whatever the form says.
    if request.method == "POST" and (form.is_valid() or not answer.allowed):
        try:
            made = services.extend_access(
                person=person,
                grant=grant,
                duration=form.duration if form.is_valid() else timedelta(0),
                reason=form.cleaned_data.get("reason", ""),
            )
        except ValidationError as error:
            form.add_error(None, error)
        except (services.Refused, StaleState) as refused:
            return _conflict(request, code, str(refused))
        else:
            messages.success(request, "Your request for more time is with the approvers.")
            return redirect(made)
    context = {
        "grant": grant,
        "offer": grant.request.offer,
        "form": form,
        "approvers": grant.request.offer.approvers().exclude(pk=person.pk),
        "latest": grant.ends_at + longest,
    }
    return render(request, "provisioning/extend.html", context, status=422 if form.errors else 200)


@require_GET
def request_page(request: HttpRequest, code: str) -> HttpResponse:
    """One request from the question to the end; its live part is polled until it has settled."""
    asked = load(request, code)
    if not request.htmx:  # type: ignore[attr-defined]  # django-htmx adds it
        services.keep_fresh(approver=person_of(request), request=asked)
        comments = asked.comments.order_by("id")
        questions.note_read(person=person_of(request), request=asked, newest=comments.last())
        return _request_page(request, asked)
    context = _status_context(request, asked)
    view = context["plan"] = plan_view(asked, database_now())
    # What the page shows already is not sent again: it would close what somebody has opened.
    context["plan_changed"] = request.GET.get("seen", view.mark) != view.mark
    status = STOP_POLLING if context["stage"].settled else 200
    return render(request, "provisioning/request.html#status", context, status=status)


def _status_context(request: HttpRequest, asked: AccessRequest) -> dict[str, Any]:
    now, grant = database_now(), grant_of(asked)
    person = person_of(request)
    own = person.pk == asked.requester_id
    waits = asked.state == RequestState.PENDING
    standing = approval_rules.standing(asked) if waits else None
    return {
        "asked": asked,
        "waits": waits,
        "grant": grant,
        "names": User.objects.labels_of([grant.revoked_by] if grant and grant.revoked_at else []),
        "offer": asked.offer,
        "stage": stage(asked, grant, now),
        "progress": progress(asked, grant, now),
        "doors": doors(person, asked, grant, now, standing=standing),
        "access": cards.card_of(grant, now) if grant and own else None,
        "again": ask_again_query(asked, grant) if own else "",
        "decision": asked.decision,
        "tally": approval_rules.tally_of(standing, standing.mark)
        if standing
        else approval_rules.tally(asked, _counting(asked, grant)),
        "extensions": grant.extensions.prefetch_related("decisions__approver") if grant else (),
        "extended": asked.extends,
        "events": AuditEvent.objects.about(asked.subject),
        "comments": asked.comments.select_related("author"),
        "reviews": asked.taken.reviews.select_related("reviewer") if asked.taken else (),
    }


def _sent_together(person: User, asked: AccessRequest) -> AccessRequestQuerySet:
    """What was asked for in the same go, as far as this person may see it."""
    if asked.batch is None:
        return AccessRequest.objects.none()
    others = AccessRequest.objects.visible_to(person).filter(batch=asked.batch)
    return others.exclude(pk=asked.pk).with_parties().order_by("id")


def _counting(asked: AccessRequest, grant: Grant | None) -> str:
    """The plan whose approvals count: what was granted, or what it would be now."""
    return grant.fingerprint if grant else fingerprint(spec_for_request(asked))


def _request_page(
    request: HttpRequest, asked: AccessRequest, *, status: int = 200, **bound: Form
) -> HttpResponse:
    """The page as it is now. `bound` are forms that were sent, by their name on the page."""
    view = plan_view(asked, database_now())
    person = person_of(request)
    judges = person.pk != asked.requester_id
    context = _status_context(request, asked) | {
        "plan": view,
        "version": asked.profile_version,
        "sent_together": _sent_together(person_of(request), asked),
        "minutes": in_words(asked.lasts // MINUTE),
        "asked_minutes": in_words(asked.duration // MINUTE),
        "form": DecisionForm(initial={"fingerprint": view.fingerprint}),
        "terms_form": TermsForm(asked),
        "comment_form": CommentForm(),
        "review_form": ReviewForm(),
        "requester": about_requester(asked) if judges else None,
    }
    context |= bound
    return render(request, "provisioning/request.html", context, status=status)


@require_POST
def decide(request: HttpRequest, code: str) -> HttpResponse:
    """Approve or reject."""
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _request_page(request, load(request, code), form=form, status=422)
    visible = AccessRequest.objects.visible_to(person_of(request)).select_related("requester")
    asked = get_object_or_404(visible.defer("preview", "trace"), code=code)
    verdict = Decision.Verdict(form.cleaned_data["verdict"])
    try:
        grant = services.decide(
            approver=person_of(request),
            request=asked,
            verdict=verdict,
            fingerprint=form.cleaned_data["fingerprint"],
            reason=form.cleaned_data["reason"],
        )
    except services.CannotBeSetUp as refused:
        return _conflict(request, code, str(refused))
    except services.Refused as refused:
        return _refused(request, code, refused)
    except (StaleState, services.PlanMoved) as moved:
        return _conflict(request, code, str(moved))
    waits = verdict == Decision.Verdict.APPROVED and grant is None
    more = " One more approver decides." if waits else ""
    messages.success(request, f"You {verdict} the request of {asked.requester.label}.{more}")
    return redirect(asked)


@require_POST
def terms(request: HttpRequest, code: str) -> HttpResponse:
    """Put a shorter time or a later start in place of what was asked for."""
    asked = load(request, code)
    form = TermsForm(asked, request.POST)
    if not form.is_valid():
        return _request_page(request, asked, status=422, terms_form=form)
    try:
        terms_service.change_terms(
            person=person_of(request),
            request=asked,
            duration=form.duration,
            starts_at=form.cleaned_data["starts_at"],
            reason=form.cleaned_data["why"],
        )
    except ValidationError as error:
        form.add_error(None, error)
        return _request_page(request, asked, status=422, terms_form=form)
    except services.Refused as refused:
        return _refused(request, code, refused)
    except StaleState as moved:
        return _conflict(request, code, str(moved))
    messages.success(
        request, "The terms are changed. Read the plan as it is now, then approve or reject it."
    )
    return redirect(asked)


@require_POST
def review(request: HttpRequest, code: str) -> HttpResponse:
    """Say whether it was right to take access in an emergency."""
    asked = load(request, code)
    form = ReviewForm(request.POST)
    if not form.is_valid():
        return _request_page(request, asked, status=422, review_form=form)
    try:
        closed = emergencies.review(
            person=person_of(request),
            request=asked,
            verdict=Review.Verdict(form.cleaned_data["finding"]),
            note=form.cleaned_data["note"],
        )
    except services.Refused as refused:
        person = person_of(request)
        # Who took it never may, nor an auditor; to others it is a matter of how things stand.
        never = person.pk == asked.requester_id or person.role == User.Role.AUDITOR
        over = asked.taken is not None and not never
        return _refused(request, code, refused, because_over=over)
    except StaleState as moved:
        return _conflict(request, code, str(moved))
    words = "The review is closed." if closed else "One more person has to review it."
    messages.success(request, f"Your review is kept. {words}")
    return redirect(asked)


@require_POST
def comment(request: HttpRequest, code: str) -> HttpResponse:
    """Ask about a request, or answer."""
    asked = load(request, code)
    form = CommentForm(request.POST)
    if not form.is_valid():
        return _request_page(request, asked, status=422, comment_form=form)
    try:
        said = questions.say(
            person=person_of(request), request=asked, text=form.cleaned_data["text"]
        )
    except services.Refused as refused:
        return _refused(request, code, refused, because_over=not asked.is_discussed)
    questions.note_read(person=person_of(request), request=asked, newest=said)
    return redirect(f"{asked.get_absolute_url()}#questions")


def _refused(
    request: HttpRequest,
    code: str,
    refused: services.Refused,
    *,
    ends_access: bool = False,
    because_over: bool | None = None,
) -> HttpResponse:
    """409 where the stage has moved on, 403 where the person never may."""
    asked = load(request, code)
    messages.error(request, " ".join(refused.reasons))
    if because_over is not None:
        return _request_page(request, asked, status=409 if because_over else 403)
    grant = grant_of(asked)
    over = grant.is_over if grant and ends_access else asked.state != RequestState.PENDING
    over = over or approval_rules.standing(asked).has_approved(person_of(request))
    return _request_page(request, asked, status=409 if over else 403)


@require_POST
def look_again(request: HttpRequest, code: str) -> HttpResponse:
    """Have a worker try the plan again."""
    asked = load(request, code)
    try:
        anew = services.look_again(person=person_of(request), request=asked)
    except services.Refused as refused:
        return _refused(request, code, refused)
    words = "A worker is looking at both accounts."
    messages.info(request, words if anew else f"{words} It was asked to before.")
    return redirect(asked)


@require_POST
def cancel(request: HttpRequest, code: str) -> HttpResponse:
    """Withdraw one's own request."""
    asked = load(request, code)
    try:
        services.cancel(person=person_of(request), request=asked)
    except services.Refused as refused:
        return _refused(request, code, refused)
    except StaleState as moved:
        return _conflict(request, code, str(moved))
    messages.success(request, "Your request is withdrawn.")
    return redirect(asked)


@require_http_methods(["GET", "POST"])
def revoke(request: HttpRequest, code: str) -> HttpResponse:
    """Ask for a confirmation and a reason, then end the access."""
    grant, person = load_grant(request, code), person_of(request)
    own = person.pk == grant.request.requester_id
    answer = authz.can_revoke(person, grant)
    if request.method == "GET" and not answer.allowed:
        return _refused(request, code, services.Refused(answer), ends_access=True)
    form = (GiveBackForm if own else RevokeForm)(posted(request))
    # Whoever may not is refused by the service, which records it, whatever the form says.
    if request.method == "POST" and (form.is_valid() or not answer.allowed):
        reason = form.cleaned_data.get("reason", "")
        try:
            services.revoke(person=person, grant=grant, reason=reason)
        except services.Refused as refused:
            return _refused(request, code, refused, ends_access=True)
        except StaleState as moved:
            return _conflict(request, code, str(moved))
        words = "You gave the access back." if own else "The access is being revoked."
        messages.success(request, words)
        return redirect(grant)
    context = {
        "grant": grant,
        "form": form,
        "own": own,
        "offer": grant.request.offer,
        "scheduled": grant.is_scheduled_at(database_now()),
    }
    status = 422 if form.errors else 200
    return render(request, "provisioning/revoke.html", context, status=status)


def _conflict(request: HttpRequest, code: str, words: str) -> HttpResponse:
    """409: somebody was quicker, or the plan has moved. Shows the page as it is now."""
    messages.error(request, words)
    return _request_page(request, load(request, code), status=409)


@require_GET
def approvals(request: HttpRequest) -> HttpResponse:
    """What waits for this person's decision, and what was decided lately."""
    known_keys(request, InboxFilterForm)
    person, offers = person_of(request), _decided_by(request)
    form = InboxFilterForm(request.GET)
    if not form.is_valid():
        context = {"form": form, "is_approver": bool(offers)}
        return render(request, "provisioning/approvals.html", context, status=422)
    to_decide = AccessRequest.objects.to_decide(person, offers).for_list()
    shown = form.narrowed(to_decide, person).for_list().with_unread(person)
    shown = shown.prefetch_related("decisions__approver")
    page = keyset.page(shown, listing.OLDEST_FIRST, request.GET, PAGE)
    context = {
        "form": form,
        "show": form.cleaned_data["show"],
        "filtered": any(form.cleaned_data.values()),
        "waiting": [_with_tally(one, person) for one in approval_rules.standings(page.rows)],
        "page": page,
        "to_review": BreakGlass.objects.to_review_by(person).count(),
    }
    template = "provisioning/approvals.html"
    if request.htmx:  # type: ignore[attr-defined]  # django-htmx adds it
        context["is_approver"] = bool(offers)
        return render(request, f"{template}#live", context)
    settled = to_decide.exclude(state="pending").prefetch_related("decisions__approver")
    newest = settled.order_by("-id")[: LATEST + 1]
    context |= {
        "is_approver": bool(offers),
        "decided": newest[:LATEST],
        "more_decided": len(newest) > LATEST,
    }
    return render(request, template, context)


@require_GET
def decided(request: HttpRequest) -> HttpResponse:
    """All requests of others that this person could decide on and that are decided, or over."""
    known_keys(request, DecidedFilterForm)
    form = DecidedFilterForm(request.GET)
    if not form.is_valid():
        return render(request, "provisioning/decided.html", {"form": form}, status=422)
    found = AccessRequest.objects.to_decide(person_of(request), _decided_by(request))
    found = found.exclude(state="pending").for_list().prefetch_related("decisions__approver")
    page = keyset.page(form.narrowed(found), listing.NEWEST_FIRST, request.GET, PAGE)
    context = {"form": form, "page": page, "filtered": any(form.cleaned_data.values())}
    return render(request, "provisioning/decided.html", context)


def _decided_by(request: HttpRequest) -> list[int]:
    """Offers whose requests this person decides on; by their keys, so that the database knows how
    many requests that are (listing)."""
    return list(Offer.objects.decided_by(person_of(request)).values_list("pk", flat=True))


def _with_tally(standing: Standing, person: User) -> AccessRequest:
    """The request with what its card says of approvals: `needed`, `given`, `last_word`, `mine`."""
    asked = standing.request
    asked.needed = needed(standing.stages)  # type: ignore[attr-defined]  # For the template.
    # What was decided stays as it was, whatever became of its approvers.
    waits = asked.state == RequestState.PENDING
    counted = standing.progress_now().people if waits else standing.of(standing.mark)
    asked.given = len(counted)  # type: ignore[attr-defined]  # The same.
    asked.last_word = standing.needs_last_word  # type: ignore[attr-defined]  # The same.
    is_mine = standing.has_approved(person) and not standing.asks(person)
    asked.mine = is_mine  # type: ignore[attr-defined]  # The same.
    return asked
