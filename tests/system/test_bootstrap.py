"""scripts/bootstrap.sh finds a Python that works, and says what to do where there is none."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
TOOLS = [
    "awk",
    "cat",
    "chmod",
    "cksum",
    "dirname",
    "env",
    "flock",
    "grep",
    "head",
    "id",
    "mkdir",
    "mv",
    "rm",
    "sed",
    "sh",
    "tail",
]


# Unpacking pip takes seconds, and the locks of these clones are empty: a pip that does nothing.
MAKES_VENVS_QUICKLY = f"""
[ "$1 $2" = "-m venv" ] || exec "{sys.executable}" "$@"
"{sys.executable}" -m venv --without-pip "$3" || exit 1
pip=$("$3/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/pip
mkdir -p "$pip" && : >"$pip/__init__.py" && : >"$pip/__main__.py"
"""


class Clone:
    """A fresh clone with an empty lock, on a machine with no Python but what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone with a space"
        self.bin = folder / "bin"
        self.home = folder / "home"
        for path in (self.folder / "requirements", self.bin, self.home):
            path.mkdir(parents=True)
        shutil.copytree(REPO / "scripts", self.folder / "scripts")
        for name in ("sandbox", "dev"):
            (self.folder / f"requirements/{name}.txt").touch()
        for tool in filter(shutil.which, TOOLS):
            (self.bin / tool).symlink_to(str(shutil.which(tool)))

    def command(self, name: str, text: str) -> Path:
        """Put a shell script on the PATH of this machine."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def bootstrap(self, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run it as `make demo` does."""
        libraries = {k: v for k, v in os.environ.items() if k == "LD_LIBRARY_PATH"}
        return subprocess.run(  # noqa: S603
            [self.folder / "scripts/bootstrap.sh", "sandbox"],
            cwd=self.folder,
            env={"PATH": str(self.bin), "HOME": str(self.home), **libraries, **environ},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


# Some machines have Pythons in places where the script looks beside the PATH.
elsewhere = [
    path
    for folder in ("/usr/local/bin", "/opt/homebrew/bin")
    for path in Path(folder).glob("python3.1[234]")
]
no_other_python = pytest.mark.skipif(bool(elsewhere), reason="this machine has another Python")


@no_other_python
def test_without_a_python_it_says_how_to_get_one(clone: Clone) -> None:
    done = clone.bootstrap()

    assert done.returncode == 1
    assert "needs Python 3.12 or later, and none was found" in done.stderr
    assert "apt-get install python3.13 python3.13-venv" in done.stderr
    assert not (clone.folder / ".venv").exists()


@no_other_python
def test_a_shim_that_fails_and_an_old_python_are_passed_over(clone: Clone) -> None:
    clone.command("python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    clone.command("python3", "exit 1")

    assert "none was found" in clone.bootstrap().stderr


@no_other_python
def test_a_python_without_venv_is_named_with_the_package_that_is_missing(clone: Clone) -> None:
    real = f'case "$*" in *ensurepip*) exit 1 ;; esac; exec {sys.executable} "$@"'
    clone.command("python3", real)

    done = clone.bootstrap()

    version = "{}.{}".format(*sys.version_info)
    assert done.returncode == 1
    assert f"python3 is Python {version}" in done.stderr
    assert f"apt-get install python{version}-venv" in done.stderr


def test_a_python_that_was_named_is_used_or_refused(clone: Clone) -> None:
    broken = clone.command("broken", "exit 1")

    done = clone.bootstrap(PYTHON=str(broken))

    assert done.returncode == 1
    assert (
        done.stderr == f"PYTHON={broken} is not a Python 3.12 or later that has the venv module.\n"
    )


def test_it_makes_an_environment_once_and_again_after_an_interruption(clone: Clone) -> None:
    clone.command("python3.13", "exit 127")
    clone.command("python3.12", MAKES_VENVS_QUICKLY)
    unfinished = clone.folder / ".venv/.unfinished"

    first = clone.bootstrap()
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("Making .venv with Python 3.")
    assert (clone.folder / ".venv/bin/python").exists()
    assert not unfinished.exists()

    second = clone.bootstrap()
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")

    unfinished.touch()
    third = clone.bootstrap()
    assert third.stdout.startswith("Removing .venv: an earlier set-up was stopped half way.")
    assert not unfinished.exists()


def test_it_installs_again_when_the_lock_has_changed(clone: Clone) -> None:
    clone.command("python3.12", MAKES_VENVS_QUICKLY)
    clone.bootstrap()
    (clone.folder / "requirements/sandbox.txt").write_text("# Another lock.\n")

    assert clone.bootstrap().stdout.startswith("Installing ")
    assert clone.bootstrap().stdout == ""


def test_it_replaces_an_environment_whose_python_is_gone(clone: Clone) -> None:
    clone.command("python3.12", MAKES_VENVS_QUICKLY)
    clone.bootstrap()
    for link in (clone.folder / ".venv/bin").glob("python*"):
        link.unlink()
        link.symlink_to("/nowhere/python")

    again = clone.bootstrap()

    assert again.stdout.startswith("Removing .venv: its Python is gone or older than 3.12.")
    assert (clone.folder / ".venv/bin/python").exists()


def test_it_replaces_an_environment_that_was_copied_along(clone: Clone) -> None:
    clone.command("python3.12", MAKES_VENVS_QUICKLY)
    clone.bootstrap()
    clone.folder = clone.folder.rename(clone.folder.with_name("moved"))

    assert clone.bootstrap().stdout.startswith("Removing .venv: it was made in another folder.")
