"""Which entries of the main navigation a page marks as where one is."""

import re
from collections.abc import Mapping
from typing import Any


def marked(page: Any) -> list[str]:
    """The labels that a page marks; the navigation alone, and not breadcrumbs or tabs."""
    text = page.content.decode()
    navigation = re.search(r'<nav class="nav" id="navigation".*?</nav>', text, re.DOTALL)
    assert navigation is not None
    entries = re.findall(r"<a [^>]*>.*?</a>", navigation[0], re.DOTALL)
    here = [one for one in entries if 'aria-current="page"' in one]
    return [" ".join(re.sub(r"<[^>]*>|\d", " ", one).split()) for one in here]


def astray(pages: Mapping[str, Any]) -> dict[str, list[str]]:
    """Pages that were answered and do not mark exactly one entry, with what they mark."""
    whole = {
        name: marked(page)
        for name, page in pages.items()
        # A file or a part of a page has no navigation.
        if page.status_code in {200, 422} and b'id="navigation"' in getattr(page, "content", b"")
    }
    return {name: labels for name, labels in whole.items() if len(labels) != 1}
