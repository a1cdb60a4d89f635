"""Profiles and their versions."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AccessProfile, User
from audit.models import AuditEvent
from tests.accounts.helpers import page, refused
from tests.conftest import ClientFor
from tests.factories import AccessProfileFactory, AccessRequestFactory, OfferFactory

NEW = reverse("accounts:profile-new")
LIST = reverse("accounts:profiles")
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
}
VERSION: dict[str, Any] = {
    "role_name": "Reader",
    "managed_policies": "ReadOnlyAccess",
    "inline_policy": "",
    "session_duration": "2",
    "require_mfa": "on",
}
TYPED = VERSION | {"name": "Read only", "description": "Looks.", "tone": "99BCE3"}


@pytest.fixture
def admin(dana: User, client_for: ClientFor) -> Client:
    return client_for(dana)


def test_a_profile_is_made_with_its_first_version(admin: Client) -> None:
    response = admin.post(NEW, TYPED)
    profile = AccessProfile.objects.get()
    assert response["Location"] == profile.get_absolute_url()
    assert (profile.name, profile.description, profile.tone) == ("Read only", "Looks.", "99BCE3")
    version = profile.current
    assert (version.number, version.role_name, version.created_by) == (1, "Reader", "dana")
    assert (version.managed_policies, version.inline_policy) == (["ReadOnlyAccess"], None)
    assert (version.session_duration, version.require_mfa) == (timedelta(hours=2), True)
    kinds = list(AuditEvent.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == ["profile:added", "profile:version:added"]


@pytest.mark.parametrize(
    ("actor", "words"),
    [("dana", "by Dana Dahl,"), ("gone", "by gone,"), ("system:setup", "by the set-up,")],
)
def test_a_version_names_in_full_who_made_it(
    actor: str, words: str, dana: User, erin: User, client_for: ClientFor
) -> None:
    profile = AccessProfileFactory.create(version__created_by=actor)
    assert f"Made {words}" in client_for(erin).get(profile.get_absolute_url()).content.decode()


def test_managed_policies_are_named_by_name_or_by_the_arn_of_any_partition(admin: Client) -> None:
    lines = (
        "\r\n  ReadOnlyAccess  \r\n\r\n"
        "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess\r\n"
        "arn:aws-cn:iam::aws:policy/SecurityAudit\r\n"
    )
    admin.post(NEW, TYPED | {"managed_policies": lines})
    names = AccessProfile.objects.get().current.managed_policies
    assert names == ["ReadOnlyAccess", "job-function/ViewOnlyAccess", "SecurityAudit"]


def test_an_inline_policy_alone_is_enough(admin: Client) -> None:
    typed = {"managed_policies": "", "inline_policy": json.dumps(POLICY, indent=1)}
    assert admin.post(NEW, TYPED | typed).status_code == 302
    version = AccessProfile.objects.get().current
    assert (version.managed_policies, version.inline_policy) == ([], POLICY)


NAME_RULE = (
    "A role name here has 1 to 32 letters, digits or + = , . @ _ - and no spaces: AWS allows 64, "
    "and the IAM user and a code follow it."
)


@pytest.mark.parametrize(
    ("field", "typed", "message", "code"),
    [
        ("name", "", "This field is required.", "required"),
        (
            "name",
            "x" * 61,
            "Ensure this value has at most 60 characters (it has 61).",
            "max_length",
        ),
        (
            "name",
            "bell\x07",
            "Use one line without control characters and direction marks.",
            "control_characters",
        ),
        (
            "description",
            "two\r\nlines",
            "Use one line without control characters and direction marks.",
            "control_characters",
        ),
        (
            "tone",
            "000000",
            "Select a valid choice. 000000 is not one of the available choices.",
            "invalid_choice",
        ),
        ("role_name", "has space", NAME_RULE, "malformed_role_name"),
        ("role_name", "Rôle", NAME_RULE, "malformed_role_name"),
        (
            "role_name",
            "x" * 33,
            "Ensure this value has at most 32 characters (it has 33).",
            "max_length",
        ),
        (
            "managed_policies",
            "ReadOnlyAccess\nReadOnlyAccess",
            "ReadOnlyAccess is named twice.",
            "policy_named_twice",
        ),
        (
            "managed_policies",
            "not a name",
            "“not a name” is not the name of an AWS managed policy, such as ReadOnlyAccess.",
            "malformed_policy_name",
        ),
        (
            "managed_policies",
            "arn:aws:iam::123456789012:policy/Mine",
            "Only AWS managed policies can be named here; put your own statements into the "
            "inline policy.",
            "customer_managed_policy",
        ),
        (
            "managed_policies",
            "\n".join(f"Policy{n}" for n in range(11)),
            "AWS attaches at most 10 managed policies to a role.",
            "too_many_policies",
        ),
        (
            "managed_policies",
            " \r\n ",
            "Name at least one managed policy here, or write an inline policy.",
            "no_permissions",
        ),
        (
            "inline_policy",
            '{"Version": }',
            "This is not valid JSON: Expecting value (line 1, column 13).",
            "policy_json",
        ),
        (
            "inline_policy",
            "{}",
            'Write "Version": "2012-10-17": with any other, AWS reads variables as text.',
            "policy_version",
        ),
        (
            "session_duration",
            "13",
            "Type a whole number from 1 to 12.",
            "max_value",
        ),
        (
            "session_duration",
            "0",
            "Type a whole number from 1 to 12.",
            "min_value",
        ),
        ("session_duration", "1.5", "Type a whole number from 1 to 12.", "invalid"),
        ("session_duration", "9" * 5000, "Type a whole number from 1 to 12.", "invalid"),
    ],
)
def test_what_is_wrong_with_a_profile_is_told_at_the_field(
    admin: Client, field: str, typed: str, message: str, code: str
) -> None:
    told = refused(admin, NEW, TYPED | {field: typed})
    assert told.pop(field)[0] == (message, code)
    assert told == {}
    assert not AccessProfile.objects.exists()
    assert not AuditEvent.objects.exists()


def test_the_names_of_profiles_are_unique_in_whatever_case(admin: Client) -> None:
    AccessProfileFactory.create(name="READ ONLY")
    told = refused(admin, NEW, TYPED)
    assert told == {"name": [("Another profile has this name already.", "profile_name_unique")]}


def test_everything_wrong_is_told_at_once(admin: Client) -> None:
    AccessProfileFactory.create(name="Read only")
    told = refused(
        admin, NEW, TYPED | {"role_name": "", "inline_policy": "{", "session_duration": "99"}
    )
    assert set(told) == {"name", "role_name", "inline_policy", "session_duration"}


@pytest.mark.parametrize("field", ["number", "created_by", "profile", "created_at", "id"])
def test_no_other_field_can_be_sent(admin: Client, field: str) -> None:
    told = refused(admin, NEW, TYPED | {field: "7"})
    assert told == {"__all__": [(f"This form has no field “{field}”.", "unknown_field")]}


def test_nothing_typed_is_lost_when_a_profile_is_refused(admin: Client) -> None:
    typed = TYPED | {
        "managed_policies": "ReadOnlyAccess\r\nno such <name>",
        "inline_policy": '{ "half": </textarea>',
        "description": "  <i>said</i>",
    }
    response = admin.post(NEW, typed)
    form = response.context["form"]
    assert {name: form[name].value() for name in typed} == typed | {"require_mfa": True}
    text = response.content.decode()
    assert "{ &quot;half&quot;: &lt;/textarea&gt;</textarea>" in text
    assert "<i>said" not in text
    chosen = [radio.data["value"] for radio in form["tone"] if radio.data["selected"]]
    assert chosen == ["99BCE3"]


# --- Versions --------------------------------------------------------------------------------


def _version_url(profile: AccessProfile) -> str:
    return reverse("accounts:version-new", args=[profile.pk])


def test_a_new_version_begins_with_the_current_one(admin: Client) -> None:
    admin.post(NEW, TYPED | {"inline_policy": json.dumps(POLICY), "session_duration": "8"})
    text = page(admin, _version_url(AccessProfile.objects.get()))
    assert 'value="Reader"' in text
    assert "ReadOnlyAccess</textarea>" in text
    assert "&quot;Action&quot;: &quot;s3:GetObject&quot;" in text
    assert 'value="8"' in text
    assert "keep the version that they were made with" in text


def test_a_new_version_is_the_current_one_and_the_old_one_stays(
    admin: Client, profile: AccessProfile
) -> None:
    typed = VERSION | {"managed_policies": "SecurityAudit", "require_mfa": ""}
    response = admin.post(_version_url(profile), typed)
    assert response["Location"] == profile.get_absolute_url()
    assert [one.number for one in profile.versions.all()] == [2, 1]
    assert profile.current.managed_policies == ["SecurityAudit"]
    assert profile.current.require_mfa is False
    text = page(admin, profile.get_absolute_url())
    assert text.index("Version 2") < text.index("Current") < text.index("Version 1")
    assert text.count("Current") == 1


def test_requests_keep_the_version_that_they_were_made_with(
    admin: Client, profile: AccessProfile
) -> None:
    request = AccessRequestFactory.create(offer=OfferFactory.create(profile=profile))
    admin.post(_version_url(profile), VERSION | {"role_name": "Other"})
    request.refresh_from_db()
    assert request.profile_version.number == 1


def test_a_refused_version_loses_nothing_and_stores_nothing(
    admin: Client, profile: AccessProfile
) -> None:
    typed = VERSION | {"inline_policy": "{ half", "role_name": "Kept"}
    told = refused(admin, _version_url(profile), typed)
    assert set(told) == {"inline_policy"}
    response = admin.post(_version_url(profile), typed)
    assert response.context["form"]["inline_policy"].value() == "{ half"
    assert profile.versions.count() == 1


def test_a_version_does_not_change_the_profile(admin: Client, profile: AccessProfile) -> None:
    told = refused(admin, _version_url(profile), VERSION | {"name": "Other"})
    assert told == {"__all__": [("This form has no field “name”.", "unknown_field")]}


# --- Looking ---------------------------------------------------------------------------------


def test_the_documents_of_all_versions_stand_on_the_page(admin: Client) -> None:
    admin.post(NEW, TYPED | {"inline_policy": json.dumps(POLICY)})
    text = page(admin, AccessProfile.objects.get().get_absolute_url())
    assert "&quot;Action&quot;: &quot;s3:GetObject&quot;" in text
    assert "At most 2 h" in text
    assert "Not offered on any pair yet" in text


def test_the_list_shows_the_current_version(admin: Client, profile: AccessProfile) -> None:
    admin.post(_version_url(profile), VERSION | {"role_name": "Newest"})
    text = page(admin, LIST)
    assert "Newest" in text
    assert "SecurityReadOnlyRole" not in text


def test_the_empty_list_says_what_to_do_next(
    admin: Client, erin: User, client_for: ClientFor
) -> None:
    assert f'href="{NEW}"' in page(admin, LIST)
    assert "An admin makes them here." in page(client_for(erin), LIST)
