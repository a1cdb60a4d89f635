"""The pages that stand for AWS, against the server that does, with grants made for real."""

import os
import re
import stat
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts.models import AwsAccount, Offer, User
from provisioning import services, specs
from provisioning.core import naming, plan
from provisioning.core.console import SwitchRole, sign_in_url, switch_role_url
from provisioning.engine import converge, onboard
from provisioning.models import Decision, Grant
from sandbox import console, world
from sandbox.views import COOKIE
from tests.factories import AwsAccountFactory

real = pytest.mark.usefixtures("seeded")
pages = pytest.mark.usefixtures("keys_at_hand")

REFUSED = "Invalid information in one or more fields."
HOME = "/sandbox/console/"
SIGN_IN = "/sandbox/console/sign-in"
SWITCH = "/sandbox/console/switchrole"


@pytest.fixture
def keys_at_hand(var: Path) -> None:
    """The IAM users' keys lie in their file, for pages that do not ask AWS."""
    users = [
        {
            "account_id": account_id,
            "user_name": name,
            "access_key_id": "A",
            "secret_access_key": "S",
        }
        for account_id, names in world.IAM_USERS.items()
        for name in names
    ]
    world.write_private(var / world.USER_KEYS, {"users": users})


def person(name: str) -> User:
    """One of the sandbox's people."""
    return User.objects.get(username=name)


def approved(source: str = "Identity") -> Grant:
    """A grant of alice's that bob has approved and no worker has seen."""
    offer = Offer.objects.get(pair__source__name=source, profile__name="SecurityReadOnlyRole")
    request = services.request_access(
        requester=person("alice"),
        offer=offer,
        duration=timedelta(minutes=30),
        reason="Look at the failed backup.",
    )
    grant = services.decide(
        approver=person("bob"),
        request=request,
        verdict=Decision.Verdict.APPROVED,
        fingerprint=plan.fingerprint(specs.spec_for_request(request)),
    )
    assert grant is not None
    return grant


def active(source: str = "Identity") -> Grant:
    """A grant of alice's that a worker has made."""
    grant = approved(source)
    converge.converge(grant.pk)
    grant.refresh_from_db()
    assert grant.phase == "active", grant.last_error
    return grant


def revoked(grant: Grant) -> None:
    """Revoke by dana, and let a worker act on it."""
    grant.refresh_from_db()
    services.revoke(person=person("dana"), grant=grant, reason="Over.")
    converge.converge(grant.pk)
    grant.refresh_from_db()


def link(grant: Grant) -> str:
    """The Switch role link of a grant, without the host."""
    return link_to(grant.request.offer.pair.target.account_id, grant.role_name)


def link_to(account_id: str, role_name: str) -> str:
    """A Switch role link, without the host."""
    role = SwitchRole(
        partition="aws",
        account_id=account_id,
        role_name=role_name,
        display_name="Workload + more",
        colour="B7CA9D",
    )
    parts = urlsplit(switch_role_url(role, base=settings.SANDBOX_CONSOLE_BASE))
    return f"{parts.path}?{parts.query}"


def signed_in(user_name: str, *, account_id: str = world.ACCOUNT_A, mfa: bool = True) -> Client:
    """A browser with this IAM user signed in to the console."""
    browser = Client()
    data = {"user": f"{account_id}/{user_name}"} | ({"mfa": "on"} if mfa else {})
    assert browser.post(SIGN_IN, data).status_code == 302
    return browser


def switch(browser: Client, address: str) -> Any:
    """Open a Switch role link and press the button: what the form was filled with is sent."""
    page = browser.get(address)
    assert page.status_code == 200
    form = page.context["form"]
    return browser.post(address, {field.name: field.value() or "" for field in form})


def passes_its_check(account: AwsAccount) -> bool:
    """Whether Sallyport could work in an account now."""
    return all(one.ok for one in onboard.findings_of(account))


def answers(browser: Client) -> dict[str, str]:
    """What the console shows for each call: the words, or the code of the refusal."""
    shown = browser.get(HOME).context["answers"]
    return {one.call: one.words if one.allowed else one.code for one in shown}


# --- The walk-through ------------------------------------------------------------------------


@real
@pytest.mark.parametrize(
    ("source", "account_id", "user_name", "target_id"),
    [
        ("Identity", world.ACCOUNT_A, "userA", world.ACCOUNT_B),
        ("Workload", world.ACCOUNT_B, "userB", world.ACCOUNT_A),
    ],
)
def test_the_holder_of_a_grant_enters_and_others_do_not(
    source: str, account_id: str, user_name: str, target_id: str
) -> None:
    grant = approved(source)
    browser = signed_in(user_name, account_id=account_id)
    before = switch(browser, link(grant))
    assert (before.status_code, before.context["refused"].code) == (422, "AccessDenied")

    converge.converge(grant.pk)
    assert switch(browser, link(grant)).url == HOME
    assert answers(browser) == {
        "sts:GetCallerIdentity": (
            f"arn:aws:sts::{target_id}:assumed-role/{grant.role_name}/{user_name}"
        ),
        "iam:ListRoles": "2 roles",
        "iam:ListUsers": "1 user" if target_id == world.ACCOUNT_B else "2 users",
    }
    other = switch(signed_in("userC"), link(grant))
    assert (other.status_code, other.context["refused"].code) == (422, "AccessDenied")
    assert REFUSED in other.content.decode()
    assert "AccessDenied" in other.content.decode()


@real
def test_after_a_revocation_the_link_and_the_open_session_are_refused() -> None:
    grant = active()
    browser = signed_in("userA")
    switch(browser, link(grant))
    revoked(grant)
    refused = {"InvalidClientTokenId"}
    assert set(answers(browser).values()) == refused
    again = switch(browser, link(grant))
    assert (again.status_code, again.context["refused"].code) == (422, "AccessDenied")


@real
def test_nothing_of_a_grant_is_left_after_its_revocation() -> None:
    grant = active()
    shown = Client().get("/sandbox/").content.decode()
    assert grant.role_name in shown
    revoked(grant)
    contents = {
        one.account_id: one.contents for one in Client().get("/sandbox/").context["accounts"]
    }
    assert contents[world.ACCOUNT_B].roles == ()
    groups = {group.name: group.members for group in contents[world.ACCOUNT_A].groups}
    assert groups == {"Developers": ("userA", "userC"), "switch-to-222222222222": ()}


@real
def test_the_switch_group_is_that_of_the_classic_walk_through() -> None:
    active()
    iam = world.administrator(world.ACCOUNT_A)
    group = "switch-to-222222222222"
    attached = iam.list_attached_group_policies(GroupName=group)["AttachedPolicies"]
    assert [one["PolicyName"] for one in attached] == ["ReadOnlyAccess"]
    policy: Any = iam.get_group_policy(GroupName=group, PolicyName=naming.SWITCH_POLICY)
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRole"
    assert statement["Resource"] == ["arn:aws:iam::222222222222:role/sallyport/*"]
    members = iam.get_group(GroupName=group)["Users"]
    assert [one["UserName"] for one in members] == ["userA"]


@real
def test_who_signed_in_without_mfa_is_refused() -> None:
    grant = active()
    answer = switch(signed_in("userA", mfa=False), link(grant))
    assert (answer.status_code, answer.context["refused"].code) == (422, "AccessDenied")


@real
def test_switching_back_leaves_the_role() -> None:
    grant = active()
    browser = signed_in("userA")
    switch(browser, link(grant))
    assert browser.post("/sandbox/console/switch-back").url == HOME  # type: ignore[attr-defined]
    assert answers(browser)["sts:GetCallerIdentity"] == "arn:aws:iam::111111111111:user/userA"


# --- The pages -------------------------------------------------------------------------------


@pages
def test_a_link_leads_over_the_sign_in_and_back() -> None:
    address = link_to(world.ACCOUNT_B, "Reader-user+A@example.com")
    browser = Client()
    to_sign_in = browser.get(address).url  # type: ignore[attr-defined]
    assert to_sign_in == f"{SIGN_IN}?next={quote(address, safe='')}"
    back = browser.post(to_sign_in, {"user": "111111111111/userA", "mfa": "on"})
    assert back.url == address  # type: ignore[attr-defined]


@pages
def test_the_form_shows_what_the_link_says() -> None:
    address = link_to(world.ACCOUNT_B, "Reader-user+A@example.com")
    form = signed_in("userA").get(address).context["form"]
    assert {field.name: field.value() for field in form} == {
        "account": "222222222222",
        "roleName": "sallyport/Reader-user+A@example.com",
        "displayName": "Workload + more",
        "color": "B7CA9D",
    }


@real
def test_the_bar_shows_display_name_and_colour() -> None:
    browser = signed_in("userA")
    switch(browser, link(active()))
    page = browser.get(HOME).content.decode()
    bar = re.search(r'<p class="console-who ([^"]*)">(.*?)</p>', page, re.DOTALL)
    assert bar is not None
    assert bar[1] == "console-switched tone-B7CA9D"
    assert "Workload + more" in bar[2]


@real
def test_account_and_role_name_are_enough() -> None:
    grant = active()
    browser = signed_in("userA")
    address = f"{SWITCH}?account=222222222222&roleName=sallyport/{grant.role_name}"
    assert switch(browser, address).url == HOME
    assert f"{grant.role_name} @ 222222222222" in browser.get(HOME).content.decode()


@pages
@pytest.mark.parametrize(
    "query",
    [
        "account=2222&roleName=sallyport/x",
        "account=" + "\uff12" * 12 + "&roleName=sallyport/x",
        "account=workload&roleName=sallyport/x",
        "account=222222222222",
        "roleName=sallyport/x",
        "account=222222222222&roleName=/sallyport/x",
        "account=222222222222&roleName=a%20b",
        "account=222222222222&roleName=" + "x" * 64,
        "account=222222222222&roleName=x&displayName=" + "x" * 65,
        "account=222222222222&roleName=x&displayName=a%0Ab",
        "account=222222222222&roleName=x&color=red",
        "account=222222222222&roleName=x&color=00000g",
    ],
)
def test_a_malformed_link_is_refused_at_the_field(query: str) -> None:
    browser = signed_in("userA")
    page = browser.get(f"{SWITCH}?{query}")
    assert page.status_code == 422
    assert page.context["form"].errors
    assert REFUSED in page.content.decode()


@pages
def test_the_form_opens_empty_without_a_link() -> None:
    page = signed_in("userA").get(SWITCH)
    assert page.status_code == 200
    assert not page.context["form"].errors


@pages
def test_the_sign_in_page_of_an_account_shows_its_users_only() -> None:
    shown = Client().get(f"{SIGN_IN}?account={world.ACCOUNT_B}").context["form"].users
    assert list(shown) == ["222222222222/userB"]
    everybody = Client().get(SIGN_IN).context["form"].users
    assert list(everybody) == ["111111111111/userA", "111111111111/userC", "222222222222/userB"]


@pages
def test_the_sign_in_link_of_an_account_leads_here() -> None:
    address = sign_in_url(
        partition="aws", account_id=world.ACCOUNT_A, base=settings.SANDBOX_CONSOLE_BASE
    )
    assert Client().get(urlsplit(address).path).status_code == 200
    assert address == f"http://127.0.0.1:8000{SIGN_IN}?account=111111111111"


@pages
@pytest.mark.parametrize("user", ["", "111111111111/nobody", "222222222222/userA"])
def test_nobody_signs_in_as_a_user_who_is_not_there(user: str) -> None:
    browser = Client()
    assert browser.post(SIGN_IN, {"user": user}).status_code == 422
    assert COOKIE not in browser.cookies


@real
@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:x"])
def test_the_sign_in_pages_lead_to_this_site_only(target: str) -> None:
    console_answer = Client().post(
        f"{SIGN_IN}?next={quote(target)}", {"user": "111111111111/userA"}
    )
    assert console_answer.url == HOME  # type: ignore[attr-defined]
    portal_answer = Client().post("/sandbox/sign-in/alice/", {"next": target})
    assert portal_answer.url == reverse("home")  # type: ignore[attr-defined]


@pages
@pytest.mark.parametrize("path", ["/sandbox/sign-in/alice/", "/sandbox/install/222222222222/"])
def test_what_changes_something_is_not_done_by_a_get(path: str) -> None:
    assert Client().get(path).status_code == 405


@pages
@pytest.mark.parametrize(
    "path",
    [
        "/sandbox/sign-in/alice/",
        "/sandbox/install/222222222222/",
        SIGN_IN,
        "/sandbox/console/switch-back",
        "/sandbox/console/sign-out",
    ],
)
def test_no_other_site_can_press_the_buttons(path: str) -> None:
    browser = Client(enforce_csrf_checks=True)
    assert browser.post(path, {"user": "111111111111/userA"}).status_code == 403


@real
def test_one_click_signs_a_person_in() -> None:
    browser = Client()
    answer = browser.post("/sandbox/sign-in/alice/", {"next": "/offers/"})
    assert answer.url == "/offers/"  # type: ignore[attr-defined]
    assert browser.session["_auth_user_id"] == str(person("alice").pk)


@real
@pytest.mark.parametrize("name", ["mallory", "Alice"])
def test_one_click_signs_in_nobody_else(name: str) -> None:
    assert Client().post(f"/sandbox/sign-in/{name}/").status_code == 404


@real
def test_pages_say_that_they_are_a_sandbox() -> None:
    browser = signed_in("userA")
    for path in (HOME, SIGN_IN, SWITCH, "/sandbox/"):
        page = browser.get(path).content.decode()
        assert "Sandbox: nothing here touches a real AWS account" in page, path
        assert "stands for the AWS console" in page, path


@real
def test_the_template_can_be_deployed_in_a_registered_account() -> None:
    account = AwsAccountFactory.create(account_id="333333333333", name="Third")
    assert not passes_its_check(account)
    browser = Client()
    assert browser.post("/sandbox/install/333333333333/").url == "/sandbox/"  # type: ignore[attr-defined]
    assert passes_its_check(account)
    assert "The template is deployed in Third" in browser.get("/sandbox/").content.decode()
    assert browser.post("/sandbox/install/444444444444/").status_code == 404


@real
def test_a_refusal_of_the_template_is_shown() -> None:
    # No principal of one partition can be trusted in another.
    AwsAccountFactory.create(account_id="333333333333", name="Beijing", partition="aws-cn")
    browser = Client()
    assert browser.post("/sandbox/install/333333333333/").status_code == 302
    page = browser.get("/sandbox/").content.decode()
    assert "AWS refused. iam:CreateRole: MalformedPolicyDocument" in page


@real
def test_a_server_that_does_not_answer_is_shown_and_breaks_no_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    browser = signed_in("userA")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert set(answers(browser).values()) == {"EndpointConnectionError"}
    assert all(one.problem for one in browser.get("/sandbox/").context["accounts"])
    assert switch(browser, f"{SWITCH}?account=222222222222&roleName=x").status_code == 422


# --- Credentials -----------------------------------------------------------------------------


def secrets_of(browser: Client) -> list[str]:
    """Everything secret that exists now: keys of portal and users, and the open session's."""
    session = console.find(browser.cookies[COOKIE].value)
    assert session is not None
    assert session.role is not None
    keys = [one.credentials for one in world.iam_users()]
    keys += [world.portal_credentials(), session.role.credentials]
    parts = [(key.access_key_id, key.secret_access_key, key.session_token) for key in keys]
    return [part for key in parts for part in key if part]


def everything_stored() -> str:
    """All columns of all tables as text, with sessions decoded."""
    parts = [str(one.get_decoded()) for one in Session.objects.all()]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608  # The names are Django's own.
            parts += map(str, cursor.fetchall())
    return "\n".join(parts)


@real
def test_no_credential_is_in_the_database_a_page_or_a_cookie() -> None:
    browser = signed_in("userA")
    browser.post("/sandbox/sign-in/alice/")
    switch(browser, link(active()))
    seen = [browser.get(path).content.decode() for path in (HOME, SWITCH, SIGN_IN, "/sandbox/")]
    seen += [everything_stored(), str(browser.cookies)]
    known = secrets_of(browser)
    assert len(known) >= 9
    assert "SecurityReadOnlyRole" in everything_stored()
    assert [secret for secret in known for text in seen if secret in text] == []


@real
def test_the_open_session_is_in_a_file_for_its_owner_only(var: Path) -> None:
    browser = signed_in("userA")
    switch(browser, link(active()))
    (path,) = (var / "console").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert "session_token" in path.read_text()
    browser.post("/sandbox/console/switch-back")
    assert "session_token" not in path.read_text()
    browser.post("/sandbox/console/sign-out")
    assert not path.exists()
    assert browser.get(HOME).status_code == 302


@pages
def test_files_are_forgotten_after_an_hour(var: Path) -> None:
    browser = signed_in("userA")
    (path,) = (var / "console").iterdir()
    hour_ago = time.time() - console.LIFETIME - 1
    os.utime(path, (hour_ago, hour_ago))
    assert browser.get(HOME).status_code == 302
    signed_in("userC")
    assert not path.exists()


@pages
@pytest.mark.parametrize("ticket", ["", "../iam_users", "x" * 32, "0" * 32, "0" * 31 + "\n"])
def test_a_made_up_cookie_is_nobody(ticket: str, var: Path) -> None:
    assert console.find(ticket) is None
    console.sign_out(ticket)
    assert (var / world.USER_KEYS).exists()
