"""One-time passwords that every password policy of AWS takes."""

from collections.abc import Callable, Sequence
from typing import Final

KINDS: Final = (
    "abcdefghijkmnpqrstuvwxyz",
    "ABCDEFGHJKLMNPQRSTUVWXYZ",
    "23456789",
    "!@#$%^*()_+-=[]",
)
"""All kinds that a password policy can demand, without signs that look alike or end a word."""
USUAL_LENGTH: Final = 20
LONGEST: Final = 128


def one_time_password(
    minimum: int, *, choose: Callable[[Sequence[str]], str], shuffle: Callable[[list[str]], None]
) -> str:
    """A random password with signs of every kind, at least `minimum` long.

    `choose` and `shuffle` bring the randomness, of which there are at least 115 bits.
    """
    length = min(max(minimum, USUAL_LENGTH), LONGEST)
    signs = [choose(kind) for kind in KINDS]
    signs += [choose("".join(KINDS)) for _ in range(length - len(KINDS))]
    shuffle(signs)
    return "".join(signs)
