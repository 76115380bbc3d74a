"""Calls of git, none of which runs a program that a repository names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from poetry_ml_plugin.errors import MLError

# A repository may come from a stranger: its monitor and its hooks are programs, and a committed folder
# that looks like a repository without a work tree would have a configuration of its own.
SAFE = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "safe.bareRepository": "explicit",
}
# What a caller, such as a hook, says of its own repository would lead to that one instead.
ELSEWHERE = frozenset(
    [
        *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE"),
        *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_PREFIX"),
    ]
)


def available() -> bool:
    """Tell whether git is installed."""
    return shutil.which("git") is not None


def version(folder: Path) -> tuple[int, ...]:
    """Git's own version, as (2, 39)."""
    found = re.search(r"(\d+)\.(\d+)", ask(folder, "--version"))
    return tuple(map(int, found.groups())) if found else ()


def outer_repository(folder: Path) -> Path | None:
    """Find the repository that a folder is in, or None."""
    done = _run(folder, "rev-parse", "--show-toplevel")
    return Path(done.stdout.strip()) if done.returncode == 0 else None


def ignored(folder: Path, names: Iterable[str]) -> list[str]:
    """List which of these paths git ignores; none outside a repository."""
    return sorted(ignoring(folder, names))


def ignoring(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Map each of these paths that git ignores to the rule, as '"models/" in .gitignore, line 5'."""
    if not available():
        return {}
    given = "".join(f"{name}\0" for name in names)
    said = _run(folder, "check-ignore", "--verbose", "-z", "--stdin", given=given).stdout
    parts = iter(said.split("\0")[:-1])
    return {
        name: f'"{pattern}" in {source}, line {line}'
        for source, line, pattern, name in zip(parts, parts, parts, parts, strict=True)
    }


def has_identity(folder: Path) -> bool:
    """Tell whether git knows the author of a commit."""
    return _run(folder, "var", "GIT_AUTHOR_IDENT").returncode == 0


def revision(folder: Path, names: list[str]) -> str:
    """Return the checkout's commit, marked "-dirty" if these files differ from it; empty without one."""
    if not available():
        return ""
    head = _run(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    changed = _run(folder, "status", "--porcelain", "--", *names).stdout
    return head.stdout.strip() + "-dirty" * bool(head.stdout and changed)


def init(folder: Path) -> None:
    """Make an empty repository. Raises MLError with git's own words where it cannot."""
    _must(folder, "init", "--quiet")


def commit_all(folder: Path, message: str, ours: Iterable[str] = ()) -> None:
    """Commit every file that git does not ignore, and those that are `ours` even where it does.

    Raises MLError with git's own words where it cannot.
    """
    _must(folder, "add", "--all")
    if hidden := ignored(folder, ours):
        _must(folder, "--literal-pathspecs", "add", "--force", "--", *hidden)
    _must(folder, "commit", "--quiet", "--message", message)


def tracked(folder: Path) -> set[str]:
    """List the files in a folder that git tracks, by their paths there."""
    return _files(folder, "--cached")


def untracked(folder: Path) -> set[str]:
    """List the files in a folder that git neither tracks nor ignores."""
    return _files(folder, "--others", "--exclude-standard")


def sizes(folder: Path) -> dict[str, int]:
    """Return the bytes that git itself stores for each tracked file: few if LFS has the rest."""
    staged = _run(folder, "ls-files", "-z", "--stage").stdout.split("\0")[:-1]
    entries = [line.split("\t", 1) for line in staged]
    objects = "".join(f"{facts.split()[1]}\n" for facts, _ in entries)
    said = _run(folder, "cat-file", "--batch-check=%(objectsize)", given=objects).stdout
    return {
        name: int(size)
        for (_, name), size in zip(entries, said.splitlines(), strict=False)
        if size.isdigit()  # not of a submodule
    }


def uncommitted(folder: Path) -> list[str]:
    """List the tracked files of the whole repository that differ from its last commit."""
    said = ask(folder, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=no")
    return [entry[3:] for entry in said.split("\0") if entry]


def merged(mine: str, base: str, theirs: str) -> str | None:
    """Merge two changes of a text; None where they collide, or there is no git to do it."""
    if not available():
        return None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in (("mine", mine), ("base", base), ("theirs", theirs)):
            (folder / file).write_bytes(text.encode())
        done = _run(folder, "merge-file", "--stdout", "mine", "base", "theirs")
    return done.stdout if done.returncode == 0 else None


def ask(
    folder: Path,
    *words: str,
    given: str = "",
    env: Mapping[str, str] | None = None,
    timeout: float = 60,
) -> str:
    """Run git, and return what it prints. Raises MLError with its own words if it fails."""
    return _must(folder, *words, given=given, timeout=timeout, env=env).stdout


def code(folder: Path, *words: str) -> int:
    """Run git, and return its exit code, which some commands answer with."""
    return _run(folder, *words).returncode


@contextmanager
def safely() -> Iterator[None]:
    """Have the calls of git that Poetry makes within this process be as safe as ours."""
    before = dict(os.environ)
    count = int(before.get("GIT_CONFIG_COUNT") or 0)
    for n, (key, value) in enumerate(SAFE.items(), count):
        os.environ[f"GIT_CONFIG_KEY_{n}"], os.environ[f"GIT_CONFIG_VALUE_{n}"] = key, value
    os.environ["GIT_CONFIG_COUNT"] = str(count + len(SAFE))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _files(folder: Path, *options: str) -> set[str]:
    if not available():
        return set()
    return set(_run(folder, "ls-files", "-z", *options).stdout.split("\0")) - {""}


def _must(folder: Path, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    done = _run(folder, *words, **options)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        # What went wrong stands in the first such line, which advice may follow.
        told = [line for line in said if line.startswith(("fatal: ", "error: "))] or said[-1:]
        verb = next((word for word in words if word[0] != "-" and "=" not in word), words[0])
        raise MLError(f"git {verb} failed: {told[0] if told else done.returncode}")
    return done


def _run(
    folder: Path,
    *words: str,
    given: str = "",
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if key not in ELSEWHERE}
    safe = [word for pair in SAFE.items() for word in ("-c", "=".join(pair))]
    try:
        return subprocess.run(
            ["git", *safe, *words],
            cwd=folder,
            env={**inherited, **(env or {})},
            input=given,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MLError(f"git did not finish within {timeout:.0f} s. Try again.") from None
