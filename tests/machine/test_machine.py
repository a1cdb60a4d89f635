"""A Hypothesis state machine: people, clocks, crashes, faults and hands in AWS, in any order.

After each step the judge says who gets in and can work; that has to be within what a small model
allows, whatever went wrong. At the end of each run the faults stop, time passes, and everything
has to come to its end: each access ended, nothing of ours left.

The seeds are fixed, so that CI is the same each time. `make rig-full` tries more and other ones;
a failure prints its steps, and `@reproduce_failure` as it prints it replays them.
"""

import os
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.models import Offer
from audit.clock import database_now
from provisioning import lifecycle, services
from provisioning.core.states import RequestState
from provisioning.models import AccessRequest, Decision, Grant
from tests.aws_world import approve
from tests.judge.judge import who_may_enter
from tests.machine.model import Access, Model
from tests.rig.invariants import (
    can_work,
    check_everything,
    check_no_orphans,
    issued_roles,
)
from tests.rig.spoiled import KINDS
from tests.rig.stand import (
    GROUP,
    LEASE_AND_MORE,
    READ_ONLY,
    SOURCE,
    TARGET,
    TRUST_ROOT,
    Rig,
    administrator,
    arn_of,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.slow]

LONG = bool(os.environ.get("SALLYPORT_LONG"))
MINUTE = timedelta(minutes=1)
ADMIN_POLICY = "arn:aws:iam::aws:policy/AdministratorAccess"


class Lives(RuleBasedStateMachine):
    """Accesses of alice's, whatever happens to them."""

    rig: Rig

    @initialize()
    def begin(self) -> None:
        self.rig.put_back()
        Offer.objects.update(is_active=True)
        AccessRequest.objects.filter(state="pending").update(state="cancelled")
        self.model = Model()

    # --- People

    def _pending(self) -> AccessRequest | None:
        found = AccessRequest.objects.with_parties().filter(state="pending", extends=None)
        return found.first()

    def _grant(self, nth: int) -> Grant | None:
        live = self.model.live(database_now())
        if not live:
            return None
        return Grant.objects.with_parties().get(pk=live[nth % len(live)])

    @precondition(lambda self: self._pending() is None)
    @rule(minutes=st.sampled_from([5, 12, 45]))
    def ask(self, minutes: int) -> None:
        offer = Offer.objects.get(pk=self.rig.cast.offer.pk)
        try:
            services.request_access(
                requester=self.rig.cast.alice,
                offer=offer,
                duration=minutes * MINUTE,
                reason="Look at the findings.",
            )
            assert offer.is_active
        except services.Refused:
            assert not offer.is_active

    @precondition(lambda self: self._pending() is not None)
    @rule()
    def approve(self) -> None:
        request = self._pending()
        assert request is not None
        try:
            grant = approve(request, self.rig.cast.bob)
        except services.Refused:
            assert not request.offer.is_active
            return
        self._adopt(grant)

    def _adopt(self, grant: Grant) -> None:
        grant = Grant.objects.with_parties().get(pk=grant.pk)
        self.model.accesses[grant.pk] = Access(grant.iam_user_arn, arn_of(grant), grant.ends_at)

    @precondition(lambda self: self._pending() is not None)
    @rule()
    def approve_own(self) -> None:
        request = self._pending()
        assert request is not None
        with pytest.raises(services.Refused):
            approve(request, self.rig.cast.alice)

    @precondition(lambda self: self._pending() is not None)
    @rule(withdraw=st.booleans())
    def turn_down(self, withdraw: bool) -> None:
        request = self._pending()
        assert request is not None
        if withdraw:
            services.cancel(person=self.rig.cast.alice, request=request)
        else:
            services.decide(
                approver=self.rig.cast.bob,
                request=request,
                verdict=Decision.Verdict.REJECTED,
                fingerprint="",
                reason="Not now.",
            )
        request.refresh_from_db()
        assert request.state in {RequestState.CANCELLED, RequestState.REJECTED}

    @precondition(lambda self: bool(self.model.accesses))
    @rule(nth=st.integers(0, 3), by_holder=st.booleans())
    def revoke(self, nth: int, by_holder: bool) -> None:
        grant = self._grant(nth)
        if grant is None:
            return
        person = self.rig.cast.alice if by_holder else self.rig.cast.dana
        try:
            services.revoke(person=person, grant=grant, reason="Enough.")
        except (services.Refused, lifecycle.StaleState):
            # A worker has given it up before.
            assert Grant.objects.get(pk=grant.pk).is_over
        self.model.accesses[grant.pk].revoked = True

    @precondition(lambda self: bool(self.model.accesses))
    @rule(nth=st.integers(0, 3))
    def extend(self, nth: int) -> None:
        grant = self._grant(nth)
        if grant is None:
            return
        try:
            request = services.extend_access(
                person=self.rig.cast.alice, grant=grant, duration=10 * MINUTE, reason="More."
            )
            approve(request, self.rig.cast.bob)
        except (services.Refused, lifecycle.StaleState):
            return
        moved = Grant.objects.get(pk=grant.pk).ends_at
        assert moved > grant.ends_at
        self.model.accesses[grant.pk].ends_at = moved
        self.model.accesses[grant.pk].repaired = True

    @precondition(lambda self: bool(self.model.accesses))
    @rule(nth=st.integers(0, 3))
    def repair(self, nth: int) -> None:
        grant = self._grant(nth)
        if grant is None or grant.is_over:
            return
        lifecycle.reopen(
            grant, actor="dana", sentence="Dana pressed Repair.", reason="", now=database_now()
        )
        self.model.accesses[grant.pk].repaired = True

    @rule(is_active=st.booleans())
    def open_or_close_offer(self, is_active: bool) -> None:
        Offer.objects.filter(pk=self.rig.cast.offer.pk).update(is_active=is_active)

    # --- Time and workers

    @rule(minutes=st.sampled_from([1, 4, 11]))
    def time_passes(self, minutes: int) -> None:
        self.rig.pass_time(minutes * MINUTE)

    @rule()
    def sweep(self) -> None:
        self.rig.sweep()

    @rule(kind=st.sampled_from(KINDS), nth=st.integers(1, 12), times=st.sampled_from([1, 3]))
    def sweep_with_a_fault(self, kind: str, nth: int, times: int) -> None:
        self.rig.spoil({"kind": kind, "nth": nth, "times": times})
        self.rig.sweep()
        self.rig.mend()

    @precondition(lambda self: bool(self.model.accesses))
    @rule(
        nth=st.integers(0, 3),
        call=st.integers(1, 10),
        kind=st.sampled_from(["hold-before", "hold-after"]),
    )
    def worker_dies(self, nth: int, call: int, kind: str) -> None:
        pk = list(self.model.accesses)[nth % len(self.model.accesses)]
        self.rig.mend()
        self.rig.spoil({"kind": kind, "nth": call})
        pid = self.rig.begin("converge", pk)
        if _is_held(self.rig):
            self.rig.kill(pid)
        else:
            assert self.rig.end().status == 0
        self.rig.mend()

    # --- Hands in AWS. The scan that would notice within minutes is a look at the grant here.

    @precondition(lambda self: bool(self.model.accesses))
    @rule(
        nth=st.integers(0, 3),
        edit=st.sampled_from(["attach", "trust", "no-end", "detach", "leave", "delete"]),
    )
    def somebody_edits(self, nth: int, edit: str) -> None:
        grant = self._grant(nth)
        if grant is None or grant.phase != "active":
            return
        name, iam = grant.role_name, administrator(TARGET)
        _EDITS[edit](iam, name)
        access = self.model.accesses[grant.pk]
        access.repaired = grant.reopened_at is not None
        self.rig.pass_time(LEASE_AND_MORE)
        Grant.objects.filter(pk=grant.pk).update(next_check_at=database_now())
        self.rig.sweep()
        if edit == "detach" and access.lives(database_now()) and not access.repaired:
            attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
            assert attached == []

    # --- What always holds

    @invariant()
    def only_the_entitled_get_in(self) -> None:
        if not hasattr(self, "model"):
            return
        state, now = check_everything(self.rig), database_now()
        bystander = {
            arn_of(one)
            for one in Grant.objects.with_parties().filter(request__requester=self.rig.cast.charlie)
        }
        for role in issued_roles(state):
            if role.arn in bystander:
                continue
            inside = who_may_enter(state, role.arn, at=now, mfa=True)
            known = {one.role_arn: one for one in self.model.accesses.values()}
            assert inside <= {known[role.arn].user_arn}
            if now >= known[role.arn].ends_at.replace(microsecond=0):
                assert not inside
                assert not can_work(state, role, now)
            elif inside and can_work(state, role, now):
                self._is_entitled_or_not_yet_locked_out(role.arn, now)

    def _is_entitled_or_not_yet_locked_out(self, role_arn: str, now: datetime) -> None:
        if not self.model.entitled(role_arn, now):
            grant = next(one for one in Grant.objects.with_parties() if arn_of(one) == role_arn)
            assert grant.locked_out_at is None
            assert grant.phase != "ended"

    def teardown(self) -> None:
        """The faults stop; whatever is left comes to its end."""
        if not hasattr(self, "model"):
            return
        self.rig.mend()
        latest = [one.ends_at for one in self.model.accesses.values()]
        now = database_now()
        self.rig.pass_time(max([LEASE_AND_MORE, *(end - now for end in latest)]))
        for _ in range(4):
            self.rig.sweep()
            self.only_the_entitled_get_in()
            self.rig.pass_time(7 * MINUTE)
        check_no_orphans(self.rig)
        for pk in self.model.accesses:
            assert Grant.objects.get(pk=pk).phase == "ended"


def _is_held(rig: Rig) -> bool:
    """Wait until the worker's call is held, or it has come to its end without it."""
    while not rig.control("held?wait=0.1"):
        if rig.has_said_more():
            return False
    return True


def _delete_role(iam: Any, name: str) -> None:
    iam.detach_role_policy(RoleName=name, PolicyArn=READ_ONLY)
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


def _leave(iam: Any, name: str) -> None:
    administrator(SOURCE).remove_user_from_group(GroupName=GROUP, UserName="userA")


def _if_there(edit: Any) -> Any:
    """What somebody edited before may be gone already."""

    def careful(iam: Any, name: str) -> None:
        try:
            edit(iam, name)
        except iam.exceptions.NoSuchEntityException:
            return

    return careful


_EDITS = {
    "attach": _if_there(
        lambda iam, name: iam.attach_role_policy(RoleName=name, PolicyArn=ADMIN_POLICY)
    ),
    "trust": _if_there(
        lambda iam, name: iam.update_assume_role_policy(RoleName=name, PolicyDocument=TRUST_ROOT)
    ),
    "no-end": _if_there(
        lambda iam, name: iam.delete_role_policy(RoleName=name, PolicyName="SallyportEnd")
    ),
    "detach": _if_there(
        lambda iam, name: iam.detach_role_policy(RoleName=name, PolicyArn=READ_ONLY)
    ),
    "leave": _if_there(_leave),
    "delete": _if_there(_delete_role),
}


def test_random_lives_stay_within_the_model_and_come_to_their_end(rig: Rig) -> None:
    class Here(Lives):
        pass

    Here.rig = rig
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=300 if LONG else 8,
            stateful_step_count=30 if LONG else 12,
            derandomize=not LONG,
            deadline=None,
            database=None,
            print_blob=True,
            phases=[Phase.generate, Phase.shrink] if LONG else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
