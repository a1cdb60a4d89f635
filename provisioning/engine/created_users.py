"""Making, removing and giving passwords to IAM users: what a worker does.

Only a user under our path, with our tags and the unique id in the row is ever changed (I5).
"""

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from accounts.models import IamIdentity
from audit.clock import database_now
from audit.models import append
from provisioning import authz, lifecycle
from provisioning.aws import users
from provisioning.aws.errors import AwsError, Kind
from provisioning.aws.sessions import assume
from provisioning.core import naming, passwords, user_policies
from provisioning.engine import sealing
from provisioning.engine.entry import provisioner
from provisioning.engine.failures import in_words
from provisioning.models import Grant, PasswordRequest

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

TAG_IDENTITY: Final = "sallyport:identity"
RETRY: Final = timedelta(minutes=1)
PASSES: Final = 3
"""How often one run looks again: create, answer lost, adopt."""
NOT_SEEN_YET: Final = timedelta(minutes=5)
"""How long after a creation a read that finds nothing proves nothing [AWS-FACTS 7.6]."""
LEASE: Final = timedelta(seconds=90)


class Trouble(Exception):
    """Why a user cannot be made or removed, in words for an admin."""


def work(identity_id: int) -> None:
    """Make the IAM user of an identity, or remove it, whichever was asked for last."""
    due = IamIdentity.objects.present().select_related("account", "person")
    identity = due.filter(
        pk=identity_id, created_by_portal=True, next_check_at__lte=database_now()
    ).first()
    if identity is None:
        return
    try:
        if identity.remove_asked_at:
            _remove(identity)
        else:
            _make(identity)
    except (AwsError, Trouble) as error:
        words = in_words(error) if isinstance(error, AwsError) else str(error)
        _note(identity, words)


def _note(identity: IamIdentity, error: str) -> None:
    """An admin may have asked for the removal meanwhile: that stays asked for."""
    same = IamIdentity.objects.filter(pk=identity.pk, remove_asked_at=identity.remove_asked_at)
    same.update(last_error=error, next_check_at=database_now() + RETRY)


def _names(identity: IamIdentity) -> dict[str, str]:
    account = identity.account
    return {"partition": account.partition, "account_id": account.account_id}


def _tags(identity: IamIdentity) -> dict[str, str]:
    return {naming.TAG_PORTAL: settings.PORTAL_ID, TAG_IDENTITY: str(identity.pk)}


def _enter(identity: IamIdentity) -> "IAMClient":
    policy = user_policies.session_policy(**_names(identity), name=identity.user_name)
    name = f"sallyport-identity-{identity.pk}"
    return assume(provisioner(identity.account), session_name=name, policy=policy).iam()


def _is_ours(identity: IamIdentity, found: users.FoundUser) -> bool:
    tags = _tags(identity)
    return (
        found.path == naming.PATH
        and {key: found.tags.get(key) for key in tags} == tags
        and identity.unique_id in {"", found.unique_id}
    )


# --- Making ----------------------------------------------------------------------------------


def _make(identity: IamIdentity) -> None:
    client = _enter(identity)
    names = _names(identity)
    boundary = user_policies.user_boundary_arn(*names.values())
    for _ in range(PASSES):
        found = users.find(client, identity.user_name)
        if found is not None:
            _require_ours(identity, found, boundary)
            own = user_policies.own_credentials_arn(*names.values())
            users.attach(client, identity.user_name, own)
            _made(identity, found)
            return
        if identity.unique_id:
            raise Trouble("Somebody has deleted this IAM user in AWS. Remove it here as well.")
        _create(client, users.NewUser(identity.user_name, boundary, _tags(identity)))
    raise Trouble("AWS did not show the new IAM user yet. It will be looked for again.")


def _create(client: "IAMClient", user: users.NewUser) -> None:
    """A user that exists already is ours after a lost answer, or foreign: the next look tells.

    Names that differ by case only are one to IAM, so that a look may find nothing still [3.6].
    """
    try:
        users.create(client, user)
    except AwsError as error:
        if error.kind is not Kind.EXISTS:
            raise
        if users.find(client, user.name) is None:
            raise Trouble(_taken(user.name)) from error


def _taken(name: str) -> str:
    return (
        f"The account has an IAM user {name} already, which Sallyport did not create and does not "
        "touch. Remove this entry, then link the person to that user or choose another name."
    )


def _require_ours(identity: IamIdentity, found: users.FoundUser, boundary: str) -> None:
    if not _is_ours(identity, found):
        raise Trouble(_taken(identity.user_name))
    if found.boundary_arn != boundary:
        raise Trouble(
            f"Somebody has changed the boundary of {identity.user_name} in AWS. The account's "
            "owner has to put SallyportUserBoundary back."
        )


@transaction.atomic
def _made(identity: IamIdentity, found: users.FoundUser) -> None:
    waiting = IamIdentity.objects.filter(pk=identity.pk, remove_asked_at__isnull=True)
    moved = waiting.update(
        arn=found.arn,
        unique_id=found.unique_id,
        verified_at=database_now(),
        next_check_at=None,
        last_error="",
    )
    if moved:
        append(
            kind="identity:user:created",
            actor=lifecycle.WORKER,
            subject=identity.subject,
            sentence=f"The IAM user {identity} was made for {identity.person.label}.",
            data={"arn": found.arn, "unique_id": found.unique_id},
        )


# --- Removing --------------------------------------------------------------------------------


def _remove(identity: IamIdentity) -> None:
    if Grant.objects.live().filter(identity=identity).exists():
        raise Trouble("A grant of this IAM user still lives. Revoke it first.")
    client = _enter(identity)
    found = users.find(client, identity.user_name)
    if found is None:
        began = max(filter(None, (identity.created_at, identity.verified_at)))
        if database_now() - began < NOT_SEEN_YET:
            raise Trouble("AWS does not show this IAM user yet. It will be looked for again.")
    elif _is_ours(identity, found):
        _delete(client, identity.user_name)
    _removed(identity, was_there=found is not None and _is_ours(identity, found))


def _delete(client: "IAMClient", name: str) -> None:
    try:
        users.remove(client, name)
    except AwsError as error:
        if error.code != "DeleteConflict":
            raise
        raise Trouble(
            f"{name} cannot sign in any more, but AWS keeps the user while something that "
            "Sallyport may not touch hangs on it: access keys, other keys or certificates, or a "
            "group outside /sallyport/. The account's owner has to take these away."
        ) from error
    if users.find(client, name) is not None:
        raise Trouble("AWS still shows this IAM user. It will be looked at again.")


@transaction.atomic
def _removed(identity: IamIdentity, *, was_there: bool) -> None:
    moved = IamIdentity.objects.present().filter(pk=identity.pk)
    now = database_now()
    if moved.update(removed_at=now, next_check_at=None, last_error=""):
        append(
            kind="identity:user:removed",
            actor=lifecycle.WORKER,
            subject=identity.subject,
            sentence=f"The IAM user {identity} was removed."
            if was_there
            else f"AWS has no IAM user {identity} that Sallyport created.",
            data={"unique_id": identity.unique_id},
        )


# --- One-time passwords ----------------------------------------------------------------------


def set_password(request_id: int) -> None:
    """Set the password that an admin asked for, and keep it sealed to their page.

    One worker at a time, by lease: two would leave the page with a password that is dead already.
    Failing leaves the request waiting, until it lapses.
    """
    now = database_now()
    free = Q(leased_until__isnull=True) | Q(leased_until__lt=now)
    until = now + LEASE
    mine = PasswordRequest.objects.filter(free, pk=request_id, state="waiting", lapses_at__gt=now)
    if mine.update(leased_until=until) != 1:
        return
    request = PasswordRequest.objects.select_related("identity__account").get(pk=request_id)
    try:
        sealed = _sealed_password(request)
    except AwsError as error:
        _password_failed(request, in_words(error), again=error.kind is not Kind.PERMANENT)
    except Trouble as error:
        _password_failed(request, str(error), again=False)
    else:
        _password_set(request, sealed)


def _sealed_password(request: PasswordRequest) -> str:
    identity = request.identity
    if not authz.can_have_password(request.asked_by, identity):
        raise Trouble("This may no longer be asked for.")
    client = _enter(identity)
    found = users.find(client, identity.user_name)
    if found is None or not identity.unique_id or not _is_ours(identity, found):
        raise Trouble("AWS does not have the IAM user that Sallyport created under this name.")
    chance = secrets.SystemRandom()
    password = passwords.one_time_password(
        users.shortest_password(client), choose=chance.choice, shuffle=chance.shuffle
    )
    sealed = sealing.seal(password, public=request.public_key, about=str(request.pk))
    users.set_password(client, identity.user_name, password)
    return sealed


@transaction.atomic
def _password_set(request: PasswordRequest, sealed: str) -> None:
    mine = PasswordRequest.objects.filter(
        pk=request.pk, state="waiting", leased_until=request.leased_until
    )
    if mine.update(state="sealed", sealed=sealed, last_error=""):
        append(
            kind="identity:password:set",
            actor=lifecycle.WORKER,
            subject=request.identity.subject,
            sentence=f"A one-time password of {request.identity} was set.",
            data={"request": request.pk},
        )


@transaction.atomic
def _password_failed(request: PasswordRequest, words: str, *, again: bool) -> None:
    mine = PasswordRequest.objects.filter(pk=request.pk, state="waiting")
    if again:
        soon = database_now() + timedelta(seconds=10)
        mine.update(last_error=words, leased_until=soon)
    elif mine.update(last_error=words, state="failed"):
        append(
            kind="identity:password:failed",
            actor=lifecycle.WORKER,
            subject=request.identity.subject,
            sentence=f"No one-time password of {request.identity} could be set.",
            reason=words,
            data={"request": request.pk},
        )


def lapse_passwords() -> None:
    """Passwords that nobody looked at in time are forgotten, sealed as they are."""
    now = database_now()
    for request in PasswordRequest.objects.filter(
        state__in=["waiting", "sealed"], lapses_at__lte=now
    ).select_related("identity__account")[:200]:
        with transaction.atomic():
            mine = PasswordRequest.objects.filter(pk=request.pk, state=request.state)
            if mine.update(state="lapsed", sealed=""):
                append(
                    kind="identity:password:lapsed",
                    actor=lifecycle.SWEEPER,
                    subject=request.identity.subject,
                    sentence=f"Nobody looked at the one-time password of {request.identity}.",
                    data={"request": request.pk},
                )
