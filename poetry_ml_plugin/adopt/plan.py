"""Plan of what `poetry ml init` adds to an existing project, and its application."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from poetry.core.constraints.version import parse_constraint
from poetry.factory import Factory

from poetry_ml_plugin.adopt import declare, inspect, metadata, modules, other_tools, record
from poetry_ml_plugin.adopt.inspect import Existing
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git, index, platforms, staging
from poetry_ml_plugin.project import edit, names, pyproject
from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.project.pyproject import Project
from poetry_ml_plugin.template import find, from_data, render, scaffold, update
from poetry_ml_plugin.template.from_data import Data
from poetry_ml_plugin.template.render import PYPROJECT, File, Template

# What an existing model needs no example of.
SAMPLE_FILES = re.compile(
    r"(README\.md|configs/train\.yaml|data/.*|notebooks/.*|reports/.*|static/.*|tests/.*"
    r"|src/\w+/data\.py|src/\w+/models/(model|schema|train)\.py)$"
)


@dataclass(frozen=True)
class Plan:
    """Additions to a project, and notes about them."""

    root: Path
    names: Names
    files: Mapping[PurePosixPath, File]
    before: bytes
    after: bytes  # of pyproject.toml
    model: str | None  # the package whose model it is, unless the sample's
    kept: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    pins: tuple[tuple[str, str], ...] = ()  # names and versions of what came over as it was pinned

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.files and self.before == self.after

    @property
    def renews(self) -> bool:
        """Whether all there is to do is to record an adopted model's artifacts anew."""
        return bool(self.files) and self.before == self.after


def plan(
    project: Existing, python: str, package: str | None = None, data: Data | None = None
) -> Plan:
    """Plan what `poetry ml init` adds. Raises MLError if the project cannot have it.

    `python` is the interpreter's minor version, like "3.12", for a project that does not name its own.
    `data` is a table to learn from, instead of the sample's.
    """
    ours = pyproject.read(project.root) if project.content else None
    if ours and _has_files(project.root / "src" / ours.package):
        if data:
            raise MLError(
                f"{project.root} has a model already. Put {data.path.name} into data/raw/, and run: "
                f"{data.command}"
            )
        return _of_adopted(project, ours)
    _check(project)
    model = inspect.model_of(project.root)
    own = Names(project.name, _package(project, package or (ours.package if ours else None)))
    if model and data:
        raise MLError(
            f"{project.root} has a model already, that of {model}. Add it without --data."
        )
    word = find.FROM_DATA if data else find.DEFAULT
    template = find.get(word, project.root, project.root)
    rendered = render.plan(own, python, data.description if data else None, template)
    files = dict(_files(project, own, rendered, model))
    files[update.BASE] = update.remember(rendered)[update.BASE]
    if data:
        if (project.root / data.place).exists():
            raise MLError(f"{project.root / data.place} is there already, and was left as it is.")
        files = from_data.add(files, data)
    added = scaffold.missing(files, project.root)
    wish = declare.wish(project, own, python, model, word)
    wish["tool"][pyproject.TOOL]["keep"] = _left_out(rendered, added)
    after = edit.extend(project.content, wish)
    _check_valid(project.root / PYPROJECT, after)
    kept = tuple(str(name) for name in files if name not in added)
    return Plan(
        project.root,
        own,
        added,
        project.content,
        after,
        model,
        kept,
        tuple(_notes(project, own, model, added)),
        tuple((d.name, d.pin) for d in declare.brought(project) if d.pin and not d.url),
    )


def _of_adopted(project: Existing, ours: Project) -> Plan:
    """Plan for a project that has all but, perhaps, what an adopted model's artifacts are now."""
    files = {}
    if content := record.renewed(ours):
        path = PurePosixPath(ours.at(ours.artifacts_dir), "manifest.json")
        files[path] = File(content)
    own = Names(project.name, ours.package)
    model = record.adopted(ours)
    return Plan(project.root, own, files, project.content, project.content, model)


def apply(todo: Plan) -> None:
    """Add what was planned: all of it or, on any failure, nothing.

    Raises MLError where the project has changed since.
    """
    if todo.is_empty:
        return
    path = todo.root / PYPROJECT
    if (path.read_bytes() if path.exists() else b"") != todo.before:
        raise MLError(f"{path} changed in the meantime. Nothing was added. Run the command again.")
    if todo.renews:
        for name, file in todo.files.items():
            (todo.root / name).parent.mkdir(parents=True, exist_ok=True)
            platforms.write_whole(todo.root / name, file.content)
        return
    scaffold.add({**todo.files, PYPROJECT: File(todo.after)}, todo.root)


def take_back(todo: Plan, lock: bytes | None) -> None:
    """Remove what was added, if it was, and what came of it; `lock` is poetry.lock as it was."""
    with platforms.uninterrupted():
        if (todo.root / PYPROJECT).read_bytes() != todo.after:
            return
        staging.remove(todo.root / "src" / todo.names.package)
        for name in todo.files:
            (todo.root / name).unlink(missing_ok=True)
        for folder in sorted({p for name in todo.files for p in name.parents}, reverse=True):
            with contextlib.suppress(OSError):  # it has files of the project's own, or is gone
                (todo.root / folder).rmdir()
        found = ((PYPROJECT, todo.before or None), (PurePosixPath("poetry.lock"), lock))
        for name, content in found:
            if content is None:
                (todo.root / name).unlink(missing_ok=True)
            else:
                platforms.write_whole(todo.root / name, content)


def doubtful(todo: Plan) -> Iterator[str]:
    """Ask the project's package index which pins nothing can be installed of. It may not answer."""
    toml = pyproject.parse(todo.after)
    minors = [
        minor
        for minor in range(_minor(pyproject.LOWEST), _minor(pyproject.NEWEST) + 1)
        if toml.pythons.allows_any(parse_constraint(f"~3.{minor}"))
    ]
    if todo.pins and (found := index.without_wheels(todo.root, todo.after, todo.pins, minors)):
        yield (
            f"No Python from 3.{minors[0]} to 3.{minors[-1]} has a wheel of: "
            + ", ".join(f"{name} {version}" for name, version in found)
        )
        yield "To ask for the pinned versions or later ones, run: poetry ml init --loosen"


def _minor(version: str) -> int:
    return int(version.partition(".")[2])


def diff(todo: Plan) -> Iterator[str]:
    """Yield the plan as a patch for `git apply`, without the binary base of later updates."""
    for name, file in sorted(todo.files.items()):
        if name == update.BASE:
            yield f"# {name} is added too: a copy of the template, for later updates.\n"
            continue
        there = (todo.root / name).read_bytes() if (todo.root / name).is_file() else None
        yield from _file_diff(name, there, file.content, file.executable)
    if todo.after != todo.before:
        yield from _file_diff(PYPROJECT, todo.before or None, todo.after)


def _check(project: Existing) -> None:
    other_tools.refuse(project.root, project.toml)
    if not project.pythons_of_setup.allows_any(parse_constraint(f">={pyproject.LOWEST}")):
        raise MLError(
            f"{metadata.sources(project.root)} of {project.root} allows only Pythons older than "
            f"{pyproject.LOWEST}, which the service needs. Widen python_requires, then run this again."
        )
    if project.toml.is_described and not project.pythons.allows_any(
        parse_constraint(f">={pyproject.LOWEST}")
    ):
        raise MLError(
            f"{project.root / PYPROJECT} allows only Pythons older than {pyproject.LOWEST}, which the service needs. "
            "Widen requires-python, then run this again."
        )


def _check_valid(path: Path, after: bytes) -> None:
    """Raise MLError for what Poetry would refuse, which was there before."""
    errors = Factory.validate(dict(pyproject.parse(after).data))["errors"]
    if errors:
        raise MLError(
            f"{path} is not valid for Poetry: {' '.join(errors)} Correct that, then run this again."
        )


def _package(project: Existing, wish: str | None) -> str:
    """Choose a package name that is still free."""
    base = project.name.replace("-", "_")
    if base[:1].isdigit():  # a distribution may be called so, and a package not
        base = names.suggest(base)
    choices = [base, f"{base}_ml", f"{base}_service"] if wish is None else [names.fit_package(wish)]
    foreign = modules.foreign(project.root, project.toml)
    for package in choices:
        ends = [f"{place}{package}{end}" for place in ("", "src/") for end in ("", ".py")]
        exists = any(_has_files(project.root / end) for end in ends)
        if _fits(package) and not exists and package not in foreign:
            return package
    if choices[0] in foreign:
        raise MLError(
            f"A package {choices[0]} would hide one that the project uses. "
            "Choose another with --package NAME."
        )
    raise MLError(f"The package {choices[0]} already exists. Choose another with --package NAME.")


def _has_files(path: Path) -> bool:
    return path.is_file() or any(found.is_file() for found in path.rglob("*"))


def _fits(package: str) -> bool:
    try:
        names.fit_package(package)
    except MLError:
        return False
    return True


def _left_out(
    rendered: Mapping[PurePosixPath, File], added: Mapping[PurePosixPath, File]
) -> list[str]:
    """List what updates are not to bring either, as `keep` names it: files, and whole folders."""
    left = {name for name, file in rendered.items() if added.get(name) != file}
    whole = {n.parts[0] for n in left} - {n.parts[0] for n in rendered.keys() - left}
    return sorted({n.parts[0] if n.parts[0] in whole else str(n) for n in left} - {"data"})


def _files(
    project: Existing, own: Names, rendered: Mapping[PurePosixPath, File], model: str | None
) -> Iterator[tuple[PurePosixPath, File]]:
    """Yield the template's files that fit into an existing project."""
    has_readme = any(project.root.glob("[Rr][Ee][Aa][Dd][Mm][Ee]*"))
    for name, file in rendered.items():
        if name in (PYPROJECT, PurePosixPath(".python-version")):
            continue
        if (model and SAMPLE_FILES.match(str(name))) or (has_readme and str(name) == "README.md"):
            continue
        if name.name == ".gitkeep" and (project.root / name.parent).exists():
            continue
        yield name, file
    if model:
        content = record.manifest(project.root, model)
        yield PurePosixPath("src", own.package, "artifacts", "manifest.json"), File(content)
        for kind in ("adopted", "whisk") if inspect.is_whisk(project.root) else ("adopted",):
            template = Template(render.read(render.template_dir(kind)), render.TEMPLATE)
            yield from render.rename(template, own, {"existing_model": model}).items()


def _notes(
    project: Existing, own: Names, model: str | None, added: Iterable[PurePosixPath]
) -> Iterator[str]:
    if model:
        yield f"{model} already has a model, which is served unchanged."
        if inspect.is_whisk(project.root):
            yield "POST /predict answers with the predictions alone, as whisk's service did."
        yield _recorded(record.find(project.root, model), model)
    if hidden := git.ignored(project.root, map(str, added)):
        yield f"git ignores {', '.join(hidden)}: to commit any of them, use git add --force."
    if project.loose and (pins := declare.pins(project)):
        changes = ", ".join(f"{d.name} {d.versions} to {d.loosened().versions}" for d in pins)
        yield f"Loosened: {changes}."
    yield from declare.doubts(project, model)
    if not project.toml.is_package:
        yield f"package-mode is off: run the package with PYTHONPATH=src python -m {own.package}"
    if not project.toml.is_described and metadata.sources(project.root):
        yield from _of_setup(project)
    yield from other_tools.notes(project.root, project.toml)


def _of_setup(project: Existing) -> Iterator[str]:
    computed, left = project.computed, metadata.left(project.root)
    files = metadata.sources(project.root)
    if computed:
        yield (
            f"Not read from {files}, where it is computed: {', '.join(computed)}. "
            "Write it into pyproject.toml yourself."
        )
    if left:
        yield f"pyproject.toml has no place for these arguments of {files}: {', '.join(left)}."
    when = "once you have moved that" if computed or left else "when you agree"
    yield f"Poetry does not read {files}: delete the project's description there {when}."


def _recorded(entries: record.Entries, model: str) -> str:
    if not entries:
        return f"{model} has no artifacts, and the manifest says so."
    away = [name for name, entry in entries.items() if not entry]
    if away:
        return (
            f"Not here yet: {', '.join(away)}. Fetch them, then record them with: poetry ml init. "
            "Until then the package cannot be built."
        )
    return f"Recorded in the manifest: {', '.join(entries)}."


def _file_diff(
    name: PurePosixPath, before: bytes | None, after: bytes, executable: bool = False
) -> Iterator[str]:
    yield f"diff --git a/{name} b/{name}\n"
    if before is None:
        yield f"new file mode {'100755' if executable else '100644'}\n"
    old, new = (
        re.findall(r"[^\n]*\n|[^\n]+", text.decode(errors="replace"))
        for text in (before or b"", after)
    )
    source = "/dev/null" if before is None else f"a/{name}"
    for line in difflib.unified_diff(old, new, source, f"b/{name}"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
