"""observe -> plan -> apply for one claimed grant, until nothing is left that may be done.

What AWS has acknowledged to us is not read again at once; what it contradicts is. So a grant that
nobody has touched takes ten calls, and its removal nine, the read-back included.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from audit.clock import database_now
from provisioning import lifecycle
from provisioning.aws import iam
from provisioning.aws.errors import AwsError, Kind
from provisioning.core import plan, states
from provisioning.core.plan import Found, GrantSpec, Wanted
from provisioning.core.steps import (
    AddUserToGroup,
    DeleteRole,
    PlanStep,
    RemoveUserFromGroup,
    Side,
)
from provisioning.engine.entry import Doors
from provisioning.engine.failures import not_converging
from provisioning.models import Grant
from provisioning.specs import others_need_membership, with_group

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

log = structlog.get_logger(__name__)

PASSES: Final = 5
"""How often one run observes: assume, be contradicted, create, lose an answer, verify."""
MEMBERSHIP: Final = (AddUserToGroup, RemoveUserFromGroup)
NOT_FOUND_PROVES_NOTHING: Final = timedelta(minutes=5)
"""After making something, IAM may deny for a while that it exists [AWS-FACTS 7.6]."""


class UserGone(Exception):
    """The IAM user does not exist any more, or is another one of the same name [4.3]."""


def settle(grant: Grant, spec: GrantSpec, doors: Doors, clock: Callable[[], datetime]) -> None:
    """Do what may be done now by the database's clock, and record the phase.

    Raises AwsError, ForeignObject, UserGone, and StaleState when the claim is lost.
    """
    _Run(grant, spec, doors, clock).settle()


def sides(grant: Grant, now: datetime) -> tuple[Side, ...]:
    """The accounts that a run needs; who stays in the group leaves nothing to do in the source."""
    if not grant.should_exist(now) and others_need_membership(grant, now):
        return (Side.TARGET,)
    return Side.TARGET, Side.SOURCE


@dataclass
class _Run:
    """One operation: what it knows, and what AWS has acknowledged to it."""

    grant: Grant
    spec: GrantSpec
    doors: Doors
    now: Callable[[], datetime]
    """The database's clock."""
    assumed: Found | None = None
    """What need not be read, because AWS has acknowledged it."""
    done: list[PlanStep] = field(default_factory=list)
    over: bool = False
    """Whether the access was seen to be over."""
    unreachable: AwsError | None = None
    """Why one of the accounts can't be entered, which a removal goes on without."""

    def settle(self) -> None:
        """Observe, plan and apply until the plan holds nothing more that may be done."""
        self._look_at_the_clock()
        self._lock_out()
        if self._nobody_touched_it():
            self.assumed = plan.as_made(self.spec, locked=self.grant.locked_out_at is not None)
        for _ in range(PASSES):
            now = self._look_at_the_clock()
            wanted = plan.desired(self.spec, now)
            if self._pass(wanted, self._clients(now)):
                return
        raise not_converging()

    def _look_at_the_clock(self) -> datetime:
        """The present time. Once the access is over, whether another one needs the membership."""
        now = self.now()
        if not self.over and not self.grant.should_exist(now):
            self.over = True
            self._keep(others_need_membership(self.grant, now))
        return now

    def _keep(self, membership: bool) -> None:
        self.spec = replace(self.spec, keep_membership=membership)

    def _nobody_touched_it(self) -> bool:
        """Whether a removal may begin from what was made. The first failure or remark ends that."""
        grant = self.grant
        over = not grant.should_exist(self.now())
        return over and bool(grant.settled_at) and not grant.attempts and not grant.last_error

    def _pass(self, wanted: Wanted, clients: iam.Clients) -> bool:
        """Observe once and do what follows. Returns whether nothing was left to do."""
        try:
            found = iam.observe(clients, wanted, self.assumed)
            if wanted.role is not None and found.user_id != self.spec.user_id:
                raise UserGone
            steps = plan.plan(wanted, found)
            todo = [step for step in self._allowed(steps) if clients.reach(step.side)]
            if todo:
                self.assumed = self._apply(clients, todo, found)
                return False
        except AwsError as error:
            self._doubt(error)
            return False
        if self.unreachable:
            raise self.unreachable
        self._record(wanted, steps)
        return True

    def _doubt(self, error: AwsError) -> None:
        """Read everything after AWS contradicted what was assumed. Raises any other failure."""
        contradicts = error.kind is not Kind.TRANSIENT or error.code == "DeleteConflict"
        if not contradicts or (self.assumed is None and not self.spec.group_is_ready):
            raise error
        log.info("assumption_dropped", error=str(error))
        self.assumed = None
        self.spec = with_group(self.spec, self.grant)

    # --- Reaching both accounts --------------------------------------------------------------

    def _clients(self, now: datetime) -> iam.Clients:
        """Clients of the accounts that are needed; for a removal without those that refuse.

        Either account may have shut us out. That must not keep the way through the other one open.
        """
        idle = not self.grant.should_exist(now) and self.spec.keep_membership
        needed = (Side.TARGET,) if idle else (Side.TARGET, Side.SOURCE)
        clients = {side: self._client(side) for side in needed}
        return iam.Clients(clients.get(Side.SOURCE), clients[Side.TARGET], self.doors.beside)

    def _client(self, side: Side) -> "IAMClient | None":
        try:
            return self.doors.client(side)
        except AwsError as error:
            if self.grant.should_exist(self.now()):
                raise
            self.unreachable = error
            return None

    def _lock_out(self) -> None:
        """The first call after a revocation: the person is out before anything else is looked at.

        Only for a role that was seen to be ours; any other waits for the observation. So does a
        refusal: IAM answers AccessDenied for a role that is gone, because it no longer knows its
        path.
        """
        grant = self.grant
        if not grant.revoked_at or not grant.settled_at or grant.locked_out_at:
            return
        target = self._client(Side.TARGET)
        if target is None:
            return
        try:
            iam.apply(target, plan.lock_out(self.spec.role_name))
        except AwsError as error:
            if error.kind is Kind.TRANSIENT:
                raise
            return
        lifecycle.note_lock_out(grant, self.now())

    # --- Applying ----------------------------------------------------------------------------

    def _allowed(self, steps: Sequence[PlanStep]) -> list[PlanStep]:
        """All steps while a person's word stands behind them, else those that take away (I12)."""
        return list(steps if self.grant.may_be_given else plan.without_a_person(steps))

    def _apply(self, clients: iam.Clients, steps: Sequence[PlanStep], found: Found) -> Found | None:
        """Do the steps in order, a single one of the source beside those of the target.

        Returns what exists then as far as AWS has acknowledged it; None where it has to be read.
        """
        done: list[PlanStep] = []
        alone = [step for step in steps if step.side is Side.SOURCE]
        rest = [step for step in steps if len(alone) != 1 or step is not alone[0]]
        beside, held = None, len(alone) == 1
        if held:
            # What leaves at the same moment needs to be held on to once.
            self._hold(alone[0], *rest[:1])
            beside = self._begin(clients, alone[0])
        try:
            for step in rest:
                if beside is not None and plan.arms(step):
                    beside.result()
                    held = False
                if not held:
                    self._hold(step)
                held = False
                if not self._stays(step):
                    iam.apply(clients.on(step.side), step)
                    self._note(step, done)
                    self._put_back(clients, step)
        except AwsError as error:
            if error.kind is not Kind.EXISTS:
                raise
            # An answer was lost, or somebody took the name: look again before going on.
            return None
        finally:
            wait([beside] if beside is not None else [])
        if beside is not None:
            beside.result()
            self._note(alone[0], done)
            self._put_back(clients, alone[0])
        # A group is not kept after a step, so it has to be read again.
        whole = len(alone) <= 1 and all(isinstance(step, MEMBERSHIP) for step in alone)
        return plan.after(found, done) if whole else None

    def _begin(self, clients: iam.Clients, step: PlanStep) -> Future[None] | None:
        """Send a step of the source account on its way, beside those of the target."""
        if self._stays(step):
            return None
        return clients.beside.submit(iam.apply, clients.on(step.side), step)

    def _hold(self, *steps: PlanStep) -> None:
        """Hold on to the claim right before steps. Raises StaleState when it is lost."""
        gives = any(step.gives for step in steps)
        if not lifecycle.renew(self.grant, self.now(), intent=gives):
            raise lifecycle.StaleState("Revoked meanwhile, or another worker took over.")

    def _stays(self, step: PlanStep) -> bool:
        """Whether the user is to stay in the group after all: another access of theirs may have
        been approved since this run began."""
        if not isinstance(step, RemoveUserFromGroup):
            return False
        needed = others_need_membership(self.grant, self.now())
        if needed:
            self._keep(True)
        return needed

    def _put_back(self, clients: iam.Clients, step: PlanStep) -> None:
        """Give the membership back where another access of the user's needs it by now.

        AWS removes without conditions. Between our question and its answer another access may have
        been approved, and its worker may have seen the membership that we take away; and a worker
        that stood still comes minutes late. Nothing is given that nobody approved (I12): what
        should not have been done is undone, also when the claim is lost meanwhile.
        """
        if not isinstance(step, RemoveUserFromGroup):
            return
        # The database is asked anew: our own clock stands still with a machine that is suspended.
        if others_need_membership(self.grant, max(self.now(), database_now())):
            back = AddUserToGroup(group=step.group, user=step.user)
            iam.apply(clients.on(back.side), back)
            log.warning("membership_put_back", user=step.user, group=step.group)

    def _note(self, step: PlanStep, done: list[PlanStep]) -> None:
        log.info("step_done", call=step.call)
        done.append(step)
        self.done.append(step)
        if plan.locks_out(step):
            lifecycle.note_lock_out(self.grant, self.now())
        elif self.grant.should_exist(self.now()) and not self.grant.may_be_given:
            lifecycle.note_cut_back(self.grant, step)

    # --- Recording ---------------------------------------------------------------------------

    def _record(self, wanted: Wanted, steps: Sequence[PlanStep]) -> None:
        """Nothing is left to do that may be done without a person: say what that means."""
        now = self.now()
        phase = states.phase(exists=wanted.role is not None, as_wanted=not steps)
        if phase is states.Phase.ENDED and self._may_be_unseen(now):
            phase = states.Phase.ENDING
        remark = _narrowed(steps) if steps else ""
        lifecycle.note_phase(self.grant, phase, now, remark=remark, done=self.done)

    def _may_be_unseen(self, now: datetime) -> bool:
        """Whether what was made so recently may exist although a read does not find it."""
        deleted = any(isinstance(step, DeleteRole) for step in self.done)
        if deleted and self.grant.settled_at is not None:
            return False
        # Never settled: a worker that was stopped in the midst may still have a call on its way.
        intent = self.grant.intent_at
        return intent is not None and now - intent < NOT_FOUND_PROVES_NOTHING


def _narrowed(steps: Sequence[PlanStep]) -> str:
    missing = " ".join(step.sentence for step in steps)
    return (
        "Somebody took part of this access away in AWS. It is not given back by itself. "
        f"Missing: {missing}"
    )
