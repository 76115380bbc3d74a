"""Checks around `poetry build` and `poetry publish`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poetry.console.exceptions import PoetryRuntimeError
from poetry.core.masonry.utils.helpers import distribution_name
from poetry.factory import Factory

from poetry_ml_plugin.adopt import record
from poetry_ml_plugin.audit.problems import Problem, listing
from poetry_ml_plugin.build import archives, builders, contents, proof, sbom
from poetry_ml_plugin.commands.base.command import escape
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import venv
from poetry_ml_plugin.project import lock, pyproject

if TYPE_CHECKING:
    from cleo.events.console_command_event import ConsoleCommandEvent
    from cleo.events.console_terminate_event import ConsoleTerminateEvent
    from cleo.events.event_dispatcher import EventDispatcher
    from cleo.io.io import IO

    from poetry_ml_plugin.project.pyproject import Project


def before(event: ConsoleCommandEvent, dispatcher: EventDispatcher) -> None:
    """Refuse a build or an upload that is broken or holds credentials, as Poetry reports errors.

    A project that is not an ML project is none of our business.
    """
    command: Any = event.command
    project = _project(command)
    if project is None:
        return
    try:
        if command.name == "build":
            _before_build(project, event, dispatcher)
        elif not event.io.input.option("build"):  # else the build that it makes is guarded
            _before_publish(project, command, project.root / event.io.input.option("dist-dir"))
    except MLError as error:
        raise PoetryRuntimeError(escape(str(error))) from error
    except Exception as error:
        raise PoetryRuntimeError(escape(_unchecked(error, command.name))) from error


def _project(command: Any) -> Project | None:
    try:
        path = command.poetry.file.path
    except RuntimeError:  # there is none, or a broken one, and Poetry will say so
        return None
    try:
        return _ml_project(command, path)
    except MLError as error:
        raise PoetryRuntimeError(escape(str(error))) from error


def _ml_project(command: Any, path: Path) -> Project | None:
    if path.is_absolute():
        return pyproject.read(path.parent)
    # With a relative -C, Poetry goes to the folder and then looks for the same path from there.
    # Its builders need the whole path.
    project = pyproject.read(Path.cwd()) if (Path.cwd() / path.name).is_file() else None
    if project is not None:
        command.set_poetry(Factory().create_poetry(project.root, io=command.io))
    return project


def _before_build(
    project: Project, event: ConsoleCommandEvent, dispatcher: EventDispatcher
) -> None:
    _refuse("The package was not built. Fix these problems first", _of_adopted(project))
    _refuse("The package was not built. Fix these problems first", contents.before(project))
    _warn(event.io, contents.advice(project))
    dist = project.root / event.io.input.option("output")
    there = _stamps(dist)
    take_out = builders.put_in(
        project.stream, _sbom(project, event.command) if project.sbom else None
    )

    def after(end: ConsoleTerminateEvent, name: str, dispatcher: EventDispatcher) -> None:
        if end.command is event.command:
            take_out()
            built = [path for path, stamp in _stamps(dist).items() if there.get(path) != stamp]
            _after_build(project, built, end)

    dispatcher.add_listener("console.terminate", after)  # type: ignore[arg-type]


def _after_build(project: Project, built: Collection[Path], end: ConsoleTerminateEvent) -> None:
    """Remove what was built if it is not as it should be, or if that cannot be found out."""
    said = "The build was removed, since its check was interrupted."
    try:
        said = _verdict(project, built, end)
    except MLError as error:
        said = str(error)
    except Exception as error:  # noqa: BLE001
        said = _unchecked(error, "build")
    finally:
        if said:
            for path in built:
                path.unlink(missing_ok=True)
            end.io.write_error_line(f"<error>{escape(said)}</error>")
            end.set_exit_code(1)


def _verdict(project: Project, built: Iterable[Path], end: ConsoleTerminateEvent) -> str:
    """Look into what was built. Return why it must not stay; an empty text if it may."""
    problems = [v for path in sorted(built) for v in contents.after(project, path)]
    wheels = [path for path in sorted(built) if archives.is_wheel(path)]
    if wheels and not problems:
        python = _python(project)
        problems = [v for path in wheels for v in proof.prove(project, path, python)]
    _warn(end.io, [problem for problem in problems if problem.severity == "warning"])
    if errors := [problem for problem in problems if problem.severity == "error"]:
        return f"The build was removed. Fix these problems first:\n{listing(errors)}"
    return ""


def _python(project: Project) -> Path | None:
    env = venv.find(project.root)
    return Path(env.python) if env else None


def _warn(io: IO, problems: Iterable[Problem]) -> None:
    for problem in problems:
        io.write_error_line(f"<warning>{escape(f'{problem.message}. {problem.hint}')}</warning>")


def _before_publish(project: Project, command: Any, dist: Path) -> None:
    name = f"{distribution_name(command.poetry.package.name)}-{command.poetry.package.version}"
    archives = [*dist.glob(f"{name}-*.whl"), *dist.glob(f"{name}.tar.gz")]
    _refuse(
        "Nothing was published. Fix these problems first",
        [
            *_of_adopted(project),
            *contents.before(project),
            *(v for path in archives for v in contents.after(project, path)),
        ],
    )


def _of_adopted(project: Project) -> list[Problem]:
    return [Problem(message, hint) for message, hint in record.problems(project)]


def _refuse(said: str, problems: list[Problem]) -> None:
    if problems:
        raise MLError(f"{said}:\n{listing(problems)}")


def _stamps(dist: Path) -> dict[Path, tuple[int, int]]:
    """Record the archives' times, to tell new ones from those that were there."""
    found = [*dist.glob("*.whl"), *dist.glob("*.tar.gz")]
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in found}


def _sbom(project: Project, command: Any) -> bytes:
    locked = lock.read(project.root)
    if locked is None:
        raise MLError(f"{project.root} has no poetry.lock, which an SBOM needs. {lock.RELOCK}")
    if locked.by_poetry_1:
        raise MLError(f"poetry.lock was written by Poetry 1.x, too old for an SBOM. {lock.RELOCK}")
    package = command.poetry.package
    known = sbom.licences(command.env.site_packages.distributions())
    return sbom.document(package.name, str(package.version), locked.packages, known)


def _unchecked(error: Exception, command: str) -> str:
    # What could not be looked at may hold a credential or a broken model.
    done = "published" if command == "publish" else "built"
    return (
        f"The package could not be checked, so it was not {done}: {type(error).__name__}: {error}. "
        f"To go on without any check, run: poetry --no-plugins {command}"
    )
