"""Several people in the same moment: one wins, the others are told so."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection, transaction

from accounts.models import Offer, User
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import lifecycle, services, specs
from provisioning.core.plan import fingerprint
from provisioning.engine import retirement
from provisioning.models import AccessRequest, Decision, Grant, Stop
from provisioning.services import break_glass, retire
from tests.factories import (
    AccessRequestFactory,
    DecisionFactory,
    GrantFactory,
    GroupFactory,
    UserFactory,
    first_stage,
)

pytestmark = pytest.mark.django_db(transaction=True)
ACTORS = 8
HOUR = timedelta(hours=1)


def at_once[T](*deeds: Callable[[], T]) -> list[T | Exception]:
    """Do all of these in threads of their own that start together."""
    gate = threading.Barrier(len(deeds))

    def run(deed: Callable[[], T]) -> T | Exception:
        gate.wait(timeout=30)
        try:
            return deed()
        except (services.Refused, lifecycle.StaleState, ValidationError) as refused:
            return refused
        finally:
            connection.close()

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(run, deeds))


def winners[T](answers: list[T | Exception]) -> int:
    return sum(not isinstance(answer, Exception) for answer in answers)


def test_a_sweeper_does_not_wait_for_somebody_who_decides(
    offer: Offer, alice: User, bob: User
) -> None:
    """Bob's approval does not count any more, but his browser's process is frozen in a decision."""
    asked = AccessRequestFactory.create(
        offer=offer, requester=alice, stage=2, approvals_needed=2, quorums=[2]
    )
    shown = fingerprint(specs.spec_for_request(asked))
    DecisionFactory.create(request=asked, approver=bob, fingerprint=shown)

    def renew() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        return lifecycle.renew_stages(after=0, limit=5)

    with transaction.atomic():
        AccessRequest.objects.select_for_update(of=("self",)).get(pk=asked.pk)
        assert at_once(renew) == [0]
    asked.refresh_from_db()
    assert asked.stage == 2

    assert at_once(renew) == [0]
    asked.refresh_from_db()
    assert asked.stage == 1


def test_of_many_verdicts_one_counts(offer: Offer, alice: User) -> None:
    approvers = UserFactory.create_batch(ACTORS)
    first_stage(offer).people.set(approvers)
    asked = AccessRequestFactory.create(offer=offer, requester=alice)
    shown = fingerprint(specs.spec_for_request(asked))

    def verdict(number: int, person: User) -> Callable[[], Grant | None]:
        kind = Decision.Verdict.REJECTED if number % 2 else Decision.Verdict.APPROVED
        return lambda: services.decide(
            approver=person, request=asked, verdict=kind, fingerprint=shown, reason="Mine."
        )

    answers = at_once(*(verdict(*pair) for pair in enumerate(approvers)))

    decision = Decision.objects.get()
    asked.refresh_from_db()
    assert winners(answers) == 1
    assert asked.state == decision.verdict
    assert Grant.objects.count() == (decision.verdict == "approved")
    assert AuditEvent.objects.filter(kind__startswith="request:state:").count() == 1


def test_a_verdict_and_a_withdrawal_exclude_each_other(
    offer: Offer, alice: User, bob: User
) -> None:
    asked = AccessRequestFactory.create(offer=offer, requester=alice)
    shown = fingerprint(specs.spec_for_request(asked))

    answers = at_once(
        lambda: services.cancel(person=alice, request=asked),
        lambda: services.decide(
            approver=bob, request=asked, verdict=Decision.Verdict.APPROVED, fingerprint=shown
        ),
    )

    asked.refresh_from_db()
    assert winners(answers) == 1
    assert asked.state in {"cancelled", "approved"}
    assert Grant.objects.exists() == (asked.state == "approved")


def test_a_form_sent_many_times_makes_one_request(offer: Offer, alice: User) -> None:
    def ask() -> AccessRequest:
        return services.request_access(
            requester=alice, offer=offer, duration=timedelta(minutes=30), reason="Again and again."
        )

    answers = at_once(*[ask] * ACTORS)

    assert winners(answers) == 1
    assert AccessRequest.objects.count() == 1


def test_of_many_workers_one_holds_a_grant(offer: Offer, alice: User) -> None:
    grant = GrantFactory.create(request__offer=offer, request__requester=alice)
    now = database_now()

    claims = at_once(*[lambda: lifecycle.claim(grant.pk, now)] * ACTORS)

    assert sum(claim is not None for claim in claims) == 1


def test_nobody_gets_between_the_two_halves_of_a_claim(
    offer: Offer, alice: User, dana: User
) -> None:
    grant = GrantFactory.create(request__offer=offer, request__requester=alice)
    now = database_now()
    others: list[object] = []

    def break_in(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT") and not others:
            others.extend(at_once(revoke_and_claim))
        return execute(sql, params, many, context)

    def revoke_and_claim() -> object:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        try:
            services.revoke(person=dana, grant=grant, reason="Now.")
        except OperationalError as waiting:
            return str(waiting)
        return lifecycle.claim(grant.pk, now)

    with connection.execute_wrapper(break_in):
        mine = lifecycle.claim(grant.pk, now)

    assert mine is not None
    (other,) = others
    assert str(other).startswith("canceling statement due to lock timeout"), other


def test_of_many_revocations_one_counts(offer: Offer, alice: User, dana: User) -> None:
    grant = GrantFactory.create(request__offer=offer, request__requester=alice)

    answers = at_once(*[lambda: services.revoke(person=dana, grant=grant, reason="Now.")] * ACTORS)

    assert winners(answers) == 1
    assert AuditEvent.objects.filter(kind="grant:revoked").count() == 1


def more_time(grant: Grant, alice: User) -> tuple[AccessRequest, str]:
    asked = services.extend_access(
        person=alice, grant=grant, duration=timedelta(minutes=10), reason="More."
    )
    return asked, fingerprint(specs.spec_for_request(asked))


@pytest.fixture
def active(offer: Offer, alice: User) -> Grant:
    return GrantFactory.create(request__offer=offer, request__requester=alice, phase="active")


def test_an_extension_and_a_revocation_at_once_never_leave_a_revoked_grant_extended_later(
    active: Grant, alice: User, bob: User, dana: User
) -> None:
    asked, shown = more_time(active, alice)

    def approve() -> object:
        return services.decide(
            approver=bob, request=asked, verdict=Decision.Verdict.APPROVED, fingerprint=shown
        )

    answers = at_once(approve, lambda: services.revoke(person=dana, grant=active, reason="Now."))

    former = active.ends_at
    active.refresh_from_db()
    asked.refresh_from_db()
    assert not isinstance(answers[1], Exception)
    assert active.revoked_by == "dana"
    extended = not isinstance(answers[0], Exception)
    assert (active.ends_at > former) == extended
    assert asked.state == ("approved" if extended else "expired")


def test_of_many_approvers_of_an_extension_one_counts(
    active: Grant, alice: User, offer: Offer
) -> None:
    approvers = UserFactory.create_batch(ACTORS)
    first_stage(offer).people.set(approvers)
    asked, shown = more_time(active, alice)
    former = active.ends_at

    def approval(person: User) -> Callable[[], Grant | None]:
        return lambda: services.decide(
            approver=person, request=asked, verdict=Decision.Verdict.APPROVED, fingerprint=shown
        )

    answers = at_once(*(approval(person) for person in approvers))

    active.refresh_from_db()
    assert winners(answers) == 1
    assert active.ends_at == former + timedelta(minutes=10)
    assert AuditEvent.objects.filter(kind="grant:extended").count() == 1


def test_a_red_button_is_not_finished_while_somebody_takes_what_it_ends(
    offer: Offer, alice: User, dana: User
) -> None:
    group = GroupFactory.create()
    alice.groups.add(group)
    offer.break_glass_group, offer.break_glass_longest = group, HOUR
    offer.save()
    taken, pressed = threading.Event(), threading.Event()

    def take() -> None:
        with transaction.atomic():
            break_glass.take(person=alice, offer=offer, duration=HOUR, reason="INC-77.")
            taken.set()
            assert pressed.wait(timeout=30)

    def press() -> bool:
        assert taken.wait(timeout=30)
        stop = Stop.objects.create(scope="everything", key=uuid4(), pressed_by="dana", reason="x")
        finished = lifecycle.finish_stop(stop, database_now())
        pressed.set()
        return finished

    finished = at_once(take, press)[1]

    assert finished is False
    stop = Stop.objects.get()
    assert lifecycle.stop_grants(stop, limit=9, now=database_now()) == [Grant.objects.get().pk]
    assert lifecycle.finish_stop(stop, database_now())


def test_more_time_asked_for_many_times_is_one_request(active: Grant, alice: User) -> None:
    answers = at_once(*[lambda: more_time(active, alice)] * ACTORS)

    assert winners(answers) == 1
    assert AccessRequest.objects.filter(extends=active).count() == 1


def test_a_decision_while_its_pair_is_retired_leaves_no_live_grant(
    offer: Offer, alice: User, bob: User, dana: User
) -> None:
    asked = AccessRequestFactory.create(offer=offer, requester=alice)
    shown = fingerprint(specs.spec_for_request(asked))

    at_once(
        lambda: services.decide(
            approver=bob, request=asked, verdict=Decision.Verdict.APPROVED, fingerprint=shown
        ),
        lambda: retire.retire(
            actor=dana,
            thing=offer.pair,
            confirmation=retire.name_of(offer.pair),
            reason="Over.",
        ),
    )
    retirement.close_stranded(database_now())

    asked.refresh_from_db()
    assert asked.state in {"approved", "cancelled"}
    assert not Grant.objects.filter(revoked_at__isnull=True).exists()
