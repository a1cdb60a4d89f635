"""Who is which IAM user; and the list of people."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AwsAccount, IamIdentity, User
from audit.clock import database_now
from audit.models import AuditEvent
from tests.accounts.helpers import page, refused
from tests.conftest import ClientFor
from tests.factories import AwsAccountFactory, GroupFactory, IamIdentityFactory, UserFactory

NEW = reverse("accounts:identity-new")
LIST = reverse("accounts:identities")
PEOPLE = reverse("accounts:people")
NOT_THERE = "There is no IAM user userA in this account."


@pytest.fixture
def admin(dana: User, client_for: ClientFor) -> Client:
    return client_for(dana)


def _typed(person: User, account: AwsAccount, user_name: str = "userB") -> dict[str, Any]:
    return {"person": person.pk, "account": account.pk, "user_name": user_name}


def test_a_person_is_linked_and_looked_for(admin: Client, bob: User, source: AwsAccount) -> None:
    assert admin.post(NEW, _typed(bob, source))["Location"] == LIST
    identity = IamIdentity.objects.get()
    assert (identity.person, identity.user_name, identity.state) == (bob, "userB", "looking")
    assert identity.next_check_at is not None
    assert AuditEvent.objects.get().kind == "identity:linked"


def test_a_user_name_of_64_characters_is_taken(
    admin: Client, bob: User, source: AwsAccount
) -> None:
    name = "Aa0+=,.@_-" * 6 + "last"
    assert len(name) == 64
    assert admin.post(NEW, _typed(bob, source, name)).status_code == 302
    # It may go on in the next line, so it is looked for without the places where it may.
    assert name in page(admin, LIST).replace("<wbr>", "")
    assert name in page(admin, source.get_absolute_url()).replace("<wbr>", "")


@pytest.mark.parametrize(
    ("typed", "message", "code"),
    [
        ("", "This field is required.", "required"),
        (
            "has space",
            "An IAM user name has 1 to 64 letters, digits or + = , . @ _ - and no spaces.",
            "malformed_user_name",
        ),
        (
            "üser",
            "An IAM user name has 1 to 64 letters, digits or + = , . @ _ - and no spaces.",
            "malformed_user_name",
        ),
        (
            "path/user",
            "An IAM user name has 1 to 64 letters, digits or + = , . @ _ - and no spaces.",
            "malformed_user_name",
        ),
        (
            "x" * 65,
            "Ensure this value has at most 64 characters (it has 65).",
            "max_length",
        ),
    ],
)
def test_a_malformed_user_name_is_refused(
    admin: Client, bob: User, source: AwsAccount, typed: str, message: str, code: str
) -> None:
    told = refused(admin, NEW, _typed(bob, source, typed))
    assert told == {"user_name": [(message, code)]}


def test_an_iam_user_is_one_person_in_whatever_case(
    admin: Client, alice: User, bob: User, source: AwsAccount
) -> None:
    told = refused(admin, NEW, _typed(bob, source, "USERA"))
    message = "Somebody else is this IAM user already."
    assert told == {"user_name": [(message, "identity_iam_user_unique")]}


def test_a_person_is_one_iam_user_of_an_account(
    admin: Client, alice: User, source: AwsAccount, target: AwsAccount
) -> None:
    told = refused(admin, NEW, _typed(alice, source))
    message = "This person has an IAM user in this account already."
    assert told == {"person": [(message, "identity_person_unique")]}
    assert admin.post(NEW, _typed(alice, target, "userA")).status_code == 302


@pytest.mark.parametrize("field", ["arn", "unique_id", "verified_at", "next_check_at"])
def test_what_aws_says_cannot_be_typed(
    admin: Client, bob: User, source: AwsAccount, field: str
) -> None:
    told = refused(admin, NEW, _typed(bob, source) | {field: "x"})
    assert told == {"__all__": [(f"This form has no field “{field}”.", "unknown_field")]}


def test_nothing_typed_is_lost_when_a_link_is_refused(
    admin: Client, bob: User, source: AwsAccount
) -> None:
    response = admin.post(NEW, _typed(bob, source, "two words"))
    text = response.content.decode()
    assert 'value="two words"' in text
    assert f'<option value="{bob.pk}" selected>Bob Brandt (bob)</option>' in text
    assert f'<option value="{source.pk}" selected>Identity (111111111111)</option>' in text


def test_people_who_cannot_sign_in_are_not_linked(admin: Client, source: AwsAccount) -> None:
    gone = UserFactory.create(is_active=False)
    assert set(refused(admin, NEW, _typed(gone, source))) == {"person"}


# --- Looking again ---------------------------------------------------------------------------


def _failed(identity: IamIdentity, error: str = NOT_THERE, **fields: Any) -> IamIdentity:
    IamIdentity.objects.filter(pk=identity.pk).update(last_error=error, **fields)
    identity.refresh_from_db()
    return identity


def test_a_failed_identity_says_why_and_can_be_looked_for_again(
    admin: Client, identity: IamIdentity
) -> None:
    _failed(identity, verified_at=None, next_check_at=None)
    assert NOT_THERE in page(admin, LIST)
    url = reverse("accounts:identity-look-again", args=[identity.pk])
    assert f'action="{url}"' in page(admin, LIST)

    before = database_now()
    assert admin.post(url)["Location"] == LIST
    identity.refresh_from_db()
    assert identity.next_check_at is not None
    assert before <= identity.next_check_at <= database_now()
    assert identity.state == "looking"
    event = AuditEvent.objects.get()
    assert (event.kind, event.actor) == ("identity:check:asked", "dana")


def test_looking_again_never_shows_a_doubted_identity_as_verified(
    admin: Client, identity: IamIdentity
) -> None:
    _failed(identity)
    admin.post(reverse("accounts:identity-look-again", args=[identity.pk]))
    identity.refresh_from_db()
    assert identity.verified_at is not None
    assert identity.state == "looking"


def test_an_identity_that_was_found_meanwhile_is_left_alone(
    admin: Client, identity: IamIdentity
) -> None:
    url = reverse("accounts:identity-look-again", args=[identity.pk])
    response = admin.post(url, follow=True)
    assert "userA in Identity has been found meanwhile." in response.content.decode()
    identity.refresh_from_db()
    assert identity.next_check_at is None
    assert not AuditEvent.objects.exists()


def test_a_user_who_was_made_again_can_be_linked_anew(admin: Client, identity: IamIdentity) -> None:
    _failed(identity, "The IAM user was deleted and made again: link it anew.")
    url = reverse("accounts:identity-relink", args=[identity.pk])
    assert f'action="{url}"' in page(admin, LIST)
    former = identity.unique_id
    assert admin.post(url).status_code == 302
    identity.refresh_from_db()
    assert (identity.unique_id, identity.verified_at, identity.state) == ("", None, "looking")
    assert AuditEvent.objects.get().data["former_unique_id"] == former


def test_a_verified_identity_cannot_be_linked_anew(admin: Client, identity: IamIdentity) -> None:
    assert admin.post(reverse("accounts:identity-relink", args=[identity.pk])).status_code == 404
    identity.refresh_from_db()
    assert identity.state == "verified"


def test_the_table_follows_until_nobody_is_looked_for(
    admin: Client, identity: IamIdentity, bob: User, source: AwsAccount
) -> None:
    admin.post(NEW, _typed(bob, source))
    first = admin.get(LIST, headers={"HX-Request": "true"})
    assert first.status_code == 200
    assert 'hx-trigger="every 2s"' in first.content.decode()
    assert "<html" not in first.content.decode()
    _failed(IamIdentity.objects.get(person=bob))
    last = admin.get(LIST, headers={"HX-Request": "true"})
    assert last.status_code == 286
    assert "hx-trigger" not in last.content.decode()


def test_the_empty_list_says_what_to_do_next(
    admin: Client, erin: User, client_for: ClientFor
) -> None:
    assert f'href="{NEW}"' in page(admin, LIST)
    assert "An admin links people here." in page(client_for(erin), LIST)
    assert "There is no account yet" in page(admin, NEW)


# --- People ----------------------------------------------------------------------------------


def test_people_are_listed_with_role_and_groups(
    admin: Client, alice: User, erin: User, client_for: ClientFor
) -> None:
    team = GroupFactory.create(name="Night shift")
    team.user_set.add(alice)
    text = page(admin, PEOPLE)
    for words in ("Alice Ashby", "Night shift", "Auditor", "Django's admin"):
        assert words in text
    assert reverse("admin:index") in text
    assert reverse("admin:index") not in page(client_for(erin), PEOPLE)
    assert reverse("accounts:group", args=[team.pk]) in text


def test_people_who_were_switched_off_are_marked(admin: Client) -> None:
    UserFactory.create(is_active=False)
    assert "Switched off" in page(admin, PEOPLE)


def test_the_list_of_people_says_when_there_are_no_groups(admin: Client) -> None:
    assert "There are no groups yet" in page(admin, PEOPLE)


def test_the_list_is_one_page_of_fifty(admin: Client, source: AwsAccount) -> None:
    IamIdentityFactory.create_batch(51, account=source)
    assert "Page 1 of 2, 51 identities" in page(admin, LIST)
    assert AwsAccountFactory.create().identities.count() == 0
