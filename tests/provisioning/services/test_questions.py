"""Questions about a request: who may ask and answer, who reads, what is new to whom."""

import pytest
from django.db import IntegrityError, transaction

from accounts.models import Offer, User
from audit.models import AuditEvent
from provisioning.models import AccessRequest, Comment, ReadMark
from provisioning.services import questions
from provisioning.services.common import Refused
from tests.conftest import ClientFor
from tests.factories import AccessRequestFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(offer: Offer, alice: User) -> AccessRequest:
    return AccessRequestFactory.create(offer=offer, requester=alice)


def unread(person: User) -> list[int]:
    return [one.unread for one in AccessRequest.objects.with_unread(person)]  # type: ignore[attr-defined]


def test_a_question_and_its_answer_are_events_of_their_own_kind(
    asked: AccessRequest, alice: User, bob: User
) -> None:
    questions.say(person=bob, request=asked, text="Which ticket?")
    questions.say(person=alice, request=asked, text="SEC-214.")

    told = AuditEvent.objects.about(asked.subject)
    assert [(one.kind, one.actor, one.reason) for one in told] == [
        ("request:question", "bob", "Which ticket?"),
        ("request:answer", "alice", "SEC-214."),
    ]


def test_what_is_new_to_whom_follows_from_what_they_have_seen(
    asked: AccessRequest, alice: User, bob: User
) -> None:
    first = questions.say(person=bob, request=asked, text="Which ticket?")
    assert (unread(alice), unread(bob)) == ([1], [0])

    questions.note_read(person=alice, request=asked, newest=first)
    second = questions.say(person=alice, request=asked, text="SEC-214.")
    assert (unread(alice), unread(bob)) == ([0], [1])

    questions.note_read(person=bob, request=asked, newest=second)
    questions.note_read(person=bob, request=asked, newest=second)
    assert unread(bob) == [0]
    assert ReadMark.objects.count() == 2


@pytest.mark.parametrize(
    ("who", "reasons"),
    [
        ("charlie", ("Only the requester and the approvers of the offer can.",)),
        ("dana", ("Only the requester and the approvers of the offer can.",)),
        (
            "erin",
            (
                "Auditors read everything and change nothing.",
                "Only the requester and the approvers of the offer can.",
            ),
        ),
    ],
)
def test_only_whom_it_concerns_may_ask(
    who: str, reasons: tuple[str, ...], asked: AccessRequest, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(Refused) as caught:
        questions.say(person=request.getfixturevalue(who), request=asked, text="And?")

    assert caught.value.reasons == reasons
    assert AuditEvent.objects.get(kind="request:question:refused").actor == who
    assert not Comment.objects.exists()


@pytest.mark.parametrize("state", ["rejected", "cancelled", "expired"])
def test_nobody_asks_about_what_is_over(
    state: str, asked: AccessRequest, bob: User, client_for: ClientFor
) -> None:
    AccessRequest.objects.filter(pk=asked.pk).update(state=state)

    answer = client_for(bob).post(f"/requests/{asked.code}/comment/", {"text": "And?"})

    assert answer.status_code == 409
    assert "This is over, so nobody would answer." in answer.content.decode()


def test_the_database_keeps_what_was_said(asked: AccessRequest, bob: User) -> None:
    said = questions.say(person=bob, request=asked, text="Which ticket?")
    same = Comment.objects.filter(pk=said.pk)

    with pytest.raises(IntegrityError, match="comment_is_immutable"), transaction.atomic():
        same.update(text="Another.")
    with pytest.raises(IntegrityError, match="comment_is_immutable"), transaction.atomic():
        same.delete()


WHO = ["nobody", "alice", "bob", "charlie", "dana", "erin"]


def test_who_may_post_what(
    asked: AccessRequest,
    alice: User,
    bob: User,
    charlie: User,
    dana: User,
    erin: User,
    client_for: ClientFor,
) -> None:
    people: list[User | None] = [None, alice, bob, charlie, dana, erin]
    url = f"/requests/{asked.code}/"

    def answers(page: str, values: dict[str, str]) -> list[int]:
        return [client_for(one).post(url + page, values).status_code for one in people]

    assert answers("comment/", {}) == [302, 422, 422, 404, 422, 422]
    assert answers("comment/", {"text": "And?"}) == [302, 302, 302, 404, 403, 403]
    assert answers("terms/", {}) == [302, 422, 422, 404, 422, 422]
    assert answers("terms/", {"minutes": "10"}) == [302, 403, 302, 404, 403, 403]
    assert [client_for(one).get(f"{url}comment/").status_code for one in people[1:]] == [405] * 5
    assert [client_for(one).get(f"{url}terms/").status_code for one in people[1:]] == [405] * 5


def test_what_was_said_is_on_the_page_as_text(
    asked: AccessRequest, bob: User, erin: User, client_for: ClientFor
) -> None:
    client_for(bob).post(f"/requests/{asked.code}/comment/", {"text": "<b>Which</b> ticket?"})

    text = client_for(erin).get(f"/requests/{asked.code}/").content.decode()
    assert "&lt;b&gt;Which&lt;/b&gt; ticket?" in text
    assert "/comment/" not in text


def test_opening_the_page_is_reading(
    asked: AccessRequest, alice: User, bob: User, client_for: ClientFor
) -> None:
    questions.say(person=bob, request=asked, text="Which ticket?")

    client_for(alice).get(f"/requests/{asked.code}/")

    assert unread(alice) == [0]
