"""`python -m tests.rig`: play all units in two lanes, with progress, and report.

--full          everything, and much more of what is drawn by chance
--only PART     only cases and units whose name contains this; replays a failure
--seed N        where the random runs begin; printed with each report
--lanes N       how many lanes
--minutes N     begin no more units after this time: as much as fits
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.rig.cases import Unit
from tests.rig.goals import Seen
from tests.rig.units import all_units

ROOT = Path(__file__).resolve().parents[2]
LINES_OF_A_FAILURE = 60


@dataclass
class Report:
    """What the run has seen so far, and its printing."""

    units: int
    began: float = field(default_factory=time.monotonic)
    played: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)
    finished: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def told(self, told: dict[str, Any]) -> None:
        """One case was played, a unit broke, or a figure was seen."""
        with self.lock:
            if "figure" in told:
                self.seen.figure(told["figure"], told["value"])
                return
            self.seen.case(told["unit"], failed=bool(told["why"]))
            self.played[told["unit"]] += 1
            if told["why"]:
                self.failures.append((told["unit"], told["case"], told["why"]))
                print(f"\nFAILED  {told['unit']} {told['case']}\n{_end_of(told['why'])}")

    def unit(self, unit: Unit, seconds: float) -> None:
        """One unit is through."""
        with self.lock:
            self.finished += 1
            bad = sum(name == unit.name for name, _, _ in self.failures)
            cases = self.played[unit.name]
            verdict = f"{bad} of {cases} FAILED" if bad else f"{cases} passed"
            print(
                f"[{time.monotonic() - self.began:5.0f} s  {self.finished}/{self.units}]"
                f"  {unit.title}: {verdict} in {seconds:.0f} s",
                flush=True,
            )

    def close(self, options: argparse.Namespace) -> int:
        """The end of the report; the exit status."""
        failed = len(self.failures)
        for unit, case, _ in self.failures:
            again = f"{unit} {case}".strip()
            how = (" --full" if options.full else "") + f" --seed {options.seed}"
            print(f'again:  .venv/bin/python -m tests.rig{how} --only "{again}"')
        print(f"\n{self.seen.table()}")
        minutes = (time.monotonic() - self.began) / 60
        print(f"\n{self.finished} of {self.units} units in {minutes:.1f} minutes")
        print(f"{sum(self.played.values()) - failed} passed, {failed} failed")
        complete = self.finished == self.units or options.minutes > 0
        return 0 if complete and not failed and sum(self.played.values()) > 0 else 1


def _end_of(why: str) -> str:
    return "\n".join(f"    {line}" for line in why.rstrip().splitlines()[-LINES_OF_A_FAILURE:])


def main() -> int:
    """Play; the exit status."""
    options = _arguments()
    units = all_units(full=options.full, seed=options.seed, only=options.only)
    report, waiting = Report(len(units)), deque(units)
    lanes = [
        threading.Thread(target=_lane, args=(number, options, waiting, report))
        for number in range(min(options.lanes, len(units)))
    ]
    for one in lanes:
        one.start()
    for one in lanes:
        one.join()
    return report.close(options)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.rig",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=0)
    return parser.parse_args()


def _lane(number: int, options: argparse.Namespace, waiting: deque[Unit], report: Report) -> None:
    """Start one lane and feed it until nothing waits."""
    command = [sys.executable, "-m", "tests.rig.lane", "--only", options.only]
    command += ["--seed", str(options.seed)]
    command += ["--full"] if options.full else []
    logs = ROOT / "var" / "rig" / f"lane-{number + 1}"
    logs.mkdir(parents=True, exist_ok=True)
    command += ["--logs", str(logs)]
    with (logs / "lane.log").open("w") as errors:
        lane = subprocess.Popen(  # noqa: S603  # Our own module.
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
        )
        assert lane.stdin is not None
        assert lane.stdout is not None
        try:
            _feed(lane.stdin, lane.stdout, waiting, report, options.minutes)
        finally:
            lane.stdin.close()
            lane.wait(timeout=60)
            lane.stdout.close()


def _feed(
    orders: IO[str], answers: IO[str], waiting: deque[Unit], report: Report, minutes: float
) -> None:
    if not answers.readline():
        return
    while not minutes or time.monotonic() < report.began + minutes * 60:
        try:
            unit = waiting.popleft()
        except IndexError:
            return
        orders.write(unit.name + "\n")
        orders.flush()
        for line in answers:
            told = json.loads(line)
            if "done" in told:
                report.unit(unit, told["seconds"])
                break
            report.told(told)
        else:
            report.told({"unit": unit.name, "case": "", "why": "The lane died; see var/rig."})
            return


if __name__ == "__main__":
    sys.exit(main())
