"""Make a project about a table of the user's own: check it, carry it in, and have its schema inferred."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import platforms, poetry, staging
from poetry_ml_plugin.project.edit import set_values
from poetry_ml_plugin.project.pyproject import Project
from poetry_ml_plugin.template import first_run, render
from poetry_ml_plugin.template.environment import Environment
from poetry_ml_plugin.template.first_run import Step, Tell
from poetry_ml_plugin.template.render import File

LARGEST_COMMIT = 10 * 2**20  # bytes of data that git is to keep
WRITTEN = ("Wrote ", "configs/")  # what the verb says of its own files
READER = "poetry_ml_data_reader"
READ_WITH = {".parquet": ("pyarrow", ">=18"), ".xlsx": ("openpyxl", ">=3.1,<4")}
"""The library that reads a kind of file in training, and its versions."""

TASKS = ("classification", "regression")

IGNORED = """\
# The data may concern people: it is added to git only by who says so
*
!.gitignore
"""
EXAMPLE = " As it stands, it is a worked example."
PLACES = """<!-- data -->
<!-- /data -->

<!-- metrics -->
<!-- /metrics -->

"""


@dataclass(frozen=True)
class Data:
    """A file of data, and what is said of it."""

    path: Path
    target: str
    words: tuple[str, ...] = ()  # more options of the verb `schema`
    commit: bool = False
    description: str = ""
    said: list[str] = field(default_factory=list)
    """What the verbs had to say: the table of columns, what was left out, the scores."""

    @property
    def place(self) -> PurePosixPath:
        """Where the file lies in the project."""
        return PurePosixPath("data/raw") / self.path.name

    def committed(self, project: Project, files: Iterable[PurePosixPath]) -> list[str]:
        """What git is to have whatever it ignores: all but the table, unless that is to be committed."""
        package = PurePosixPath("src", project.package)
        inferred = [package / "data.py", package / "models" / "schema.py"]
        kept = (path for path in files if path != self.place or self.commit)
        return [str(path) for path in (*kept, *inferred)]

    @property
    def verb(self) -> list[str]:
        """The verb that infers the schema, and its options."""
        return ["schema", str(self.place), "--target", self.target, *self.words]

    @property
    def command(self) -> str:
        """The command that makes a project whole which has all but its schema."""
        return " ".join(["poetry ml", *map(platforms.quoted, self.verb), "--train"])


def columns(path: Path, target: str | None = None) -> list[str]:
    """Return the columns of a file, as far as the standard library can read it: none of Parquet and Excel.

    Raises MLError where the file is no table, or the target is not one of its columns.
    """
    reader = _reader()
    try:
        if path.suffix in reader.TEXTS:
            found: list[str] = reader.check(path, target)
            return found
        reader.check_kind(path)
        if path.suffix in (".jsonl", ".ndjson"):
            header = _keys(path, target)
            reader.check_header(path.name, header, target)
            return header
    except reader.ProjectError as error:
        raise MLError(str(error)) from error
    return []


def _keys(path: Path, target: str | None) -> list[str]:
    """The keys in a file of JSON lines: of the first thousand, and of all until the target is met."""
    found: dict[str, None] = {}
    with path.open(encoding="utf-8-sig") as file:
        try:
            for number, line in enumerate(file):
                if number >= 1_000 and (target is None or target in found):
                    break
                value = json.loads(line) if line.strip() else {}
                if not isinstance(value, dict):
                    raise MLError(f"{path.name}, line {number + 1}, is not a JSON object.")
                found |= dict.fromkeys(value)
        except ValueError as error:
            raise MLError(f"{path.name} is no JSON lines: {error}.") from error
    return list(found)


def _reader() -> Any:
    """The reader of the generated projects, which needs nothing but the standard library.

    It is the one that reads the file later, and so both agree on what a table is. The package around it
    would import what is not installed here.
    """
    name = f"{READER}.delimited"
    if name not in sys.modules:
        package = types.ModuleType(READER)
        folder = render.template_dir() / "src" / render.TEMPLATE.package / "_runtime"
        package.__path__ = [str(folder)]
        sys.modules[READER] = package
    return import_module(name)


def add(files: Mapping[PurePosixPath, File], data: Data) -> dict[PurePosixPath, File]:
    """A rendered project with the data in it, and with places in its README for what is inferred."""
    changed = dict(files)
    changed[data.place] = File(data.path.read_bytes())

    def edit(name: str, new: Any) -> None:
        path = PurePosixPath(name)
        if path in changed:
            text = changed[path].content.decode()
            changed[path] = File(new(text).encode(), changed[path].executable)

    if library := READ_WITH.get(data.path.suffix):
        group = ("tool", "poetry", "group", "train", "dependencies")
        edit("pyproject.toml", lambda text: set_values(text, {(*group, library[0]): library[1]}))
    edit("README.md", lambda text: readme(text, data))
    edit("data/README.md", lambda _: f"# Data\n\n`raw/{data.path.name}`: {_ORIGIN}\n")
    if not data.commit:
        changed[data.place.with_name(".gitignore")] = File(IGNORED.encode())
    return changed


_ORIGIN = "say here where it comes from, what a row of it is, and who may have it."


def readme(text: str, data: Data) -> str:
    """A README with places for what follows from the data, and without what is said of the sample."""
    text = text.replace(EXAMPLE, "")
    if not data.commit:
        text = text.replace("git keeps `raw/`", "none of it is in git unless you add it")
    return re.sub(r"^## ", f"{PLACES}## ", text, count=1, flags=re.MULTILINE)


def steps(environment: Environment, data: Data, train: bool) -> list[Step]:
    """Lock, install, infer the schema, train, predict: each needs the one before it."""
    project = environment.project
    found = [*first_run.installation_steps(environment, train), infer(project, data)]
    if train:
        found += [fit(project, data), first_run.prediction_step(environment)]
        found += [first_run.rest_step(environment)]
    return found


@contextmanager
def whole(project: Project) -> Iterator[None]:
    """Take the project back if what is done with it meanwhile ends early, however that comes."""
    try:
        yield
    except BaseException:
        take_back(project)
        raise


def take_back(project: Project) -> None:
    """Remove a project that could not be made whole, and its virtualenv."""
    with platforms.uninterrupted():
        if (project.root / "pyproject.toml").exists():
            remove = poetry.command(project.root, "env", "remove", "--all")
            subprocess.run(remove, cwd=poetry.CWD, capture_output=True, check=False)
            staging.remove(project.root)


def infer(project: Project, data: Data) -> Step:
    """The step that writes the project's schema."""

    def run(tell: Tell) -> str:
        lines = _verb(project, tell, *data.verb, "--write", "--force")
        data.said.extend(line for line in lines if not line.startswith(WRITTEN))
        return lines[0] if lines else ""

    return Step("Infer the schema", run, data.command)


def fit(project: Project, data: Data) -> Step:
    """The step that trains, and keeps what was said of the candidates."""

    def run(tell: Tell) -> str:
        lines = _verb(project, tell, "train")
        data.said.extend(["", *(line for line in lines if "cross-validated" in line)])
        record = json.loads((project.artifacts_dir / "manifest.json").read_bytes())["run"]
        metrics = {k: v for k, v in record["metrics"].items() if isinstance(v, float)}
        return ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())

    return Step("Train the model", run, "poetry ml train")


def _verb(project: Project, tell: Tell, *words: str) -> list[str]:
    """Run a verb. Raises MLError with the one sentence that it ends with, where it has one."""
    try:
        return first_run.run_verb(project, tell, *words)
    except MLError as error:
        last = str(error).splitlines()[-1]
        raise MLError(
            last.removeprefix("Error: ") if last.startswith("Error: ") else str(error)
        ) from error


def check_size(path: Path) -> None:
    """Raises MLError where a file is too large to be committed."""
    size = path.stat().st_size
    if size > LARGEST_COMMIT:
        raise MLError(
            f"{path.name} has {size / 1e6:.0f} MB, and git keeps no data above {LARGEST_COMMIT / 1e6:.0f} MB. "
            "Make the project without --commit-data, and version the file with: dvc add, or git lfs track"
        )
