"""Finds from the database what is due, without needing the broker.

Level-triggered: it looks at rows, not at messages, so whatever was lost is found again. It nudges
the workers, and does the work itself when the broker does not answer, or when a nudge from the
round before was not taken up. Any number of sweepers may run: claims keep them apart.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db.models import Exists, OuterRef, Q

from accounts.models import AccountPair, AwsAccount, ConnectionCheck, IamIdentity
from accounts.services import proposals
from audit.clock import database_now
from provisioning import hooks, lifecycle, tasks
from provisioning.core.states import RequestState
from provisioning.core.steps import Side
from provisioning.engine import (
    converge,
    created_users,
    cutback,
    drift,
    onboard,
    pacing,
    retirement,
    switch_groups,
)
from provisioning.models import AccessRequest, DriftFinding, Grant, PasswordRequest, Stop

log = structlog.get_logger(__name__)

BATCH = 200
"""Things of one kind looked at in one round; the next round takes the next ones."""
STOP_BATCHES = 5
"""Of a red button in one round, so that the rest of the round is not kept waiting."""
PATIENCE = timedelta(seconds=20)
"""How long a nudge may stay unanswered before the sweeper does the work itself."""
LOCK_OUT_PATIENCE = timedelta(seconds=5)
"""The same where somebody is to be locked out: that is open until a worker has been there."""
PAUSE = timedelta(seconds=5)
"""Between two rounds, unless the operators say otherwise."""
PAUSE_ALONE = timedelta(seconds=1)
"""The same while the broker is away: nothing that people do is heard of in another way."""


@dataclass(frozen=True)
class Job:
    """One thing that is due: how to nudge a worker about it, and how to do it here."""

    key: str
    task: Any
    work: Callable[[int], None]
    pk: int
    patience: timedelta = PATIENCE
    delay: timedelta = timedelta(0)
    """How long the workers are to wait before they begin."""


@dataclass
class Sweeper:
    """Remembers which nudges it sent, so that it notices when nobody takes them up."""

    nudged: dict[str, datetime] = field(default_factory=dict)
    pause: timedelta = PAUSE
    silent_at: datetime | None = None
    """The last round, if the broker did not answer in it or in an earlier one since it last did."""
    stages_after: int = 0
    """The request after which the next round goes on to see which stages are asked."""

    @property
    def rest(self) -> timedelta:
        """Until the next round: what this one sends has to last the workers so long."""
        return self.pause if self.silent_at is None else min(self.pause, PAUSE_ALONE)

    def sweep(self) -> int:
        """One round. Returns how many things were due."""
        now = database_now()
        go_on_with_stops()
        lapse_requests(now)
        lifecycle.note_ending_soon(now, limit=BATCH)
        retirement.close_stranded(now)
        created_users.lapse_passwords()
        proposals.lapse(now)
        jobs = list(due(now, self.rest))
        self.nudged = {job.key: self.nudged[job.key] for job in jobs if job.key in self.nudged}
        for job in jobs:
            self._handle(job, now)
        self._renew_stages()
        self._take_steps_of_others(now)
        return len(jobs)

    def _renew_stages(self) -> None:
        """Lists may be late, so nothing that goes wrong with them stops a round."""
        try:
            self.stages_after = lifecycle.renew_stages(after=self.stages_after, limit=BATCH)
        except Exception:
            log.exception("stages_not_renewed")

    def _take_steps_of_others(self, now: datetime) -> None:
        """What layers above asked for comes last: it must not delay a removal."""
        for step in hooks.AFTER_SWEEP:
            try:
                step(now)
            except Exception:
                log.exception("sweep_step_failed", step=step.__module__)

    def _handle(self, job: Job, now: datetime) -> None:
        sent = self.nudged.get(job.key)
        if sent is not None and now - sent < job.patience:
            return
        if sent is None and self._nudge(job, now):
            self.nudged[job.key] = now + job.delay
            return
        self.nudged.pop(job.key, None)
        try:
            job.work(job.pk)
        except Exception:
            # One broken row must not keep the others from their end.
            log.exception("sweep_job_failed", job=job.key)

    def _nudge(self, job: Job, now: datetime) -> bool:
        """Whether the workers were told. A broker that did not answer is not asked again in the
        same round: one that hangs takes seconds each time, and what is due would wait for it."""
        if self.silent_at == now:
            return False
        told = tasks.nudge(job.task, job.pk, delay=job.delay)
        self.silent_at = None if told else now
        return told


def due(now: datetime, pause: timedelta = PAUSE) -> Iterator[Job]:
    """Everything that waits for a worker, removals first."""
    for grant, delay in _grants(now, pause):
        yield Job(
            f"grant:{grant.pk}:{grant.generation}",
            tasks.converge_grant,
            converge.converge,
            grant.pk,
            LOCK_OUT_PATIENCE if grant.is_to_be_locked_out else PATIENCE,
            delay,
        )
    for check in _checks(now):
        yield Job(f"check:{check.pk}", tasks.check_connection, onboard.run_check, check.pk)
    for pair in AccountPair.objects.filter(next_check_at__lte=now)[:BATCH]:
        key = f"pair:{pair.pk}:{pair.next_check_at}"
        if pair.retiring_at:
            yield Job(key, tasks.finish_pair, retirement.finish_pair, pair.pk)
        else:
            yield Job(key, tasks.prepare_pair, switch_groups.prepare_pair, pair.pk)
    yield from _of_created_users(now)
    identities = IamIdentity.objects.filter(
        account__retired_at__isnull=True, created_by_portal=False
    )
    for identity in identities.filter(next_check_at__lte=now)[:BATCH]:
        key = f"identity:{identity.pk}:{identity.next_check_at}"
        yield Job(key, tasks.verify_identity, onboard.verify_identity, identity.pk)
    for request in AccessRequest.objects.to_look_at(now)[:BATCH]:
        key = f"preview:{request.pk}:{request.next_look_at}"
        yield Job(key, tasks.preview_request, tasks.preview_and_decide, request.pk)
    yield from _drift(now)


def _grants(now: datetime, pause: timedelta) -> Iterator[tuple[Grant, timedelta]]:
    """Grants that are due, as many as their accounts have room for until the next round, and when
    the workers are to begin with each. A worker has time to be a little early: it waits then."""
    pair = "request__offer__pair"
    rows = Grant.objects.due(now).filter(_unclaimed(now))
    admission = pacing.Admission(now, pause + pacing.PATIENCE)
    rows = rows.select_related(f"{pair}__source", f"{pair}__target", "profile_version")
    for grant in rows[:BATCH]:
        room = converge.room_for(grant, Side, now)
        if grant.is_to_be_locked_out:
            admission.count(room)
            yield grant, timedelta(0)
        elif (wait := admission.turn(room)) is not None:
            yield grant, max(wait - pacing.PATIENCE / 2, timedelta(0))


def _of_created_users(now: datetime) -> Iterator[Job]:
    """An admin's page waits for the passwords, so they come first."""
    open_requests = PasswordRequest.objects.filter(_unclaimed(now), state="waiting")
    for one in open_requests.order_by("id")[:BATCH]:
        key = f"password:{one.pk}:{one.leased_until}"
        yield Job(key, tasks.set_password, created_users.set_password, one.pk)
    ours = IamIdentity.objects.filter(next_check_at__lte=now, created_by_portal=True)
    for identity in ours.order_by("next_check_at")[:BATCH]:
        key = f"user:{identity.pk}:{identity.next_check_at}"
        yield Job(key, tasks.create_or_remove_user, created_users.work, identity.pk)


def _drift(now: datetime) -> Iterator[Job]:
    """What scans found to be taken away, then the scans that are due."""
    findings = DriftFinding.objects.open().filter(act_at__lte=now).order_by("act_at")
    for finding in findings[:BATCH]:
        key = f"drift:{finding.pk}:{finding.act_at}"
        yield Job(key, tasks.cut_back, cutback.act, finding.pk)
    drift.schedule(now)
    for scan in drift.due(now)[:BATCH]:
        yield Job(f"scan:{scan.pk}", tasks.scan_account, drift.run_scan, scan.pk)


def _unclaimed(now: datetime) -> Q:
    return Q(leased_until__isnull=True) | Q(leased_until__lt=now)


def _checks(now: datetime) -> Iterator[ConnectionCheck]:
    """Checks that were asked for, a first one for each account that never had any, and another
    one where the last is old."""
    ever = ConnectionCheck.objects.filter(account=OuterRef("pk"))
    for account in AwsAccount.objects.filter(~Exists(ever), retired_at__isnull=True)[:BATCH]:
        ConnectionCheck.objects.create(account=account, asked_by=lifecycle.SWEEPER)
    onboard.ask_again(now)
    yield from ConnectionCheck.objects.filter(finished_at__isnull=True).order_by("id")[:BATCH]


def go_on_with_stops() -> None:
    """Do a part of each red button that is not finished: it is work in the database only."""
    for pk in Stop.objects.unfinished().order_by("id").values_list("pk", flat=True)[:BATCH]:
        try:
            tasks.go_on_with_stop(pk, batches=STOP_BATCHES)
        except Exception:
            log.exception("stop_failed", stop=pk)


def lapse_requests(now: datetime) -> None:
    """Requests that nobody answered in time are over."""
    for request in AccessRequest.objects.waiting().filter(lapses_at__lte=now)[:BATCH]:
        try:
            lifecycle.move_request(
                request,
                RequestState.EXPIRED,
                actor=lifecycle.SWEEPER,
                sentence="Nobody decided in time; the request lapsed.",
            )
        except lifecycle.StaleState:
            # Decided in this very moment: that decision stands.
            continue
