"""Later starts and later ends, against the server that stands for AWS."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.models import AccountPair, AwsAccount, IamIdentity, Offer, User
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import authz, lifecycle, services, specs
from provisioning.core.plan import fingerprint
from provisioning.core.states import Phase
from provisioning.engine import converge, pacing, preview
from provisioning.models import AccessRequest, Decision, Grant
from provisioning.reading.plans import plan_view
from provisioning.sweep import Sweeper
from tests.aws_world import Approved, Aws, approve, only_statement, refused_code
from tests.factories import (
    AccessRequestFactory,
    DecisionFactory,
    GrantFactory,
    OfferFactory,
    ProfileVersionFactory,
    UserFactory,
    first_stage,
)

SOURCE, TARGET = "111111111111", "222222222222"
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def settle(grant: Grant) -> Grant:
    """Let a worker look at a grant, and read the row again."""
    converge.converge(grant.pk)
    return Grant.objects.with_parties().get(pk=grant.pk)


def role_arn(grant: Grant) -> str:
    return f"arn:aws:iam::{TARGET}:role/sallyport/{grant.role_name}"


def extension(grant: Grant, minutes: int = 30) -> AccessRequest:
    return services.extend_access(
        person=grant.requester,
        grant=grant,
        duration=minutes * MINUTE,
        reason="The export still runs.",
    )


type Travel = Callable[[timedelta], None]


@pytest.fixture
def travel(monkeypatch: pytest.MonkeyPatch, aws: Aws) -> Travel:
    """Moves the workers' clock and AWS's clock ahead."""

    def ahead(by: timedelta) -> None:
        aws.clock_ahead(by)
        for module in (converge, pacing):
            monkeypatch.setattr(module, "database_now", lambda: database_now() + by)

    return ahead


# --- A later start ---------------------------------------------------------------------------


@pytest.fixture
def scheduled(scene: Offer, alice: User, bob: User) -> Grant:
    """Approved for half an hour, from an hour ahead."""
    request = services.request_access(
        requester=alice,
        offer=scene,
        duration=30 * MINUTE,
        reason="The release is at nine.",
        starts_at=database_now().replace(microsecond=0) + HOUR,
    )
    return approve(request, bob)


def test_nothing_exists_in_aws_before_the_start(scheduled: Grant, aws: Aws) -> None:
    grant = settle(scheduled)

    assert (grant.phase, grant.intent_at) == ("scheduled", None)
    assert grant.starts_at == grant.request.starts_at
    assert grant.ends_at - grant.starts_at == 30 * MINUTE
    assert grant.next_check_at == grant.starts_at
    assert (grant.leased_until, grant.last_error) == (None, "")
    assert aws.issued_roles(TARGET) == []
    assert aws.groups_of(SOURCE, "userA") == {"Developers"}
    assert refused_code(lambda: aws.enter("userA", role_arn(grant))) == "AccessDenied"


def test_access_opens_at_its_start_and_ends_after_its_full_duration(
    scheduled: Grant, aws: Aws, travel: Travel
) -> None:
    travel(HOUR + MINUTE)
    grant = settle(scheduled)

    assert grant.phase == "active"
    aws.enter("userA", role_arn(grant))
    aws.clock_ahead(HOUR + 31 * MINUTE)
    assert refused_code(lambda: aws.enter("userA", role_arn(grant))) == "AccessDenied"
    kinds = [event.kind for event in AuditEvent.objects.about(grant.subject)]
    assert kinds[2:] == ["grant:phase:scheduled", "grant:phase:pending", "grant:phase:active"]


def test_given_back_before_the_start_it_ends_without_a_call_to_aws(
    scheduled: Grant, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(scheduled)
    services.revoke(person=alice, grant=scheduled, reason="")
    monkeypatch.setattr(converge, "Doors", lambda *values: pytest.fail("AWS was asked"))

    grant = settle(scheduled)

    assert (grant.phase, grant.intent_at) == ("ended", None)


def test_a_start_that_nobody_worked_at_ends_at_the_end_without_having_been(
    scheduled: Grant, aws: Aws, travel: Travel
) -> None:
    travel(2 * HOUR)

    assert settle(scheduled).phase == "ended"
    assert aws.issued_roles(TARGET) == []


def test_rights_lost_before_the_start_keep_it_closed(
    scheduled: Grant, aws: Aws, bob: User, travel: Travel
) -> None:
    settle(scheduled)
    User.objects.filter(pk=bob.pk).update(is_active=False)
    travel(HOUR + MINUTE)

    grant = settle(scheduled)

    assert (grant.phase, grant.revoked_by) == ("ended", "system:worker")
    assert "switched off" in grant.revoke_reason
    assert aws.issued_roles(TARGET) == []


def test_a_scheduled_grant_does_not_hold_the_membership_of_one_that_ends(
    scheduled: Grant, approved: Approved, aws: Aws, alice: User
) -> None:
    now = settle(approved())
    services.revoke(person=alice, grant=now, reason="")

    settle(now)

    assert aws.groups_of(SOURCE, "userA") == {"Developers"}


def test_a_decision_after_the_asked_start_gives_the_full_duration_from_then(
    offer: Offer, alice: User, bob: User
) -> None:
    asked = AccessRequestFactory.create(
        offer=offer, requester=alice, starts_at=database_now() - HOUR
    )

    grant = approve(asked, bob)

    assert grant.phase == "pending"
    asked.refresh_from_db()
    assert asked.decision is not None
    assert grant.starts_at == asked.decision.decided_at
    assert 29 * MINUTE < grant.ends_at - grant.starts_at <= 30 * MINUTE


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (-MINUTE, "This moment is past. Leave it empty to start with the approval."),
        (timedelta(days=14, minutes=1), "Choose a start within the next 14 days."),
    ],
)
def test_a_start_outside_the_bounds_is_refused(
    offer: Offer, alice: User, ahead: timedelta, words: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        services.request_access(
            requester=alice,
            offer=offer,
            duration=30 * MINUTE,
            reason="Later.",
            starts_at=database_now() + ahead,
        )

    assert caught.value.message_dict == {"starts_at": [words]}
    assert not AccessRequest.objects.exists()


def test_the_start_is_part_of_what_is_approved(offer: Offer, alice: User) -> None:
    start = database_now().replace(microsecond=0) + HOUR
    asked = AccessRequestFactory.create(offer=offer, requester=alice, starts_at=start)
    spec = specs.spec_for_request(asked)

    asked.starts_at = None
    at_once = specs.spec_for_request(asked)
    asked.starts_at = start + HOUR
    later = specs.spec_for_request(asked)

    assert (spec.end, at_once.end) == ("start + PT30M", "decision + PT30M")
    assert len({fingerprint(one) for one in (spec, at_once, later)}) == 3


def test_a_request_for_later_waits_for_its_start(offer: Offer, alice: User) -> None:
    start = database_now() + timedelta(days=3)
    asked = services.request_access(
        requester=alice, offer=offer, duration=HOUR, reason="On Monday.", starts_at=start
    )

    assert asked.lapses_at == start


def test_a_grant_never_begins_before_the_start_that_was_asked_for(
    offer: Offer, alice: User
) -> None:
    with pytest.raises(IntegrityError, match="grant_begins_as_asked"):
        GrantFactory.create(
            request__offer=offer,
            request__requester=alice,
            request__starts_at=database_now() + HOUR,
        )


# --- A later end -----------------------------------------------------------------------------


def test_after_an_approved_extension_one_may_enter_until_the_new_end_and_not_longer(
    approved: Approved, aws: Aws, bob: User
) -> None:
    grant = settle(approved(minutes=30))
    former = grant.ends_at
    session = aws.enter("userA", role_arn(grant))

    asked = extension(grant, 30)
    approve(asked, bob)
    grant = settle(grant)

    assert (grant.phase, grant.ends_at, grant.extending_from) == (
        "active",
        former + 30 * MINUTE,
        None,
    )
    assert (grant.authority, grant.reopened_at) == (asked, None)
    aws.clock_ahead(35 * MINUTE)
    aws.reads(session)
    session = aws.enter("userA", role_arn(grant))
    aws.clock_ahead(61 * MINUTE)
    assert refused_code(lambda: aws.enter("userA", role_arn(grant))) == "AccessDenied"
    assert refused_code(lambda: aws.reads(session)) == "AccessDenied"


def test_the_new_end_stands_in_the_trust_and_in_the_dated_deny(
    approved: Approved, aws: Aws, bob: User
) -> None:
    grant = settle(approved())
    approve(extension(grant), bob)
    grant = settle(grant)

    iam, end = aws.admin(TARGET), f"{grant.ends_at:%Y-%m-%dT%H:%M:%SZ}"
    role = iam.get_role(RoleName=grant.role_name)["Role"]
    trust = only_statement(role["AssumeRolePolicyDocument"])
    deny = iam.get_role_policy(RoleName=grant.role_name, PolicyName="SallyportEnd")
    assert trust["Condition"]["DateLessThan"] == {"aws:CurrentTime": end}
    assert only_statement(deny["PolicyDocument"])["Condition"] == {
        "DateGreaterThanEquals": {"aws:CurrentTime": end}
    }


def test_access_is_extended_more_than_once(approved: Approved, aws: Aws, bob: User) -> None:
    grant = settle(approved())
    former = grant.ends_at
    for _ in range(2):
        approve(extension(grant, 10), bob)
        grant = settle(grant)

    assert grant.ends_at == former + 20 * MINUTE
    kinds = [event.kind for event in AuditEvent.objects.about(grant.subject)]
    assert kinds.count("grant:extended") == kinds.count("grant:extension:confirmed") == 2
    assert kinds.count("request:state:pending") == 3


def test_an_extension_that_is_rejected_or_lapses_changes_nothing(
    approved: Approved, aws: Aws, bob: User
) -> None:
    grant = settle(approved())
    asked = extension(grant)
    services.decide(
        approver=bob,
        request=asked,
        verdict=Decision.Verdict.REJECTED,
        fingerprint=fingerprint(specs.spec_for_request(asked)),
        reason="No.",
    )

    after = settle(grant)

    assert (after.ends_at, after.authority, after.phase) == (grant.ends_at, None, "active")


def test_an_extension_lapses_at_the_end_of_the_access(offer: Offer, alice: User) -> None:
    grant = GrantFactory.create(request__offer=offer, request__requester=alice, phase="active")
    assert extension(grant).lapses_at == grant.ends_at


def test_the_page_says_what_aws_enforces_until_the_new_end_is_confirmed(
    approved: Approved, aws: Aws, bob: User
) -> None:
    grant = settle(approved())
    former = grant.ends_at
    approve(extension(grant), bob)
    grant.refresh_from_db()

    assert grant.is_extending
    assert grant.enforced_until == former
    assert grant.usable_at(former - MINUTE)
    assert grant.phase_at(former + MINUTE) == "pending"
    assert not grant.usable_at(former + MINUTE)


def test_the_plan_of_an_extension_is_what_changes_and_nothing_else(
    approved: Approved, aws: Aws, bob: User
) -> None:
    grant = settle(approved())
    asked = extension(grant)
    before = f"{grant.ends_at:%Y-%m-%dT%H:%M:%SZ}"
    after = f"{asked.extends_until:%Y-%m-%dT%H:%M:%SZ}"

    unseen = plan_view(asked, database_now()).steps
    preview.preview(asked.pk)
    asked.refresh_from_db()

    assert asked.preview is not None
    assert asked.preview["problem"] == ""
    for steps in (unseen, asked.preview["steps"]):
        calls = {step["call"] for step in steps} - {"iam:TagRole"}
        assert calls == {"iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy"}
        for step in steps:
            assert before in step["documents"][0]
            assert after in step["documents"][1]
    assert len(aws.issued_roles(TARGET)) == 1


@pytest.mark.parametrize("lost", ["approver", "eligibility", "switched off", "boundary"])
def test_rights_lost_after_the_approval_leave_the_access_its_former_end(
    approved: Approved, aws: Aws, alice: User, bob: User, scene: Offer, lost: str
) -> None:
    grant = settle(approved())
    former, print_ = grant.ends_at, grant.fingerprint
    approve(extension(grant), bob)
    match lost:
        case "approver":
            first_stage(scene).people.set([UserFactory.create()])
        case "eligibility":
            scene.eligible_users.clear()
        case "switched off":
            User.objects.filter(pk=bob.pk).update(is_active=False)
        case _:
            AwsAccount.objects.filter(account_id=TARGET).update(
                boundary_arn=f"arn:aws:iam::{TARGET}:policy/Other"
            )

    grant = settle(grant)

    assert (grant.phase, grant.ends_at, grant.fingerprint) == ("active", former, print_)
    assert (grant.authority, grant.extending_from, grant.reopened_at) == (None, None, None)
    assert grant.revoked_at is None
    assert AuditEvent.objects.about(grant.subject).filter(kind="grant:extension:refused").exists()
    aws.clock_ahead(29 * MINUTE)
    aws.enter("userA", role_arn(grant))
    aws.clock_ahead(31 * MINUTE)
    assert refused_code(lambda: aws.enter("userA", role_arn(grant))) == "AccessDenied"


def test_a_second_extension_that_is_refused_leaves_the_end_of_the_first(
    approved: Approved, aws: Aws, bob: User, scene: Offer
) -> None:
    grant = settle(approved())
    first = extension(grant, 10)
    approve(first, bob)
    grant = settle(grant)
    approve(extension(grant, 10), bob)
    scene.eligible_users.clear()

    grant = settle(grant)

    assert (grant.ends_at, grant.authority) == (first.extends_until, first)


def test_with_a_revoked_extension_one_may_not_enter(
    approved: Approved, aws: Aws, alice: User, bob: User
) -> None:
    grant = settle(approved())
    approve(extension(grant), bob)
    services.revoke(person=alice, grant=grant, reason="")
    grant = settle(grant)

    assert grant.phase == "ended"
    assert aws.issued_roles(TARGET) == []
    assert refused_code(lambda: aws.enter("userA", role_arn(grant))) == "AccessDenied"


def test_a_revocation_lapses_a_waiting_extension(
    approved: Approved, aws: Aws, alice: User, bob: User
) -> None:
    grant = settle(approved())
    asked = extension(grant)
    services.revoke(person=alice, grant=grant, reason="")

    asked.refresh_from_db()
    assert asked.state == "expired"
    with pytest.raises(services.Refused, match="This request is expired already"):
        approve(asked, bob)


def test_a_worker_that_began_before_the_extension_records_nothing_more(
    approved: Approved, aws: Aws, bob: User
) -> None:
    grant = settle(approved())
    now = database_now()
    stale = lifecycle.claim(grant.pk, now)
    assert stale is not None
    approve(extension(grant), bob)

    with pytest.raises(lifecycle.StaleState):
        lifecycle.note_phase(stale, Phase.ACTIVE, now)
    assert settle(grant).phase == "active"
    assert aws.enter("userA", role_arn(grant))


@pytest.fixture
def active(offer: Offer, alice: User, bob: User) -> Grant:
    return GrantFactory.create(request__offer=offer, request__requester=alice, phase="active")


def reasons(person: User, grant: Grant) -> tuple[str, ...]:
    with pytest.raises(services.Refused) as caught:
        services.extend_access(person=person, grant=grant, duration=10 * MINUTE, reason="More.")
    assert not AccessRequest.objects.filter(extends=grant, state="pending").count() > 1
    event = AuditEvent.objects.filter(kind="grant:extend:refused").order_by("id").last()
    assert event is not None
    assert (event.actor, event.reason) == (person.username, str(caught.value))
    return caught.value.reasons


def test_only_the_holder_asks_for_more_time(active: Grant, bob: User, dana: User) -> None:
    for person in (bob, dana):
        assert "This is somebody else's access." in reasons(person, active)


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("pending", "This access is not ready yet."),
        ("ending", "This access has ended."),
    ],
)
def test_only_active_access_is_extended(active: Grant, alice: User, phase: str, words: str) -> None:
    Grant.objects.filter(pk=active.pk).update(phase=phase)
    active.refresh_from_db()

    assert words in reasons(alice, active)


def test_a_closed_offer_extends_nothing(active: Grant, alice: User, offer: Offer) -> None:
    Offer.objects.filter(pk=offer.pk).update(is_active=False)

    assert reasons(alice, active) == (
        "This offer is not open to you. Ask an admin to name you on it.",
    )


def test_a_newer_version_of_the_profile_extends_nothing(active: Grant, alice: User) -> None:
    ProfileVersionFactory.create(profile=active.profile_version.profile)

    assert reasons(alice, active) == ("The profile was changed since. Ask for new access instead.",)


def test_a_user_made_anew_extends_nothing(active: Grant, alice: User) -> None:
    IamIdentity.objects.filter(person=alice).update(unique_id="AIDAANOTHER")
    active.refresh_from_db()

    assert reasons(alice, active) == (
        "The account or the IAM user was changed since. Ask for new access instead.",
    )


def test_one_extension_waits_at_a_time(active: Grant, alice: User) -> None:
    extension(active)

    assert reasons(alice, active) == ("A request of yours for more time waits for a decision.",)


def test_the_last_minute_is_too_late(offer: Offer, alice: User) -> None:
    ending = GrantFactory.create(
        request__offer=offer,
        request__requester=alice,
        phase="active",
        starts_at=(database_now() - 29 * MINUTE - timedelta(seconds=30)).replace(microsecond=0),
    )

    assert reasons(alice, ending) == ("Less than a minute is left. Ask for new access instead.",)


@pytest.mark.parametrize("minutes", [4, 211, 100_000])
def test_the_new_end_is_within_the_offers_longest_duration_from_now(
    active: Grant, alice: User, minutes: int
) -> None:
    with pytest.raises(ValidationError) as caught:
        extension(active, minutes)

    (told,) = caught.value.message_dict["minutes"]
    assert told.startswith("Choose between 5 and 2")


def test_no_access_lasts_longer_than_a_week_however_often_it_is_extended(
    offer: Offer, alice: User
) -> None:
    now = database_now().replace(microsecond=0)
    old = GrantFactory.create(
        request__offer=offer,
        request__requester=alice,
        phase="active",
        starts_at=now - timedelta(days=7) + 10 * MINUTE,
        ends_at=now + 6 * MINUTE,
    )

    assert authz.longest_extension(old, now) == 4 * MINUTE
    assert reasons(alice, old) == ("This access cannot end later yet: its offer allows no longer.",)


def test_an_extension_may_wait_beside_a_request_for_the_same_offer(
    active: Grant, alice: User, offer: Offer
) -> None:
    extension(active)
    services.request_access(requester=alice, offer=offer, duration=HOUR, reason="Another one.")

    assert AccessRequest.objects.waiting().count() == 2


def test_nobody_approves_their_own_extension(active: Grant, alice: User, offer: Offer) -> None:
    first_stage(offer).people.add(alice)
    asked = extension(active)

    with pytest.raises(services.Refused) as caught:
        approve(asked, alice)
    assert caught.value.reasons == ("Nobody decides on their own request.",)


def test_a_failed_extension_is_told_and_taken_back(approved: Approved, aws: Aws, bob: User) -> None:
    """The role is locked by hand, so that AWS refuses the later end for good."""
    grant = settle(approved())
    former = grant.ends_at
    approve(extension(grant), bob)
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Deny",'
        '"Action":"iam:UpdateAssumeRolePolicy","Resource":"*"}]}'
    )
    aws.admin(TARGET).put_role_policy(
        RoleName="SallyportProvisioner", PolicyName="Stop", PolicyDocument=policy
    )

    for _ in range(3):
        grant = settle(grant)

    assert (grant.ends_at, grant.extending_from, grant.revoked_at) == (former, None, None)
    event = AuditEvent.objects.get(kind="grant:extension:refused")
    assert "AccessDenied" in event.reason


# --- What the database itself refuses --------------------------------------------------------


def test_an_end_moves_only_with_an_approval_by_somebody_else(active: Grant, bob: User) -> None:
    asked = extension(active)
    values = {
        "ends_at": asked.extends_until,
        "extending_from": active.ends_at,
        "authority": asked,
        "fingerprint": "e" * 64,
    }
    rows = Grant.objects.filter(pk=active.pk)

    def refused(**changes: object) -> None:
        rule = pytest.raises(IntegrityError, match="grant_end_moves_with_an_approval")
        with rule, transaction.atomic():
            rows.update(**(values | changes))

    refused()
    DecisionFactory.create(request=asked, approver=bob, fingerprint="e" * 64)
    refused(fingerprint="f" * 64)
    refused(authority=None)
    refused(ends_at=active.ends_at + 31 * MINUTE)
    refused(ends_at=active.ends_at - MINUTE)
    refused(extending_from=None)
    refused(revoked_at=database_now())
    assert rows.update(**values) == 1
    refused(ends_at=active.ends_at - MINUTE, extending_from=None)


def test_an_extension_of_somebody_elses_or_another_grant_moves_nothing(
    active: Grant, bob: User
) -> None:
    other = GrantFactory.create(phase="active")
    asked = extension_row(other)
    DecisionFactory.create(request=asked, approver=bob, fingerprint="e" * 64)

    with pytest.raises(IntegrityError, match="grant_end_moves_with_an_approval"):
        Grant.objects.filter(pk=active.pk).update(
            ends_at=asked.extends_until,
            extending_from=active.ends_at,
            authority=asked,
            fingerprint="e" * 64,
        )


def extension_row(grant: Grant, **changes: object) -> AccessRequest:
    """An extension made past every service."""
    values = {
        "requester": grant.requester,
        "offer": grant.request.offer,
        "identity": grant.identity,
        "profile_version": grant.profile_version,
        "extends": grant,
        "extends_until": grant.ends_at + 30 * MINUTE,
    }
    return AccessRequestFactory.create(**(values | changes))


def test_a_revoked_grant_is_never_extended(active: Grant, bob: User) -> None:
    asked = extension(active)
    DecisionFactory.create(request=asked, approver=bob, fingerprint="e" * 64)
    rows = Grant.objects.filter(pk=active.pk)
    rows.update(revoked_at=database_now())

    with pytest.raises(IntegrityError, match="grant_end_moves_with_an_approval"):
        rows.update(
            ends_at=asked.extends_until,
            extending_from=active.ends_at,
            authority=asked,
            fingerprint="e" * 64,
        )


def test_an_extension_belongs_to_the_holder_the_offer_and_the_version(
    active: Grant, bob: User
) -> None:
    changes: list[dict[str, object]] = [
        {"requester": bob},
        {"offer": OfferFactory.create()},
        {"extends_until": active.ends_at},
        {"extends_until": None},
        {"profile_version": ProfileVersionFactory.create(profile=active.request.offer.profile)},
    ]
    for change in changes:
        rule = pytest.raises(IntegrityError, match="request_extends_own_grant")
        with rule, transaction.atomic():
            extension_row(active, **change)


def test_an_extension_makes_no_grant_of_its_own(active: Grant) -> None:
    asked = extension_row(active, state="approved")

    with pytest.raises(IntegrityError, match="grant_begins_as_asked"):
        GrantFactory.create(request=asked)


@pytest.mark.parametrize("field", ["starts_at", "extends", "extends_until"])
def test_when_was_asked_for_never_changes(active: Grant, field: str) -> None:
    asked = extension_row(active)
    other = {
        "starts_at": database_now(),
        "extends": GrantFactory.create(),
        "extends_until": database_now(),
    }

    with pytest.raises(IntegrityError, match="request_is_immutable"):
        AccessRequest.objects.filter(pk=asked.pk).update(**{field: other[field]})


# --- Several grants of one person ------------------------------------------------------------


def test_overlapping_grants_each_end_on_their_own_time(
    approved: Approved, aws: Aws, alice: User
) -> None:
    short, long = settle(approved(minutes=10)), settle(approved(minutes=60))

    aws.clock_ahead(11 * MINUTE)
    assert refused_code(lambda: aws.enter("userA", role_arn(short))) == "AccessDenied"
    aws.enter("userA", role_arn(long))
    services.revoke(person=alice, grant=long, reason="")
    settle(long)
    assert f"switch-to-{TARGET}" in aws.groups_of(SOURCE, "userA")
    assert aws.issued_roles(TARGET) == [short.role_name]


def test_a_back_to_back_grant_takes_over_where_the_first_ends(
    approved: Approved, aws: Aws, scene: Offer, alice: User, bob: User, travel: Travel
) -> None:
    first = settle(approved(minutes=30))
    asked = services.request_access(
        requester=alice, offer=scene, duration=HOUR, reason="Next.", starts_at=first.ends_at
    )
    second = settle(approve(asked, bob))
    assert (second.phase, second.starts_at) == ("scheduled", first.ends_at)

    travel(31 * MINUTE)
    first, second = settle(first), settle(second)

    assert second.phase == "active"
    aws.enter("userA", role_arn(second))
    assert refused_code(lambda: aws.enter("userA", role_arn(first))) == "AccessDenied"
    assert aws.issued_roles(TARGET) == [second.role_name]


def test_the_sweeper_lapses_what_nobody_decided(active: Grant, pair: AccountPair) -> None:
    asked = extension(active)
    AccessRequest.objects.filter(pk=asked.pk).update(lapses_at=database_now() - MINUTE)

    Sweeper().sweep()

    asked.refresh_from_db()
    assert asked.state == "expired"
