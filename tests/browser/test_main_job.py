"""The main job through pages only: register, ask, decide, switch role, revoke, be refused."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, Visitor
from tests.browser.steps import ask, code_of, delivered

pytestmark = [pytest.mark.system, pytest.mark.browser]

A, B, C = "111111111111", "222222222222", "333333333333"


def register_account(dana: Visitor, account_id: str, name: str) -> None:
    page = dana.page
    dana.open("/registry/accounts/new/")
    page.get_by_label("Account id").fill(account_id)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    dana.open("/sandbox/")
    card = page.locator(f"#account-{account_id}")
    card.get_by_role("button", name="Deploy the template").click()
    expect(page.locator(f"#account-{account_id}").get_by_text("Template deployed")).to_be_visible()
    dana.open(f"/registry/accounts/{account_id}/")
    page.get_by_role("button", name="Check connection").click()
    expect(page.get_by_text("The role may do no more than that")).to_be_visible()
    expect(page.locator(".badge-rejected, .badge-attention")).to_have_count(0)


def register_pair(dana: Visitor, source: str, target: str) -> None:
    page = dana.page
    dana.open("/registry/pairs/new/")
    page.get_by_label("Source account").select_option(label=source)
    page.get_by_label("Target account").select_option(label=target)
    page.get_by_role("button", name="Register").click()
    row = page.locator("tr", has_text=target.split(" (")[0])
    dana.open_until("/registry/pairs/", row.get_by_text("Ready"))


def add_profile(dana: Visitor, name: str, role: str, policy: str) -> None:
    page = dana.page
    dana.open("/registry/profiles/new/")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Role name").fill(role)
    page.get_by_label("AWS managed policies").fill(policy)
    page.locator("form.form button.btn-primary").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)


def make_offer(dana: Visitor, pair: str, profile: str) -> None:
    page = dana.page
    dana.open("/registry/offers/new/")
    page.get_by_label("Account pair").select_option(label=pair)
    page.get_by_label("Access profile").select_option(label=profile)
    page.locator("input[name=eligible_users]").nth(_row(page, "eligible_users", "Alice")).check()
    page.locator("input[name=stage_1_people]").nth(_row(page, "stage_1_people", "Bob")).check()
    page.locator("form.form button.btn-primary").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(profile)


def _row(page: Page, field: str, person: str) -> int:
    labels = page.locator(f"label:has(input[name={field}])").all_text_contents()
    return next(number for number, text in enumerate(labels) if person in text)


def approve(bob: Visitor, path: str, user: str, home: str) -> None:
    """Look at the whole plan, then approve."""
    page = bob.page
    bob.open("/approvals/")
    page.get_by_role("link", name=re.compile("Look and decide")).first.click()
    bob.open(path)
    expect(page.get_by_text("iam:CreateRole", exact=True)).to_be_visible()
    for summary in page.locator(".plan summary").all():
        summary.click()
    plan = page.locator(".plan")
    expect(plan).to_contain_text(f"arn:aws:iam::{home}:user/{user}")
    expect(plan).to_contain_text("decision + PT30M")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("You approved the request of Alice Ashby.")).to_be_visible()


def switch(alice: Visitor, user: str, home: str) -> Page:
    """Click Switch role, sign in to the console as an IAM user, and enter. Returns the console."""
    with alice.page.context.expect_page() as opened:
        alice.page.get_by_role("link", name="Switch role").first.click()
    console = opened.value
    sign_in_to_console(console, user, home)
    console.get_by_role("button", name="Switch role").click()
    return console


def sign_in_to_console(console: Page, user: str, home: str) -> None:
    """The page that stands for AWS's own sign-in; with MFA, as it is set at first."""
    console.locator(f"input[name=user][value='{home}/{user}']").check()
    console.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize(
    ("target", "target_id", "user", "home"),
    [("Workload", B, "userA", A), ("Identity", A, "userB", B)],
    ids=["A to B", "B to A"],
)
def test_the_classic_scenario(
    visit: Visit, target: str, target_id: str, user: str, home: str
) -> None:
    alice, bob, dana = visit("alice"), visit("bob"), visit("dana")
    alice.expected = ["422"]
    path = ask(alice, "SecurityReadOnlyRole", target)
    code = code_of(path)

    approve(bob, path, user, home)

    # Her page turns active by itself: nothing is clicked or reloaded here.
    expect(alice.page.get_by_role("link", name="Switch role")).to_be_visible()
    console = switch(alice, user, home)
    arn = f"arn:aws:sts::{target_id}:assumed-role/SecurityReadOnlyRole-{user}-{code}/{user}"
    expect(console.locator("main")).to_contain_text(arn)
    console.get_by_role("button", name="Switch back").click()
    expect(console.locator("main")).to_contain_text(f"arn:aws:iam::{home}:user/{user}")

    address = address_of_link(alice, path)
    the_way_in_was_mailed(dana, path, target, address)
    refused_to_another(visit, address, path, home)

    dana.open("/grants/")
    row = dana.page.locator("tr", has_text=code)
    row.get_by_role("link", name="Revoke").click()
    dana.page.get_by_label("Reason").fill("Wrong account.")
    dana.page.get_by_role("button", name="Revoke access").click()
    expect(dana.page.locator("#status .badge-ended")).to_be_visible()

    assert alice.page.request.get(f"{alice.base}{path}switch-role/").status == 409
    refused_by_aws(console, address)
    nothing_left(dana, code)


def address_of_link(alice: Visitor, path: str) -> str:
    """Where the portal's link leads: what somebody could have kept or passed on."""
    answer = alice.page.request.get(f"{alice.base}{path}switch-role/", max_redirects=0)
    return answer.headers["location"]


def the_way_in_was_mailed(dana: Visitor, path: str, target: str, address: str) -> None:
    """The mail that access is active carries the same link; the sandbox shows all mail."""
    dana.open_until(f"/notices/log/?q={code_of(path)}", delivered(dana, "Access is active"))
    dana.open("/sandbox/mail/")
    dana.page.get_by_role("link", name=f"Your access to {target} is active").first.click()
    expect(dana.page.locator("main")).to_contain_text(address)


def refused_to_another(visit: Visit, address: str, path: str, home: str) -> None:
    """Another IAM user, with the very address, is refused by AWS; another person gets no link."""
    other = visit()
    other.expected = ["422"]
    other.page.goto(address)
    stranger = ("userC", A) if home == A else ("userA", A)
    sign_in_to_console(other.page, *stranger)
    refused_by_aws(other.page, address)
    charlie = visit("charlie")
    assert charlie.page.request.get(f"{charlie.base}{path}switch-role/").status == 404


def refused_by_aws(console: Page, address: str) -> None:
    """Whoever is signed in to the console is told no more than the real one tells."""
    console.goto(address)
    console.get_by_role("button", name="Switch role").click()
    expect(console.locator("main")).to_contain_text("Invalid information in one or more fields.")
    expect(console.locator("main")).to_contain_text("AccessDenied")


def nothing_left(dana: Visitor, code: str) -> None:
    """The sandbox's view of both accounts, read from AWS: no role, nobody in a switch group."""
    dana.open("/sandbox/")
    main = dana.page.locator("main")
    expect(main).to_contain_text("Identity")
    expect(main).not_to_contain_text(code)


def test_an_admin_registers_a_second_pair_and_it_can_be_used(visit: Visit) -> None:
    alice, bob, dana = visit("alice"), visit("bob"), visit("dana")

    register_account(dana, C, "Staging")
    register_pair(dana, f"Identity ({A})", f"Staging ({C})")
    add_profile(dana, "Look at security", "SecurityAuditor", "SecurityAudit")
    make_offer(dana, "Identity → Staging", "Look at security")

    path = ask(alice, "Look at security", "Staging")
    approve(bob, path, "userA", A)
    expect(alice.page.get_by_role("link", name="Switch role")).to_be_visible()
    console = switch(alice, "userA", A)
    expect(console.locator("main")).to_contain_text(
        f"arn:aws:sts::{C}:assumed-role/SecurityAuditor-"
    )
    alice.page.get_by_role("link", name="Give back").click()
    alice.page.get_by_role("button", name="Give it back").click()
    expect(alice.page.locator("#status .badge-ended")).to_be_visible()


def test_the_main_job_works_without_javascript(visit: Visit) -> None:
    alice, bob = visit("alice", scripts=False), visit("bob", scripts=False)
    path = ask(alice, "SecurityReadOnlyRole", "Workload", scripts=False)
    bob.open(path)
    bob.page.get_by_role("button", name="Approve").click()

    alice.open_until(path, alice.page.get_by_role("link", name="Switch role"))
    alice.page.get_by_role("link", name="Give back").click()
    alice.page.get_by_role("button", name="Give it back").click()
    expect(alice.page.get_by_text("You gave the access back.")).to_be_visible()
