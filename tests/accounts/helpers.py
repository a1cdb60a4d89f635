"""What several tests of the registry's pages share."""

from typing import Any

from django.test import Client

type Told = dict[str, list[tuple[str, str]]]


def told(response: Any) -> Told:
    """The errors of a page's form: for each field its messages and their codes."""
    errors = response.context["form"].errors.as_data()
    return {
        field: [(message, one.code or "") for one in found for message in one.messages]
        for field, found in errors.items()
    }


def refused(client: Client, url: str, data: dict[str, Any]) -> Told:
    """Post a form that must be refused; what it says, by field."""
    response = client.post(url, data)
    assert response.status_code == 422
    return told(response)


def page(client: Client, url: str, **headers: str) -> str:
    """The text of a page that must be there."""
    response = client.get(url, headers=headers)
    assert response.status_code in {200, 286}, response.status_code
    return response.content.decode()
