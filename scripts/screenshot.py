"""Makes docs/images/my-access.png from a running sandbox: `make demo` first, then this.

    .venv/bin/python scripts/screenshot.py [http://127.0.0.1:8000]

Needs Debian's chromium; Inter (fonts-inter) makes it look as on most people's machines.
"""

import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

BASE = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
IMAGE = Path(__file__).resolve().parent.parent / "docs" / "images" / "my-access.png"
REASONS = {
    "Workload": "Check the security findings of ticket SEC-214.",
    "Identity": "Review the access report for the auditors.",
}


def person(browser: Browser, name: str) -> Page:
    """A browser of this person's own, signed in."""
    page = browser.new_context(viewport={"width": 1180, "height": 760}).new_page()
    page.goto(f"{BASE}/sign-in/")
    page.locator(f"form[action*='/sign-in/{name}'] button").click()
    page.wait_for_url("**/access/")
    return page


def grant(alice: Page, bob: Page, target: str) -> None:
    """Ask, approve, and wait until it is active."""
    alice.goto(f"{BASE}/offers/")
    heading = alice.get_by_role("heading", name=f"SecurityReadOnlyRole in {target}")
    alice.locator("article", has=heading).get_by_role("link", name="Request").click()
    alice.get_by_label("How long").fill("90" if target == "Workload" else "30")
    alice.get_by_label("Why do you need it?").fill(REASONS[target])
    alice.get_by_role("button", name="Ask for access").click()
    alice.wait_for_url("**/requests/*/")
    bob.goto(alice.url)
    bob.get_by_role("button", name="Approve").click()
    alice.get_by_role("link", name="Switch role").wait_for()


def main() -> None:
    """Make the picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        alice, bob = person(browser, "alice"), person(browser, "bob")
        for target in REASONS:
            grant(alice, bob, target)
        alice.goto(f"{BASE}/access/")
        alice.screenshot(path=IMAGE)
        browser.close()


if __name__ == "__main__":
    main()
