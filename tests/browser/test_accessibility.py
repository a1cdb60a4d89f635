"""Every page of the main job, by the rules of axe, wide and narrow, light and dark."""

from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import Visit, Visitor

# All of them in one process: they share one running demo.
pytestmark = [pytest.mark.system, pytest.mark.browser, pytest.mark.xdist_group("demo")]

PAGES = {
    "": ["/sign-in/"],
    "alice": ["/access/", "/offers/", "/offers/1/request/", "/approvals/", "/notices/"],
    "bob": ["/approvals/decided/", "/break-glass/"],
    "charlie": ["/offers/1/break-glass/"],
    "dana": [
        "/grants/",
        "/audit/",
        "/registry/accounts/",
        "/registry/accounts/new/",
        "/registry/accounts/111111111111/",
        "/accounts/222222222222/set-up/",
        "/registry/pairs/",
        "/registry/pairs/new/",
        "/registry/profiles/",
        "/registry/profiles/new/",
        "/registry/offers/",
        "/registry/offers/new/",
        "/registry/identities/",
        "/registry/identities/new/",
        "/registry/people/",
        "/registry/groups/1/",
        "/registry/proposals/",
        "/red-button/",
        "/red-button/person/1/",
        "/reviews/new/",
        "/notices/",
        "/notices/channels/",
        "/notices/log/",
        "/sandbox/",
        "/sandbox/mail/",
        "/sandbox/console/sign-in",
    ],
}


def violations(visitor: Visitor) -> list[str]:
    """What axe finds, as `rule: where`."""
    found = Axe().run(visitor.page).response["violations"]
    return [f"{one['id']}: {node['target']}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("person", PAGES)
def test_pages_keep_the_rules_and_fit_the_width(
    visit: Visit, person: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    visitor = visit(person or None, width=width)
    visitor.page.emulate_media(color_scheme=scheme)
    for path in PAGES[person]:
        visitor.open(path)
        assert violations(visitor) == [], path
        wide = visitor.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, path
