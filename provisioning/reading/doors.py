"""What a person may do on a request's page."""

from dataclasses import dataclass
from datetime import datetime

from accounts.models import User
from provisioning import authz
from provisioning.approvals import Standing
from provisioning.engine.preview import obstacles
from provisioning.models import AccessRequest, Grant


@dataclass(frozen=True)
class Doors:
    """What a person may do on a request's page. Each answer carries its reasons."""

    decide: authz.Answer
    approve: authz.Answer
    stopped: authz.Answer
    terms: authz.Answer
    comment: authz.Answer
    review: authz.Answer
    look: authz.Answer
    cancel: authz.Answer
    revoke: authz.Answer
    repair: authz.Answer
    use: authz.Answer
    is_requester: bool


NOT_TAKEN = authz.Answer(("Nobody took this in an emergency.",))
NOT_GRANTED = authz.Answer(("There is no access yet.",))


def doors(
    person: User,
    request: AccessRequest,
    grant: Grant | None,
    now: datetime,
    *,
    standing: Standing | None = None,
) -> Doors:
    """Ask authz everything that the page shows a button for. `standing` spares reading what was
    approved so far."""
    decide = authz.can_decide(person, request, now, standing=standing)
    stopped = authz.not_stopped(request.requester, request.offer.pair)
    obstructed = authz.Answer((*stopped.reasons, *obstacles(request)))
    return Doors(
        decide=decide,
        approve=obstructed if decide.allowed else decide,
        stopped=stopped,
        terms=authz.can_change_terms(person, request, now, standing=standing)
        if decide.allowed
        else decide,
        comment=authz.can_comment(person, request),
        review=authz.can_review(person, request, now) if request.taken else NOT_TAKEN,
        look=authz.can_look_again(person, request),
        cancel=authz.can_cancel(person, request),
        revoke=authz.can_revoke(person, grant) if grant else NOT_GRANTED,
        repair=authz.can_repair(person, grant, now) if grant else NOT_GRANTED,
        use=authz.can_use(person, grant, now) if grant else NOT_GRANTED,
        is_requester=person.pk == request.requester_id,
    )
