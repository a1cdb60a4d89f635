"""What holds on every page: the rules of axe, no scrolling sideways, no word cut in two."""

from typing import Final

from axe_playwright_python.sync_playwright import Axe

from portal.templatetags.names import FITS
from tests.browser.conftest import Visitor

NARROW: Final = 390
CUT_WORDS: Final = r"""
fits => {
  const cut = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode, within = text.parentElement;
    if (!within.checkVisibility() || within.closest("pre, script")) continue;
    const hidden = within.closest(".sr-only, thead");
    if (hidden && hidden.clientWidth < 2) continue;
    if (text.data.includes("://")) continue;
    for (const word of text.data.matchAll(/[^\s\-\/\u2013]+/g)) {
      if (word[0].length > fits) continue;
      const range = document.createRange();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      const boxes = [...range.getClientRects()].filter(one => one.width);
      if (new Set(boxes.map(one => Math.round(one.top / 4))).size > 1) cut.push(word[0]);
    }
  }
  return cut;
}
"""
"""Words that begin in one line and go on in the next, though they would fit into one. A place where
a name may be parted (the filter `breakable`) ends a word here, and so does a hyphen. What somebody
typed with an address in it may be cut anywhere."""


FADED: Final = """
Promise.allSettled(document.getAnimations()
  .filter(one => one instanceof CSSTransition).map(one => one.finished)).then(() => null)
"""
"""Waits for what fades from one colour into another."""


def broken(visitor: Visitor) -> list[str]:
    """What the page that is open breaks, in words."""
    page = visitor.page
    found = Axe().run(page).response["violations"]
    wrong = [f"{one['id']}: {node['target']}" for one in found for node in one["nodes"]]
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    if wide > 0:
        wrong.append(f"{wide} pixels wider than the window")
    return wrong + [f"cut: {word}" for word in page.evaluate(CUT_WORDS, FITS)]


def hold(visitor: Visitor, where: str) -> None:
    """Fail with what the page that is open breaks, and where."""
    found = broken(visitor)
    assert not found, f"{where}: {found}"


def look(visitor: Visitor) -> None:
    """Hold the page that is open to the rules: as it is, then narrow and dark."""
    page, size = visitor.page, visitor.page.viewport_size
    hold(visitor, page.url)
    page.set_viewport_size({"width": NARROW, "height": 900})
    page.emulate_media(color_scheme="dark")
    # Buttons fade into their other colours, and half-way they have neither.
    page.evaluate(FADED)
    hold(visitor, f"{page.url}, narrow and dark")
    page.emulate_media(color_scheme="light")
    page.evaluate(FADED)
    if size is not None:
        page.set_viewport_size(size)
