"""Django's admin: people's names and passwords are managed there, and nothing else is changed."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import AwsAccount, Offer, SecondAdmin, User
from audit.clock import database_now
from audit.models import AuditEvent, append
from tests.conftest import ClientFor
from tests.factories import (
    ConnectionCheckFactory,
    GrantFactory,
    GroupFactory,
    UserFactory,
)

MANAGED = {User}
READ_ONLY = [model for model in admin.site._registry if model not in MANAGED]


@pytest.fixture
def everything(offer: Offer, alice: User, bob: User, source: AwsAccount) -> None:
    """One row of each kind."""
    GrantFactory.create(request__offer=offer, request__requester=alice, approver=bob)
    ConnectionCheckFactory.create(account=source)
    GroupFactory.create()
    append(kind="x:y", actor="dana", subject="x:1", sentence="Something happened.")


def _url(model: Any, action: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{action}", args=args)


def _staff(person: User, **fields: Any) -> User:
    User.objects.filter(pk=person.pk).update(is_staff=True, **fields)
    person.refresh_from_db()
    return person


def test_the_admin_site_knows_every_model_of_ours() -> None:
    labels = {model._meta.label for model in admin.site._registry}
    assert labels == {
        "auth.Group",
        "accounts.User",
        "accounts.AwsAccount",
        "accounts.ConnectionCheck",
        "accounts.AccountPair",
        "accounts.AccessProfile",
        "accounts.ProfileVersion",
        "accounts.Offer",
        "accounts.IamIdentity",
        "provisioning.AccessRequest",
        "provisioning.Decision",
        "provisioning.Grant",
        "audit.AuditEvent",
    }


@pytest.mark.parametrize("model", READ_ONLY, ids=lambda model: str(model.__name__))
@pytest.mark.parametrize("flags", [{}, {"is_superuser": True}], ids=["admin", "superuser"])
def test_admins_may_look_at_everything_and_change_nothing(
    model: Any, flags: dict[str, bool], everything: None, dana: User, client_for: ClientFor
) -> None:
    client = client_for(_staff(dana, **flags))
    pk = model.objects.first().pk
    assert client.get(_url(model, "changelist")).status_code == 200
    assert client.get(_url(model, "change", pk)).status_code == 200
    assert client.get(_url(model, "history", pk)).status_code == 200
    assert client.post(_url(model, "change", pk), {"name": "x"}).status_code == 403
    assert client.post(_url(model, "add"), {}).status_code == 403
    assert client.get(_url(model, "add")).status_code == 403
    assert client.post(_url(model, "delete", pk), {"post": "yes"}).status_code == 403
    selected = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
    client.post(_url(model, "changelist"), selected)
    assert model.objects.filter(pk=pk).exists()


@pytest.mark.parametrize("model", list(admin.site._registry), ids=lambda model: model.__name__)
def test_the_superuser_flag_opens_nothing_for_a_member(
    model: Any, everything: None, charlie: User, client_for: ClientFor
) -> None:
    client = client_for(_staff(charlie, is_superuser=True))
    for url in (_url(model, "changelist"), _url(model, "add")):
        assert client.get(url).status_code == 403


def test_auditors_look_at_people_and_change_nobody(
    erin: User, alice: User, client_for: ClientFor
) -> None:
    client = client_for(_staff(erin))
    assert client.get(_url(User, "changelist")).status_code == 200
    assert client.get(_url(User, "change", alice.pk)).status_code == 200
    for url in (
        _url(User, "change", alice.pk),
        _url(User, "add"),
        _url(Group, "add"),
        reverse("admin:auth_user_password_change", args=[alice.pk]),
    ):
        assert client.post(url, {"role": "admin"}).status_code == 403
    assert not AuditEvent.objects.exists()


def test_who_is_not_staff_is_refused(alice: User, client_for: ClientFor) -> None:
    response = client_for(alice).get(reverse("admin:index"))
    assert response.status_code == 302
    assert response["Location"] == "/django-admin/login/?next=/django-admin/"
    assert client_for(alice).get(response["Location"]).status_code == 403


# --- People ----------------------------------------------------------------------------------


@pytest.fixture
def client(dana: User, client_for: ClientFor) -> Client:
    return client_for(dana)


def _form(person: User, **changed: Any) -> dict[str, Any]:
    stored = {
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": person.email,
        "role": person.role,
        "groups": list(person.groups.values_list("pk", flat=True)),
        "is_active": "on",
    }
    return stored | changed


def test_a_new_name_is_an_audit_event_with_what_changed(client: Client, alice: User) -> None:
    response = client.post(_url(User, "change", alice.pk), _form(alice, last_name="Archer"))
    assert response.status_code == 302
    alice.refresh_from_db()
    assert alice.last_name == "Archer"
    event = AuditEvent.objects.get()
    assert (event.kind, event.actor) == ("user:changed", "dana")
    assert event.sentence == "Dana Dahl changed the user alice: last name."
    assert event.data == {
        "name": "alice",
        "changed": ["Last name"],
        "role": "member",
        "groups": [],
        "is_active": True,
        "is_staff": False,
    }


@pytest.mark.parametrize("is_on", [True, False], ids=["with the rule", "without it"])
def test_what_a_second_admin_may_have_to_confirm_is_not_changed_here(
    client: Client, alice: User, is_on: bool
) -> None:
    if is_on:
        SecondAdmin.objects.create(pk=1, state="on", changed_at=database_now())
    team, off = GroupFactory.create(), UserFactory.create(is_active=False)
    typed = _form(alice, role="admin", groups=[team.pk])
    assert client.post(_url(User, "change", alice.pk), typed).status_code == 302
    assert client.post(_url(User, "change", off.pk), _form(off)).status_code == 302
    alice.refresh_from_db()
    off.refresh_from_db()
    assert (alice.role, alice.groups.count(), off.is_active) == ("member", 0, False)
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("who", ["bob", "frank"])
def test_nobody_sets_the_password_of_who_decides_where_it_takes_two(
    who: str, client: Client, offer: Offer, frank: User, second_admin: None, bob: User
) -> None:
    decider = User.objects.get(username=who)
    password = "a long enough secret 79"
    typed = {"usable_password": "true", "password1": password, "password2": password}
    url = reverse("admin:auth_user_password_change", args=[decider.pk])
    response = client.post(url, typed, follow=True)
    assert "manage.py changepassword" in response.content.decode()
    decider.refresh_from_db()
    assert decider.password == "!"
    event = AuditEvent.objects.get()
    assert event.kind == "user:password:refused"
    assert event.sentence == f"Dana Dahl was refused: setting the password of {who}."


@pytest.mark.parametrize("way", ["in an emergency", "by a rule"])
def test_nor_that_of_who_gets_access_without_a_decision(
    way: str, client: Client, offer: Offer, alice: User, second_admin: None
) -> None:
    if way == "by a rule":
        offer.sensitivity, offer.auto_approve = "low", True
        offer.auto_longest = timedelta(minutes=30)
    else:
        team = GroupFactory.create()
        team.user_set.add(alice)
        offer.break_glass_group, offer.break_glass_longest = team, timedelta(minutes=30)
    offer.save()
    url = reverse("admin:auth_user_password_change", args=[alice.pk])
    page = client.post(url, {"usable_password": "true", "password1": "x"}, follow=True)
    assert "gets access without a decision" in page.content.decode()
    assert AuditEvent.objects.get().kind == "user:password:refused"


@pytest.mark.parametrize("key", ["abc", "999999999"])
def test_the_password_of_nobody_is_not_found(key: str, client: Client) -> None:
    url = reverse("admin:auth_user_password_change", args=[key])
    assert client.get(url).status_code == 404


def test_saving_without_a_change_is_no_event(client: Client, alice: User) -> None:
    assert client.post(_url(User, "change", alice.pk), _form(alice)).status_code == 302
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("field", ["is_superuser", "username", "user_permissions", "last_login"])
def test_what_must_not_change_about_a_person_does_not(
    client: Client, alice: User, field: str
) -> None:
    before = User.objects.filter(pk=alice.pk).values("is_superuser", "username", "last_login").get()
    client.post(_url(User, "change", alice.pk), _form(alice, **{field: "1"}))
    after = User.objects.filter(pk=alice.pk).values("is_superuser", "username", "last_login").get()
    assert after == before
    assert not alice.user_permissions.exists()


def test_a_new_person_is_a_member_and_an_event(client: Client) -> None:
    password = "a long enough secret 77"
    typed = {
        "username": "frank",
        "usable_password": "true",
        "password1": password,
        "password2": password,
    }
    assert client.post(_url(User, "add"), typed).status_code == 302
    frank = User.objects.get(username="frank")
    assert frank.role == User.Role.MEMBER
    event = AuditEvent.objects.get()
    assert (event.kind, event.sentence) == ("user:added", "Dana Dahl added the user frank.")


def test_a_new_password_is_an_event_without_the_password(client: Client, alice: User) -> None:
    password = "another long enough secret 78"
    typed = {"usable_password": "true", "password1": password, "password2": password}
    url = reverse("admin:auth_user_password_change", args=[alice.pk])
    assert client.post(url, typed).status_code == 302
    alice.refresh_from_db()
    assert alice.check_password(password)
    event = AuditEvent.objects.get()
    assert event.sentence == "Dana Dahl changed the user alice: password."
    assert password not in str(event.data)


@pytest.mark.parametrize("where", ["change", "password"])
def test_a_person_is_locked_before_their_whole_row_is_written(
    where: str, client: Client, alice: User
) -> None:
    """Or a role that another admin takes away in that moment would be written back."""
    password = "a long enough secret 80"
    url, typed = {
        "change": (_url(User, "change", alice.pk), _form(alice, last_name="Archer")),
        "password": (
            reverse("admin:auth_user_password_change", args=[alice.pk]),
            {"usable_password": "true", "password1": password, "password2": password},
        ),
    }[where]

    with CaptureQueriesContext(connection) as queries:
        assert client.post(url, typed).status_code == 302

    about = [one["sql"] for one in queries if '"accounts_user"' in one["sql"]]
    locked = [at for at, sql in enumerate(about) if sql.endswith("FOR UPDATE")]
    written = [at for at, sql in enumerate(about) if sql.startswith('UPDATE "accounts_user"')]
    assert len(written) == 1
    assert locked
    assert locked[-1] < written[0]


@pytest.mark.parametrize("where", ["change", "password"])
def test_without_the_event_nothing_changes(
    where: str, client: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**event: Any) -> None:
        raise RuntimeError("The audit log is full.")

    monkeypatch.setattr("accounts.admin.append", fail)
    password = "another long enough secret 78"
    url, typed = {
        "change": (_url(User, "change", alice.pk), _form(alice, last_name="Archer")),
        "password": (
            reverse("admin:auth_user_password_change", args=[alice.pk]),
            {"usable_password": "true", "password1": password, "password2": password},
        ),
    }[where]
    with pytest.raises(RuntimeError, match="The audit log is full"):
        client.post(url, typed)
    alice.refresh_from_db()
    assert (alice.last_name, alice.check_password(password)) == ("Ashby", False)


def test_people_are_never_deleted(client: Client, alice: User) -> None:
    assert client.post(_url(User, "delete", alice.pk), {"post": "yes"}).status_code == 403
    selected = {"action": "delete_selected", "_selected_action": [alice.pk], "post": "yes"}
    client.post(_url(User, "changelist"), selected)
    alice.refresh_from_db()
    assert alice.is_active


def test_the_lists_of_the_admin_site_cost_the_same_for_many_rows(
    client: Client, everything: None, django_assert_max_num_queries: Any
) -> None:
    UserFactory.create_batch(12)
    for model in admin.site._registry:
        with django_assert_max_num_queries(9):
            client.get(_url(model, "changelist"))
