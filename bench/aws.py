"""A server that stands for AWS while something is measured: `python -m bench.aws --port P`.

moto keeps IAM's state and judges nothing, so that a call costs as little of this machine as it
can (the sandbox's own server, sandbox/aws_server.py, evaluates policies for each call). What it
adds to moto is what a measurement needs:

- every call is recorded: when it came and was answered, who called, what with;
- each call may wait a while before it is worked on, as the way to AWS and back does. Waiting
  calls overlap, as they do there;
- each account may be limited to N IAM calls a second. One more is answered with Throttling;
- GetAccountAuthorizationDetails pages as AWS does: 100 items unless MaxItems says more, at most
  1,000 (moto answers everything at once).

No permission is checked: a figure made here says nothing about security, and an error that only
AWS's own checks would give never appears.

The process that started it talks to it at /bench-api/ (`Control` in bench/server.py): latency,
limit, clear, calls, fill, state. It listens on 127.0.0.1 only.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl

# The managed policies must exist before moto is imported, or nothing can be attached.
os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")

from moto.core.responses import ActionResult
from moto.iam.models import Group, Role, User, get_account_id_from, iam_backends
from moto.iam.responses import IamResponse
from moto.iam.utils import random_role_id
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

PARTITION: Final = "aws"
REGION: Final = "us-east-1"
CREDENTIAL = re.compile(r"Credential=([^/\s]+)/\d{8}/[\w-]+/([\w-]+)/")
KINDS = ("User", "Group", "Role")
PAGE, LARGEST_PAGE = 100, 1000
BURST: Final = 40
"""Calls that an account takes at once after a pause, where it is limited."""
THROTTLED = (
    '<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type>'
    "<Code>Throttling</Code><Message>Rate exceeded</Message></Error>"
    "<RequestId>bench</RequestId></ErrorResponse>"
)

Environ = dict[str, Any]
Respond = Callable[..., Any]


def paged_details(response: IamResponse) -> ActionResult:
    """GetAccountAuthorizationDetails, a page at a time: users, groups and roles in this order."""
    wanted = response._get_param("Filter", [])
    details = response.backend.get_account_authorization_details(wanted)
    size = min(int(response._get_param("MaxItems") or PAGE), LARGEST_PAGE)
    start = int(response._get_param("Marker") or 0)
    items = [(kind, item) for kind in KINDS for item in details[f"{kind.lower()}s"]]
    items += [("Policies", item) for item in details["managed_policies"]]
    result: dict[str, Any] = {f"{kind}DetailList": [] for kind in KINDS} | {"Policies": []}
    for kind, item in items[start : start + size]:
        result[kind if kind == "Policies" else f"{kind}DetailList"].append(item)
    result["IsTruncated"] = start + size < len(items)
    if result["IsTruncated"]:
        result["Marker"] = str(start + size)
    return ActionResult(result)


# --- What was called -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """One call, on the monotonic clock, which all processes of a machine share."""

    began: float
    ended: float
    worked: float
    """Seconds spent inside moto: 0 for a call that a limit refused."""
    account: str
    action: str
    status: int
    parameters: dict[str, str]


@dataclass
class Limit:
    """A bucket of calls for each account that refills at `rate` a second; 0 sets no limit."""

    rate: float = 0.0
    left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def takes(self, account: str, now: float) -> bool:
        """Whether one more call fits."""
        if not self.rate:
            return True
        left, seen = self.left.get(account, (BURST, now))
        left = min(BURST, left + (now - seen) * self.rate)
        self.left[account] = (left - 1 if left >= 1 else left, now)
        return left >= 1


class Bench:
    """moto with a recorder, a latency and a limit in front."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app
        self.latency = 0.0
        self.limit = Limit()
        self.records: list[Record] = []
        self.lock = threading.Lock()
        self.moto = threading.Lock()
        """Its store is not made for threads: with a thousand roles a call that looks through them
        fails where another one makes a role. They would not be any faster beside each other."""

    def __call__(self, environ: Environ, respond: Respond) -> list[bytes]:
        """Answer one request."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        path: str = environ.get("PATH_INFO", "")
        if path.startswith("/bench-api/"):
            return self._control(path.removeprefix("/bench-api/"), environ, body, respond)
        environ["wsgi.input"] = BytesIO(body)
        return self._call(environ, body, respond)

    def _call(self, environ: Environ, body: bytes, respond: Respond) -> list[bytes]:
        began = time.monotonic()
        parameters = dict(parse_qsl(body.decode()))
        key, service = caller(environ)
        account = callers_account(key)
        status = [0]

        def noted(line: str, headers: Any, *rest: Any) -> Any:
            status[0] = int(line.split()[0])
            return respond(line, headers, *rest)

        time.sleep(self.latency)
        worked = time.monotonic()
        with self.lock:
            # IAM's own limits are not STS's.
            fits = service != "iam" or self.limit.takes(account, worked)
        # The whole body at once, so that the interval covers the work.
        if fits:
            with self.moto:
                answer = b"".join(self.app(environ, noted))
        else:
            answer = _throttled(noted)
        ended = time.monotonic() if fits else worked
        action = parameters.pop("Action", "")
        record = Record(began, ended, ended - worked, account, action, status[0], parameters)
        with self.lock:
            self.records.append(record)
        return [answer]

    # --- Control ---

    def _control(self, name: str, environ: Environ, body: bytes, respond: Respond) -> list[bytes]:
        query = {key: one[0] for key, one in parse_qs(environ.get("QUERY_STRING", "")).items()}
        if body:
            query["data"] = json.loads(body)
        answer = json.dumps(getattr(self, f"do_{name}")(**query)).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
        respond("200 OK", headers)
        return [answer]

    def do_ready(self) -> bool:
        """Say that it runs."""
        return True

    def do_latency(self, ms: str) -> bool:
        """How long each call waits before it is worked on."""
        self.latency = float(ms) / 1000
        return True

    def do_limit(self, rate: str) -> bool:
        """How many IAM calls a second each account may make; 0 for any number."""
        with self.lock:
            self.limit = Limit(float(rate))
        return True

    def do_clear(self) -> bool:
        """Forget the recorded calls."""
        with self.lock:
            self.records = []
        return True

    def do_calls(self) -> list[list[Any]]:
        """The recorded calls in the order in which they came."""
        with self.lock:
            found = sorted(self.records, key=lambda one: one.began)
        return [[getattr(one, name) for name in Record.__slots__] for one in found]

    def do_cpu(self) -> float:
        """CPU seconds of this process so far."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    def do_fill(self, data: dict[str, Any]) -> bool:
        """Put users, groups and roles into an account, without the calls that would make them."""
        with self.moto:
            fill(**data)
        return True

    def do_state(self, account: str) -> dict[str, Any]:
        """All users, groups and roles of an account, exactly as they are."""
        with self.moto:
            return state(account)


def caller(environ: Environ) -> tuple[str, str]:
    """The access key and the service of a request, as its signature names them."""
    found = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    return (found[1], found[2]) if found else ("", "")


def callers_account(key: str) -> str:
    """The account that an access key belongs to; moto's own number for the portal's."""
    account: str = get_account_id_from(key)
    return account


def _throttled(respond: Respond) -> bytes:
    answer = THROTTLED.encode()
    headers = [("Content-Type", "text/xml"), ("Content-Length", str(len(answer)))]
    respond("400 Bad Request", headers)
    return answer


# --- State -----------------------------------------------------------------------------------


def fill(
    account: str,
    users: Iterable[dict[str, Any]] = (),
    groups: Iterable[dict[str, Any]] = (),
    roles: Iterable[dict[str, Any]] = (),
) -> None:
    """Make what is described straight in moto's store: its own calls look through all of it."""
    backend = iam_backends[account][PARTITION]
    for one in groups:
        group = Group(account, REGION, one["name"], one["path"])
        _policies(backend, group, one)
        backend.groups[group.name] = group
    for one in users:
        # moto makes it itself in this way, whatever its base class declares.
        user = User(account, REGION, one["name"])  # type: ignore[abstract]
        user.id = one["id"]
        backend.users[user.name] = user
        for name in one.get("groups", ()):
            backend.groups[name].users.append(user)
    for one in roles:
        role = _role(account, one)
        _policies(backend, role, one)
        backend.roles[role.id] = role


def _role(account: str, one: dict[str, Any]) -> Role:
    return Role(  # type: ignore[abstract]  # As above.
        account_id=account,
        partition=PARTITION,
        role_id=random_role_id(account),
        name=one["name"],
        assume_role_policy_document=json.dumps(one["trust"]),
        path=one["path"],
        permissions_boundary=one["boundary"],
        description="",
        tags=[{"Key": key, "Value": value} for key, value in one["tags"].items()],
        max_session_duration=str(one["max_session_seconds"]),
    )


def _policies(backend: Any, thing: Group | Role, one: dict[str, Any]) -> None:
    thing.policies.update({name: json.dumps(text) for name, text in one["inline"].items()})
    for arn in one["managed"]:
        backend.managed_policies[arn].attach_to(thing)


def state(account: str) -> dict[str, Any]:
    """Everything of an account that a grant can change."""
    backend = iam_backends[account][PARTITION]
    members = [(group, user) for group in backend.groups.values() for user in group.users]
    return {
        "users": {
            user.name: sorted(group.name for group, member in members if member is user)
            for user in backend.users.values()
        },
        "groups": {group.name: _shown(group) for group in backend.groups.values()},
        "roles": {
            role.name: _shown(role)
            | {
                "trust": json.loads(role.assume_role_policy_document),
                "boundary": role.permissions_boundary_arn or "",
                "tags": {tag["Key"]: tag["Value"] for tag in role.tags or ()},
            }
            for role in backend.roles.values()
        },
    }


def _shown(thing: Group | Role) -> dict[str, Any]:
    return {
        "path": thing.path,
        "inline": {name: json.loads(text) for name, text in thing.policies.items()},
        "managed": sorted(thing.managed_policies),
    }


# --- The process -----------------------------------------------------------------------------


class Handler(MotoRequestHandler):
    """Connections stay open, as AWS's do, and no packet waits for another one."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    IamResponse.get_account_authorization_details = paged_details  # type: ignore[method-assign,assignment]
    app = Bench(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", arguments.port, app, threaded=True, request_handler=Handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever()


if __name__ == "__main__":
    main()
