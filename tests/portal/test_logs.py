"""What the log says of a request."""

import pytest
import structlog
from django.test import Client
from pytest_django.fixtures import Settings
from structlog.testing import capture_logs


def told(**headers: str) -> set[object]:
    """The addresses that the log names for one request."""
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        Client().get("/healthz", REMOTE_ADDR="192.0.2.7", headers=headers)
    return {line["ip"] for line in lines if line["event"] == "request_started"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("proxies", "said", "wanted"),
    [
        (0, "203.0.113.9", "192.0.2.7"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
    ],
)
def test_nobody_can_put_another_address_into_the_log(
    proxies: int, said: str, wanted: str, settings: Settings
) -> None:
    settings.PROXIES, settings.BEHIND_PROXY = proxies, bool(proxies)
    assert told(**{"X-Forwarded-For": said}) == {wanted}
