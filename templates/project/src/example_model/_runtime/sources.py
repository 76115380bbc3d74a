"""Which code a model was trained with: the package's own modules, and the libraries that they import."""

import ast
import hashlib
import importlib.metadata
import sys
from pathlib import Path
from typing import Any

from . import formats
from .package import Package


def hashes(package: Package) -> dict[str, str]:
    """Hash the modules of a package that are imported, but for its machinery, by their paths in it."""
    found = {}
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or name.partition(".")[0] != package.name or f"{name}.".count("._runtime."):
            continue
        path = Path(file).resolve()
        if path.suffix == ".py" and path.is_relative_to(package.folder):
            found[path.relative_to(package.folder).as_posix()] = digest(path.read_bytes())
    return found


def libraries(package: Package) -> dict[str, str]:
    """Return the versions of the distributions that are imported, but for the package's own."""
    roots = {name for name in sys.modules if "." not in name}
    found = formats.distributions(roots - {package.name})
    return {name: importlib.metadata.version(name) for name in sorted(found)}


def digest(source: bytes) -> str:
    """Hash the meaning of a module: its syntax tree without comments, docstrings and positions."""
    return hashlib.sha256(repr(_plain(ast.parse(source))).encode()).hexdigest()


def _plain(node: Any) -> Any:
    # Not ast.dump: what it writes differs from one Python to the next. Fields that are empty are
    # left out, as those that only a newer Python has always are for older code.
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    fields = {
        name: _plain(value)
        for name, value in sorted(ast.iter_fields(node))
        if value not in (None, []) and name not in ("kind", "type_comment", "type_ignores")
    }
    if isinstance(getattr(node, "body", None), list) and _is_docstring(node):
        fields["body"] = fields["body"][1:]
    return [type(node).__name__, *sorted(fields.items())]


def _is_docstring(node: Any) -> bool:
    return (
        isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node, clean=False) is not None
    )
