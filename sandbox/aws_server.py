"""The local stand-in for AWS: `python -m sandbox.aws_server --port P [--state FILE]`.

moto keeps IAM's state and writes its answers; this server adds the judging, so that IAM and STS
refuse here what they refuse at AWS. All other services are closed.

Who calls is told by the access key alone; signatures are not checked. Three kinds are known:

- keys and session credentials that CreateAccessKey and AssumeRole gave out, judged as AWS does;
- `sandbox-admin-<12-digit account>` with any secret: the account's administrator, who may do
  everything but assume a role, and so makes the accounts that the product then finds;
- `sandbox-user-<12-digit account>-<user name>` with any secret: that IAM user, judged as any.

Beside AWS's own calls there are, for the process that started the server:

- GET /moto-api/ answers once the server is ready;
- POST /sandbox-api/reset empties it, /sandbox-api/clock?offset=SECONDS puts its clock ahead;
- POST /sandbox-api/quota?account=ID&name=RolesQuota&value=N gives an account another quota until
  the next start;
- POST /sandbox-api/pages?size=N ends every page of a list after so many items, until a reset;
- POST /sandbox-api/dump answers with everything that it holds, /sandbox-api/load takes that back;
- POST /sandbox-api/faults with a list of faults (sandbox/faults.py) lets calls go wrong, none
  again after /sandbox-api/faults-clear; /sandbox-api/calls lists the calls that came in since,
  /sandbox-api/held?wait=SECONDS those that are held, and /sandbox-api/release?do=go lets these
  go on (do=drop: breaks their connections);
- POST /sandbox-api/journal?after=NUMBER lists every call after that one since the last reset
  (sandbox/journal.py).
  All of these want the header `X-Sandbox-Control: yes`, which no web page can send here.

It listens on 127.0.0.1 only. It shows the product; it is no evidence of security.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from moto.core.utils import camelcase_to_underscores, get_service_model
from moto.moto_server.werkzeug_app import create_backend_app
from moto.utilities.utils import get_partition
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app

from sandbox import iam_state
from sandbox.aws_errors import (
    AwsError,
    access_denied,
    error_xml,
    result_xml,
    validation,
)
from sandbox.evaluation import Request, decide
from sandbox.faults import SIGNALS, ConnectionCut, Fault, Faults, account_of, unseen_for
from sandbox.history import History
from sandbox.iam_answers import Response as IamAnswers
from sandbox.iam_requests import WITH_OWN_USER, iam_checks, subject
from sandbox.iam_rules import TRUST_PARAMETER, Call, bind_trust, check_rules
from sandbox.iam_shapes import check_shapes, has_operation
from sandbox.iam_store import backend_of
from sandbox.journal import Call as Entry
from sandbox.journal import Journal, only_reads
from sandbox.processes import process_at
from sandbox.sts import Caller, Sessions, assume_role, assume_role_result, caller_identity, identify

LARGEST_BODY = 1_000_000
OPERATORS = ("sandbox-admin-", "sandbox-user-")
"""Access keys that are known without being made: those who hold them do not meet faults."""
SAVE_DELAY = 0.2
CREDENTIAL = re.compile(r"Credential=([^/\s]+)/\d{8}/([\w-]+)/([\w-]+)/aws4_request")
IAM_HOME = {
    "aws": "us-east-1",
    "aws-cn": "cn-north-1",
    "aws-us-gov": "us-gov-west-1",
    "aws-eusc": "eusc-de-east-1",
}
REFUSAL = re.compile(rb"<Code>(\w+)</Code>")
LOCAL_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")

Environ = dict[str, Any]
Params = dict[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes
    content_type: str = "text/xml"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to AWS: who signed it, and what it asks for."""

    service: str
    access_key: str
    token: str | None
    region: str
    params: Params

    @property
    def action(self) -> str:
        return self.params.get("Action", "")


def _json(content: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(content).encode(), "application/json")


class SandboxAws:
    """The WSGI application. One call at a time: AWS's quotas and checks are atomic too."""

    def __init__(
        self, changed: Callable[[], None] = lambda: None, *, signals: bool = False
    ) -> None:
        self.sessions = Sessions()
        self.lock = threading.RLock()
        self.faults = Faults(signals=signals)
        self.journal = Journal()
        self.history = History()
        self._changed = changed
        self._offset = timedelta()
        self._moto = create_backend_app("iam")
        # Read now what the first call would otherwise wait for.
        get_service_model("iam"), get_service_model("sts")

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        answer = self._answer(environ)
        status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
        length = str(len(answer.body))
        start_response(status, [("Content-Type", answer.content_type), ("Content-Length", length)])
        return [answer.body]

    def _answer(self, environ: Environ) -> Answer:
        path = environ.get("PATH_INFO", "/")
        if not LOCAL_HOST.fullmatch(environ.get("HTTP_HOST", "")):
            # A web page that has its own name resolved to 127.0.0.1 must not get in.
            return _json({"error": "ask by the name localhost or 127.0.0.1"}, 403)
        if path == "/moto-api/" and environ["REQUEST_METHOD"] == "GET":
            return _json({"status": "ready"})
        if path.startswith("/sandbox-api/"):
            return self._control(environ, path.removeprefix("/sandbox-api/"))
        return self._aws_answer(environ)

    # For the process that started the server

    def _control(self, environ: Environ, what: str) -> Answer:
        controls: dict[str, Callable[[Params, Environ], Any]] = {
            "reset": self._reset,
            "clock": self._set_clock,
            "quota": self._set_quota,
            "pages": lambda query, _: _set_pages(int(query["size"])),
            "dump": self._dump,
            "load": self._load,
            "faults": lambda _, environ: self.faults.arm(_posted(environ)),
            "faults-clear": lambda *_: self.faults.clear(),
            "calls": lambda *_: self.faults.calls(),
            "held": lambda query, _: self.faults.held(float(query.get("wait", "0"))),
            "release": lambda query, _: self.faults.release(drop=query.get("do") != "go"),
            "journal": lambda query, _: self.journal.after(int(query.get("after", "0"))),
        }
        allowed = environ["REQUEST_METHOD"] == "POST" and environ.get("HTTP_X_SANDBOX_CONTROL")
        if not allowed or what not in controls:
            names = ", ".join(controls)
            return _json({"error": f"POST one of {names}, with X-Sandbox-Control: yes"}, 403)
        try:
            answer = controls[what](dict(parse_qsl(environ.get("QUERY_STRING", ""))), environ)
        except (ValueError, KeyError, TypeError) as error:
            return _json({"error": str(error)}, 400)
        return _json({"now": self._now().isoformat()} if answer is None else answer)

    def _reset(self, query: Params, environ: Environ) -> None:
        with self.lock:
            self._forget()
            _set_pages(LARGEST_PAGE)
            self._offset = timedelta()
            self._changed()
        self.journal.clear()
        self.faults.clear()

    def _set_clock(self, query: Params, environ: Environ) -> None:
        with self.lock:
            self._offset = timedelta(seconds=float(query.get("offset", "0")))

    def _set_quota(self, query: Params, environ: Environ) -> None:
        with self.lock:
            _set_quota(query)
            self._changed()

    def _dump(self, query: Params, environ: Environ) -> Any:
        with self.lock:
            return iam_state.dump(self.sessions)

    def _load(self, query: Params, environ: Environ) -> None:
        data = _posted(environ)
        with self.lock:
            self._forget()
            iam_state.load(data, self.sessions)
            self._changed()

    def _forget(self) -> None:
        iam_state.clear(self.sessions)
        self.history.clear()

    def _now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    # AWS

    def _aws_answer(self, environ: Environ) -> Answer:
        service = "iam"
        try:
            access_key, region, service = _signature(environ)
            token = environ.get("HTTP_X_AMZ_SECURITY_TOKEN")
            asked = Asked(service, access_key, token, region, _params(environ))
            entry = self._arrival(asked)
            if access_key.startswith(OPERATORS):
                return self._applied(asked, entry, environ)
            return self._spoiled(asked, entry, environ)
        except AwsError as error:
            return _refusal(service, error, environ)
        except ConnectionCut:
            # By itself the server would keep the connection open for a next request.
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise
        except Exception:
            traceback.print_exc()
            failure = AwsError("ServiceFailure", "The sandbox failed; see its log.", 500)
            return _refusal(service, failure, environ)

    def _arrival(self, asked: Asked) -> Entry:
        """Write a call down as it comes in."""
        session = self.sessions.get(asked.access_key)
        account = account_of(asked.action, asked.params, session.account if session else "")
        entry = Entry(asked.service, asked.action, account)
        with self.lock:
            entry.at = self._now().isoformat()
            try:
                self._describe(entry, asked, self._identify(asked))
            except AwsError as error:
                entry.refusal = error.code
        self.journal.write(entry)
        return entry

    def _identify(self, asked: Asked) -> Caller:
        now = self._now()
        return identify(self.sessions, asked.access_key, asked.token, asked.region, now)

    def _describe(self, entry: Entry, asked: Asked, caller: Caller) -> None:
        """Fill in who calls, and about what."""
        entry.account = entry.account or caller.account.account
        entry.who, entry.session = caller.arn, caller.session.name if caller.session else ""
        entry.names = {k: v for k, v in asked.params.items() if k.endswith(("Name", "Arn"))}
        if asked.service == "iam":
            params = _meant(asked.action, caller, asked.params)
            entry.object, entry.tags = subject(asked.action, params, caller.account)
        else:
            entry.object = asked.params.get("RoleArn", "")

    def _spoiled(self, asked: Asked, entry: Entry, environ: Environ) -> Answer:
        """Answer a call, unless a test has ordered that something goes wrong with it."""
        fault = self.faults.meet(entry)
        if fault is None:
            return self._applied(asked, entry, environ)
        pid = _process_of(fault, environ)
        try:
            self.faults.before(fault, entry, pid)
        except AwsError as error:
            entry.refusal = error.code
            raise
        given = self._applied(asked, entry, environ, fault)
        instead = self.faults.after(fault, entry, pid)
        return given if instead is None else Answer(200, instead, "text/html")

    def _applied(
        self, asked: Asked, entry: Entry, environ: Environ, fault: Fault | None = None
    ) -> Answer:
        """Answer a call, and write down what came of it."""
        with self.lock:
            now = self._now()
            entry.at, entry.refusal = now.isoformat(), ""
            try:
                caller = self._identify(asked)
                self._describe(entry, asked, caller)
                with self._seen(entry, asked, caller, now, fault):
                    answer = self._call(asked.service, caller, asked.params, environ, now)
            except AwsError as error:
                entry.refusal = error.code
                raise
            entry.applied = answer.status < 300
            if not entry.applied and (code := REFUSAL.search(answer.body)):
                entry.refusal = code[1].decode()
            return answer

    def _seen(
        self, entry: Entry, asked: Asked, caller: Caller, now: datetime, fault: Fault | None
    ) -> AbstractContextManager[None]:
        """What a read is answered from; what a change will have changed is remembered for it."""
        if ago := unseen_for(fault):
            return self.history.as_of(now - ago)
        if asked.service == "iam" and not entry.reads:
            self.history.keep(caller.account, asked.action, asked.params, now)
        return nullcontext()

    def _call(
        self, service: str, caller: Caller, params: Params, environ: Environ, now: datetime
    ) -> Answer:
        action = params.get("Action", "")
        if service not in ("iam", "sts"):
            text = f"User: {caller.arn} is not authorized: the sandbox has no service {service}"
            raise access_denied(text)
        if not has_operation(service, action):
            raise AwsError("InvalidAction", f"Could not find operation {action}")
        check_shapes(service, action, params)
        if service == "sts":
            return self._sts(action, caller, params, now)
        return self._iam(action, caller, params, environ, now)

    def _sts(self, action: str, caller: Caller, params: Params, now: datetime) -> Answer:
        if action == "GetCallerIdentity":
            return Answer(200, result_xml("sts", action, caller_identity(caller)))
        if action == "AssumeRole":
            session = assume_role(caller, params, self.sessions, now)
            self._changed()
            role_name = params["RoleArn"].rpartition("/")[2]
            result = assume_role_result(session, role_name)
            return Answer(200, result_xml("sts", action, result))
        raise _not_here(action)

    def _iam(
        self, action: str, caller: Caller, params: Params, environ: Environ, now: datetime
    ) -> Answer:
        params = _with_own_user(action, caller, params)
        _authorize(action, caller, params, now)
        if not hasattr(IamAnswers, camelcase_to_underscores(action)):
            raise _not_here(action)
        check_rules(Call(action, params, caller.account))
        answer = self._ask_moto(_with_bound_trust(action, caller, params), caller, environ)
        if answer.status < 300 and not only_reads(action):
            self._changed()
        return answer

    def _ask_moto(self, params: Params, caller: Caller, environ: Environ) -> Answer:
        body = urlencode(params).encode()
        asked = environ | {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/",
            "QUERY_STRING": "",
            "CONTENT_TYPE": "application/x-www-form-urlencoded",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_X_MOTO_ACCOUNT_ID": caller.account.account,
            "wsgi.input": BytesIO(body),
        }
        parts, status, _ = run_wsgi_app(self._moto, asked)
        return Answer(int(status.split()[0]), b"".join(parts))


def _set_quota(query: Params) -> None:
    """Give one account another quota, by its name in GetAccountSummary."""
    account = backend_of(query["account"], query.get("partition", "aws"))
    account.quotas[query["name"]] = int(query["value"])


LARGEST_PAGE = 1000


def _set_pages(size: int) -> None:
    """End every page of a list after so many items, as AWS may at any time."""
    if not 1 <= size <= LARGEST_PAGE:
        raise ValueError(f"a page has 1 to {LARGEST_PAGE} items")
    IamAnswers.largest_page = size


def _signature(environ: Environ) -> tuple[str, str, str]:
    """Read access key, region and service off the signature."""
    match = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    if match is None:
        text = "Request is missing Authentication Token"
        raise AwsError("MissingAuthenticationToken", text, 403)
    key, region, service = match.groups()
    if service == "iam":
        # IAM has one home in each partition, wherever the client thinks that it is.
        region = IAM_HOME.get(get_partition(region), region)
    return key, region, service


def _params(environ: Environ) -> Params:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > LARGEST_BODY:
        raise AwsError("RequestEntityTooLarge", "The request is too large.", 413)
    body = environ["wsgi.input"].read(length).decode("utf-8", errors="replace")
    query = environ.get("QUERY_STRING", "")
    return dict(parse_qsl(body or query, keep_blank_values=True))


def _posted(environ: Environ) -> Any:
    """What was sent to a control, as JSON. There is no limit: only this machine's tests send it."""
    return json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))


def _refusal(service: str, error: AwsError, environ: Environ) -> Answer:
    if service not in ("iam", "sts") and "json" in environ.get("CONTENT_TYPE", ""):
        return _json({"__type": error.code, "message": error.message}, error.status)
    return Answer(error.status, error_xml(service, error))


def _not_here(action: str) -> AwsError:
    return AwsError("NotImplemented", f"The sandbox has no {action}.", 501)


def _with_own_user(action: str, caller: Caller, params: Params) -> Params:
    """Some calls mean the calling user where they name none."""
    if action not in WITH_OWN_USER or "UserName" in params:
        return params
    if caller.user is None:
        raise validation("Must specify userName when calling with non-User credentials")
    return params | {"UserName": caller.user.name}


def _meant(action: str, caller: Caller, params: Params) -> Params:
    try:
        return _with_own_user(action, caller, params)
    except AwsError:
        return params


def _process_of(fault: Fault, environ: Environ) -> int:
    """The process that a fault is for; where it names none, the one that calls."""
    if fault.kind not in SIGNALS or fault.pid:
        return fault.pid
    pid = process_at(int(environ["REMOTE_PORT"]), int(environ["SERVER_PORT"]))
    if pid is None:
        raise LookupError("no process of ours is calling")
    return pid


def _authorize(action: str, caller: Caller, params: Mapping[str, str], now: datetime) -> None:
    """Let the caller's policies judge every permission that the call needs."""
    if caller.is_administrator:
        return
    policies = caller.policies()
    for check in iam_checks(action, params, caller.account):
        request = Request.at(now, check.action, check.resource, caller.keys() | check.keys)
        decision = decide(request, policies)
        if not decision.allowed:
            raise access_denied(
                f"User: {caller.arn} is not authorized to perform: {check.action}"
                f" on resource: {check.shown} {decision.reason(check.action)}"
            )


def _with_bound_trust(action: str, caller: Caller, params: Params) -> Params:
    name = TRUST_PARAMETER.get(action)
    if name is None:
        return params
    return params | {name: json.dumps(bind_trust(json.loads(params[name]), caller.account))}


# The process ------------------------------------------------------------------------------


class Keeper:
    """Saves the state shortly after a change, and a last time at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = threading.Event()

    def changed(self) -> None:
        self._changed.set()

    def run(self, aws: SandboxAws, stop: threading.Event) -> None:
        """Wait for changes until `stop`; several calls in a row are one save."""
        while not stop.is_set():
            self._changed.wait()
            stop.wait(SAVE_DELAY)
            self._changed.clear()
            self.save(aws)

    def save(self, aws: SandboxAws) -> None:
        with aws.lock:
            text = json.dumps(iam_state.dump(aws.sessions))
        try:
            iam_state.write(self._path, text)
        except OSError as error:
            # The next change, or the end, is the next try.
            print(f"{self._path} cannot be written: {error}", file=sys.stderr)  # noqa: T201


def serve(port: int, state: Path | None, *, signals: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; returns once everything is saved."""
    stop = threading.Event()
    keeper = Keeper(state) if state else None

    def end(*_: object) -> None:
        stop.set()
        if keeper:
            keeper.changed()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    aws = SandboxAws(keeper.changed if keeper else lambda: None, signals=signals)
    if state:
        iam_state.read(state, aws.sessions)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", port, aws, threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    if keeper:
        keeper.run(aws, stop)
    stop.wait()
    server.shutdown()
    # Nothing is changed after the last save: the lock is never given back.
    aws.lock.acquire()
    if keeper:
        keeper.save(aws)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="sandbox.aws_server", description="A stand-in for AWS.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, help="file that keeps the accounts between two runs")
    parser.add_argument("--signals", action="store_true", help="let faults kill and stop processes")
    arguments = parser.parse_args()
    serve(arguments.port, arguments.state, signals=arguments.signals)


if __name__ == "__main__":
    main()
