"""The seeded sandbox, against the server that stands for AWS."""

from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from pytest_django import Settings

from sandbox import seed, world


@pytest.fixture
def empty_aws(aws_endpoint: str) -> str:
    """The address of the server that stands for AWS, which has just forgotten everything."""
    forget_aws(aws_endpoint)
    return aws_endpoint


def forget_aws(endpoint: str) -> None:
    """Empty the server, as if it had been started without its state."""
    address = f"{endpoint}/sandbox-api/reset"
    urlopen(  # noqa: S310  # The address is this machine's.
        Request(address, method="POST", headers={"X-Sandbox-Control": "yes"})  # noqa: S310
    ).close()


@pytest.fixture
def var(tmp_path: Path, settings: Settings) -> Path:
    """A folder of its own for the sandbox's files."""
    settings.VAR_DIR = tmp_path / "var"
    return tmp_path / "var"


@pytest.fixture
def seeded(
    empty_aws: str, var: Path, db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The walk-through is ready to begin, and this process is the portal's worker."""
    # A real hash takes half a second by design.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    seed.seed()
    for name, value in world.portal_environment().items():
        monkeypatch.setenv(name, value)
