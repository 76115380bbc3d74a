"""The record of every training, a line each in reports/runs.jsonl, and what `runs` shows of it."""

import io
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import msgspec

from . import staging
from .errors import ProjectError
from .formats import need
from .git import git
from .package import Package

RUNS = "reports/runs.jsonl"
WIDTH = 40  # of the longest bar

Say = Callable[[str], Any]


class Entry(msgspec.Struct):
    """One training. The hashes of its code are in the manifest alone."""

    created: str = ""
    metrics: dict[str, Any] = {}
    config: dict[str, Any] = {}
    data: dict[str, str] = {}
    commit: str | None = None
    clean: bool | None = None
    seconds: float = 0
    python: str = ""
    libraries: dict[str, str] = {}

    @property
    def numbers(self) -> dict[str, float]:
        """The metrics that are numbers."""
        return {k: v for k, v in self.metrics.items() if k != "rows" and type(v) in (int, float)}

    @property
    def minute(self) -> str:
        """When it was, in UTC."""
        return self.created[:16].replace("T", " ")


def add(package: Package, run: Mapping[str, Any], libraries: Mapping[str, str]) -> None:
    """Append the line of a run, unless it is there: what a kill cut short is done again."""
    known = {**libraries, **run.get("libraries", {})}
    line = msgspec.json.encode(msgspec.convert({**run, "libraries": known}, Entry))
    path = package.written(package.root / RUNS)
    lines = path.read_bytes().splitlines() if path.exists() else []
    if line not in lines:
        staging.write_whole(path, b"\n".join([*lines, line, b""]))


def read(package: Package, say: Say = lambda text: None) -> list[Entry]:
    """Return all runs, the oldest first. A line that cannot be read is named, and left out."""
    path = package.root / RUNS
    found = []
    for number, line in enumerate(path.read_bytes().splitlines() if path.exists() else [], 1):
        try:
            found.append(msgspec.json.decode(line, type=Entry))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            say(f"{RUNS}, line {number} is left out: {error}. Delete that line.")
    return sorted(found, key=lambda entry: entry.created)


def at(package: Package, revision: str) -> Entry:
    """Return the run whose model a commit holds. Raises ProjectError where there is none."""
    found = git(package.root, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    if found is None:
        raise ProjectError(f'"{revision}" is no commit of this repository. See: git log')
    path = (package.artifacts_dir / "manifest.json").relative_to(package.root).as_posix()
    try:
        content = msgspec.json.decode(git(package.root, "show", f"{found}:./{path}") or "")
        return msgspec.convert(content["run"], Entry)
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise ProjectError(
            f'"{revision}" holds no trained model. See: git log -- {path}'
        ) from error


def difference(entries: list[Entry]) -> Iterator[str]:
    """Say how the metrics of the last run differ from those of the one before."""
    for before, now in [entries[-2:]] if len(entries) > 1 else []:
        was = before.numbers
        told = [f"{k} {v:.4g}, {v - was[k]:+.3g}" for k, v in now.numbers.items() if k in was]
        other = "" if now.data == before.data else ", which had other data"
        if told:
            yield f"Since the run of {before.minute}{other}: {'; '.join(told)}."


def select(entries: list[Entry], where: str | None, last: int | None, sort: str | None) -> Any:
    """Return a DataFrame of the last runs for which `where` is true. Raises ProjectError that names its columns."""
    table = need("pandas").DataFrame(
        {"created": entry.minute, "commit": (entry.commit or "")[:8], "clean": entry.clean}
        | {**entry.config, "seconds": entry.seconds, "python": entry.python, **entry.numbers}
        for entry in entries
    )
    try:
        table = table.query(where) if where else table
        table = table.tail(last) if last else table
        key = (sort or "").removeprefix("-")
        return table.sort_values(key, ascending=key != sort) if sort else table
    except Exception as error:  # of pandas, and of Python for an expression
        known = ", ".join(table)
        raise ProjectError(f"{error}: that finds no run. The columns are {known}.") from error


def text(table: Any) -> str:
    """Return runs as lines, without the columns that are the same in all of them."""
    shown = [n for n in table if len(table) < 2 or table[n].astype(str).nunique() > 1]
    return str(table[shown].to_string(index=False, na_rep=""))


def curve(package: Package, table: Any, metric: str) -> Iterator[str]:
    """Draw a metric over time with bars, and as a PNG where matplotlib is installed."""
    if metric not in table or table[metric].dtype.kind not in "fi":
        raise ProjectError(f'"{metric}" is no metric. The columns are {", ".join(table)}.')
    table = table.sort_index().dropna(subset=[metric])
    least, span = table[metric].min(), (table[metric].max() - table[metric].min()) or 1
    for when, value in zip(table["created"], table[metric], strict=True):
        yield f"{when}  {'#' * (1 + round((value - least) / span * WIDTH))} {value:.4g}"
    if not find_spec("matplotlib"):
        yield "For a PNG as well, run: poetry ml add report"
        return
    need("matplotlib").use("Agg")
    png = io.BytesIO()
    table.plot("created", metric, marker="o", rot=45).figure.savefig(png, bbox_inches="tight")
    path = package.written(package.root / f"reports/figures/runs-{metric}.png")
    staging.write_whole(path, png.getvalue())
    yield f"The curve is reports/figures/{path.name}."
