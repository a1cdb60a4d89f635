"""Guesses at a password are counted, known and unknown names alike, and make people wait."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib.auth import aauthenticate, authenticate
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, connections, transaction
from django.db.models import F
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.fixtures import Settings
from structlog.testing import capture_logs

from accounts.models import GuessCounter, User
from accounts.sign_in import guesses
from accounts.sign_in.origin import client_address
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning.sweep import Sweeper
from tests.conftest import ClientFor
from tests.factories import UserFactory

PASSWORD = "a long and right password"  # Of people who exist in tests only.
WRONG = (
    "This user name and this password do not fit together. Look at capital letters in both. "
    "If you have forgotten the password, ask an admin for a new one."
)
WAIT = (
    "Too many wrong passwords for this user name. Wait {}, then try again. This password was not "
    "looked at. If you have forgotten it, ask an admin for a new one."
)
FAR = (
    "Too many wrong passwords from your network address. Wait {}, then try again. This password "
    "was not looked at."
)
CLOSED = (
    "Too many wrong passwords for this user name, so no more are taken. Ask an admin to open it "
    "again."
)

type Try = Callable[..., Any]


@pytest.fixture(autouse=True)
def quick_hashes(settings: Settings) -> None:
    """What is slow on purpose would make every try here slow."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def paul(db: None) -> User:
    """Somebody who signs in with a password."""
    return _person("paul")


def _person(name: str, **fields: Any) -> User:
    person = UserFactory.create(username=name, **fields)
    person.set_password(PASSWORD)
    person.save()
    return person


def _try(
    name: str,
    password: str = "wrong",  # noqa: S107  # Nobody's.
    client: Client | None = None,
    **headers: Any,
) -> Any:
    """One try at the sign-in page, in a browser that it does not know unless one is given."""
    sent = {"username": name, "password": password}
    return (client or Client()).post(reverse("login"), sent, **headers)


def _said(answer: HttpResponse) -> tuple[int, list[str]]:
    form = answer.context["form"]  # type: ignore[attr-defined]  # The test client adds it.
    return answer.status_code, [str(one) for one in form.non_field_errors()]


def _pass_time(seconds: float) -> None:
    """As if everything that is counted were longer ago."""
    ago = timedelta(seconds=seconds)
    GuessCounter.objects.update(open_at=F("open_at") - ago, forgotten_at=F("forgotten_at") - ago)


def _wrong_times(name: str, times: int, **more: Any) -> None:
    for _ in range(times):
        assert _try(name, **more).status_code == 422
        _pass_time(3601)


# --- The limit of a name ---------------------------------------------------------------------


def test_the_sixth_guess_is_refused_and_so_is_the_right_password_then(paul: User) -> None:
    assert [_said(_try("paul")) for _ in range(5)] == [(422, [WRONG])] * 5

    with time_machine.travel(database_now(), tick=False):
        for password in ("wrong", PASSWORD):
            answer = _try("paul", password)
            assert _said(answer) == (429, [WAIT.format("30 seconds")])
            assert answer.headers["Retry-After"] == "30"
            assert "sallyport" not in answer.cookies


def test_the_typed_name_stays_in_the_form_and_the_password_does_not(paul: User) -> None:
    for _ in range(6):
        text = _try("paul", "hunter2-hunter2").content.decode()
        assert 'value="paul"' in text
        assert "hunter2" not in text


def test_known_unknown_and_switched_off_people_get_the_same_for_the_same_work(paul: User) -> None:
    _person("olga", is_active=False)

    def tries(name: str, password: str) -> Iterator[tuple[int, str, int]]:
        for _ in range(7):
            with CaptureQueriesContext(connection) as queries:
                answer = _try(name, password)
            text = answer.content.decode().replace(name, "NAME")
            token = answer.context["csrf_token"]
            yield answer.status_code, text.replace(str(token), "TOKEN"), len(queries)

    known = list(tries("paul", "wrong"))
    assert [status for status, _, _ in known] == [422] * 5 + [429] * 2
    assert list(tries("nora", "wrong")) == known
    assert list(tries("olga", PASSWORD)) == known


def test_a_wrong_try_costs_the_same_number_of_queries_each_time(paul: User) -> None:
    counts = set()
    for _ in range(4):
        with CaptureQueriesContext(connection) as queries:
            _try("paul")
        counts.add(len([one for one in queries if "SAVEPOINT" not in one["sql"]]))
    # Two rows made, read and written, the clock, the person.
    assert counts == {5}


def test_a_password_is_hashed_for_a_name_that_nobody_has(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    encode = MD5PasswordHasher.encode

    def seen(self: MD5PasswordHasher, password: str, salt: str) -> str:
        hashed.append(password)
        return encode(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", seen)

    assert _try("nobody-has-this").status_code == 422
    assert hashed == ["wrong"]


@pytest.mark.parametrize("spelling", ["PAUL", " paul ", "Paul", "ｐａｕｌ", "ＰＡＵＬ\u3000"])  # noqa: RUF001
def test_another_spelling_of_the_same_name_is_the_same_name(paul: User, spelling: str) -> None:
    for _ in range(5):
        assert _try(spelling).status_code == 422
    assert _try("paul", PASSWORD).status_code == 429


def test_names_are_counted_apart(paul: User) -> None:
    for _ in range(5):
        _try("nora")
    assert _try("paul", PASSWORD).status_code == 302


def test_what_is_no_try_is_not_counted(paul: User) -> None:
    for _ in range(9):
        assert Client().post(reverse("login"), {"username": "paul"}).status_code == 422
    assert not GuessCounter.objects.exists()


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [
        (1, 0),
        (4, 0),
        (5, 30),
        (6, 60),
        (7, 120),
        (11, 1920),
        (12, 3600),
        (99, 3600),
        (100, 30 * 86400),
        (5000, 30 * 86400),
    ],
)
def test_waits_double_up_to_an_hour_and_end_with_the_hundredth_guess(
    failures: int, seconds: int
) -> None:
    assert guesses.limit_of("name").wait(failures) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 second"),
        (29.1, "30 seconds"),
        (60, "1 minute"),
        (61, "2 minutes"),
        (3600, "60 minutes"),
    ],
)
def test_waits_are_said_in_words_and_rounded_up(seconds: float, words: str) -> None:
    assert guesses.in_words(timedelta(seconds=seconds)) == words


def test_a_wait_ends_by_the_databases_clock_and_one_more_guess_doubles_it(paul: User) -> None:
    for _ in range(5):
        _try("paul")
    with time_machine.travel(database_now() + timedelta(days=2)):
        assert _try("paul", PASSWORD).status_code == 429

    _pass_time(31)
    assert _try("paul").status_code == 422
    _pass_time(31)
    assert _try("paul").status_code == 429
    _pass_time(30)
    assert _try("paul", PASSWORD).status_code == 302


def test_a_right_password_starts_the_name_anew(paul: User) -> None:
    for _ in range(4):
        _try("paul")
    assert _try("paul", PASSWORD).status_code == 302
    assert [_try("paul").status_code for _ in range(6)] == [422] * 5 + [429]


def test_a_name_is_forgotten_a_day_after_its_last_wait(paul: User) -> None:
    for _ in range(5):
        _try("paul")
    _pass_time(86400 + 31)
    assert [_try("paul").status_code for _ in range(6)] == [422] * 5 + [429]


def test_after_a_hundred_guesses_only_an_admin_opens_a_name(
    paul: User, dana: User, client_for: ClientFor
) -> None:
    _try("paul")
    GuessCounter.objects.update(failures=99)
    assert _try("paul").status_code == 422
    _pass_time(86400 * 25)
    assert _said(_try("paul", PASSWORD)) == (429, [CLOSED])

    opened = client_for(dana).post(reverse("accounts:person-open-sign-in", args=[paul.pk]))

    assert opened.status_code == 302
    assert _try("paul", PASSWORD).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_guesses_at_the_same_moment_are_not_more_than_the_limit() -> None:
    _person("paul")
    together = Barrier(12)

    def guess(_: int) -> int:
        try:
            together.wait()
            return int(_try("paul").status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(12) as pool:
        answers = sorted(pool.map(guess, range(12)))

    assert answers == [422] * 5 + [429] * 7
    assert set(GuessCounter.objects.values_list("failures", flat=True)) == {5}


# --- Who is known, and from where ------------------------------------------------------------


def test_whoever_is_locked_out_on_purpose_gets_in_with_a_browser_that_knows_them(
    paul: User,
) -> None:
    browser = Client()
    _try("paul", PASSWORD, browser)
    browser.post(reverse("logout"))
    for _ in range(5):
        _try("paul")

    assert _try("paul", PASSWORD).status_code == 429
    assert _try("paul", PASSWORD, browser).status_code == 302


def test_a_known_browser_has_the_same_limit(paul: User) -> None:
    browser = Client()
    _try("paul", PASSWORD, browser)
    browser.post(reverse("logout"))

    assert [_try("paul", client=browser).status_code for _ in range(6)] == [422] * 5 + [429]
    assert _try("paul", PASSWORD).status_code == 302


def test_a_browser_is_known_for_its_own_person_only_and_cannot_be_made_up(
    paul: User,
) -> None:
    _person("quentin")
    browser = Client()
    assert _try("quentin", PASSWORD, browser).cookies["device"]["httponly"]
    browser.post(reverse("logout"))
    for _ in range(5):
        _try("paul")

    assert _try("paul", PASSWORD, browser).status_code == 429
    browser.cookies["device"] = "made:up:here"
    assert _try("paul", PASSWORD, browser).status_code == 429


def test_one_address_that_tries_many_names_waits_as_well(paul: User, settings: Settings) -> None:
    settings.SIGN_IN_ADDRESS_TRIES = 8
    assert [_try(f"name{n}").status_code for n in range(8)] == [422] * 8

    with time_machine.travel(database_now(), tick=False):
        answer = _try("paul", PASSWORD)

    assert _said(answer) == (429, [FAR.format("30 seconds")])
    assert answer.headers["Retry-After"] == "30"
    assert _try("paul", PASSWORD, REMOTE_ADDR="198.51.100.7").status_code == 302
    assert not GuessCounter.objects.filter(kind="name", failures__gt=1).exists()


def test_a_right_password_gives_its_address_one_try_back_and_no_more(
    paul: User, settings: Settings
) -> None:
    settings.SIGN_IN_ADDRESS_TRIES = 8
    for n in range(7):
        _try(f"name{n}")
        assert _try("paul", PASSWORD).status_code == 302
    assert GuessCounter.objects.get(kind="address").failures == 7
    assert _try("name7").status_code == 422
    assert _try("paul", PASSWORD).status_code == 429


def test_a_right_password_ends_no_wait_that_somebody_elses_guess_began(db: None) -> None:
    key = guesses.address_key("203.0.113.9")
    for _ in range(98):
        guesses.begin(key)
    right, _last = guesses.begin(key), guesses.begin(key)

    guesses.right(right)

    row = GuessCounter.objects.get()
    assert row.failures == 99
    assert row.open_at > database_now()


@pytest.mark.parametrize(
    ("proxies", "behind", "forwarded", "address"),
    [
        (0, False, "198.51.100.1", "203.0.113.9"),
        (0, True, "198.51.100.1", None),
        (1, True, "198.51.100.1", "198.51.100.1"),
        (1, True, "192.0.2.66, 198.51.100.1", "198.51.100.1"),
        (2, True, "192.0.2.66, 198.51.100.1, 10.0.0.1", "198.51.100.1"),
        (2, True, "198.51.100.1", "198.51.100.1"),
        (1, True, "", "203.0.113.9"),
        (1, True, "somewhere", "203.0.113.9"),
        (1, True, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, True, "::ffff:198.51.100.1", "198.51.100.1"),
    ],
)
def test_an_address_is_believed_only_from_the_proxies_that_the_settings_name(
    settings: Settings, proxies: int, behind: bool, forwarded: str, address: str | None
) -> None:
    settings.PROXIES, settings.BEHIND_PROXY = proxies, behind
    request = RequestFactory(REMOTE_ADDR="203.0.113.9").post("/", HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == address


@pytest.mark.parametrize(
    ("proxies", "sent"), [(0, "198.51.100.{}"), (1, "198.51.100.{}, 10.9.8.7")]
)
def test_an_address_that_is_made_up_does_not_help(
    db: None, settings: Settings, proxies: int, sent: str
) -> None:
    settings.SIGN_IN_ADDRESS_TRIES, settings.PROXIES = 8, proxies
    answers = [_try(f"name{n}", HTTP_X_FORWARDED_FOR=sent.format(n)) for n in range(9)]
    assert [one.status_code for one in answers] == [422] * 8 + [429]


# --- Every door ------------------------------------------------------------------------------


def test_djangos_admin_has_no_sign_in_page_of_its_own(paul: User, client_for: ClientFor) -> None:
    url = reverse("admin:login")
    sent = {"username": "paul", "password": PASSWORD}
    for answer in (Client().get(f"{url}?next=/django-admin/"), Client().post(url, sent)):
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/sign-in/?next=")
    assert client_for(paul).get(url).status_code == 403
    User.objects.filter(pk=paul.pk).update(is_staff=True)
    assert client_for(paul).get(url).headers["Location"] == reverse("admin:index")


def test_code_that_asks_django_is_counted_too(paul: User) -> None:
    for _ in range(5):
        assert authenticate(username="paul", password="wrong") is None
    with pytest.raises(ValidationError) as refused:
        authenticate(username="paul", password=PASSWORD)
    assert refused.value.code == "too_many_guesses"


def test_code_that_asks_django_without_waiting_is_counted_too(paul: User) -> None:
    async def ask() -> None:
        for _ in range(5):
            assert await aauthenticate(username="paul", password="wrong") is None
        await aauthenticate(username="paul", password=PASSWORD)

    with pytest.raises(guesses.TooManyGuesses):
        async_to_sync(ask)()


def test_signing_in_needs_no_broker(paul: User, settings: Settings) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    for _ in range(5):
        _try("paul")
    assert _try("paul").status_code == 429
    _pass_time(31)
    assert _try("paul", PASSWORD).status_code == 302


def test_without_a_limit_nothing_is_counted(paul: User, settings: Settings) -> None:
    settings.SIGN_IN_TRIES = settings.SIGN_IN_ADDRESS_TRIES = 0
    assert {_try("paul").status_code for _ in range(12)} == {422}
    assert _try("paul", PASSWORD).status_code == 302
    assert not GuessCounter.objects.exists()


# --- The record ------------------------------------------------------------------------------


def test_a_name_that_is_slowed_down_is_recorded_once_and_closing_it_once_more(paul: User) -> None:
    _wrong_times("paul", 9)
    (event,) = AuditEvent.objects.all()
    assert (event.kind, event.actor, event.subject) == (
        "user:sign-in:slowed",
        "system:sign-in",
        f"user:{paul.pk}",
    )
    assert event.sentence == (
        "Sign-in as paul is slowed down on new devices: 5 wrong passwords one after the other."
    )
    assert event.by == "The sign-in page"

    GuessCounter.objects.filter(kind="name").update(failures=99)
    _try("paul")
    assert AuditEvent.objects.latest("id").sentence == (
        "Sign-in as paul is closed on new devices: 100 wrong passwords one after the other."
    )


def test_nothing_is_kept_of_a_name_that_nobody_has(db: None) -> None:
    typed = "my-secret-password-in-the-wrong-field"
    with capture_logs() as logged:
        _wrong_times(typed, 7)
    assert not AuditEvent.objects.exists()
    assert typed not in str(list(GuessCounter.objects.values()))
    assert [one for one in logged if one["event"] == "guesses_slowed"] == [
        {
            "event": "guesses_slowed",
            "log_level": "warning",
            "kind": "name",
            "failures": 5,
            "known": False,
        }
    ]
    assert typed not in str(logged)


def test_the_sweeper_removes_what_counts_for_nothing(paul: User) -> None:
    _try("nora")
    _pass_time(2 * 86400)
    _try("paul")

    Sweeper().sweep()

    assert GuessCounter.objects.filter(kind="name").count() == 1
    _try("paul")
    assert GuessCounter.objects.get(kind="name").failures == 2


def test_there_is_one_counter_of_a_kind(db: None) -> None:
    row = {"kind": "name", "about": "x" * 64}
    GuessCounter.objects.create(**row)
    with pytest.raises(IntegrityError, match="guesses_one_counter"), transaction.atomic():
        GuessCounter.objects.create(**row)
    with pytest.raises(IntegrityError, match="guesses_kind_is_known"):
        GuessCounter.objects.create(kind="other", about="x")


# --- Letting somebody try again --------------------------------------------------------------


def test_an_admin_sees_who_has_to_wait_and_lets_them_try(
    paul: User, dana: User, erin: User, client_for: ClientFor
) -> None:
    page = reverse("accounts:person", args=[paul.pk])
    button = reverse("accounts:person-open-sign-in", args=[paul.pk])
    assert button not in client_for(dana).get(page).content.decode()
    for _ in range(5):
        _try("paul")

    shown = client_for(dana).get(page).content.decode()
    assert "5, one after the other, on new devices." in shown
    assert f'action="{button}"' in shown
    seen = client_for(erin).get(page).content.decode()
    assert "5, one after the other, on new devices." in seen
    assert button not in seen

    client = client_for(dana)
    assert client.post(button).headers["Location"] == page
    assert "can try to sign in again at once." in client.get(page).content.decode()
    assert AuditEvent.objects.get(kind="user:sign-in:opened").actor == "dana"
    assert _try("paul", PASSWORD).status_code == 302
    client.post(button)
    assert "Nothing keeps" in client.get(page).content.decode()
    assert AuditEvent.objects.filter(kind="user:sign-in:opened").count() == 1


def test_an_operator_lets_somebody_try_again(
    paul: User, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(5):
        _try("paul")
    call_command("open_sign_in", "paul")
    call_command("open_sign_in", "paul")
    assert capsys.readouterr().out.splitlines() == [
        "paul can try to sign in again at once.",
        "Nothing keeps paul from trying to sign in.",
    ]
    assert AuditEvent.objects.latest("id").sentence == (
        "The command line let paul try to sign in again at once."
    )
    assert _try("paul", PASSWORD).status_code == 302
    with pytest.raises(CommandError, match=r"Nobody has the user name nora\."):
        call_command("open_sign_in", "nora")
