"""Use cases of IAM users that Sallyport creates: create, remove, one-time passwords.

Admins only, and only users that Sallyport created itself: those who existed before keep their
passwords to themselves (I5).
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from accounts.models import IamIdentity, User
from audit.clock import database_now
from audit.models import append
from provisioning import authz, tasks
from provisioning.core.states import RequestState
from provisioning.engine import sealing
from provisioning.models import AccessRequest, Grant, PasswordRequest
from provisioning.services.common import nudge_on_commit, refusals_recorded, require

PASSWORD_LIFETIME: Final = timedelta(minutes=5)
"""How long an admin's page waits for a password, and a sealed one for the page."""


class NotNow(Exception):
    """What was asked for cannot be done as things are; the words say why."""


def create_user(*, admin: User, identity: IamIdentity) -> IamIdentity:
    """Have an IAM user made for a person. The row is stored first; a worker makes it so.

    Raises Refused, or ValidationError at the field.
    """
    account = identity.account
    with refusals_recorded("identity:user:create", admin, account.subject, "creating an IAM user"):
        require(authz.can_manage_users(admin))
    if not account.may_create_users:
        message = f"{account.name} does not allow Sallyport to create IAM users."
        raise ValidationError({"account": ValidationError(message, code="may_not_create_users")})
    identity.created_by_portal = True
    with transaction.atomic():
        identity.full_clean()
        identity.save(force_insert=True)
        append(
            kind="identity:user:asked",
            actor=admin.username,
            subject=identity.subject,
            sentence=f"{admin.label} asked for the IAM user {identity}, for "
            f"{identity.person.label}.",
        )
        nudge_on_commit(tasks.create_or_remove_user, identity.pk)
    return identity


def why_not_removable(identity: IamIdentity) -> list[str]:
    """What still needs this IAM user, as sentences."""
    found = [
        f"The grant {grant.code} still lives: revoke it first."
        for grant in Grant.objects.live().filter(identity=identity)
    ]
    waiting = AccessRequest.objects.filter(identity=identity, state=RequestState.PENDING)
    found += [f"The request {one.code} waits for a decision." for one in waiting]
    return found


def remove_user(*, admin: User, identity: IamIdentity) -> None:
    """Have an IAM user removed that Sallyport created. Raises Refused, or NotNow while a grant
    or a request needs it."""
    recorded = refusals_recorded("identity:user:remove", admin, identity.subject, "removing it")
    with recorded, transaction.atomic():
        # The lock also holds off a grant that is being approved: its row points here.
        identity = IamIdentity.objects.select_for_update(of=("self",)).get(pk=identity.pk)
        require(authz.can_remove_user(admin, identity))
        if identity.remove_asked_at:
            raise NotNow("Somebody has asked for that already.")
        reasons = why_not_removable(identity)
        if reasons:
            raise NotNow(" ".join(reasons))
        now = database_now()
        identity.remove_asked_at, identity.next_check_at, identity.last_error = now, now, ""
        identity.save(update_fields=["remove_asked_at", "next_check_at", "last_error"])
        append(
            kind="identity:user:remove:asked",
            actor=admin.username,
            subject=identity.subject,
            sentence=f"{admin.label} asked to remove the IAM user {identity}.",
        )
        nudge_on_commit(tasks.create_or_remove_user, identity.pk)


@dataclass(frozen=True)
class AskedPassword:
    """A request, and the private key for the page of whoever asked."""

    request: PasswordRequest
    private_key: str = field(repr=False)


def ask_password(*, admin: User, identity: IamIdentity) -> AskedPassword:
    """Ask for a one-time password. One that was asked for before is given up. Raises Refused."""
    recorded = refusals_recorded(
        "identity:password:ask", admin, identity.subject, "asking for a one-time password"
    )
    with recorded, transaction.atomic():
        identity = IamIdentity.objects.select_for_update(of=("self",)).get(pk=identity.pk)
        require(authz.can_have_password(admin, identity))
        PasswordRequest.objects.filter(identity=identity, state__in=["waiting", "sealed"]).update(
            state="lapsed", sealed=""
        )
        pair = sealing.new_key_pair()
        request = PasswordRequest.objects.create(
            identity=identity,
            asked_by=admin,
            lapses_at=database_now() + PASSWORD_LIFETIME,
            public_key=pair.public,
        )
        append(
            kind="identity:password:asked",
            actor=admin.username,
            subject=identity.subject,
            sentence=f"{admin.label} asked for a one-time password of {identity}.",
            data={"request": request.pk},
        )
        nudge_on_commit(tasks.set_password, request.pk)
    return AskedPassword(request, pair.private)


@sensitive_variables()
def show_password(*, admin: User, request: PasswordRequest, private_key: str) -> str:
    """The password, once: it is forgotten in the same transaction.

    Raises Refused for anybody but the admin who asked; NotNow when there is nothing to show, or
    with a key that does not open it.
    """
    subject = request.identity.subject
    recorded = refusals_recorded(
        "identity:password:show", admin, subject, "seeing a one-time password"
    )
    with recorded, transaction.atomic():
        locked = PasswordRequest.objects.select_for_update(of=("self",)).select_related("identity")
        request = locked.get(pk=request.pk)
        require(authz.can_see_password(admin, request))
        if request.state != "sealed" or request.lapses_at <= database_now():
            raise NotNow("There is no password to show.")
        try:
            text = sealing.open_sealed(request.sealed, private=private_key, about=str(request.pk))
        except sealing.WrongKey:
            raise NotNow("This page cannot open the password. Ask for another one.") from None
        request.state, request.sealed, request.shown_at = "shown", "", database_now()
        request.save(update_fields=["state", "sealed", "shown_at"])
        append(
            kind="identity:password:shown",
            actor=admin.username,
            subject=subject,
            sentence=f"{admin.label} was shown the one-time password of {request.identity}.",
            data={"request": request.pk},
        )
    return text
