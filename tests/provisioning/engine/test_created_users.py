"""IAM users that Sallyport creates: made, given a password, and removed, on the AWS server."""

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.models import AwsAccount, IamIdentity, Offer, User
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import authz, services, sweep
from provisioning.aws import users
from provisioning.aws.errors import AwsError, Kind
from provisioning.engine import converge, created_users, onboard, sealing
from provisioning.models import PasswordRequest
from provisioning.services import created_users as use_cases
from provisioning.services.common import Refused
from sandbox import world
from tests.aws_world import Aws, approve
from tests.conftest import ClientFor
from tests.factories import UserFactory
from tests.judge.judge import may_do, may_enter
from tests.judge.state import read_state

HOME = "111111111111"
BOUNDARY = f"arn:aws:iam::{HOME}:policy/SallyportUserBoundary"
OWN = f"arn:aws:iam::{HOME}:policy/SallyportOwnCredentials"


@pytest.fixture
def open_source(aws: Aws, source: AwsAccount) -> AwsAccount:
    """Account A, whose owner lets Sallyport create IAM users."""
    source.may_create_users = True
    source.save()
    world.install(source)
    return source


@pytest.fixture
def newcomer(db: None) -> User:
    return UserFactory.create(username="nina", first_name="Nina", last_name="Novak")


@pytest.fixture
def asked(open_source: AwsAccount, newcomer: User, dana: User) -> IamIdentity:
    """An IAM user that was asked for and not made yet."""
    identity = IamIdentity(person=newcomer, account=open_source, user_name="nina")
    return use_cases.create_user(admin=dana, identity=identity)


@pytest.fixture
def made(asked: IamIdentity) -> IamIdentity:
    """An IAM user that a worker has made."""
    return worked(asked)


def worked(identity: IamIdentity) -> IamIdentity:
    """Let a worker look, whenever it would, and read the row again."""
    IamIdentity.objects.filter(pk=identity.pk, next_check_at__isnull=False).update(
        next_check_at=database_now() - timedelta(seconds=1)
    )
    created_users.work(identity.pk)
    return IamIdentity.objects.select_related("account", "person").get(pk=identity.pk)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """All that is logged, at the levels of the settings and INFO for what they leave open."""
    kept = io.StringIO()
    handler = logging.StreamHandler(kept)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield kept
    root.removeHandler(handler)
    root.setLevel(before)


def names(aws: Aws) -> set[str]:
    return {one["UserName"] for one in aws.admin(HOME).list_users()["Users"]}


def kinds(identity: IamIdentity) -> list[str]:
    return [one.kind for one in AuditEvent.objects.about(identity.subject)]


# --- Making ----------------------------------------------------------------------------------


def test_the_connection_check_passes_where_the_owner_has_installed_the_policies(
    open_source: AwsAccount,
) -> None:
    findings = list(onboard.findings_of(open_source))
    assert [one.title for one in findings if not one.ok] == []
    assert findings[-1].key == "user_policies"


def test_the_connection_check_finds_an_account_that_was_not_set_up_for_it(
    aws: Aws, source: AwsAccount
) -> None:
    source.may_create_users = True
    source.save()
    failed = {one.key for one in onboard.findings_of(source) if not one.ok}
    assert failed == {"needed", "no_more", "user_policies"}


def test_a_user_is_made_under_our_path_with_boundary_tags_and_nothing_but_own_credentials(
    made: IamIdentity, aws: Aws
) -> None:
    iam = aws.admin(HOME)
    user = iam.get_user(UserName="nina")["User"]
    attached = iam.list_attached_user_policies(UserName="nina")["AttachedPolicies"]

    assert user["Path"] == "/sallyport/"
    assert user["PermissionsBoundary"]["PermissionsBoundaryArn"] == BOUNDARY
    tags = {one["Key"]: one["Value"] for one in user["Tags"]}
    assert tags == {"sallyport:portal": "sandbox", "sallyport:identity": str(made.pk)}
    assert [one["PolicyArn"] for one in attached] == [OWN]
    assert iam.list_access_keys(UserName="nina")["AccessKeyMetadata"] == []
    assert (made.arn, made.unique_id) == (user["Arn"], user["UserId"])
    assert made.state == "verified"
    assert kinds(made) == ["identity:user:asked", "identity:user:created"]


def test_a_second_worker_changes_nothing(made: IamIdentity, aws: Aws) -> None:
    before = aws.admin(HOME).get_user(UserName="nina")["User"]["UserId"]
    created_users.work(made.pk)
    assert aws.admin(HOME).get_user(UserName="nina")["User"]["UserId"] == before


def test_a_user_whose_answer_was_lost_is_found_as_ours(
    asked: IamIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = users.create

    def lost(iam: Any, user: users.NewUser) -> None:
        create(iam, user)
        raise AwsError(Kind.TRANSIENT, call="iam:CreateUser", code="ReadTimeout", message="lost")

    monkeypatch.setattr(users, "create", lost)
    assert "ReadTimeout" in worked(asked).last_error
    monkeypatch.undo()
    # The environment of the worker went with the rest of what was undone.
    for name, value in world.portal_environment().items():
        monkeypatch.setenv(name, value)
    assert worked(asked).state == "verified"


@pytest.mark.parametrize("name", ["nina", "NINA"])
def test_a_foreign_user_of_the_name_is_told_and_never_touched(
    name: str, asked: IamIdentity, aws: Aws
) -> None:
    aws.admin(HOME).create_user(UserName=name)

    failed = worked(asked)

    assert failed.state == "failed"
    assert "which Sallyport did not create and does not touch" in failed.last_error
    user = aws.admin(HOME).get_user(UserName=name)["User"]
    assert "PermissionsBoundary" not in user
    assert aws.admin(HOME).list_attached_user_policies(UserName=name)["AttachedPolicies"] == []


def test_a_look_alike_under_our_path_without_our_tags_is_foreign(
    asked: IamIdentity, aws: Aws
) -> None:
    aws.admin(HOME).create_user(UserName="nina", Path="/sallyport/")
    assert "did not create" in worked(asked).last_error


def test_an_account_that_is_not_set_up_says_which_right_is_missing(
    asked: IamIdentity, aws: Aws
) -> None:
    aws.admin(HOME).delete_role_policy(
        RoleName="SallyportProvisioner", PolicyName="SallyportProvisioner"
    )
    failed = worked(asked)
    assert "AccessDenied" in failed.last_error
    assert "Run Check connection" in failed.last_error


def test_no_user_is_asked_for_where_the_account_does_not_allow_it(
    source: AwsAccount, newcomer: User, dana: User
) -> None:
    identity = IamIdentity(person=newcomer, account=source, user_name="nina")
    with pytest.raises(ValidationError) as caught:
        use_cases.create_user(admin=dana, identity=identity)
    assert caught.value.error_dict["account"][0].code == "may_not_create_users"


@pytest.mark.parametrize("who", ["alice", "erin"])
def test_only_admins_ask_for_a_user_and_a_refusal_is_recorded(
    who: str, source: AwsAccount, newcomer: User, request: pytest.FixtureRequest
) -> None:
    identity = IamIdentity(person=newcomer, account=source, user_name="nina")
    with pytest.raises(Refused, match="Only admins look after IAM users"):
        use_cases.create_user(admin=request.getfixturevalue(who), identity=identity)
    assert AuditEvent.objects.filter(kind="identity:user:create:refused", actor=who).count() == 1


def test_a_created_user_enters_what_was_granted(
    made: IamIdentity, offer: Offer, bob: User, aws: Aws
) -> None:
    """Its boundary lets it switch; the same call with its switch group alone opens nothing."""
    offer.eligible_users.add(made.person)
    asked = services.request_access(
        requester=made.person, offer=offer, duration=timedelta(minutes=30), reason="First day."
    )
    grant = approve(asked, bob)
    converge.converge(grant.pk)
    state = read_state({one: aws.admin(one) for one in (HOME, "222222222222")})
    role = f"arn:aws:iam::222222222222:role/sallyport/{grant.role_name}"

    now = database_now()
    assert may_enter(state, made.arn, role, at=now, mfa=True).allowed
    assert not may_enter(state, made.arn, role, at=now, mfa=False).allowed
    assert not may_enter(state, made.arn, role, at=grant.ends_at, mfa=True).allowed
    for call in ("iam:CreateAccessKey", "s3:ListAllMyBuckets", "iam:ListUsers"):
        assert not may_do(state, made.arn, call, "*", at=now).allowed


# --- One-time passwords ----------------------------------------------------------------------


def test_a_password_is_set_sealed_shown_once_and_forgotten(
    made: IamIdentity, dana: User, aws: Aws
) -> None:
    asked = use_cases.ask_password(admin=dana, identity=made)
    created_users.set_password(asked.request.pk)
    asked.request.refresh_from_db()
    profile = aws.admin(HOME).get_login_profile(UserName="nina")["LoginProfile"]

    text = use_cases.show_password(admin=dana, request=asked.request, private_key=asked.private_key)

    assert profile["PasswordResetRequired"] is True
    assert len(text) == 20
    assert text not in asked.request.sealed
    asked.request.refresh_from_db()
    assert (asked.request.state, asked.request.sealed) == ("shown", "")
    with pytest.raises(use_cases.NotNow, match="no password to show"):
        use_cases.show_password(admin=dana, request=asked.request, private_key=asked.private_key)
    assert kinds(made)[-3:] == [
        "identity:password:asked",
        "identity:password:set",
        "identity:password:shown",
    ]


def test_a_second_password_replaces_the_first_and_its_page(made: IamIdentity, dana: User) -> None:
    first = use_cases.ask_password(admin=dana, identity=made)
    created_users.set_password(first.request.pk)
    second = use_cases.ask_password(admin=dana, identity=made)
    created_users.set_password(second.request.pk)

    with pytest.raises(use_cases.NotNow):
        use_cases.show_password(admin=dana, request=first.request, private_key=first.private_key)
    assert use_cases.show_password(
        admin=dana, request=second.request, private_key=second.private_key
    )


def test_another_key_opens_nothing_and_spoils_nothing(made: IamIdentity, dana: User) -> None:
    asked = use_cases.ask_password(admin=dana, identity=made)
    created_users.set_password(asked.request.pk)
    for wrong in (sealing.new_key_pair().private, "", "xyz", "00"):
        with pytest.raises(use_cases.NotNow, match="cannot open"):
            use_cases.show_password(admin=dana, request=asked.request, private_key=wrong)
    assert use_cases.show_password(admin=dana, request=asked.request, private_key=asked.private_key)


def test_nobody_but_the_admin_who_asked_sees_it(made: IamIdentity, dana: User) -> None:
    other = UserFactory.create(username="dora", role=User.Role.ADMIN)
    asked = use_cases.ask_password(admin=dana, identity=made)
    created_users.set_password(asked.request.pk)
    with pytest.raises(Refused, match="Only the admin who asked"):
        use_cases.show_password(admin=other, request=asked.request, private_key=asked.private_key)
    assert AuditEvent.objects.filter(kind="identity:password:show:refused", actor="dora").exists()


def test_somebody_who_is_no_admin_any_more_gets_no_password_set(
    made: IamIdentity, dana: User, aws: Aws
) -> None:
    asked = use_cases.ask_password(admin=dana, identity=made)
    User.objects.filter(pk=dana.pk).update(role=User.Role.MEMBER)

    created_users.set_password(asked.request.pk)

    asked.request.refresh_from_db()
    assert (asked.request.state, asked.request.last_error) == (
        "failed",
        "This may no longer be asked for.",
    )
    iam = aws.admin(HOME)
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_login_profile(UserName="nina")


NO_ADMIN = "Only admins look after IAM users."


@pytest.mark.parametrize(
    ("who", "change", "reasons"),
    [
        ("dana", {}, []),
        ("alice", {}, [NO_ADMIN]),
        ("erin", {}, ["Auditors read everything and change nothing.", NO_ADMIN]),
        ("dana", {"verified_at": None}, ["This IAM user has not been made yet."]),
        ("dana", {"remove_asked_at": True}, ["This IAM user is being removed."]),
        (
            "alice",
            {"created_by_portal": False},
            [NO_ADMIN, "Sallyport did not create this IAM user, so its password is not ours."],
        ),
    ],
)
def test_who_may_have_a_password_set_is_one_answer_with_its_reasons(
    who: str,
    change: dict[str, Any],
    reasons: list[str],
    identity: IamIdentity,
    request: pytest.FixtureRequest,
) -> None:
    identity.created_by_portal = True
    for name, value in change.items():
        setattr(identity, name, value)

    assert list(authz.can_have_password(request.getfixturevalue(who), identity).reasons) == reasons


def test_users_that_existed_before_get_no_password_from_us(
    scene: Any, identity: IamIdentity, dana: User
) -> None:
    with pytest.raises(Refused, match="did not create this IAM user"):
        use_cases.ask_password(admin=dana, identity=identity)
    assert PasswordRequest.objects.count() == 0


def test_a_user_made_anew_by_hand_under_the_name_gets_no_password(
    made: IamIdentity, dana: User, aws: Aws
) -> None:
    iam = aws.admin(HOME)
    iam.detach_user_policy(UserName="nina", PolicyArn=OWN)
    iam.delete_user(UserName="nina")
    iam.create_user(UserName="nina", Path="/sallyport/")
    asked = use_cases.ask_password(admin=dana, identity=made)

    created_users.set_password(asked.request.pk)

    asked.request.refresh_from_db()
    assert asked.request.state == "failed"
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_login_profile(UserName="nina")


def test_a_password_that_nobody_looks_at_is_forgotten(made: IamIdentity, dana: User) -> None:
    asked = use_cases.ask_password(admin=dana, identity=made)
    created_users.set_password(asked.request.pk)
    PasswordRequest.objects.update(lapses_at=database_now() - timedelta(seconds=1))

    created_users.lapse_passwords()

    asked.request.refresh_from_db()
    assert (asked.request.state, asked.request.sealed) == ("lapsed", "")
    assert kinds(made)[-1] == "identity:password:lapsed"


def test_the_accounts_password_policy_decides_the_length(
    made: IamIdentity, dana: User, aws: Aws
) -> None:
    aws.admin(HOME).update_account_password_policy(MinimumPasswordLength=40)
    asked = use_cases.ask_password(admin=dana, identity=made)
    created_users.set_password(asked.request.pk)
    text = use_cases.show_password(admin=dana, request=asked.request, private_key=asked.private_key)
    assert len(text) == 40


def test_a_request_for_a_password_never_turns_back(made: IamIdentity, dana: User) -> None:
    asked = use_cases.ask_password(admin=dana, identity=made)
    PasswordRequest.objects.filter(pk=asked.request.pk).update(state="lapsed")
    with pytest.raises(IntegrityError, match="password_moves_one_way"), transaction.atomic():
        PasswordRequest.objects.filter(pk=asked.request.pk).update(state="waiting")


def test_neither_password_nor_key_is_in_log_database_event_or_address(
    made: IamIdentity, dana: User, client_for: ClientFor, logged: io.StringIO
) -> None:
    """The whole way through the pages, with every log line kept."""
    client = client_for(dana)

    page = client.post(f"/identities/{made.pk}/password/")
    found = re.search(r'name="private_key"\s+value="([0-9a-f]{64})"', page.content.decode())
    assert found is not None
    key = found[1]
    asked = PasswordRequest.objects.get()
    created_users.set_password(asked.pk)
    shown = client.post(f"/passwords/{asked.pk}/show/", {"private_key": key})
    copy = re.search(r'data-copy="([^"]{20,40})"', shown.content.decode())
    assert copy is not None
    password = copy[1].replace("&amp;", "&").replace("&lt;", "<")

    assert "no-store" in page["Cache-Control"]
    assert "no-store" in shown["Cache-Control"]
    everything = logged.getvalue() + str(list(PasswordRequest.objects.values()))
    assert "request_finished" in logged.getvalue()
    everything += json.dumps(list(AuditEvent.objects.values("sentence", "reason", "data")))
    everything += str(dict(client.session)) + page.request["PATH_INFO"]
    assert password not in everything
    assert key not in everything
    again = client.post(f"/passwords/{asked.pk}/show/", {"private_key": key})
    assert password not in again.content.decode()
    assert "It was shown to Dana Dahl" in again.content.decode()


# --- Removing --------------------------------------------------------------------------------


def test_a_user_is_removed_with_all_that_hangs_on_it(
    made: IamIdentity, dana: User, aws: Aws
) -> None:
    iam = aws.admin(HOME)
    iam.create_login_profile(UserName="nina", Password="Something-1-long")
    iam.create_group(GroupName="switch-to-222222222222", Path="/sallyport/")
    iam.add_user_to_group(GroupName="switch-to-222222222222", UserName="nina")

    use_cases.remove_user(admin=dana, identity=made)
    removed = worked(made)

    assert removed.state == "removed"
    assert "nina" not in names(aws)
    assert kinds(made)[-2:] == ["identity:user:remove:asked", "identity:user:removed"]


def test_after_a_removal_the_person_can_have_another_one(
    made: IamIdentity, dana: User, newcomer: User, aws: Aws
) -> None:
    use_cases.remove_user(admin=dana, identity=made)
    worked(made)
    again = IamIdentity(person=newcomer, account=made.account, user_name="nina")
    assert worked(use_cases.create_user(admin=dana, identity=again)).state == "verified"


def test_what_somebody_else_hung_on_a_user_stays_and_is_told(
    made: IamIdentity, dana: User, aws: Aws
) -> None:
    iam = aws.admin(HOME)
    iam.create_login_profile(UserName="nina", Password="Something-1-long")
    iam.create_access_key(UserName="nina")

    use_cases.remove_user(admin=dana, identity=made)
    failed = worked(made)

    assert failed.state == "failed"
    assert "cannot sign in any more" in failed.last_error
    assert "access keys" in failed.last_error
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_login_profile(UserName="nina")


def test_a_foreign_user_of_the_name_survives_the_removal_of_our_entry(
    asked: IamIdentity, dana: User, aws: Aws
) -> None:
    aws.admin(HOME).create_user(UserName="nina")
    worked(asked)
    use_cases.remove_user(admin=dana, identity=asked)
    assert worked(asked).state == "removed"
    assert "nina" in names(aws)


def test_users_that_existed_before_are_never_removed(
    scene: Any, identity: IamIdentity, dana: User, aws: Aws
) -> None:
    with pytest.raises(Refused, match="did not create"):
        use_cases.remove_user(admin=dana, identity=identity)
    with (
        pytest.raises(IntegrityError, match="identity_removes_only_what_we_created"),
        transaction.atomic(),
    ):
        IamIdentity.objects.filter(pk=identity.pk).update(remove_asked_at=database_now())
    with pytest.raises(IntegrityError, match="identity_keeps_its_origin"), transaction.atomic():
        IamIdentity.objects.filter(pk=identity.pk).update(created_by_portal=True)


def test_not_found_soon_after_the_creation_is_not_taken_for_removed(
    asked: IamIdentity, dana: User
) -> None:
    use_cases.remove_user(admin=dana, identity=asked)
    assert "does not show this IAM user yet" in worked(asked).last_error


def test_the_sweeper_finds_users_to_make_and_passwords_to_set(asked: IamIdentity) -> None:
    keys = [job.key.partition(":")[0] for job in sweep.due(database_now())]
    assert "user" in keys
    assert "identity" not in keys


# --- Pages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "status"), [("alice", 403), ("bob", 403), ("erin", 403), ("dana", 200)]
)
def test_only_admins_open_the_pages(
    who: str, status: int, made: IamIdentity, client_for: ClientFor, request: Any
) -> None:
    client = client_for(request.getfixturevalue(who))
    for url in (
        "/identities/create-user/",
        f"/identities/{made.pk}/remove-user/",
        f"/identities/{made.pk}/password/",
    ):
        assert client.get(url).status_code == status
    posted = client.post("/identities/create-user/")
    assert posted.status_code == (422 if who == "dana" else 403)
    assert client.get("/passwords/1/show/").status_code == 405


def test_the_pages_of_users_that_existed_before_do_not_exist(
    identity: IamIdentity, dana: User, client_for: ClientFor
) -> None:
    client = client_for(dana)
    assert client.post(f"/identities/{identity.pk}/password/").status_code == 404
    assert client.post(f"/identities/{identity.pk}/remove-user/").status_code == 404


def test_the_form_proposes_the_persons_user_name(
    open_source: AwsAccount, newcomer: User, dana: User, client_for: ClientFor
) -> None:
    answer = client_for(dana).post(
        "/identities/create-user/", {"person": newcomer.pk, "account": open_source.pk}
    )
    assert answer.status_code == 302
    assert IamIdentity.objects.get(person=newcomer).user_name == "nina"


def test_the_waiting_page_polls_and_stops_once_it_has_shown(
    made: IamIdentity, dana: User, client_for: ClientFor
) -> None:
    asked = use_cases.ask_password(admin=dana, identity=made)
    client, url = client_for(dana), f"/passwords/{asked.request.pk}/show/"
    form = {"private_key": asked.private_key}
    waiting = client.post(url, form, headers={"HX-Request": "true"})
    created_users.set_password(asked.request.pk)
    shown = client.post(url, form, headers={"HX-Request": "true"})
    assert (waiting.status_code, shown.status_code) == (200, 286)
    assert "Show it" in waiting.content.decode()
    assert "Shown once." in shown.content.decode()
