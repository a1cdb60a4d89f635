"""What an approver is told of who asks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.db.models import Count

from accounts.models import AwsAccount, ProfileVersion
from provisioning.core import delta
from provisioning.core.states import RequestState
from provisioning.models import AccessRequest, Grant


@dataclass(frozen=True)
class Person:
    """Who asks, for whoever decides: what they hold, what this adds, and how it went before."""

    held: Sequence[Grant]
    """Their other live access, in all accounts."""
    adds: delta.Delta | None
    """None for more time on access that they have: it adds nothing but time."""
    earlier: Sequence[AccessRequest]
    """Their last requests for the same offer."""
    states: dict[str, int]
    """How many of their earlier requests, for any offer, ended how."""


EARLIER = 5
"""Requests of the same person and offer that the page lists."""


def about_requester(request: AccessRequest) -> Person:
    """What an approver should know of who asks; four queries, whatever they hold."""
    mine = Grant.objects.held_by(request.requester).with_parties().live()
    held = [one for one in mine.order_by("ends_at") if one.code != request.code]
    others = AccessRequest.objects.filter(requester=request.requester).exclude(pk=request.pk)
    counted = others.exclude(state=RequestState.PENDING).order_by().values_list("state")
    asked = _held(request.profile_version, request.offer.pair.target)
    return Person(
        held=held,
        adds=None if request.extends_id else delta.difference(asked, [_as_held(o) for o in held]),
        earlier=list(others.filter(offer=request.offer).order_by("-id")[:EARLIER]),
        states=dict(counted.annotate(Count("pk"))),
    )


def _as_held(grant: Grant) -> delta.Held:
    held = _held(grant.profile_version, grant.request.offer.pair.target)
    return replace(held, until=grant.ends_at, code=grant.code)


def _held(version: ProfileVersion, account: AwsAccount) -> delta.Held:
    return delta.Held(
        account_id=account.account_id,
        account_name=account.name,
        role=version.role_name,
        policies=frozenset(version.managed_policies),
        statements=version.inline_policy is not None,
        risks=tuple(one.sentence for one in version.report.risky),
    )
