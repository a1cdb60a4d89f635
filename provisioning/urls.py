"""Addresses of requests, decisions, grants."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from accounts import converters as converters
from provisioning.core.naming import CODE_ALPHABET, CODE_LENGTH
from provisioning.core.onboarding_files import TEMPLATE_NAME, TERRAFORM_NAME
from provisioning.views import (
    access,
    accounts,
    break_glass,
    catalogue,
    created_users,
    drift,
    oversight,
    red_button,
    requests,
    retire,
    together,
)


class CodeConverter(StringConverter):
    """The code of a request and its grant."""

    regex = f"[{CODE_ALPHABET}]{{{CODE_LENGTH}}}"


register_converter(CodeConverter, "code")

app_name = "provisioning"

urlpatterns = [
    path("access/", access.my_access, name="access"),
    path("access/history/", access.my_history, name="access-history"),
    path("offers/", catalogue.offers, name="offers"),
    path("offers/request/", catalogue.ask_together, name="ask-together"),
    path("offers/<int:pk>/request/", catalogue.ask, name="ask"),
    path("offers/<int:pk>/request/reading/", catalogue.read_duration, name="read-duration"),
    path("offers/<int:pk>/star/", catalogue.star, name="star"),
    path("offers/<int:pk>/break-glass/", break_glass.take, name="break-glass"),
    path("break-glass/", break_glass.to_review, name="to-review"),
    path("requests/<code:code>/review/", requests.review, name="review"),
    path("approvals/", requests.approvals, name="approvals"),
    path("approvals/decided/", requests.decided, name="decided"),
    path("approvals/together/", together.decide_together, name="together"),
    path("requests/<code:code>/", requests.request_page, name="request"),
    path("requests/<code:code>/decide/", requests.decide, name="decide"),
    path("requests/<code:code>/terms/", requests.terms, name="terms"),
    path("requests/<code:code>/comment/", requests.comment, name="comment"),
    path("requests/<code:code>/look-again/", requests.look_again, name="look-again"),
    path("requests/<code:code>/cancel/", requests.cancel, name="cancel"),
    path("requests/<code:code>/revoke/", requests.revoke, name="revoke"),
    path("requests/<code:code>/extend/", requests.extend, name="extend"),
    path("requests/<code:code>/repair/", drift.repair, name="repair"),
    path("requests/<code:code>/switch-role/", access.switch_role, name="switch"),
    path("accounts/<account_id:account_id>/retire/", retire.account, name="retire-account"),
    path("accounts/<account_id:account_id>/bring-back/", retire.bring_back, name="bring-back"),
    path("pairs/<int:pk>/retire/", retire.pair, name="retire-pair"),
    path("offers/<int:pk>/retire/", retire.offer, name="retire-offer"),
    path("people/<int:pk>/retire/", retire.person, name="retire-person"),
    path("identities/create-user/", created_users.create_user, name="user-new"),
    path("identities/<int:pk>/remove-user/", created_users.remove_user, name="user-remove"),
    path("identities/<int:pk>/password/", created_users.password, name="password"),
    path("passwords/<int:pk>/show/", created_users.password_show, name="password-show"),
    path("grants/", oversight.grants, name="grants"),
    path("grants/export.csv", oversight.grants_csv, name="grants-csv"),
    path("red-button/", red_button.red_button, name="red-button"),
    path("red-button/everything/", red_button.everything, name="stop-everything"),
    path("red-button/person/<int:pk>/", red_button.person, name="stop-person"),
    path("red-button/account/<account_id:account_id>/", red_button.account, name="stop-account"),
    path("red-button/pair/<int:pk>/", red_button.pair, name="stop-pair"),
    path("red-button/pressed/<int:pk>/", red_button.stop, name="stop"),
    path("red-button/pressed/<int:pk>/lift/", red_button.lift, name="stop-lift"),
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
