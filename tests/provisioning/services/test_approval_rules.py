"""Stages, the automatic rule, tickets, several offers at once: what services and triggers hold."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from pytest_django import DjangoAssertNumQueries

from accounts.models import ApprovalStage, IamIdentity, Offer, User
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import approvals, authz, hooks, lifecycle, rules, services
from provisioning.core.plan import fingerprint
from provisioning.engine import autoapprove
from provisioning.engine.converge import converge
from provisioning.lifecycle.grants import start_grant
from provisioning.models import AccessRequest, Decision, Grant, RuleApproval, Stop
from provisioning.services.terms import change_terms
from provisioning.specs import spec_for_request
from provisioning.sweep import Sweeper
from tests.conftest import ClientFor
from tests.factories import (
    AccessRequestFactory,
    ApprovalStageFactory,
    DecisionFactory,
    GroupFactory,
    OfferFactory,
    UserFactory,
    first_stage,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def fresh(request: AccessRequest) -> AccessRequest:
    return AccessRequest.objects.with_parties().get(pk=request.pk)


def mark(request: AccessRequest) -> str:
    return fingerprint(spec_for_request(fresh(request)))


def say(person: User, request: AccessRequest, verdict: str = "approved") -> Grant | None:
    return services.decide(
        approver=person,
        request=fresh(request),
        verdict=Decision.Verdict(verdict),
        fingerprint=mark(request),
        reason="x",
    )


# --- Stages ----------------------------------------------------------------------------------


@pytest.fixture
def security(db: None) -> list[User]:
    return [UserFactory.create(username=f"security{n}") for n in range(3)]


@pytest.fixture
def staged(offer: Offer, security: list[User]) -> Offer:
    """Bob first, then two of three of Security."""
    ApprovalStageFactory.create(offer=offer, name="Security", quorum=2, people=security)
    return offer


@pytest.fixture
def asked(staged: Offer, alice: User) -> AccessRequest:
    return services.request_access(requester=alice, offer=staged, duration=HOUR, reason="x")


def test_stages_are_asked_one_after_the_other(
    asked: AccessRequest, bob: User, security: list[User]
) -> None:
    one, two, three = security
    assert (asked.approvals_needed, asked.quorums) == (3, [1, 2])
    assert approvals.asked_now(fresh(asked)) == {bob.pk}
    with pytest.raises(services.Refused) as caught:
        say(one, asked)
    assert caught.value.reasons == (
        "The stage “Approval” is asked at this moment, and you are not named in it.",
    )

    assert say(bob, asked) is None
    assert approvals.asked_now(fresh(asked)) == {one.pk, two.pk, three.pk}
    assert say(three, asked) is None
    grant = say(one, asked)

    assert grant is not None
    told = list(asked.decisions.order_by("pk").values_list("approver", "stage"))
    assert told == [(bob.pk, "Approval"), (three.pk, "Security"), (one.pk, "Security")]
    assert rules.lost_since(grant) == ""


def test_lists_show_a_request_to_the_stage_that_is_asked(
    asked: AccessRequest, alice: User, bob: User, security: list[User]
) -> None:
    def waits_for() -> list[User]:
        people = (alice, bob, *security)
        return [one for one in people if AccessRequest.objects.asking(one).exists()]

    assert waits_for() == [bob]
    say(bob, asked)
    assert waits_for() == security
    # A stage that is gone leaves what it asked for to the last one, where bob has said his.
    asked.offer.stages.filter(position=2).delete()
    first_stage(asked.offer).people.add(alice, security[1])
    assert waits_for() == [security[1]]


def waits_for(request: AccessRequest) -> set[str]:
    """In whose list of what waits for them a request is."""
    asking = AccessRequest.objects.asking
    people = User.objects.filter(is_active=True)
    return {one.username for one in people if asking(one).filter(pk=request.pk)}


def is_asked(request: AccessRequest) -> set[str]:
    """Whose approval would bring a request on, by the rule itself."""
    found = User.objects.filter(pk__in=approvals.asked_now(fresh(request)))
    return set(found.values_list("username", flat=True))


def test_lists_follow_when_an_admin_turns_the_stages_round(
    staged: Offer, alice: User, bob: User, security: list[User]
) -> None:
    asked = AccessRequestFactory.create(offer=staged, requester=alice, approvals_needed=3)
    say(bob, asked)
    assert waits_for(asked) == is_asked(asked) == {"security0", "security1", "security2"}
    first, second = staged.stages.order_by("position")
    first.people.set(security)
    second.people.set([bob])
    ApprovalStage.objects.filter(pk=first.pk).update(quorum=2)
    ApprovalStage.objects.filter(pk=second.pk).update(quorum=1)
    assert waits_for(asked) == set(), "until the next round"

    Sweeper().sweep()

    assert waits_for(asked) == is_asked(asked) == {"security0", "security1", "security2"}
    event = AuditEvent.objects.get(kind="request:stage")
    assert (event.actor, event.subject) == ("system:sweeper", asked.subject)
    assert event.data == {"request": asked.code, "stage": 1}
    assert event.sentence == "Which approvals count has changed: the stage “Approval” is asked now."


def named_no_more(offer: Offer, bob: User) -> None:
    first_stage(offer).people.remove(bob)


def switched_off(offer: Offer, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(is_active=False)


def relinked(offer: Offer, bob: User) -> None:
    IamIdentity.objects.filter(person__username="alice").update(unique_id="AIDAANOTHERANOTHER000")


@pytest.mark.parametrize(
    ("change", "asked_again"),
    [
        (named_no_more, {"carl"}),
        (switched_off, {"carl"}),
        # Another plan: whoever approved the former one is asked too.
        (relinked, {"bob", "carl"}),
    ],
)
def test_lists_follow_when_an_approval_does_not_count_any_more(
    change: Callable[[Offer, User], None], asked_again: set[str], asked: AccessRequest, bob: User
) -> None:
    first_stage(asked.offer).people.add(UserFactory.create(username="carl"))
    say(bob, asked)
    change(asked.offer, bob)
    assert waits_for(asked) == {"security0", "security1", "security2"}, "until the next round"

    for _ in range(2):
        Sweeper().sweep()
        assert waits_for(asked) == is_asked(asked) == asked_again

    assert AuditEvent.objects.filter(kind="request:stage").count() == 1


def test_other_terms_ask_the_first_stage_again_at_once(
    asked: AccessRequest, bob: User, security: list[User]
) -> None:
    say(bob, asked)
    change_terms(
        person=security[0], request=fresh(asked), duration=timedelta(minutes=30), starts_at=None
    )
    assert waits_for(asked) == is_asked(asked) == {"bob"}

    change_terms(person=bob, request=fresh(asked), duration=HOUR, starts_at=None)
    assert waits_for(asked) == is_asked(asked) == {"security0", "security1", "security2"}


def test_the_inbox_counts_the_approvals_that_count(
    asked: AccessRequest, bob: User, security: list[User], client_for: ClientFor
) -> None:
    say(bob, asked)
    say(security[0], asked)

    def words() -> str:
        return client_for(security[1]).get("/approvals/").content.decode()

    assert "2 of 3 approvals" in words()
    asked.offer.stages.get(position=2).people.remove(security[0])
    assert "1 of 3 approvals" in words()


def test_a_round_goes_on_although_stages_could_not_be_looked_at(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []
    monkeypatch.setattr(lifecycle, "renew_stages", lambda **how: 1 // 0)
    monkeypatch.setattr(hooks, "AFTER_SWEEP", [done.append])

    Sweeper().sweep()

    assert len(done) == 1


def test_a_round_takes_few_queries_for_many_and_the_next_one_goes_on(
    staged: Offer, bob: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        assert lifecycle.renew_stages(after=0, limit=2) == 0
    made = [
        AccessRequestFactory.create(offer=staged, quorums=[1, 2], approvals_needed=3, stage=2)
        for _ in range(3)
    ]
    for one in made:
        DecisionFactory.create(request=one, approver=bob, fingerprint=mark(one))
        AccessRequest.objects.filter(pk=one.pk).update(approved_mark=mark(one))

    with django_assert_num_queries(5):
        assert lifecycle.renew_stages(after=0, limit=2) == made[1].pk
    with django_assert_num_queries(5):
        assert lifecycle.renew_stages(after=made[1].pk, limit=2) == 0


def test_whoever_is_in_two_stages_counts_once(
    asked: AccessRequest, bob: User, security: list[User]
) -> None:
    asked.offer.stages.get(position=2).people.add(bob)
    say(bob, asked)
    with pytest.raises(services.Refused, match="You have decided on this plan already"):
        say(bob, asked)
    say(security[0], asked)
    assert say(security[1], asked) is not None


def test_a_rejection_in_any_stage_ends_it(asked: AccessRequest, bob: User, security: Any) -> None:
    say(bob, asked)
    say(security[0], asked, "rejected")
    assert fresh(asked).state == "rejected"


def test_what_was_pinned_holds_when_the_offer_asks_for_less(
    asked: AccessRequest, bob: User, security: list[User]
) -> None:
    asked.offer.stages.filter(position=2).update(quorum=1)
    say(bob, asked)
    assert say(security[0], asked) is None
    assert say(security[1], asked) is not None


def test_what_the_offer_asks_for_by_now_holds_when_it_is_more(
    asked: AccessRequest, bob: User, security: list[User]
) -> None:
    asked.offer.stages.filter(position=2).update(quorum=3)
    for person in (bob, *security[:2]):
        assert say(person, asked) is None
    assert say(security[2], asked) is not None


@pytest.mark.parametrize("change", ["left", "raised"])
def test_a_worker_asks_again_whether_every_stage_still_stands(
    change: str, asked: AccessRequest, bob: User, security: list[User]
) -> None:
    say(bob, asked)
    say(security[0], asked)
    grant = say(security[1], asked)
    assert grant is not None
    if change == "left":
        asked.offer.stages.get(position=2).people.remove(security[1])
        words = "The approver no longer is an approver of this offer."
    else:
        asked.offer.stages.filter(position=2).update(quorum=3)
        words = "The offer asks for more approvals by now; those that were given are not enough."
    assert rules.lost_since(Grant.objects.with_parties().get(pk=grant.pk)) == words


def test_too_few_different_people_for_all_stages_are_told_before_asking(
    staged: Offer, alice: User, security: list[User]
) -> None:
    staged.stages.get(position=2).people.set(security[:1])
    assert authz.can_request(alice, staged).reasons == (
        "This offer needs 3 different approvers, and too few people other than you can approve. "
        "Ask an admin to add an approver.",
    )


def test_the_database_counts_people_over_all_stages(
    asked: AccessRequest, bob: User, security: list[User]
) -> None:
    for person in (bob, security[0]):
        DecisionFactory.create(request=asked, approver=person, fingerprint=mark(asked))
    with pytest.raises(IntegrityError, match="grant_needs_an_approval"):
        start_grant(fresh(asked), fingerprint=mark(asked), actor="bob", now=database_now())


# --- The automatic rule ----------------------------------------------------------------------


@pytest.fixture
def on_call(alice: User) -> Any:
    group = GroupFactory.create(name="On call")
    alice.groups.add(group)
    return group


@pytest.fixture
def ruled(offer: Offer, on_call: Any) -> Offer:
    offer.sensitivity, offer.auto_approve, offer.auto_longest = "low", True, HOUR
    offer.auto_group = on_call
    offer.save()
    return offer


@pytest.fixture
def simple(ruled: Offer, alice: User) -> AccessRequest:
    return services.request_access(requester=alice, offer=ruled, duration=HOUR, reason="x")


def looked(request: AccessRequest, level: str = "ok", **changed: Any) -> None:
    """As if a worker had looked and found this."""
    finding = {"key": "x", "level": level, "title": "", "sentence": "", "mend": "", "who": ""}
    seen = {"steps": [], "problem": "", "findings": [finding], "fingerprint": mark(request)}
    AccessRequest.objects.filter(pk=request.pk).update(
        preview=seen | changed, previewed_at=database_now(), next_look_at=None
    )


def test_a_rule_approves_after_a_clean_look(simple: AccessRequest) -> None:
    assert autoapprove.decide(simple.pk) is None, "nobody has looked yet"
    looked(simple)

    grant = autoapprove.decide(simple.pk)

    assert grant is not None
    request = fresh(simple)
    assert (request.state, request.decision) == ("approved", None)
    assert request.rule_approval.fingerprint == grant.fingerprint == mark(simple)
    event = AuditEvent.objects.get(kind="request:state:approved")
    assert event.actor == "system:rule"
    assert rules.lost_since(Grant.objects.with_parties().get(pk=grant.pk)) == ""
    assert autoapprove.decide(simple.pk) is None, "once is enough"
    told = [one["sentence"] for one in request.rule_approval.trace]
    assert "Every condition of the rule held, so nobody had to decide." in told


@pytest.mark.parametrize("level", ["warn", "unknown", "blocks"])
def test_anything_a_worker_does_not_like_goes_to_people(simple: AccessRequest, level: str) -> None:
    looked(simple, level)
    assert autoapprove.decide(simple.pk) is None


@pytest.mark.parametrize(
    "changed", [{"problem": "No answer."}, {"findings": []}, {"fingerprint": "0" * 64}]
)
def test_an_incomplete_look_or_one_at_another_plan_goes_to_people(
    simple: AccessRequest, changed: dict[str, Any]
) -> None:
    looked(simple, **changed)
    assert autoapprove.decide(simple.pk) is None


def test_a_rule_that_no_longer_holds_does_not_decide(
    simple: AccessRequest, alice: User, on_call: Any
) -> None:
    looked(simple)
    alice.groups.remove(on_call)
    assert autoapprove.decide(simple.pk) is None
    assert rules.objections(fresh(simple), database_now()) == (
        "The requester is not in the group On call.",
    )


def test_a_person_who_spoke_first_keeps_the_rule_out(simple: AccessRequest, bob: User) -> None:
    looked(simple)
    say(bob, simple, "rejected")
    assert autoapprove.decide(simple.pk) is None
    assert not Grant.objects.exists()


def test_a_requester_who_may_not_ask_any_more_gets_nothing_from_a_rule(
    simple: AccessRequest, alice: User, ruled: Offer
) -> None:
    looked(simple)
    ruled.eligible_users.remove(alice)
    assert autoapprove.decide(simple.pk) is None


def test_no_rule_decides_while_a_red_button_ends_what_it_would_give(simple: AccessRequest) -> None:
    looked(simple)
    Stop.objects.create(scope="everything", key=uuid4(), pressed_by="dana", reason="x")
    assert autoapprove.decide(simple.pk) is None


@pytest.mark.parametrize("what", ["no rule", "shorter", "another group"])
def test_a_worker_gives_nothing_when_the_rule_was_taken_away_since(
    what: str, simple: AccessRequest, ruled: Offer
) -> None:
    looked(simple)
    grant = autoapprove.decide(simple.pk)
    assert grant is not None
    match what:
        case "no rule":
            Offer.objects.filter(pk=ruled.pk).update(auto_approve=False)
        case "shorter":
            Offer.objects.filter(pk=ruled.pk).update(auto_longest=timedelta(minutes=5))
        case "another group":
            Offer.objects.filter(pk=ruled.pk).update(auto_group=GroupFactory.create())
    converge(grant.pk)
    grant.refresh_from_db()
    assert grant.revoke_reason == "The rule that approved this does not hold any more."


FORGED: dict[str, dict[str, Any]] = {
    "no rule": {"auto_approve": False},
    "normal sensitivity": {"auto_approve": False, "sensitivity": "normal"},
    "too long": {"auto_longest": timedelta(minutes=30)},
    "closed": {"is_active": False},
}


@pytest.mark.parametrize("case", [*FORGED, "two approvers", "not on call", "never looked"])
def test_the_database_refuses_a_forged_approval_by_rule(
    case: str, simple: AccessRequest, ruled: Offer, alice: User, on_call: Any
) -> None:
    if case != "never looked":
        looked(simple)
    Offer.objects.filter(pk=ruled.pk).update(**FORGED.get(case, {"is_listed": True}))
    if case == "two approvers":
        ruled.stages.update(quorum=2)
    if case == "not on call":
        alice.groups.remove(on_call)
    with pytest.raises(IntegrityError, match="rule_approval_follows_its_rule"):
        RuleApproval.objects.create(
            request=simple, fingerprint=mark(simple), decided_at=database_now()
        )


def test_the_database_refuses_a_rule_where_somebody_has_decided(
    simple: AccessRequest, bob: User
) -> None:
    looked(simple)
    DecisionFactory.create(request=simple, approver=bob)
    with pytest.raises(IntegrityError, match="rule_approval_follows_its_rule"):
        RuleApproval.objects.create(request=simple, fingerprint="0" * 64, decided_at=database_now())


@pytest.mark.parametrize("what", ["update", "delete"])
def test_an_approval_by_rule_never_changes(simple: AccessRequest, what: str) -> None:
    looked(simple)
    autoapprove.decide(simple.pk)
    rows = RuleApproval.objects.filter(request=simple)
    with pytest.raises(IntegrityError, match="rule_approval_is_immutable"):
        rows.update(fingerprint="1" * 64) if what == "update" else rows.delete()


def test_a_grant_needs_the_approval_of_its_own_plan_by_rule_too(simple: AccessRequest) -> None:
    looked(simple)
    RuleApproval.objects.create(request=simple, fingerprint=mark(simple), decided_at=database_now())
    with pytest.raises(IntegrityError, match="grant_needs_an_approval"):
        start_grant(fresh(simple), fingerprint="f" * 64, actor="system:rule", now=database_now())


# --- Tickets, several offers, the trace ------------------------------------------------------


@pytest.mark.parametrize(
    ("ticket", "code"),
    [
        ("", "ticket_required"),
        ("OPS", "ticket_malformed"),
        ("OPS-1x", "ticket_malformed"),
        ("XOPS-1", "ticket_malformed"),
        ("OPS-1", None),
    ],
)
def test_a_ticket_is_matched_as_a_whole(
    offer: Offer, alice: User, ticket: str, code: str | None
) -> None:
    offer.ticket_required, offer.ticket_pattern = True, "OPS-[0-9]+"
    offer.save()
    wish: dict[str, Any] = {"requester": alice, "offer": offer, "duration": HOUR, "reason": "x"}
    if code is None:
        assert services.request_access(**wish, ticket=ticket).ticket == "OPS-1"
        return
    with pytest.raises(ValidationError) as caught:
        services.request_access(**wish, ticket=ticket)
    assert [one.code for one in caught.value.error_dict["ticket"]] == [code]


@pytest.fixture
def others(offer: Offer, alice: User, bob: User) -> list[Offer]:
    return [
        OfferFactory.create(
            pair__source=offer.pair.source, eligible_users=[alice], approver_users=[bob]
        )
        for _ in range(2)
    ]


def wishes(*offers: Offer) -> list[services.Wish]:
    return [services.Wish(one, HOUR) for one in offers]


def test_several_offers_are_asked_for_in_one_go_and_decided_each(
    offer: Offer, others: list[Offer], alice: User, bob: User
) -> None:
    made = services.request_together(
        requester=alice, wishes=wishes(offer, *others), reason="Release 12"
    )
    assert len({one.batch for one in made}) == 1
    assert made[0].batch is not None
    assert [one.offer for one in made] == [offer, *others]
    say(bob, made[0])
    states = list(AccessRequest.objects.order_by("pk").values_list("state", flat=True))
    assert states == ["approved", "pending", "pending"]


def test_of_several_offers_all_are_asked_for_or_none(
    offer: Offer, others: list[Offer], alice: User
) -> None:
    others[1].max_duration = timedelta(minutes=30)
    others[1].save()
    with pytest.raises(ValidationError) as caught:
        services.request_together(requester=alice, wishes=wishes(offer, *others), reason="x")
    assert caught.value.messages == [
        f"{others[1]}: Choose between 5 min and 30 min: that is what this offer allows."
    ]
    others[0].eligible_users.clear()
    with pytest.raises(services.Refused, match="is not open to you"):
        services.request_together(requester=alice, wishes=wishes(offer, *others), reason="x")
    assert not AccessRequest.objects.exists()
    assert AuditEvent.objects.get().kind == "request:ask:refused"


def test_a_single_request_belongs_to_no_batch(offer: Offer, alice: User) -> None:
    made = services.request_access(requester=alice, offer=offer, duration=HOUR, reason="x")
    assert made.batch is None


def test_a_request_waits_as_long_as_its_offer_says(offer: Offer, alice: User) -> None:
    offer.request_lifetime = timedelta(minutes=20)
    offer.save()
    made = services.request_access(requester=alice, offer=offer, duration=HOUR, reason="x")
    wait = made.lapses_at - database_now()
    assert timedelta(minutes=19) < wait <= timedelta(minutes=20)


def test_the_trace_is_stored_when_asked_and_again_with_the_decision(
    offer: Offer, alice: User, bob: User
) -> None:
    made = services.request_access(requester=alice, offer=offer, duration=HOUR, reason="x")
    first_stage(offer).people.add(UserFactory.create(username="new", first_name="New"))
    say(bob, made)

    def who_approves(trace: list[dict[str, Any]]) -> list[str]:
        return [one["sentence"] for one in trace if one["topic"] == "Who approves"]

    request = fresh(made)
    assert who_approves(request.trace) == ["1 person of Bob Brandt must approve."]
    decided = request.decisions.get()
    assert who_approves(decided.trace) == ["1 person of Bob Brandt, New must approve."]
    assert decided.trace[-1]["sentence"] == "Bob Brandt approved in the stage “Approval”."


@pytest.mark.parametrize("field", ["ticket", "batch", "quorums", "trace"])
def test_under_which_rules_something_was_asked_never_changes(
    offer: Offer, alice: User, field: str
) -> None:
    made = AccessRequestFactory.create(offer=offer, requester=alice)
    value: Any = {"ticket": "X", "batch": "0" * 32}.get(field, [1])
    with pytest.raises(IntegrityError, match="request_keeps_its_rules"):
        AccessRequest.objects.filter(pk=made.pk).update(**{field: value})
