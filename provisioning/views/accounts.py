"""An account's connection: checking it, and what its owner installs."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.models import AwsAccount
from provisioning import services
from provisioning.core import onboarding_files
from provisioning.core.onboarding_files import Installation
from provisioning.engine import onboard
from provisioning.views.common import (
    for_overseers,
    person_of,
)


@require_POST
def check_connection(request: HttpRequest, account_id: str) -> HttpResponse:
    """Ask a worker to check an account's connection."""
    person = person_of(request)
    if not person.is_portal_admin:
        raise PermissionDenied("Only admins check connections.")
    account = get_object_or_404(AwsAccount, account_id=account_id)
    try:
        services.check_connection(asked_by=person.username, account=account)
    except services.Refused as refused:
        messages.error(request, str(refused))
    else:
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
        users=account.may_create_users,
    )


def _download(content: bytes | str, name: str, content_type: str) -> HttpResponse:
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(content, content_type=content_type, headers=disposition)


@require_GET
@for_overseers
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
@for_overseers
def set_up_template(request: HttpRequest, account_id: str) -> HttpResponse:
    """The CloudFormation template, byte for byte the one in docs/; it is the same for everybody."""
    get_object_or_404(AwsAccount, account_id=account_id)
    return _download(TEMPLATE.read_bytes(), onboarding_files.TEMPLATE_NAME, "text/yaml")


@require_GET
@for_overseers
def set_up_terraform(request: HttpRequest, account_id: str) -> HttpResponse:
    """The Terraform file of this account."""
    account = get_object_or_404(AwsAccount, account_id=account_id)
    try:
        made = _installation(account)
    except ValueError as error:
        raise Http404(str(error)) from error
    name = onboarding_files.TERRAFORM_NAME
    return _download(onboarding_files.terraform(made), name, "text/plain; charset=utf-8")
