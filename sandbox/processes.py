"""Child processes that never outlive their parent.

A `Child` says what to run and how to see that it is up; a `Supervisor` starts children in
groups, notices one that dies, and stops them in reverse order. Each child leads a session of its
own, so that a Ctrl-C in the terminal reaches only the parent, and so that its whole group can be
ended. On Linux the kernel ends a child whose parent is gone, even after `kill -9`.
"""

import contextlib
import http.client
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_POLL = 0.02  # seconds between two looks at what is starting
_KILLED = 5.0  # seconds that a killed process may take to be gone
_HOST = "127.0.0.1"

# Runs in the child before the program does. This is a program of its own, not a `preexec_fn`,
# because Python code between fork and exec can deadlock where the parent has threads. The order
# matters: a change of user clears the parent-death signal, so it comes first; and a parent that
# died before prctl was called is seen only by asking for it afterwards.
_LAUNCHER = """
import ctypes, os, sys
parent, death_signal, uid, gid = map(int, sys.argv[1:5])
if uid >= 0:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal)
if os.getppid() != parent:
    sys.exit("its parent is gone")
os.execvp(sys.argv[5], sys.argv[5:])
"""


class Interrupted(Exception):
    """Somebody asked to stop while children were starting."""


class ChildFailed(Exception):
    """A child died, or did not become ready in time. The text ends with the tail of its log."""

    def __init__(self, child: "Child", what: str) -> None:
        super().__init__(f"{child.name} {what}. The end of {child.log}:\n{child.log_tail()}")
        self.child = child


@dataclass
class Child:
    """One program to run: everything about it that does not change, and its process.

    `ready` is asked again and again until it answers True; without it a child counts as ready at
    once. `stop_signal` must make the program end by itself. `user` is the name of the account to
    run as, which only root may set. `listener` is a socket that the program inherits.
    """

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    ready: Callable[[], bool] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    user: str | None = None
    listener: socket.socket | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def spawn(self, *, inherit: Sequence[int] = ()) -> None:
        """Start the program; its output replaces what is in the log.

        `inherit` names open files that the program keeps, such as a lock.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        sockets = [self.listener.fileno()] if self.listener else []
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        output = os.open(self.log, flags, 0o600)
        try:
            self.process = subprocess.Popen(  # noqa: S603  # The callers are this project's own.
                self._launch(),
                env=self.env,
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=[*inherit, *sockets],
            )
        finally:
            os.close(output)

    def _launch(self) -> list[str]:
        uid, gid = -1, -1
        if self.user:
            account = pwd.getpwnam(self.user)
            uid, gid = account.pw_uid, account.pw_gid
        numbers = [os.getpid(), int(self.stop_signal), uid, gid]
        return [sys.executable, "-I", "-S", "-c", _LAUNCHER, *map(str, numbers), *self.argv]

    @property
    def running(self) -> bool:
        """Whether the program has been started and has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """The process id, which is also the id of the process group. Only after `spawn`."""
        if self.process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self.process.pid

    def how_it_ended(self) -> str:
        """For example "ended with status 3" or "was ended by SIGKILL"."""
        status = self.process.poll() if self.process else None
        if status is None:
            return "is running"
        if status < 0:
            return f"was ended by {signal.Signals(-status).name}"
        return f"ended with status {status}"

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of the log, indented; a remark where it is empty."""
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            text = ""
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (empty)"

    def ask_to_stop(self) -> None:
        """Send the stop signal to the program itself, which stops what it has started."""
        if self.process is not None:
            self.process.send_signal(self.stop_signal)

    def wait_until(self, deadline: float) -> None:
        """Wait for the end, at most until `deadline` on the monotonic clock."""
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=max(0.0, deadline - time.monotonic()))

    def kill(self) -> None:
        """End the whole group at once: the program, and what it left behind. Does not wait."""
        if self.process is None:
            return
        # EPERM is what macOS answers for a group whose members have all ended.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)


class Supervisor:
    """Starts children, watches them, and stops them in reverse order.

    `interrupted` is asked while waiting; when it answers True, `Interrupted` is raised. `inherit`
    are open files that every child keeps. Use it from one thread only, one that lives as long as
    the children are wanted: Linux takes the end of that thread for the end of the parent.
    """

    def __init__(
        self,
        *,
        interrupted: Callable[[], bool] = lambda: False,
        inherit: Sequence[int] = (),
    ) -> None:
        self._interrupted = interrupted
        self._inherit = inherit
        self._groups: list[list[Child]] = []

    def start(self, *children: Child, join: bool = False) -> None:
        """Start these together, as one group that is also stopped together.

        With `join` they become part of the group that was started last.
        """
        if not (join and self._groups):
            self._groups.append([])
        for child in children:
            child.spawn(inherit=self._inherit)
            self._groups[-1].append(child)

    def wait_ready(self, *children: Child, timeout: float) -> None:
        """Return when these children are ready, or all of them when none is named.

        Raises `ChildFailed` when one dies or is not ready after `timeout` seconds, and
        `Interrupted`.
        """
        deadline = time.monotonic() + timeout
        waiting = [child for child in children or self._children() if child.ready]
        while waiting:
            self.check()
            if self._interrupted():
                raise Interrupted
            waiting = [child for child in waiting if child.ready and not child.ready()]
            if waiting and time.monotonic() > deadline:
                raise ChildFailed(waiting[0], f"was not ready after {timeout:g} seconds")
            if waiting:
                time.sleep(_POLL)

    def check(self) -> None:
        """Raise `ChildFailed` for a child that has ended by itself."""
        for child in self._children():
            if not child.running:
                raise ChildFailed(child, child.how_it_ended())

    def stop(self, *, grace: float = 5.0) -> None:
        """Stop all, the group that was started last first; nothing is running afterwards.

        Each group has `grace` seconds to end by itself; then it is killed.
        """
        while self._groups:
            group = self._groups[-1]
            for child in reversed(group):
                child.ask_to_stop()
            deadline = time.monotonic() + grace
            for child in reversed(group):
                child.wait_until(deadline)
                child.kill()
                child.wait_until(deadline + _KILLED)
            # Only now, so that `kill` from a signal handler still finds the group.
            self._groups.pop()

    def kill(self) -> None:
        """End everything at once, without asking or waiting. May be called by a signal handler."""
        for child in self._children():
            child.kill()

    def _children(self) -> Iterator[Child]:
        for group in self._groups:
            yield from group


# --- Ports and probes ------------------------------------------------------------------------


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def listen(port: int) -> socket.socket | None:
    """A socket that listens on this port of 127.0.0.1, or None where somebody else does.

    To hold the port from here on is the only way to have it later: between a look whether it is
    free and the start of a server that takes seconds to load, another program may take it.
    """
    try:
        # With SO_REUSEADDR, as servers do: connections of an earlier server that are still winding
        # down are no obstacle to a new one.
        return socket.create_server((_HOST, port))
    except OSError:
        return None


def port_of(listener: socket.socket) -> int:
    """The TCP port that a socket is bound to."""
    port: int = listener.getsockname()[1]
    return port


def port_answers(port: int) -> Callable[[], bool]:
    """A readiness probe: something accepts connections on this port of 127.0.0.1."""

    def probe() -> bool:
        try:
            socket.create_connection((_HOST, port), timeout=1).close()
        except OSError:
            return False
        return True

    return probe


def http_answers(port: int, path: str) -> Callable[[], bool]:
    """A readiness probe: GET of this path on 127.0.0.1 answers with a status below 400."""

    def probe() -> bool:
        # No urllib: it would ask a proxy that the environment names.
        connection = http.client.HTTPConnection(_HOST, port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status < 400
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return probe


def process_at(port: int, peer: int) -> int | None:
    """The process that has a connection of this machine from `port` to `peer`; Linux only.

    Where several hold it, as after a fork, the one that was started last.
    """
    here, there = f"0100007F:{port:04X}", f"0100007F:{peer:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    found = next((row[9] for row in rows if row[1:3] == [here, there]), None)
    holders = [pid for pid in _processes() if f"socket:[{found}]" in _open_files(pid)]
    return max(holders, key=_started, default=None)


def _processes() -> list[int]:
    return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()]


def _open_files(pid: int) -> set[str]:
    """What a process has open, as far as we may see it and it still runs."""
    found = set()
    with contextlib.suppress(OSError):
        for one in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(one.readlink()))
    return found


def _started(pid: int) -> int:
    """When a process was started, in ticks since the machine was."""
    with contextlib.suppress(OSError):
        # The name, in brackets, may have spaces in it.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return 0


def log_shows(log: Path, text: str) -> Callable[[], bool]:
    """A readiness probe: the program has written this text to its log."""
    return lambda: log.exists() and text in log.read_text(errors="replace")
