"""Rules that the database itself holds, whoever writes to it and by whatever road."""

import itertools
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.models import AccountPair, IamIdentity, Offer, User
from audit.clock import database_now
from audit.models import AuditEvent, append
from provisioning.core.states import GRANT_EDGES, Phase, RequestState
from provisioning.models import AccessRequest, Decision, Grant
from tests.factories import AccessRequestFactory, DecisionFactory, GrantFactory, OfferFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(offer: Offer, alice: User) -> AccessRequest:
    return AccessRequestFactory.create(offer=offer, requester=alice)


@pytest.fixture
def grant(offer: Offer, alice: User, bob: User) -> Grant:
    return GrantFactory.create(request__offer=offer, request__requester=alice)


def refuses(rule: str) -> "pytest.RaisesExc[IntegrityError]":
    return pytest.raises(IntegrityError, match=rule)


def test_a_decision_on_ones_own_request_is_refused_by_the_database(
    asked: AccessRequest, alice: User
) -> None:
    with refuses("decision_is_not_by_requester"):
        DecisionFactory.create(request=asked, approver=alice)


def test_the_same_refusal_meets_plain_sql(asked: AccessRequest, alice: User) -> None:
    sql = (
        "INSERT INTO provisioning_decision"
        " (request_id, approver_id, verdict, reason, fingerprint, decided_at)"
        " VALUES (%s, %s, 'approved', '', %s, %s)"
    )
    with refuses("decision_is_not_by_requester"), connection.cursor() as cursor:
        cursor.execute(sql, [asked.pk, alice.pk, "0" * 64, database_now()])


def test_a_decision_is_never_changed_or_removed(asked: AccessRequest, bob: User) -> None:
    decision = DecisionFactory.create(request=asked, approver=bob)

    with refuses("decision_is_immutable"), transaction.atomic():
        Decision.objects.filter(pk=decision.pk).update(verdict="rejected")
    with refuses("decision_is_immutable"), transaction.atomic():
        Decision.objects.filter(pk=decision.pk).delete()


def test_a_grant_without_an_approval_of_its_plan_is_refused(
    asked: AccessRequest, bob: User
) -> None:
    now = database_now()
    DecisionFactory.create(request=asked, approver=bob, fingerprint="a" * 64)

    with refuses("grant_needs_an_approval"):
        Grant.objects.create(
            request=asked,
            code=asked.code,
            identity=asked.identity,
            profile_version=asked.profile_version,
            starts_at=now,
            ends_at=now + timedelta(hours=1),
            fingerprint="b" * 64,
        )


@pytest.mark.parametrize("end", [s for s in RequestState if s is not RequestState.PENDING])
def test_an_answered_request_never_moves_again(asked: AccessRequest, end: RequestState) -> None:
    rows = AccessRequest.objects.filter(pk=asked.pk)
    rows.update(state=end)

    for other in set(RequestState) - {end}:
        with refuses("request_state_moves_once"), transaction.atomic():
            rows.update(state=other)


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(Phase, 2)))
def test_grants_move_along_declared_edges_only(grant: Grant, before: Phase, after: Phase) -> None:
    rows = Grant.objects.filter(pk=grant.pk)
    ended = {"ended_at": database_now(), "next_check_at": None}
    if before is Phase.SCHEDULED:
        grant = GrantFactory.create(phase=before)
        rows = Grant.objects.filter(pk=grant.pk)
    elif before is not Phase.PENDING:
        rows.update(phase=before, **(ended if before is Phase.ENDED else {}))
    values = {"phase": after, **(ended if after is Phase.ENDED else {})}

    if (before, after) in GRANT_EDGES:
        assert rows.update(**values) == 1
    else:
        with refuses("grant_phase_moves_along_edges|grant_ended_is_final"), transaction.atomic():
            rows.update(**values)


def test_an_ended_grant_has_a_time_of_its_end_and_no_next_look(grant: Grant) -> None:
    with refuses("grant_ended_is_final"):
        Grant.objects.filter(pk=grant.pk).update(phase="ended")


@pytest.mark.parametrize(
    "change",
    [
        {"ends_at": lambda: database_now() + timedelta(days=1)},
        {"starts_at": database_now},
        {"fingerprint": lambda: "f" * 64},
        {"code": lambda: "another"},
        {"iam_user_arn": lambda: "arn:aws:iam::111111111111:user/another"},
        {"iam_user_id": lambda: "AIDAANOTHER"},
        {"boundary_arn": lambda: "arn:aws:iam::222222222222:policy/Wider"},
    ],
)
def test_what_was_granted_never_changes(grant: Grant, change: dict[str, object]) -> None:
    values = {name: make() for name, make in change.items()}  # type: ignore[operator]  # functions above
    rules = "grant_is_immutable|grant_ends_after_start|grant_end_moves_with_an_approval"
    with refuses(rules):
        Grant.objects.filter(pk=grant.pk).update(**values)


def test_a_revocation_is_never_taken_back(grant: Grant) -> None:
    rows = Grant.objects.filter(pk=grant.pk)
    rows.update(revoked_at=database_now())

    with refuses("grant_revocation_is_final"):
        rows.update(revoked_at=None)


def test_a_grant_is_never_deleted(grant: Grant) -> None:
    with refuses("grant_is_never_deleted"):
        Grant.objects.filter(pk=grant.pk).delete()


def test_what_was_asked_for_never_changes(asked: AccessRequest) -> None:
    with refuses("request_is_immutable"):
        AccessRequest.objects.filter(pk=asked.pk).update(duration=timedelta(days=7))


def test_a_second_pending_request_for_the_same_offer_is_refused(
    asked: AccessRequest, offer: Offer, alice: User
) -> None:
    with refuses("request_one_pending_per_offer"):
        AccessRequestFactory.create(offer=offer, requester=alice)


def test_an_event_is_never_changed_or_removed(db: None) -> None:
    event = append(kind="a:b:c", actor="dana", subject="x:1", sentence="Something happened.")
    rows = AuditEvent.objects.filter(pk=event.pk)

    with refuses("audit_event_is_append_only"), transaction.atomic():
        rows.update(actor="mallory")
    with refuses("audit_event_is_append_only"), transaction.atomic():
        rows.delete()


def test_an_account_never_changes_its_id_partition_or_external_id(pair: AccountPair) -> None:
    rows = type(pair.source).objects.filter(pk=pair.source.pk)
    for change in ({"account_id": "999999999990"}, {"partition": "aws-cn"}, {"external_id": "x"}):
        with refuses("account_id_is_immutable"), transaction.atomic():
            rows.update(**change)


def test_an_identity_keeps_what_role_names_follow_from(identity: IamIdentity) -> None:
    with refuses("identity_keeps_its_names"):
        IamIdentity.objects.filter(pk=identity.pk).update(user_name="another")


def test_a_pair_and_an_offer_keep_what_grants_are_read_through(offer: Offer) -> None:
    other = OfferFactory.create()
    pairs = AccountPair.objects.filter(pk=offer.pair_id)
    for change in ({"source": other.pair.source}, {"switch_group": "another"}):
        with refuses("pair_keeps_accounts_and_group"), transaction.atomic():
            pairs.update(**change)
    with refuses("offer_keeps_pair_and_profile"), transaction.atomic():
        Offer.objects.filter(pk=offer.pk).update(profile=other.profile)


def test_a_profile_version_never_changes(offer: Offer) -> None:
    rows = offer.profile.versions.all()
    with refuses("profile_version_is_immutable"), transaction.atomic():
        rows.update(require_mfa=False)
    with refuses("profile_version_is_immutable"), transaction.atomic():
        rows.delete()
