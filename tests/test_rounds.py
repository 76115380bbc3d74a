"""Projects that were there before, through a whole round; `dev.py bench strangers` plays those of all shapes."""

from __future__ import annotations

from pathlib import Path

import pytest
import rounds


@pytest.mark.parametrize(("shape", "archives"), [("setup.cfg", 2), ("no package", 0)])
def test_a_project_goes_through_a_whole_round(shape: str, archives: int, tmp_path: Path) -> None:
    found = rounds.play(shape, tmp_path)
    assert found.before == found.after == "1 passed"
    assert "passed" in found.all
    assert "failed" not in found.all
    assert "species" in found.answer
    assert len(found.built) == archives
