"""May this person do this? One function for each question, answered with its reasons.

Services enforce the answer, pages show it, and nobody else repeats it.
"""

from dataclasses import dataclass
from datetime import datetime

from accounts.models import IamIdentity, Offer, User
from provisioning.core.states import Phase, RequestState
from provisioning.models import AccessRequest, Grant


@dataclass(frozen=True)
class Answer:
    """Whether something is allowed; if not, every reason why, as sentences for that person."""

    reasons: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Nothing speaks against it."""
        return not self.reasons

    def __bool__(self) -> bool:
        return self.allowed


def _answer(*objections: str | None) -> Answer:
    return Answer(tuple(one for one in objections if one))


def identity_for(person: User, offer: Offer) -> IamIdentity | None:
    """Which IAM user a person is in the source account of an offer."""
    return IamIdentity.objects.filter(person=person, account=offer.pair.source).first()


def can_request(person: User, offer: Offer) -> Answer:
    """May this person ask for this offer?"""
    identity = identity_for(person, offer)
    source = offer.pair.source.name
    eligible = Offer.objects.open_to(person).filter(pk=offer.pk).exists()
    others = offer.approvers().exclude(pk=person.pk).exists()
    return _answer(
        None if person.is_active else "Your account is switched off.",
        None if eligible else "This offer is not open to you. Ask an admin to name you on it.",
        None if others else "Nobody else can approve this offer. Ask an admin to add an approver.",
        f"No IAM user in {source} is linked to you. Ask an admin to link yours."
        if identity is None
        else None
        if identity.verified_at
        else f"Your IAM user {identity.user_name} has not been found in {source} yet.",
    )


def can_decide(person: User, request: AccessRequest) -> Answer:
    """May this person approve or reject this request? Admins and superusers are no exception."""
    names_them = Offer.objects.decided_by(person).filter(pk=request.offer_id).exists()
    return _answer(
        None if person.is_active else "Your account is switched off.",
        "Nobody decides on their own request." if person.pk == request.requester_id else None,
        None if names_them else "You are not an approver of this offer.",
        None
        if request.state == RequestState.PENDING
        else f"This request is {request.state} already.",
    )


def can_cancel(person: User, request: AccessRequest) -> Answer:
    """May this person withdraw this request?"""
    return _answer(
        None if person.pk == request.requester_id else "Only who asked can withdraw a request.",
        None
        if request.state == RequestState.PENDING
        else f"This request is {request.state} already.",
    )


def can_revoke(person: User, grant: Grant) -> Answer:
    """May this person end this access early? Its holder, an approver of the offer, any admin."""
    concerns_them = (
        person.pk == grant.request.requester_id
        or person.is_portal_admin
        or Offer.objects.decided_by(person).filter(pk=grant.request.offer_id).exists()
    )
    over = grant.phase == Phase.ENDED or grant.revoked_at is not None
    return _answer(
        None if person.is_active else "Your account is switched off.",
        None if concerns_them else "Only its holder, an approver of the offer or an admin can.",
        "This access has been revoked or has ended already." if over else None,
    )


def can_use(person: User, grant: Grant, now: datetime) -> Answer:
    """May this person be shown the Switch role link? Its holder, while it is active."""
    return _answer(
        None if person.is_active else "Your account is switched off.",
        None if person.pk == grant.request.requester_id else "This is somebody else's access.",
        None if grant.usable_at(now) else f"This access is {grant.phase_at(now)}.",
    )
