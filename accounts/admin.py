"""Django's admin: people's names and passwords to manage, everything else to read.

Who may do what follows from the portal's own roles; Django's permissions and the superuser flag
count for nothing here, so they cannot be edited either. Roles and groups are changed on pages of
the registry, because what widens access waits for a second admin there.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.authz import may_change_registry, person_of
from accounts.four_eyes import second_admin
from accounts.models import (
    AccessProfile,
    AccountPair,
    AwsAccount,
    ConnectionCheck,
    IamIdentity,
    Offer,
    ProfileVersion,
    User,
)
from audit.admin import ReadOnlyAdmin
from audit.models import append

admin.site.site_header = "Sallyport: people"
admin.site.site_title = "Sallyport"
admin.site.unregister(Group)


def _changes(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and may_change_registry(request.user)


class RecordedAdmin(ReadOnlyAdmin):
    """Admins add and change, auditors look, nobody deletes; each change is an audit event.

    Nothing here is ever deleted, because events, requests and decisions name people for ever.
    """

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Admins."""
        return _changes(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Admins."""
        return _changes(request)

    # Django calls these two last, when many-to-many fields are stored as well, and inside the
    # transaction of the change.

    def log_addition(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        """Append the event of something new."""
        self._append(request, obj, verb="added", changed=[])
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        """Append the event of a change; `message` is Django's list of what changed."""
        fields = [name for part in message for name in part["changed"]["fields"]]
        if fields:
            self._append(request, obj, verb="changed", changed=fields)
        return super().log_change(request, obj, message)

    def _append(
        self, request: HttpRequest, obj: models.Model, *, verb: str, changed: list[str]
    ) -> None:
        actor, kind, name = person_of(request), obj._meta.model_name, str(self.name_of(obj))
        what = f": {', '.join(changed).lower()}" if changed else ""
        append(
            kind=f"{kind}:{verb}",
            actor=actor.username,
            subject=f"{kind}:{obj.pk}",
            sentence=f"{actor.label} {verb} the {kind} {name}{what}.",
            data={"name": name, "changed": changed, **self.facts(obj)},
        )

    def name_of(self, obj: Any) -> str:
        """What an event calls the thing."""
        return str(obj)

    def facts(self, obj: Any) -> dict[str, Any]:
        """What an event keeps about the thing as it is now."""
        return {}


@admin.register(User)
class UserAdmin(RecordedAdmin, DjangoUserAdmin):  # type: ignore[type-arg]  # The same.
    """People: names, passwords, who may open this site. Role and groups are shown only."""

    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("What they may do", {"fields": ("role", "groups", "is_active", "is_staff")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    list_display = ("username", "first_name", "last_name", "role", "is_active", "is_staff")
    list_filter = ("role", "is_active", "groups")
    filter_horizontal = ("groups",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Audit events name people by user name, so it stays theirs for ever. Role, groups and
        who can sign in are rules: `accounts.services` changes them."""
        fixed = ("last_login", "date_joined", "role", "groups", "is_active")
        return (*fixed, *(("username",) if obj else ()))

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> User | None:
        """The person, who is locked until what is posted is stored: Django writes the whole row,
        with a role that somebody may have changed since it was read."""
        person = super().get_object(request, object_id, from_field)
        # Whatever stores something is in a transaction; nothing else needs a lock, or can have one.
        stores = request.method == "POST" and transaction.get_connection().in_atomic_block
        if person is not None and stores:
            person = User.objects.select_for_update().get(pk=person.pk)
        return person

    @transaction.atomic
    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        """Change somebody's password, in one transaction with its event.

        Whoever sets it could sign in as them: so not that of another person who decides or gets
        access without a decision, where it takes two to widen access. And not one's own, which
        is changed by whoever knows the old one.
        """
        person = self.get_object(request, unquote(id))
        if person is None:
            raise Http404
        if person.pk == person_of(request).pk:
            return redirect("own-password")
        if second_admin.holds() and second_admin.is_needed_in_person(person):
            return self._password_refused(request, person)
        return super().user_change_password(request, id, form_url)

    def _password_refused(self, request: HttpRequest, person: User) -> HttpResponse:
        actor = person_of(request)
        message = (
            f"{person.label} is an admin or an approver, or gets access without a decision, so "
            "another admin does not set their password. An operator does on the server: "
            "manage.py changepassword."
        )
        append(
            kind="user:password:refused",
            actor=actor.username,
            subject=f"user:{person.pk}",
            sentence=f"{actor.label} was refused: setting the password of {person.username}.",
            reason=message,
        )
        messages.error(request, message)
        return redirect("admin:accounts_user_change", person.pk)

    def name_of(self, obj: Any) -> str:
        """The user name: it never changes."""
        return str(obj.username)

    def facts(self, obj: Any) -> dict[str, Any]:
        """What decides over their rights."""
        return {
            "role": obj.role,
            "groups": sorted(obj.groups.values_list("name", flat=True)),
            "is_active": obj.is_active,
            "is_staff": obj.is_staff,
        }


@admin.register(Group)
class GroupAdmin(ReadOnlyAdmin):
    """Groups that offers can name. Who is in one stands with each person."""

    fields = ("name",)


@admin.register(AwsAccount)
class AwsAccountAdmin(ReadOnlyAdmin):
    """Registered accounts."""

    list_display = ("name", "account_id", "partition", "created_at")
    search_fields = ("name", "account_id")


@admin.register(ConnectionCheck)
class ConnectionCheckAdmin(ReadOnlyAdmin):
    """Runs of Check connection."""

    list_display = ("account", "asked_by", "asked_at", "finished_at", "passed")
    list_select_related = ("account",)


@admin.register(AccountPair)
class AccountPairAdmin(ReadOnlyAdmin):
    """Account pairs."""

    list_display = ("source", "target", "switch_group", "created_at")
    list_select_related = ("source", "target")


@admin.register(AccessProfile)
class AccessProfileAdmin(ReadOnlyAdmin):
    """Access profiles."""

    list_display = ("name", "description", "tone", "created_at")


@admin.register(ProfileVersion)
class ProfileVersionAdmin(ReadOnlyAdmin):
    """Versions of profiles."""

    list_display = ("profile", "number", "role_name", "created_by", "created_at")
    list_select_related = ("profile",)


@admin.register(Offer)
class OfferAdmin(ReadOnlyAdmin):
    """Offers."""

    list_display = ("profile", "pair", "max_duration", "is_active", "created_at")
    list_select_related = ("profile", "pair__source", "pair__target")


@admin.register(IamIdentity)
class IamIdentityAdmin(ReadOnlyAdmin):
    """IAM identities."""

    list_display = ("person", "account", "user_name", "verified_at", "last_error")
    list_select_related = ("person", "account")
