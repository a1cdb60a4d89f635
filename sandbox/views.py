"""Pages that stand for AWS, and the one-click sign-in of the sandbox's people.

None of them asks who is signed in to the portal: the AWS console does not know, nor does the
owner of an account who deploys a template.
"""

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.csp import CSP
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import AwsAccount, User
from provisioning.aws.errors import AwsError
from sandbox import console, inventory, mail, world
from sandbox.console import ConsoleSession
from sandbox.forms import SignInForm, SwitchRoleForm
from sandbox.people import PEOPLE

COOKIE = "sandbox_console"
UNPROCESSABLE = 422
MAILS_SHOWN = 100


# --- The portal's people ---------------------------------------------------------------------


@login_not_required
@require_POST
def sign_in(request: HttpRequest, username: str) -> HttpResponse:
    """Sign one of the sandbox's people in to the portal, without asking for the password."""
    if username not in {person.username for person in PEOPLE}:
        raise Http404
    person = get_object_or_404(User, username=username, is_active=True)
    login(request, person)
    return redirect(_safe(request, request.POST.get("next", "")) or "home")


def _safe(request: HttpRequest, target: str) -> str:
    """The address, if it is one of this site; else nothing."""
    ours = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if ours else ""


# --- What is in AWS --------------------------------------------------------------------------


@login_not_required
@require_GET
def accounts(request: HttpRequest) -> HttpResponse:
    """All AWS accounts of the sandbox, read from AWS at this moment."""
    return render(
        request,
        "sandbox/accounts.html",
        {"accounts": inventory.accounts(), "session": _session(request)},
    )


@login_not_required
@require_POST
def install(request: HttpRequest, account_id: str) -> HttpResponse:
    """Deploy the template in a registered account, as its owner would with CloudFormation."""
    account = get_object_or_404(AwsAccount, account_id=account_id)
    try:
        world.install(account)
    except AwsError as error:
        messages.error(request, f"AWS refused. {error.call}: {error.code}: {error.message}")
    else:
        messages.success(request, f"The template is deployed in {account}. Check its connection.")
    return redirect("sandbox:index")


# --- Mail ------------------------------------------------------------------------------------


@login_not_required
@require_GET
def mail_list(request: HttpRequest) -> HttpResponse:
    """All mail that a mail server would have got, newest first."""
    return render(request, "sandbox/mail.html", {"mails": mail.newest(MAILS_SHOWN)})


@login_not_required
@require_GET
def mail_page(request: HttpRequest, name: str) -> HttpResponse:
    """One mail as text, with what its receiver's program reads."""
    return render(request, "sandbox/mail_page.html", {"mail": _mail(name)})


@login_not_required
@require_GET
@csp_override(
    {
        "default-src": [CSP.NONE],
        # A mail has its style inside; nothing else of it does anything.
        "style-src": [CSP.UNSAFE_INLINE],
        "frame-ancestors": [CSP.NONE],
        "sandbox": ["allow-top-navigation-by-user-activation"],
    }
)
def mail_html(request: HttpRequest, name: str) -> HttpResponse:
    """One mail as its receiver's program shows it."""
    return HttpResponse(_mail(name).html)


def _mail(name: str) -> mail.Mail:
    found = mail.find(name)
    if found is None:
        raise Http404
    return found


# --- The console -----------------------------------------------------------------------------


@login_not_required
@require_http_methods(["GET", "POST"])
def console_sign_in(request: HttpRequest) -> HttpResponse:
    """Stands for https://<account>.signin.aws.amazon.com/console."""
    account_id = request.GET.get("account", "")
    users = [one for one in world.iam_users() if account_id in {"", one.account_id}]
    form = SignInForm(request.POST or None, users=users)
    if form.is_valid():
        session = console.sign_in(form.chosen, mfa=form.cleaned_data["mfa"])
        response = redirect(_safe(request, request.GET.get("next", "")) or "sandbox:console")
        _remember(request, response, session)
        return response
    context = {
        "form": form,
        "account_id": account_id,
        "account_name": world.ACCOUNT_NAMES.get(account_id, ""),
        "session": _session(request),
    }
    status = UNPROCESSABLE if form.is_bound else 200
    return render(request, "sandbox/sign_in.html", context, status=status)


@login_not_required
@require_http_methods(["GET", "POST"])
def switch_role(request: HttpRequest) -> HttpResponse:
    """Stands for https://signin.aws.amazon.com/switchrole: a form, filled in from the link."""
    session = _session(request)
    if session is None:
        return _to_sign_in(request)
    form = SwitchRoleForm(request.POST or request.GET or None)
    refused = None
    if form.is_valid() and request.method == "POST":
        try:
            _switch(session, form)
        except AwsError as error:
            refused = error
        else:
            return redirect("sandbox:console")
    status = UNPROCESSABLE if form.errors or refused else 200
    context = {"form": form, "refused": refused, "session": session}
    return render(request, "sandbox/switch_role.html", context, status=status)


def _switch(session: ConsoleSession, form: SwitchRoleForm) -> None:
    console.switch_role(
        session,
        account_id=form.cleaned_data["account"],
        role_name=form.cleaned_data["roleName"],
        display_name=form.cleaned_data["displayName"],
        colour=form.cleaned_data["color"],
    )


@login_not_required
@require_GET
def console_home(request: HttpRequest) -> HttpResponse:
    """Who the console says that this browser is, and what AWS lets it read now."""
    session = _session(request)
    if session is None:
        return _to_sign_in(request)
    answers = console.look(session)
    return render(request, "sandbox/console.html", {"session": session, "answers": answers})


@login_not_required
@require_POST
def switch_back(request: HttpRequest) -> HttpResponse:
    """Leave the role."""
    session = _session(request)
    if session is not None:
        console.switch_back(session)
    return redirect("sandbox:console")


@login_not_required
@require_POST
def console_sign_out(request: HttpRequest) -> HttpResponse:
    """Leave the console."""
    console.sign_out(request.COOKIES.get(COOKIE, ""))
    response = redirect("sandbox:console-sign-in")
    response.delete_cookie(COOKIE, path=reverse("sandbox:index"))
    return response


def _session(request: HttpRequest) -> ConsoleSession | None:
    return console.find(request.COOKIES.get(COOKIE, ""))


def _remember(request: HttpRequest, response: HttpResponse, session: ConsoleSession) -> None:
    """A cookie of the console's own, which only its pages are sent."""
    console.sign_out(request.COOKIES.get(COOKIE, ""))
    response.set_cookie(
        COOKIE,
        session.ticket,
        path=reverse("sandbox:index"),
        httponly=True,
        samesite="Lax",
        secure=request.is_secure(),
    )


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    query = urlencode({"next": request.get_full_path()})
    return redirect(f"{reverse('sandbox:console-sign-in')}?{query}")
