"""What is to be kept by DVC: whether it can be, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git, platforms

MANY = 1_000  # files of a folder
SMALL = 1_000_000  # bytes of each of them, on average


def check(root: Path, paths: Sequence[Path]) -> None:
    """Raise MLError that names what is not there, not in the project, or kept by git already."""
    for path in paths:
        if not path.exists():
            raise MLError(f"{path} does not exist. Nothing was added.")
        if not path.resolve().is_relative_to(root.resolve()):
            raise MLError(f"{path} is outside {root}. Copy it into data/ first. Nothing was added.")
    known = git.tracked(root)
    for path in paths:
        name = path.relative_to(root).as_posix()
        if name in known or any(each.startswith(f"{name}/") for each in known):
            again = platforms.quoted(name)
            raise MLError(
                f"{name} is kept by git, and can be kept by one of them only. Run: git rm -r --cached "
                f"{again}; then again: poetry ml data add {again}"
            )


def advice(path: Path) -> str:
    """Say where a folder would be better as an archive; empty where it is well as it is."""
    if not path.is_dir():
        return ""
    sizes = [each.stat().st_size for each in path.rglob("*") if each.is_file()]
    if len(sizes) < MANY or sum(sizes) > SMALL * len(sizes):
        return ""
    mean = sum(sizes) / len(sizes) / 1000
    name = platforms.quoted(path.name)
    return (
        f"{path.name} has {len(sizes):,} files of {mean:,.1f} KB on average, each of which is one "
        f"request to the remote. An archive is faster: tar -czf {name}.tar.gz {name}"
    )


def written(root: Path, paths: Iterable[Path]) -> list[Path]:
    """List the files that git is to have: the hashes, the rules that ignore the data, DVC's settings."""
    made = {
        found
        for path in paths
        for found in (path.with_name(f"{path.name}.dvc"), path.parent / ".gitignore")
    }
    new = {
        root / name for name in git.untracked(root) if name.split("/")[0] in (".dvc", ".dvcignore")
    }
    return sorted(made | new)
