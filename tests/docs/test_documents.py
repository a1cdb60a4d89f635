"""The documentation agrees with the code, and its links lead somewhere."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.core import onboarding

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
LONGEST_ADR = 500


def anchors(page: Path) -> set[str]:
    """Headings of a page, as the addresses that Markdown readers make of them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def links(page: Path) -> Iterator[str]:
    return (one for one in LINK.findall(page.read_text()) if "://" not in one)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_portals_policy_in_the_guide_is_the_one_in_the_code() -> None:
    guide = (ROOT / "docs" / "aws-setup.md").read_text()
    block = re.search(r"<!-- policy: portal -->\n```json\n(.+?)\n```", guide, re.DOTALL)
    assert block is not None
    assert json.loads(block[1]) == onboarding.portal_policy(
        partition="aws", account_ids=["111111111111", "222222222222"]
    )


def bullets(page: Path, marker: str) -> list[str]:
    """The list that follows a marker."""
    block = re.search(rf"<!-- {marker} -->\n((?:- .+\n)+)", page.read_text())
    assert block is not None
    return [one.removeprefix("- ") for one in block[1].splitlines()]


def test_the_guide_says_what_sallyport_cannot_do_as_the_code_works_it_out() -> None:
    guide = ROOT / "docs" / "aws-setup.md"
    assert bullets(guide, "cannot") == list(onboarding.cannot("aws", "222222222222"))
    assert bullets(guide, "unfenced") == list(onboarding.unfenced())


def test_every_decision_is_in_the_index_and_under_one_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for page in sorted((ROOT / "docs" / "adr").glob("*.md")):
        text = page.read_text()
        assert f"adr/{page.name}" in index
        assert len(text.split()) <= LONGEST_ADR, page.name
        for heading in ("Context", "Decision", "Consequences", "What would make us change it"):
            assert f"\n## {heading}\n" in text, page.name


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("provisioning", "Where a rule lives"),
        ("accounts", "Where a rule of the registry lives"),
    ],
)
def test_the_map_of_the_code_is_true_and_leaves_nothing_out(name: str, heading: str) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = re.search(rf"^### {heading}\n(.+?)^#", text, re.DOTALL | re.MULTILINE)
    assert section is not None
    rows = [line for line in section[1].splitlines() if line.startswith("| ")][1:]
    named = {one for row in rows for one in re.findall(r"`([\w/]+(?:\.py|/))`", row)}
    app = ROOT / name
    assert [one for one in named if not (app / one).exists()] == []
    there = {one.name + "/" * one.is_dir() for one in app.iterdir() if one.name[:2] != "__"}
    assert there - named == {"apps.py"}
