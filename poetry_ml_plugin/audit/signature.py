"""What a model's `predict` takes, read from its source: it is called with rows that were decoded, and no more."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from poetry_ml_plugin.audit.code import BROKEN
from poetry_ml_plugin.audit.facts import ProjectFacts
from poetry_ml_plugin.audit.problems import Problem

MODEL = "models/model.py"

# Libraries whose types JSON and tables can be decoded to. Of the project's own modules it is not known.
DECODED = {"attr", "attrs", "msgspec", "numpy", "pandas", "polars", "typing_extensions"}
_AS_ROWS = "Annotate it as list[Row], as a DataFrame, as an array, or not at all."


def of_project(facts: ProjectFacts) -> Iterator[Problem]:
    """Yield why the model of a project, its own or an adopted one, could not be served."""
    own = facts.project.artifacts_dir.parent / MODEL
    for path in (own, *_adopted(own, facts.root)):
        yield from problems(path, facts.project.at(path))


def problems(path: Path, where: str) -> Iterator[Problem]:
    """Yield why the Model of a module could not be served. `where` is how to call the module.

    Only what its source says for certain counts: the start of the service asks the class itself.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except BROKEN:
        return  # of which the check of the code speaks
    for predict in _predicts(tree):
        place = f"{where}, line {predict.lineno}"
        arguments = [*predict.args.posonlyargs, *predict.args.args][1:]
        if not arguments and predict.args.vararg is None:
            yield Problem(f"{place}: predict takes no rows", "Write it as predict(self, data).")
        for name in _required(predict.args)[1 if arguments else 0 :]:
            yield Problem(
                f"{place}: predict is called with the rows alone, and its parameter {name} has no default",
                "Give it one.",
            )
        if arguments and (strange := _strange(arguments[0].annotation, _origins(tree), path)):
            yield Problem(
                f"{place}: predict takes {ast.unparse(arguments[0].annotation or predict)}, and "
                f"{strange} cannot be read from JSON",
                _AS_ROWS,
            )


def _adopted(path: Path, root: Path) -> Iterator[Path]:
    """Find the module of the repository that a module takes its Model from."""
    try:
        body = ast.parse(path.read_bytes()).body
    except BROKEN:
        return
    for node in body:
        if isinstance(node, ast.ImportFrom) and any(alias.name == "Model" for alias in node.names):
            module = f"{(node.module or '').replace('.', '/')}.py"
            found = (folder / module for folder in (root / "src", root))
            yield from (each for each in found if node.level == 0 and each.is_file())


def _predicts(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == "Model":
            for each in node.body:
                if isinstance(each, ast.FunctionDef) and each.name == "predict":
                    is_plain = not each.decorator_list  # what a decorator makes of it is not known
                    yield from [each] if is_plain else []


def _required(arguments: ast.arguments) -> list[str]:
    """Name the parameters without a default, beside `self`."""
    positional = [*arguments.posonlyargs, *arguments.args][1:]
    without = positional[: max(len(positional) - len(arguments.defaults), 0)]
    only = [
        each
        for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    ]
    return [each.arg for each in (*without, *only)]


def _origins(tree: ast.Module) -> dict[str, str]:
    """Map each imported name to the module that it, or its type, comes from."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = alias.name
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {alias.asname or alias.name: node.module for alias in node.names}
    return found


def _strange(annotation: ast.expr | None, origins: dict[str, str], path: Path) -> str | None:
    """Find a type of an annotation that comes from a library which rows cannot be decoded for."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            annotation = ast.parse(annotation.value, mode="eval").body
        except BROKEN:
            return None
    for node in ast.walk(annotation) if annotation else ():
        head = node
        while isinstance(head, ast.Attribute):
            head = head.value
        if isinstance(head, ast.Name) and head.id in origins:
            top = origins[head.id].partition(".")[0]
            if not (top in DECODED or top in sys.stdlib_module_names or _is_own(top, path)):
                return ast.unparse(node)
    return None


def _is_own(top: str, path: Path) -> bool:
    return any(
        (folder / top).is_dir() or (folder / f"{top}.py").is_file() for folder in path.parents[:4]
    )
