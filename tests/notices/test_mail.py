"""Every notice as a mail that is parsed back: what it says, and what nobody can make it say."""

import re
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.test import Client

from accounts.models import Offer, User
from audit.clock import database_now
from audit.models import AuditEvent
from notices.gather import gather
from notices.models import Notice, Preferences
from notices.story import Reader, story_of
from notices.topics import BY_KEY, TOPICS
from provisioning import services
from provisioning.models import AccessRequest, DriftFinding, Grant
from provisioning.services import break_glass
from tests.conftest import ClientFor
from tests.factories import (
    AccessRequestFactory,
    ConnectionCheckFactory,
    GrantFactory,
    GroupFactory,
    first_stage,
)
from tests.notices.conftest import Happen, send_mail

pytestmark = pytest.mark.django_db

BASE = "http://127.0.0.1:8000"
EVIL = 'Eve\r\nBcc: evil@example.com\r\n\r\n<script>alert(1)</script>{{ 7|add:7 }}\u202e"@x'


def parsed(number: int = -1) -> EmailMessage:
    """A mail as a receiver's program reads it from the wire."""
    raw = mail.outbox[number].message().as_bytes()
    found = message_from_bytes(raw, policy=SMTP)
    assert isinstance(found, EmailMessage)
    return found


def parts(message: EmailMessage) -> tuple[str, str]:
    """Text and HTML."""
    text, html = message.get_body(["plain"]), message.get_body(["html"])
    assert text is not None
    assert html is not None
    return text.get_content(), html.get_content()


def links_in(html: str) -> list[str]:
    return [url.replace("&amp;", "&") for url in re.findall(r'href="([^"]+)"', html)]


def make(
    kind: str, subject: str, happen: Happen, actor: str = "system:worker", **data: object
) -> None:
    happen(kind, subject, actor, EVIL if kind != "grant:phase:active" else "", **data)
    gather()
    send_mail()


def test_active_access_is_announced_with_sign_in_link_switch_role_link_and_end(
    grant: Grant, alice: User, happen: Happen
) -> None:
    Preferences.objects.create(person=alice, time_zone="Asia/Tokyo")
    make("grant:phase:active", grant.subject, happen)

    text, html = parts(parsed())
    assert parsed()["Subject"] == "Your access to Workload is active"
    assert parsed()["To"] == "Alice Ashby <alice@example.com>"
    assert f"{grant.ends_at:%H:%M} UTC (" in text
    assert "in Asia/Tokyo" in text
    assert "as the IAM user userA" in text
    sign_in, switch, page, *_ = links_in(html)
    assert sign_in == f"{BASE}/sandbox/console/sign-in?account=111111111111"
    assert switch.startswith(f"{BASE}/sandbox/console/switchrole?account=222222222222&roleName=")
    assert grant.role_name in switch
    assert page == f"{BASE}{grant.get_absolute_url()}"
    assert all(url in text for url in (sign_in, switch, page))


def test_long_names_go_on_where_a_reader_would_part_them_and_stay_themselves(
    grant: Grant, happen: Happen
) -> None:
    account = grant.request.offer.pair.target
    account.name = "production-eu-central-1-customer-data"
    account.save()
    make("grant:phase:active", grant.subject, happen)

    text, html = parts(parsed())
    assert account.name in text
    parted = "production-<wbr>eu-<wbr>central-<wbr>1-<wbr>customer-<wbr>data"
    assert f"<h1>Your access to {parted} is active</h1>" in html
    assert f"<td>{parted} (222222222222)</td>" in html


def test_without_a_time_zone_the_end_is_told_in_utc(grant: Grant, happen: Happen) -> None:
    make("grant:phase:active", grant.subject, happen)

    assert " UTC, by itself" in parts(parsed())[0]


def _emergency(offer: Offer, alice: User, happen: Happen) -> None:
    """Alice took access in an emergency, and it is over."""
    group = GroupFactory.create()
    alice.groups.add(group)
    offer.break_glass_group, offer.break_glass_longest = group, timedelta(hours=1)
    offer.save()
    half_an_hour = timedelta(minutes=30)
    taken = break_glass.take(person=alice, offer=offer, duration=half_an_hour, reason="It is down.")
    services.revoke(person=alice, grant=taken, reason="")
    make("grant:phase:ended", taken.subject, happen)


@pytest.fixture
def hostile(
    offer: Offer, alice: User, bob: User, charlie: User, dana: User, happen: Happen
) -> Grant:
    """Every topic of the table in the outbox, with hostile words wherever somebody types."""
    names = {"first_name": EVIL[:150], "last_name": ""}
    User.objects.filter(pk__in=[alice.pk, bob.pk, charlie.pk, dana.pk]).update(**names)
    first_stage(offer).people.add(charlie)
    _emergency(offer, alice, happen)
    asked = AccessRequestFactory.create(offer=offer, requester=alice, reason=EVIL)
    make("request:state:pending", asked.subject, happen, "alice", request=asked.code)
    for kind, actor in (("question", "bob"), ("answer", "alice"), ("terms", "bob")):
        make(f"request:{kind}", asked.subject, happen, actor, request=asked.code)
    AccessRequest.objects.filter(pk=asked.pk).update(state="approved")
    make("request:state:approved", asked.subject, happen, "bob", request=asked.code)
    asked.refresh_from_db()
    grant = GrantFactory.create(request=asked, phase="active", approver=bob)
    for kind in (
        "grant:breakglass:started",
        "grant:phase:active",
        "grant:ends-soon",
        "grant:phase:ended",
        "grant:extension:refused",
        "grant:cut_back",
    ):
        make(kind, grant.subject, happen)
    Grant.objects.filter(pk=grant.pk).update(settled_at=database_now())
    missing = DriftFinding.objects.create(
        account=offer.pair.target,
        grant=grant,
        kind="narrowed",
        thing="role",
        name=grant.role_name,
        summary=EVIL[:300],
        first_seen_at=database_now(),
        last_seen_at=database_now(),
    )
    make("drift:narrowed:found", grant.subject, happen, finding=missing.pk)
    make("stop:pressed", "stop:7", happen)
    make("user:changed", f"user:{grant.requester.pk}", happen, "dana", changed=["Password"])
    make("rule:second_admin:off", "rule:second_admin", happen)
    for kind in ("opened", "due", "closed"):
        due = database_now().isoformat()
        make(f"review:{kind}", f"review:{kind}:7", happen, waiting={"bob": 2}, due_at=due)
    make("proposal:opened", "proposal:7", happen)
    make("proposal:opened", "proposal:8", happen, "dana")
    make("proposal:rejected", "proposal:8", happen, "erin")
    Grant.objects.filter(pk=grant.pk).update(attempts=3, last_error=EVIL)
    make("grant:failed", grant.subject, happen, "system:worker", attempt=3)
    make("grant:revoked", grant.subject, happen)
    ConnectionCheckFactory.create(account=offer.pair.target, finished_at=database_now())
    make("account:check:failed", offer.pair.target.subject, happen, "x", failed=[EVIL])
    return grant


def test_every_topic_makes_a_mail_that_nobody_can_bend_or_lead_elsewhere(hostile: Grant) -> None:
    sent = set(Notice.objects.filter(state="sent").values_list("topic", flat=True))
    assert sent >= {one.key for one in TOPICS}
    for number in range(len(mail.outbox)):
        message = parsed(number)
        assert message.keys().count("To") == 1
        assert {"Bcc", "Cc"}.isdisjoint(message.keys())
        assert message.defects == []
        assert "\n" not in message["Subject"]
        assert len(message["To"].addresses) == 1
        assert message["To"].addresses[0].domain == "example.com"
        text, html = parts(message)
        assert "<script" not in html
        assert "\u202e" not in text + html
        assert '14"@x' not in text, "nothing that somebody typed is a template"
        urls = [*links_in(html), *re.findall(r"https?://[^\s>]+", text)]
        assert urls
        assert {f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in urls} == {BASE}


def test_no_link_of_a_notice_changes_anything(
    hostile: Grant, alice: User, bob: User, dana: User, client_for: ClientFor
) -> None:
    """A mail program, a scanner or a person opens every link: signed in or not, nothing moves."""
    urls = {
        url.removeprefix(BASE)
        for number in range(len(mail.outbox))
        for url in links_in(parts(parsed(number))[1])
        if "/sandbox/" not in url
    }
    assert len(urls) >= 4

    def rows() -> tuple[object, ...]:
        states = AccessRequest.objects.values_list("pk", "state", "approvals_needed")
        grants = Grant.objects.values_list("pk", "phase", "revoked_at", "ends_at", "generation")
        return AuditEvent.objects.count(), list(states), list(grants), Notice.objects.count()

    before = rows()
    for client in (Client(), *(client_for(one) for one in (alice, bob, dana))):
        for url in urls:
            assert client.get(url).status_code in {200, 302, 403, 404, 409}
    assert rows() == before


def test_the_way_in_is_told_to_the_holder_alone(grant: Grant, bob: User, happen: Happen) -> None:
    story = story_of(happen("grant:phase:active", grant.subject))
    for other in (Reader("ops"), Reader("mail", bob)):
        message = BY_KEY["active"].words(story, other)
        assert message.headline == "The access of Alice Ashby to Workload is active"
        assert [urlsplit(one.url).path for one in message.links] == [grant.get_absolute_url()]


def test_a_reminder_is_in_the_same_conversation_and_says_that_it_is_one(
    asked: AccessRequest, happen: Happen
) -> None:
    event = happen("request:state:pending", asked.subject, "alice", request=asked.code)
    gather()
    send_mail()
    bob = Notice.objects.get().person
    Notice.objects.create(event=event, topic="asked", number=1, person=bob, channel="mail")
    send_mail()

    first, second = parsed(0), parsed(1)
    assert second["Subject"] == f"Re: {first['Subject']}"
    assert second["References"] == first["Message-ID"]
    assert "Still waiting: Alice Ashby asks for Security read-only in Workload" in parts(second)[0]


def test_a_request_says_who_what_where_how_long_and_why(
    asked: AccessRequest, happen: Happen
) -> None:
    make("request:state:pending", asked.subject, happen, "alice", request=asked.code)

    text, _ = parts(parsed())
    for line in (
        "Person: Alice Ashby",
        "Access: Security read-only",
        "From account: Identity (111111111111)",
        "Into account: Workload (222222222222)",
        "How long: 30 min",
        "> Ticket 1234: look at the failed backup.",
    ):
        assert line in text.splitlines()


def test_a_later_start_is_told(offer: Offer, alice: User, happen: Happen) -> None:
    starts = database_now() + timedelta(hours=2)
    asked = AccessRequestFactory.create(offer=offer, requester=alice, starts_at=starts)
    make("request:state:pending", asked.subject, happen, "alice", request=asked.code)

    assert f"{starts:%H:%M} UTC" in parts(parsed())[0]
