"""What is kept of the runs: one part for each measure and size, and RESULTS.md made of them all.

A run of some measures replaces their parts and leaves the others as they were, so that two people
who work on different measures do not undo each other's figures.
"""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from bench.figures import Failed, Figure, Line, table

FOLDER: Final = Path(__file__).resolve().parent
PARTS: Final = FOLDER / "results"
RESULTS: Final = FOLDER / "RESULTS.md"
HEAD: Final = """# Results

Each measure as it was last taken, by its command; [README.md](README.md) says how to read the
figures. Made from the parts in `results/` by `python -m bench --write`: change neither by hand.
"""


@dataclass(frozen=True)
class Part:
    """The lines of one measure, with what a reader must know of the run."""

    measure: str
    size: str
    """`quick` or `full`."""
    lines: Sequence[Line]
    at: datetime
    seconds: float
    load: float
    """Of the machine, in the minute before the measure began."""

    @property
    def command(self) -> str:
        """What takes it again."""
        full = " --full" if self.size == "full" else ""
        return f"python -m bench{full} --only {self.measure}"

    @property
    def text(self) -> str:
        """The part in Markdown."""
        machine = (
            f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
        )
        return (
            f"`{self.command}`, {self.at:%Y-%m-%d %H:%M} UTC, {self.seconds:.0f} s; {machine}; "
            f"load before {self.load:.1f}.\n\n{table(self.lines)}\n"
        )

    @property
    def went_wrong(self) -> bool:
        """Whether a figure is missing because the product did not do what it should."""
        return any(isinstance(line, Failed) for line in self.lines)

    def keep(self, folder: Path = PARTS) -> None:
        """Put it in the place of the former one, unless it could not be taken here. What went wrong
        replaces a good figure too, or nobody would ever see it."""
        if self.went_wrong or any(isinstance(line, Figure) for line in self.lines):
            (folder / f"{self.measure}.{self.size}.md").write_text(self.text)


def assembled(measures: Iterable[str], folder: Path = PARTS) -> str:
    """All kept parts under a heading each, in the order of the measures, quick before full."""
    sections = [HEAD]
    for measure in measures:
        paths = [folder / f"{measure}.{size}.md" for size in ("quick", "full")]
        texts = [path.read_text() for path in paths if path.exists()]
        if texts:
            sections.append(f"## {measure}\n\n" + "\n".join(texts))
    return "\n".join(sections)
