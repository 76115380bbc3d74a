"""A small project that predicts without a trained model, and tables of its rows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machinery import FOLDER

INIT = """
from pathlib import Path

from ._runtime import Package
from ._runtime.scoring import parts, score

parts.PART_BYTES, parts.PART_ROWS, score.SIZE = 4_000, 200, 64
package = Package(__name__, "tiny", Path(__file__).resolve().parent)
"""
MAIN = """
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from . import package
from ._runtime import InvalidRow, cli


class Row(msgspec.Struct, forbid_unknown_fields=True):
    size: Annotated[float, Meta(ge=0, le=1_000)]
    color: Literal["red", "blue"] | None = None


class Prediction(msgspec.Struct):
    label: Literal["large", "small"]
    shares: dict[str, float]


class Model:
    def predict(self, data: list[Row]) -> list[Prediction]:
        raise NotImplementedError("rows are predicted as columns")

    def predict_columns(self, columns):
        share = columns["size"] / 1_000
        if (refused := columns["size"] == 666).any():
            raise InvalidRow("no such size", int(refused.argmax()), "size")
        if (columns["size"] == 667).any():
            raise RuntimeError("a bug of the model")
        label = np.where(share > 0.5, "large", "small")
        return {"label": label, "shares": {"large": share, "small": 1 - share}}


main = cli.commands(package, Model, lambda: None)

if __name__ == "__main__":
    main()
"""


@dataclass(frozen=True)
class Tiny:
    """The project, and a folder to work in."""

    folder: Path

    def command(self, *words: str | Path) -> list[str]:
        return [sys.executable, "-m", "tiny", "predict", *map(str, words)]

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.folder.parent / "src")}

    def start(self, *words: str | Path, **options: Any) -> subprocess.Popen[str]:
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            self.command(*words), cwd=self.folder, env=self.env, text=True, **pipes, **options
        )

    def predict(self, *words: str | Path, code: int = 0) -> str:
        """Predict, hold the exit code against `code`, and return all that was said."""
        with self.start(*words) as process:
            said = "".join(process.communicate(timeout=120))
        assert process.returncode == code, said
        assert "Traceback" not in said or code == 1, said
        return said


def make(folder: Path, main: str = MAIN) -> Tiny:
    """Write the project below a folder, with an empty one to work in."""
    package = folder / "src/tiny"
    package.mkdir(parents=True)
    (package / "artifacts").mkdir()
    (package / "artifacts/manifest.json").write_text("{}")
    (package / "__init__.py").write_text(INIT)
    (package / "__main__.py").write_text(main)
    shutil.copytree(FOLDER, package / "_runtime", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "work").mkdir()
    return Tiny(folder / "work")


def lines(number: int, start: int = 0) -> Iterator[str]:
    """Rows as lines of CSV."""
    for n in range(start, start + number):
        yield f"{n},{n * 37 % 661},{('red', 'blue', '')[n % 3]},{n / 8}"


def write_csv(path: Path, number: int, start: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "\n".join(["id,size,color,weight", *lines(number, start)])
    path.write_text(f"{content}\n")
    return path


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder, but not what is known of the parts."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".scoring" not in path.parts
    }


def objects(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]
