"""Addresses of requests, decisions, grants."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from accounts import converters as converters
from provisioning import views
from provisioning.core.naming import CODE_ALPHABET, CODE_LENGTH
from provisioning.core.onboarding_files import TEMPLATE_NAME, TERRAFORM_NAME


class CodeConverter(StringConverter):
    """The code of a request and its grant."""

    regex = f"[{CODE_ALPHABET}]{{{CODE_LENGTH}}}"


register_converter(CodeConverter, "code")

app_name = "provisioning"

urlpatterns = [
    path("access/", views.my_access, name="access"),
    path("offers/", views.offers, name="offers"),
    path("offers/<int:pk>/request/", views.ask, name="ask"),
    path("approvals/", views.approvals, name="approvals"),
    path("requests/<code:code>/", views.request_page, name="request"),
    path("requests/<code:code>/decide/", views.decide, name="decide"),
    path("requests/<code:code>/cancel/", views.cancel, name="cancel"),
    path("requests/<code:code>/revoke/", views.revoke, name="revoke"),
    path("requests/<code:code>/switch-role/", views.switch_role, name="switch"),
    path("grants/", views.grants, name="grants"),
    path("audit/", views.audit_log, name="audit"),
    path("accounts/<account_id:account_id>/check/", views.check_connection, name="check"),
    path("accounts/<account_id:account_id>/set-up/", views.set_up, name="set-up"),
    path(
        f"accounts/<account_id:account_id>/set-up/{TEMPLATE_NAME}",
        views.set_up_template,
        name="set-up-template",
    ),
    path(
        f"accounts/<account_id:account_id>/set-up/{TERRAFORM_NAME}",
        views.set_up_terraform,
        name="set-up-terraform",
    ),
]
