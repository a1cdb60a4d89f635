"""Somebody changes their own password: who may, what is refused, and who is signed in then."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db.models import F
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from accounts.models import GuessCounter, User
from accounts.services import people
from audit.clock import database_now
from audit.models import AuditEvent
from tests.conftest import ClientFor

pytestmark = pytest.mark.django_db

URL = "/password/"
OLD = "a long and right password"  # Of people who exist in tests only.
NEW = "another long password"
WRONG = "This is not your old password. If you have forgotten it, ask an admin for a new one."


@pytest.fixture(autouse=True)
def quick_hashes(settings: Settings) -> None:
    """What is slow on purpose would make every try here slow."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def alice(alice: User) -> User:
    """Alice, who signs in with a password."""
    alice.set_password(OLD)
    alice.save()
    return alice


def _change(client: Client, old: str = OLD, new: str = NEW, again: str | None = None) -> Any:
    typed = {"old_password": old, "new_password1": new, "new_password2": again or new}
    return client.post(URL, typed)


def _errors(answer: Any) -> tuple[int, dict[str, list[str]]]:
    return answer.status_code, dict(answer.context["form"].errors)


def test_a_person_changes_their_password_and_stays_signed_in_in_this_browser_only(
    alice: User, client_for: ClientFor
) -> None:
    here, elsewhere = client_for(alice), client_for(alice)

    answer = _change(here)

    assert answer.headers["Location"] == URL
    said = "Your password is changed. You stay signed in here, and are signed out everywhere else."
    assert said in here.get(URL).content.decode()
    assert elsewhere.get(URL).headers["Location"] == f"{reverse('login')}?next={URL}"
    alice.refresh_from_db()
    assert alice.check_password(NEW)


def test_the_event_says_who_and_holds_no_password(alice: User, client_for: ClientFor) -> None:
    _change(client_for(alice))

    event = AuditEvent.objects.get()
    assert (event.kind, event.actor, event.subject) == (
        "user:password:changed",
        "alice",
        f"user:{alice.pk}",
    )
    assert event.sentence == "Alice Ashby changed their own password."
    assert event.data == {"name": "alice"}


def test_without_the_event_the_password_stays(
    alice: User, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**event: Any) -> None:
        raise RuntimeError("The audit log is full.")

    monkeypatch.setattr("accounts.services.people.append", fail)
    with pytest.raises(RuntimeError, match="The audit log is full"):
        _change(client_for(alice))
    alice.refresh_from_db()
    assert alice.check_password(OLD)


@pytest.mark.parametrize(
    ("typed", "field", "message"),
    [
        ({"old": "wrong"}, "old_password", WRONG),
        ({"old": ""}, "old_password", "This field is required."),
        ({"new": ""}, "new_password1", "This field is required."),
        (
            {"new": "short"},
            "new_password1",
            "This password is too short. It must contain at least 12 characters.",
        ),
        ({"new": "startfinding"}, "new_password1", "This password is too common."),
        (
            {"new": "alice.ashby@example"},
            "new_password1",
            "The password is too similar to the email address.",
        ),
        ({"new": OLD}, "new_password1", "This is your old password. Choose another one."),
        (
            {"again": "another long one"},
            "new_password2",
            "This is not the same as the new password above it.",
        ),
        (
            {"new": "with a null\x00 inside"},
            "new_password1",
            "Null characters are not allowed.",
        ),
    ],
)
def test_what_is_refused_is_told_at_its_field_and_no_password_is_shown_again(
    typed: dict[str, str], field: str, message: str, alice: User, client_for: ClientFor
) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice.ashby@example.com")

    answer = _change(client_for(alice), **typed)

    status, errors = _errors(answer)
    assert (status, errors[field][0]) == (422, message)
    assert not any(word in answer.content.decode() for word in (OLD, NEW))
    alice.refresh_from_db()
    assert alice.check_password(OLD)
    assert not AuditEvent.objects.exists()


def test_guesses_at_the_old_password_make_wait_and_the_right_one_is_not_looked_at_then(
    alice: User, client_for: ClientFor
) -> None:
    client = client_for(alice)
    for _ in range(5):
        # Whoever guesses needs no new password for it.
        assert _errors(_change(client, "wrong", new=""))[1]["old_password"] == [WRONG]

    with time_machine.travel(database_now(), tick=False):
        answer = _change(client)

    assert _errors(answer) == (
        429,
        {
            "old_password": [
                "Too many wrong passwords for this user name. Wait 30 seconds, then try again. "
                "This password was not looked at. If you have forgotten it, ask an admin for a "
                "new one."
            ]
        },
    )
    assert answer.headers["Retry-After"] == "30"
    assert AuditEvent.objects.get().sentence == (
        "Sign-in as alice is slowed down where the password is changed: 5 wrong passwords one "
        "after the other."
    )
    # Signing in is counted apart, so a thief of a session keeps nobody from it.
    signed_in = Client().post(reverse("login"), {"username": "alice", "password": OLD})
    assert signed_in.status_code == 302

    ago = timedelta(seconds=31)
    GuessCounter.objects.update(open_at=F("open_at") - ago, forgotten_at=F("forgotten_at") - ago)
    assert _change(client).status_code == 302
    assert not GuessCounter.objects.filter(kind="password").exists()


def test_nothing_else_is_stored_than_the_password(alice: User) -> None:
    """Hashing takes long: an admin may have changed this person's rights meanwhile."""
    read_before = User.objects.get(pk=alice.pk)
    User.objects.filter(pk=alice.pk).update(role="auditor", is_active=False)

    people.change_own_password(person=read_before, password=NEW)

    alice.refresh_from_db()
    assert (alice.role, alice.is_active, alice.check_password(NEW)) == ("auditor", False, True)


def test_of_two_changes_with_the_same_old_password_the_second_is_refused(alice: User) -> None:
    first, second = User.objects.get(pk=alice.pk), User.objects.get(pk=alice.pk)
    people.change_own_password(person=first, password=NEW)

    with pytest.raises(ValidationError) as refused:
        people.change_own_password(person=second, password="a third long password")

    assert refused.value.message_dict == {
        "old_password": ["Your password was changed meanwhile. Sign in again with the new one."]
    }
    alice.refresh_from_db()
    assert alice.check_password(NEW)
    assert AuditEvent.objects.count() == 1


# --- Who has no password, and other doors ----------------------------------------------------


def test_whom_no_password_is_kept_for_is_told_why_and_led_nowhere(
    bob: User, client_for: ClientFor
) -> None:
    client = client_for(bob)

    page = client.get(URL).content.decode()

    assert "Sallyport keeps no password for you, so there is none to change" in page
    assert "old_password" not in page
    assert f'href="{URL}"' not in client.get("/access/").content.decode()
    assert _change(client).status_code == 403
    bob.refresh_from_db()
    assert not bob.has_usable_password()


def test_the_menu_of_a_person_leads_to_it(alice: User, client_for: ClientFor) -> None:
    client = client_for(alice)
    assert f'href="{URL}">' in client.get("/access/").content.decode()
    assert f'href="{URL}" aria-current="page">' in client.get(URL).content.decode()


def test_djangos_admin_has_no_page_of_its_own_for_it(dana: User, client_for: ClientFor) -> None:
    """Neither the one that asks for the old password, nor the one that does not."""
    dana.set_password(OLD)
    dana.save()
    client = client_for(dana)
    without = reverse("admin:auth_user_password_change", args=[dana.pk])
    typed = {"usable_password": "true", "password1": NEW, "password2": NEW}
    for url in (reverse("admin:password_change"), without):
        for answer in (client.get(url), client.post(url, typed)):
            assert answer.headers["Location"] == URL
    dana.refresh_from_db()
    assert dana.check_password(OLD)
