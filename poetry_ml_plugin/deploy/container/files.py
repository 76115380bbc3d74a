"""The files of a target: rendered from templates, shown where they differ, written whole."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from poetry_ml_plugin.deploy.container.values import TEMPLATE, Values
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git, inside, platforms
from poetry_ml_plugin.template.render import template_dir

Files = dict[str, str]

RECORD = ".poetry-ml-deploy.json"


@dataclass(frozen=True)
class Change:
    """A change of one file: `old` is its present content, None if there is no file.

    `base` is what was generated when it was written last, None if that is not known.
    """

    name: str
    old: str | None
    new: str
    base: str | None = None

    @property
    def untouched(self) -> bool:
        """Whether the present content is as it was generated."""
        return self.old is None or self.old == self.base

    @property
    def merged(self) -> str | None:
        """The user's changes and the generator's in one text; None where they collide."""
        if self.old is None or self.base is None:
            return None
        return git.merged(self.old, self.base, self.new)

    @property
    def diff(self) -> str:
        """What writing it would change, line by line."""
        old, new = (text.splitlines() for text in (self.old or "", self.new))
        return "\n".join(difflib.unified_diff(old, new, self.name, "as generated", lineterm=""))


def render(name: str, values: Values, **others: str) -> str:
    """Render a template for a project, replacing all words at once; `others` adds more."""
    words = {**_words(values), **others}
    text = (template_dir("deploy") / name).read_text(encoding="utf-8")
    pattern = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.sub(pattern, lambda found: words[found[0]], text)


def changes(root: Path, planned: Mapping[str, str]) -> list[Change]:
    """List what the planned files would change.

    Raises MLError for one that cannot be read, or that a link leads out of the project.
    """
    for name in planned:
        inside.resolve(root / name, root)
    bases = generated(root)
    found = [
        Change(name, _read(root / name), text, bases.get(name)) for name, text in planned.items()
    ]
    return [change for change in found if change.old != change.new]


def generated(root: Path) -> Files:
    """Read what was generated for each file, which tells the user's changes from those of settings."""
    try:
        found = json.loads((root / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    known = found.items() if isinstance(found, dict) else ()
    return {name: text for name, text in known if isinstance(text, str)}


def record(root: Path, planned: Mapping[str, str]) -> None:
    """Note what was generated, beside what was before."""
    before = generated(root)
    if (after := {**before, **planned}) != before:
        text = json.dumps(dict(sorted(after.items())), indent=1, ensure_ascii=False) + "\n"
        write(root, Change(RECORD, None, text))


def write(root: Path, change: Change) -> None:
    """Put a file in its place, whole. Raises MLError where that cannot be."""
    path = root / change.name
    inside.resolve(path, root)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        platforms.write_whole(path, change.new.encode())
    except OSError as error:
        raise MLError(f"{path} cannot be written: {error.strerror}.") from error


def _words(values: Values) -> dict[str, str]:
    said = zip(_phrases(TEMPLATE), _phrases(values), strict=True)
    return dict(said)


def _phrases(values: Values) -> tuple[str, ...]:
    """List how a template writes each value; no phrase may occur anywhere else in it."""
    return (
        values.name,
        values.package,
        values.package.upper(),
        f"poetry=={values.poetry}",
        f"terminationGracePeriodSeconds: {values.grace}",
        f"maxShutdownDelaySeconds: {min(values.grace, 300)}",
        f"kill_timeout = {min(values.grace, 300)}",
        f"minReplicas: {values.replicas}",
        f"maxReplicas: {values.max_replicas}",
        f'minScale: "{values.replicas}"',
        f'maxScale: "{values.max_replicas}"',
        f"cpu: {values.cpu}",
        f"memory: {values.memory}",
        f"mem_limit: {values.mebibytes}m",
        f"stop_grace_period: {values.grace}s",
        f'memory = "{values.mebibytes}mb"',
    )


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise MLError(f"{path} cannot be read: {error}. Move it away first.") from error
