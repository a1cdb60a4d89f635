"""AWS CLI and Ansible, each in an environment of its own that is made when it is first wanted."""

import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.figures import Line, Skipped, faster, in_turn
from bench.measures import Size, one_watched, provision
from bench.server import Control
from bench.world import World, latency, make
from provisioning.models import Grant
from sandbox.servers import BASE_DIR

ENVIRONMENTS: Final = BASE_DIR / "var" / "bench"
SCRIPTS: Final = Path(__file__).resolve().parent / "scripts"
REPETITIONS: Final = 5


class NotInstalled(Exception):
    """A tool could not be installed, or does not run here."""


def other_tools(aws: Control, size: Size) -> list[Line]:
    """How many times faster than an operator's tools, which start anew for each grant."""
    if not size.tools:
        return [Skipped("P3", "AWS CLI and Ansible, which only make bench-full installs")]
    world = make(aws)
    one_watched(aws, world)
    return [
        _beside(world, size, "AWS CLI", "awscli", [], "bash", "awscli.sh", goal=8),
        _beside(world, size, "Ansible", "ansible", ["boto3"], "ansible-playbook", "grant.yml", 14),
    ]


def _beside(
    world: World,
    size: Size,
    name: str,
    package: str,
    extra: list[str],
    program: str,
    script: str,
    goal: float,
) -> Line:
    ours, theirs = world.grants(REPETITIONS), world.grants(REPETITIONS)
    try:
        run = _runner(world, _installed(package, *extra), [program, str(SCRIPTS / script)])
        with latency(world.aws, size.usual):
            pairs = in_turn(provision, run, ours, theirs)
    except NotInstalled as error:
        return Skipped("P3", f"{name}: {error}")
    return faster("P3", f"times faster than {name}, {size.usual:g} ms a call", pairs, goal)


def _installed(package: str, *extra: str) -> Path:
    """The folder of the programs of a Python package. Raises NotInstalled."""
    home = ENVIRONMENTS / package
    done = home / ".installed"
    if not done.exists():
        venv.create(home, clear=True, with_pip=True)
        command = [str(home / "bin/python"), "-m", "pip", "install", "-q", package, *extra]
        made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if made.returncode:
            lines = made.stderr.strip().splitlines() or ["pip said nothing"]
            raise NotInstalled(f"pip could not install {package}: {lines[-1]}")
        done.touch()
    return home / "bin"


def _runner(world: World, folder: Path, command: list[str]) -> Callable[[Grant], None]:
    def run(grant: Grant) -> None:
        env = dict(os.environ) | {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "SOURCE_ROLE": world.source.provisioner_role_arn,
            "TARGET_ROLE": world.target.provisioner_role_arn,
            "GROUP": world.pair.switch_group,
            "IAM_USER": grant.identity.user_name,
            "USER_ARN": grant.iam_user_arn,
            "ROLE": grant.role_name,
        }
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            print(done.stdout, done.stderr, file=sys.stderr)
            raise NotInstalled(f"{command[0]} failed with status {done.returncode}")

    return run
