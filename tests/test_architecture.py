"""The plugin's folders: what each may import, read from the source."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
import tomllib
from pathlib import Path

from conftest import REPOSITORY
from packaging.requirements import Requirement

PACKAGE = REPOSITORY / "poetry_ml_plugin"

# From the top down: a folder imports from those that it names, and from no other.
BELOW = {
    "plugin": {"commands"},
    "commands": {
        *("adopt", "audit", "build", "data", "deploy", "errors", "host", "project"),
        *("drift", "reproduce", "template"),
    },
    "drift": {"audit", "errors", "host", "project"},
    "reproduce": {"audit", "data", "errors", "host", "project"},
    "data": {"errors", "host", "project"},
    "deploy": {"audit", "errors", "host", "project", "template"},
    "build": {"audit", "errors", "host", "project"},
    "audit": {"errors", "host", "project"},
    "adopt": {"errors", "host", "project", "template"},
    "template": {"errors", "host", "project"},
    "project": {"errors", "host"},
    "host": {"errors"},
    "errors": set[str](),
}


def modules() -> dict[str, ast.Module]:
    """Every module of the plugin by its dotted name, without the package's own."""
    paths = [path for path in PACKAGE.rglob("*.py") if "templates" not in path.parts]
    names = {path: path.relative_to(PACKAGE).with_suffix("").parts for path in paths}
    return {
        ".".join(parts[:-1] if parts[-1] == "__init__" else parts): ast.parse(path.read_bytes())
        for path, parts in names.items()
    }


def imported(module: ast.Module, known: set[str]) -> set[str]:
    """The plugin's own modules that a module imports, late imports included."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE.name):
            start = (node.module or "").removeprefix(PACKAGE.name).removeprefix(".")
            for alias in node.names:
                name = f"{start}.{alias.name}".strip(".")
                found.add(name if name in known else start)
        elif isinstance(node, ast.Import):
            found |= {
                alias.name.removeprefix(f"{PACKAGE.name}.")
                for alias in node.names
                if alias.name.startswith(f"{PACKAGE.name}.")
            }
    return found


def test_every_folder_has_its_place() -> None:
    assert {name.partition(".")[0] for name in modules() if name} == set(BELOW)


def test_imports_between_folders_point_down() -> None:
    known = modules()
    upward = [
        f"{name} imports {other}"
        for name, module in known.items()
        for other in sorted(imported(module, set(known)))
        if (here := name.partition(".")[0]) != (there := other.partition(".")[0])
        and there not in BELOW.get(here, {there})
    ]
    assert upward == []


def test_imports_between_modules_have_no_cycle() -> None:
    known = modules()
    left = {name: imported(module, set(known)) - {name} for name, module in known.items()}
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    assert left == {}


def test_only_commands_know_the_console() -> None:
    """What a command does can be asked for without one."""
    strangers = [
        name
        for name, module in modules().items()
        if not name.startswith("commands")
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cleo")
    ]
    assert strangers == []


def test_each_command_has_a_file_named_for_it() -> None:
    from poetry_ml_plugin import commands, deploy

    paths = {
        **{name: f"{commands.__name__}.{path}" for name, path in commands.COMMANDS.items()},
        **deploy.command_paths(deploy.TARGETS),
    }
    for name, path in paths.items():
        module = path.partition(":")[0].rpartition(".")[2]
        assert module == name.removeprefix("ml ").replace(" ", "_")
        assert Path(PACKAGE / "commands" / f"{module}.py").is_file()


def test_every_import_is_a_declared_dependency() -> None:
    """What is imported from elsewhere is in pyproject.toml, and not only by way of another."""
    toml = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    declared = {Requirement(text).name for text in toml["project"]["dependencies"]}
    roots = set()
    for module in modules().values():
        for node in ast.walk(module):
            if isinstance(node, ast.Import):
                roots |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                roots.add(node.module)
    core = {name for name in roots if name.startswith("poetry.core")}
    names = {name.partition(".")[0] for name in roots - core} - {PACKAGE.name}
    foreign = names - sys.stdlib_module_names | ({"poetry-core"} if core else set())
    assert foreign == declared


# Lines of code that the service may take, without the Open Inference Protocol: its files can be deleted
# together, and are named in app.py alone.
MOST_OF_SERVICE = 1_560
SERVICE = REPOSITORY / "templates/project/src/example_model/_runtime"
REMOVABLE = {
    *("oip.py", "oip_binary.py", "oip_columns.py", "tensors.py"),
    *("grpc_messages.py", "grpc_server.py"),
}


def lines_of_code(path: Path) -> int:
    """How many lines hold code: neither blank, nor only a comment or a docstring."""
    text = path.read_text()
    spaces = {"COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENDMARKER"}
    lines = {
        number
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if tokenize.tok_name[token.type] not in spaces
        for number in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(range(node.lineno, (node.end_lineno or 0) + 1))
    return len(lines)


def test_the_service_stays_small() -> None:
    """Whoever generates a project gets this code, and must be able to read all of it."""
    paths = [path for name in ("service", "server") for path in (SERVICE / name).glob("*.py")]
    counts = {
        str(p.relative_to(SERVICE)): lines_of_code(p) for p in paths if p.name not in REMOVABLE
    }
    assert sum(counts.values()) <= MOST_OF_SERVICE, counts
