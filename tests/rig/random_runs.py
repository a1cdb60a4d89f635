"""Random runs: people, clocks, dying and frozen processes, broken servers, faults of AWS and
strangers' hands in it, in any order, with the real processes of the product.

What happens is a list of actions, drawn from a number and always the same for it. An action names
no row: which request or access it meets is decided by what there is then. So a list can be read,
shortened and played again, whatever the processes do meanwhile.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from tests.rig.cases import Cases
from tests.rig.product import OF_PROCESSES, PROCESSES, Product
from tests.rig.rules import APPROVERS, ON_CALL, OWNERS
from tests.rig.run import Run, put_back

PEOPLE: Final = ("alice", "erin")
OFFERS: Final = ("plain", "plain", "strict", "strict", "ruled")
MINUTES: Final = (5, 6, 12, 45)
EMERGENCIES: Final = (5, 5, 12, 20, 30, 31, 120)
"""Minutes that somebody takes; more than 30 nobody may."""
MEMBERSHIPS: Final = (
    (OWNERS, "grace"),
    (OWNERS, "heidi"),
    (OWNERS, "ivan"),
    (ON_CALL, "erin"),
    (ON_CALL, "alice"),
)
SCOPES: Final = ("alice", "erin", "erin", "account", "pair", "everything")
EDITS: Final = ("attach", "detach", "trust", "no-end", "leave", "delete-role", "join")
RARE_EDITS: Final = ("delete-user",)
SPOILS: Final = (
    "throttle",
    "failure",
    "unavailable",
    "concurrent",
    "delete-conflict",
    "invalid-principal",
    "expired-token",
    "request-expired",
    "denied",
    "not-found",
    "lost",
    "cut",
    "garbage",
    "stale",
)
AT_CALLS: Final = ("kill-before", "kill-after", "stop-before", "stop-after")
"""What happens to whoever makes a certain call."""


@dataclass(frozen=True)
class Action:
    """One thing that happens: the name of a method of `Run`, and its arguments."""

    name: str
    arguments: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.name, *map(str, self.arguments)))


type Draw = Callable[[Random], tuple[Any, ...]]


def _nth(chance: Random) -> tuple[Any, ...]:
    """Which of those that there are, and how often the impatient click."""
    return chance.randrange(4), chance.choice((1, 1, 1, 2, 3))


def _ask(chance: Random) -> tuple[Any, ...]:
    later = chance.choice((0, 0, 0, 0, 0, 4, 15))
    times, offer = chance.choice((1, 1, 1, 2)), chance.choice(OFFERS)
    return chance.choice(PEOPLE), chance.choice(MINUTES), later, times, offer


def _ask_together(chance: Random) -> tuple[Any, ...]:
    offers = chance.sample(sorted(set(OFFERS)), chance.choice((2, 3)))
    return chance.choice(PEOPLE), chance.choice(MINUTES), chance.choice((0, 0, 4)), *offers


def _decide_together(chance: Random) -> tuple[Any, ...]:
    verdicts = ("approved", "approved", "approved", "rejected")
    return chance.choice(("bob", "bob", "grace")), chance.choice(verdicts)


def _approve(chance: Random) -> tuple[Any, ...]:
    return *_nth(chance), chance.choice(("bob", "bob", "bob", *APPROVERS, *PEOPLE))


def _pass_around(chance: Random) -> tuple[Any, ...]:
    return chance.randrange(4), *chance.sample((*APPROVERS, "alice"), chance.choice((2, 4, 5)))


def _change_terms(chance: Random) -> tuple[Any, ...]:
    later = chance.choice((0, 0, 3, 15))
    return chance.randrange(4), chance.choice(APPROVERS), chance.choice((5, 6, 12)), later


def _decide_on_former_terms(chance: Random) -> tuple[Any, ...]:
    return chance.randrange(4), *chance.sample(APPROVERS, 2), chance.choice((5, 6, 12))


def _break_glass(chance: Random) -> tuple[Any, ...]:
    who = chance.choice(("erin", "erin", "erin", "alice", "grace"))
    return who, chance.choice(EMERGENCIES), chance.choice((1, 1, 2, 3))


def _review(chance: Random) -> tuple[Any, ...]:
    who = chance.choice(("bob", "dana", "grace", "erin"))
    return chance.randrange(4), who, chance.choice(("justified", "unjustified")), 1


def _press(chance: Random) -> tuple[Any, ...]:
    pauses, amid = chance.choice((True, False, False)), chance.choice((True, True, False))
    return chance.choice(SCOPES), pauses, amid, chance.choice((0, 0, 1, 2, 4))


def _spoil(chance: Random) -> tuple[Any, ...]:
    return chance.choice(SPOILS), chance.randrange(1, 12), chance.choice((1, 3, 3, 12))


def _at_call(chance: Random) -> tuple[Any, ...]:
    return chance.choice(AT_CALLS), chance.randrange(1, 12)


def _nothing(chance: Random) -> tuple[Any, ...]:
    return ()


def _process(chance: Random) -> tuple[Any, ...]:
    return (chance.choice(PROCESSES),)


ACTIONS: Final[dict[str, tuple[float, Draw]]] = {
    # People.
    "ask": (4.5, _ask),
    "ask_together": (0.8, _ask_together),
    "approve": (3, _approve),
    "pass_around": (3, _pass_around),
    "decide_together": (1, _decide_together),
    "change_terms": (1.2, _change_terms),
    "decide_on_former_terms": (1, _decide_on_former_terms),
    "reject": (0.4, _nth),
    "withdraw": (0.4, _nth),
    "give_back": (1, _nth),
    "revoke": (2, _nth),
    "extend": (1.5, lambda chance: (*_nth(chance), chance.choice((5, 10)))),
    "look_again": (0.3, _nth),
    "repair": (0.6, _nth),
    "sign_in": (0.3, lambda chance: (chance.choice(("alice", "erin", "bob", "dana")),)),
    "break_glass": (2, _break_glass),
    "review": (1, _review),
    "change_group": (0.8, lambda chance: chance.choice(MEMBERSHIPS)),
    "press": (1.4, _press),
    "lift": (0.8, _nothing),
    # Time.
    "pass_time": (2, lambda chance: (chance.choice((20, 60, 95, 240, 700)),)),
    "pass_to_an_end": (1.2, lambda chance: (chance.choice((-1, 0, 1, 30)),)),
    # Processes.
    "kill": (1, _process),
    "kill_alone": (0.4, _process),
    "kill_child": (1, lambda chance: (OF_PROCESSES, chance.randrange(2))),
    "freeze": (0.8, lambda chance: (chance.choice(PROCESSES[1:]),)),
    "thaw": (0.8, lambda chance: (chance.choice(PROCESSES[1:]),)),
    "start": (1, _process),
    "at_a_call": (1.5, _at_call),
    # Broker and database.
    "broker_dies": (0.4, _nothing),
    "broker_starts": (0.6, _nothing),
    "broker_hangs": (0.4, _nothing),
    "broker_wakes": (0.6, _nothing),
    "broker_forgets": (0.5, _nothing),
    "broker_is_full": (0.4, _nothing),
    "database_restarts": (0.5, _nothing),
    # AWS.
    "spoil": (3, _spoil),
    "edit": (1, lambda chance: (chance.choice(EDITS * 3 + RARE_EDITS), chance.randrange(4))),
}
PAUSES: Final = (0.0, 0.0, 0.05, 0.1, 0.2, 0.4)
"""Seconds between two actions: the processes work meanwhile."""
LENGTHS: Final = (10, 20)


def script(seed: int) -> list[Action]:
    """The actions of a run."""
    chance = Random(seed)  # noqa: S311  # Not a secret.
    names = list(ACTIONS)
    weights = [weight for weight, _ in ACTIONS.values()]
    actions = [
        Action("ask", ("alice", chance.choice(MINUTES), 0, 1)),
        Action("approve", (0, 1)),
        Action("ask", ("erin", chance.choice(MINUTES[1:]), 0, 1, "strict")),
    ]
    for name in chance.choices(names, weights, k=chance.randint(*LENGTHS)):
        _, draw = ACTIONS[name]
        actions += [Action(name, draw(chance)), Action("pause", (chance.choice(PAUSES),))]
    return actions


def play(product: Product, number: int, cases: Cases) -> None:
    """One run."""
    with cases.case(""):
        put_back(product)
        run = Run(product, number)
        try:
            for action in script(number):
                said = getattr(run, action.name)(*action.arguments)
                if action.name != "pause":
                    run.tell(f"{action}: {said or 'done'}")
                    run.look()
                # Nothing has gone wrong before the first of them.
                assert run.asked, said
            run.finish(cases)
        except Exception as error:
            error.add_note(f"Run {number}:\n" + "\n".join(run.diary))
            raise
