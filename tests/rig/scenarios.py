"""What is told of by name: the whole product, in the situations that people ask about first."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from random import Random
from threading import Thread
from typing import Any, Final

from django.contrib.auth.models import Group

from accounts.models import User
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning.aws.errors import AwsError
from provisioning.engine import stops
from provisioning.models import AccessRequest, Grant
from tests.aws_world import Aws
from tests.factories import UserFactory, first_stage
from tests.judge.judge import who_may_enter
from tests.rig.cases import Cases, Violation
from tests.rig.goals import LATE, REVOKE, REVOKE_ALONE, REVOKE_UNHEARD
from tests.rig.invariants import issued_roles
from tests.rig.people import MINUTE, signed_in
from tests.rig.product import PROCESSES, SWEEPERS, WORKERS, Product, wait_until
from tests.rig.rules import ON_CALL
from tests.rig.run import Run, put_back
from tests.rig.stand import SECOND, SOURCE, administrator, arn_of, fresh, link
from tests.rig.web import Browser, Page

SOON: Final = 60.0
"""Real seconds within which healthy processes have done anything, on a busy machine."""
LONGEST_LOCK_OUT: Final = 30.0
USUAL_PAUSE: Final = 5.0
QUEUE: Final = "sallyport"


@contextmanager
def _run(product: Product, cases: Cases) -> Iterator[Run]:
    """A run that is played by hand, and comes to its end as all do."""
    with cases.case(""):
        put_back(product)
        run = Run(product)
        try:
            yield run
            run.finish(cases)
        except Exception as error:
            error.add_note("\n".join(run.diary))
            raise


def _given(run: Run, username: str = "alice", minutes: int = 45) -> Grant:
    """An access that somebody asked for, bob approved, and workers made."""
    _asked(run, username, minutes)
    run.approve(-1, 1)
    grant = run.newest()
    wait_until(lambda: fresh(grant).phase == "active", SOON, "an access")
    return fresh(grant)


def _asked(run: Run, username: str, minutes: int) -> AccessRequest:
    """What somebody asked for just now, as nothing keeps them from it."""
    before = set(run.asked)
    said = run.ask(username, minutes, 0, 1)
    new = run.asked - before
    assert len(new) == 1, said
    return AccessRequest.objects.get(code=new.pop())


# --- All dead at the end ---------------------------------------------------------------------


def dead(product: Product, cases: Cases) -> None:
    """Every process is dead when an access ends: AWS refuses from that second on."""
    with _run(product, cases) as run:
        aws, grant = Aws(run.rig.endpoint), _given(run, minutes=5)
        session = aws.enter("userA", arn_of(grant))
        for name in ("broker", *PROCESSES):
            product.kill(name)
        run.to(grant.ends_at - 2 * SECOND)
        aws.reads(session)
        aws.enter("userA", arn_of(grant))
        for later in (timedelta(), SECOND, timedelta(days=1)):
            run.to(grant.ends_at + later)
            _refused(lambda: aws.reads(session))
            _refused(lambda: aws.enter("userA", arn_of(grant)))
            run.look()


def _refused(attempt: Any) -> None:
    try:
        attempt()
    except AwsError as error:
        if error.code in {"AccessDenied", "ExpiredToken"}:
            return
        raise
    raise Violation(LATE, "AWS let somebody through after the end")


# --- From the click to the lock-out ----------------------------------------------------------


def revoke(product: Product, cases: Cases) -> None:
    """How long the way from the click on Revoke to AWS's answer is, with a healthy AWS."""
    with _run(product, cases) as run, _usual_pause(product):
        _revoke_each(run, cases, REVOKE)
        product.kill("broker")
        _revoke_each(run, cases, REVOKE_ALONE)
        product.mend()
        _revoke_each(run, cases, REVOKE_UNHEARD, without=WORKERS)


def _revoke_each(run: Run, cases: Cases, figure: str, without: Sequence[str] = ()) -> None:
    grants = _many_given(run, 40 if cases.full else 8)
    for name in without:
        run.product.kill(name)
    chance, clicked = Random(cases.seed), {}  # noqa: S311  # Not a secret.
    for grant in grants:
        run.pause(chance.uniform(0, 0.8))
        clicked[grant.pk] = database_now()
        page = run.browser("dana").post(f"/requests/{grant.code}/revoke/", reason="Enough.")
        assert page.accepted, page.text
        run.ended.add(grant.code)
    for grant in grants:
        wait_until(lambda: fresh(grant).locked_out_at is not None, SOON, grant.code)  # noqa: B023
        locked_out = fresh(grant).locked_out_at
        assert locked_out is not None
        took = (locked_out - clicked[grant.pk]).total_seconds()
        cases.saw(figure, took)
        assert took <= LONGEST_LOCK_OUT, (grant.code, took)


def _many_given(run: Run, number: int) -> list[Grant]:
    for nth in range(number):
        _asked(run, ("alice", "erin")[nth % 2], 45)
        run.approve(-1, 1)
    grants = run.grants()[-number:]
    for grant in grants:
        wait_until(lambda: fresh(grant).phase == "active", SOON, grant.code)  # noqa: B023
    return grants


@contextmanager
def _usual_pause(product: Product) -> Iterator[None]:
    """The sweepers pause as they do in an installation."""
    usual = [str(USUAL_PAUSE)]
    short = [product.children[name].argv[-1] for name in SWEEPERS]
    try:
        for name in SWEEPERS:
            product.kill(name)
            product.children[name].argv = [*product.children[name].argv[:-1], *usual]
        product.start(*SWEEPERS)
        yield
    finally:
        for name, pause in zip(SWEEPERS, short, strict=True):
            product.kill(name)
            product.children[name].argv = [*product.children[name].argv[:-1], pause]


# --- Every message again ---------------------------------------------------------------------

GIVING: Final = {
    "CreateRole",
    "AttachRolePolicy",
    "PutRolePermissionsBoundary",
    "UpdateAssumeRolePolicy",
    "AddUserToGroup",
    "CreateGroup",
    "PutGroupPolicy",
    "AttachGroupPolicy",
    "DeleteRolePolicy",
}
ORDERS: Final = 100


def replay(product: Product, cases: Cases) -> None:
    """All messages of an access come again after its end, doubled and in any order."""
    with _run(product, cases) as run:
        messages, grant = _messages_of_a_life(run)
        assert len(messages) >= 5, messages
        run.look()
        heard = run.rig.heard
        chance = Random(cases.seed)  # noqa: S311  # Not a secret.
        for order in range(ORDERS):
            again = messages + chance.choices(messages, k=len(messages) // 2)
            chance.shuffle(again)
            with product.broker() as broker:
                broker.lpush(QUEUE, *again)
            if order % 20 == 0:
                run.look()
        wait_until(lambda: _is_drained(product), 4 * SOON, "the queue")
        run.look()
        calls = run.rig.control(f"journal?after={heard}")
        gave = [one for one in calls if one["action"] in GIVING and _is_of(grant, one)]
        assert not gave, gave
        assert fresh(grant).phase == "ended"


def _messages_of_a_life(run: Run) -> tuple[list[str], Grant]:
    messages: list[str] = []
    with run.product.broker() as broker, broker.monitor() as monitor:

        def listen() -> None:
            for told in monitor.listen():
                command = told["command"]
                if command == "ECHO enough":
                    return
                if command.startswith(f"LPUSH {QUEUE} "):
                    messages.append(command.split(" ", 2)[2])

        listener = Thread(target=listen)
        listener.start()
        grant = _given(run, minutes=12)
        run.extend(-1, 1, 10)
        run.approve(-1, 1)
        wait_until(lambda: not fresh(grant).is_extending, SOON, "more time")
        run.revoke(-1, 1)
        wait_until(lambda: fresh(grant).phase == "ended", SOON, "the end")
        broker.echo("enough")
        listener.join(SOON)
    return [one for one in messages if json.loads(one)], grant


def _is_drained(product: Product) -> bool:
    with product.broker() as broker:
        return not broker.llen(QUEUE) and not broker.hlen("unacked")


def _is_of(grant: Grant, call: dict[str, Any]) -> bool:
    return ":assumed-role/" in call["who"] and grant.code in json.dumps(call)


# --- Twenty at once --------------------------------------------------------------------------

ACTORS: Final = 20
ROUNDS, ROUNDS_IN_FULL = 10, 200


def race(product: Product, cases: Cases) -> None:
    """Twenty people decide on one request in the same moment: one of them counts."""
    with _run(product, cases) as run:
        approvers = first_stage(run.rig.cast.offer).people
        others = [UserFactory.create() for _ in range(ACTORS - 3)]
        began = database_now()
        approvers.add(*others)
        run.rules.note(began)
        try:
            crowd = [signed_in(product, person.username) for person in (run.rig.cast.bob, *others)]
            chance = Random(cases.seed)  # noqa: S311  # Not a secret.
            for _ in range(ROUNDS_IN_FULL if cases.full else ROUNDS):
                _one_winner(run, crowd, chance)
        finally:
            # Those who approved count until their accesses are over.
            run.settle()
            approvers.set([run.rig.cast.bob])
            _switch_off(others)


def _one_winner(run: Run, crowd: list[Browser], chance: Random) -> None:
    code = _asked(run, "erin", 5).code
    form = run.browser("bob").decision(code, verdict="approved", reason="So be it.")

    def verdict(browser: Browser) -> Page:
        word = chance.choice(("approved", "rejected"))
        return browser.post(f"/requests/{code}/decide/", **form | {"verdict": word})

    def withdrawal(browser: Browser) -> Page:
        return browser.post(f"/requests/{code}/cancel/")

    deeds = [(verdict, one) for one in crowd] + [(withdrawal, run.browser("erin"))] * 2
    chance.shuffle(deeds)
    with ThreadPoolExecutor(len(deeds)) as threads:
        pages = list(threads.map(lambda deed: deed[0](deed[1]), deeds))
    statuses = sorted(page.status for page in pages)
    assert statuses == [HTTPStatus.FOUND] + [HTTPStatus.CONFLICT] * (len(deeds) - 1), statuses


# --- The red button, while everybody is busy -------------------------------------------------

DECIDERS, TAKERS = 10, 5
PRESSES, PRESSES_IN_FULL = 3, 40
REFUSALS: Final = ("request:decide:refused", "grant:breakglass:refused")


def button(product: Product, cases: Cases) -> None:
    """Ten people decide, five break the glass and an admin ends everything in the same moment, and
    a worker dies in between: nothing lives afterwards, nobody gets in, and every refusal is kept.
    """
    with _more_iam_users(product) as takers, _run(product, cases) as run:
        approvers = first_stage(run.rig.cast.offer).people
        others = [UserFactory.create() for _ in range(DECIDERS - 1)]
        began = database_now()
        approvers.add(*others)
        Group.objects.get(name=ON_CALL).user_set.add(*takers)
        run.rules.note(began)
        deciders = ["bob", *(one.username for one in others)]
        busy = ["erin", *(one.username for one in takers)]
        chance = Random(cases.seed)  # noqa: S311  # Not a secret.
        try:
            for nth in range(PRESSES_IN_FULL if cases.full else PRESSES):
                _everybody_at_once(run, deciders, busy, WORKERS[nth % 2], chance)
        finally:
            approvers.set([run.rig.cast.bob])
            _switch_off([*others, *takers])


@contextmanager
def _more_iam_users(product: Product) -> Iterator[list[User]]:
    """More people who can be let in, while the block lasts."""
    put_back(product)
    rig, before = product.rig, product.rig.base
    people = [UserFactory.create() for _ in range(TAKERS - 1)]
    for one in people:
        administrator(SOURCE).create_user(UserName=one.username)
        link(one, rig.cast.pair.source, one.username)
    rig.base = rig.control("dump")
    try:
        yield people
    finally:
        rig.base = before


def _switch_off(people: Sequence[User]) -> None:
    User.objects.filter(pk__in=[one.pk for one in people]).update(is_active=False)


def _everybody_at_once(
    run: Run, deciders: Sequence[str], takers: Sequence[str], dies: str, chance: Random
) -> None:
    _given(run)
    codes = [_asked(run, "alice", 45).code, _asked(run, "erin", 45).code]
    clicks = [run.verdict(who, codes[nth % 2]) for nth, who in enumerate(deciders)]
    clicks += [run.emergency(who, 20) for who in takers]
    chance.shuffle(clicks)
    button = run.red_button("everything", pauses=chance.choice((True, False)))
    began = database_now()
    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(run.at_once, clicks, button, after=chance.randrange(len(clicks)))
        run.product.kill(dies)
        pages = sent.result()
    refused = [one.who for one, page in zip(clicks, pages[:-1], strict=True) if not page.accepted]
    told = AuditEvent.objects.filter(kind__in=REFUSALS, at__gte=began)
    assert sorted(told.values_list("actor", flat=True)) == sorted(refused), (refused, list(told))
    assert pages[-1].accepted, pages[-1].text
    run.product.start(dies)
    run.rig.pass_time(stops.LATE_COMMITS)
    run.settle()
    run.look()
    assert not Grant.objects.live().exists()
    state = run.rig.state()
    for role in issued_roles(state):
        assert not who_may_enter(state, role.arn, at=database_now(), mfa=True), role
    run.tell(f"{len(clicks) - len(refused)} of {len(clicks)} were taken before it")
    run.lift()


# --- Very many ends --------------------------------------------------------------------------

ENDS, ENDS_IN_FULL = 60, 1000


def ends(product: Product, cases: Cases) -> None:
    """Very many accesses end together while AWS throttles, and somebody revokes one in between."""
    with _run(product, cases) as run:
        number = ENDS_IN_FULL if cases.full else ENDS
        for _ in range(number):
            run.rig.approved(30 * MINUTE)
        wait_until(lambda: _phases(run) == {"active"}, SOON + number, "many accesses")
        other = _given(run, "erin", 45)
        run.look()
        run.to(max(one.ends_at for one in run.grants() if one.pk != other.pk))
        run.rig.spoil({"kind": "throttle", "times": number})
        run.pause(1)
        clicked = database_now()
        assert run.browser("dana").post(f"/requests/{other.code}/revoke/", reason="No.").accepted
        run.ended.add(other.code)
        wait_until(lambda: fresh(other).locked_out_at is not None, SOON, "the lock-out")
        locked_out = fresh(other).locked_out_at
        assert locked_out is not None
        assert (locked_out - clicked).total_seconds() <= LONGEST_LOCK_OUT
        wait_until(lambda: _phases(run) == {"ended"}, SOON + 2 * number, "many ends")


def _phases(run: Run) -> set[str]:
    return set(Grant.objects.filter(pk__gte=run.first).values_list("phase", flat=True))


# --- A day away ------------------------------------------------------------------------------


def outage(product: Product, cases: Cases) -> None:
    """Everything stops at once, and comes back a day later: nothing lives, and all is removed."""
    with _run(product, cases) as run:
        _given(run)
        revoked = _given(run, "erin")
        run.ask("erin", 45, 15, 1)
        run.approve(-1, 1)
        for name in ("broker", "worker-1", "worker-2", *SWEEPERS):
            product.kill(name)
        run.ask("alice", 45, 0, 1)
        run.approve(-1, 1)
        run.end(revoked, "dana")
        run.ask("alice", 45, 0, 1)
        product.kill("web")
        product.restart_database()
        run.rig.pass_time(timedelta(days=1, hours=1))
        run.look()
