"""What must hold at every moment, judged from what AWS shows and from the rows.

I1  who may enter a role of ours, and when, rests on a grant; who was locked out can do nothing
I2  from the end on AWS refuses, whoever of us is alive
I3  whatever was accepted is done, or a worker comes back to it, or it asks for attention
I4  what carries our tag belongs to a live row
I5  what is not ours is, byte for byte, what it was, and no call was made to change it
I7  phases moved along declared edges
I8  each change has its audit event
"""

import itertools
import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings

from accounts.models import AccountPair, IamIdentity
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning.models import AccessRequest, Grant
from sandbox.journal import only_reads
from tests.judge.judge import Session, may_do, who_may_enter
from tests.judge.state import Principal, State
from tests.rig.cases import Violation
from tests.rig.goals import FOREIGN, LATE, LOST, ORPHANS
from tests.rig.stand import GROUP, SECOND, Rig, arn_of, end_of

EDGES: Final = {
    ("scheduled", "pending"),
    ("scheduled", "ending"),
    ("scheduled", "ended"),
    ("pending", "active"),
    ("pending", "ending"),
    ("pending", "ended"),
    ("active", "pending"),
    ("active", "ending"),
    ("active", "ended"),
    ("ending", "ended"),
}
"""Written down again: the product's own table must not judge itself."""

WITH_AND_WITHOUT_MFA: Final = (True, False, None)


def check_everything(rig: Rig) -> State:
    """All that must hold even in the middle of something. Returns what was read."""
    state = rig.state()
    check_access(state, database_now())
    check_foreign(rig)
    check_touched(rig.journal())
    check_commands(database_now())
    check_trails(Grant.objects.all())
    return state


# --- I1, I2: access --------------------------------------------------------------------------


def issued_roles(state: State) -> Iterator[Principal]:
    """Roles that carry this installation's tag."""
    for one in state.principals:
        if not one.is_user and dict(one.tags).get("sallyport:portal") == settings.PORTAL_ID:
            yield one


def check_access(state: State, now: datetime) -> None:
    """Whoever may enter a role of ours, now or later, has a live grant for it (I1, I2)."""
    grants = {arn_of(one): one for one in Grant.objects.with_parties()}
    for role in issued_roles(state):
        grant = grants.get(role.arn)
        for at in instants(grant, now):
            for mfa in WITH_AND_WITHOUT_MFA:
                found = who_may_enter(state, role.arn, at=at, mfa=mfa)
                if not found <= entitled(grant, at, mfa):
                    raise Violation(LATE, (role.name, at, mfa, found))
            over = grant is None or at >= end_of(grant) or is_locked_out(grant)
            if over and can_work(state, role, at):
                raise Violation(LATE, (role.name, at, "a session can work"))


def instants(grant: Grant | None, now: datetime) -> list[datetime]:
    """Moments from now on at which it is to be judged."""
    later = now + timedelta(days=30)
    if grant is None:
        return [now, later]
    end = end_of(grant)
    return [at for at in (now, end - SECOND, end, end + SECOND, later) if at >= now]


def entitled(grant: Grant | None, at: datetime, mfa: bool | None) -> set[str]:
    """Who is meant to get in. A revoked one may still pass the door until it is removed, but then
    `can_work` must say no."""
    lives = grant is not None and grant.starts_at <= at < end_of(grant) and grant.phase != "ended"
    needs_mfa = grant is not None and grant.profile_version.require_mfa
    if grant is None or not lives or (needs_mfa and not mfa):
        return set()
    return {grant.iam_user_arn}


def is_locked_out(grant: Grant) -> bool:
    """Whether AWS has answered that nobody works through it any more."""
    return grant.revoked_at is not None and grant.locked_out_at is not None


def can_work(state: State, role: Principal, at: datetime) -> bool:
    """Whether a session of this role may do what the cases' profile is for."""
    session = Session(role.unique_id, "userA")
    return may_do(state, session, "ec2:DescribeInstances", "*", at=at).allowed


def check_usable(state: State, grant: Grant, now: datetime) -> None:
    """The right person, and nobody else, gets in and can work."""
    role = state.find(arn_of(grant))
    assert role is not None
    assert who_may_enter(state, role.arn, at=now, mfa=True) == {grant.iam_user_arn}
    assert can_work(state, role, now)


def check_unusable(state: State, grant: Grant, now: datetime) -> None:
    """Nobody gets in to do anything."""
    role = state.find(arn_of(grant))
    if role is not None:
        inside = who_may_enter(state, role.arn, at=now, mfa=True)
        assert not inside or not can_work(state, role, now), inside


# --- I3: nothing accepted is lost -------------------------------------------------------------

LONGEST_WAIT: Final = timedelta(minutes=7)
"""Longer than the longest back-off with its jitter, and than the five minutes after which an
absence is believed."""
TRIES: Final = 3
"""After so many failures a person has to see it."""


def check_commands(now: datetime) -> None:
    """What people asked for and was granted is done, or somebody comes back to it in time (I3)."""
    approved = AccessRequest.objects.filter(state="approved", extends=None)
    if lost := approved.filter(grant=None).count():
        raise Violation(LOST, "approvals that nothing came of", lost)
    for grant in Grant.objects.live():
        at = grant.next_check_at
        if at is None or at > _next_turn(grant, now) + LONGEST_WAIT:
            raise Violation(LOST, f"nobody comes back to {grant.code}: {grant.phase}, {at}")
        if grant.attempts >= TRIES and not grant.needs_attention:
            raise Violation(LOST, f"{grant.code} asks for nobody's attention")


def _next_turn(grant: Grant, now: datetime) -> datetime:
    """When something has to be done about it: at once, unless it waits for its start or end."""
    if grant.revoked_at is None and grant.phase == "scheduled":
        return max(now, grant.starts_at)
    if grant.revoked_at is None and (grant.phase == "active" or grant.is_narrowed):
        return max(now, grant.ends_at)
    return now


# --- I4: nothing is left ---------------------------------------------------------------------


def check_no_orphans(rig: Rig) -> None:
    """What is ours belongs to a live row."""
    dump = rig.control("dump")
    live = list(Grant.objects.live().with_parties())
    roles = set(issued_names(dump)) - {one.role_name for one in live}
    members = set(_members(dump)) - {one.identity.user_name for one in live}
    if orphans := roles | members:
        raise Violation(ORPHANS, sorted(orphans), len(orphans))


def issued_names(dump: Any) -> Iterator[str]:
    """Roles that carry this installation's tag, by what the server holds."""
    for account in dump["accounts"]:
        for role in account["roles"]:
            if _is_ours("roles", role):
                yield role["name"]


def _members(dump: Any) -> Iterator[str]:
    for account in dump["accounts"]:
        names = {user["id"]: user["name"] for user in account["users"]}
        for group in account["groups"]:
            if group["name"] == GROUP:
                yield from (names[one] for one in group["members"])


# --- I5: what is not ours --------------------------------------------------------------------


def check_foreign(rig: Rig) -> None:
    """What is not ours is what it was."""
    if changed := differences(foreign(rig.base), foreign(rig.control("dump"))):
        raise Violation(FOREIGN, changed, len(changed))


def differences(wanted: dict[str, str], found: dict[str, str]) -> list[str]:
    """What was changed, made or removed."""
    every = sorted(wanted.keys() | found.keys())
    return [name for name in every if wanted.get(name) != found.get(name)]


def check_touched(calls: Iterable[Any]) -> None:
    """No call of the product that changes something was about what is not ours, not even one that
    was refused."""
    for call in calls:
        ours = ":assumed-role/SallyportProvisioner/" in call["who"]
        if ours and _changes(call) and not _is_about_ours(call):
            raise Violation(FOREIGN, call)


def _changes(call: Any) -> bool:
    return call["service"] == "iam" and not only_reads(call["action"])


def _is_about_ours(call: Any) -> bool:
    """By path and row, and where a role exists already, by its tag. IAM does not know the path of
    what is gone, so a call that was refused is judged by the name alone."""
    path, _, name = call["object"].split(":", 5)[-1].rpartition("/")
    kind, _, inside = path.partition("/")
    if inside != "sallyport" and (inside or call["applied"]):
        return False
    if kind == "group":
        pairs = AccountPair.objects.filter(source__account_id=call["account"])
        return pairs.filter(switch_group=name).exists()
    if kind == "user":
        created = IamIdentity.objects.filter(created_by_portal=True)
        return created.filter(account__account_id=call["account"], user_name=name).exists()
    mine = call["tags"].get("sallyport:portal", settings.PORTAL_ID) == settings.PORTAL_ID
    grant = Grant.objects.with_parties().filter(code=name.rpartition("-")[2]).first()
    return kind == "role" and mine and grant is not None and grant.role_name == name


def foreign(dump: Any) -> dict[str, str]:
    """Everything that this installation did not make, as text, by account, kind and name."""
    return {
        f"{account['account']} {kind} {one['name']}": json.dumps(_lasting(one), sort_keys=True)
        for account in dump["accounts"]
        for kind in ("users", "groups", "roles", "policies")
        for one in account[kind]
        if not _is_ours(kind, one)
    }


def _lasting(one: Any) -> Any:
    """Without what AWS changes by itself when somebody uses it."""
    return {key: value for key, value in one.items() if key != "last_used"}


def _is_ours(kind: str, one: Any) -> bool:
    if kind == "groups":
        return bool(one["path"] == "/sallyport/")
    tag = {"Key": "sallyport:portal", "Value": settings.PORTAL_ID}
    return kind == "roles" and tag in one["tags"]


# --- I7, I8: the trail -----------------------------------------------------------------------


def check_trails(grants: Iterable[Grant]) -> None:
    """The events of each grant tell how it became what it is: nothing happened without one."""
    for grant in grants:
        events = list(AuditEvent.objects.about(grant.subject).values_list("kind", flat=True))
        phases = [kind.rpartition(":")[2] for kind in events if kind.startswith("grant:phase:")]
        # A removal that fails first is `ending` by that failure, which has its own event.
        phases += ["ending"] if grant.phase == "ending" and "grant:failed" in events else []
        phases = [one for one, _ in itertools.groupby(phases)]
        assert phases[0] in {"pending", "scheduled"}, events
        assert phases[-1] == grant.phase, (grant.phase, events)
        for edge in itertools.pairwise(phases):
            assert edge in EDGES, (edge, events)
        assert events.count("grant:revoked") == (grant.revoked_at is not None), events
        assert events.count("grant:locked_out") == (grant.locked_out_at is not None), events
