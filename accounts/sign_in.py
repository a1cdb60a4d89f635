"""The one door at which passwords are looked at, and what a sign-in form says.

Whatever calls Django's `authenticate` comes through `LimitedBackend`. `accounts.guesses` counts.
"""

import secrets
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.password_validation import password_validators_help_texts
from django.core import signing
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_variables

from accounts import guesses
from accounts.models import User

DEVICE_SALT: Final = "accounts.sign_in.device"
DEVICE_KNOWN_FOR: Final = timedelta(days=180)
"""Since somebody last signed in with it."""


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
    device = known_device(request, username)
    if device:
        return [guesses.name_key(username, device)]
    address = client_address(request)
    by_address = [guesses.address_key(address)] if address else []
    return [guesses.name_key(username), *by_address]


# --- Where somebody is -----------------------------------------------------------------------


def known_device(request: HttpRequest, username: str) -> str:
    """The id of the browser, if this name has signed in with it before; else nothing."""
    try:
        about, device = signing.loads(
            request.COOKIES.get(settings.DEVICE_COOKIE_NAME, ""),
            salt=DEVICE_SALT,
            max_age=DEVICE_KNOWN_FOR,
        )
    except signing.BadSignature:
        return ""
    return str(device) if about == guesses.name_key(username).about else ""


def remember_device(response: HttpResponse, person: User) -> None:
    """Know this browser again when this person signs in. It lets nobody in."""
    about = guesses.name_key(person.username).about
    response.set_cookie(
        settings.DEVICE_COOKIE_NAME,
        signing.dumps([about, secrets.token_hex(16)], salt=DEVICE_SALT),
        max_age=DEVICE_KNOWN_FOR,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )


def client_address(request: HttpRequest) -> str | None:
    """Where a request comes from, as far as it can be believed; None where nothing can be said.

    Whoever sends a request writes `X-Forwarded-For` too. Only as many of its last entries count as
    the settings name proxies that append to it. Of IPv6 the network counts: one person has
    2**64 addresses in it.
    """
    came_from = str(request.META.get("REMOTE_ADDR", ""))
    proxies: int = settings.PROXIES
    if proxies:
        hops = request.headers.get("X-Forwarded-For", "").split(",")
        return _place(hops[-proxies:][0]) or _place(came_from)
    return None if settings.BEHIND_PROXY else _place(came_from)


def _place(text: str) -> str | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ip_network((address.packed, 64), strict=False))
    return str(address)


# --- Forms -----------------------------------------------------------------------------------


class SignInForm(AuthenticationForm):
    """User name and password. One answer for everybody who is not let in."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "This user name and this password do not fit together. Look at capital "
        "letters in both. If you have forgotten the password, ask an admin for a new one.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "User name"


class OwnPasswordForm(PasswordChangeForm):
    """Somebody changes their own password. Guesses at the old one are counted too: a session that
    somebody else got hold of must not lead to the password. `accounts.people` stores the new one.
    """

    error_messages = {
        **PasswordChangeForm.error_messages,
        "password_incorrect": "This is not your old password. If you have forgotten it, ask an "
        "admin for a new one.",
        "password_mismatch": "This is not the same as the new password above it.",
        "password_unchanged": "This is your old password. Choose another one.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        first, again = self.fields["new_password1"], self.fields["new_password2"]
        first.help_text = " ".join(password_validators_help_texts())
        again.label, again.help_text = "New password again", ""

    @sensitive_variables("old")
    def clean_old_password(self) -> str:
        """The old password, if it is the right one."""
        name = self.user.get_username()
        tries = guesses.begin(guesses.password_key(name))
        try:
            old: str = super().clean_old_password()
        except ValidationError:
            guesses.wrong(tries, name)
            raise
        guesses.right(tries)
        return old

    def clean(self) -> dict[str, Any]:
        """Refuse a bad new password at the field where it was chosen: Django tells of it at the
        one where it is repeated."""
        self.validate_passwords("new_password1", "new_password2")
        self.validate_password_for_user(self.user, "new_password1")
        typed = self.cleaned_data
        if "new_password1" in typed and typed["new_password1"] == typed.get("old_password"):
            message = self.error_messages["password_unchanged"]
            self.add_error("new_password1", ValidationError(message, code="password_unchanged"))
        return typed


def refusal_of(form: Any) -> guesses.TooManyGuesses | None:
    """The refusal to look at a password, if that is what is wrong with the form."""
    found = (one for errors in form.errors.as_data().values() for one in errors)
    return next((one for one in found if isinstance(one, guesses.TooManyGuesses)), None)
