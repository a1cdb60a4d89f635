"""A pytest plugin: which process of pytest-xdist gets which tests.

Every test by itself to whichever process is free, but all that run `make demo` to one: most of
them share one running demo, and a demo looks for a free port and takes it seconds later. As the
largest group they are handed out first.

Not by the mark that is made for it (`xdist_group`): under pytest 9.2, pytest-xdist 3.8 ignores it
without a word (https://github.com/pytest-dev/pytest-xdist/issues/1386).
"""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

WITH_A_DEMO = ("tests/browser/", "tests/system/test_demo.py")


class Sharing(LoadScopeScheduling):  # type: ignore[misc]  # It has no types.
    """Groups of tests that stay together."""

    def _split_scope(self, nodeid: str) -> str:
        return "demo" if nodeid.startswith(WITH_A_DEMO) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    """Called by pytest-xdist in the process that hands the tests out."""
    return Sharing(config, log)
