"""The verb `schema`: show what is inferred from a file, write it, or hold another file against it."""

import ast
import difflib
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from . import readme, schema_writer, shift, staging
from .dialect import PLAIN
from .errors import ProjectError
from .package import Package
from .profile import CLASSIFICATION, FREQUENT, Choices, Column, Profile, profile
from .schema_writer import description, plain

if TYPE_CHECKING:
    from .cli import Project

SHOWN = 36  # characters of a cell of the table


def infer(
    package: Package, path: Path, choices: Choices, write: bool, force: bool, as_json: bool
) -> Iterator[str]:
    """Infer a schema, and say what it is. With `write`, put it into the package.

    Raises ProjectError where the file is no table, or files to be written were edited.
    """
    if choices.target is None and (known := _target(package)):
        choices = msgspec.structs.replace(choices, target=known)
    found = profile(path, choices)
    if as_json:
        yield json.dumps(as_data(found), indent=2, ensure_ascii=False)
    else:
        yield from table(found)
    if write and found.target is None:
        raise ProjectError("Which column is to be predicted? Say so: --target COLUMN")
    if write:
        folder = (package.root / "data").resolve()
        if not path.resolve().is_relative_to(folder):
            raise ProjectError(
                f"{path.name} does not lie below {folder}. Copy it to data/raw/ first."
            )
        yield from _write(package, found, force)


def check(project: "Project", path: Path) -> Iterator[str]:
    """Hold a file against Row and the last training. Raises ProjectError where it does not fit."""
    package = project.package
    models = importlib.import_module(f"{package.name}.models.schema")
    data: Any = project.training().data
    try:
        recorded = project.manifest.load("profile.json")
    except ProjectError:
        recorded = None
    problems = shift.check(
        path,
        models.Row,
        models.TARGET,
        models.Prediction,
        missing=getattr(data, "MISSING", ()),
        dialect=getattr(data, "DIALECT", PLAIN),
        recorded=recorded,
    )
    yield from problems
    if problems:
        count = f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'}"
        raise ProjectError(f"{path.name} does not fit the model: {count}.")
    known = "" if recorded else " No training has recorded ranges to compare with."
    yield f"{path.name} fits.{known}"


def _target(package: Package) -> str | None:
    """TARGET in models/schema.py, which may not be importable as it is."""
    try:
        tree = ast.parse((package.folder / "models" / "schema.py").read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "TARGET":
            value = getattr(node.value, "value", None)
            return value if isinstance(value, str) else None
    return None


def table(found: Profile) -> Iterator[str]:
    """Return the profile as lines: a table of the columns, and what was decided."""
    count = f"{found.rows:,} rows, {len(found.columns):,} columns"
    goal = f", to predict {plain(found.target.name)} ({found.task})" if found.target else ""
    yield f"{found.source.name}: {count}{goal}"
    yield ""
    rows = [
        ("column", "type", "missing", "distinct", "range", "example"),
        *map(_line, found.columns),
    ]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(
            f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)
        ).rstrip()
    yield ""
    for column in found.left_out:
        yield f"Left out: {plain(column.name)}: {plain(column.left_out)}"
    if found.without_target:
        yield f"Left out: {found.without_target:,} rows without a target"
    if found.missing:
        yield f"Missing values are written as: {', '.join(map(plain, found.missing))}"
    for warning in found.warnings:
        yield f"Warning: {plain(warning)}"


def _line(column: Column) -> tuple[str, ...]:
    kind = "left out" if column.left_out else type_name(column)
    span = ""
    if column.low is not None:
        low, high = column.low, column.high
        shown = schema_writer.number if column.kind in ("int", "float") else str
        span = f"{shown(low)} to {shown(high)}"
    cells = (
        column.name,
        kind,
        f"{column.missing:,}",
        f"{column.distinct:,}",
        span,
        example(column),
    )
    return tuple(_short(plain(cell)) for cell in cells)


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def type_name(column: Column) -> str:
    """Return the annotation of a column, cut short."""
    if column.choices:
        kind = f"Literal of {len(column.choices)}"
    else:
        kind = {"word": "str", "text": "str (text)"}.get(column.kind, column.kind)
    return f"{kind} | None" if column.missing and not column.left_out else kind


def example(column: Column) -> str:
    """Return a value that gives no row away."""
    if column.left_out or column.kind == "text":
        return ""
    if column.kind in ("word", "bool") or column.choices:
        frequent = [word for word, count in column.counts[:1] if count >= FREQUENT]
        return str(frequent[0]) if frequent else ""
    if column.middle is None:
        return ""
    return (
        schema_writer.number(column.middle)
        if column.kind in ("int", "float")
        else str(column.middle)
    )


def as_data(found: Profile) -> dict[str, Any]:
    """Return the profile as plain data."""
    return {
        "file": found.source.name,
        "rows": found.rows,
        "without_target": found.without_target,
        "target": found.target.name if found.target else None,
        "task": found.task or None,
        "missing": list(found.missing),
        "warnings": list(found.warnings),
        "columns": [
            {
                "name": column.name,
                "field": column.field,
                "type": column.kind,
                "choices": list(column.choices),
                "missing": column.missing,
                "distinct": column.distinct,
                "low": column.low,
                "high": column.high,
                "left_out": column.left_out or None,
            }
            for column in found.columns
        ],
    }


def _write(package: Package, found: Profile, force: bool) -> Iterator[str]:
    root = package.root
    texts = {
        package.folder / "models" / "schema.py": schema_writer.schema(found),
        package.folder / "data.py": schema_writer.data(found),
    }
    old = {path: path.read_bytes().decode() if path.is_file() else "" for path in texts}
    changed = [path for path in texts if texts[path] != old[path].replace("\r\n", "\n")]
    yield ""
    for path in changed:
        yield from _diff(path.relative_to(root).as_posix(), old[path], texts[path])
    edited = [path for path in changed if old[path] and schema_writer.is_edited(old[path])]
    if edited and not force:
        names = " and ".join(path.relative_to(root).as_posix() for path in edited)
        raise ProjectError(
            f"{names} {'was' if len(edited) == 1 else 'were'} edited since it was inferred, and nothing "
            "was written. To write over the edits: --force"
        )
    for path in changed:
        staging.write_whole(path, texts[path].encode())
        yield f"Wrote {path.relative_to(root).as_posix()}."
    if not changed:
        yield "models/schema.py and data.py are as they would be written."
    yield from _configure(package, found)
    readme.renew(root, "data", "\n".join(_about(package, found)))


def _diff(name: str, old: str, new: str) -> Iterator[str]:
    lines = difflib.unified_diff(
        old.splitlines(),
        new.splitlines(),
        f"a/{name}" if old else "/dev/null",
        f"b/{name}",
        lineterm="",
    )
    yield from (lines if old else ())


def _configure(package: Package, found: Profile) -> Iterator[str]:
    """Name the file in configs/train.yaml, where it lies below data/."""
    folder, path = package.root / "data", found.source.resolve()
    config = package.root / "configs" / "train.yaml"
    name = path.relative_to(folder.resolve()).as_posix()
    quoted = name if re.fullmatch(r"[\w./-]+", name) else json.dumps(name, ensure_ascii=False)
    text = config.read_bytes().decode() if config.is_file() else ""
    line = re.compile(r"^data:[^#\n]*?(?=\s*(#|$))", re.MULTILINE)
    new = line.sub(lambda _: f"data: {quoted}", text, count=1)
    if new != text:
        staging.write_whole(config, new.encode())
        yield f"configs/train.yaml names {name} now."


def _about(package: Package, found: Profile) -> Iterator[str]:
    """What README.md says of the data."""
    target = found.target
    assert target is not None
    name, cell = found.source.name, readme.cell
    kind = (
        f"{target.distinct} classes" if found.task == CLASSIFICATION else "a number, by regression"
    )
    many = f"{len(found.fields)} of {len(found.columns)} columns of `{name}` ({found.rows:,} rows)"
    yield f"`{target.name}` ({kind}) is predicted from {many}.\n"
    yield "| Column | Type | Missing | Values |"
    yield "|---|---|--:|---|"
    for column in (*found.fields, target):
        about = ", ".join(map(str, column.choices)) if column.choices else description(column)
        missing = f"{column.missing / found.rows:.0%}" if column.missing else ""
        goal = " (target)" if column is target else ""
        yield f"| {cell(column.name)}{goal} | {cell(type_name(column))} | {missing} | {cell(about)[:200]} |"
    if found.left_out:
        left = "; ".join(f"{cell(c.name)}: {cell(c.left_out)}" for c in found.left_out[:20])
        yield f"\nLeft out: {left}."
    yield f"\n```console\n$ poetry run {package.name} serve\n```\n"
    yield "and, from another terminal:\n\n```console"
    body = json.dumps({"data": [_json_row(found)]}, ensure_ascii=False, default=str)
    quoted = body.replace("'", "\\u0027")
    yield "$ curl http://127.0.0.1:8000/predict -H 'Content-Type: application/json' \\"
    yield f"    -d '{quoted}'\n```"


def _json_row(found: Profile) -> dict[str, Any]:
    values = msgspec.to_builtins(found.examples[0])
    return {column.name: value for column, value in zip(found.fields, values, strict=True)}
