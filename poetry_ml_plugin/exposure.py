"""Where a project shows credentials: in what git keeps, in what people read, in what is shipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from poetry_ml_plugin import credentials, git, project
from poetry_ml_plugin.project import Project
from poetry_ml_plugin.violations import Violation

# Whose text is searched: what people write into. Data is not, and tests need passwords of their own.
FILES = (".env*", "*.md", "*.toml", "*.sh", "Procfile", "Dockerfile")
FOLDERS = ("build", "configs", "notebooks", "src")
TESTS = "tests"

PARDON = f"If it is none, name the file in [tool.{project.TOOL}] not-secret"
MOVE = (
    "Keep it in the environment or in a vault, and replace it where it is valid. "
    f'{PARDON}, or end the line with "{credentials.PARDON.decode()}".'
)


def in_tree(found: Project) -> list[Violation]:
    """Credentials in the files that git keeps or would keep; without git, in what people write into."""
    tracked, untracked = git.tracked(found.root), git.untracked(found.root)
    names = tracked | untracked or _written(found)
    return [
        violation
        for name in sorted(names)
        for violation in _in_file(found, PurePosixPath(name), name in tracked, name in untracked)
    ]


def in_text(
    found: Project, path: PurePosixPath, content: bytes, where: str = ""
) -> list[Violation]:
    """Credentials in one text, which is at `path` in the project or in an archive of it."""
    if pardoned(found, path):
        return []
    return [
        Violation(f"{where}{path}, line {line}, looks like {kind}", MOVE)
        for line, kind in credentials.search(content, path)
    ]


def pardoned(found: Project, path: PurePosixPath) -> bool:
    """Whether the project says that a file holds no secret, by its path there or in a wheel."""
    paths = path, "src" / path
    return any(path.match(glob) for glob in found.not_secret for path in paths)


def _written(found: Project) -> set[str]:
    paths = [*(found.root / "src").rglob("*"), *found.root.glob("[!.]*")]
    paths += [
        path for folder in ("configs", "notebooks") for path in (found.root / folder).rglob("*")
    ]
    return {found.at(path) for path in paths}


def _in_file(
    found: Project, path: PurePosixPath, tracked: bool, untracked: bool
) -> Iterator[Violation]:
    file = found.root / path
    if TESTS in path.parts or pardoned(found, path) or not file.is_file():
        return
    if credentials.refused(path):
        if tracked:
            yield _tracked(path)
        elif untracked:
            yield _untracked(found, path)
        elif path.parts[0] == "src":
            yield Violation(f"{path} would be shipped", f"Take it out of the package. {PARDON}.")
    elif file.stat().st_size <= credentials.LONGEST and _is_written(path):
        yield from in_text(found, path, file.read_bytes())


def _is_written(path: PurePosixPath) -> bool:
    return path.parts[0] in FOLDERS or any(path.match(glob) for glob in FILES)


def _tracked(path: PurePosixPath) -> Violation:
    return Violation(
        f"{path} is in git, for everybody who has the repository",
        f'Run "git rm --cached {path}", name it in .gitignore, and replace what it holds. {PARDON}.',
    )


def _untracked(found: Project, path: PurePosixPath) -> Violation:
    return Violation(
        f"{path} would be added to git",
        f"Name it in .gitignore. {PARDON}.",
        fix=lambda: project.add_line(found.root / ".gitignore", f"/{path}"),
    )
