"""The table of events and recipients."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from accounts.models import Offer, User
from audit.clock import database_now
from audit.models import AuditEvent
from notices import gather as gathering
from notices import texts
from notices.core.message import Pointless
from notices.gather import gather
from notices.models import HeardEvent, Notice, Preferences, Reading, Reminder, Route
from notices.story import Reader, story_of
from notices.texts import PROPOSAL_ENDS
from notices.topics import BY_KEY, KINDS, TOPICS, topics_for
from provisioning import authz, services
from provisioning.core.plan import fingerprint
from provisioning.models import AccessRequest, DriftFinding, Grant, Review
from provisioning.services import break_glass
from provisioning.specs import spec_for_request
from tests.factories import (
    AccessRequestFactory,
    ApprovalStageFactory,
    DecisionFactory,
    GrantFactory,
    GroupFactory,
    UserFactory,
    first_stage,
)
from tests.notices.conftest import Happen, send_mail, told

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def everybody(alice: User, bob: User, charlie: User, dana: User, erin: User) -> None:
    """The whole cast is there, so that who is not told shows."""


OF_A_REQUEST = {
    # kind of event: who is told, when bob did it
    "request:state:approved": {"alice"},
    "request:state:rejected": {"alice"},
    "request:state:expired": {"alice"},
    "request:state:cancelled": {"alice"},
    "request:approval": {"alice"},
    "request:question": {"alice"},
    "request:terms": {"alice"},
    "request:answer": set(),
}


def test_who_withdraws_their_own_request_is_not_told(asked: AccessRequest, happen: Happen) -> None:
    happen("request:state:cancelled", asked.subject, actor="alice", request=asked.code)

    assert told() == set()


@pytest.mark.parametrize("kind", OF_A_REQUEST)
def test_the_requester_is_told_how_it_was_decided(
    kind: str, asked: AccessRequest, happen: Happen
) -> None:
    happen(kind, asked.subject, actor="bob", request=asked.code)

    assert told() == OF_A_REQUEST[kind]


OF_A_GRANT = {
    "grant:phase:active": {"alice"},
    "grant:phase:ended": {"alice"},
    "grant:phase:ending": set(),
    "grant:phase:pending": set(),
    "grant:revoked": {"alice"},
    "grant:locked_out": set(),
    "grant:ends-soon": {"alice"},
    "grant:breakglass:started": {"bob", "dana"},
    "grant:extension:confirmed": {"alice"},
    "grant:extension:refused": {"alice"},
    "grant:failed": {"alice", "dana"},
    "grant:cut_back": {"dana"},
    "grant:switch_link:opened": set(),
}


@pytest.mark.parametrize("kind", OF_A_GRANT)
def test_the_holder_is_told_of_their_access_and_admins_of_trouble(
    kind: str, grant: Grant, happen: Happen
) -> None:
    happen(kind, grant.subject, attempt=3)

    assert told() == OF_A_GRANT[kind]


OF_AN_ACCOUNT = {
    "account:check:failed": {"dana"},
    "account:check:passed": set(),
    "drift:widened:removed": {"dana"},
    "drift:orphan:removed": {"dana"},
    "drift:narrowed:found": {"dana"},
}


@pytest.mark.parametrize("kind", OF_AN_ACCOUNT)
def test_admins_are_told_of_accounts(kind: str, offer: Offer, happen: Happen) -> None:
    happen(kind, offer.pair.target.subject)

    assert told() == OF_AN_ACCOUNT[kind]


@pytest.fixture
def missing(grant: Grant) -> DriftFinding:
    """A scan has seen that the role of alice's access is not there."""
    Grant.objects.filter(pk=grant.pk).update(phase="pending", settled_at=database_now())
    grant.refresh_from_db()
    return DriftFinding.objects.create(
        account=grant.request.offer.pair.target,
        grant=grant,
        kind="narrowed",
        thing="role",
        name=grant.role_name,
        summary="The role of this access is not there.",
        first_seen_at=database_now(),
        last_seen_at=database_now(),
    )


def test_who_can_repair_is_told_once_that_something_was_taken_away(
    missing: DriftFinding, grant: Grant, erin: User, happen: Happen
) -> None:
    """Its holder may be an approver or an admin, and an auditor may be named: they cannot."""
    first_stage(grant.request.offer).people.add(erin, grant.requester)
    User.objects.filter(pk=grant.requester.pk).update(role=User.Role.ADMIN)
    happen("drift:narrowed:found", grant.subject, finding=missing.pk)

    now = database_now()
    can = {one.username for one in User.objects.all() if authz.can_repair(one, grant, now)}
    assert told(topic="narrowed") == can == {"bob", "dana"}
    assert told(topic="narrowed") == can, "A second round tells nobody again."
    assert Notice.objects.filter(topic="narrowed").count() == 2


def test_what_was_taken_away_is_named_with_the_way_to_give_it_back(
    missing: DriftFinding, grant: Grant, bob: User, happen: Happen
) -> None:
    event = happen("drift:narrowed:found", grant.subject, finding=missing.pk)

    message = texts.narrowed(story_of(event), Reader("mail", bob))

    assert message.headline == (
        "The access of Alice Ashby lacks something in AWS that was approved"
    )
    assert message.lines[0] == "The role of this access is not there."
    assert ("Missing in", str(missing.account)) in message.facts
    assert message.links[0].url.endswith(f"/requests/{grant.code}/repair/")


def test_a_switch_group_is_told_with_the_way_to_the_drift_page(
    missing: DriftFinding, dana: User, happen: Happen
) -> None:
    DriftFinding.objects.update(grant=None, thing="group", name="switch-to-222222222222")
    event = happen("drift:narrowed:found", missing.account.subject, finding=missing.pk)

    message = texts.narrowed(story_of(event), Reader("mail", dana))

    assert message.headline == (
        "The switch group switch-to-222222222222 lacks something in AWS that was approved"
    )
    assert message.links[0].url.endswith("/drift/")
    happen("pair:restore:asked", missing.account.subject, actor="dana", finding=missing.pk)
    with pytest.raises(Pointless, match="Somebody had it repaired before this was sent"):
        texts.narrowed(story_of(event), Reader("mail", dana))


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("settled", "Nothing was missing any more before this was sent."),
        ("repaired", "Somebody had it repaired before this was sent."),
        ("revoked", "The access was over before this was sent."),
    ],
)
def test_nobody_is_told_of_what_is_not_missing_any_more(
    how: str, why: str, missing: DriftFinding, grant: Grant, bob: User, happen: Happen
) -> None:
    event = happen("drift:narrowed:found", grant.subject, finding=missing.pk)
    if how == "settled":
        DriftFinding.objects.update(resolved_at=database_now())
    elif how == "repaired":
        services.repair(person=bob, grant=Grant.objects.with_parties().get(pk=grant.pk))
    else:
        services.revoke(person=bob, grant=grant, reason="No longer needed.")
    gather()
    send_mail()

    assert set(Notice.objects.filter(event=event).values_list("state", "note")) == {
        ("dropped", why)
    }


OF_THE_RED_BUTTON = {
    "stop:pressed": {"dana"},
    "stop:finished": {"dana"},
    "stop:lifted": {"dana"},
}


OF_THE_SECOND_ADMIN = {
    "rule:second_admin:on": {"dana"},
    "rule:second_admin:off": {"dana"},
}


@pytest.mark.parametrize("kind", OF_THE_SECOND_ADMIN)
def test_admins_are_told_of_the_rule_of_the_second_admin(kind: str, happen: Happen) -> None:
    happen(kind, "rule:second_admin")

    assert told() == OF_THE_SECOND_ADMIN[kind]


OF_AN_ACCESS_REVIEW = {
    "review:opened": {"bob"},
    "review:due": {"bob", "dana"},
    "review:overdue": {"bob", "dana"},
    "review:closed": {"dana"},
    "review:started": set(),
    "review:item:remove": set(),
}


@pytest.mark.parametrize("kind", OF_AN_ACCESS_REVIEW)
def test_reviewers_are_told_of_what_waits_for_them_and_admins_of_the_end(
    kind: str, happen: Happen
) -> None:
    event = happen(kind, "review:7", waiting={"bob": 1, "gone": 2})

    assert told() == OF_AN_ACCESS_REVIEW[kind]
    bob = Reader("mail", User.objects.get(username="bob"))
    assert texts.review(story_of(event), bob).lines == ("For you 1 waits: keep or remove.",)


def test_nobody_is_told_of_an_access_review_that_was_closed_meanwhile(happen: Happen) -> None:
    event = happen("review:overdue", "review:7", waiting={"bob": 1})
    happen("review:closed", "review:7", actor="dana")

    with pytest.raises(Pointless, match="closed before this was sent"):
        texts.review(story_of(event), Reader("ops"))


@pytest.fixture
def emergency(offer: Offer, alice: User) -> Grant:
    """What alice, who is an admin too, took in an emergency and gave back."""
    group = GroupFactory.create(name="On call")
    alice.groups.add(group)
    offer.break_glass_group, offer.break_glass_longest = group, timedelta(hours=1)
    offer.save()
    grant = break_glass.take(
        person=alice, offer=offer, duration=timedelta(minutes=30), reason="Production is down."
    )
    services.revoke(person=alice, grant=grant, reason="")
    User.objects.filter(pk=alice.pk).update(role=User.Role.ADMIN)
    return Grant.objects.with_parties().get(pk=grant.pk)


def _review(grant: Grant, person: User) -> None:
    break_glass.review(
        person=person, request=grant.request, verdict=Review.Verdict.JUSTIFIED, note="It was real."
    )


def test_after_an_emergency_approvers_and_admins_are_told_to_review_it(
    emergency: Grant, happen: Happen
) -> None:
    event = happen("grant:phase:ended", emergency.subject)

    assert told(event=event) == {"bob", "dana"}


def test_who_has_reviewed_an_emergency_is_not_asked_again_and_two_are_enough(
    emergency: Grant, bob: User, dana: User, happen: Happen
) -> None:
    early = happen("grant:phase:ended", emergency.subject)
    _review(emergency, bob)
    assert told(event=early) == {"dana"}
    with pytest.raises(Pointless, match="They had reviewed it"):
        texts.emergency_review(story_of(early), Reader("mail", bob))

    _review(emergency, dana)
    late = happen("grant:phase:ended", emergency.subject)
    assert told(event=late) == set()
    with pytest.raises(Pointless, match="Two others had reviewed it"):
        texts.emergency_review(story_of(early), Reader("mail", dana))


def test_what_is_loud_cannot_be_switched_off() -> None:
    assert {one.key for one in TOPICS if one.always} == {
        "emergency",
        "emergency-review",
        "password",
        "revoked",
        "second-admin",
        "stop",
    }


OF_A_PERSON = [
    # kind of event, who did it, what was changed, who is told
    ("user:password:changed", "alice", [], {"alice"}),
    ("user:changed", "dana", ["Password"], {"alice"}),
    ("user:changed", "dana", ["Email address"], set()),
    ("user:password:refused", "dana", [], set()),
]


@pytest.mark.parametrize(("kind", "actor", "changed", "whom"), OF_A_PERSON)
def test_whose_password_is_changed_is_told_whoever_did_it(
    kind: str, actor: str, changed: list[str], whom: set[str], alice: User, happen: Happen
) -> None:
    happen(kind, f"user:{alice.pk}", actor=actor, changed=changed)

    assert told() == whom


def test_a_new_password_is_told_with_who_set_it_and_what_to_do(alice: User, happen: Happen) -> None:
    subject = f"user:{alice.pk}"
    own = story_of(happen("user:password:changed", subject, actor="alice"))
    others = story_of(happen("user:changed", subject, actor="dana", changed=["Password"]))

    mail = texts.password(own, Reader("mail", alice))
    assert mail.headline == (
        "Your password for Sallyport was changed by somebody who knew the old one"
    )
    assert "You stay signed in where it was changed, and nowhere else." in mail.lines
    assert "tell an admin of Sallyport at once" in mail.lines[1]
    assert texts.password(others, Reader("mail", alice)).headline == (
        "Your password for Sallyport was changed by Dana Dahl"
    )
    room = texts.password(others, Reader("ops"))
    assert room.headline == "The password of Alice Ashby was changed by Dana Dahl"
    assert (room.lines, room.links) == ((), ())


def test_that_mail_reaches_who_sees_nothing_but_their_own(alice: User, happen: Happen) -> None:
    happen("user:password:changed", f"user:{alice.pk}", actor="alice")
    gather()

    assert send_mail() == 1
    assert Notice.objects.get().state == "sent"


@pytest.mark.parametrize("kind", OF_THE_RED_BUTTON)
def test_admins_are_told_of_the_red_button(kind: str, happen: Happen) -> None:
    happen(kind, "stop:7")

    assert told() == OF_THE_RED_BUTTON[kind]


def test_the_other_admins_are_told_of_a_proposal_and_the_proposer_of_its_outcome(
    happen: Happen,
) -> None:
    UserFactory.create(username="dave", role=User.Role.ADMIN)
    happen("proposal:opened", "proposal:7", actor="dana")
    assert told() == {"dave"}

    for kind in PROPOSAL_ENDS:
        happen(kind, "proposal:7", actor="dave")
    assert told(topic="proposal-ends") == {"dana"}


def test_of_what_the_red_button_ends_holders_are_told_and_rooms_are_not(
    grant: Grant, happen: Happen, settings: Settings
) -> None:
    settings.CHANNELS = ("ops",)
    for topic in ("revoked", "stop"):
        Route.objects.create(topic=topic, channels=["ops"])
    happen("stop:pressed", "stop:7", actor="dana")
    happen("grant:revoked", grant.subject, actor="dana", stop=7)

    assert told(topic="stop") == {"ops"}
    assert told(topic="revoked") == {"alice"}


def test_every_kind_of_the_table_is_in_a_test() -> None:
    tested = {
        "request:state:pending",
        *OF_A_REQUEST,
        *OF_A_GRANT,
        *OF_AN_ACCOUNT,
        *OF_THE_RED_BUTTON,
        *OF_THE_SECOND_ADMIN,
        *OF_AN_ACCESS_REVIEW,
        *(kind for kind, *_ in OF_A_PERSON),
        "request:stage",
        "proposal:opened",
        *PROPOSAL_ENDS,
    }
    assert tested >= KINDS


def test_keys_are_single_and_fit_their_column() -> None:
    assert len(BY_KEY) == len(TOPICS)
    assert max(len(one.key) for one in TOPICS) <= 20
    assert all(one.with_topic in {"", *BY_KEY} for one in TOPICS)


# --- Requests --------------------------------------------------------------------------------


def test_approvers_are_told_of_a_request_and_its_requester_is_not(
    asked: AccessRequest, alice: User, charlie: User, happen: Happen
) -> None:
    first_stage(asked.offer).people.add(alice, charlie)
    happen("request:state:pending", asked.subject, actor="alice", request=asked.code)

    assert told() == {"bob", "charlie"}


def test_those_who_were_asked_are_told_that_it_is_decided_except_who_did_it(
    asked: AccessRequest, charlie: User, happen: Happen
) -> None:
    first_stage(asked.offer).people.add(charlie)
    happen("request:state:pending", asked.subject, actor="alice", request=asked.code)
    gather()

    happen("request:state:approved", asked.subject, actor="bob", request=asked.code)

    assert told(topic="settled") == {"charlie"}


def test_each_stage_is_asked_when_it_opens(
    offer: Offer, alice: User, bob: User, charlie: User, happen: Happen
) -> None:
    ApprovalStageFactory.create(offer=offer, people=[bob, charlie])
    asked = AccessRequestFactory.create(
        offer=offer, requester=alice, approvals_needed=2, quorums=[1, 1]
    )
    happen("request:state:pending", asked.subject, actor="alice", request=asked.code)
    assert told() == {"bob"}

    DecisionFactory.create(
        request=asked, approver=bob, fingerprint=fingerprint(spec_for_request(asked))
    )
    event = happen("request:approval", asked.subject, actor="bob", request=asked.code)

    assert told(topic="asked", event=event) == {"charlie"}


def test_whoever_is_asked_because_an_approval_counts_no_more_is_told(
    asked: AccessRequest, charlie: User, happen: Happen
) -> None:
    happen("request:state:pending", asked.subject, actor="alice", request=asked.code)
    assert told() == {"bob"}
    first_stage(asked.offer).people.set([charlie])

    event = happen("request:stage", asked.subject, actor="system:sweeper", request=asked.code)

    assert told(event=event) == {"charlie"}


def test_an_answer_goes_to_who_asked(asked: AccessRequest, charlie: User, happen: Happen) -> None:
    first_stage(asked.offer).people.add(charlie)
    happen("request:question", asked.subject, actor="charlie", request=asked.code)
    happen("request:answer", asked.subject, actor="alice", request=asked.code)

    assert told(topic="answer") == {"charlie"}


def test_a_remark_before_any_question_goes_to_the_approvers(
    asked: AccessRequest, happen: Happen
) -> None:
    happen("request:answer", asked.subject, actor="alice", request=asked.code)

    assert told() == {"bob"}


def test_an_extension_is_asked_of_the_approvers_by_its_own_code(
    grant: Grant, alice: User, happen: Happen
) -> None:
    extension = AccessRequest.objects.create(
        requester=alice,
        identity=grant.identity,
        offer=grant.request.offer,
        profile_version=grant.profile_version,
        duration=timedelta(minutes=30),
        extends=grant,
        extends_until=grant.ends_at + timedelta(minutes=30),
        reason="It takes longer.",
        lapses_at=grant.ends_at,
    )
    happen("request:state:pending", extension.subject, actor="alice", request=extension.code)

    assert told() == {"bob"}
    assert Reminder.objects.get().request == extension


def test_who_revokes_their_own_access_is_not_told(grant: Grant, happen: Happen) -> None:
    happen("grant:revoked", grant.subject, actor="alice")

    assert told() == set()


def test_the_end_of_revoked_access_says_nothing_new(grant: Grant, happen: Happen) -> None:
    Grant.objects.filter(pk=grant.pk).update(revoked_at=database_now(), revoked_by="dana")
    happen("grant:phase:ended", grant.subject)

    assert told() == set()


@pytest.mark.parametrize(("attempt", "who"), [(2, set()), (3, {"alice", "dana"}), (4, set())])
def test_trouble_is_told_once_when_a_person_should_look(
    attempt: int, who: set[str], grant: Grant, happen: Happen
) -> None:
    happen("grant:failed", grant.subject, attempt=attempt)

    assert told() == who


def test_a_failing_connection_is_told_when_it_begins_to_fail(offer: Offer, happen: Happen) -> None:
    subject = offer.pair.target.subject
    for kind in ("failed", "failed", "passed", "failed"):
        happen(f"account:check:{kind}", subject)
    gather()

    assert Notice.objects.filter(topic="connection").count() == 2


def test_nobody_who_is_switched_off_is_told(grant: Grant, alice: User, happen: Happen) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    happen("grant:phase:ended", grant.subject)

    assert told() == set()


# --- Once ------------------------------------------------------------------------------------


def test_an_event_is_taken_up_once(grant: Grant, happen: Happen) -> None:
    happen("grant:phase:active", grant.subject)

    assert [gather(), gather()] == [1, 0]
    assert Notice.objects.count() == 1


def test_an_event_whose_number_is_lower_than_one_seen_before_is_found(
    grant: Grant, happen: Happen
) -> None:
    late = happen("grant:phase:ended", grant.subject)
    number = late.pk
    seen = happen("grant:phase:active", grant.subject)
    # As if the transaction of `late` had not been committed yet.
    HeardEvent.objects.create(event_id=number)
    gather()
    HeardEvent.objects.filter(event_id=number).delete()

    assert gather() == 1
    assert set(Notice.objects.values_list("event", flat=True)) == {number, seen.pk}


def test_what_is_long_settled_is_not_looked_at_again(
    grant: Grant, happen: Happen, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = happen("grant:phase:active", grant.subject)
    monkeypatch.setattr(gathering, "SETTLED", timedelta(0))
    monkeypatch.setattr(gathering, "MOVE_EVERY", timedelta(0))
    gather()

    gather()

    assert Reading.objects.get().after >= event.pk
    assert not HeardEvent.objects.exists()
    assert gather() == 0


def test_the_delivery_log_forgets_after_half_a_year(
    grant: Grant, alice: User, happen: Happen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "MOVE_EVERY", timedelta(0))
    event = happen("grant:phase:pending", grant.subject)
    long_ago = database_now() - timedelta(days=181)
    for number, done_at in enumerate([long_ago, database_now(), None]):
        Notice.objects.create(
            event=event,
            topic="active",
            person=alice,
            channel="mail",
            number=number,
            state="sent" if done_at else "waiting",
            done_at=done_at,
            next_try_at=None if done_at else long_ago,
        )

    gather()

    assert list(Notice.objects.order_by("number").values_list("number", flat=True)) == [1, 2]


def test_a_broken_event_does_not_keep_others_from_being_told(grant: Grant, happen: Happen) -> None:
    broken = happen("grant:phase:active", "grant:nobodyknows1")
    happen("grant:phase:active", grant.subject)

    assert told() == {"alice"}
    assert not HeardEvent.objects.filter(event_id=broken.pk).exists()


def test_an_event_that_stays_broken_is_given_up(
    happen: Happen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "SETTLED", timedelta(0))
    happen("grant:phase:active", "grant:nobodyknows1")

    assert [gather(), gather()] == [1, 0]


def test_the_database_refuses_to_tell_somebody_twice(
    grant: Grant, alice: User, happen: Happen
) -> None:
    event = happen("grant:phase:active", grant.subject)
    for values in ({"person": alice, "channel": "mail"}, {"channel": "ops"}):
        Notice.objects.create(event=event, topic="active", **values)
        name = "notice_once_per_person" if "person" in values else "notice_once_per_channel"
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            Notice.objects.create(event=event, topic="active", **values)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"state": "read"}, "notice_state_is_known"),
        ({"state": "sent"}, "notice_waits_or_is_done"),
        ({"channel": "ops"}, "notice_mail_goes_to_a_person"),
    ],
)
def test_the_database_refuses_what_no_notice_can_be(
    values: dict[str, str], rule: str, grant: Grant, alice: User, happen: Happen
) -> None:
    event = happen("grant:phase:active", grant.subject)
    with pytest.raises(IntegrityError, match=rule):
        Notice.objects.create(
            **{"event": event, "topic": "active", "person": alice, "channel": "mail"} | values
        )


# --- Choices ---------------------------------------------------------------------------------


def test_who_does_not_want_a_topic_is_left_in_peace(
    grant: Grant, alice: User, happen: Happen
) -> None:
    every = [one.key for one in TOPICS]
    Preferences.objects.create(person=alice, muted=every)
    happen("grant:phase:active", grant.subject)
    assert told() == set()

    happen("grant:revoked", grant.subject, actor="dana")
    assert told() == {"alice"}, "what is always told cannot be switched off"


def test_who_wants_no_requests_is_not_told_of_their_decisions_either(
    asked: AccessRequest, charlie: User, happen: Happen
) -> None:
    first_stage(asked.offer).people.add(charlie)
    happen("request:state:pending", asked.subject, actor="alice", request=asked.code)
    gather()
    Preferences.objects.create(person=charlie, muted=["asked"])

    happen("request:state:approved", asked.subject, actor="bob", request=asked.code)

    assert told(topic="settled") == set()


def test_a_team_channel_stands_in_for_mail_to_many(
    asked: AccessRequest, happen: Happen, settings: Settings
) -> None:
    settings.CHANNELS = ("ops",)
    route = Route.objects.create(topic="asked", channels=["ops", "gone"], people=True)
    happen("request:state:pending", asked.subject, actor="alice", request=asked.code)
    assert told() == {"bob", "ops"}

    Notice.objects.all().delete()
    Route.objects.filter(pk=route.pk).update(people=False)
    happen("request:state:pending", asked.subject, actor="alice", request=asked.code)
    assert told() == {"ops"}

    happen("request:state:rejected", asked.subject, actor="bob", request=asked.code)
    assert told(topic="settled") == {"ops"}


def test_a_team_channel_never_keeps_a_holder_from_being_told(
    grant: Grant, happen: Happen, settings: Settings
) -> None:
    settings.CHANNELS = ("ops",)
    Route.objects.create(topic="active", channels=["ops"], people=False)
    happen("grant:phase:active", grant.subject)

    assert told() == {"alice", "ops"}


def test_somebody_without_an_address_shows_in_the_log(
    grant: Grant, alice: User, happen: Happen
) -> None:
    User.objects.filter(pk=alice.pk).update(email="")
    happen("grant:phase:active", grant.subject)
    gather()

    notice = Notice.objects.get()
    assert (notice.state, notice.note) == ("dropped", "They have no mail address.")


def test_without_a_sender_nobody_is_told_by_mail(
    grant: Grant, happen: Happen, settings: Settings
) -> None:
    settings.MAIL_FROM = ""
    happen("grant:phase:active", grant.subject)

    assert told() == set()


def test_only_admins_choose_topics_of_admins(alice: User, dana: User) -> None:
    assert {one.key for one in topics_for(dana)} - {one.key for one in topics_for(alice)} == {
        "drift",
        "connection",
        "proposal",
        "review-closed",
        "second-admin",
        "stop",
    }


# --- Reminders -------------------------------------------------------------------------------


def make_due() -> None:
    Reminder.objects.update(due_at=database_now())


def test_who_can_decide_by_now_is_reminded_while_the_request_waits(
    asked: AccessRequest, charlie: User, happen: Happen
) -> None:
    happen("request:state:pending", asked.subject, actor="alice", request=asked.code)
    assert told() == {"bob"}
    first = Reminder.objects.get().due_at
    assert first == asked.asked_at + timedelta(minutes=15)

    first_stage(asked.offer).people.add(charlie)
    make_due()
    assert told(number=1) == {"bob", "charlie"}
    assert Reminder.objects.get().due_at == asked.asked_at + timedelta(hours=1)

    make_due()
    assert told(number=2) == {"bob", "charlie"}


def test_what_a_rule_approved_at_once_is_asked_of_nobody(
    asked: AccessRequest, happen: Happen
) -> None:
    happen("request:state:pending", asked.subject, actor="alice", request=asked.code)
    AccessRequest.objects.filter(pk=asked.pk).update(state="cancelled")

    assert told() == set()
    assert not Reminder.objects.exists()


def test_nobody_is_reminded_of_what_is_decided(asked: AccessRequest, happen: Happen) -> None:
    happen("request:state:pending", asked.subject, actor="alice", request=asked.code)
    gather()
    AccessRequest.objects.filter(pk=asked.pk).update(state="cancelled")
    make_due()

    assert told(number=1) == set()
    assert not Reminder.objects.exists()


# --- Cost ------------------------------------------------------------------------------------


def test_a_round_with_nothing_to_do_costs_the_same_whatever_has_happened(
    grant: Grant, happen: Happen, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(20):
        happen("grant:phase:active", grant.subject)
    gather()
    with django_assert_num_queries(7):
        assert gather() == 0
    assert AuditEvent.objects.count() >= 20


def test_an_event_costs_the_same_for_one_approver_and_for_many(
    asked: AccessRequest, happen: Happen, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    first_stage(asked.offer).people.add(*UserFactory.create_batch(2))
    happen("request:state:pending", asked.subject, actor="alice", request=asked.code)
    with django_assert_max_num_queries(200) as few:
        gather()
    first_stage(asked.offer).people.add(*UserFactory.create_batch(20))
    happen("request:state:rejected", asked.subject, actor="bob", request=asked.code)
    gather()
    happen("request:state:pending", asked.subject, actor="alice", request=asked.code)
    with django_assert_max_num_queries(200) as many:
        gather()

    assert len(many) <= len(few)


def test_grants_of_others_concern_nobody_else(
    offer: Offer, charlie: User, bob: User, happen: Happen
) -> None:
    other = GrantFactory.create(
        request__offer=offer, request__requester=charlie, phase="active", approver=bob
    )
    happen("grant:phase:active", other.subject)

    assert told() == {"charlie"}
