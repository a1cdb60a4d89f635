"""Which way the change of one value goes.

Whatever a judge does not know counts as widening.
"""

from collections.abc import Callable
from typing import Any

from accounts.four_eyes.widening.words import Direction

type Judge = Callable[[Any, Any], Direction]
"""From the old and the new value."""


def any_change(old: Any, new: Any) -> Direction:
    """Every change may let more happen."""
    return Direction.WIDENING


def neutral(old: Any, new: Any) -> Direction:
    """A change lets neither more nor less happen."""
    return Direction.NEUTRAL


def one_way(wider: bool) -> Direction:
    """Widening, or else narrowing."""
    return Direction.WIDENING if wider else Direction.NARROWING


def more_is_wider(old: Any, new: Any) -> Direction:
    """A larger number lets more happen; what is no number counts as larger."""
    # A bool is an int to Python, and no number here.
    known = all(isinstance(one, int) and not isinstance(one, bool) for one in (old, new))
    return one_way(not known or new > old)


def on_is_wider(old: Any, new: Any) -> Direction:
    """Switching it off narrows."""
    return one_way(new is not False)


def off_is_wider(old: Any, new: Any) -> Direction:
    """Switching it on narrows."""
    return one_way(new is not True)


def first_is_narrower(old: Any, new: Any) -> Direction:
    """A condition where there was none narrows; another one, or none, may let more through."""
    return one_way(old not in (None, ""))


def none_is_narrower(old: Any, new: Any) -> Direction:
    """Taking a permission away narrows; giving it, or giving it to others, may let more through."""
    return one_way(new is not None)


def none_or_less_is_narrower(old: Any, new: Any) -> Direction:
    """The same for a limit: a smaller number narrows too."""
    return Direction.NARROWING if new is None else more_is_wider(old, new)


def ranked(*ranks: str) -> Judge:
    """Values from the narrowest to the widest; unknown ones count as wider."""

    def judge(old: Any, new: Any) -> Direction:
        if old not in ranks or new not in ranks:
            return Direction.WIDENING
        return one_way(ranks.index(new) > ranks.index(old))

    return judge
