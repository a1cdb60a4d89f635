"""Pages that fail: what is said, and with which status."""

from typing import Any

from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse

from accounts.models import User
from tests.conftest import ClientFor


def browser(client_for: ClientFor, person: User) -> Client:
    client = client_for(person)
    client.raise_request_exception = False
    return client


def failing_with(error: Exception) -> Any:
    def execute(*_: object) -> None:
        raise error

    return connection.execute_wrapper(execute)


def test_without_a_database_a_page_says_that_it_passes(client_for: ClientFor, alice: User) -> None:
    client = browser(client_for, alice)

    with failing_with(OperationalError("the server closed the connection unexpectedly")):
        answer = client.get("/access/")

    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert "Sallyport cannot reach its database" in answer.text
    assert client.get("/access/").status_code == 200


def test_any_other_failure_is_ours(client_for: ClientFor, alice: User) -> None:
    client = browser(client_for, alice)

    with failing_with(ZeroDivisionError()):
        answer = client.get("/access/")

    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text


def test_a_refusal_says_why(client_for: ClientFor, alice: User) -> None:
    answer = client_for(alice).get(reverse("accounts:accounts"))

    assert answer.status_code == 403
    assert "Only admins and auditors see the registry." in answer.text
    assert "Nothing was changed." in answer.text
