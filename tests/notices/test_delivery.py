"""What is sent, when it is tried again, and when there is nothing left to say."""

import base64
import hashlib
import hmac
import json
import threading
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
import urllib3
from django.core import mail
from django.db import connection, connections, transaction
from pytest_django.fixtures import Settings

from accounts.models import Offer, User
from audit.clock import database_now
from notices import deliver as delivery
from notices.channels import chat, webhook
from notices.channels.errors import NotSent
from notices.core.message import Link, Message
from notices.core.parse import ChannelAddress, mailers
from notices.deliver import Channel, channels_of, claim, deliver
from notices.gather import gather
from notices.models import Notice, Route
from provisioning import services
from provisioning.models import AccessRequest, Decision, Grant
from tests.factories import AccessRequestFactory, GrantFactory
from tests.notices import servers
from tests.notices.conftest import Happen, send_mail

pytestmark = pytest.mark.django_db

KEY = b"k" * 32
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def mail_server(port: int, **options: Any) -> dict[str, Any]:
    """Django's setting for a server on this machine."""
    return {
        "default": {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {"host": "127.0.0.1", "port": port, "timeout": 5} | options,
        }
    }


@pytest.fixture
def active(grant: Grant, happen: Happen) -> Notice:
    """Alice is to be told that her access is active."""
    happen("grant:phase:active", grant.subject)
    gather()
    return Notice.objects.get()


def again(notice: Notice) -> Notice:
    notice.refresh_from_db()
    return notice


# --- Mail ------------------------------------------------------------------------------------


def test_a_notice_is_sent_once(active: Notice) -> None:
    assert [send_mail(), send_mail()] == [1, 0]

    assert len(mail.outbox) == 1
    assert again(active).state == "sent"
    assert active.attempts == 1


def test_a_server_takes_several_mails_over_one_connection(
    grant: Grant, happen: Happen, settings: Settings
) -> None:
    for kind in ("grant:phase:active", "grant:ends-soon"):
        happen(kind, grant.subject)
    gather()
    with servers.serving(servers.smtp()) as server:
        settings.MAILERS = mail_server(server.port)
        assert send_mail() == 2

    assert len(server.got) == 2
    assert b"Subject: Your access to Workload is active" in server.got[0]


def test_a_refused_recipient_fails_for_good_and_the_next_one_is_told(
    active: Notice, grant: Grant, happen: Happen, settings: Settings
) -> None:
    with servers.serving(servers.smtp("550 nobody of that name")) as server:
        settings.MAILERS = mail_server(server.port)
        send_mail()
    assert (again(active).state, active.note) == (
        "failed",
        "The mail server refused this mail (550).",
    )


def test_a_recipient_who_is_refused_for_now_is_tried_again(
    active: Notice, settings: Settings
) -> None:
    with servers.serving(servers.smtp("451 later")) as server:
        settings.MAILERS = mail_server(server.port)
        send_mail()
    assert again(active).state == "waiting"
    assert active.attempts == 1
    assert active.next_try_at is not None
    assert active.next_try_at > database_now() + timedelta(seconds=25)


def test_a_dead_server_costs_one_attempt_and_not_one_for_each_notice(
    active: Notice, grant: Grant, happen: Happen, settings: Settings
) -> None:
    happen("grant:ends-soon", grant.subject)
    gather()
    with servers.serving(servers.smtp()) as gone:
        settings.MAILERS = mail_server(gone.port)
    (channel,) = channels_of({})

    assert [deliver(channel), deliver(channel)] == [0, 0]

    assert sorted(Notice.objects.values_list("attempts", flat=True)) == [0, 1]
    assert again(active).note == "The mail server cannot be reached: Connection refused."
    assert channel.pause_until is not None


def test_a_server_that_hangs_is_given_up_after_its_time(active: Notice, settings: Settings) -> None:
    with servers.serving(servers.hanging) as server:
        settings.MAILERS = mail_server(server.port, timeout=0.2)
        assert send_mail() == 0

    assert again(active).note == "The mail server hung up, or did not answer in time."


def test_a_process_that_knows_no_server_says_so(active: Notice, settings: Settings) -> None:
    settings.MAILERS = mailers("")
    assert send_mail() == 0

    assert again(active).note.startswith("The mail server cannot be reached")


def test_after_a_day_of_attempts_a_notice_has_failed(active: Notice, settings: Settings) -> None:
    Notice.objects.update(attempts=10)
    with servers.serving(servers.smtp("451 later")) as server:
        settings.MAILERS = mail_server(server.port)
        send_mail()

    assert again(active).state == "failed"


# --- Claims ----------------------------------------------------------------------------------


def test_two_processes_never_hold_one_notice(active: Notice) -> None:
    now = database_now()

    assert claim("mail", now) == active
    assert claim("mail", now) is None


def test_what_a_dead_process_had_claimed_is_sent_after_its_lease(active: Notice) -> None:
    claim("mail", database_now())
    assert send_mail() == 0

    Notice.objects.update(leased_until=database_now())

    assert send_mail() == 1


def test_who_lost_a_claim_records_nothing(active: Notice) -> None:
    mine = claim("mail", database_now())
    assert mine is not None
    Notice.objects.update(generation=99)

    delivery._record(mine, note="from the past")

    assert again(active).note == ""


# --- Nothing left to say ---------------------------------------------------------------------


@pytest.fixture
def request_told(asked: AccessRequest, happen: Happen) -> AccessRequest:
    happen("request:state:pending", asked.subject, actor="alice", request=asked.code)
    gather()
    return asked


def decide_it(request: AccessRequest, happen: Happen) -> None:
    AccessRequest.objects.filter(pk=request.pk).update(state="rejected")
    happen("request:state:rejected", request.subject, actor="charlie", request=request.code)
    gather()


def test_an_unsent_request_is_dropped_once_it_is_decided(
    request_told: AccessRequest, charlie: User, happen: Happen
) -> None:
    decide_it(request_told, happen)
    send_mail()

    notes = dict(Notice.objects.filter(person__username="bob").values_list("topic", "note"))
    assert notes == {
        "asked": "The request was rejected before this was sent.",
        "settled": "They had not been told of the request.",
    }
    assert [one.to for one in mail.outbox] == [["Alice Ashby <alice@example.com>"]]


def test_those_who_were_told_hear_in_the_same_conversation_that_it_is_decided(
    request_told: AccessRequest, charlie: User, happen: Happen
) -> None:
    send_mail()
    decide_it(request_told, happen)
    send_mail()

    first, second = (one for one in mail.outbox if "bob@example.com" in one.to[0])
    assert second.subject == f"Re: {first.subject}"
    assert second.extra_headers["References"] == first.extra_headers["Message-ID"]
    assert second.extra_headers["In-Reply-To"] == first.extra_headers["Message-ID"]
    assert second.extra_headers["Message-ID"] != first.extra_headers["Message-ID"]
    assert "Rejected by Charlie Castro. Nothing is left for you to do." in second.body


def test_the_decision_waits_while_the_first_notice_is_on_its_way(
    request_told: AccessRequest, charlie: User, happen: Happen
) -> None:
    claim("mail", database_now())
    decide_it(request_told, happen)
    send_mail()

    settled = Notice.objects.get(topic="settled")
    assert settled.state == "waiting"
    assert settled.note == "The first notice is on its way at this moment."
    assert settled.attempts == 0


def test_access_that_is_over_is_not_announced(active: Notice, grant: Grant) -> None:
    Grant.objects.filter(pk=grant.pk).update(revoked_at=database_now(), revoked_by="dana")
    send_mail()

    assert (again(active).state, active.note) == ("dropped", "The access was not active any more.")


def test_who_was_switched_off_meanwhile_is_not_told(active: Notice, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    send_mail()

    assert again(active).note == "They were switched off."


def test_who_decides_no_longer_is_not_told_what_was_asked(
    request_told: AccessRequest, offer: Offer
) -> None:
    offer.stages.get().people.clear()
    send_mail()

    bobs = Notice.objects.get(person__username="bob")
    assert (bobs.state, bobs.note) == ("dropped", "They may not see it any more.")
    assert mail.outbox == []


def test_who_is_no_admin_any_more_is_not_told_of_proposals(dana: User, happen: Happen) -> None:
    happen("proposal:opened", "proposal:1", actor="frank", reason="Ticket 77.")
    gather()
    User.objects.filter(pk=dana.pk).update(role="member")
    send_mail()

    assert Notice.objects.get().note == "They may not see it any more."
    assert mail.outbox == []


def test_a_mail_that_no_server_could_take_is_given_up_and_keeps_no_other_waiting(
    active: Notice, grant: Grant, alice: User, happen: Happen, settings: Settings
) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice\n@example.com")
    happen("grant:ends-soon", grant.subject)
    gather()
    with servers.serving(servers.smtp()) as server:
        settings.MAILERS = mail_server(server.port)
        send_mail()
    told = set(Notice.objects.values_list("note", "attempts", "leased_until"))
    assert told == {("It cannot be sent as it is.", 1, None)}


def test_words_that_cannot_be_made_keep_no_other_notice_waiting(
    active: Notice, grant: Grant, happen: Happen
) -> None:
    Notice.objects.update(topic="nobody-knows")
    happen("grant:ends-soon", grant.subject)
    gather()

    assert send_mail() == 1
    assert again(active).note == "Its words could not be made."


# --- Webhooks --------------------------------------------------------------------------------


def hook(port: int) -> Channel:
    address = ChannelAddress("siem", f"http://127.0.0.1:{port}/in?of=sallyport", SECRET)
    (_, channel) = channels_of({"siem": address})
    return channel


@pytest.fixture
def to_siem(grant: Grant, happen: Happen, settings: Settings) -> Notice:
    settings.CHANNELS = ("siem",)
    settings.WEBHOOK_NETWORKS = (ip_network("127.0.0.0/8"),)
    Route.objects.create(topic="revoked", channels=["siem"])
    happen("grant:revoked", grant.subject, actor="dana", reason="Wrong account.")
    gather()
    return Notice.objects.get(channel="siem")


def verified(raw: bytes) -> dict[str, Any]:
    """What a receiver does with a request, as docs/notices.md shows it."""
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    given = dict(line.split(": ", 1) for line in lines[1:])
    signature = next(value for name, value in given.items() if name.lower() == "webhook-signature")
    assert signature == f"v1,{expected}"
    parsed: dict[str, Any] = json.loads(body)
    return {"line": lines[0], **parsed, "id": headers["webhook-id"]}


def test_a_webhook_gets_signed_json(to_siem: Notice, grant: Grant) -> None:
    with servers.serving(servers.http(204)) as server:
        assert deliver(hook(server.port)) == 1

    said = verified(server.got[0])
    assert said["line"] == "POST /in?of=sallyport HTTP/1.1"
    assert said["id"] == f"notice_{to_siem.pk}"
    assert said["type"] == "grant:revoked"
    assert said["reason"] == "Wrong account."
    assert said["grant"]["code"] == grant.code
    assert said["grant"]["holder"] == "alice"
    assert said["url"] == f"http://127.0.0.1:8000/requests/{grant.code}/"


@pytest.mark.parametrize(
    ("status", "state"), [(302, "waiting"), (400, "waiting"), (503, "waiting"), (410, "failed")]
)
def test_a_webhook_that_says_anything_but_2xx_is_tried_again_unless_it_is_gone(
    status: int, state: str, to_siem: Notice
) -> None:
    with servers.serving(servers.http(200)) as other:
        location = f"Location: http://127.0.0.1:{other.port}/\r\n"
        with servers.serving(servers.http(status, location)) as server:
            assert deliver(hook(server.port)) == 0

    assert other.got == [], "redirects are never followed"
    assert again(to_siem).state == state
    assert to_siem.note == f"The webhook answered {status}."


def test_a_webhook_that_hangs_is_given_up_after_its_time(
    to_siem: Notice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT", urllib3.Timeout(connect=0.2, read=0.2))
    with servers.serving(servers.hanging) as server:
        assert deliver(hook(server.port)) == 0

    assert again(to_siem).note == "The webhook did not answer in time."


def test_a_webhook_that_leads_inside_is_not_called(to_siem: Notice, settings: Settings) -> None:
    settings.WEBHOOK_NETWORKS = ()
    with servers.serving(servers.http(200)) as server:
        assert deliver(hook(server.port)) == 0

    assert server.got == []
    assert again(to_siem).note.startswith("The webhook's name leads to 127.0.0.1, which is not")


def test_a_webhook_whose_name_nobody_knows_is_tried_again() -> None:
    with pytest.raises(NotSent, match="The webhook's name is not known"):
        webhook.permitted("no-such-host.invalid", 443)


def test_a_webhook_by_tls_calls_the_judged_address_and_checks_the_name() -> None:
    pool = webhook._pool("https", "1.1.1.1", 8443)

    assert (pool.host, pool.port) == ("1.1.1.1", 8443)
    assert isinstance(pool, urllib3.HTTPSConnectionPool)
    assert pool.cert_reqs == "CERT_REQUIRED"
    assert pool.assert_hostname == "1.1.1.1"
    assert pool.conn_kw["server_hostname"] == "1.1.1.1"


# --- Chats -----------------------------------------------------------------------------------


MESSAGE = Message(
    subject="x",
    headline="Alice <!channel> asks",
    lines=("Look.",),
    facts=(("Person", "<at>bob</at>"),),
    quote="[click](https://evil.example.com) @everyone",
    links=(Link("Open", "https://sallyport.example.com/requests/x/"),),
)


def test_a_chat_gets_text_that_calls_nobody() -> None:
    with servers.serving(servers.http(200)) as server:
        # A scheme that the settings refuse, because a test has no server with TLS.
        chat.send(ChannelAddress("ops", f"json://127.0.0.1:{server.port}/token"), MESSAGE)

    said = json.loads(server.got[0].partition(b"\r\n\r\n")[2])
    assert said["title"] == "Alice (!channel) asks"
    assert "https://sallyport.example.com/requests/x/" in said["message"]
    assert not set("<>[]") & set(said["message"])
    assert "@everyone" not in said["message"]


def test_a_chat_that_refuses_is_told_in_words_without_its_address() -> None:
    with servers.serving(servers.http(403)) as server:
        address = ChannelAddress("ops", f"json://127.0.0.1:{server.port}/verysecrettoken")
        with pytest.raises(NotSent) as caught:
            chat.send(address, MESSAGE)

    assert "403" in str(caught.value)
    assert "verysecrettoken" not in str(caught.value)
    assert chat.without_secrets("sent to verysecrettoken", address.url) == "sent to …"
    assert chat.without_secrets("signed in with top!secret", "mmosts://me:top%21secret@host") == (
        "signed in with …"
    )


def test_a_chat_address_that_is_not_complete_is_told() -> None:
    with pytest.raises(NotSent, match="The address of this channel is not complete"):
        chat.send(ChannelAddress("ops", "slack://"), MESSAGE)


# --- Nobody waits ----------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_access_is_revoked_while_mail_server_and_webhook_hang(
    offer: Offer, alice: User, bob: User, dana: User, happen: Happen, settings: Settings
) -> None:
    settings.CHANNELS = ("siem",)
    settings.WEBHOOK_NETWORKS = (ip_network("127.0.0.0/8"),)
    Route.objects.create(topic="active", channels=["siem"])
    grant = GrantFactory.create(
        request__offer=offer, request__requester=alice, phase="active", approver=bob
    )
    happen("grant:phase:active", grant.subject)
    gather()

    def send(channel: Channel) -> None:
        try:
            deliver(channel)
        finally:
            connections.close_all()

    with servers.serving(servers.hanging) as smtp, servers.serving(servers.hanging) as http:
        settings.MAILERS = mail_server(smtp.port, timeout=20)
        address = ChannelAddress("siem", f"http://127.0.0.1:{http.port}/", SECRET)
        threads = [
            threading.Thread(target=send, args=[one], daemon=True)
            for one in channels_of({"siem": address})
        ]
        for thread in threads:
            thread.start()
        assert smtp.met.wait(10)
        assert http.met.wait(10)

        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '1s'")
        services.revoke(person=dana, grant=grant, reason="Wrong account.")
        assert gather() == 1

        assert all(thread.is_alive() for thread in threads)
    grant.refresh_from_db()
    assert grant.revoked_by == "dana"
    for thread in threads:
        thread.join(10)


@pytest.mark.django_db(transaction=True)
def test_a_request_is_decided_while_a_notifier_is_frozen_in_its_work(
    offer: Offer, alice: User, bob: User, happen: Happen
) -> None:
    asked = AccessRequestFactory.create(offer=offer, requester=alice)
    happen("request:state:pending", asked.subject, actor="alice", request=asked.code)

    def reject() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '2s'")
            services.decide(
                approver=bob,
                request=asked,
                verdict=Decision.Verdict.REJECTED,
                fingerprint="",
                reason="Not now.",
            )
        finally:
            connections.close_all()

    with transaction.atomic():
        assert gather() == 1
        thread = threading.Thread(target=reject)
        thread.start()
        thread.join(30)

    asked.refresh_from_db()
    assert asked.state == "rejected"
