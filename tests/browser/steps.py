"""What several tests do on their way, as a person does it."""

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visitor


def code_of(path: str) -> str:
    """The code of the request whose page this is."""
    return path.strip("/").rpartition("/")[2]


def card(visitor: Visitor, offer: str) -> Locator:
    """One offer of the catalogue."""
    heading = visitor.page.get_by_role("heading", name=offer, exact=True)
    return visitor.page.locator("article", has=heading)


def choose_by_keyboard(page: Page) -> None:
    """Free input is read back in words; then half an hour by a preset, without a mouse."""
    field = page.get_by_label("How long")
    field.focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("1h 30")
    expect(page.locator("output").first).to_contain_text("1 h 30 min, until")
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="30 min", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(field).to_have_value("30 min")
    expect(field).to_be_focused()
    expect(page.locator("output").first).to_contain_text("30 min, until")


def ask(alice: Visitor, role: str, target: str, *, scripts: bool = True) -> str:
    """Ask for half an hour through the page; returns the request's path."""
    page = alice.page
    alice.open("/offers/")
    card(alice, f"{role} in {target}").get_by_role("link", name="Request").click()
    if scripts:
        choose_by_keyboard(page)
    else:
        page.get_by_label("How long").fill("30 min")
    page.get_by_label("Why do you need it?").fill("Check the findings of ticket SEC-214.")
    page.get_by_role("button", name="Ask for access").click()
    page.wait_for_url("**/requests/*/")
    return page.url.removeprefix(alice.base)


def ask_by_rule(alice: Visitor) -> str:
    """Ask for what a rule approves: a quarter of an hour, with a ticket. Returns the path."""
    alice.open("/offers/")
    card(alice, "ViewOnlyRole in Workload").get_by_role("link", name="Request").click()
    alice.page.get_by_label("How long").fill("15 min")
    alice.page.get_by_label("Ticket").fill("OPS-12")
    alice.page.get_by_label("Why do you need it?").fill("Count the buckets of ticket OPS-12.")
    alice.page.get_by_role("button", name="Ask for access").click()
    alice.page.wait_for_url("**/requests/*/")
    return alice.page.url.removeprefix(alice.base)


def give_back(alice: Visitor) -> None:
    """From the page of the access that she looks at."""
    alice.page.get_by_role("link", name="Give back").click()
    alice.page.get_by_role("button", name="Give it back").click()
    expect(alice.page.locator("#status .badge-ended")).to_be_visible()


def delivered(dana: Visitor, about: str) -> Locator:
    """Rows of the delivery log that say that alice was told of something."""
    told = dana.page.locator("tbody tr", has_text="Alice Ashby").filter(has_text="Sent")
    return told.filter(has_text=about)
