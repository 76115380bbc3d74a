"""The environment of a new project: locked, filled and compiled with no work that was done before."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from subprocess import Popen
from types import TracebackType
from typing import TYPE_CHECKING

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import bytecode, uv, venv
from poetry_ml_plugin.host.processes import Tell
from poetry_ml_plugin.host.session import Session
from poetry_ml_plugin.project import pinned, pyproject, resolved
from poetry_ml_plugin.project.pyproject import Project
from poetry_ml_plugin.project.resolved import Resolved

if TYPE_CHECKING:
    from poetry.utils.env import Env

FIRST = ("main", "train")  # the groups that a training needs


class Environment:
    """What the steps that lock, install and train have in common. Poetry is the judge of each."""

    def __init__(self, project: Project, use_uv: bool = True, cache: bool = True) -> None:
        self.project = project
        self._root = project.root
        self._use_uv = use_uv
        self._cache = cache
        self._open = ExitStack()
        self._session: Session | None = None
        self._compiler: Popen[str] | None = None
        self._packages: Path | None = None  # the folder that they are in
        self._resolved: Resolved | None = None
        self._given = False  # whether the lock file was known
        self.has_rest = False  # whether what is needed later is being installed

    def __enter__(self) -> Environment:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, trace)

    @property
    def session(self) -> Session:
        """Poetry at work on the project."""
        if self._session is None:
            options = ["--no-ansi", *([] if self._cache else ["--no-cache"])]
            self._session = self._open.enter_context(Session(self._root, *options))
        return self._session

    def lock(self, tell: Tell) -> str:
        """Lock the dependencies, or take the lock file of an equal project that is younger than a day."""
        session, new = self.session, not (self._root / "poetry.lock").exists()
        # Whatever Poetry does not like about the project, it says itself when it locks.
        with suppress(Exception):
            self._resolved = resolved.place(self._root)
        if new and self._cache and self._resolved:
            age = self._resolved.give(self._root)
            if age is not None:
                self._given = True
                return f"as resolved {_ago(age)}"
        session.run(tell, "lock")
        if new and self._resolved:
            self._resolved.keep(self._root)
        return ""

    def install(self, tell: Tell, train: bool = True) -> str:
        """Install what is locked: first what a training needs, if one follows and the rest takes time."""
        try:
            return self._install(tell, train)
        except MLError:
            if not self._given:
                raise
            # What was resolved hours ago may have left the index since.
            self._given = False
            (self._root / "poetry.lock").unlink()
            self.session.run(tell, "lock")
            return self._install(tell, train)

    def rest(self, tell: Tell) -> str:
        """Wait for what was not needed first."""
        self.has_rest = False
        self.session.finish(tell)
        return ""

    def remember(self) -> None:
        """Keep in mind what was imported since, for the next project of this kind."""
        if self._resolved and self._packages and not (self._given and self._compiler):
            self._resolved.remember(bytecode.compiled(self._packages, self._resolved.imported()))

    def _install(self, tell: Tell, train: bool) -> str:
        env, unpacked = self._fill()
        if env is not None:
            self._compile(env)
        if unpacked or not (train and self._has_first()):
            self.session.run(tell, "install")
            return "unpacked by uv" if unpacked else ""
        self.session.run(tell, "install", "--only", ",".join(FIRST))
        # The project itself is there already: to install it again would take it away for a moment.
        self.session.begin("install", "--no-root")
        self.has_rest = True
        return ""

    def _fill(self) -> tuple[Env | None, bool]:
        """Make the virtualenv, and have uv fill it where that can be: tell whether it did."""
        env = venv.create(self._root)
        program = uv.find() if self._uses_uv() else None
        if env is None or program is None or not venv.is_empty(env):
            return env, False
        # A package that was unpacked by half would count as installed.
        with venv.filled_whole(env) as keep, suppress(Exception):  # what fails here, Poetry does
            packages = pinned.by_index(self._root, env)
            if packages and all(
                uv.unpack(program, Path(env.python), index, pins, self._cache)
                for index, pins in packages.items()
            ):
                keep()
                return env, True
        return env, False

    def _uses_uv(self) -> bool:
        return self._use_uv and pyproject.describe(self._root).settings.get("uv") is not False

    def _has_first(self) -> bool:
        return venv.groups(self._root).issuperset(FIRST)

    def _compile(self, env: Env) -> None:
        self._packages = Path(env.purelib)
        names = self._resolved.imported() if self._resolved else []
        if names:
            self._compiler = bytecode.begin(Path(env.python), self._packages, names)
            self._open.callback(self._compiler.kill)


def _ago(seconds: float) -> str:
    if seconds < 60:
        return "just now"
    minutes = int(seconds // 60)
    return f"{minutes} min ago" if minutes < 60 else f"{minutes // 60} h ago"
