"""Creating IAM users, removing them, and showing their one-time passwords."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import AwsAccount, IamIdentity, User
from provisioning import authz
from provisioning.core.console import sign_in_url
from provisioning.forms.created_users import CreateUserForm
from provisioning.models import PasswordRequest
from provisioning.services import created_users as services
from provisioning.services.common import Refused
from provisioning.views.common import STOP_POLLING, only_if, person_of, posted


def _admin(request: HttpRequest) -> User:
    person = person_of(request)
    only_if(authz.can_manage_users(person))
    return person


def _ours(pk: int) -> IamIdentity:
    identities = IamIdentity.objects.present().filter(created_by_portal=True)
    return get_object_or_404(identities.select_related("account", "person"), pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
def create_user(request: HttpRequest) -> HttpResponse:
    """Have an IAM user made for a person."""
    admin = _admin(request)
    form = CreateUserForm(posted(request))
    if form.saved(lambda: services.create_user(admin=admin, identity=form.instance)):
        messages.success(request, f"A worker makes the IAM user {form.instance} now.")
        return redirect("accounts:identities")
    possible = AwsAccount.objects.filter(may_create_users=True).exists()
    context = {"form": form, "possible": possible}
    status = 422 if form.is_bound else 200
    return render(request, "provisioning/user_new.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def remove_user(request: HttpRequest, pk: int) -> HttpResponse:
    """Confirm, then have an IAM user removed that Sallyport created."""
    admin = _admin(request)
    identity = _ours(pk)
    reasons = services.why_not_removable(identity)
    status = 200
    if request.method == "POST":
        try:
            services.remove_user(admin=admin, identity=identity)
        except services.NotNow as error:
            reasons, status = [str(error)], 409
        else:
            messages.success(request, f"A worker removes the IAM user {identity} now.")
            return redirect("accounts:identities")
    context = {"identity": identity, "reasons": reasons}
    return render(request, "provisioning/user_remove.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_variables("asked")
def password(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what a one-time password is; on POST, ask for one, with its key on this page only."""
    admin = _admin(request)
    identity = _ours(pk)
    context: dict[str, Any] = {"identity": identity, "last": identity.passwords.first()}
    if request.method == "POST":
        try:
            asked = services.ask_password(admin=admin, identity=identity)
        except Refused as refused:
            raise PermissionDenied(str(refused)) from refused
        return _password_page(request, asked.request, whole=True, private_key=asked.private_key)
    return render(request, "provisioning/password_new.html", context)


@require_POST
@sensitive_post_parameters("private_key")
@sensitive_variables("private_key", "text")
def password_show(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the password if it is there, once; to htmx only the part that changes."""
    admin = _admin(request)
    asked = get_object_or_404(
        PasswordRequest.objects.select_related("identity__account", "asked_by"),
        pk=pk,
        asked_by=admin,
    )
    private_key = request.POST.get("private_key", "")
    whole = not getattr(request, "htmx", False)
    if asked.state != "sealed":
        return _password_page(request, asked, whole=whole, private_key=private_key)
    try:
        text = services.show_password(admin=admin, request=asked, private_key=private_key)
    except services.NotNow as error:
        return _password_page(request, asked, whole=whole, problem=str(error))
    return _password_page(request, asked, whole=whole, text=text)


def _password_page(
    request: HttpRequest, asked: PasswordRequest, *, whole: bool, **context: Any
) -> HttpResponse:
    account = asked.identity.account
    context |= {
        "asked": asked,
        "identity": asked.identity,
        "sign_in_url": sign_in_url(
            partition=account.partition,
            account_id=account.account_id,
            base=settings.SANDBOX_CONSOLE_BASE,
        ),
    }
    template = "provisioning/password.html"
    goes_on = asked.state == "waiting" and "text" not in context
    if whole:
        return render(request, template, context)
    return render(request, f"{template}#part", context, status=200 if goes_on else STOP_POLLING)
