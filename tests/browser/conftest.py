"""Chromium in front of a running sandbox: what a person sees and clicks, and nothing else."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    expect,
    sync_playwright,
)

from tests.system.test_demo import running

# A page waits for workers of a busy machine.
expect.set_options(timeout=30_000)

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""Debian's Chromium, as root and without reaching for its maker's servers."""


@dataclass
class Visitor:
    """One person's browser. Whatever the console complains of fails the test at its end."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Go to a page of the portal."""
        self.page.goto(f"{self.base}{path}")

    def sign_in(self, username: str) -> None:
        """One click on the sandbox's sign-in page."""
        self.open("/sign-in/")
        self.page.locator(f"form[action*='/sign-in/{username}'] button").click()
        self.page.wait_for_url("**/access/")

    def open_until(self, path: str, wanted: Locator) -> None:
        """Open a page that does not renew itself, again and again, until something stands there."""
        for _ in range(120):
            self.open(path)
            if wanted.count():
                break
            self.page.wait_for_timeout(250)
        expect(wanted).to_be_visible()

    def note(self, message: ConsoleMessage) -> None:
        """Keep what the console complains of: a broken CSP shows there first."""
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def unexpected(self) -> list[str]:
        """Complaints that the test did not ask for, such as the browser's own note of a 409."""
        return [one for one in self.complaints if not any(text in one for text in self.expected)]


type Visit = Callable[..., Visitor]


@pytest.fixture(scope="package")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`make demo`, with a folder of its own. Yields its address."""
    with running(tmp_path_factory.mktemp("demo") / "var") as demo:
        yield f"http://{demo.wait_ready()}"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    if not CHROMIUM.exists():
        pytest.fail("Browser tests need Debian's chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser, sandbox: str) -> Iterator[Visit]:
    """Opens browsers of their own for as many people as a test needs."""
    opened: list[tuple[BrowserContext, Visitor]] = []

    def make(username: str | None = None, *, width: int = 1280, scripts: bool = True) -> Visitor:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, java_script_enabled=scripts
        )
        visitor = Visitor(context.new_page(), sandbox)
        context.on("console", visitor.note)
        context.on("weberror", lambda error: visitor.complaints.append(str(error.error)))
        opened.append((context, visitor))
        if username:
            visitor.sign_in(username)
        return visitor

    yield make
    complaints = [text for _, visitor in opened for text in visitor.unexpected()]
    for context, _ in opened:
        context.close()
    assert complaints == []
