"""Use cases: request, approve, reject, cancel, revoke, check a connection.

Each is one transaction, asks `authz` first, and nudges the workers once it is committed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.models import AccountPair, AwsAccount, ConnectionCheck, Offer, User
from audit.clock import database_now
from audit.models import append
from provisioning import authz, drift, lifecycle, specs, tasks
from provisioning.core import plan
from provisioning.core.drift import Kind, Thing
from provisioning.core.states import RequestState
from provisioning.models import (
    ALREADY_ASKED,
    ONE_PENDING,
    PENDING_LIFETIME,
    AccessRequest,
    AccountScan,
    Decision,
    DriftFinding,
    Grant,
)


class Refused(Exception):
    """This person may not do this; the reasons are sentences for them."""

    def __init__(self, answer: authz.Answer) -> None:
        super().__init__(" ".join(answer.reasons))
        self.reasons = answer.reasons


class PlanMoved(Exception):
    """What was approved is no longer what the page showed."""


def _require(answer: authz.Answer) -> None:
    if not answer.allowed:
        raise Refused(answer)


@contextmanager
def _refusals_recorded(kind: str, person: User, subject: str, attempt: str) -> Iterator[None]:
    """Record an attempt that is refused inside, after what it had begun is undone (I8)."""
    try:
        yield
    except Refused as refused:
        append(
            kind=f"{kind}:refused",
            actor=person.username,
            subject=subject,
            sentence=f"{person.label} was refused: {attempt}.",
            reason=str(refused),
        )
        raise


def _nudge(task: Any, pk: int) -> None:
    transaction.on_commit(partial(tasks.nudge, task, pk))


def request_access(
    *, requester: User, offer: Offer, duration: timedelta, reason: str
) -> AccessRequest:
    """Ask for an offer. Raises Refused, or ValidationError."""
    with _refusals_recorded("request:ask", requester, offer.subject, "asking for access"):
        _require(authz.can_request(requester, offer))
    offer.check_duration(duration)
    identity = authz.identity_for(requester, offer)
    if identity is None:  # can_request has refused this; it is here for the type.
        raise Refused(authz.Answer(("No IAM user is linked to you.",)))
    request = AccessRequest(
        requester=requester,
        identity=identity,
        offer=offer,
        profile_version=offer.profile.current,
        duration=duration,
        reason=reason,
        lapses_at=database_now() + PENDING_LIFETIME,
    )
    request.full_clean()
    try:
        with transaction.atomic():
            lifecycle.open_request(request, actor=requester.username)
            _nudge(tasks.preview_request, request.pk)
    except IntegrityError as error:
        if ONE_PENDING not in str(error):
            raise
        # Sent twice at the same moment: the constraint says what full_clean would have said.
        raise ValidationError(ALREADY_ASKED, code=ONE_PENDING) from error
    return request


def decide(
    *,
    approver: User,
    request: AccessRequest,
    verdict: Decision.Verdict,
    fingerprint: str,
    reason: str = "",
) -> Grant | None:
    """Approve or reject. `fingerprint` is that of the plan the approver was shown.

    Raises Refused, PlanMoved when the plan has changed since, StaleState when somebody else was
    quicker.
    """
    recorded = _refusals_recorded("request:decide", approver, request.subject, "deciding")
    with recorded, transaction.atomic():
        locked = AccessRequest.objects.select_for_update(of=("self",)).with_parties()
        request = locked.get(pk=request.pk)
        _require(authz.can_decide(approver, request, database_now()))
        spec = specs.spec_for_request(request)
        if verdict == Decision.Verdict.APPROVED:
            _require(_still_may_ask(request))
            if plan.fingerprint(spec) != fingerprint:
                raise PlanMoved("The plan has changed since you opened this page. Look again.")
        grant = lifecycle.decide(
            Decision(
                request=request,
                approver=approver,
                verdict=verdict,
                reason=reason,
                fingerprint=plan.fingerprint(spec),
                decided_at=database_now(),
            )
        )
        if grant is not None:
            _nudge(tasks.converge_grant, grant.pk)
    return grant


def _still_may_ask(request: AccessRequest) -> authz.Answer:
    """Whether the requester could ask for the same today, in words for the approver."""
    answer = authz.can_request(request.requester, request.offer)
    name = request.requester.label
    return authz.Answer(tuple(f"{name} is told: {reason}" for reason in answer.reasons))


def cancel(*, person: User, request: AccessRequest) -> None:
    """Withdraw one's own pending request. Raises Refused or StaleState."""
    with _refusals_recorded("request:cancel", person, request.subject, "withdrawing"):
        _require(authz.can_cancel(person, request))
    lifecycle.move_request(
        request,
        RequestState.CANCELLED,
        actor=person.username,
        sentence=f"{person.label} withdrew the request.",
    )


def revoke(*, person: User, grant: Grant, reason: str) -> None:
    """End an access early: given back by its holder, or revoked. Raises Refused or StaleState."""
    with _refusals_recorded("grant:revoke", person, grant.subject, "ending the access"):
        _require(authz.can_revoke(person, grant))
    own = person.pk == grant.request.requester_id
    did = "gave the access back" if own else "revoked the access"
    with transaction.atomic():
        lifecycle.revoke(
            grant,
            actor=person.username,
            sentence=f"{person.label} {did}.",
            reason=reason,
            now=database_now(),
        )
        _nudge(tasks.converge_grant, grant.pk)


def repair(*, person: User, grant: Grant, reason: str = "") -> None:
    """Let a worker give back what somebody took from a live access in AWS.

    Raises Refused or StaleState.
    """
    with _refusals_recorded("grant:repair", person, grant.subject, "repairing the access"):
        _require(authz.can_repair(person, grant, database_now()))
    with transaction.atomic():
        lifecycle.reopen(
            grant,
            actor=person.username,
            sentence=f"{person.label} had the access repaired: what is missing is given back.",
            reason=reason,
            now=database_now(),
        )
        _nudge(tasks.converge_grant, grant.pk)


def restore_group(*, person: User, finding: DriftFinding) -> None:
    """Let a worker make a switch group again as it is registered. Raises Refused or StaleState."""
    with _refusals_recorded("pair:restore", person, finding.account.subject, "restoring a group"):
        _require(authz.can_restore_group(person))
    pairs = AccountPair.objects.filter(source=finding.account, switch_group=finding.name)
    with transaction.atomic():
        still = DriftFinding.objects.open().filter(
            pk=finding.pk, kind=Kind.NARROWED, thing=Thing.GROUP
        )
        if not still.exists() or not pairs.update(next_check_at=database_now()):
            raise lifecycle.StaleState("Nothing is missing from this switch group any more.")
        append(
            kind="pair:restore:asked",
            actor=person.username,
            subject=finding.account.subject,
            sentence=f"{person.label} had the switch group {finding.name} made again.",
            reason=finding.summary,
        )
        for pair in pairs:
            _nudge(tasks.prepare_pair, pair.pk)


def scan_now(*, person: User) -> None:
    """Have all accounts compared with the rows as soon as there is a worker. Raises Refused."""
    with _refusals_recorded("drift:scan", person, "drift", "starting a scan"):
        _require(authz.can_scan(person))
    now = database_now()
    with transaction.atomic():
        drift.schedule(now)
        due = AccountScan.objects.filter(finished_at__isnull=True, started_at__isnull=True)
        due.filter(due_at__gt=now).update(due_at=now)
        for scan in due:
            _nudge(tasks.scan_account, scan.pk)
        append(
            kind="drift:scan:asked",
            actor=person.username,
            subject="drift",
            sentence=f"{person.label} asked for a scan of all accounts.",
        )


def note_link_opened(*, person: User, grant: Grant) -> None:
    """Store that the Switch role link was shown to its person. Raises Refused."""
    with _refusals_recorded("grant:switch_link", person, grant.subject, "the Switch role link"):
        _require(authz.can_use(person, grant, database_now()))
    append(
        kind="grant:switch_link:opened",
        actor=person.username,
        subject=grant.subject,
        sentence=f"{person.label} opened the Switch role link.",
    )


def check_connection(*, asked_by: str, account: AwsAccount) -> ConnectionCheck:
    """Ask a worker to check an account. A check that waits already is not asked for twice.

    One that has begun does not count: it may have looked before the owner mended something.
    """
    with transaction.atomic():
        waiting = account.checks.filter(started_at__isnull=True).first()
        if waiting is not None:
            _nudge(tasks.check_connection, waiting.pk)
            return waiting
        check = ConnectionCheck.objects.create(account=account, asked_by=asked_by)
        append(
            kind="account:check:asked",
            actor=asked_by,
            subject=account.subject,
            sentence=f"A connection check of {account} was asked for.",
        )
        _nudge(tasks.check_connection, check.pk)
    return check
