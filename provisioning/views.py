"""Pages of requests, decisions and grants: load what is permitted, check the form, call one
service, answer."""

from collections.abc import Callable
from typing import Any, Concatenate

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import Q
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import AwsAccount, Offer, User
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import authz, onboard, pages, services
from provisioning.core import onboarding_files
from provisioning.core.onboarding_files import Installation
from provisioning.core.states import Phase, RequestState
from provisioning.forms import (
    DecisionForm,
    GiveBackForm,
    GrantFilterForm,
    RequestForm,
    RevokeForm,
    in_words,
)
from provisioning.lifecycle import StaleState
from provisioning.models import ATTENTION_AFTER, AccessRequest, Decision, Grant

PAGE = 50
STOP_POLLING = 286
"""htmx stops asking when it gets this status."""


def _person(request: HttpRequest) -> User:
    """Who is signed in; LoginRequiredMiddleware has let nobody else through."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def _posted(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to. An empty post is a post too: its missing fields are errors."""
    return request.POST if request.method == "POST" else None


def _load(request: HttpRequest, code: str) -> AccessRequest:
    """A request that this person may see; to anybody else it does not exist."""
    visible = AccessRequest.objects.visible_to(_person(request)).with_parties()
    return get_object_or_404(visible, code=code)


def _load_grant(request: HttpRequest, code: str) -> Grant:
    visible = Grant.objects.visible_to(_person(request)).with_parties()
    return get_object_or_404(visible, code=code)


def _conflict(request: HttpRequest, code: str, words: str) -> HttpResponse:
    """409: somebody was quicker, or the plan has moved. Shows the page as it is now."""
    messages.error(request, words)
    return _request_page(request, _load(request, code), status=409)


# --- My access -------------------------------------------------------------------------------


@require_GET
def my_access(request: HttpRequest) -> HttpResponse:
    """What this person can use now, what is on its way, and what is over."""
    person, now = _person(request), database_now()
    mine = Grant.objects.held_by(person).with_parties()
    live = [pages.access(grant, now) for grant in mine.live().order_by("ends_at")]
    waiting = list(AccessRequest.objects.filter(requester=person).waiting().with_parties())
    settled = not waiting and all(one.usable for one in live)
    context = {
        "usable": [one for one in live if one.usable],
        "moving": [one for one in live if not one.usable],
        "waiting": waiting,
        "settled": settled,
    }
    if request.htmx:  # type: ignore[attr-defined]  # django-htmx adds it
        status = STOP_POLLING if settled else 200
        return render(request, "provisioning/access.html#live", context, status=status)
    over = AccessRequest.objects.filter(requester=person).exclude(state="pending").with_parties()
    context["over"] = over.filter(Q(grant=None) | Q(grant__phase=Phase.ENDED))[:10]
    return render(request, "provisioning/access.html", context)


@require_GET
def switch_role(request: HttpRequest, code: str) -> HttpResponse:
    """Send the holder on to the console, if the access is active at this moment."""
    grant = get_object_or_404(Grant.objects.held_by(_person(request)).with_parties(), code=code)
    try:
        services.note_link_opened(person=_person(request), grant=grant)
    except services.Refused as refused:
        context = {
            "grant": grant,
            "reasons": refused.reasons,
            "phase": grant.phase_at(database_now()),
        }
        return render(request, "provisioning/switch_refused.html", context, status=409)
    return HttpResponseRedirect(pages.switch_role_url(grant))


# --- Asking ----------------------------------------------------------------------------------


@require_GET
def offers(request: HttpRequest) -> HttpResponse:
    """What this person may ask for, and why something can't be asked for right now."""
    person = _person(request)
    listed = Offer.objects.open_to(person).with_accounts()
    rows = [
        {"offer": offer, "answer": answer}
        for offer, answer in authz.can_request_each(person, listed)
    ]
    return render(request, "provisioning/offers.html", {"rows": rows})


@require_http_methods(["GET", "POST"])
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    """The request form of one offer."""
    person = _person(request)
    offer = get_object_or_404(Offer.objects.open_to(person).with_accounts(), pk=pk)
    form = RequestForm(offer, _posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            made = services.request_access(
                requester=person,
                offer=offer,
                duration=form.duration,
                reason=form.cleaned_data["reason"],
            )
        except ValidationError as error:
            form.add_error(None, error)
        except services.Refused as refused:
            form.add_error(None, ValidationError(list(refused.reasons)))
        else:
            messages.success(request, "Your request is with the approvers.")
            return redirect(made)
    context = {
        "offer": offer,
        "version": offer.profile.current,
        "form": form,
        "answer": authz.can_request(person, offer),
        "approvers": offer.approvers().exclude(pk=person.pk),
    }
    return render(request, "provisioning/ask.html", context, status=422 if form.errors else 200)


# --- One request -----------------------------------------------------------------------------


@require_GET
def request_page(request: HttpRequest, code: str) -> HttpResponse:
    """One request from the question to the end; its live part is polled until it has settled."""
    asked = _load(request, code)
    if not request.htmx:  # type: ignore[attr-defined]  # django-htmx adds it
        return _request_page(request, asked)
    context = _status_context(request, asked)
    status = STOP_POLLING if context["stage"].settled else 200
    return render(request, "provisioning/request.html#status", context, status=status)


def _status_context(request: HttpRequest, asked: AccessRequest) -> dict[str, Any]:
    now, grant = database_now(), pages.grant_of(asked)
    return {
        "asked": asked,
        "grant": grant,
        "offer": asked.offer,
        "stage": pages.stage(asked, grant, now),
        "progress": pages.progress(asked, grant, now),
        "doors": pages.doors(_person(request), asked, grant, now),
        "access": pages.access(grant, now) if grant else None,
        "decision": getattr(asked, "decision", None),
        "events": AuditEvent.objects.about(asked.subject),
    }


def _request_page(
    request: HttpRequest, asked: AccessRequest, *, form: Form | None = None, status: int = 200
) -> HttpResponse:
    view = pages.plan_view(asked, database_now())
    context = _status_context(request, asked) | {
        "plan": view,
        "version": asked.profile_version,
        "minutes": in_words(int(asked.duration.total_seconds() // 60)),
        "form": form or DecisionForm(initial={"fingerprint": view.fingerprint}),
    }
    return render(request, "provisioning/request.html", context, status=status)


@require_POST
def decide(request: HttpRequest, code: str) -> HttpResponse:
    """Approve or reject."""
    asked = _load(request, code)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _request_page(request, asked, form=form, status=422)
    verdict = Decision.Verdict(form.cleaned_data["verdict"])
    try:
        services.decide(
            approver=_person(request),
            request=asked,
            verdict=verdict,
            fingerprint=form.cleaned_data["fingerprint"],
            reason=form.cleaned_data["reason"],
        )
    except services.Refused as refused:
        return _refused(request, code, refused)
    except (StaleState, services.PlanMoved) as moved:
        return _conflict(request, code, str(moved))
    messages.success(request, f"You {verdict} the request of {asked.requester.label}.")
    return redirect(asked)


def _refused(
    request: HttpRequest, code: str, refused: services.Refused, *, ends_access: bool = False
) -> HttpResponse:
    """409 where the stage has moved on, 403 where the person never may."""
    asked = _load(request, code)
    messages.error(request, " ".join(refused.reasons))
    grant = pages.grant_of(asked)
    over = grant.is_over if grant and ends_access else asked.state != RequestState.PENDING
    return _request_page(request, asked, status=409 if over else 403)


@require_POST
def cancel(request: HttpRequest, code: str) -> HttpResponse:
    """Withdraw one's own request."""
    asked = _load(request, code)
    try:
        services.cancel(person=_person(request), request=asked)
    except services.Refused as refused:
        return _refused(request, code, refused)
    except StaleState as moved:
        return _conflict(request, code, str(moved))
    messages.success(request, "Your request is withdrawn.")
    return redirect(asked)


@require_http_methods(["GET", "POST"])
def revoke(request: HttpRequest, code: str) -> HttpResponse:
    """Ask for a confirmation and a reason, then end the access."""
    grant, person = _load_grant(request, code), _person(request)
    own = person.pk == grant.request.requester_id
    answer = authz.can_revoke(person, grant)
    if request.method == "GET" and not answer.allowed:
        return _refused(request, code, services.Refused(answer), ends_access=True)
    form = (GiveBackForm if own else RevokeForm)(_posted(request))
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
    context = {"grant": grant, "form": form, "own": own, "offer": grant.request.offer}
    status = 422 if form.errors else 200
    return render(request, "provisioning/revoke.html", context, status=status)


# --- Approving and watching ------------------------------------------------------------------


@require_GET
def approvals(request: HttpRequest) -> HttpResponse:
    """What waits for this person's decision, and what was decided lately."""
    person = _person(request)
    to_decide = AccessRequest.objects.to_decide(person).with_parties()
    context = {
        "waiting": to_decide.waiting().order_by("id")[:PAGE],
        "decided": to_decide.exclude(state="pending").select_related("decision__approver")[:20],
        "is_approver": Offer.objects.decided_by(person).exists(),
    }
    template = "provisioning/approvals.html"
    if request.htmx:  # type: ignore[attr-defined]  # django-htmx adds it
        template += "#live"
    return render(request, template, context)


def _for_overseers[**P](
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Only admins and auditors; everybody else is told so (403)."""

    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not _person(request).sees_everything:
            raise PermissionDenied("This page is for admins and auditors.")
        return view(request, *args, **kwargs)

    return guarded


@require_GET
@_for_overseers
def grants(request: HttpRequest) -> HttpResponse:
    """Every grant of everybody, live ones unless asked otherwise."""
    form = GrantFilterForm(request.GET)
    if not form.is_valid():
        return render(request, "provisioning/grants.html", {"form": form, "rows": []}, status=422)
    found = _filtered(form.cleaned_data["q"].strip(), form.cleaned_data["show"])
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    now, person = database_now(), _person(request)
    rows = [
        {
            "access": pages.access(one, now),
            # Approvers revoke from the request's page: asking for each row would cost a query each.
            "revocable": person.is_portal_admin and authz.can_revoke(person, one),
        }
        for one in page.object_list
    ]
    context = {"form": form, "rows": rows, "page_obj": page, "now": now}
    template = "provisioning/grants.html"
    if request.htmx:  # type: ignore[attr-defined]  # django-htmx adds it
        template += "#live"
    return render(request, template, context)


def _filtered(text: str, show: str) -> Any:
    found = Grant.objects.with_parties().order_by("-id")
    found = found.filter(phase=Phase.ENDED) if show == "ended" else found.live()
    if show == "attention":
        found = found.filter(attempts__gte=ATTENTION_AFTER).exclude(last_error="")
    if show == "ending":
        now = database_now()
        found = found.filter(Q(revoked_at__isnull=False) | Q(ends_at__lte=now))
    if text:
        found = found.filter(_matches(text))
    return found


def _matches(text: str) -> Q:
    pair = "request__offer__pair__"
    return (
        Q(request__requester__username__icontains=text)
        | Q(code__startswith=text)
        | Q(profile_version__role_name__icontains=text)
        | Q(**{f"{pair}source__name__icontains": text})
        | Q(**{f"{pair}target__name__icontains": text})
        | Q(**{f"{pair}source__account_id__startswith": text})
        | Q(**{f"{pair}target__account_id__startswith": text})
    )


@require_GET
@_for_overseers
def audit_log(request: HttpRequest) -> HttpResponse:
    """Every event, newest first."""
    page = Paginator(AuditEvent.objects.all(), PAGE).get_page(request.GET.get("page"))
    return render(request, "provisioning/audit.html", {"page_obj": page})


@require_POST
def check_connection(request: HttpRequest, account_id: str) -> HttpResponse:
    """Ask a worker to check an account's connection."""
    person = _person(request)
    if not person.is_portal_admin:
        raise PermissionDenied("Only admins check connections.")
    account = get_object_or_404(AwsAccount, account_id=account_id)
    services.check_connection(asked_by=person.username, account=account)
    messages.info(request, "A worker is checking the connection.")
    return redirect(account)


# --- Setting an account up -------------------------------------------------------------------

TEMPLATE = settings.BASE_DIR / "docs" / "cloudformation" / onboarding_files.TEMPLATE_NAME


def _installation(account: AwsAccount) -> Installation:
    """What the connection check will look for in this account."""
    return Installation(
        partition=account.partition,
        account_id=account.account_id,
        region=account.region,
        portal_principal=settings.AWS_PORTAL_PRINCIPAL,
        external_id=account.external_id,
        sides=onboard.sides_in_use(account),
    )


def _download(content: bytes | str, name: str, content_type: str) -> HttpResponse:
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(content, content_type=content_type, headers=disposition)


@require_GET
@_for_overseers
def set_up(request: HttpRequest, account_id: str) -> HttpResponse:
    """Everything that the account's owner installs, in three forms to choose from."""
    account = get_object_or_404(AwsAccount, account_id=account_id)
    context: dict[str, Any] = {"account": account}
    try:
        made = _installation(account)
    except ValueError as error:
        return render(request, "provisioning/set_up.html", context | {"problem": str(error)})
    other_boundary = made.boundary_arn not in {"", account.boundary_arn}
    context |= {
        "made": made,
        "other_names": other_boundary or made.role_arn != account.provisioner_role_arn,
        "template_name": onboarding_files.TEMPLATE_NAME,
        "stack_name": onboarding_files.STACK_NAME,
        "parameters": made.parameters.items(),
        "terraform": onboarding_files.terraform(made),
        "commands": onboarding_files.commands(made),
    }
    if settings.TEMPLATE_URL:
        context["quick_create"] = onboarding_files.quick_create_url(made, settings.TEMPLATE_URL)
    return render(request, "provisioning/set_up.html", context)


@require_GET
@_for_overseers
def set_up_template(request: HttpRequest, account_id: str) -> HttpResponse:
    """The CloudFormation template, byte for byte the one in docs/; it is the same for everybody."""
    get_object_or_404(AwsAccount, account_id=account_id)
    return _download(TEMPLATE.read_bytes(), onboarding_files.TEMPLATE_NAME, "text/yaml")


@require_GET
@_for_overseers
def set_up_terraform(request: HttpRequest, account_id: str) -> HttpResponse:
    """The Terraform file of this account."""
    account = get_object_or_404(AwsAccount, account_id=account_id)
    try:
        made = _installation(account)
    except ValueError as error:
        raise Http404(str(error)) from error
    name = onboarding_files.TERRAFORM_NAME
    return _download(onboarding_files.terraform(made), name, "text/plain; charset=utf-8")
