"""What layers above have the sweeper do after its own work, without its knowing them."""

from collections.abc import Callable
from datetime import datetime

type Step = Callable[[datetime], object]

AFTER_SWEEP: list[Step] = []
"""Steps in the order in which they came. Each is short, and bounded by a batch of its own."""


def after_sweep(step: Step) -> None:
    """Have the sweeper call this once in every round, after everything that it does itself."""
    if step not in AFTER_SWEEP:
        AFTER_SWEEP.append(step)
