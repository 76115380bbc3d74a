"""Prove that what a wheel carries can be imported where only its runtime dependencies are installed."""

from __future__ import annotations

import json
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from poetry_ml_plugin.audit.problems import Problem
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import lock
from poetry_ml_plugin.project.lock import Lock
from poetry_ml_plugin.project.pyproject import Project

SECONDS = 300

# Runs in the project's own Python: imports what serving imports from the unpacked wheel, and nothing of
# what only development installs. It makes no Model: what a model loads is the manifest's business.
SCRIPT = '''
import importlib, importlib.metadata, json, os, pathlib, re, sys, traceback

asked = json.load(sys.stdin)
package, folder, runtime = asked["package"], asked["folder"], set(asked["runtime"])

def normalized(name):
    return re.sub("[-_.]+", "-", name).lower()

owners = {
    module: {normalized(name) for name in names}
    for module, names in importlib.metadata.packages_distributions().items()
}

class Runtime:
    """Finds what another finder does, less what the runtime dependencies do not bring."""

    def __init__(self, finder):
        self._finder = finder

    def __getattr__(self, name):
        return getattr(self._finder, name)

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top != package and top in owners and not owners[top] & runtime:
            return None
        return self._finder.find_spec(name, path, target)

sys.meta_path[:] = [Runtime(finder) for finder in sys.meta_path]
sys.path.insert(0, folder)
for name in [n for n in sys.modules if n.partition(".")[0] == package]:
    del sys.modules[name]

failed = []
for name in asked["modules"]:
    try:
        importlib.import_module(f"{package}.{name}".rstrip("."))
    except BaseException as error:  # sys.exit, too
        frames = traceback.extract_tb(error.__traceback__)
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        own = [frame for frame in frames if frame.filename.startswith(folder)]
        failed.append({
            "module": f"{package}.{name}".rstrip("."),
            "message": f"{type(error).__name__}: {error}".replace(folder + os.sep, ""),
            "missing": missing,
            "distribution": min(owners.get(str(missing).partition(".")[0], [None])),
            "file": own[-1].filename[len(folder) + 1:] if own else "",
            "line": own[-1].lineno if own else 0,
        })
        break
if not failed and asked["signature"]:
    # The class is asked, and no model is made.
    from importlib import import_module
    model = import_module(f"{package}.models.model").Model
    try:
        import_module(f"{package}._runtime.signature").Schema.of(object.__new__(model))
    except BaseException as error:
        failed.append({"module": f"{package}.models.model", "signature": str(error)})
pathlib.Path(asked["answer"]).write_text(json.dumps(failed), encoding="utf-8")
os._exit(0)  # what a module has put off to the end is not waited for
'''

_UNPROVED = "The build was removed, since its code could not be imported to check it:"

# What the command line, a prediction and the service import first: the package itself is "".
SERVED = ("", "__main__", "models.model", "_runtime.server.supervisor", "_runtime.service.app")


def prove(project: Project, wheel: Path, python: Path | None) -> Iterator[Problem]:
    """Yield why a wheel's code could not be imported where it is installed by itself.

    `python` is the project's own, or None where it is not installed: then that is all that is said.
    """
    if python is None:
        yield Problem(
            f"{wheel.name}: not tried whether it can be imported, since the project is not installed",
            'Run "poetry install" before the build.',
            severity="warning",
        )
        return
    locked = lock.read(project.root)
    if locked is None:
        return  # without a lock it is not known what travels
    with tempfile.TemporaryDirectory() as folder:
        _unpack(wheel, Path(folder), project.package)
        for failure in _import(project, Path(folder), python, locked):
            yield _problem(wheel, failure)


def _unpack(wheel: Path, folder: Path, package: str) -> None:
    """Unpack the package's code, without its artifacts: nothing loads them here."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            path = PurePosixPath(name)
            if path.parts[:1] == (package,) and path.parts[1:2] != ("artifacts",):
                archive.extract(name, folder)


def _import(
    project: Project, folder: Path, python: Path, locked: Lock
) -> Iterable[dict[str, object]]:
    answer = folder / "answer.json"  # what the code prints may be anything
    asked = {
        "package": project.package,
        "folder": str(folder),
        "answer": str(answer),
        "runtime": sorted(p.name for p in locked.packages if p.runtime and not p.optional),
        "signature": _is_in(folder / project.package, "_runtime.signature"),
        "modules": [name for name in SERVED if _is_in(folder / project.package, name)],
    }
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", SCRIPT],
            input=json.dumps(asked),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            cwd=folder,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MLError(f"{_UNPROVED} that took more than {SECONDS} s.") from None
    except OSError as error:
        raise MLError(f"{_UNPROVED} {python} does not start: {error.strerror}.") from error
    try:
        failures: list[dict[str, object]] = json.loads(answer.read_bytes())
    except (OSError, ValueError):
        raise MLError(f"{_UNPROVED} Python ended with {done.returncode}.") from None
    return failures


def _is_in(package: Path, name: str) -> bool:
    """Tell whether a module should be there: of the machinery, a project has what its version has."""
    path = package.joinpath(*name.split("."))
    return not name.startswith("_runtime.") or path.with_suffix(".py").is_file()


def _problem(wheel: Path, failure: dict[str, object]) -> Problem:
    if said := failure.get("signature"):
        return Problem(
            f"{wheel.name}: {failure['module']}.Model cannot be served: {str(said).rstrip('.')}",
            "Fix that, then build again.",
        )
    place = f" ({failure['file']}, line {failure['line']})" if failure["file"] else ""
    if failure["distribution"]:
        return Problem(
            f"{wheel.name}: {failure['module']} imports {failure['missing']}{place}, which is installed "
            "by no runtime dependency",
            f'Run "poetry add {failure["distribution"]}", or import it where only training does.',
        )
    return Problem(
        f"{wheel.name}: {failure['module']} cannot be imported{place}: {failure['message']}",
        "Fix that, then build again.",
    )
