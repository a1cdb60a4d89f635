"""How many people must approve a request, who did, and whose approval still counts.

An approval counts for the very plan that its approver saw: one of an earlier plan is void, and
its approver is asked again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from accounts.models import ApprovalClass, Offer, User
from provisioning.core import plan
from provisioning.models import AccessRequest, Decision, Grant
from provisioning.specs import spec_for_request


def needed(request: AccessRequest) -> int:
    """How many different people must approve: what was pinned when asked, or more by now.

    The class of the offer is read anew, because it may have been raised while the request waits,
    and so is what the permissions amount to, because more may be known of them since.
    """
    offered = Offer.objects.values_list("approval_class", flat=True).get(pk=request.offer_id)
    return _needed(request, offered)


def needed_as_loaded(request: AccessRequest) -> int:
    """The same for a page, by the offer as it was read with the request."""
    return _needed(request, request.offer.approval_class)


def _needed(request: AccessRequest, offered: str) -> int:
    by_risk = ApprovalClass.demanded_by(request.profile_version.report)
    return max(request.approvals_needed, ApprovalClass(offered).approvers, by_risk.approvers)


def approvals(request: AccessRequest, fingerprint: str) -> list[Decision]:
    """The approvals of this very plan, the oldest first."""
    return [one for one in _approvals(request) if one.fingerprint == fingerprint]


def _approvals(request: AccessRequest) -> list[Decision]:
    given = Decision.objects.filter(request=request, verdict=Decision.Verdict.APPROVED)
    return list(given.select_related("approver").order_by("pk"))


def are_enough(request: AccessRequest, fingerprint: str) -> bool:
    """Whether as many different people as needed have approved this plan."""
    people = {one.approver_id for one in approvals(request, fingerprint)}
    return len(people - {request.requester_id}) >= needed(request)


def has_decided(person: User, request: AccessRequest) -> bool:
    """Whether this person has said their word on the plan as it is now."""
    theirs = Decision.objects.filter(request=request, approver=person)
    said = set(theirs.values_list("fingerprint", flat=True))
    # Most people have said nothing. Where the switch group leads is no part of a fingerprint.
    return bool(said) and plan.fingerprint(spec_for_request(request, group_targets=())) in said


@dataclass(frozen=True)
class Tally:
    """Approvals as a page shows them."""

    counted: Sequence[Decision]
    void: Sequence[Decision]
    """Of a plan that has changed since, by people whose approval of the new one is not there."""
    needed: int

    @property
    def words(self) -> str:
        """`1 of 2 approvals`."""
        return f"{len(self.counted)} of {self.needed} approvals"

    @property
    def missing(self) -> int:
        """How many more people must approve."""
        return max(0, self.needed - len(self.counted))


def tally(request: AccessRequest, fingerprint: str) -> Tally:
    """Who has approved the plan with this fingerprint, and who another one."""
    every = _approvals(request)
    counted = [one for one in every if one.fingerprint == fingerprint]
    again = {one.approver_id for one in counted}
    void = [one for one in every if one.approver_id not in again]
    return Tally(counted, void, needed(request))


def lost_since(grant: Grant) -> str:
    """Why a grant no longer rests on enough approvals, in words; empty when it does."""
    request = grant.rests_on
    given = approvals(request, grant.fingerprint)
    if any(not one.approver.is_active for one in given):
        return "The requester or the approver has been switched off since the decision."
    people = {one.approver_id for one in given}
    still = request.offer.approvers().filter(pk__in=people).count()
    if still < len(people) or not people:
        return "The approver no longer is an approver of this offer."
    if not are_enough(request, grant.fingerprint):
        return "The approval class of the offer was raised since; one approval is not enough now."
    return ""
