"""Use cases and who may use them: requests, decisions, withdrawal, revocation."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts.models import AwsAccount, IamIdentity, Offer, User
from audit.models import AuditEvent
from provisioning import authz, lifecycle, services, specs, tasks
from provisioning.core.plan import fingerprint
from provisioning.core.states import RequestState
from provisioning.models import PENDING_LIFETIME, AccessRequest, Decision, Grant
from tests.aws_world import approve
from tests.factories import (
    GrantFactory,
    OfferFactory,
    ProfileVersionFactory,
    UserFactory,
    first_stage,
)

pytestmark = pytest.mark.django_db
HALF_AN_HOUR = timedelta(minutes=30)
APPROVED, REJECTED = Decision.Verdict.APPROVED, Decision.Verdict.REJECTED


def ask(person: User, offer: Offer, duration: timedelta = HALF_AN_HOUR) -> AccessRequest:
    return services.request_access(
        requester=person, offer=offer, duration=duration, reason="Look at the findings."
    )


def seen(request: AccessRequest) -> str:
    return fingerprint(specs.spec_for_request(request))


def test_a_request_pins_the_profile_version_and_the_iam_user(offer: Offer, alice: User) -> None:
    request = ask(alice, offer)

    assert request.state == "pending"
    assert request.profile_version == offer.profile.current
    assert request.identity.user_name == "userA"
    assert AuditEvent.objects.about(request.subject).get().kind == "request:state:pending"


def refusal(person: User, offer: Offer) -> tuple[str, ...]:
    with pytest.raises(services.Refused) as caught:
        ask(person, offer)
    assert not AccessRequest.objects.exists()
    return caught.value.reasons


def test_a_stranger_is_refused_and_told_why(offer: Offer, charlie: User) -> None:
    assert refusal(charlie, offer) == (
        "This offer is not open to you. Ask an admin to name you on it.",
    )


def test_an_auditor_changes_nothing(offer: Offer, erin: User, source: AwsAccount) -> None:
    IamIdentity.objects.create(
        person=erin,
        account=source,
        user_name="userE",
        arn="a",
        unique_id="b",
        verified_at="2026-01-01T00:00Z",
    )
    offer.eligible_users.add(erin)

    assert refusal(erin, offer) == ("Auditors read everything and change nothing.",)


def test_somebody_without_an_iam_user_is_told_so(offer: Offer, dana: User) -> None:
    offer.eligible_users.add(dana)

    assert refusal(dana, offer) == (
        "No IAM user in Identity is linked to you. Ask an admin to link yours.",
    )


def test_an_iam_user_that_was_not_found_cannot_be_used(offer: Offer, alice: User) -> None:
    IamIdentity.objects.filter(person=alice).update(verified_at=None, arn="", unique_id="")

    assert refusal(alice, offer) == ("Your IAM user userA has not been found in Identity yet.",)


def test_a_closed_offer_cannot_be_asked_for(offer: Offer, alice: User) -> None:
    Offer.objects.filter(pk=offer.pk).update(is_active=False)

    assert refusal(alice, offer) == (
        "This offer is not open to you. Ask an admin to name you on it.",
    )


def test_an_offer_that_only_oneself_approves_cannot_be_asked_for(offer: Offer, alice: User) -> None:
    first_stage(offer).people.set([alice])

    assert refusal(alice, offer) == (
        "Nobody else can approve this offer. Ask an admin to add an approver.",
    )


@pytest.mark.parametrize("minutes", [0, 4, 241, 100_000])
def test_a_duration_outside_the_offer_is_refused(offer: Offer, alice: User, minutes: int) -> None:
    with pytest.raises(ValidationError) as caught:
        ask(alice, offer, timedelta(minutes=minutes))

    assert caught.value.code == "duration_out_of_bounds"
    assert not AccessRequest.objects.exists()


def test_a_second_request_for_the_same_offer_waits_for_the_first(offer: Offer, alice: User) -> None:
    ask(alice, offer)

    with pytest.raises(ValidationError, match="waits for a decision"):
        ask(alice, offer)


def test_an_auditor_who_is_named_does_not_count_as_an_approver(
    offer: Offer, alice: User, bob: User, erin: User
) -> None:
    offer.stages.get().people.set([erin])
    assert not offer.approvers().exists()
    assert refusal(alice, offer) == (
        "Nobody else can approve this offer. Ask an admin to add an approver.",
    )


def test_approval_starts_a_grant_at_the_decision(offer: Offer, alice: User, bob: User) -> None:
    request = ask(alice, offer)

    grant = approve(request, bob)

    request.refresh_from_db()
    decision = Decision.objects.get(request=request)
    assert (request.state, grant.phase, grant.code) == ("approved", "pending", request.code)
    assert grant.starts_at == decision.decided_at
    assert timedelta(minutes=29, seconds=59) <= grant.ends_at - grant.starts_at <= HALF_AN_HOUR
    assert grant.fingerprint == decision.fingerprint
    kinds = [event.kind for event in AuditEvent.objects.about(grant.subject)]
    assert kinds == ["request:state:pending", "request:state:approved", "grant:phase:pending"]


@pytest.mark.parametrize("superuser", [False, True])
def test_requester_cannot_approve_own_request(offer: Offer, alice: User, superuser: bool) -> None:
    User.objects.filter(pk=alice.pk).update(is_superuser=superuser, role="admin")
    alice.refresh_from_db()
    first_stage(offer).people.add(alice)
    first_stage(offer).people.add(UserFactory.create())
    request = ask(alice, offer)

    with pytest.raises(services.Refused) as caught:
        approve(request, alice)

    assert caught.value.reasons == ("Nobody decides on their own request.",)
    assert not Grant.objects.exists()


@pytest.mark.parametrize("who", ["charlie", "dana", "erin"])
def test_who_is_no_approver_of_the_offer_cannot_decide(
    offer: Offer, alice: User, who: str, request: pytest.FixtureRequest
) -> None:
    person: User = request.getfixturevalue(who)
    asked = ask(alice, offer)

    with pytest.raises(services.Refused) as caught:
        approve(asked, person)

    assert "You are not an approver of this offer." in caught.value.reasons
    assert not Grant.objects.exists()


def test_an_approver_of_another_offer_cannot_decide(offer: Offer, alice: User) -> None:
    foreign = UserFactory.create()
    OfferFactory.create(approver_users=[foreign])
    asked = ask(alice, offer)

    with pytest.raises(services.Refused, match="You are not an approver of this offer"):
        approve(asked, foreign)


def test_a_plan_that_changed_since_the_page_was_shown_is_not_approved(
    offer: Offer, alice: User, bob: User, target: AwsAccount
) -> None:
    asked = ask(alice, offer)
    shown = seen(asked)
    AwsAccount.objects.filter(pk=target.pk).update(
        boundary_arn="arn:aws:iam::222222222222:policy/Other"
    )

    with pytest.raises(services.PlanMoved):
        services.decide(approver=bob, request=asked, verdict=APPROVED, fingerprint=shown)

    asked.refresh_from_db()
    assert asked.state == "pending"
    assert not Decision.objects.exists()


def test_an_edited_profile_does_not_change_a_pending_request(
    offer: Offer, alice: User, bob: User
) -> None:
    asked = ask(alice, offer)
    shown = seen(asked)
    ProfileVersionFactory.create(profile=offer.profile, managed_policies=["AdministratorAccess"])

    grant = services.decide(approver=bob, request=asked, verdict=APPROVED, fingerprint=shown)

    assert grant is not None
    assert grant.profile_version.managed_policies == ["ReadOnlyAccess"]


def test_a_requester_who_lost_eligibility_is_not_approved(
    offer: Offer, alice: User, bob: User
) -> None:
    asked = ask(alice, offer)
    offer.eligible_users.clear()

    with pytest.raises(services.Refused, match="not open to you"):
        approve(asked, bob)


def test_rejection_ends_a_request_without_a_grant(offer: Offer, alice: User, bob: User) -> None:
    asked = ask(alice, offer)

    made = services.decide(
        approver=bob, request=asked, verdict=REJECTED, fingerprint=seen(asked), reason="Not now."
    )

    asked.refresh_from_db()
    assert made is None
    assert asked.state == "rejected"
    assert not Grant.objects.exists()


def test_the_second_verdict_loses(offer: Offer, alice: User, bob: User) -> None:
    asked = ask(alice, offer)
    approve(asked, bob)

    with pytest.raises(services.Refused, match="approved already"):
        services.decide(approver=bob, request=asked, verdict=REJECTED, fingerprint=seen(asked))


def test_a_request_that_has_lapsed_cannot_be_approved_even_before_the_sweep(
    offer: Offer, alice: User, bob: User
) -> None:
    asked = ask(alice, offer)
    AccessRequest.objects.filter(pk=asked.pk).update(lapses_at=asked.lapses_at - PENDING_LIFETIME)

    with pytest.raises(services.Refused) as caught:
        approve(asked, bob)

    assert caught.value.reasons == ("This request has lapsed: nobody decided in time.",)
    assert not Grant.objects.exists()


def test_compare_and_set_refuses_a_stale_copy(offer: Offer, alice: User, bob: User) -> None:
    asked = ask(alice, offer)
    stale = AccessRequest.objects.get(pk=asked.pk)
    approve(asked, bob)

    with pytest.raises(lifecycle.StaleState):
        lifecycle.move_request(stale, RequestState.CANCELLED, actor="alice", sentence="Too late.")


def test_only_the_requester_withdraws(offer: Offer, alice: User, bob: User) -> None:
    asked = ask(alice, offer)

    with pytest.raises(services.Refused, match="Only who asked can withdraw"):
        services.cancel(person=bob, request=asked)
    services.cancel(person=alice, request=asked)

    asked.refresh_from_db()
    assert asked.state == "cancelled"


@pytest.mark.parametrize("who", ["alice", "bob", "dana"])
def test_holder_approver_and_admin_can_end_access(
    offer: Offer, alice: User, bob: User, dana: User, who: str
) -> None:
    grant = GrantFactory.create(request__offer=offer, request__requester=alice)
    person = {"alice": alice, "bob": bob, "dana": dana}[who]

    services.revoke(person=person, grant=grant, reason="Done.")

    grant.refresh_from_db()
    assert (grant.revoked_by, grant.revoke_reason) == (who, "Done.")
    assert grant.next_check_at is not None


@pytest.mark.parametrize("who", ["charlie", "erin"])
def test_stranger_and_auditor_cannot_end_access(
    offer: Offer, alice: User, who: str, request: pytest.FixtureRequest
) -> None:
    grant = GrantFactory.create(request__offer=offer, request__requester=alice)

    with pytest.raises(services.Refused):
        services.revoke(person=request.getfixturevalue(who), grant=grant, reason="Mine.")

    grant.refresh_from_db()
    assert grant.revoked_at is None


def test_a_revocation_breaks_the_lease_of_a_worker_that_may_be_dead(
    offer: Offer, alice: User, dana: User
) -> None:
    grant = GrantFactory.create(request__offer=offer, request__requester=alice)
    held = lifecycle.claim(grant.pk, grant.starts_at)
    assert held is not None

    services.revoke(person=dana, grant=grant, reason="Now.")

    assert not lifecycle.renew(held, grant.starts_at)
    assert lifecycle.claim(grant.pk, grant.starts_at) is not None


def test_a_claimed_grant_is_not_claimed_twice_until_the_lease_is_over(
    offer: Offer, alice: User
) -> None:
    grant = GrantFactory.create(request__offer=offer, request__requester=alice)
    now = grant.starts_at

    first = lifecycle.claim(grant.pk, now)

    assert first is not None
    assert lifecycle.claim(grant.pk, now) is None
    second = lifecycle.claim(grant.pk, now + lifecycle.LEASE + timedelta(seconds=1))
    assert second is not None
    assert second.generation == first.generation + 1
    with pytest.raises(lifecycle.StaleState):
        lifecycle.note_failure(first, "late", now)


def test_only_the_holder_is_shown_the_switch_role_link_and_only_while_active(
    offer: Offer, alice: User, bob: User, dana: User
) -> None:
    grant = GrantFactory.create(request__offer=offer, request__requester=alice, phase="active")
    now = grant.starts_at

    assert authz.can_use(alice, grant, now)
    for other in (bob, dana):
        assert authz.can_use(other, grant, now).reasons == ("This is somebody else's access.",)
    assert authz.can_use(alice, grant, grant.ends_at).reasons == ("This access has ended.",)
    grant.phase = "pending"
    assert authz.can_use(alice, grant, now).reasons == ("This access is not ready yet.",)


def test_workers_are_told_only_after_the_commit(
    offer: Offer,
    alice: User,
    bob: User,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    told: list[tuple[str, int]] = []
    monkeypatch.setattr(tasks, "nudge", lambda task, pk, **_: told.append((task.name, pk)))
    with django_capture_on_commit_callbacks() as callbacks:
        grant = approve(ask(alice, offer), bob)
        assert told == []
    for callback in callbacks:
        callback()

    assert told[-1] == ("sallyport.converge", grant.pk)


def test_every_refusal_is_recorded_with_its_reason(
    offer: Offer, alice: User, bob: User, charlie: User
) -> None:
    asked = ask(alice, offer)
    grant = GrantFactory.create()
    attempts: dict[str, Callable[[], object]] = {
        "request:ask": lambda: ask(charlie, offer),
        "request:decide": lambda: approve(asked, charlie),
        "request:cancel": lambda: services.cancel(person=charlie, request=asked),
        "grant:revoke": lambda: services.revoke(person=charlie, grant=grant, reason="Mine."),
        "grant:switch_link": lambda: services.note_link_opened(person=charlie, grant=grant),
    }
    for kind, attempt in attempts.items():
        with pytest.raises(services.Refused) as caught:
            attempt()
        event = AuditEvent.objects.get(kind=f"{kind}:refused")
        assert (event.actor, event.reason) == ("charlie", str(caught.value))


def test_a_failing_event_undoes_the_change(
    offer: Offer, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**values: object) -> None:
        raise RuntimeError("the audit table is full")

    monkeypatch.setattr("provisioning.lifecycle.requests.append", broken)

    with pytest.raises(RuntimeError):
        ask(alice, offer)
    assert not AccessRequest.objects.exists()
