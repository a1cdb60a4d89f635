"""`manage.py demo` starts everything, says where it is, and leaves nothing behind."""

import fcntl
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.people import PEOPLE

pytestmark = pytest.mark.system

REPO = Path(__file__).resolve().parents[2]
STARTS_WITHIN = 240.0  # seconds, on a very busy machine
ENDS_WITHIN = 15.0


class Demo:
    """One run of the command, with a folder of its own."""

    def __init__(self, var: Path, *options: str) -> None:
        # What this test run has told its own processes is not for the demo.
        own = ("AWS_", "SALLYPORT_", "DATABASE_URL", "BROKER_URL", "SECRET_KEY")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        self.output = var.parent / f"output-{time.monotonic_ns()}"
        with self.output.open("w") as file:
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, "manage.py", "demo", *options],
                cwd=REPO,
                env=kept | {"SALLYPORT_SANDBOX": "true", "SALLYPORT_VAR": str(var)},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.output.read_text()

    def wait_ready(self) -> str:
        """The host and port of its page."""
        deadline = time.monotonic() + STARTS_WITHIN
        while "Ctrl-C stops everything" not in self.text:
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text
            time.sleep(0.05)
        found = re.search(r"http://(127\.0\.0\.1:\d+)/", self.text)
        assert found is not None
        return found[1]

    def wait_end(self) -> int:
        return self.process.wait(timeout=ENDS_WITHIN)


@contextmanager
def running(var: Path, *options: str) -> Iterator[Demo]:
    demo = Demo(var, *options)
    try:
        yield demo
    finally:
        demo.process.terminate()
        demo.wait_end()


def nothing_left(var: Path) -> bool:
    """Whether every process that the demo has started is gone: each holds this lock."""
    lock = os.open(var / "children.lock", os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(lock)


def status(address: str, path: str) -> int:
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    connection.close()
    return answer.status


@pytest.fixture
def var(tmp_path: Path) -> Path:
    return tmp_path / "var"


def test_it_shows_the_way_in_and_stops_without_a_trace(var: Path) -> None:
    with running(var) as demo:
        address = demo.wait_ready()
        assert status(address, "/sign-in/") == 200
        assert all(person.username in demo.text for person in PEOPLE)

        with running(var) as second:
            assert second.wait_end() == 1
        assert f"already running: http://{address}/" in second.text

        demo.process.send_signal(signal.SIGINT)
        assert demo.wait_end() == 0
    assert demo.text.rstrip().endswith("Stopping.")
    assert nothing_left(var)


def test_a_killed_run_is_no_obstacle(var: Path) -> None:
    with running(var) as killed:
        killed.wait_ready()
        killed.process.kill()
        killed.wait_end()

    with running(var) as demo:
        address = demo.wait_ready()
        assert status(address, "/healthz/ready") == 200
    assert nothing_left(var)


def test_a_child_that_dies_is_shown_with_its_log(var: Path) -> None:
    with running(var) as demo:
        demo.wait_ready()
        broker = next(pid for pid in children(demo.process.pid) if "valkey" in command(pid))
        os.kill(broker, signal.SIGKILL)

        assert demo.wait_end() == 1
    assert f"broker was ended by SIGKILL. The end of {var}/log/broker.log:" in demo.text
    assert nothing_left(var)


def test_a_port_that_is_taken_is_refused_when_it_was_asked_for(var: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running(var, "--port", str(port)) as demo:
            assert demo.wait_end() == 1
    assert demo.text.startswith(f"Port {port} is taken.")


def test_the_sandbox_never_touches_another_database(var: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite3"
    done = subprocess.run(
        [sys.executable, "manage.py", "demo"],
        cwd=REPO,
        env=os.environ | {"SALLYPORT_VAR": str(var), "DATABASE_URL": f"sqlite:///{other}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=STARTS_WITHIN,
    )

    assert done.returncode == 1
    assert "a database of its own" in done.stderr
    assert not other.exists()


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()
