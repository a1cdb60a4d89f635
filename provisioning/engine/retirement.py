"""Taking things out of use: what depends on them, ending that, and what a worker removes last."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from django.db.models import Q, QuerySet

from accounts.models import AccountPair, AwsAccount, IamIdentity, Offer, User
from audit.clock import database_now
from provisioning import lifecycle
from provisioning.aws import iam
from provisioning.aws.errors import AwsError
from provisioning.aws.sessions import assume
from provisioning.core import naming, retirement
from provisioning.core.plan import ForeignObject
from provisioning.core.states import RequestState
from provisioning.engine.entry import enter_for_group, provisioner
from provisioning.engine.failures import in_words
from provisioning.models import AccessRequest, Grant
from provisioning.specs import group_spec

log = structlog.get_logger(__name__)

type Thing = AwsAccount | AccountPair | Offer | User
"""What can be retired."""

BATCH: Final = 200


# --- What depends on it ----------------------------------------------------------------------


@dataclass(frozen=True)
class Dependents:
    """Everything that something must not go out of use under: each kind as a queryset."""

    requests: QuerySet[AccessRequest]
    """Requests that wait for a decision."""
    grants: QuerySet[Grant]
    """Grants whose access may exist somewhere, those that are being removed included."""
    offers: QuerySet[Offer]
    pairs: QuerySet[AccountPair]
    identities: QuerySet[IamIdentity]

    @property
    def to_revoke(self) -> QuerySet[Grant]:
        """Those grants that nobody has revoked yet."""
        return self.grants.filter(revoked_at__isnull=True)

    @property
    def anything_live(self) -> bool:
        """Whether there is access or a request that would have to end first."""
        return self.requests.exists() or self.grants.exists()


def dependents(thing: Thing) -> Dependents:
    """What depends on an account, a pair, an offer or a person."""
    pairs, offers = _pairs(thing), _offers(thing)
    requests = AccessRequest.objects.filter(_requests(thing))
    return Dependents(
        requests=requests.waiting().with_parties().order_by("id"),
        grants=Grant.objects.live().with_parties().filter(request__in=requests).order_by("ends_at"),
        offers=offers,
        pairs=pairs,
        identities=_identities(thing),
    )


def _requests(thing: Thing) -> Q:
    match thing:
        case AwsAccount():
            return Q(offer__pair__source=thing) | Q(offer__pair__target=thing)
        case AccountPair():
            return Q(offer__pair=thing)
        case Offer():
            return Q(offer=thing)
        case User():
            return Q(requester=thing)


def _pairs(thing: Thing) -> QuerySet[AccountPair]:
    live = AccountPair.objects.filter(retired_at__isnull=True).select_related("source", "target")
    match thing:
        case AwsAccount():
            return live.filter(Q(source=thing) | Q(target=thing))
        case AccountPair():
            return live.filter(pk=thing.pk)
        case _:
            return live.none()


def _offers(thing: Thing) -> QuerySet[Offer]:
    open_ones = Offer.objects.with_accounts().filter(is_active=True)
    match thing:
        case Offer():
            return open_ones.filter(pk=thing.pk)
        case User():
            return open_ones.none()
        case _:
            return open_ones.filter(pair__in=_pairs(thing))


def _identities(thing: Thing) -> QuerySet[IamIdentity]:
    linked = IamIdentity.objects.select_related("person", "account")
    match thing:
        case AwsAccount():
            return linked.filter(account=thing)
        case User():
            return linked.filter(person=thing)
        case _:
            return linked.none()


# --- Ending it -------------------------------------------------------------------------------


def end_all(found: Dependents, *, actor: str, sentence: str, reason: str) -> list[int]:
    """Revoke every grant and cancel every request that waits; returns the grants' keys.

    What somebody else ends in this very moment is left as it is. Grants come first, as wherever
    both are locked; and once more after the requests, because one that is being decided on is
    waited for there, and may have become a grant.
    """
    now, waiting = database_now(), list(found.requests[:])

    def revoke() -> list[int]:
        revoked = []
        for grant in found.to_revoke[:]:
            with suppress(lifecycle.StaleState):
                lifecycle.revoke(grant, actor=actor, sentence=sentence, reason=reason, now=now)
                revoked.append(grant.pk)
        return revoked

    revoked = revoke()
    for request in waiting:
        try:
            lifecycle.move_request(
                request, RequestState.CANCELLED, actor=actor, sentence=sentence, reason=reason
            )
        except lifecycle.StaleState:
            continue
    return revoked + revoke() if waiting else revoked


def close_stranded(now: datetime) -> None:
    """End what should have ended with its person or pair, whatever road that went.

    Somebody may be switched off in Django's admin or by a directory; a decision may have been made
    in the moment in which its pair was retired.
    """
    switched_off = "The person has been switched off."
    retired = "The account pair has been retired."
    for who, reason in ((Q(requester__is_active=False), switched_off), (_ON_RETIRED, retired)):
        requests = AccessRequest.objects.filter(who)
        stranded = Dependents(
            requests=requests.waiting().with_parties()[:BATCH],
            grants=Grant.objects.live().filter(request__in=requests),
            offers=Offer.objects.none(),
            pairs=AccountPair.objects.none(),
            identities=IamIdentity.objects.none(),
        )
        sentence = "It was ended, because what it rested on is out of use."
        ended = end_all(stranded, actor=lifecycle.SWEEPER, sentence=sentence, reason=reason)
        if ended:
            log.info("stranded_grants_revoked", count=len(ended), at=now.isoformat())


_ON_RETIRED: Final = Q(offer__pair__retiring_at__isnull=False)


# --- What a worker removes last --------------------------------------------------------------


def finish_pair(pair_id: int) -> None:
    """Once the last grant of a retiring pair has ended, take its target out of the switch group,
    or remove the group with its last pair; then the pair is retired."""
    now = database_now()
    pairs = AccountPair.objects.select_related("source", "target")
    due = pairs.filter(pk=pair_id, retiring_at__isnull=False, retired_at=None)
    pair = due.filter(next_check_at__lte=now).first()
    if pair is None:
        return
    if Grant.objects.live().filter(request__offer__pair=pair).exists():
        lifecycle.postpone_pair(pair, now)
        return
    try:
        remark = _clear_group(pair)
    except (AwsError, ForeignObject) as error:
        lifecycle.note_pair(pair, began=now, now=database_now(), error=in_words(error))
        return
    lifecycle.note_retired(pair, now=database_now(), remark=remark)


def _clear_group(pair: AccountPair) -> str:
    """Remove from the pair's switch group what no other pair needs. Returns a remark, if any.

    A pair whose group was never made has nothing in AWS.
    """
    others = AccountPair.objects.filter(
        source=pair.source, switch_group=pair.switch_group, retired_at__isnull=True
    ).exclude(pk=pair.pk)
    if others.filter(retiring_at__isnull=True).exists():
        _narrow(pair)
        return ""
    return _remove(pair, last=not others.exists())


def _narrow(pair: AccountPair) -> None:
    spec = group_spec(pair)
    with enter_for_group(pair.source, spec, operation=f"pair-{pair.pk}") as session:
        found = iam.find_group(session.client, spec.name)
        for step in retirement.narrow_group(spec, found):
            iam.apply(session.client, step)


def _remove(pair: AccountPair, *, last: bool) -> str:
    source, name = pair.source, pair.switch_group
    arn = naming.group_arn(source.partition, source.account_id, name)
    with assume(
        provisioner(source),
        session_name=naming.session_name(f"pair-{pair.pk}"),
        policy=retirement.session_policy(arn),
    ) as session:
        client = session.client
        found = iam.find_group(client, name)
        members = iam.group_members(client, name) if found else []
        for step in retirement.remove_group(name, found, last=last, members=members):
            iam.apply(client, step)
    if not members:
        return ""
    return f"The group {name} was left, without any permission: {', '.join(members)} is in it."
