"""Workers that may be killed: `python -m tests.rig.worker`.

One line of JSON on standard input is one piece of work; it is done in a child of its own, forked
from this process, which has imported everything already and holds no connection and no thread.
Answers go to standard output, one line each: the child's `pid`, how many `writes` to the database
it did (unless it died), and its exit `status` as `subprocess` gives it.

    {"work": "converge", "pk": 7, "env": {}, "die_at_write": [3, "before"]}

`die_at_write` lets the child kill itself around its n-th statement that writes to the database; the
calls to AWS are held by the AWS server instead, and the test kills the child from outside.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TextIO

import django

WRITES = ("INSERT", "UPDATE", "DELETE")


def main() -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Logs go to standard error.
    django.setup()
    jobs = _jobs()
    _warm_up()
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _work(jobs[order["work"]], order, answers)
        _say(answers, pid=pid)
        _, status = os.waitpid(pid, 0)
        _say(answers, status=os.waitstatus_to_exitcode(status))


def _say(answers: TextIO, **told: int) -> None:
    answers.write(json.dumps(told) + "\n")
    answers.flush()


def _jobs() -> dict[str, Callable[[int], None]]:
    from provisioning.engine import converge, switch_groups

    return {"converge": converge.converge, "prepare_pair": switch_groups.prepare_pair}


def _warm_up() -> None:
    """Read botocore's models once, and not in every child."""
    from provisioning.aws.clients import Credentials, lend

    for service in ("iam", "sts"):
        lend(service, "us-east-1", Credentials("none", "none")).give_back()


def _work(job: Callable[[int], None], order: dict[str, Any], answers: TextIO) -> None:
    from django.db import connections

    status = 1
    try:
        os.environ.update(order["env"])
        retry_at_once()
        count = _count_writes(order.get("die_at_write"))
        job(order["pk"])
        connections.close_all()
        _say(answers, writes=count())
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


def retry_at_once() -> None:
    """botocore waits up to seconds before it tries a call again; a test need not."""
    from botocore.retries import standard

    standard.ExponentialBackoff.delay_amount = lambda *_: 0  # type: ignore[method-assign]


def _count_writes(death: list[Any] | None) -> Callable[[], int]:
    """Count statements that write, and die around the one that is named."""
    from django.db.backends.signals import connection_created

    nth, when = death or (0, "")
    count = 0

    def around(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal count
        writes = sql.lstrip().upper().startswith(WRITES)
        count += writes
        mine = writes and count == nth
        if mine and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = execute(sql, params, many, context)
        if mine and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    def watch(connection: Any, **_: Any) -> None:
        connection.execute_wrappers.append(around)

    connection_created.connect(watch, weak=False)
    return lambda: count


if __name__ == "__main__":
    main()
