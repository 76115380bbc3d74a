"""First steps of a new project: lock, install, train, predict, commit."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git, venv
from poetry_ml_plugin.host.processes import Tell as Tell
from poetry_ml_plugin.host.processes import follow
from poetry_ml_plugin.project import notebooks
from poetry_ml_plugin.project.pyproject import Project
from poetry_ml_plugin.template.environment import Environment

MESSAGE = "Start the project"


class Skipped(Exception):
    """A step had to be left out: why, and how to do it later."""


@dataclass(frozen=True)
class Step:
    """One thing to do: `run` is given a function for what it has to say on the way, and returns a summary."""

    title: str
    run: Callable[[Tell], str]
    resume: str = ""  # the command that does this step, and those after it, by hand
    needed: Callable[[], bool] = lambda: True  # asked when its turn comes, and not before


def environment_steps(environment: Environment, train: bool) -> list[Step]:
    """Lock, install, train, predict: each needs the one before it."""
    project = environment.project
    steps = installation_steps(environment, train)
    if train:
        steps += [
            Step("Train the model", lambda tell: _train(project, tell), "poetry ml train"),
            prediction_step(environment),
            rest_step(environment),
        ]
    return steps


def installation_steps(environment: Environment, train: bool) -> list[Step]:
    """Lock and install: with the model to be trained next, or not."""
    return [
        Step("Lock the dependencies", environment.lock, "poetry install"),
        Step("Install them", lambda tell: environment.install(tell, train), "poetry install"),
    ]


def prediction_step(environment: Environment) -> Step:
    """Predict with the trained model, after which all is known that a training imports."""

    def predict(tell: Tell) -> str:
        said = _predict(environment.project, tell)
        environment.remember()
        return said

    return Step("Predict with it", predict, "poetry ml train")


def rest_step(environment: Environment) -> Step:
    """Wait for what is not needed to train."""
    return Step(
        "Install the rest", environment.rest, "poetry install", lambda: environment.has_rest
    )


def repository_steps(project: Project, files: Collection[str]) -> tuple[Step, Step]:
    """Make a git repository, and later its first commit, which has all of these files."""
    commit = f'git add --all && git commit -m "{MESSAGE}"'
    return (
        Step(
            "Start a git repository",
            lambda tell: start_repository(project.root, files),
            "git init",
        ),
        Step("Make the first commit", lambda tell: first_commit(project, files), commit),
    )


def start_repository(root: Path, files: Collection[str] = ()) -> str:
    """Make the project a git repository. Raises Skipped where it cannot or should not be one."""
    if not git.available():
        raise Skipped("git is not installed. Install it, then run: git init")
    if outer := git.outer_repository(root):
        hidden = git.ignored(root, files)
        force = f"; and, since a rule has git ignore them: git add --force {' '.join(hidden)}"
        raise Skipped(
            f"it lies in the repository {outer}. Commit it there with: git add {root}"
            + (force if hidden else "")
        )
    git.init(root)
    return ""


def first_commit(project: Project, files: Collection[str] = ()) -> str:
    """Commit everything, these files and the artifacts even where a rule has git ignore them.

    Raises Skipped where git does not know who commits.
    """
    artifacts = (path for path in project.artifacts_dir.rglob("*") if path.name[0] != ".")
    made = {*files, "poetry.lock", *map(project.at, artifacts)}
    ours = sorted(name for name in made if (project.root / name).is_file())
    if not git.has_identity(project.root):
        hidden = git.ignored(project.root, ours)
        force = f"git add --force {' '.join(hidden)} && " if hidden else ""
        raise Skipped(
            "git does not know who you are. Tell it with: git config --global user.name NAME; "
            "git config --global user.email ADDRESS; then commit with: "
            f'git add --all && {force}git commit -m "{MESSAGE}"'
        )
    if (project.root / "poetry.lock").is_file():  # else nothing is installed, and none need look
        with suppress(MLError):  # of a project that has no use for it: `check` tells
            notebooks.strip_outputs(project.root)
    git.commit_all(project.root, MESSAGE, ours)
    return ""


def _train(project: Project, tell: Tell) -> str:
    follow(_verb(project, "train"), project.root, tell)
    metrics = json.loads((project.artifacts_dir / "manifest.json").read_bytes())["run"]["metrics"]
    return ", ".join(f"{k} {v:.3f}" for k, v in metrics.items() if isinstance(v, float))


def _predict(project: Project, tell: Tell) -> str:
    said = follow(_verb(project, "predict", "--example"), project.root, tell)
    answers = said[said.index("[") :]  # a library may have had something to say before
    return json.dumps(json.loads("\n".join(answers))[0])


def run_tests(project: Project, tell: Tell) -> str:
    """Run the project's own tests, and return pytest's last line."""
    python = _verb(project)[0]
    return follow([python, "-m", "pytest", "-q", "-p", "no:cacheprovider"], project.root, tell)[-1]


def run_verb(project: Project, tell: Tell, *words: str) -> list[str]:
    """Run a verb of the project, and return the lines that it prints."""
    return follow(_verb(project, *words), project.root, tell)


def _verb(project: Project, *words: str) -> list[str]:
    env = venv.find(project.root)
    if env is None:
        raise MLError(f'{project.root} is not installed. Run "poetry install" there.')
    return [str(env.python), "-m", project.package, *words]
