"""Whole rounds with projects that were there before: `dev.py bench strangers [SHAPE ...]`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import rounds

if __name__ == "__main__":
    rounds.main()
