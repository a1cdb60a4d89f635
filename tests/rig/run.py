"""One run of the whole product: what may happen in it, and how it is brought to its end.

The judge looks after each action. At the end the faults stop, the processes are made whole, and
time passes: whatever people were told was accepted has come to its end, nobody got through for a
second too long, and nothing is left.
"""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Max
from redis.exceptions import RedisError

from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import lifecycle
from provisioning.core.states import Phase, RequestState
from provisioning.engine import stops
from provisioning.models import AccessRequest, AccountScan, BreakGlass, Decision, Grant, Stop
from provisioning.services import red_button
from tests.rig.auditor import Auditor
from tests.rig.cases import Cases, Violation
from tests.rig.goals import CLEAN_UP, LOST
from tests.rig.hands import EDITS
from tests.rig.invariants import (
    check_no_orphans,
    check_trails,
    check_usable,
    foreign,
    issued_names,
)
from tests.rig.people import ANSWERS, People
from tests.rig.product import WORKERS, Product, happens, wait_until
from tests.rig.stand import SECOND, SHORT, Rig, fresh
from tests.rig.witness import Witness

A_MOMENT: Final = 1.2
"""Real seconds that the processes get for taking up what is due."""
WORK: Final = 20.0
"""Real seconds that a process gets for what it has taken up, on a busy machine. Time that jumped
past its lease would let another one take over, and never let any finish."""
SCANNED: Final = timedelta(minutes=12)
"""Longer than the pause between two scans."""
RECOVERED: Final = timedelta(minutes=12)
"""On AWS's clock, until everything is as it should be once the faults have stopped. Longer than
what a read proves nothing for, and than the longest pause between two tries."""


def put_back(product: Product) -> None:
    """AWS as it was at the start, whole processes, no red button in force, and a bystander with
    days ahead of them."""
    product.mend()
    rig = product.rig
    rig.put_back()
    AccessRequest.objects.filter(state=RequestState.PENDING).update(state=RequestState.CANCELLED)
    _release(rig)
    bystander = _bystander(rig)
    if bystander.is_over:
        # A red button of the run before; AWS was loaded as it was before that.
        EDITS["leave"](bystander)
        EDITS["delete-role"](bystander)
        _renew(rig)
    elif bystander.ends_at - database_now() < timedelta(days=2):
        _renew(rig)
        rig.pass_time(bystander.ends_at - database_now())
        wait_until(lambda: fresh(bystander).phase == Phase.ENDED, 60, "the bystander's renewal")
        rig.base = rig.control("dump")


def _release(rig: Rig) -> None:
    """Lift every pause that a run which failed left behind, and wait for what it stopped."""
    for stop in Stop.objects.pausing():
        red_button.lift(actor=rig.cast.dana, stop=stop)
    if Stop.objects.unfinished().exists():
        rig.pass_time(stops.LATE_COMMITS)
        wait_until(lambda: not Stop.objects.unfinished().exists(), 60, "the end of a red button")


def _renew(rig: Rig) -> None:
    """A new access of the bystander's, made by whoever comes first."""
    grant = rig.approved(timedelta(days=7), rig.cast.charlie)
    wait_until(lambda: fresh(grant).phase == Phase.ACTIVE, 60, "the bystander's access")
    rig.base = rig.control("dump")


def _bystander(rig: Rig) -> Grant:
    return Grant.objects.with_parties().filter(request__requester=rig.cast.charlie).latest("pk")


@dataclass
class Run(People):
    """One run, and what people were told in it."""

    touched: set[str] = field(default_factory=set)
    """Codes of accesses that strangers' hands have changed in AWS."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.first = (Grant.objects.aggregate(Max("pk"))["pk__max"] or 0) + 1
        self.bystander = _bystander(self.rig)
        self.witness = Witness(self.rig, self.first, foreign(self.rig.base))
        self.auditor = Auditor(self.rules, self.first_request, self.first_stop, self.bystander)
        self.stopped_at = database_now()

    def tell(self, what: str) -> None:
        """Write down what happened."""
        line = f"  {time.monotonic() - self.began:6.2f} s  {what}"
        self.diary.append(line)
        print(line, file=sys.stderr, flush=True)  # noqa: T201  # The lane's log.

    def look(self) -> None:
        """The judges look at this moment."""
        self.witness.look(touched=self._touched_roles())
        self.auditor.look()

    def grants(self) -> list[Grant]:
        """Of this run, the oldest first."""
        return list(Grant.objects.with_parties().filter(pk__gte=self.first).order_by("pk"))

    def newest(self) -> Grant:
        """The access that was approved last."""
        return self.grants()[-1]

    def _touched_roles(self) -> set[str]:
        return {one.role_name for one in self.grants() if one.code in self.touched}

    # --- Time --------------------------------------------------------------------------------

    def pause(self, seconds: float) -> None:
        """Real time, in which processes work."""
        time.sleep(seconds)

    def pass_time(self, seconds: int) -> None:
        """For everybody at once."""
        self.rig.pass_time(seconds * SECOND)

    def pass_to_an_end(self, seconds: int) -> str:
        """So many seconds past the end of the access that ends next, or before it."""
        now = database_now()
        ends = [one.ends_at - now for one in self.grants() if not one.is_over]
        coming = [one for one in ends if one > timedelta()]
        if not coming:
            return "nothing ends"
        by = max(min(coming) + seconds * SECOND, timedelta())
        self.rig.pass_time(by)
        return str(by)

    # --- Processes ---------------------------------------------------------------------------

    def kill(self, name: str) -> None:
        """With all its children."""
        self.product.kill(name)

    def kill_alone(self, name: str) -> None:
        """Its children stay for a while."""
        self.product.kill(name, alone=True)

    def kill_child(self, name: str, nth: int) -> None:
        """One process of a worker."""
        self.product.kill_child(name, nth)

    def freeze(self, name: str) -> None:
        """SIGSTOP."""
        self.product.freeze(name)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        self.product.thaw(name)

    def start(self, name: str) -> str:
        """What was killed, if it was."""
        if self.product.children[name].running:
            return "it runs"
        self.product.children[name].kill()
        if name in WORKERS and (why := self._at_broker(lambda broker: broker.ping())):
            # It tries until there is a broker, and says only then that it is ready.
            self.product.spawn(name)
            return f"the broker: {why}"
        self.product.start(name)
        return ""

    def at_a_call(self, kind: str, nth: int) -> None:
        """Kill or stop whoever makes the nth call from now on."""
        self.rig.spoil({"kind": kind, "nth": nth})

    # --- Broker and database -----------------------------------------------------------------

    def broker_dies(self) -> None:
        """And all messages with it."""
        self.product.kill("broker")

    def broker_starts(self) -> str:
        """Empty."""
        return self.start("broker")

    def broker_hangs(self) -> None:
        """It takes connections and answers nothing."""
        self.product.freeze("broker")

    def broker_wakes(self) -> None:
        """And answers what it was asked meanwhile."""
        self.product.thaw("broker")

    def broker_forgets(self) -> str:
        """Everything that it held."""
        return self._at_broker(lambda broker: broker.flushall())

    def broker_is_full(self) -> str:
        """It takes nothing more."""
        return self._at_broker(lambda broker: broker.config_set("maxmemory", "1"))

    def _at_broker(self, do: Callable[[Any], object]) -> str:
        with self.product.broker() as broker:
            try:
                do(broker)
            except RedisError as error:
                return type(error).__name__
        return ""

    def database_restarts(self) -> str:
        """In the midst of whatever is written, and while somebody opens a page."""
        browser = self.browser("alice")
        with ThreadPoolExecutor(1) as threads:
            opened = threads.submit(browser.get, "/access/")
            self.product.restart_database()
            page = opened.result()
        assert page.status in ANSWERS, page.text
        return f"a page answered {page.status}"

    # --- AWS ---------------------------------------------------------------------------------

    def spoil(self, kind: str, nth: int, times: int) -> None:
        """Let calls go wrong on their way."""
        self.rig.spoil({"kind": kind, "nth": nth, "times": times})

    def edit(self, what: str, nth: int) -> str:
        """Somebody changes something in AWS by hand."""
        grant = self._live(nth)
        if grant is None or grant.settled_at is None:
            return "nothing stands"
        self.touched.add(grant.code)
        if what == "delete-user":
            # Everybody who is this IAM user loses what goes through it.
            user = grant.identity.user_name
            same = [one for one in self.grants() if one.identity.user_name == user]
            self.touched |= {one.code for one in same}
            self.witness.without_user(grant.identity.account.account_id, user)
        if what in {"leave", "join"}:
            self.touched |= {one.code for one in self.grants()}
        EDITS[what](grant)
        return grant.code

    # --- The end -----------------------------------------------------------------------------

    def finish(self, cases: Cases) -> None:
        """Faults stop, processes are whole, time passes: everything comes to its end."""
        self.product.mend()
        self.stopped_at = database_now()
        self.tell("everything is whole again")
        self.look()
        with self._watching_clean_up(cases) as watch:
            self.lift()
            self._withdraw_all()
            self.settle(watch)
            self.all_given()
            self.look()
            while (coming := self._next_turn()) is not None:
                self.to(coming)
                watch()
                self.look()
                self.settle(watch)
        self._cut_back()
        self._review_all()
        self.look()
        self._check_commands()
        self.tell("everything is over")

    def _next_turn(self) -> datetime | None:
        """When the next access begins or ends; None when all are over."""
        turns = (
            one.starts_at if one.phase == Phase.SCHEDULED and not one.is_over else one.ends_at
            for one in self.grants()
            if one.phase != Phase.ENDED
        )
        return min(turns, default=None)

    def _withdraw_all(self) -> None:
        """What nobody decided on."""
        for request in AccessRequest.objects.waiting().filter(pk__gte=self.first_request):
            browser = self.browser(request.requester.username)
            page = browser.post(f"/requests/{request.code}/cancel/")
            request.refresh_from_db()
            # Its time may have run out in this very moment, a red button has withdrawn it, or the
            # rule of its offer has approved it.
            over = request.state in {RequestState.EXPIRED, RequestState.CANCELLED}
            by_rule = request.decided_by_rule is not None
            assert page.accepted or over or by_rule, (page.status, page.text)

    def settle(self, watch: Callable[[], None] = lambda: None) -> None:
        """What is over is removed; what was approved is there, if nobody took it away in AWS."""
        if not self._until(self._is_settled, RECOVERED, watch):
            left = self._unfinished()
            told = [self._story(one) for one in left]
            told += [f"{one} is not finished" for one in Stop.objects.unfinished()]
            raise Violation(LOST, told, len(told))

    def _is_settled(self) -> bool:
        return not self._unfinished() and not Stop.objects.unfinished().exists()

    def _unfinished(self) -> list[Grant]:
        now = database_now()
        return [
            one
            for one in [*self.grants(), fresh(self.bystander)]
            if one.phase != Phase.ENDED
            and not one.is_scheduled_at(now)
            and not (one.should_exist(now) and self._is_whole(one))
        ]

    def _is_whole(self, grant: Grant) -> bool:
        return grant.code in self.touched or (
            grant.phase == Phase.ACTIVE and not grant.is_extending
        )

    def all_given(self) -> None:
        """Everybody who should can use their access: those of this run, and the bystander."""
        state = self.rig.state()
        for grant in self.grants():
            now = database_now()
            if grant.phase_at(now) is Phase.ACTIVE and grant.code not in self.touched:
                check_usable(state, grant, now)
        bystander = fresh(self.bystander)
        if bystander.stop_id is None:
            check_usable(state, bystander, database_now())

    @contextmanager
    def _watching_clean_up(self, cases: Cases) -> Iterator[Callable[[], None]]:
        """Note when the role of each access is gone, from its end or the end of the faults on."""
        there = set(issued_names(self.rig.control("dump")))
        watched = {one.role_name: one for one in self.grants() if one.role_name in there}

        def watch() -> None:
            here, now = set(issued_names(self.rig.control("dump"))), database_now()
            for name in sorted(watched.keys() - here):
                grant = fresh(watched.pop(name))
                over = min(grant.revoked_at or grant.ends_at, grant.ends_at)
                took = now - max(over, self.stopped_at)
                self.tell(f"{grant.code} was gone {took.total_seconds():.1f} s after")
                cases.saw(CLEAN_UP, max(took.total_seconds(), 0))

        yield watch
        watch()

    def _cut_back(self) -> None:
        """What strangers' hands and late calls left behind is gone after two more scans."""
        for _ in range(4):
            if not self._left_over():
                break
            self.rig.pass_time(SCANNED)
            self._until(self._scanned(database_now()), SCANNED)
        check_no_orphans(self.rig)
        check_trails(self.grants())
        check_trails([fresh(self.bystander)])

    def _left_over(self) -> bool:
        try:
            check_no_orphans(self.rig)
        except Violation:
            return True
        return False

    def _scanned(self, since: datetime) -> Callable[[], bool]:
        done = AccountScan.objects.filter(started_at__gte=since, finished_at__isnull=False)
        return lambda: done.values("account").distinct().count() >= 2

    def _check_commands(self) -> None:
        """What people were told was accepted is there, and is over or told about."""
        lost = [
            code
            for code in self.asked
            if not AccessRequest.objects.filter(code=code).exclude(state="pending").exists()
        ]
        lost += [f"{who} approved {code}" for who, code in self.approved if not _said(who, code)]
        given = self.taken | {code for _, code in self.approved}
        lost += [f"{code}: given" for code in given if not self._was_granted(code)]
        revoked = Grant.objects.filter(revoked_at__isnull=False, phase=Phase.ENDED)
        lost += [f"{code}: ended" for code in self.ended if not revoked.filter(code=code).exists()]
        if lost:
            raise Violation(LOST, lost, len(lost))

    def _was_granted(self, code: str) -> bool:
        """Approved by as many as it takes, and then given, or ended by a person or a worker who
        says why."""
        request = AccessRequest.objects.with_parties().get(code=code)
        if request.state != RequestState.APPROVED:
            # The auditor knows whether the approvals were enough.
            return code not in self.taken
        kinds = set(AuditEvent.objects.about(request.subject).values_list("kind", flat=True))
        if request.extends_id is not None:
            told = {"grant:extension:confirmed", "grant:extension:refused", "grant:revoked"}
            over = request.extends is not None and request.extends.ends_at <= database_now()
            return "grant:extended" in kinds and (bool(told & kinds) or over)
        return bool({"grant:phase:active", "grant:revoked"} & kinds) or (
            # Over before a worker could have given it: the faults lasted longer.
            Grant.objects.filter(code=code, phase=Phase.ENDED).exists()
            and "grant:phase:ended" in kinds
        )

    def _story(self, grant: Grant) -> str:
        events = AuditEvent.objects.about(grant.subject).values_list("kind", "reason")
        told = ", ".join(f"{kind} {reason}".strip() for kind, reason in events)
        return (
            f"{grant.code} is {grant.phase}, ends {grant.ends_at}, next {grant.next_check_at}, "
            f"leased {grant.leased_until}, now {database_now()}: {grant.last_error} [{told}]"
        )

    def _review_all(self) -> None:
        """Every emergency stays open until two others have said something about it."""
        for taken in BreakGlass.objects.open().filter(request__pk__gte=self.first_request):
            own = taken.request.requester.username
            assert not self._reviews(taken, own), f"{own} reviewed {taken.request.code}."
            for who in ("dana", "bob"):
                self._reviews(taken, who)
            taken.refresh_from_db()
            assert taken.closed_at is not None, taken.request.code

    def _reviews(self, taken: BreakGlass, who: str) -> bool:
        """Whether a review is kept; with a new session where the former one is over."""
        (page,) = self.review_of(taken, who, "justified", 1)
        if page.location.startswith("/sign-in/"):
            (page,) = self.review_of(taken, who, "justified", 1)
        return page.accepted and not page.location.startswith("/sign-in/")

    # --- Time at the end, from one thing that is due to the next ------------------------------

    def to(self, moment: datetime) -> None:
        """Let time pass until then."""
        by = moment - database_now()
        if by > timedelta():
            self.rig.pass_time(by)

    def _until(
        self,
        done: Callable[[], bool],
        limit: timedelta,
        watch: Callable[[], None] = lambda: None,
    ) -> bool:
        """Let time pass, in jumps to what is due next. Whether it is done within the limit."""
        deadline = database_now() + limit
        while True:
            happens(lambda: done() or not self._busy(), A_MOMENT)
            happens(lambda: done() or not self._at_work(), WORK)
            watch()
            if done():
                return True
            if database_now() > deadline:
                return False
            self.rig.pass_time(self._to_the_next())

    def _busy(self) -> bool:
        """Whether somebody works, or should."""
        now = database_now()
        due = Grant.objects.live().filter(next_check_at__lte=now)
        scans = AccountScan.objects.filter(due_at__lte=now, finished_at__isnull=True)
        pressed = Stop.objects.unfinished().filter(pressed_at__lte=now - stops.LATE_COMMITS)
        return due.exists() or scans.exists() or pressed.exists()

    def _at_work(self) -> bool:
        """Whether a process that nobody has killed holds an access."""
        alive = max(self.stopped_at + lifecycle.LEASE, database_now())
        return Grant.objects.live().filter(leased_until__gt=alive).exists()

    def _to_the_next(self) -> timedelta:
        """Until the next moment at which something is to happen."""
        now = database_now()
        moments = [now + SHORT]
        for one in Grant.objects.live().filter(pk__gte=self.first):
            moments += [at for at in (one.leased_until, one.next_check_at) if at and at > now]
            is_free = one.leased_until is None or one.leased_until <= now
            if is_free and one.next_check_at and one.next_check_at <= now:
                # Sweepers wait a while for a worker before they do it themselves.
                moments.append(now + 10 * SECOND)
        return min(moments) - now


def _said(who: str, code: str) -> bool:
    """Whether an approval that was taken is kept."""
    said = Decision.objects.filter(request__code=code, approver__username=who)
    return said.filter(verdict=Decision.Verdict.APPROVED).exists()
