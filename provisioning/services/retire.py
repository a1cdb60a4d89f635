"""Use cases of admins: take an account, a pair, an offer or a person out of use.

Whatever depends on it ends first: nothing goes out of use under live access. What is out of use
stays in the record, because history names it.
"""

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from accounts.four_eyes import second_admin
from accounts.models import AccountPair, AwsAccount, Offer, User
from audit.clock import database_now
from audit.models import append
from provisioning import authz, lifecycle, tasks
from provisioning.engine.retirement import Thing, dependents, end_all
from provisioning.services.common import Refused, nudge_on_commit, refusals_recorded, require

KINDS = {AwsAccount: "account", AccountPair: "pair", Offer: "offer", User: "person"}
"""What pages and events call each of them."""


def name_of(thing: Thing) -> str:
    """What an admin types to confirm."""
    match thing:
        case AwsAccount():
            return thing.name
        case AccountPair():
            return f"{thing.source.name} to {thing.target.name}"
        case Offer():
            return thing.profile.name
        case User():
            return thing.username


def subject_of(thing: Thing) -> str:
    """The thing in audit events; people are named as Django's admin names them."""
    return f"user:{thing.pk}" if isinstance(thing, User) else thing.subject


def can_retire(person: User, thing: Thing) -> authz.Answer:
    """May this person take it out of use now?"""
    out = not thing.is_active if isinstance(thing, Offer | User) else bool(thing.retiring_at)
    return authz.can_retire(
        person,
        retired=out and not dependents(thing).anything_live,
        is_self=isinstance(thing, User) and thing.pk == person.pk,
    )


def retire(*, actor: User, thing: Thing, confirmation: str, reason: str) -> None:
    """Revoke and cancel all that depends on something, and take it out of use.

    An account or a pair is `retiring` until a worker has seen that nothing of it is left in AWS.
    Raises Refused, or ValidationError at the field.
    """
    kind, subject = KINDS[type(thing)], subject_of(thing)
    attempt = f"taking the {kind} {name_of(thing)} out of use"
    with refusals_recorded(f"{kind}:retire", actor, subject, attempt):
        require(can_retire(actor, thing))
        if confirmation.strip() != name_of(thing):
            message = f"Type the name exactly as it stands here: {name_of(thing)}"
            error = ValidationError(message, code="not_confirmed")
            raise ValidationError({"confirmation": error})
        sentence = f"{actor.label} took the {kind} {name_of(thing)} out of use."
        _take_out(actor, thing, _Deed(actor.username, sentence, reason))


@dataclass(frozen=True)
class _Deed:
    """Who takes something out of use and why: what every event of it says."""

    actor: str
    sentence: str
    reason: str

    def note(self, kind: str, subject: str, **data: object) -> None:
        """Append one of its events."""
        append(
            kind=kind,
            actor=self.actor,
            subject=subject,
            sentence=self.sentence,
            reason=self.reason,
            data=data,
        )


@transaction.atomic
def _take_out(actor: User, thing: Thing, deed: _Deed) -> None:
    # One change of the rules at a time: a proposal that is confirmed in this very moment would
    # otherwise open again what is closed here.
    second_admin.locked_rule()
    if isinstance(thing, User):
        # While both admins are there: the rule of the second one must outlive the first's going.
        second_admin.settle()
    # Read anew: two admins who switch each other off at once would leave nobody.
    require(authz.can_retire(User.objects.get(pk=actor.pk), retired=False))
    found, now = dependents(thing), database_now()
    revoked = end_all(found, actor=deed.actor, sentence=deed.sentence, reason=deed.reason)
    pairs = list(found.pairs)
    _close_offers(found.offers, deed)
    _mark(thing, pairs, deed, now)
    deed.note(f"{KINDS[type(thing)]}:retiring", subject_of(thing), revoked=len(revoked))
    if isinstance(thing, AwsAccount):
        for pair in pairs:
            deed.note("pair:retiring", pair.subject)
        lifecycle.note_account_retired(thing, now)
    for pk in revoked:
        nudge_on_commit(tasks.converge_grant, pk)
    for pair in pairs:
        nudge_on_commit(tasks.finish_pair, pair.pk)


def _close_offers(offers: QuerySet[Offer], deed: _Deed) -> None:
    for offer in list(offers):
        Offer.objects.filter(pk=offer.pk).update(is_active=False)
        deed.note("offer:closed", offer.subject)


def _mark(thing: Thing, pairs: list[AccountPair], deed: _Deed, now: datetime) -> None:
    """Nothing new is made with it from now on; triggers hold that too."""
    marks = {"retiring_at": now, "retired_by": deed.actor}
    AccountPair.objects.filter(pk__in=[one.pk for one in pairs], retiring_at=None).update(
        **marks, next_check_at=now, last_error=""
    )
    if isinstance(thing, AwsAccount):
        AwsAccount.objects.filter(pk=thing.pk, retiring_at=None).update(**marks)
    if isinstance(thing, User):
        User.objects.filter(pk=thing.pk).update(is_active=False)


def bring_back(*, actor: User, account: AwsAccount) -> None:
    """Take a retired account into use again, with its ExternalId. Its pairs are registered anew.

    Raises Refused for anybody but an admin, and for an account that is not retired.
    """
    attempt = f"bringing the account {account.name} back"
    with refusals_recorded("account:bring_back", actor, account.subject, attempt):
        require(authz.can_retire(actor, retired=False))
        with transaction.atomic():
            retired = AwsAccount.objects.filter(pk=account.pk, retired_at__isnull=False)
            if retired.update(retiring_at=None, retired_at=None, retired_by="") != 1:
                raise Refused(authz.Answer(("This account is not retired.",)))
            append(
                kind="account:brought_back",
                actor=actor.username,
                subject=account.subject,
                sentence=f"{actor.label} took {account} into use again.",
            )
