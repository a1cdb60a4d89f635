"""Production settings: what is missing is named, and what is unsafe is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.checks import CheckMessage
from pytest_django.fixtures import Settings

from portal import checks

REPO = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "SECRET_KEY": "k" * 60,
    "DATABASE_URL": "postgres://sallyport@db.example.com/sallyport",
    "BROKER_URL": "redis://broker.example.com/0",
    "ALLOWED_HOSTS": "sallyport.example.com",
    "SALLYPORT_BASE_URL": "https://sallyport.example.com",
    "SALLYPORT_PORTAL_ID": "test",
    "SALLYPORT_PORTAL_PRINCIPAL": "arn:aws:iam::999999999999:role/Portal",
}


def start(environment: dict[str, str], code: str = "") -> subprocess.CompletedProcess[str]:
    """Load the settings in a process of their own, with this environment and nothing else."""
    script = f"from django.conf import settings; settings.DEBUG; {code}"
    return subprocess.run(  # noqa: S603  # This interpreter, with the script above.
        [sys.executable, "-c", script],
        cwd=REPO,
        env={"DJANGO_SETTINGS_MODULE": "portal.settings", "PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_complete_production_settings_load() -> None:
    printed = "print(settings.SESSION_COOKIE_NAME, settings.SECURE_HSTS_SECONDS, settings.SANDBOX)"

    done = start(PRODUCTION, printed)

    assert done.stdout.split() == ["__Host-sallyport", "31536000", "False"], done.stderr


@pytest.mark.parametrize("name", PRODUCTION)
def test_a_missing_setting_stops_the_process_with_its_name(name: str) -> None:
    done = start({key: value for key, value in PRODUCTION.items() if key != name})

    assert done.returncode != 0
    assert f"Set {name} (or {name}_FILE) in the environment" in done.stderr


@pytest.mark.parametrize(
    "principal",
    [
        "arn:aws:iam::999999999999:root",
        "arn:aws:sts::999999999999:assumed-role/Portal/session",
        "999999999999",
        "*",
    ],
)
def test_a_portal_principal_that_lets_in_more_than_the_portal_is_refused(principal: str) -> None:
    done = start(PRODUCTION | {"SALLYPORT_PORTAL_PRINCIPAL": principal})

    assert done.returncode != 0
    assert "SALLYPORT_PORTAL_PRINCIPAL has to be the ARN of one role or one IAM user" in done.stderr


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("from-a-file")
    environment = {key: value for key, value in PRODUCTION.items() if key != "SECRET_KEY"}

    done = start(environment | {"SECRET_KEY_FILE": str(secret)}, "print(settings.SECRET_KEY)")

    assert done.stdout.strip() == "from-a-file", done.stderr


def test_the_sandbox_makes_a_secret_key_of_its_own(tmp_path: Path) -> None:
    environment = {"SALLYPORT_SANDBOX": "true", "SALLYPORT_VAR": str(tmp_path)}

    first, second = (start(environment, "print(settings.SECRET_KEY)") for _ in range(2))

    assert first.stdout == second.stdout
    assert len(first.stdout) > 50
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600


def ids(found: list[CheckMessage]) -> list[str | None]:
    return [one.id for one in found]


def test_an_endpoint_override_outside_the_sandbox_is_refused(settings: Settings) -> None:
    settings.SANDBOX, settings.AWS_ENDPOINT_URL = False, "http://evil.example.com"
    assert ids(checks.refuse_endpoint_override()) == ["sallyport.E001"]

    settings.AWS_ENDPOINT_URL = ""
    assert checks.refuse_endpoint_override() == []


def test_plain_http_outside_the_sandbox_is_refused(settings: Settings) -> None:
    settings.SANDBOX, settings.BASE_URL = False, "http://sallyport.example.com"
    assert ids(checks.refuse_plain_http()) == ["sallyport.E002"]

    settings.BASE_URL = "https://sallyport.example.com"
    assert checks.refuse_plain_http() == []


@pytest.mark.parametrize(
    ("name", "value", "most"),
    [
        ("SALLYPORT_SIGN_IN_TRIES", "101", 100),
        ("SALLYPORT_SIGN_IN_TRIES", "-1", 100),
        ("SALLYPORT_SIGN_IN_ADDRESS_TRIES", "-1", 1000000),
        ("SALLYPORT_PROXIES", "11", 10),
    ],
)
def test_a_limit_out_of_bounds_stops_the_process(name: str, value: str, most: int) -> None:
    done = start(PRODUCTION | {name: value})

    assert done.returncode != 0
    assert f"{name} has to be a number from 0 to {most}." in done.stderr


def test_endless_guessing_is_refused(settings: Settings) -> None:
    settings.SANDBOX, settings.SIGN_IN_TRIES = False, 0
    assert ids(checks.refuse_endless_guessing()) == ["sallyport.E004"]

    settings.SIGN_IN_TRIES = 5
    assert checks.refuse_endless_guessing() == []


@pytest.mark.parametrize(
    ("tries", "behind", "proxies", "found"),
    [
        (100, False, 0, []),
        (100, True, 1, []),
        (100, True, 0, ["sallyport.W001"]),
        (0, False, 0, ["sallyport.W001"]),
        (0, True, 1, ["sallyport.W001"]),
    ],
)
def test_addresses_that_are_not_counted_are_warned_of(
    settings: Settings, tries: int, behind: bool, proxies: int, found: list[str]
) -> None:
    settings.SANDBOX, settings.SIGN_IN_ADDRESS_TRIES = False, tries
    settings.BEHIND_PROXY, settings.PROXIES = behind, proxies
    assert ids(checks.warn_of_unknown_addresses()) == found


def test_a_sandbox_for_others_is_refused(settings: Settings) -> None:
    settings.SANDBOX, settings.ALLOWED_HOSTS = True, ["127.0.0.1", "sallyport.example.com"]
    assert ids(checks.refuse_public_sandbox()) == ["sallyport.E003"]

    settings.ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
    assert checks.refuse_public_sandbox() == []
