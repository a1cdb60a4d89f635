"""The mutation check can be played: what it takes away is there, and so is what is to notice."""

from pathlib import Path

import pytest

from tests.rig.defences import DEFENCES, Defence, Edit
from tests.rig.mutants import ROOT, apply_edit
from tests.rig.units import all_units


def _ids(defence: Defence) -> str:
    return defence.name


@pytest.mark.parametrize("defence", DEFENCES, ids=_ids)
def test_what_is_taken_away_is_there(defence: Defence) -> None:
    for edit in defence.edits:
        assert (ROOT / edit.file).read_text().count(edit.old) == edit.times


@pytest.mark.parametrize("defence", DEFENCES, ids=_ids)
def test_what_is_to_notice_is_there(defence: Defence) -> None:
    assert defence.tests
    for test in defence.tests:
        file, _, name = test.partition("::")
        assert not name or f"def {name}(" in (ROOT / file).read_text()
    for case in defence.cases:
        assert all_units(full=True, seed=1, only=case)


def test_a_defence_that_has_moved_stops_the_run(tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    file.write_text("if allowed:\n")

    with pytest.raises(LookupError, match=r"has 0 times, not 1:\nif forbidden"):
        apply_edit(file, Edit("code.py", "if forbidden", ""))
    apply_edit(file, Edit("code.py", "if allowed", "if True"))

    assert file.read_text() == "if True:\n"
