"""Clients are kept without credentials."""

import os
import threading

import pytest

from provisioning.aws import clients
from provisioning.aws.clients import Credentials, NoKeys, lend
from tests.aws_world import Aws

ADMIN = Credentials("sandbox-admin-222222222222", "administrator")
OTHER = Credentials("sandbox-admin-111111111111", "administrator")
REGION = "us-east-1"


def account_of(client: object) -> str:
    return str(client.get_caller_identity()["Account"])  # type: ignore[attr-defined]


def test_a_client_that_was_given_back_refuses_to_sign(aws: Aws) -> None:
    with lend("sts", REGION, ADMIN) as client:
        assert account_of(client) == "222222222222"

    with pytest.raises(NoKeys, match=r"This client has been given back\."):
        client.get_caller_identity()


def test_a_client_serves_one_operation_after_the_other_with_its_own_keys(aws: Aws) -> None:
    clients._pools.clear()
    with lend("sts", REGION, ADMIN) as first:
        pass

    with lend("sts", REGION, OTHER) as second:
        assert second is first
        assert account_of(second) == "111111111111"


def test_nobody_gets_a_client_that_is_lent(aws: Aws) -> None:
    with lend("sts", REGION, ADMIN) as one, lend("sts", REGION, OTHER) as other:
        assert one is not other
        assert (account_of(one), account_of(other)) == ("222222222222", "111111111111")


def test_giving_back_twice_lends_a_client_once(aws: Aws) -> None:
    clients._pools.clear()
    lent = lend("sts", REGION, ADMIN)
    lent.give_back()
    lent.give_back()

    with lend("sts", REGION, ADMIN) as one, lend("sts", REGION, OTHER) as other:
        assert one is not other


def test_operations_in_many_threads_never_meet_each_others_keys(aws: Aws) -> None:
    wrong: list[str] = []

    def ask(keys: Credentials, account: str) -> None:
        for _ in range(10):
            with lend("sts", REGION, keys) as client:
                answer = account_of(client)
                if answer != account:
                    wrong.append(answer)

    threads = [
        threading.Thread(target=ask, args=(keys, keys.access_key_id[-12:]))
        for keys in (ADMIN, OTHER) * 4
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_child_process_makes_its_own_clients(aws: Aws) -> None:
    with lend("sts", REGION, ADMIN):
        pass
    assert any(clients._pools.values())

    child = os.fork()
    if child == 0:
        os._exit(1 if any(clients._pools.values()) else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_portals_own_client_is_never_lent_with_other_keys(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lend("sts", REGION, None) as own, lend("sts", REGION, ADMIN) as lent:
        assert own.get_caller_identity()["Arn"].endswith(":user/sallyport-portal")
        assert lent.get_caller_identity()["Arn"].endswith(":root")


def test_keys_are_not_printed() -> None:
    assert "secret" not in repr(Credentials("AKIA", "secret", "secret"))
