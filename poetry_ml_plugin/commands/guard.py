"""Holds `poetry build` and `poetry publish` back from a package that would not work, or tell too much."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poetry.console.exceptions import PoetryRuntimeError
from poetry.core.masonry.utils.helpers import distribution_name

from poetry_ml_plugin import builder, lock, packaging, project, sbom
from poetry_ml_plugin.commands.command import escape
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.violations import Violation, listing

if TYPE_CHECKING:
    from cleo.events.console_command_event import ConsoleCommandEvent
    from cleo.events.console_terminate_event import ConsoleTerminateEvent
    from cleo.events.event_dispatcher import EventDispatcher

    from poetry_ml_plugin.project import Project


def before(event: ConsoleCommandEvent, dispatcher: EventDispatcher) -> None:
    """Raises what Poetry prints and ends with, where the project's package must not get out.

    A project that is not an ML project is none of our business.
    """
    command: Any = event.command
    try:
        found = _project(command)
        if found is None:
            return
        if command.name == "build":
            _before_build(found, event, dispatcher)
        elif not event.io.input.option("build"):  # else the build that it makes is guarded
            _before_publish(found, command, found.root / event.io.input.option("dist-dir"))
    except MLError as error:
        raise PoetryRuntimeError(escape(str(error))) from error
    except Exception as error:  # noqa: BLE001
        _unchecked(error)


def _project(command: Any) -> Project | None:
    try:
        return project.read(command.poetry.file.path.parent)
    except RuntimeError:  # there is none, or a broken one, and Poetry will say so
        return None


def _before_build(found: Project, event: ConsoleCommandEvent, dispatcher: EventDispatcher) -> None:
    _refuse("The package was not built", packaging.before(found))
    dist = found.root / event.io.input.option("output")
    there = _stamps(dist)
    take_out = builder.put_in(found.stream, _sbom(found, event.command) if found.sbom else None)

    def after(end: ConsoleTerminateEvent, name: str, dispatcher: EventDispatcher) -> None:
        if end.command is event.command:
            take_out()
            built = [path for path, stamp in _stamps(dist).items() if there.get(path) != stamp]
            _after_build(found, built, end)

    dispatcher.add_listener("console.terminate", after)  # type: ignore[arg-type]


def _after_build(found: Project, built: Iterable[Path], end: ConsoleTerminateEvent) -> None:
    try:
        violations = [v for path in sorted(built) for v in packaging.after(found, path)]
        if violations:
            for path in built:
                path.unlink()
            said = f"What was built is removed again:\n{listing(violations)}"
            end.io.write_error_line(f"<error>{escape(said)}</error>")
            end.set_exit_code(1)
    except Exception as error:  # noqa: BLE001
        _unchecked(error)


def _before_publish(found: Project, command: Any, dist: Path) -> None:
    name = f"{distribution_name(command.poetry.package.name)}-{command.poetry.package.version}"
    archives = [*dist.glob(f"{name}-*.whl"), *dist.glob(f"{name}.tar.gz")]
    _refuse(
        "Nothing was published",
        [*packaging.before(found), *(v for path in archives for v in packaging.after(found, path))],
    )


def _refuse(said: str, violations: list[Violation]) -> None:
    if violations:
        raise MLError(f"{said}:\n{listing(violations)}")


def _stamps(dist: Path) -> dict[Path, tuple[int, int]]:
    """What tells archives that were there from those that a build made, or made anew."""
    found = [*dist.glob("*.whl"), *dist.glob("*.tar.gz")]
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in found}


def _sbom(found: Project, command: Any) -> bytes:
    locked = lock.read(found.root)
    if locked is None:
        raise MLError(f'{found.root} has no poetry.lock to write an SBOM from. Run "poetry lock".')
    package = command.poetry.package
    known = sbom.licences(command.env.site_packages.distributions())
    return sbom.document(package.name, str(package.version), locked.packages, known)


def _unchecked(error: Exception) -> None:
    # A bug of ours must not be the reason why somebody cannot build.
    print(f"poetry-ml-plugin did not check the package: {error!r}", file=sys.stderr)
