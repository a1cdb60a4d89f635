"""Scanning accounts: what AWS holds beside what the rows say.

While AWS collects a page, the rows of the account are read; while a page is compared, AWS collects
the next one.

A scan reads and compares, and changes nothing in AWS. What it finds asks a worker to look with
fresh eyes: at the grant (`converge`), or at the group or role (`cutback`).
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched
from random import uniform
from typing import Final

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import AccountPair, AwsAccount
from audit.clock import database_now
from audit.models import append
from provisioning import lifecycle
from provisioning.aws.errors import AwsError
from provisioning.aws.scan import Page, ScannedUser, scan
from provisioning.core import drift
from provisioning.core.drift import Drift, Kind, Thing
from provisioning.core.plan import FoundGroup, FoundRole, GrantSpec
from provisioning.core.states import Phase
from provisioning.engine import pacing
from provisioning.engine.entry import enter_for_scan
from provisioning.engine.failures import in_words
from provisioning.models import AccountScan, DriftFinding, Grant, GrantQuerySet
from provisioning.specs import group_spec, spec_of_role, specs_of_roles

log = structlog.get_logger(__name__)

LEASE: Final = timedelta(minutes=3)
"""Longer than one page can take with its retries; renewed at each page."""
KEPT: Final = 5
"""Finished scans that are kept of each account."""
CHUNK: Final = 200
"""Rows that are in memory at once."""
CRASHED: Final = "An error inside Sallyport, which its operators find in the worker's log."
LOOKED_AT: Final = "A worker was sent to look at the access again, and to cut back what widened."
NO_LONGER: Final = "A later scan saw it no more."


class Superseded(Exception):
    """Another worker has taken this scan over."""


# --- When ------------------------------------------------------------------------------------


def schedule(now: datetime) -> None:
    """Give a next scan to each account that has none, spread so that not all come at once."""
    planned = AccountScan.objects.filter(account=OuterRef("pk"), finished_at__isnull=True)
    for account in AwsAccount.objects.filter(~Exists(planned), retired_at__isnull=True):
        ever = account.scans.exists()
        _plan(account, now + settings.SCAN_EVERY * (uniform(0, 1) if ever else uniform(0, 0.2)))  # noqa: S311  # Not a secret.


def _plan(account: AwsAccount, due_at: datetime) -> None:
    try:
        with transaction.atomic():
            AccountScan.objects.create(account=account, due_at=due_at)
    except IntegrityError:
        # Another sweeper was quicker.
        return


def due(now: datetime) -> QuerySet[AccountScan]:
    """Scans that no worker is at."""
    return AccountScan.objects.filter(
        _unheld(now), finished_at__isnull=True, due_at__lte=now
    ).order_by("due_at")


def _unheld(now: datetime) -> Q:
    return Q(leased_until__isnull=True) | Q(leased_until__lt=now)


def run_scan(scan_id: int) -> None:
    """Scan an account, unless that is done or another worker is at it."""
    row = _claim(scan_id)
    if row is None:
        return
    error = ""
    with structlog.contextvars.bound_contextvars(account=row.account.account_id):
        try:
            _Scan(row).run()
        except Superseded:
            return
        except AwsError as failure:
            error = in_words(failure)
            log.warning("scan_failed", error=str(failure), request_id=failure.request_id)
        except Exception:
            log.exception("scan_crashed")
            error = CRASHED
        _finish(row, error)


def _claim(scan_id: int) -> AccountScan | None:
    now = database_now()
    mine = AccountScan.objects.filter(_unheld(now), pk=scan_id, finished_at__isnull=True)
    row = mine.filter(due_at__lte=now).select_related("account").first()
    if row is None or not pacing.has_room(row.account, _expected_calls(row.account)):
        return None
    row.started_at = started = database_now()
    row.leased_until = started + LEASE
    taken = mine.update(started_at=started, leased_until=row.leased_until)
    return row if taken == 1 else None


def _expected_calls(account: AwsAccount) -> int:
    last = account.scans.filter(finished_at__isnull=False, error="").first()
    return max(last.calls if last else 1, 1)


def _finish(row: AccountScan, error: str) -> None:
    """Store how the scan went and plan the next one, in one go."""
    now = database_now()
    with transaction.atomic():
        held = AccountScan.objects.filter(
            pk=row.pk, started_at=row.started_at, finished_at__isnull=True
        )
        done = held.update(
            finished_at=now,
            leased_until=None,
            error=error,
            calls=row.calls,
            objects_seen=row.objects_seen,
        )
        if done != 1:
            return
        if not error:
            _resolve_unseen(row, now)
            lifecycle.look_again(_unexplained(row).values_list("pk", flat=True), now)
        AccountScan.objects.create(account=row.account, due_at=now + _pause(row.account, error))
        finished = row.account.scans.filter(finished_at__isnull=False)
        finished.exclude(pk__in=list(finished.values_list("pk", flat=True)[:KEPT])).delete()


def _pause(account: AwsAccount, error: str) -> timedelta:
    """The usual pause, with jitter; after failures a short one that grows to the usual."""
    if not error:
        return settings.SCAN_EVERY * uniform(0.9, 1.1)  # noqa: S311  # Not a secret.
    last = account.scans.filter(finished_at__isnull=False).values_list("error", flat=True)[:KEPT]
    return min(settings.SCAN_EVERY, lifecycle.back_off(3 + sum(bool(one) for one in last)))


def _resolve_unseen(row: AccountScan, now: datetime) -> None:
    """What this scan saw no more is settled. Access that was given back needs another look, which
    records it as active again."""
    gone = row.account.drift.open().filter(last_seen_at__lt=row.started_at)
    narrowed = gone.filter(kind=Kind.NARROWED, grant__isnull=False)
    lifecycle.look_again(narrowed.values_list("grant_id", flat=True), now)
    gone.filter(done="").update(done=NO_LONGER)
    gone.update(resolved_at=now, act_at=None)


def _unexplained(row: AccountScan) -> GrantQuerySet:
    """Narrowed access in which no scan sees anything missing: somebody gave it back by hand, or
    through other access of the same switch group."""
    account = row.account
    pair = "request__offer__pair__"
    group = DriftFinding.objects.open().filter(
        kind=Kind.NARROWED, thing=Thing.GROUP, account=OuterRef(f"{pair}source")
    )
    return (
        Grant.objects.live()
        .filter(
            Q(**{f"{pair}source": account}) | Q(**{f"{pair}target": account}),
            phase="pending",
            settled_at__lt=row.started_at,
            reopened_at__isnull=True,
        )
        .exclude(Exists(DriftFinding.objects.open().filter(grant=OuterRef("pk"))))
        .exclude(Exists(group.filter(name__iexact=OuterRef(f"{pair}switch_group"))))
    )


# --- Comparing -------------------------------------------------------------------------------


@dataclass
class _Scan:
    """One scan: what it needs to remember between two pages."""

    row: AccountScan
    roles_seen: set[int] = field(default_factory=set)
    """Grants whose role was there."""
    expected: dict[str, tuple[int, GrantSpec]] = field(default_factory=dict)
    """Roles that should be there as approved, by name in lower case: their grant and its spec."""
    members_seen: set[tuple[str, str]] = field(default_factory=set)
    """Switch group and unique id of the users who are in it."""
    extra: list[tuple[str, ScannedUser]] = field(default_factory=list)
    groups_seen: set[str] = field(default_factory=set)
    noted: set[tuple[str, str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.account = self.row.account
        self.began: datetime = self.row.started_at  # type: ignore[assignment]  # It is claimed.
        pairs = AccountPair.objects.filter(
            source=self.account, retired_at__isnull=True
        ).select_related("source")
        self.pairs = {one.switch_group.lower(): one for one in pairs}
        # A group that is just being made, changed or removed is compared by the next scan.
        self.busy = {
            one.switch_group.lower() for one in pairs if one.state != "ready" or one.retiring_at
        }
        self.known = {(one.kind, one.thing, one.name): one for one in self.account.drift.open()}

    def run(self) -> None:
        """Read all pages, then say what was missing in them. Raises AwsError, Superseded."""
        with enter_for_scan(self.account) as session:
            try:
                with _read_ahead(scan(session.client)) as pages:
                    self._expect()
                    for page in pages:
                        self._hold()
                        self._page(page)
            finally:
                self.row.calls = session.tally.sent
                pacing.learn(self.account, session.tally.throttled)
        self._hold()
        self._missing_roles()
        self._members()
        self._missing_groups()

    def _hold(self) -> None:
        """Renew the claim. Raises Superseded when another worker has it."""
        held = AccountScan.objects.filter(
            pk=self.row.pk, started_at=self.began, finished_at__isnull=True
        )
        if held.update(leased_until=database_now() + LEASE) != 1:
            raise Superseded

    def _page(self, page: Page) -> None:
        self.row.objects_seen += page.objects
        now = database_now()
        suspects = [one for one in page.roles.items() if not self._is_as_expected(*one, now)]
        for roles in batched(suspects, CHUNK):
            self._roles(roles)
        for name, group in page.groups.items():
            self._group(name, group)
        for users in batched(page.users, CHUNK):
            self._users(users)

    # --- Roles -------------------------------------------------------------------------------

    def _expect(self) -> None:
        """What AWS should show, by the rows of this moment. AWS allows an account some thousand
        roles, so they fit in memory."""
        now = database_now()
        here = Grant.objects.live().filter(request__offer__pair__target=self.account)
        settled = here.settled_before(self.began, now)
        for pk, spec in specs_of_roles(settled):
            self.expected[spec.role_name.lower()] = pk, spec

    def _is_as_expected(self, name: str, role: FoundRole, now: datetime) -> bool:
        """Whether nothing about a role needs another look at its row, as with nearly all."""
        pk, spec = self.expected.get(name.lower(), (0, None))
        if spec is None or drift.of_role(spec, role, now) is not None:
            return False
        self.roles_seen.add(pk)
        return True

    def _roles(self, roles: Sequence[tuple[str, FoundRole]]) -> None:
        """Compare with the rows as they are after the page was read."""
        now = database_now()
        codes = {name.rpartition("-")[2] for name, _ in roles}
        rows = _comparable().filter(
            Q(ended_at__isnull=True) | Q(ended_at__gte=self.began),
            request__offer__pair__target=self.account,
            code__in=codes,
        )
        grants = {one.role_name.lower(): one for one in rows}
        for name, role in roles:
            grant = grants.get(name.lower())
            if grant is None:
                found = drift.ownerless_role(name, role, portal_id=settings.PORTAL_ID)
                self._note(found)
                continue
            self.roles_seen.add(grant.pk)
            if grant.is_settled_before(self.began, now):
                self._note(drift.of_role(spec_of_role(grant), role, now), grant)

    def _missing_roles(self) -> None:
        here = Grant.objects.live().filter(
            request__offer__pair__target=self.account, settled_at__lt=self.began
        )
        missing = [pk for pk in here.values_list("pk", flat=True) if pk not in self.roles_seen]
        now = database_now()
        for grant in self._load(missing, now):
            self._note(drift.missing_role(spec_of_role(grant), now), grant)

    def _load(self, keys: Iterable[int], now: datetime) -> Iterator[Grant]:
        for some in batched(keys, CHUNK):
            for grant in _comparable().filter(pk__in=some):
                if grant.is_settled_before(self.began, now):
                    yield grant

    # --- Switch groups -----------------------------------------------------------------------

    def _group(self, name: str, found: FoundGroup) -> None:
        self.groups_seen.add(name.lower())
        pair = self.pairs.get(name.lower())
        if pair is None:
            self._note(drift.unknown_group(name, found))
        elif name.lower() not in self.busy:
            self._note(drift.of_group(group_spec(pair), found))

    def _missing_groups(self) -> None:
        for name in sorted(set(self.pairs) - self.groups_seen - self.busy):
            self._note(drift.of_group(group_spec(self.pairs[name]), None))

    def _users(self, users: Sequence[ScannedUser]) -> None:
        """Who is in a switch group, and who of them nobody's access needs there."""
        members = [
            (group, user) for user in users for group in user.groups if group.lower() in self.pairs
        ]
        if not members:
            return
        ids = {user.unique_id for _, user in members}
        needed = {
            (group.lower(), unique_id)
            for group, unique_id in memberships(self.account)
            .filter(iam_user_id__in=ids)
            .values_list("request__offer__pair__switch_group", "iam_user_id")
        }
        for group, user in members:
            self.members_seen.add((group.lower(), user.unique_id))
            if (group.lower(), user.unique_id) not in needed:
                self.extra.append((group, user))

    def _members(self) -> None:
        for group, user in self.extra:
            # A group of that name under another path is not ours.
            if group.lower() in self.groups_seen:
                self._note(drift.extra_member(group, user.name, user.unique_id))
        now = database_now()
        rows = memberships(self.account).filter(settled_at__lt=self.began)
        missing = [
            pk
            for pk, group, unique_id in rows.values_list(
                "pk", "request__offer__pair__switch_group", "iam_user_id"
            )
            if (group.lower(), unique_id) not in self.members_seen
        ]
        for grant in self._load(missing, now):
            self._note(drift.missing_member(spec_of_role(grant)), grant)

    # --- Noting ------------------------------------------------------------------------------

    def _note(self, found: Drift | None, grant: Grant | None = None) -> None:
        """Store a finding, and say who should look at it."""
        if found is None or (found.kind, found.thing, found.name) in self.noted:
            return
        key = (found.kind, found.thing, found.name)
        self.noted.add(key)
        now = database_now()
        row = self.known.get(key)
        is_new = row is None
        if row is None:
            row = DriftFinding(
                account=self.account,
                kind=found.kind,
                thing=found.thing,
                name=found.name,
                first_seen_at=now,
                seen=0,
            )
        row.grant, row.last_seen_at, row.seen = grant, now, row.seen + 1
        changed = is_new or (row.approved, row.in_aws) != (found.approved, found.in_aws)
        row.summary, row.approved, row.in_aws = found.summary, found.approved, found.in_aws
        self._send_worker(row, now, changed=changed)
        with transaction.atomic():
            row.save()
            if is_new and found.kind == Kind.NARROWED:
                _tell_narrowed(row)

    def _send_worker(self, row: DriftFinding, now: datetime, *, changed: bool) -> None:
        """Let a worker look: always at what widened, at anything else when it is news."""
        grant = row.grant
        if grant is not None:
            untold = grant.phase == "active"
            if changed or untold or row.kind == Kind.WIDENED:
                lifecycle.look_again([grant.pk], now)
                row.done = LOOKED_AT if row.kind == Kind.WIDENED else row.done
        elif row.kind == Kind.WIDENED:
            row.act_at = row.act_at or now
        elif row.kind == Kind.NARROWED and changed:
            # Nobody can use what goes through this group: each access says so, and is repairable.
            through = memberships(self.account).filter(
                request__offer__pair__switch_group__iexact=row.name,
                settled_at__lt=self.began,
            )
            lifecycle.look_again(through.values_list("pk", flat=True), now)
        elif row.kind == Kind.ORPHAN and row.seen >= 2:
            row.act_at = row.act_at or max(now, row.first_seen_at + settings.ORPHAN_GRACE)


def _tell_narrowed(finding: DriftFinding) -> None:
    """Append, once for each finding, that something is missing which only a person gives back."""
    what = "this access" if finding.grant else f"the switch group {finding.name}"
    append(
        kind="drift:narrowed:found",
        actor=lifecycle.WORKER,
        subject=finding.grant.subject if finding.grant else finding.account.subject,
        sentence=f"A scan saw that somebody took part of {what} away in AWS.",
        reason=finding.summary,
        data={"finding": finding.pk},
    )


@contextmanager
def _read_ahead(pages: Iterator[Page]) -> Iterator[Iterator[Page]]:
    """The pages, of which the next one is being read while the caller works on this one."""
    context = copy_context()
    with ThreadPoolExecutor(max_workers=1) as reader:

        def one() -> Page | None:
            return next(pages, None)

        def read() -> "Future[Page | None]":
            return reader.submit(context.run, one)

        def in_turn(coming: "Future[Page | None]") -> Iterator[Page]:
            while (page := coming.result()) is not None:
                coming = read()
                yield page

        yield in_turn(read())


def _comparable() -> GrantQuerySet:
    """Grants with what their documents depend on. Many share an offer, a profile, a person: those
    are fetched once for all, which takes half the time of a join."""
    grants = Grant.objects.select_related("request").defer("request__preview")
    return grants.prefetch_related(
        "identity",
        "profile_version",
        "request__identity",
        "request__profile_version",
        "request__offer__pair__source",
        "request__offer__pair__target",
    )


def memberships(account: AwsAccount) -> GrantQuerySet:
    """Live grants that go through a switch group of this account; a scheduled one does not yet."""
    begun = Grant.objects.live().exclude(phase=Phase.SCHEDULED)
    return begun.filter(request__offer__pair__source=account)
