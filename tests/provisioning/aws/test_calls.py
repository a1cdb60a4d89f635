"""What a grant costs: in calls to AWS, counted where botocore sends them, retries included, and in
statements to the database."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from accounts.models import AccountPair, Offer, User
from audit.clock import database_now
from provisioning import services, specs
from provisioning.aws import clients, sessions
from provisioning.core.plan import fingerprint
from provisioning.core.steps import Side
from provisioning.engine import converge, pacing, switch_groups
from provisioning.models import Grant
from tests.aws_world import Approved, Aws
from tests.conftest import ClientFor

TARGET = "222222222222"


class Counter:
    """All clients that were lent since the last `take`."""

    def __init__(self) -> None:
        self.lent: list[clients.Lent] = []

    def take(self) -> int:
        """How many requests were sent since the last time."""
        sent = sum(one.tally.sent for one in self.lent)
        self.lent.clear()
        return sent


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter]:
    counter, lend = Counter(), clients.lend

    def counted(*values: Any) -> clients.Lent:
        counter.lent.append(lend(*values))
        return counter.lent[-1]

    with monkeypatch.context() as patch:
        patch.setattr(sessions, "lend", counted)
        yield counter


@pytest.fixture
def prepared(scene: Offer, pair: AccountPair) -> None:
    """The pair's switch group stands, as it does soon after the pair was registered."""
    switch_groups.prepare_pair(pair.pk)


def settled(grant: Grant) -> Grant:
    converge.converge(grant.pk)
    return Grant.objects.with_parties().get(pk=grant.pk)


def test_a_grant_of_a_prepared_pair_takes_ten_calls_and_its_revocation_nine(
    prepared: None, approved: Approved, dana: User, counter: Counter
) -> None:
    grant = approved()
    counter.take()

    assert settled(grant).phase == "active"
    assert counter.take() == 10

    services.revoke(person=dana, grant=grant, reason="Wrong account.")
    assert settled(grant).phase == "ended"
    assert counter.take() == 9


def expected(grant: Grant) -> int:
    """What a worker asks room for, and one AssumeRole for each account beside it."""
    room = converge.room_for(grant, Side, database_now())
    return sum(room.values()) + len(room)


def test_workers_ask_for_room_for_as_many_calls_as_they_make(
    prepared: None, approved: Approved, dana: User, counter: Counter
) -> None:
    grant = approved()
    counter.take()

    foreseen = expected(grant)
    grant = settled(grant)
    assert counter.take() == foreseen

    services.revoke(person=dana, grant=grant, reason="Wrong account.")
    grant.refresh_from_db()
    foreseen = expected(grant)
    settled(grant)
    assert counter.take() == foreseen


def test_an_end_by_itself_takes_eight_calls(
    prepared: None, approved: Approved, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = settled(approved())
    counter.take()
    over = grant.ends_at + timedelta(seconds=1)
    monkeypatch.setattr(converge, "database_now", lambda: over)

    assert settled(grant).phase == "ended"
    assert counter.take() == 8


def test_a_revocation_beside_another_grant_of_the_same_person_leaves_the_source_alone(
    prepared: None, approved: Approved, dana: User, counter: Counter
) -> None:
    first, second = settled(approved()), settled(approved())
    services.revoke(person=dana, grant=first, reason="Wrong account.")
    counter.take()

    assert settled(first).phase == "ended"
    assert counter.take() == 7
    assert settled(second).phase == "active"


def test_what_was_assumed_wrongly_is_read_and_removed_all_the_same(
    prepared: None, approved: Approved, aws: Aws, dana: User
) -> None:
    grant = settled(approved())
    iam = aws.admin(TARGET)
    iam.attach_role_policy(
        RoleName=grant.role_name, PolicyArn="arn:aws:iam::aws:policy/SecurityAudit"
    )
    iam.delete_role_policy(RoleName=grant.role_name, PolicyName="SallyportEnd")

    services.revoke(person=dana, grant=grant, reason="Wrong account.")

    assert settled(grant).phase == "ended"
    assert aws.issued_roles(TARGET) == []


def test_a_switch_group_that_somebody_deleted_is_made_again_for_an_approved_grant(
    prepared: None, approved: Approved, aws: Aws, pair: AccountPair
) -> None:
    source = aws.admin("111111111111")
    source.delete_group_policy(GroupName=pair.switch_group, PolicyName="SallyportSwitch")
    source.delete_group(GroupName=pair.switch_group)

    grant = settled(approved())

    assert (grant.phase, grant.last_error) == ("active", "")
    assert pair.switch_group in aws.groups_of("111111111111", "userA")


# --- Statements --------------------------------------------------------------------------------

TRANSACTIONS = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
"""A test is inside a transaction already, so these are not as they are elsewhere."""


def statements(work: Callable[[], object]) -> list[str]:
    """The verbs of what a piece of work says to the database, such as `SELECT`."""
    with CaptureQueriesContext(connection) as captured:
        work()
    verbs = [one["sql"].split()[0] for one in captured.captured_queries]
    return [one for one in verbs if one not in TRANSACTIONS]


def test_a_worker_says_fourteen_things_to_the_database_to_give_and_sixteen_to_take(
    prepared: None, approved: Approved, dana: User, pair: AccountPair, settings: Settings
) -> None:
    settings.CALLS_PER_SECOND = 1_000_000.0
    for account in (pair.source, pair.target):
        pacing.take(account, 0)  # From now on there is a row to change.
    grant = approved()

    giving = statements(lambda: converge.converge(grant.pk))
    services.revoke(person=dana, grant=grant, reason="Wrong account.")
    removing = statements(lambda: converge.converge(grant.pk))

    # Claimed, room taken, the intent before the first step, the phase: each a commit to wait for.
    assert (len(giving), giving.count("UPDATE")) == (14, 4)
    # Claimed, locked out, the phase, and the calls counted.
    assert (len(removing), removing.count("UPDATE")) == (16, 4)


def test_a_click_on_approve_says_twenty_three_things_to_the_database(
    offer: Offer, alice: User, bob: User, client_for: ClientFor
) -> None:
    asked = services.request_access(
        requester=alice, offer=offer, duration=timedelta(minutes=30), reason="Look at the findings."
    )
    mark = fingerprint(specs.spec_for_request(asked))
    post = {"verdict": "approved", "fingerprint": mark, "reason": "Fine."}
    browser = client_for(bob)

    clicked = statements(lambda: browser.post(f"/requests/{asked.code}/decide/", post))

    # Who asks and what is decided; the stages, approvals and rights once; the decision, the new
    # state, the grant and two events.
    assert Grant.objects.get(code=asked.code).phase == "pending"
    assert (len(clicked), clicked.count("INSERT"), clicked.count("UPDATE")) == (23, 4, 1)
