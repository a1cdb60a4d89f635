"""Addresses of requests, decisions, grants."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from accounts import converters as converters
from provisioning.core.naming import CODE_ALPHABET, CODE_LENGTH
from provisioning.core.onboarding_files import TEMPLATE_NAME, TERRAFORM_NAME
from provisioning.views import access, accounts, drift, oversight, requests


class CodeConverter(StringConverter):
    """The code of a request and its grant."""

    regex = f"[{CODE_ALPHABET}]{{{CODE_LENGTH}}}"


register_converter(CodeConverter, "code")

app_name = "provisioning"

urlpatterns = [
    path("access/", access.my_access, name="access"),
    path("offers/", requests.offers, name="offers"),
    path("offers/<int:pk>/request/", requests.ask, name="ask"),
    path("approvals/", requests.approvals, name="approvals"),
    path("requests/<code:code>/", requests.request_page, name="request"),
    path("requests/<code:code>/decide/", requests.decide, name="decide"),
    path("requests/<code:code>/cancel/", requests.cancel, name="cancel"),
    path("requests/<code:code>/revoke/", requests.revoke, name="revoke"),
    path("requests/<code:code>/repair/", drift.repair, name="repair"),
    path("requests/<code:code>/switch-role/", access.switch_role, name="switch"),
    path("grants/", oversight.grants, name="grants"),
    path("drift/", drift.drift_page, name="drift"),
    path("drift/scan/", drift.scan_now, name="scan-now"),
    path("drift/<int:pk>/restore/", drift.restore_group, name="restore-group"),
    path("audit/", oversight.audit_log, name="audit"),
    path("accounts/<account_id:account_id>/check/", accounts.check_connection, name="check"),
    path("accounts/<account_id:account_id>/set-up/", accounts.set_up, name="set-up"),
    path(
        f"accounts/<account_id:account_id>/set-up/{TEMPLATE_NAME}",
        accounts.set_up_template,
        name="set-up-template",
    ),
    path(
        f"accounts/<account_id:account_id>/set-up/{TERRAFORM_NAME}",
        accounts.set_up_terraform,
        name="set-up-terraform",
    ),
]
