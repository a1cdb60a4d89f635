"""The plan of a request as its approver sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from provisioning.core import plan, preflight
from provisioning.core.preflight import Level
from provisioning.core.states import RequestState
from provisioning.engine.preview import in_data, unseen_steps
from provisioning.models import AccessRequest
from provisioning.specs import spec_for_request


@dataclass(frozen=True)
class PlanView:
    """The plan as its approver sees it, with what pre-flight found, and the fingerprint that the
    decision is bound to."""

    steps: Sequence[dict[str, Any]]
    fingerprint: str
    observed_at: datetime | None
    problem: str
    findings: Sequence[dict[str, str]]
    looking: bool
    """Whether a worker is looking, or is about to."""
    tried: bool
    """Whether the steps come from both accounts as they were; else as if nothing existed."""
    mark: str
    """Changes with every look: a page that knows it is sent nothing that it shows already."""

    @property
    def gives(self) -> int:
        """How many steps add access."""
        return sum(step["gives"] for step in self.steps)

    @property
    def open_findings(self) -> list[dict[str, str]]:
        """Findings that somebody should read, blocking ones first."""
        return [one for one in self.findings if one["level"] != Level.OK]

    @property
    def good_findings(self) -> list[dict[str, str]]:
        """What was looked at and is fine."""
        return [one for one in self.findings if one["level"] == Level.OK]

    @property
    def level(self) -> str:
        """The heaviest of the findings; `unknown` before any look."""
        if self.observed_at is None and not self.blocks:
            return Level.UNKNOWN.value
        return min((Level(one["level"]) for one in self.findings), key=_RANK.index).value

    @property
    def blocks(self) -> bool:
        """Whether something stands in the way of an approval."""
        return any(one["level"] == Level.BLOCKS for one in self.findings)


_RANK = list(Level)


def plan_view(request: AccessRequest, now: datetime) -> PlanView:
    """The plan as a worker tried it; as if nothing existed yet, until one has."""
    spec = spec_for_request(request)
    preview = request.preview or {}
    steps = preview.get("steps") or unseen_steps(request, now)
    looking = request.state == RequestState.PENDING and request.look_is_due(now)
    return PlanView(
        steps=steps,
        fingerprint=plan.fingerprint(spec),
        observed_at=request.previewed_at,
        problem=preview.get("problem", ""),
        findings=preview.get("findings") or in_data(preflight.static_findings(spec)),
        looking=looking,
        tried=bool(preview.get("steps")),
        mark=_mark(request, looking=looking),
    )


def _mark(request: AccessRequest, *, looking: bool) -> str:
    if request.state != RequestState.PENDING:
        return ""
    seen = request.previewed_at.timestamp() if request.previewed_at else 0
    return f"{seen}-{request.looks_failed}-{looking:d}"
