"""The set-up page of an account: who may see it, what it shows, what it gives to download."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils.html import escape
from pytest_django.fixtures import Settings

from accounts.models import AccountPair, AwsAccount, User
from provisioning.core import onboarding, onboarding_files
from provisioning.core.onboarding_files import Installation
from provisioning.core.steps import Side
from tests.conftest import ClientFor
from tests.factories import AwsAccountFactory
from tests.portal.test_settings import PRODUCTION, start

pytestmark = pytest.mark.django_db

REPO = Path(__file__).parents[3]
TEMPLATE = REPO / "docs" / "cloudformation" / "sallyport-account.yaml"
PAGE = "/accounts/222222222222/set-up/"
ADDRESS = "https://templates.s3.eu-central-1.amazonaws.com/sallyport-account.yaml"

MATRIX = {
    # page: nobody, alice, bob, charlie, dana, erin
    PAGE: [302, 403, 403, 403, 200, 200],
    f"{PAGE}sallyport-account.yaml": [302, 403, 403, 403, 200, 200],
    f"{PAGE}sallyport-account.tf": [302, 403, 403, 403, 200, 200],
    "/accounts/999999999999/set-up/": [302, 403, 403, 403, 404, 404],
    "/accounts/999999999999/set-up/sallyport-account.yaml": [302, 403, 403, 403, 404, 404],
    "/accounts/999999999999/set-up/sallyport-account.tf": [302, 403, 403, 403, 404, 404],
    f"{PAGE}settings.py": [404, 404, 404, 404, 404, 404],
    "/accounts/22222222222/set-up/": [404, 404, 404, 404, 404, 404],
}


@pytest.fixture
def auditor(erin: User, client_for: ClientFor) -> Client:
    return client_for(erin)


def text_of(client: Client, url: str = PAGE) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def made(account: AwsAccount, sides: frozenset[Side]) -> Installation:
    return Installation(
        partition=account.partition,
        account_id=account.account_id,
        region=account.region,
        portal_principal=django_settings.AWS_PORTAL_PRINCIPAL,
        external_id=account.external_id,
        sides=sides,
    )


# --- Who -------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", MATRIX)
def test_admins_and_auditors_may_open_it(
    page: str,
    target: AwsAccount,
    alice: User,
    bob: User,
    charlie: User,
    dana: User,
    erin: User,
    client_for: ClientFor,
) -> None:
    cast = [None, alice, bob, charlie, dana, erin]
    answers = [client_for(person).get(page).status_code for person in cast]
    assert answers == MATRIX[page]


@pytest.mark.parametrize("page", list(MATRIX)[:3])
def test_nothing_can_be_posted_there(page: str, target: AwsAccount, auditor: Client) -> None:
    assert auditor.post(page).status_code == 405


def test_the_accounts_page_leads_there(target: AwsAccount, auditor: Client) -> None:
    text = text_of(auditor, target.get_absolute_url())
    link = re.search(rf'<a class="btn"\s+href="{PAGE}">.+?</a>', text, re.DOTALL)
    assert link is not None
    assert "Set-up files" in link[0]


# --- CloudFormation --------------------------------------------------------------------------


def test_the_template_is_the_very_file_of_the_docs(target: AwsAccount, auditor: Client) -> None:
    answer = auditor.get(f"{PAGE}sallyport-account.yaml")
    assert answer.content == TEMPLATE.read_bytes()
    assert answer.headers["Content-Type"] == "text/yaml"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sallyport-account.yaml"'


def test_the_image_holds_the_template() -> None:
    rules = (REPO / ".dockerignore").read_text().splitlines()
    assert f"!{TEMPLATE.parent.relative_to(REPO)}" in rules


def test_the_parameters_stand_with_copy_buttons(pair: AccountPair, auditor: Client) -> None:
    text = text_of(auditor)
    for name, value in made(pair.target, frozenset({Side.TARGET})).parameters.items():
        assert f"<dt>{name}</dt>" in text
        assert f'data-copy="{value}"' in text
    assert 'data-copy="sallyport"' in text


def test_no_quick_create_link_without_a_template_address(
    target: AwsAccount, auditor: Client
) -> None:
    assert "Quick-create" not in text_of(auditor)


def test_the_quick_create_link_is_filled_in(
    pair: AccountPair, auditor: Client, settings: Settings
) -> None:
    settings.TEMPLATE_URL = ADDRESS
    answer = auditor.get(PAGE)
    link = answer.context["quick_create"]
    assert f'href="{escape(link)}"' in answer.content.decode()
    assert urlsplit(link).hostname == "us-east-1.console.aws.amazon.com"
    values = parse_qs(urlsplit(link).fragment.partition("?")[2])
    assert values["templateURL"] == [ADDRESS]
    assert values["param_ExternalId"] == [pair.target.external_id]
    assert values["param_Side"] == ["target"]


@pytest.mark.parametrize(
    ("address", "starts"),
    [("", True), (ADDRESS, True), ("http://example.com/a.yaml", False)],
)
def test_a_template_address_outside_s3_stops_the_process(address: str, starts: bool) -> None:
    done = start(PRODUCTION | {"SALLYPORT_TEMPLATE_URL": address}, "print(settings.TEMPLATE_URL)")
    assert (done.returncode == 0) is starts
    assert (done.stdout.strip() == address) if starts else ("SALLYPORT_TEMPLATE_URL" in done.stderr)


# --- Terraform and AWS CLI -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account_id", "sides"),
    [("111111111111", {Side.SOURCE}), ("222222222222", {Side.TARGET})],
)
def test_the_files_are_for_the_sides_in_use(
    account_id: str, sides: set[Side], pair: AccountPair, auditor: Client
) -> None:
    account = AwsAccount.objects.get(account_id=account_id)
    files = made(account, frozenset(sides))
    page = f"/accounts/{account_id}/set-up/"
    text = text_of(auditor, page)
    assert escape(onboarding_files.terraform(files)) in text
    assert escape(onboarding_files.commands(files)) in text
    assert text_of(auditor, f"{page}sallyport-account.tf") == onboarding_files.terraform(files)


def test_an_account_in_no_pair_gets_both_sides(target: AwsAccount, auditor: Client) -> None:
    files = made(target, onboarding.BOTH_SIDES)
    text = text_of(auditor)
    assert escape(onboarding_files.terraform(files)) in text
    assert 'data-copy="both"' in text


def test_the_terraform_file_is_a_download(target: AwsAccount, auditor: Client) -> None:
    answer = auditor.get(f"{PAGE}sallyport-account.tf")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sallyport-account.tf"'


# --- Words -----------------------------------------------------------------------------------


def test_what_sallyport_cannot_do_is_that_of_the_side(pair: AccountPair, auditor: Client) -> None:
    text = text_of(auditor)
    sides = frozenset({Side.TARGET})
    shown = re.findall(r"<li>(.+?)</li>", text[text.index('id="cannot"') :])
    assert shown == [
        escape(one)
        for one in (
            *onboarding.cannot("aws", "222222222222", sides),
            *onboarding.unfenced(sides),
        )
    ]


def test_a_hostile_name_stays_text(auditor: Client) -> None:
    name = "<script>'\"${x}`"
    account = AwsAccountFactory.create(account_id="222222222222", name=name)
    text = text_of(auditor)
    assert name not in text
    assert text.count(escape(name)) >= 3
    assert name not in text_of(auditor, f"{PAGE}sallyport-account.tf")
    assert account.external_id in text


def test_other_names_than_those_of_the_files_are_pointed_out(
    target: AwsAccount, auditor: Client
) -> None:
    words = "registered with other names"
    assert words not in text_of(auditor)
    target.boundary_arn = "arn:aws:iam::222222222222:policy/Other"
    target.save()
    assert words in text_of(auditor)


def test_a_source_account_needs_no_boundary_of_any_name(pair: AccountPair, auditor: Client) -> None:
    pair.source.boundary_arn = "arn:aws:iam::111111111111:policy/Other"
    pair.source.save()
    page = "/accounts/111111111111/set-up/"
    assert "registered with other names" not in text_of(auditor, page)


def test_a_principal_that_nobody_may_trust_is_told_in_words(
    target: AwsAccount, auditor: Client, settings: Settings
) -> None:
    settings.AWS_PORTAL_PRINCIPAL = "arn:aws:iam::999999999999:root"
    text = text_of(auditor)
    assert "not the ARN of one role or IAM user" in text
    assert "Download" not in text
    assert auditor.get(f"{PAGE}sallyport-account.tf").status_code == 404
