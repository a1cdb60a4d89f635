"""What a test orders to go wrong goes wrong on the wire, and nothing else does."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.session import get_session

ACCOUNT = "111111111111"


class Aws:
    """The server, and a client of a user who may do everything."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.control("reset")
        admin = self.client(f"sandbox-admin-{ACCOUNT}")
        admin.create_user(UserName="root")
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": everything})
        admin.put_user_policy(UserName="root", PolicyName="All", PolicyDocument=policy)
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

    def client(self, key: str) -> Any:
        return get_session().create_client(
            "iam",
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id=key,
            aws_secret_access_key="any",
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
