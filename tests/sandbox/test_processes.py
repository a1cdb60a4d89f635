"""Children never outlive their parent, and one that dies is reported."""

import os
import pwd
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.processes import (
    Child,
    ChildFailed,
    Interrupted,
    Supervisor,
    free_port,
    http_answers,
    listen,
    log_shows,
    port_answers,
    port_of,
)

ROOT_ONLY = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root may run a child as somebody else"
)
REPO = Path(__file__).resolve().parents[2]

# Writes its own and its child's process id, then waits; the child ignores SIGTERM.
FAMILY = """
import os, signal, subprocess, sys, time
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", stubborn])
time.sleep(0.2)
print(os.getpid(), child.pid, flush=True)
time.sleep(60)
"""
WAITS = "print('up', flush=True); import time; time.sleep(60)"


def python(tmp_path: Path, name: str, code: str) -> Child:
    """A child that runs this code and is ready when it has written a line."""
    log = tmp_path / f"{name}.log"
    return Child(name, [sys.executable, "-c", code], log, ready=log_shows(log, "\n"))


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true in this time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def watch(supervisor: Supervisor) -> None:
    """Look at the children until one has died, for ten seconds at most."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        supervisor.check()
        time.sleep(0.02)


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    supervisor = Supervisor()
    yield supervisor
    supervisor.stop(grace=1)


def test_stop_ends_a_child_and_what_it_left_behind(supervisor: Supervisor, tmp_path: Path) -> None:
    family = python(tmp_path, "family", FAMILY)
    supervisor.start(family)
    supervisor.wait_ready(timeout=10)
    pids = [int(pid) for pid in family.log.read_text().split()]
    assert all(map(alive, pids))

    supervisor.stop(grace=1)

    assert within(2, lambda: not any(map(alive, pids)))


def test_children_stop_in_the_reverse_order_of_their_start(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    order = tmp_path / "order"
    code = """
        import pathlib, signal, sys, time
        def stop(*_):
            time.sleep(0.2)
            with pathlib.Path({order!r}).open("a") as file:
                file.write({name!r})
            sys.exit()
        signal.signal(signal.SIGTERM, stop)
        print("up", flush=True)
        time.sleep(60)
    """
    for name in "abc":
        text = textwrap.dedent(code).format(order=str(order), name=name)
        supervisor.start(python(tmp_path, name, text))
    supervisor.wait_ready(timeout=10)

    supervisor.stop()

    assert order.read_text() == "cba"


def test_a_child_that_ignores_the_signal_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    deaf = python(
        tmp_path,
        "deaf",
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + WAITS,
    )
    supervisor.start(deaf)
    supervisor.wait_ready(timeout=10)

    supervisor.stop(grace=0.1)

    assert deaf.how_it_ended() == "was ended by SIGKILL"


def test_a_child_that_dies_is_reported_with_the_end_of_its_log(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    lines = "; ".join(f"print('line {number}')" for number in range(30))
    bad = python(tmp_path, "bad", f"{lines}; raise SystemExit(3)")
    supervisor.start(python(tmp_path, "good", WAITS), bad)

    with pytest.raises(ChildFailed) as failure:
        watch(supervisor)

    text = str(failure.value)
    assert text.startswith(f"bad ended with status 3. The end of {tmp_path}/bad.log:\n    line 15")
    assert text.endswith("    line 29")


def test_a_program_that_is_not_there_is_reported(supervisor: Supervisor, tmp_path: Path) -> None:
    log = tmp_path / "log"
    supervisor.start(Child("missing", ["/nowhere/program"], log, ready=log_shows(log, "up")))

    with pytest.raises(ChildFailed, match="FileNotFoundError"):
        supervisor.wait_ready(timeout=10)


def test_a_child_that_never_becomes_ready_is_reported(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    slow = python(tmp_path, "slow", "import time; time.sleep(60)")
    supervisor.start(slow)

    with pytest.raises(ChildFailed, match=r"slow was not ready after 0\.2 seconds"):
        supervisor.wait_ready(timeout=0.2)


def test_an_interruption_ends_the_wait(tmp_path: Path) -> None:
    supervisor = Supervisor(interrupted=lambda: True)
    supervisor.start(python(tmp_path, "slow", "import time; time.sleep(60)"))

    with pytest.raises(Interrupted):
        supervisor.wait_ready(timeout=10)
    supervisor.stop()


def test_a_signal_to_the_parents_group_does_not_reach_the_children(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    child = python(tmp_path, "child", WAITS)
    supervisor.start(child)
    supervisor.wait_ready(timeout=10)

    assert os.getpgid(child.pid) == child.pid
    assert os.getsid(child.pid) == child.pid


def test_a_child_keeps_the_files_that_it_inherits(tmp_path: Path) -> None:
    kept = os.open(tmp_path / "kept", os.O_RDWR | os.O_CREAT)
    supervisor = Supervisor(inherit=[kept])
    code = f"import os; os.write({kept}, b'mine'); print('up', flush=True); input()"
    supervisor.start(python(tmp_path, "child", code))
    assert within(5, lambda: (tmp_path / "kept").read_text() == "mine")
    supervisor.stop()
    os.close(kept)


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's own")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("user", [None, pytest.param("nobody", marks=ROOT_ONLY)])
def test_nothing_is_left_of_a_parent_that_was_killed(
    tmp_path: Path, how: signal.Signals, user: str | None
) -> None:
    code = f"""
        import sys, time
        from pathlib import Path
        from sandbox.processes import Child, Supervisor, log_shows
        supervisor = Supervisor()
        for name in "ab":
            log = Path({str(tmp_path)!r}) / name
            argv = ["/bin/sh", "-c", "echo up; exec sleep 60"]
            child = Child(name, argv, log, ready=log_shows(log, "up"), user={user!r})
            supervisor.start(child)
            supervisor.wait_ready(timeout=10)
            print(child.pid, flush=True)
        time.sleep(60)
    """
    parent = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", textwrap.dedent(code)], cwd=REPO, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pids = [int(parent.stdout.readline()) for _ in "ab"]
    assert all(map(alive, pids))

    parent.send_signal(how)
    parent.wait()
    parent.stdout.close()

    assert within(3, lambda: not any(map(alive, pids)))


@ROOT_ONLY
def test_a_child_that_runs_as_another_user_has_none_of_our_groups(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    argv = ["/bin/sh", "-c", "id -u; id -G; echo up; sleep 60"]
    other = Child("other", argv, log, cwd=Path("/"), ready=log_shows(log, "up"), user="nobody")
    supervisor.start(other)
    supervisor.wait_ready(timeout=10)

    uid, groups, _ = log.read_text().splitlines()

    nobody = pwd.getpwnam("nobody")
    assert uid == str(nobody.pw_uid)
    assert groups == str(nobody.pw_gid)


def taken(port: int) -> bool:
    listener = listen(port)
    if listener is not None:
        listener.close()
    return listener is None


def test_a_port_that_somebody_listens_on_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert taken(port)
        assert port_answers(port)()
    assert not taken(port)
    assert not port_answers(port)()


def test_a_port_that_we_listen_on_is_ours() -> None:
    listener = listen(free_port())
    assert listener is not None
    with listener:
        assert taken(port_of(listener))


def test_a_port_is_free_again_while_its_old_connections_wind_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()
    client.close()

    assert not taken(port)


def test_free_ports_are_free() -> None:
    assert not taken(free_port())


def test_a_child_serves_the_socket_that_it_was_given(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    listener = listen(free_port())
    assert listener is not None
    program = "import os, socket; s = socket.socket(fileno=%d); c, _ = s.accept(); c.send(b'up')"
    argv = [sys.executable, "-c", program % listener.fileno()]
    supervisor.start(Child("server", argv, tmp_path / "log", listener=listener))

    with socket.create_connection(("127.0.0.1", port_of(listener)), timeout=10) as client:
        assert client.recv(2) == b"up"
    listener.close()


def test_a_probe_of_a_web_server_survives_nonsense() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        server.settimeout(5)
        probe = http_answers(port, "/")

        def answer() -> None:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(b"no http\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        assert not probe()
        thread.join()
    assert not probe()
