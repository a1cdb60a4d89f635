"""Schedules, signatures, words and settings: pure."""

import base64
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest

from notices.channels.webhook import is_permitted
from notices.core import parse, schedule, signature, words

NOW = datetime(2026, 11, 27, 22, 30, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


def test_attempts_are_spread_over_a_day_and_then_given_up() -> None:
    waits = []
    attempts = 1
    while (at := schedule.next_try(attempts, NOW, jitter=0)) is not None:
        waits.append(at - NOW)
        attempts += 1

    assert waits == sorted(waits)
    assert waits[0] == timedelta(seconds=30)
    assert timedelta(hours=20) < sum(waits, timedelta()) < timedelta(hours=26)
    assert attempts == 11


def test_jitter_stretches_a_wait_by_up_to_a_fifth() -> None:
    assert schedule.next_try(1, NOW, jitter=1) == NOW + timedelta(seconds=36)


def test_reminders_back_off_to_once_a_day_and_stop_before_the_request_lapses() -> None:
    lapses = NOW + timedelta(days=3)
    found = [schedule.reminder_at(number, NOW, lapses) for number in range(1, 8)]

    minutes = [one and int((one - NOW) / timedelta(minutes=1)) for one in found]
    assert minutes == [15, 60, 240, 24 * 60, 48 * 60, None, None]


def test_a_request_that_lapses_soon_has_no_reminder() -> None:
    assert schedule.reminder_at(1, NOW, NOW + timedelta(minutes=15)) is None


def test_the_signature_is_that_of_the_published_scheme() -> None:
    # The example of standardwebhooks.com and of its reference libraries.
    headers = signature.headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64!", "plain"])
def test_a_short_or_odd_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match=r"secret|base64|padding|characters|discontinuous"):
        signature.key_of(secret)


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("plain", "plain"),
        ("a\r\nBcc: evil@example.com", "a Bcc: evil@example.com"),
        ("a\u2028b\u202ec\u200b\x00d\x1b[31m", "a bcd[31m"),
        ("  two\t words ", "two words"),
    ],
)
def test_one_line_has_nothing_that_ends_a_line_or_hides(typed: str, shown: str) -> None:
    assert words.one_line(typed) == shown


def test_a_paragraph_keeps_its_lines() -> None:
    assert words.paragraph("one\r\n\r\n two\u202e\n") == "one\ntwo"


def test_a_long_subject_is_cut() -> None:
    assert len(words.subject("x" * 1000)) == 150


def test_a_chat_is_given_neither_links_nor_calls() -> None:
    typed = "<!channel> <https://evil|click> [click](https://evil) @everyone <at>bob</at>"

    shown = words.for_chat(typed)

    assert not set("<>[]") & set(shown)
    assert "@everyone" not in shown


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("", "27 Nov 2026, 22:30 UTC"),
        ("UTC", "27 Nov 2026, 22:30 UTC"),
        ("Europe/Berlin", "27 Nov 2026, 22:30 UTC (23:30 in Europe/Berlin)"),
        ("America/New_York", "27 Nov 2026, 22:30 UTC (17:30 in America/New York)"),
        ("Asia/Tokyo", "27 Nov 2026, 22:30 UTC (28 Nov 2026, 07:30 in Asia/Tokyo)"),
    ],
)
def test_a_moment_is_told_in_utc_and_in_the_readers_zone(zone: str, shown: str) -> None:
    assert words.moment(NOW, zone) == shown


# --- Settings --------------------------------------------------------------------------------


def test_a_mail_address_of_a_server_becomes_a_mailer_with_a_time_out() -> None:
    mailer = parse.mailers("smtp+tls://us%40er:p%2Fw@mail.example.com:2525")["default"]

    assert mailer["OPTIONS"] == {
        "host": "mail.example.com",
        "port": 2525,
        "timeout": 10,
        "use_tls": True,
        "username": "us@er",
        "password": "p/w",
    }
    assert parse.mailers("") == {"default": {"BACKEND": "notices.channels.mail.NoServer"}}


@pytest.mark.parametrize("url", ["file:///tmp/x", "smtp://", "http://mail.example.com", "mail"])
def test_other_addresses_for_mail_are_refused(url: str) -> None:
    with pytest.raises(parse.BadSetting, match="SALLYPORT_MAIL_URL has to be"):
        parse.mailers(url)


def test_channel_names_are_short_and_single() -> None:
    assert parse.channel_names(" ops, audit ") == ("ops", "audit")
    for bad in ("Ops", "mail", "a b", "x" * 21, "ops,ops"):
        with pytest.raises(parse.BadSetting, match="SALLYPORT_CHANNELS"):
            parse.channel_names(bad)


ADDRESSES = f"""
[ops]
address = "slack://TokenA/TokenB/TokenC/#access"
[siem]
address = "https://siem.example.com/in"
secret = "{SECRET}"
"""


def test_channel_addresses_are_read_and_never_shown() -> None:
    found = parse.channel_addresses(ADDRESSES, ["siem", "ops"], allow_http=False)

    assert found["siem"].is_webhook
    assert not found["ops"].is_webhook
    assert "Token" not in repr(found)
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[ops", "SALLYPORT_CHANNEL_ADDRESSES is no TOML."),
        ("", "name different channels: ops"),
        ('[ops]\naddress="https://x/"\n[b]\naddress="slack://"', "name different channels: b"),
        ("[ops]\nurl='x'", "Channel ops: give an address"),
        ("ops = 1", "Channel ops: give an address"),
        (f"[ops]\naddress='http://x/'\nsecret='{SECRET}'", "Channel ops: a webhook is called by"),
        ("[ops]\naddress='https://x/'", "Channel ops: A webhook's secret begins with whsec_"),
        (f"[ops]\naddress='https://u@x/'\nsecret='{SECRET}'", "Channel ops: give the address"),
        (f"[ops]\naddress='slack://a/b/c'\nsecret='{SECRET}'", "Channel ops: only webhooks have"),
        *(
            (f"[ops]\naddress='{scheme}://x'", f"Channel ops: {scheme} is not allowed")
            for scheme in ("file", "json", "jsons", "mailto", "syslog", "dbus", "apprise", "form")
        ),
    ],
)
def test_what_a_channel_cannot_be_is_refused_without_showing_it(text: str, told: str) -> None:
    with pytest.raises(parse.BadSetting) as caught:
        parse.channel_addresses(text, ["ops"], allow_http=False)

    assert told in str(caught.value)
    assert SECRET not in str(caught.value)


def test_networks_are_parsed() -> None:
    (network,) = parse.networks("10.0.0.0/8")
    assert ip_address("10.1.2.3") in network
    with pytest.raises(parse.BadSetting, match="SALLYPORT_WEBHOOK_NETWORKS"):
        parse.networks("10.0.0.1/8")


PRIVATE = [
    "127.0.0.1",
    "0.0.0.0",  # noqa: S104  # An address that is refused.
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.1.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:a00:1::",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "::a9fe:a9fe",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_webhook_goes_to_no_address_that_is_not_public(address: str) -> None:
    assert not is_permitted(ip_address(address), ())


def test_a_network_that_the_operators_name_is_allowed() -> None:
    allowed = (ip_network("10.0.0.0/8"),)
    assert is_permitted(ip_address("10.9.8.7"), allowed)
    assert is_permitted(ip_address("::ffff:10.9.8.7"), allowed)
    assert not is_permitted(ip_address("192.168.0.1"), allowed)
    assert is_permitted(ip_address("93.184.215.14"), ())
