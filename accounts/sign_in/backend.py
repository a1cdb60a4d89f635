"""The door: Django's look at a password, after the try has been counted."""

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from accounts.models import User
from accounts.sign_in import guesses, origin


class LimitedBackend(ModelBackend):
    """Django's own look at a password, after the try has been counted."""

    @sensitive_variables("password")
    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """The person, or None. Raises TooManyGuesses, which forms show as their error."""
        if username is None or password is None:
            return None
        tries = guesses.begin(*_keys(request, username))
        person = super().authenticate(request, username=username, password=password)
        if person is None:
            guesses.wrong(tries, username)
        else:
            guesses.right(tries)
        return person

    async def aauthenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """The same. Django's own would look at the password without counting."""
        return await sync_to_async(self.authenticate)(request, username, password)


def _keys(request: HttpRequest | None, username: str) -> list[guesses.Key]:
    """Which counters hold for a try.

    A device on which this person has signed in before has one of its own, so that strangers who
    guess on purpose do not keep them out.
    """
    if request is None:
        return [guesses.name_key(username)]
    device = origin.known_device(request, username)
    if device:
        return [guesses.name_key(username, device)]
    address = origin.client_address(request)
    by_address = [guesses.address_key(address)] if address else []
    return [guesses.name_key(username), *by_address]
