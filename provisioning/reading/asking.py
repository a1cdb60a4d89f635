"""What somebody sees who is about to ask: who approves, what is in the way, whom to talk to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from accounts import stages as stage_rules
from accounts.durations import in_words
from accounts.models import Offer, User
from provisioning import authz
from provisioning.core import preflight
from provisioning.core.preflight import Level
from provisioning.core.states import RequestState
from provisioning.engine.preview import in_data
from provisioning.models import AccessRequest, Grant
from provisioning.specs import spec_for_request


@dataclass(frozen=True)
class StageView:
    """One approval stage before somebody asks: how many of whom."""

    name: str
    quorum: int
    people: Sequence[User]


MOST_ADMINS: Final = 3
"""Names to begin with, not everybody."""


def admins_to_ask(person: User, answers: Iterable[authz.Answer]) -> list[User]:
    """Admins whom a person can talk to, where they are told that they may not do something."""
    if all(answer.allowed for answer in answers):
        return []
    admins = User.objects.filter(role=User.Role.ADMIN, is_active=True).exclude(pk=person.pk)
    return list(admins.order_by("first_name", "last_name", "username")[:MOST_ADMINS])


def who_approves(stages: Sequence[stage_rules.Stage], person: User) -> list[StageView]:
    """The stages of an offer with everybody in them who could decide on this person's request."""
    keys = {key for stage in stages for key in stage.people} - {person.pk}
    people = User.objects.in_bulk(keys)
    by_name = sorted(people.values(), key=lambda one: one.label.lower())
    return [
        StageView(one.name, one.quorum, [who for who in by_name if who.pk in one.people])
        for one in stages
    ]


def ask_again_query(asked: AccessRequest, grant: Grant | None) -> str:
    """What fills the request form in as this request was, once it is over: one click asks again."""
    goes_on = grant is not None and not grant.is_over
    if asked.state == RequestState.PENDING or asked.extends_id or goes_on:
        return ""
    known = {
        "duration": in_words(int(asked.duration.total_seconds() // 60)),
        "reason": asked.reason,
        "ticket": asked.ticket,
    }
    return urlencode({name: text for name, text in known.items() if text})


def findings_before_asking(person: User, offer: Offer) -> list[dict[str, str]]:
    """What stands in the way of an offer for this person, or nearly does, without asking AWS."""
    identity = authz.identity_for(person, offer)
    if identity is None:
        return []
    request = AccessRequest(
        requester=person,
        identity=identity,
        offer=offer,
        profile_version=offer.profile.current,
        duration=offer.max_duration,
    )
    found = preflight.static_findings(spec_for_request(request))
    return in_data(one for one in found if one.level is not Level.OK)
