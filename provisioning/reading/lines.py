"""Grants as lines of the list of everybody's."""

from datetime import datetime
from typing import TypedDict

from accounts.models import User
from provisioning import authz
from provisioning.core.states import Phase
from provisioning.models import Grant


class Moment(TypedDict):
    """A time for `includes/time.html`'s short style, written once."""

    iso: str
    words: str


class GrantLine(TypedDict):
    """One grant in the list of everybody's. Plain words, all made here: a list of fifty has a
    thousand of them, and a template's own tags and filters would take most of the page's time."""

    url: str
    person: str
    source: str
    source_id: str
    target: str
    target_id: str
    role: str
    starts: Moment
    ends: Moment
    extended_to: Moment | None
    phase: str
    phase_label: str
    attention: bool
    error: str
    revocable: bool
    repairable: bool


def moment(at: datetime) -> Moment:
    """As the `date` filter writes it, in a fiftieth of the time."""
    return {"iso": at.isoformat(), "words": f"{at.day} {at:%b, %H:%M} UTC"}


def grant_line(grant: Grant, person: User, now: datetime) -> GrantLine:
    """A grant of `listing.with_names` as a line of the list that this person reads."""
    ended = grant.ended_at if grant.phase == Phase.ENDED else None
    phase = grant.phase_at(now).value
    pair = grant.request.offer.pair
    return {
        "url": grant.get_absolute_url(),
        "person": grant.requester.label,
        "source": pair.source.name,
        "source_id": pair.source.account_id,
        "target": pair.target.name,
        "target_id": pair.target.account_id,
        "role": grant.role_name,
        "starts": moment(grant.starts_at),
        "ends": moment(ended or grant.enforced_until),
        "extended_to": moment(grant.ends_at) if grant.is_extending and not ended else None,
        "phase": phase,
        "phase_label": phase.capitalize(),
        "attention": grant.needs_attention,
        "error": grant.last_error,
        # Approvers revoke from the request's page: asking for each row would cost a query each.
        "revocable": authz.may_revoke_any(person, grant),
        "repairable": authz.may_repair_any(person, grant, now),
    }
