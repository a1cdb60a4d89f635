"""A local run cannot reach anybody's real account, database or proxy."""

from pathlib import Path

import redis

from sandbox import servers
from sandbox.processes import Supervisor, free_port

LEAKS = {
    "AWS_PROFILE": "production",
    "AWS_SESSION_TOKEN": "token",
    "AWS_ENDPOINT_URL_STS": "https://elsewhere.example.com",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "yes",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/token",
    "BOTO_CONFIG": "/etc/boto.cfg",
    "DATABASE_URL": "postgres://production",
    "SECRET_KEY_FILE": "/run/secrets/secret_key",
    "SALLYPORT_BASE_URL": "https://sallyport.example.com",
    "https_proxy": "http://proxy.example.com",
    "HTTP_PROXY": "http://proxy.example.com",
}


def environment(environ: dict[str, str]) -> dict[str, str]:
    return servers.local_environment(environ, aws_port=4000, broker_port=6000)


def test_nothing_of_the_shell_leads_to_a_real_account() -> None:
    local = environment(LEAKS)

    assert not set(LEAKS) & set(local)
    assert not set(LEAKS.values()) & set(local.values())
    assert local["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4000"
    assert local["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
    assert local["BROKER_URL"] == "redis://127.0.0.1:6000/0"
    assert local["SALLYPORT_SANDBOX"] == "true"


def test_the_rest_of_the_shell_stays() -> None:
    assert environment({"PATH": "/bin", "LANG": "C.UTF-8"}).items() >= {
        ("PATH", "/bin"),
        ("LANG", "C.UTF-8"),
    }


def test_the_broker_answers_and_keeps_nothing(tmp_path: Path) -> None:
    supervisor = Supervisor()
    port = free_port()
    supervisor.start(servers.broker(port, folder=tmp_path / "data", log=tmp_path / "log"))
    try:
        supervisor.wait_ready(timeout=10)
        with redis.Redis(port=port) as client:
            assert client.set("name", "value")
    finally:
        supervisor.stop()
    assert list((tmp_path / "data").iterdir()) == []
