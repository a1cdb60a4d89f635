"""`manage.py notify`: one round, and what it refuses to start with."""

import signal
import threading
from io import StringIO
from pathlib import Path

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from accounts.models import Offer, User
from notices.deliver import channels_of
from notices.management.commands.notify import Loop
from notices.models import Notice
from provisioning.models import Grant
from tests.factories import GrantFactory
from tests.notices.conftest import Happen


@pytest.mark.django_db
def test_one_round_takes_up_and_sends(grant: Grant, happen: Happen) -> None:
    happen("grant:phase:active", grant.subject)
    said = StringIO()

    call_command("notify", stdout=said)

    assert said.getvalue() == "1 taken up, 1 sent\n"
    assert len(mail.outbox) == 1


@pytest.mark.django_db(transaction=True)
def test_the_loop_goes_on_until_it_is_told_to_stop(
    offer: Offer, alice: User, bob: User, happen: Happen, settings: Settings, tmp_path: Path
) -> None:
    settings.HEARTBEAT = str(tmp_path / "heartbeat")
    grant = GrantFactory.create(
        request__offer=offer, request__requester=alice, phase="active", approver=bob
    )
    happen("grant:phase:active", grant.subject)
    stop = threading.Event()
    loop = Loop(channels_of({}), stop, interval=0.01)

    watcher = threading.Thread(target=_stop_when_sent, args=[stop])
    watcher.start()
    loop.run()
    watcher.join()

    assert Notice.objects.get().state == "sent"
    assert Path(settings.HEARTBEAT).exists()


def _stop_when_sent(stop: threading.Event) -> None:
    for _ in range(1000):
        if mail.outbox:
            break
        threading.Event().wait(0.01)
    stop.set()


def test_channels_without_an_address_stop_it(settings: Settings) -> None:
    settings.CHANNELS = ("ops",)

    with pytest.raises(CommandError, match="name different channels: ops"):
        call_command("notify")


def test_a_sender_without_a_server_stops_it(settings: Settings) -> None:
    settings.MAIL_IS_SENT = False

    with pytest.raises(CommandError, match="Set SALLYPORT_MAIL_URL"):
        call_command("notify")


@pytest.mark.django_db
def test_the_loop_ends_by_signal(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: dict[int, object] = {}
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(Loop, "run", lambda self: handlers[signal.SIGTERM](15, None))  # type: ignore[operator]

    call_command("notify", "--loop")

    assert set(handlers) == {signal.SIGTERM, signal.SIGINT}
