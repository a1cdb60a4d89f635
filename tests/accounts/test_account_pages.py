"""Registering, changing and looking at AWS accounts."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from accounts.models import AwsAccount, ConnectionCheck, User
from audit.clock import database_now
from audit.models import AuditEvent
from tests.accounts.helpers import page, refused
from tests.conftest import ClientFor
from tests.factories import AccountPairFactory, AwsAccountFactory, ConnectionCheckFactory

NEW = reverse("accounts:account-new")
LIST = reverse("accounts:accounts")
TYPED = {"account_id": "012345678901", "name": "Payments", "partition": "aws"}
TWELVE = "An AWS account id is exactly 12 digits, zeros in front included."


@pytest.fixture
def admin(dana: User, client_for: ClientFor) -> Client:
    return client_for(dana)


# --- Registering -----------------------------------------------------------------------------


def test_an_account_is_registered_with_the_conventional_names(admin: Client) -> None:
    response = admin.post(NEW, TYPED)
    account = AwsAccount.objects.get()
    assert response.status_code == 302
    assert response["Location"] == account.get_absolute_url() == "/registry/accounts/012345678901/"
    assert account.provisioner_role_arn == "arn:aws:iam::012345678901:role/SallyportProvisioner"
    assert account.boundary_arn == "arn:aws:iam::012345678901:policy/SallyportBoundary"
    assert account.group_policies == []


def test_the_conventional_names_are_in_the_partition_of_the_account(admin: Client) -> None:
    admin.post(NEW, TYPED | {"partition": "aws-us-gov"})
    arn = AwsAccount.objects.get().provisioner_role_arn
    assert arn == "arn:aws-us-gov:iam::012345678901:role/SallyportProvisioner"


def test_the_leading_zero_of_an_account_id_is_kept_on_every_page(admin: Client) -> None:
    admin.post(NEW, TYPED)
    assert "012345678901" in page(admin, LIST)
    assert "012345678901" in page(admin, "/registry/accounts/012345678901/")


def test_registering_is_an_audit_event_on_the_page(admin: Client, dana: User) -> None:
    admin.post(NEW, TYPED)
    event = AuditEvent.objects.get()
    assert (event.kind, event.actor, event.subject) == (
        "account:registered",
        "dana",
        "account:012345678901",
    )
    assert "Dana Dahl registered Payments (012345678901)." in page(
        admin, "/registry/accounts/012345678901/"
    )


@pytest.mark.parametrize("typed", ["0123-4567-8901", "0123 4567 8901", " 012345678901 "])
def test_an_account_id_may_be_typed_as_the_console_writes_it(admin: Client, typed: str) -> None:
    admin.post(NEW, TYPED | {"account_id": typed})
    assert AwsAccount.objects.get().account_id == "012345678901"


def test_own_arns_and_group_policies_are_kept(admin: Client) -> None:
    own = {
        "provisioner_role_arn": "arn:aws:iam::012345678901:role/portal/Sally",
        "boundary_arn": "arn:aws:iam::012345678901:policy/Fence",
        "group_policies": ["ReadOnlyAccess", "job-function/ViewOnlyAccess"],
    }
    admin.post(NEW, TYPED | own)
    account = AwsAccount.objects.get()
    assert {name: getattr(account, name) for name in own} == own


def test_nobody_types_the_external_id(admin: Client) -> None:
    told = refused(admin, NEW, TYPED | {"external_id": "mine"})
    assert told == {"__all__": [("This form has no field “external_id”.", "unknown_field")]}
    assert not AwsAccount.objects.exists()


@pytest.mark.parametrize(
    "typed", ["12345678901", "1234567890123", "12345678901x", "\N{ARABIC-INDIC DIGIT ONE}" * 12]
)
def test_a_malformed_account_id_is_refused(admin: Client, typed: str) -> None:
    told = refused(admin, NEW, TYPED | {"account_id": typed})
    assert told == {"account_id": [(TWELVE, "malformed_account_id")]}


ROLE = "provisioner_role_arn"
BOUNDARY = "boundary_arn"


@pytest.mark.parametrize(
    ("field", "typed", "message", "code"),
    [
        ("name", "", "This field is required.", "required"),
        (
            "name",
            "two\nlines",
            "Use one line without control characters and direction marks.",
            "control_characters",
        ),
        (
            "name",
            "txt\u202eexe",
            "Use one line without control characters and direction marks.",
            "control_characters",
        ),
        (
            "name",
            "x" * 51,
            "Ensure this value has at most 50 characters (it has 51).",
            "max_length",
        ),
        (
            "partition",
            "aws-iso",
            "Select a valid choice. aws-iso is not one of the available choices.",
            "invalid_choice",
        ),
        (
            "group_policies",
            "AdministratorAccess",
            "Select a valid choice. AdministratorAccess is not one of the available choices.",
            "invalid_choice",
        ),
        (
            ROLE,
            "arn:aws:iam::012345678901:user/x",
            "Not a role's ARN. It looks like arn:aws:iam::123456789012:role/SallyportProvisioner.",
            "malformed_role_arn",
        ),
        (
            ROLE,
            "arn:aws:iam::999999999999:role/SallyportProvisioner",
            "This ARN belongs to account 999999999999, not to 012345678901.",
            "arn_of_other_account",
        ),
        (
            ROLE,
            "arn:aws-cn:iam::012345678901:role/SallyportProvisioner",
            "This ARN is in the partition aws-cn, not in aws.",
            "arn_of_other_partition",
        ),
        (
            ROLE,
            "arn:aws:iam::012345678901:role/Sallyport/x",
            "It must stand outside the path /sallyport/, where the provisioner may write.",
            "arn_under_our_path",
        ),
        (
            BOUNDARY,
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
            "Not a policy's ARN. It looks like arn:aws:iam::123456789012:policy/SallyportBoundary.",
            "malformed_policy_arn",
        ),
        (
            BOUNDARY,
            "arn:aws:iam::999999999999:policy/SallyportBoundary",
            "This ARN belongs to account 999999999999, not to 012345678901.",
            "arn_of_other_account",
        ),
        (
            BOUNDARY,
            "arn:aws:iam::012345678901:policy/sallyport/Fence",
            "It must stand outside the path /sallyport/, where the provisioner may write.",
            "arn_under_our_path",
        ),
    ],
)
def test_what_is_wrong_with_an_account_is_told_at_the_field(
    admin: Client, field: str, typed: str, message: str, code: str
) -> None:
    assert refused(admin, NEW, TYPED | {field: typed}) == {field: [(message, code)]}
    assert not AwsAccount.objects.exists()
    assert not AuditEvent.objects.exists()


def test_an_account_is_registered_once(admin: Client) -> None:
    AwsAccountFactory.create(account_id="012345678901")
    told = refused(admin, NEW, TYPED)
    assert told == {"account_id": [("This account is registered already.", "unique")]}


def test_two_accounts_cannot_have_one_name_in_whatever_case(admin: Client) -> None:
    AwsAccountFactory.create(name="PAYMENTS")
    told = refused(admin, NEW, TYPED)
    assert told == {"name": [("Another account has this name already.", "account_name_unique")]}


def test_nothing_typed_is_lost_when_an_account_is_refused(admin: Client) -> None:
    typed: dict[str, Any] = {
        "account_id": "0123-4567",
        "name": "Pay <b>ments</b>",
        "partition": "aws-cn",
        "provisioner_role_arn": "arn:half",
        "boundary_arn": "arn:other half",
        "group_policies": ["SecurityAudit"],
    }
    response = admin.post(NEW, typed)
    form = response.context["form"]
    assert {name: form[name].value() for name in typed} == typed
    text = response.content.decode()
    assert 'value="Pay &lt;b&gt;ments&lt;/b&gt;"' in text
    assert "<b>ments" not in text
    assert '<option value="aws-cn" selected>' in text


# --- Changing --------------------------------------------------------------------------------


def _stored(account: AwsAccount, **changed: Any) -> dict[str, Any]:
    names = ("name", "provisioner_role_arn", "boundary_arn", "group_policies")
    return {name: getattr(account, name) for name in names} | changed


def test_an_account_can_be_renamed(admin: Client, source: AwsAccount) -> None:
    url = reverse("accounts:account-edit", args=[source.account_id])
    response = admin.post(url, _stored(source, name="People", group_policies=["ReadOnlyAccess"]))
    assert response["Location"] == source.get_absolute_url()
    source.refresh_from_db()
    assert (source.name, source.group_policies) == ("People", ["ReadOnlyAccess"])
    assert AuditEvent.objects.get().kind == "account:changed"


def test_an_account_may_keep_its_own_name(admin: Client, source: AwsAccount) -> None:
    url = reverse("accounts:account-edit", args=[source.account_id])
    assert admin.post(url, _stored(source, name="IDENTITY")).status_code == 302


@pytest.mark.parametrize("field", ["account_id", "partition", "external_id"])
def test_id_partition_and_external_id_never_change(
    admin: Client, source: AwsAccount, field: str
) -> None:
    url = reverse("accounts:account-edit", args=[source.account_id])
    told = refused(admin, url, _stored(source, **{field: "aws-cn"}))
    assert told == {"__all__": [(f"This form has no field “{field}”.", "unknown_field")]}


def test_a_refused_change_shows_the_stored_name_in_the_heading(
    admin: Client, source: AwsAccount, target: AwsAccount
) -> None:
    url = reverse("accounts:account-edit", args=[source.account_id])
    response = admin.post(url, _stored(source, name="workload"))
    assert response.status_code == 422
    assert "<h1>Edit Identity (111111111111)</h1>" in response.content.decode()


# --- The connection --------------------------------------------------------------------------

GOOD = {"key": "enter", "title": "It can be entered", "ok": True, "detail": "Yes.", "mend": ""}
BAD = {
    "key": "trust",
    "title": "It trusts us",
    "ok": False,
    "detail": "It trusts\n<everybody>.",
    "mend": "Deploy the template.",
}
UNTRIED = {
    "key": "needed",
    "title": "It may enough",
    "ok": None,
    "detail": "Not tried.",
    "mend": "",
}


def _finished(account: AwsAccount, *findings: dict[str, Any]) -> ConnectionCheck:
    now = database_now()
    return ConnectionCheckFactory.create(
        account=account, findings=list(findings), started_at=now, finished_at=now
    )


def test_the_findings_of_the_last_check_stand_one_by_one(admin: Client, source: AwsAccount) -> None:
    _finished(source, GOOD)
    _finished(source, GOOD, BAD, UNTRIED)
    text = page(admin, source.get_absolute_url())
    assert text.count("It can be entered") == 1
    for words in ("Good", "Failed", "Not tried", "It trusts<br>&lt;everybody&gt;.", "To mend it:"):
        assert words in text
    assert "<everybody>" not in text


def test_the_external_id_stands_with_what_to_do_with_it(admin: Client, source: AwsAccount) -> None:
    text = page(admin, source.get_absolute_url())
    assert f'data-copy="{source.external_id}"' in text
    assert "Give the ExternalId to the owner of the account" in text
    assert "docs/aws-setup.md" in text


@pytest.mark.parametrize("findings", [[], [UNTRIED], [GOOD, BAD], [GOOD, UNTRIED]])
def test_a_check_passes_only_if_everything_was_tried_and_good(
    source: AwsAccount, findings: list[dict[str, Any]]
) -> None:
    check = _finished(source, *findings)
    assert (check.passed, check.state) == (False, "failed")


def test_a_check_with_good_findings_only_passes(admin: Client, source: AwsAccount) -> None:
    assert _finished(source, GOOD, GOOD).state == "passed"
    assert "Passed" in page(admin, LIST)


def test_the_page_follows_a_check_until_it_has_finished(admin: Client, source: AwsAccount) -> None:
    check = ConnectionCheckFactory.create(account=source)
    first = admin.get(source.get_absolute_url(), headers={"HX-Request": "true"})
    assert first.status_code == 200
    assert 'hx-trigger="every 2s"' in first.content.decode()
    assert "<html" not in first.content.decode()

    ConnectionCheck.objects.filter(pk=check.pk).update(findings=[GOOD], finished_at=database_now())
    last = admin.get(source.get_absolute_url(), headers={"HX-Request": "true"})
    assert last.status_code == 286
    assert "hx-trigger" not in last.content.decode()
    assert "Passed" in last.content.decode()


def test_the_page_works_without_javascript(admin: Client, source: AwsAccount) -> None:
    ConnectionCheckFactory.create(account=source)
    text = page(admin, source.get_absolute_url())
    assert f'href="{source.get_absolute_url()}">Refresh</a>' in text
    assert "Check connection</button>" not in text


def test_a_new_account_waits_for_its_first_check(admin: Client, source: AwsAccount) -> None:
    text = page(admin, source.get_absolute_url())
    assert "Not checked yet" in text
    assert 'hx-trigger="every 2s"' in text
    assert reverse("provisioning:check", args=[source.account_id]) in text


def test_the_page_says_when_no_worker_comes(admin: Client, source: AwsAccount) -> None:
    asked_at = database_now() - timedelta(seconds=31)
    check = ConnectionCheckFactory.create(account=source, asked_at=asked_at)
    late = "No worker has taken this up yet."
    assert late in page(admin, source.get_absolute_url())
    ConnectionCheck.objects.filter(pk=check.pk).update(started_at=asked_at)
    assert late not in page(admin, source.get_absolute_url())


def test_the_wrong_clock_of_a_web_server_makes_no_check_late(
    admin: Client, source: AwsAccount
) -> None:
    ConnectionCheckFactory.create(account=source)
    with time_machine.travel(database_now() + timedelta(minutes=10), tick=True):
        assert "No worker has taken this up yet." not in page(admin, source.get_absolute_url())


def test_auditors_see_the_findings_but_no_button(
    erin: User, client_for: ClientFor, source: AwsAccount
) -> None:
    _finished(source, BAD)
    text = page(client_for(erin), source.get_absolute_url())
    assert "To mend it:" in text
    assert reverse("provisioning:check", args=[source.account_id]) not in text


# --- Looking ---------------------------------------------------------------------------------


def test_the_empty_list_says_what_to_do_next(
    admin: Client, erin: User, client_for: ClientFor
) -> None:
    assert "No account is registered yet" in page(admin, LIST)
    assert f'href="{NEW}"' in page(admin, LIST)
    auditor = page(client_for(erin), LIST)
    assert "An admin registers them here." in auditor
    assert NEW not in auditor


def test_the_list_says_what_accounts_are_used_as(
    admin: Client, source: AwsAccount, target: AwsAccount
) -> None:
    AccountPairFactory.create(source=source, target=target)
    AccountPairFactory.create(source=source)
    text = " ".join(page(admin, LIST).split())
    assert "Source of 2 pairs" in text
    assert "Target of 1 pair" in text


def test_accounts_are_listed_by_name_whatever_the_case(admin: Client) -> None:
    for name in ("beta", "Alpha", "Gamma"):
        AwsAccountFactory.create(name=name)
    shown = [one.name for one in admin.get(LIST).context["page_obj"]]
    assert shown == ["Alpha", "beta", "Gamma"]


def test_a_long_list_is_cut_into_pages(admin: Client) -> None:
    AwsAccountFactory.create_batch(51)
    assert len(admin.get(LIST).context["page_obj"]) == 50
    assert "Page 1 of 2, 51 accounts" in page(admin, LIST)
    assert len(admin.get(LIST, {"page": 2}).context["page_obj"]) == 1


def test_pressing_check_connection_asks_for_a_check_and_comes_back(
    admin: Client, source: AwsAccount
) -> None:
    response = admin.post(reverse("provisioning:check", args=[source.account_id]))
    assert response.status_code == 302
    assert response["Location"] == source.get_absolute_url()
    check = source.checks.get()
    assert (check.asked_by, check.state) == ("dana", "waiting")
