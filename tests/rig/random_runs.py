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
from tests.rig.run import Run, put_back

PEOPLE: Final = ("alice", "erin")
MINUTES: Final = (5, 6, 12, 45)
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
    return chance.choice(PEOPLE), chance.choice(MINUTES), later, chance.choice((1, 1, 1, 2))


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
    "ask": (3, _ask),
    "approve": (5, _nth),
    "reject": (0.4, _nth),
    "withdraw": (0.4, _nth),
    "give_back": (1, _nth),
    "revoke": (2, _nth),
    "extend": (1.5, lambda chance: (*_nth(chance), chance.choice((5, 10)))),
    "look_again": (0.3, _nth),
    "repair": (0.6, _nth),
    "sign_in": (0.3, lambda chance: (chance.choice(("alice", "erin", "bob", "dana")),)),
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
LENGTHS: Final = (10, 22)


def script(seed: int) -> list[Action]:
    """The actions of a run."""
    chance = Random(seed)  # noqa: S311  # Not a secret.
    names = list(ACTIONS)
    weights = [weight for weight, _ in ACTIONS.values()]
    actions = [Action("ask", ("alice", chance.choice(MINUTES), 0, 1)), Action("approve", (0, 1))]
    for name in chance.choices(names, weights, k=chance.randint(*LENGTHS)):
        _, draw = ACTIONS[name]
        actions += [Action(name, draw(chance)), Action("pause", (chance.choice(PAUSES),))]
    return actions


def play(product: Product, number: int, cases: Cases) -> None:
    """One run."""
    with cases.case(""):
        put_back(product)
        run = Run(product)
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
