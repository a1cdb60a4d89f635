"""docker-compose.yml and the Dockerfile keep what they promise, as far as reading them shows."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

REPO = Path(__file__).resolve().parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((REPO / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {"migrate", "web", "worker", "sweeper", "notifier"}
every_service = pytest.mark.parametrize("name", sorted(SERVICES))
own_service = pytest.mark.parametrize("name", sorted(OURS))


def dockerfile(instruction: str) -> list[str]:
    """What follows each instruction of this kind, continued lines joined."""
    text = (REPO / "Dockerfile").read_text().replace("\\\n", " ")
    return re.findall(rf"^{instruction} (.*)$", text, flags=re.MULTILINE)


def test_the_services_are_those_of_the_design() -> None:
    assert set(SERVICES) == OURS | {"postgres", "redis"}


@every_service
def test_nothing_runs_as_root(name: str) -> None:
    user, group = SERVICES[name]["user"].split(":")
    assert int(user) > 0
    assert int(group) > 0


@every_service
def test_nothing_can_gain_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc", "network_mode"} & set(service)


@every_service
def test_nothing_can_write_to_its_image(name: str) -> None:
    assert SERVICES[name]["read_only"] is True
    assert all("noexec" in mount for mount in SERVICES[name]["tmpfs"])


def test_only_the_database_keeps_files() -> None:
    volumes = {
        name: service["volumes"] for name, service in SERVICES.items() if "volumes" in service
    }
    assert volumes == {"postgres": ["database:/var/lib/postgresql/data"]}


def test_only_web_can_be_reached_and_only_from_this_host() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(ports) == {"web"}
    assert all(port.startswith("127.0.0.1:") for port in ports["web"])


def test_the_stores_have_no_way_out() -> None:
    assert COMPOSE["networks"]["data"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == SERVICES["redis"]["networks"] == ["data"]


@every_service
def test_every_service_that_stays_has_a_health_check(name: str) -> None:
    health = SERVICES[name]["healthcheck"]
    if name == "migrate":
        assert health == {"disable": True}
    else:
        assert health["test"][0] in {"CMD", "CMD-SHELL"}
        assert {"interval", "timeout", "retries", "start_period"} <= set(health)


@every_service
def test_every_service_comes_back_after_a_crash(name: str) -> None:
    restart = "on-failure:3" if name == "migrate" else "unless-stopped"
    assert SERVICES[name]["restart"] == restart


def test_only_those_who_work_in_aws_have_an_identity_there() -> None:
    def reaches_aws(service: dict[str, Any]) -> bool:
        variables = any(key.startswith(("AWS_", "BOTO")) for key in service["environment"])
        return variables or "aws_credentials" in service["secrets"]

    assert {name for name in OURS if reaches_aws(SERVICES[name])} == {"worker", "sweeper"}


def test_only_the_notifier_meets_mail_servers_and_channels() -> None:
    def may_send(service: dict[str, Any]) -> bool:
        named = {key.removesuffix("_FILE") for key in service["environment"]}
        variables = {"SALLYPORT_MAIL_URL", "SALLYPORT_CHANNEL_ADDRESSES"} & named
        return bool(variables or {"mail_url", "channel_addresses"} & set(service["secrets"]))

    assert {name for name in OURS if may_send(SERVICES[name])} == {"notifier"}
    assert [name for name in OURS if "notify" in SERVICES[name].get("command", [])] == ["notifier"]


@every_service
def test_no_secret_stands_in_an_environment(name: str) -> None:
    secret = re.compile(
        r"SECRET|PASSWORD|DATABASE_URL|BROKER_URL|MAIL_URL|ADDRESSES|ACCESS_KEY|TOKEN"
    )
    for key, value in SERVICES[name].get("environment", {}).items():
        assert not secret.search(key) or (
            key.endswith("_FILE") and value.startswith("/run/secrets/")
        )


@every_service
def test_every_service_mounts_the_secrets_that_it_names(name: str) -> None:
    service = SERVICES[name]
    named = set(re.findall(r"/run/secrets/(\w+)", yaml.safe_dump(service)))
    assert named == set(service["secrets"])
    assert named <= set(COMPOSE["secrets"])


def test_no_secret_is_mounted_by_nobody() -> None:
    mounted = {secret for service in SERVICES.values() for secret in service["secrets"]}
    assert mounted == set(COMPOSE["secrets"])


@own_service
def test_the_schema_is_there_before_anybody_uses_it(name: str) -> None:
    conditions = {key: value["condition"] for key, value in SERVICES[name]["depends_on"].items()}
    assert conditions["postgres"] == "service_healthy"
    if name != "migrate":
        assert conditions["migrate"] == "service_completed_successfully"


def test_nobody_but_the_worker_waits_for_redis() -> None:
    waiting = {
        name for name, service in SERVICES.items() if "redis" in service.get("depends_on", {})
    }
    assert waiting == {"worker"}


@own_service
def test_every_required_setting_is_there(name: str) -> None:
    required = re.findall(r'required\(\s*"(\w+)"', (REPO / "portal/settings.py").read_text())
    given = {key.removesuffix("_FILE") for key in SERVICES[name]["environment"]}
    assert set(required) <= given
    assert "SALLYPORT_SANDBOX" not in given


def test_the_image_runs_as_an_ordinary_user() -> None:
    assert dockerfile("USER") == ["10001:10001"]
    assert all(SERVICES[name]["user"] == "10001:10001" for name in OURS)


def test_the_image_installs_only_what_is_locked() -> None:
    installs = [run for run in dockerfile("RUN") if " install " in run]
    assert len(installs) == 1
    assert "--require-hashes" in installs[0]
    assert installs[0].split("&&")[-1].rstrip().endswith("-r requirements.txt")


def test_the_image_holds_neither_sandbox_nor_secrets() -> None:
    lines = (REPO / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    assert not allowed & {"sandbox", "tests", "secrets", "var", ".git", ".env", "requirements"}
    assert all((REPO / path).exists() for path in allowed)
    apps = {"portal", "notices", "provisioning", "accounts", "audit"}
    assert apps <= allowed
