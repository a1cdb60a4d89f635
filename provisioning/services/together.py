"""Use case of approvers: decide on several requests at once, on all of them or on none.

Each verdict is bound to the fingerprint that was shown for that request, as if it were decided
alone; `deciding.decide` is the one place that knows the rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from accounts.models import User
from audit.models import append
from provisioning.lifecycle import StaleState
from provisioning.models import AccessRequest, Decision, Grant
from provisioning.services import deciding
from provisioning.services.common import Refused


@dataclass(frozen=True)
class Pick:
    """One request, and the plan of it that the approver was shown."""

    request: AccessRequest
    fingerprint: str


class NotAll(Exception):
    """Some of the requests cannot be decided, so none was. By code, why."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("Nothing was decided.")
        self.problems = problems


def decide_all(
    *, approver: User, picks: Sequence[Pick], verdict: Decision.Verdict, reason: str = ""
) -> None:
    """Approve or reject all. Raises NotAll with everything that speaks against it."""
    problems: dict[str, str] = {}
    try:
        with transaction.atomic():
            _lock(picks)
            for pick in sorted(picks, key=lambda one: one.request.pk):
                if problem := _decide(approver, pick, verdict, reason):
                    problems[pick.request.code] = problem
            if problems:
                raise NotAll(problems)
    except NotAll:
        for pick in picks:
            if pick.request.code in problems:
                _note_refusal(approver, pick.request, problems[pick.request.code])
        raise


def _lock(picks: Sequence[Pick]) -> None:
    """Lock everything in one order, grants first, as wherever both are locked: two approvers who
    picked the same requests wait for each other, and neither for ever."""
    keys = [one.request.pk for one in picks]
    extended = Grant.objects.filter(extensions__in=keys).order_by("pk")
    list(extended.select_for_update(of=("self",)).values_list("pk"))
    requests = AccessRequest.objects.filter(pk__in=keys).order_by("pk")
    list(requests.select_for_update(of=("self",)).values_list("pk"))


def _decide(approver: User, pick: Pick, verdict: Decision.Verdict, reason: str) -> str:
    """What speaks against one verdict; nothing when it was given."""
    try:
        with transaction.atomic():
            deciding.decide(
                approver=approver,
                request=pick.request,
                verdict=verdict,
                fingerprint=pick.fingerprint,
                reason=reason,
            )
    except (Refused, deciding.PlanMoved, StaleState) as refused:
        return str(refused)
    return ""


def _note_refusal(approver: User, request: AccessRequest, problem: str) -> None:
    """The refusal that was undone with everything else."""
    append(
        kind="request:decide:refused",
        actor=approver.username,
        subject=request.subject,
        sentence=f"{approver.label} was refused: deciding, with others at once.",
        reason=problem,
    )
