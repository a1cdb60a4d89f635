"""The example in docs/notices.md verifies what is really sent, and what the page says is so."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from notices.core import signature
from notices.core.parse import CHAT_SCHEMES, channel_addresses

PAGE = (Path(settings.BASE_DIR) / "docs" / "notices.md").read_text()
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SENT = 1_700_000_000
BODY = b'{"version":1}'


@pytest.fixture(scope="module")
def is_genuine() -> Callable[..., bool]:
    """The function as a reader of the page copies it."""
    block = re.search(r"<!-- code: verify -->\n```python\n(.+?)\n```", PAGE, re.DOTALL)
    assert block is not None
    names: dict[str, Any] = {}
    exec(block[1], names)  # noqa: S102  # Our own documentation.
    found: Callable[..., bool] = names["is_genuine"]
    return found


@pytest.fixture
def headers() -> dict[str, str]:
    return signature.headers(SECRET, message_id="notice_7", timestamp=SENT, body=BODY)


def test_what_is_sent_is_genuine(is_genuine: Callable[..., bool], headers: dict[str, str]) -> None:
    assert is_genuine(SECRET, headers, BODY, now=SENT + 3)

    both = headers | {"webhook-signature": f"v1,bm8= {headers['webhook-signature']}"}
    assert is_genuine(SECRET, both, BODY, now=SENT), "while a secret is exchanged"


@pytest.mark.parametrize(
    ("changed", "body", "now"),
    [
        ({}, b'{"version":2}', SENT),
        ({}, BODY, SENT + 301),
        ({"webhook-id": "notice_8"}, BODY, SENT),
        ({"webhook-timestamp": str(SENT + 1)}, BODY, SENT),
        ({"webhook-signature": "v1,"}, BODY, SENT),
    ],
)
def test_what_was_changed_or_is_old_is_not(
    changed: dict[str, str],
    body: bytes,
    now: int,
    is_genuine: Callable[..., bool],
    headers: dict[str, str],
) -> None:
    assert not is_genuine(SECRET, headers | changed, body, now=now)


def test_the_page_names_the_chats_that_are_allowed() -> None:
    sentence = re.search(r"Allowed are (.+?)\. What", PAGE)
    assert sentence is not None
    assert set(re.findall(r"`(\w+)`", sentence[1])) == CHAT_SCHEMES


def test_the_example_of_addresses_is_accepted() -> None:
    block = re.search(r"```toml\n(.+?)\n```", PAGE, re.DOTALL)
    assert block is not None
    text = block[1].replace("whsec_…", SECRET)

    found = channel_addresses(text, ["ops", "team", "siem"], allow_http=False)

    assert found["siem"].is_webhook
