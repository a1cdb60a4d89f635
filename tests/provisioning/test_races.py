"""Several people in the same moment: one wins, the others are told so."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from accounts.models import Offer, User
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import lifecycle, services, specs
from provisioning.core.plan import fingerprint
from provisioning.models import AccessRequest, Decision, Grant
from tests.factories import AccessRequestFactory, GrantFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)
ACTORS = 8


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


def test_of_many_verdicts_one_counts(offer: Offer, alice: User) -> None:
    approvers = UserFactory.create_batch(ACTORS)
    offer.approver_users.set(approvers)
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


def test_of_many_revocations_one_counts(offer: Offer, alice: User, dana: User) -> None:
    grant = GrantFactory.create(request__offer=offer, request__requester=alice)

    answers = at_once(*[lambda: services.revoke(person=dana, grant=grant, reason="Now.")] * ACTORS)

    assert winners(answers) == 1
    assert AuditEvent.objects.filter(kind="grant:revoked").count() == 1
