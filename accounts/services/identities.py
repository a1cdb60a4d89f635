"""Use cases of IAM identities."""

from django.db import transaction

from accounts.models import IamIdentity, User
from accounts.services.common import label_of, name_of, save_and_tell
from audit.clock import database_now
from audit.models import append


@transaction.atomic
def link_identity(*, actor: User | str, identity: IamIdentity) -> IamIdentity:
    """Say which IAM user a person is in a source account. A worker looks the user up next."""
    save_and_tell(
        identity,
        actor=name_of(actor),
        kind="identity:linked",
        sentence=f"{label_of(actor)} linked {identity.person.label} to {identity}.",
    )
    return identity


@transaction.atomic
def look_again(*, actor: User | str, identity: IamIdentity) -> bool:
    """Let a worker look for an identity's IAM user at once. False when it was found meanwhile."""
    failed = IamIdentity.objects.filter(pk=identity.pk).exclude(last_error="")
    if failed.update(next_check_at=database_now(), last_error="") != 1:
        return False
    append(
        kind="identity:check:asked",
        actor=name_of(actor),
        subject=identity.subject,
        sentence=f"{label_of(actor)} asked to look for {identity} again.",
    )
    return True


@transaction.atomic
def relink_identity(*, actor: User | str, identity: IamIdentity) -> IamIdentity:
    """Look an identity's IAM user up anew: it was deleted and made again under its old name.

    AWS's unique id is forgotten here and adopted afresh by a worker; grants that were approved for
    the former user are refused from then on, because their plan is another one.
    """
    former = identity.unique_id
    identity.arn, identity.unique_id, identity.last_error = "", "", ""
    identity.verified_at, identity.next_check_at = None, database_now()
    save_and_tell(
        identity,
        actor=name_of(actor),
        kind="identity:relinked",
        sentence=f"{label_of(actor)} linked {identity.person.label} to {identity} anew.",
        former_unique_id=former,
    )
    return identity
