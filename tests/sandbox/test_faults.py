"""What a test orders to go wrong goes wrong on the wire, and nothing else does."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.session import get_session

from sandbox.faults import Faults
from sandbox.journal import Call, Journal

ACCOUNT = "111111111111"
OTHER = "222222222222"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
ALL = json.dumps({"Version": "2012-10-17", "Statement": EVERYTHING})


class Aws:
    """The server, and a client of a user who may do everything."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.control("reset")
        admin = self.client(f"sandbox-admin-{ACCOUNT}")
        admin.create_user(UserName="root")
        admin.put_user_policy(UserName="root", PolicyName="All", PolicyDocument=ALL)
        self.admin = admin
        self.user = self.client(
            admin.create_access_key(UserName="root")["AccessKey"]["AccessKeyId"]
        )

    def control(self, what: str, body: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310  # The address is this machine's.
            f"{self.endpoint}/sandbox-api/{what}",
            data=json.dumps(body).encode(),
            method="POST",
            headers={"X-Sandbox-Control": "yes"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # As above.
            return json.load(answer)

    def client(self, key: str, service: str = "iam", token: str | None = None) -> Any:
        return get_session().create_client(
            service,
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id=key,
            aws_secret_access_key="any",
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def users(self) -> set[str]:
        return {one["UserName"] for one in self.admin.list_users()["Users"]}


@pytest.fixture
def aws(aws_endpoint: str) -> Iterator[Aws]:
    server = Aws(aws_endpoint)
    yield server
    server.control("reset")


def test_the_nth_call_is_refused_in_awss_words_and_the_others_are_not(aws: Aws) -> None:
    aws.control("faults", [{"kind": "throttle", "action": "CreateUser", "nth": 2}])

    aws.user.create_user(UserName="one")
    with pytest.raises(ClientError) as refused:
        aws.user.create_user(UserName="two")
    aws.user.create_user(UserName="three")

    assert refused.value.response["Error"]["Code"] == "Throttling"
    assert aws.users() == {"root", "one", "three"}
    called = [(call["action"], call["fault"]) for call in aws.control("calls")]
    assert called == [("CreateUser", ""), ("CreateUser", "throttle"), ("CreateUser", "")]


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("throttle", "Throttling", 400),
        ("failure", "ServiceFailure", 500),
        ("unavailable", "ServiceUnavailable", 503),
        ("concurrent", "ConcurrentModification", 409),
        ("unmodifiable", "EntityTemporarilyUnmodifiable", 409),
        ("limit", "LimitExceeded", 409),
        ("delete-conflict", "DeleteConflict", 409),
        ("invalid-principal", "MalformedPolicyDocument", 400),
        ("malformed", "MalformedPolicyDocument", 400),
        ("expired-token", "ExpiredToken", 403),
        ("request-expired", "RequestExpired", 400),
        ("skew", "SignatureDoesNotMatch", 403),
        ("denied", "AccessDenied", 403),
        ("not-found", "NoSuchEntity", 404),
    ],
)
def test_a_refusal_has_awss_code_and_status_and_nothing_is_applied(
    aws: Aws, kind: str, code: str, status: int
) -> None:
    aws.control("faults", [{"kind": kind}])

    with pytest.raises(ClientError) as refused:
        aws.user.create_user(UserName="one")

    answer = refused.value.response
    assert answer["Error"]["Code"] == code
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    assert aws.users() == {"root"}


def test_a_fault_waits_for_the_calls_of_its_account(aws: Aws) -> None:
    other = aws.client(f"sandbox-admin-{OTHER}")
    other.create_user(UserName="ann")
    other.put_user_policy(UserName="ann", PolicyName="All", PolicyDocument=ALL)
    ann = aws.client(other.create_access_key(UserName="ann")["AccessKey"]["AccessKeyId"])
    aws.control("faults", [{"kind": "denied", "action": "ListUsers", "account": OTHER}])

    aws.user.list_users()
    assert code_of(ann.list_users) == "AccessDenied"
    ann.list_users()


@pytest.mark.parametrize(
    ("kind", "error", "applied"),
    [
        ("lost", ConnectionClosedError, False),
        ("cut", ConnectionClosedError, True),
        ("garbage", KeyError, True),
    ],
)
def test_an_answer_can_get_lost(aws: Aws, kind: str, error: type[Exception], applied: bool) -> None:
    aws.control("faults", [{"kind": kind}])

    with pytest.raises(error):
        aws.user.create_user(UserName="one")

    assert ("one" in aws.users()) is applied


@pytest.mark.parametrize(("kind", "before"), [("hold-before", False), ("hold-after", True)])
def test_a_call_is_held_until_it_is_let_go(aws: Aws, kind: str, before: bool) -> None:
    aws.control("faults", [{"kind": kind}])

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(aws.user.create_user, UserName="one")
        assert [call["action"] for call in aws.control("held?wait=20")] == ["CreateUser"]
        assert ("one" in aws.users()) is before
        assert not answer.done()
        aws.control("release?do=go")
        assert answer.result()["User"]["UserName"] == "one"

    assert "one" in aws.users()


def test_a_held_call_can_be_dropped(aws: Aws) -> None:
    aws.control("faults", [{"kind": "hold-before"}])

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(aws.user.create_user, UserName="one")
        assert aws.control("held?wait=20")
        aws.control("release?do=drop")
        with pytest.raises(ConnectionClosedError):
            answer.result()

    assert "one" not in aws.users()


def test_everything_is_put_back_to_what_it_was(aws: Aws) -> None:
    before = aws.control("dump")
    aws.user.create_user(UserName="one")

    aws.control("load", before)

    assert aws.control("dump") == before
    assert aws.users() == {"root"}


@pytest.mark.parametrize("order", [[{"kind": "earthquake"}], [{"kind": "cut", "when": "now"}]])
def test_what_is_no_fault_is_refused(aws: Aws, order: Any) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        aws.control("faults", order)


# --- Reads from a while ago ----------------------------------------------------------------------

TRUST = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    },
}


def role(aws: Aws, name: str) -> Any:
    return aws.user.get_role(RoleName=name)["Role"]


def make_role(aws: Aws, name: str) -> None:
    aws.user.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refused:
        call()
    return str(refused.value.response["Error"]["Code"])


def ago(aws: Aws, seconds: int) -> None:
    """What happened so far happened so long ago."""
    aws.control(f"clock?offset={seconds}")


def test_a_stale_read_has_not_heard_of_a_role_that_was_made(aws: Aws) -> None:
    aws.control("faults", [{"kind": "stale", "seconds": 30, "times": 0}])
    make_role(aws, "new")

    assert code_of(lambda: role(aws, "new")) == "NoSuchEntity"
    assert aws.user.list_roles()["Roles"] == []
    assert aws.admin.get_role(RoleName="new")["Role"]["RoleName"] == "new"
    assert code_of(lambda: make_role(aws, "new")) == "EntityAlreadyExists"
    ago(aws, 31)
    assert role(aws, "new")["RoleName"] == "new"


def test_a_stale_read_still_shows_a_role_that_was_deleted(aws: Aws) -> None:
    make_role(aws, "old")
    ago(aws, 60)
    aws.control("faults", [{"kind": "stale", "seconds": 30, "times": 0}])
    aws.user.delete_role(RoleName="old")

    assert role(aws, "old")["RoleName"] == "old"
    assert code_of(lambda: aws.user.delete_role(RoleName="old")) == "NoSuchEntity"
    ago(aws, 91)
    assert code_of(lambda: role(aws, "old")) == "NoSuchEntity"


def test_a_stale_read_shows_the_documents_and_tags_of_before(aws: Aws) -> None:
    make_role(aws, "one")
    aws.user.put_role_policy(RoleName="one", PolicyName="p", PolicyDocument=ALL)
    ago(aws, 60)
    changed = json.dumps({"Version": "2012-10-17", "Statement": EVERYTHING | {"Effect": "Deny"}})
    aws.user.put_role_policy(RoleName="one", PolicyName="p", PolicyDocument=changed)
    aws.user.tag_role(RoleName="one", Tags=[{"Key": "k", "Value": "v"}])
    aws.user.attach_role_policy(RoleName="one", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")

    def seen() -> tuple[Any, ...]:
        policy = aws.user.get_role_policy(RoleName="one", PolicyName="p")["PolicyDocument"]
        attached = aws.user.list_attached_role_policies(RoleName="one")["AttachedPolicies"]
        return policy["Statement"]["Effect"], role(aws, "one").get("Tags"), len(attached)

    aws.control("faults", [{"kind": "stale", "seconds": 30, "times": 0}])
    assert seen() == ("Allow", None, 0)
    aws.control("faults-clear")
    assert seen() == ("Deny", [{"Key": "k", "Value": "v"}], 1)


def test_a_stale_read_shows_who_was_in_a_group(aws: Aws) -> None:
    aws.user.create_group(GroupName="all")
    ago(aws, 60)
    aws.user.add_user_to_group(GroupName="all", UserName="root")
    aws.control("faults", [{"kind": "stale", "action": "ListGroupsForUser", "seconds": 30}])

    assert aws.user.list_groups_for_user(UserName="root")["Groups"] == []
    assert len(aws.user.list_groups_for_user(UserName="root")["Groups"]) == 1
    assert [one["fault"] for one in aws.control("calls")][-2:] == ["stale", ""]


def test_a_user_who_was_made_anew_is_the_old_one_for_a_stale_read(aws: Aws) -> None:
    first = aws.user.create_user(UserName="ann")["User"]["UserId"]
    ago(aws, 60)
    aws.user.delete_user(UserName="ann")
    second = aws.user.create_user(UserName="ann")["User"]["UserId"]
    aws.control("faults", [{"kind": "stale"}])

    assert aws.user.get_user(UserName="ann")["User"]["UserId"] == first
    assert aws.user.get_user(UserName="ann")["User"]["UserId"] == second != first


# --- Signals at a call ---------------------------------------------------------------------------


def caller_of(aws: Aws) -> subprocess.Popen[bytes]:
    """A process that makes a user."""
    key = aws.admin.create_access_key(UserName="root")["AccessKey"]["AccessKeyId"]
    # Signatures are not checked, so it needs no library, whose import would take a second.
    code = f"""
from urllib.request import Request, urlopen
signed = "AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/iam/aws4_request"
body = b"Action=CreateUser&UserName=one"
assert urlopen(Request({aws.endpoint!r}, body, {{"Authorization": signed}})).status == 200
"""
    return subprocess.Popen([sys.executable, "-c", code])  # noqa: S603  # Our own lines.


@pytest.mark.parametrize(("kind", "applied"), [("kill-before", False), ("kill-after", True)])
def test_the_caller_is_killed_at_a_call(aws: Aws, kind: str, applied: bool) -> None:
    aws.control("faults", [{"kind": kind, "action": "CreateUser"}])

    assert caller_of(aws).wait(timeout=30) == -signal.SIGKILL

    assert ("one" in aws.users()) is applied


def test_a_process_that_is_named_is_killed_at_anothers_call(aws: Aws) -> None:
    with subprocess.Popen(["sleep", "60"]) as victim:  # noqa: S607
        order = {"kind": "kill-before", "action": "CreateUser", "pid": victim.pid}
        aws.control("faults", [order])
        with pytest.raises(ConnectionClosedError):
            aws.user.create_user(UserName="one")
        assert victim.wait(timeout=30) == -signal.SIGKILL


@pytest.mark.parametrize(("kind", "applied"), [("stop-before", False), ("stop-after", True)])
def test_the_caller_is_stopped_at_a_call_and_goes_on(aws: Aws, kind: str, applied: bool) -> None:
    aws.control("faults", [{"kind": kind, "action": "CreateUser"}])
    with caller_of(aws) as caller:
        _, status = os.waitpid(caller.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert ("one" in aws.users()) is applied
        aws.control("release?do=go")
        assert "one" in aws.users()
        caller.send_signal(signal.SIGCONT)
        assert caller.wait(timeout=30) == 0


def test_a_server_that_was_not_started_for_it_sends_no_signal() -> None:
    faults = Faults()

    with pytest.raises(ValueError, match="only a server started with --signals"):
        faults.arm([{"kind": "kill-before", "pid": 1}])


@pytest.mark.parametrize(("kind", "applied"), [("hang", False), ("silence", True)])
def test_a_call_that_gets_no_answer(aws: Aws, kind: str, applied: bool) -> None:
    aws.control("faults", [{"kind": kind}])
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(aws.user.create_user, UserName="one")
        assert aws.control("held?wait=20")
        aws.control("faults-clear")
        with pytest.raises(ConnectionClosedError):
            answer.result()

    assert ("one" in aws.users()) is applied


# --- The journal ---------------------------------------------------------------------------------


def test_the_journal_tells_who_called_about_what_and_what_came_of_it(aws: Aws) -> None:
    last = aws.control("journal")[-1]["number"]
    make_role(aws, "one")
    aws.user.tag_role(RoleName="one", Tags=[{"Key": "k", "Value": "v"}])
    aws.control("faults", [{"kind": "throttle"}, {"kind": "cut", "nth": 2}])
    assert code_of(lambda: aws.user.delete_role(RoleName="one")) == "Throttling"
    with pytest.raises(ConnectionClosedError):
        aws.user.delete_role(RoleName="one")
    assert code_of(lambda: aws.user.delete_role(RoleName="one")) == "NoSuchEntity"
    aws.admin.create_group(GroupName="all")

    told = aws.control(f"journal?after={last}")

    assert [(one["action"], one["fault"], one["applied"], one["refusal"]) for one in told] == [
        ("CreateRole", "", True, ""),
        ("TagRole", "", True, ""),
        ("DeleteRole", "throttle", False, "Throttling"),
        ("DeleteRole", "cut", True, ""),
        ("DeleteRole", "", False, "NoSuchEntity"),
        ("CreateGroup", "", True, ""),
    ]
    deleted = told[3]
    assert deleted["who"] == f"arn:aws:iam::{ACCOUNT}:user/root"
    assert deleted["object"] == f"arn:aws:iam::{ACCOUNT}:role/one"
    assert deleted["tags"] == {"k": "v"}
    assert deleted["names"] == {"RoleName": "one"}
    assert deleted["account"] == ACCOUNT
    assert told[5]["who"] == f"arn:aws:iam::{ACCOUNT}:root"


def test_the_journal_names_the_session_and_the_time_of_aws(aws: Aws) -> None:
    make_role(aws, "one")
    ago(aws, 7200)
    sts = aws.client(
        aws.admin.create_access_key(UserName="root")["AccessKey"]["AccessKeyId"], "sts"
    )
    arn = f"arn:aws:iam::{ACCOUNT}:role/one"
    given = sts.assume_role(RoleArn=arn, RoleSessionName="grant-1")["Credentials"]
    session = aws.client(given["AccessKeyId"], token=given["SessionToken"])
    assert code_of(session.list_roles) == "AccessDenied"

    opened, refused = aws.control("journal")[-2:]

    assert (opened["action"], opened["object"], opened["applied"]) == ("AssumeRole", arn, True)
    assert refused["who"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/one/grant-1"
    assert (refused["session"], refused["refusal"]) == ("grant-1", "AccessDenied")
    ahead = datetime.fromisoformat(refused["at"]) - datetime.now(UTC)
    assert ahead > timedelta(hours=1)


def test_a_key_that_is_nobodys_is_in_the_journal_too(aws: Aws) -> None:
    stranger = aws.client("AKIANOBODY")

    assert code_of(stranger.list_users) == "InvalidClientTokenId"

    told = aws.control("journal")[-1]
    assert (told["who"], told["refusal"]) == ("", "InvalidClientTokenId")


def test_calls_that_were_dropped_are_missed() -> None:
    journal = Journal(kept=2)
    for _ in range(4):
        journal.write(Call("iam", "GetRole", ACCOUNT))

    with pytest.raises(ValueError, match="the calls before 3 were dropped"):
        journal.after(1)
    assert [one["number"] for one in journal.after(2)] == [3, 4]
