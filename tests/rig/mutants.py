"""`python -m tests.rig.mutants`: take one defence away at a time, and see which test notices.

--only PART     only defences whose name contains this
--write         keep the table in docs/mutants.md
--at-once       do not play everything first with every defence in place

Each defence of tests/rig/defences.py is taken away in a copy of the tree, where the tests and cases
of the rig that are named there are played. First they are played in a copy that nothing was taken
from. Exit status 1: a defence is gone and nothing noticed, or something broke.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.rig.defences import DEFENCES, Defence, Edit

ROOT: Final = Path(__file__).resolve().parents[2]
RESULT: Final = ROOT / "docs" / "mutants.md"
LEFT_OUT: Final = shutil.ignore_patterns(
    ".git", ".venv", "var", "__pycache__", ".*_cache", "node_modules", "htmlcov"
)
FAILED: Final = re.compile(r"^(?:SUB)?FAILED (?:\[[^\]]*\] )?(\S+)", re.MULTILINE)
AGAIN: Final = re.compile(r'^again: .* --only "([^"]+)"$', re.MULTILINE)
TIME_LIMIT: Final = 900


@dataclass(frozen=True)
class Outcome:
    """What noticed, or why nothing could be played."""

    caught_by: tuple[str, ...]
    broken: str
    seconds: float


def main() -> int:
    """Play; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.rig.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default="")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--at-once", action="store_true")
    options = parser.parse_args()
    chosen = [one for one in DEFENCES if options.only in one.name]
    if not chosen or not (options.at_once or _is_sound(chosen)):
        return 1
    rows = [(one, _without(one)) for one in chosen]
    found = {defence.name: _row(defence, outcome) for defence, outcome in rows}
    print("\n" + "\n".join((*HEAD, *found.values())))
    if options.write:
        RESULT.write_text(_page(_kept() | found))
    return 0 if all(row.caught_by and not row.broken for _, row in rows) else 1


def _is_sound(chosen: Sequence[Defence]) -> bool:
    """Whether everything passes while nothing is taken away: else a failure would say nothing."""
    tests = tuple(dict.fromkeys(test for one in chosen for test in one.tests))
    cases = tuple(dict.fromkeys(case for one in chosen for case in one.cases))
    found = _played("nothing", (), tests, cases)
    for problem in (*found.caught_by, found.broken):
        if problem:
            print(f"With every defence in place: {problem}")
    return not found.caught_by and not found.broken


def _without(defence: Defence) -> Outcome:
    return _played(defence.name, defence.edits, defence.tests, defence.cases)


def _played(
    name: str, edits: Sequence[Edit], tests: Sequence[str], cases: Sequence[str]
) -> Outcome:
    print(f"without {name} ...", end=" ", flush=True)
    began = time.monotonic()
    with _copy(edits) as tree:
        noticed, broken = _by_pytest(tree, tests)
        for case in cases:
            also, problem = _by_rig(tree, case)
            noticed, broken = noticed + also, broken or problem
    seconds = time.monotonic() - began
    told = f"BROKEN: {broken}" if broken else f"noticed by {len(noticed)}"
    print(f"{told}, {seconds:.0f} s", flush=True)
    return Outcome(tuple(noticed), broken, seconds)


@contextmanager
def _copy(edits: Sequence[Edit]) -> Iterator[Path]:
    """The tree without a defence. Raises LookupError where the text of an edit is gone."""
    with tempfile.TemporaryDirectory(prefix="sallyport-mutant-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        for edit in edits:
            apply_edit(tree / edit.file, edit)
        yield tree


def apply_edit(path: Path, edit: Edit) -> None:
    """Put one text instead of another. Raises LookupError where it is not there so many times."""
    text = path.read_text()
    if text.count(edit.old) != edit.times:
        raise LookupError(
            f"{edit.file} has {text.count(edit.old)} times, not {edit.times}:\n{edit.old}"
            "\nThe defence has moved: put tests/rig/defences.py right."
        )
    path.write_text(text.replace(edit.old, edit.new))


def _by_pytest(tree: Path, tests: Sequence[str]) -> tuple[list[str], str]:
    """The tests that fail, and what broke: a test that cannot be run notices nothing."""
    if not tests:
        return [], ""
    done = _run(tree, "pytest", "-q", "-n", "0", "-rfE", "-p", "no:cacheprovider", "-m", "", *tests)
    failed = [one.split(" - ")[0] for one in FAILED.findall(done.stdout)]
    broken = "" if done.returncode in (0, 1) else _end_of(done)
    if re.search(r"^ERROR ", done.stdout, re.MULTILINE):
        broken = _end_of(done)
    return list(dict.fromkeys(failed)), broken


def _by_rig(tree: Path, case: str) -> tuple[list[str], str]:
    done = _run(tree, "tests.rig", "--full", "--lanes", "1", "--only", case)
    failed = AGAIN.findall(done.stdout)
    played = re.search(r"^(\d+) passed, (\d+) failed$", done.stdout, re.MULTILINE)
    broken = "" if played and sum(map(int, played.groups())) else _end_of(done)
    return [f"rig: {one}" for one in failed], broken


def _run(tree: Path, module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603  # Our own modules.
        [sys.executable, "-m", module, *arguments],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
        check=False,
    )


def _end_of(done: "subprocess.CompletedProcess[str]") -> str:
    return (done.stdout + done.stderr).strip()[-2000:]


HEAD: Final = ("| Taken away | Then | Noticed by |", "|---|---|---|")


def _row(defence: Defence, outcome: Outcome) -> str:
    noticed = "<br>".join(f"`{_short(one)}`" for one in outcome.caught_by)
    return f"| {defence.name} | {defence.without} | {noticed or '**nothing**'} |"


def _kept() -> dict[str, str]:
    """The rows of the last result, so that a run of some defences leaves the others."""
    lines = RESULT.read_text().splitlines() if RESULT.exists() else []
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines if line[:2] == "| "}


def _short(test: str) -> str:
    return test.rpartition("::")[2] if "::" in test else test


def _page(rows: Mapping[str, str]) -> str:
    day = datetime.now(UTC).date().isoformat()
    table = "\n".join((*HEAD, *(rows[one.name] for one in DEFENCES if one.name in rows)))
    return (
        "# What notices that a defence is gone\n\n"
        "`make mutants` takes ten important defences away, one at a time in a copy of the tree, and"
        " plays the tests and cases of the rig that are to notice. This is its last result, of"
        f" {day}, written by `make mutants ARGS=--write`. What is taken away, and how, is in"
        " [tests/rig/defences.py](../tests/rig/defences.py).\n\n"
        f"{table}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
