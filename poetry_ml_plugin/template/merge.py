"""Merge of a template's changes into a project, by git."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git
from poetry_ml_plugin.template.render import File

Files = Mapping[PurePosixPath, File]

# What git's status calls a path that it could not merge.
CONFLICTS = {
    "UU": "you and the template changed the same lines",
    "AA": "you and the template added it",
    "UD": "you changed it, the template removed it",
    "DU": "you removed it, the template changed it",
    "AU": "you moved it, the template did otherwise",
    "UA": "you moved its folder, or removed what the template moved",
    "DD": "you and the template moved it to different places",
}
CHANGES = {"A": "added", "M": "changed", "D": "removed", "T": "changed"}

# The commits that stand for the template are nobody's, and belong to no branch.
AUTHOR = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "poetry-ml-plugin"), ("EMAIL", "poetry-ml-plugin@localhost"))
}
OLDEST_GIT = (2, 30)
SKIP_LFS = {"GIT_LFS_SKIP_SMUDGE": "1"}  # a preview needs no large files


@dataclass(frozen=True)
class Outcome:
    """Changes and conflicts of a merge, by path."""

    changes: dict[str, str]
    conflicts: dict[str, str]
    removed: tuple[str, ...] = ()  # by the user, changed by the template: they stay removed


def check(root: Path) -> None:
    """Require a clean checkout to merge into. Raises MLError otherwise."""
    if not git.available():
        raise MLError("git is not installed, and updates are merged with git. Install git first.")
    if git.version(root) < OLDEST_GIT:
        raise MLError(f"git is too old. Install {'.'.join(map(str, OLDEST_GIT))} or newer.")
    repository = git.outer_repository(root)
    if repository is None:
        raise MLError(
            f"{root} is not in a git repository, which an update needs to merge. "
            'Create one with: git init && git add --all && git commit -m "Start the project"'
        )
    if git.code(root, "rev-parse", "--verify", "--quiet", "HEAD:./pyproject.toml") != 0:
        raise MLError(f"{root} has no commit yet. Commit it first: git add --all && git commit")
    if dirty := git.uncommitted(root):
        raise MLError(
            "\n  ".join([f"{repository} has changes that are not committed:", *dirty])
            + '\nCommit them first, or stash them with "git stash".'
        )


def preview(root: Path, base: Files, new: Files) -> Outcome:
    """Find out what `apply` would do, in a temporary repository.

    What the user removed stays removed: it is left out of both sides, unless git finds that it was
    moved. Raises MLError that names each untracked file which the merge would have to overwrite.
    """
    outcome, in_the_way = _try(root, base, new)
    paths = (path for path, why in outcome.conflicts.items() if why == CONFLICTS["DU"])
    removed = tuple(sorted(path for path in paths if PurePosixPath(path) in new))
    if removed:
        outcome, in_the_way = _try(root, without(base, removed), without(new, removed))
    if in_the_way:
        raise MLError(
            "Untracked files are in the way of the template's files:"
            + "".join(f"\n  {path}" for path in in_the_way)
            + "\nMove or commit them, and try again. Nothing was changed."
        )
    return replace(outcome, removed=removed)


def without(files: Files, removed: Collection[str]) -> Files:
    """Leave files out."""
    return {path: file for path, file in files.items() if str(path) not in removed}


def _try(root: Path, base: Files, new: Files) -> tuple[Outcome, list[str]]:
    """Merge in a temporary repository. Return the outcome, and the untracked files in its way."""
    objects = git.ask(root, "rev-parse", "--git-path", "objects").strip()
    kind = git.ask(root, "rev-parse", "--show-object-format").strip()
    tree = git.ask(root, "rev-parse", "HEAD:./").strip()
    with tempfile.TemporaryDirectory(prefix="poetry-ml-") as folder:
        lab = Path(folder)
        git.ask(lab, "init", "--quiet", "--template=", f"--object-format={kind}")
        (lab / ".git/objects/info/alternates").write_text(
            f"{(root / objects).resolve().as_posix()}\n"
        )
        then = _commit(lab, _tree(lab, base, None))
        ours = _commit(lab, tree)
        now = _commit(lab, _tree(lab, new, None), then)
        git.ask(lab, "checkout", "--quiet", "--detach", ours, env=SKIP_LFS, timeout=600)
        _pick(lab, now)
        outcome = _outcome(lab)
        known = set(git.ask(lab, "ls-tree", "-rz", "--name-only", ours).split("\0"))
        written = [path for path in outcome.changes if outcome.changes[path] != CHANGES["D"]]
        written += [path for path in outcome.conflicts if (lab / path).exists()]
    found = {_in_the_way(root, path, known) for path in written}
    return outcome, sorted(found - {""})


def apply(root: Path, base: Files, new: Files, title: str) -> Outcome:
    """Merge into the checkout and its index, without a commit. Conflicts stand in the files as git's.

    Git has no command that merges onto a base which is not in the history, except that picking a commit
    takes the commit's parent for one: so the old rendering becomes a commit, the new one its child, and
    that is picked. What lies beside the project in its repository is the same in both.
    """
    then = _commit(root, _tree(root, base, "HEAD"))
    now = _commit(root, _tree(root, new, "HEAD"), then, title)
    _pick(root, now)
    return _outcome(root)


def _pick(repository: Path, commit: str) -> None:
    words = ["cherry-pick", "--no-commit", commit]
    if git.code(repository, *words) != 0 and not _outcome(repository).conflicts:
        git.ask(repository, *words)  # it was no conflict: fail with git's own words


def _outcome(folder: Path) -> Outcome:
    said = git.ask(
        folder, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", "--", "."
    )
    prefix = git.ask(folder, "rev-parse", "--show-prefix").strip()
    states = {entry[3:].removeprefix(prefix): entry[:2] for entry in said.split("\0") if entry}
    return Outcome(
        {p: CHANGES.get(s[0], "changed") for p, s in states.items() if s not in CONFLICTS},
        {p: CONFLICTS[s] for p, s in states.items() if s in CONFLICTS},
    )


def _in_the_way(root: Path, path: str, known: set[str]) -> str:
    """Find an untracked file at a path or at a parent of it; empty if there is none."""
    if path in known:
        return ""
    for place in (*reversed(PurePosixPath(path).parents), PurePosixPath(path)):
        there = root / place
        if not os.path.lexists(there):
            return ""
        if str(place) not in known and (str(place) == path or not there.is_dir()):
            return str(place)
    return ""


def _tree(repository: Path, files: Files, beside: str | None) -> str:
    """Write a tree with these files as the project, and all else that `beside` has."""
    with tempfile.TemporaryDirectory(prefix="poetry-ml-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        prefix = git.ask(repository, "rev-parse", "--show-prefix").strip()
        if prefix and beside:
            git.ask(repository, "read-tree", beside, env=env)
            git.ask(repository, "rm", "-rfq", "--cached", "--ignore-unmatch", "--", ".", env=env)
        blobs = _blobs(repository, [file.content for file in files.values()], Path(folder))
        entries = (
            f"{'100755' if file.executable else '100644'} {blob}\t{prefix}{path}\0"
            for (path, file), blob in zip(files.items(), blobs, strict=True)
        )
        git.ask(repository, "update-index", "-z", "--index-info", given="".join(entries), env=env)
        return git.ask(repository, "write-tree", env=env).strip()


def _blobs(repository: Path, contents: list[bytes], folder: Path) -> list[str]:
    paths = [folder / f"{n}.blob" for n, _ in enumerate(contents)]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    given = "".join(f"{path}\n" for path in paths)
    words = ("hash-object", "-w", "--no-filters", "--stdin-paths")
    return git.ask(repository, *words, given=given).split()


def _commit(repository: Path, tree: str, parent: str = "", title: str = "template") -> str:
    parents = ["-p", parent] if parent else []
    return git.ask(repository, "commit-tree", tree, *parents, "-m", title, env=AUTHOR).strip()
