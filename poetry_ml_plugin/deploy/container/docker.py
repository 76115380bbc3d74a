"""The image of a project's service: its files, what goes in, what it is called."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from poetry_ml_plugin.audit import artifacts, code, credentials, leaks
from poetry_ml_plugin.audit.facts import ProjectFacts
from poetry_ml_plugin.audit.problems import Problem, listing
from poetry_ml_plugin.deploy import TARGETS, readiness
from poetry_ml_plugin.deploy.container import registry
from poetry_ml_plugin.deploy.container.files import Files, render
from poetry_ml_plugin.deploy.container.values import TEMPLATE, Values, serve_setting
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.pyproject import PyProject

if TYPE_CHECKING:
    from poetry_ml_plugin.project.pyproject import Project

Digest = Callable[[str, str], str | None]

KINDS = ("json", "toml", "yaml", "yml")

# What never goes in, wherever it lies. Builders know no more of patterns than * and ?, and what is
# called credentials, or secrets.py, may be code.
NEVER = (
    *(
        name.replace("[-_]", "?")
        for name in credentials.NAMES
        if not name.endswith(".*") and "credentials" not in name
    ),
    *sorted(credentials.FOLDERS),
    *(f"{name}.{kind}" for name in ("secrets", "credentials") for kind in KINDS),
    *(".venv", "venv", "__pycache__", "*.pyc", "*.ipynb"),
)
SERVE = "configs/serve.yaml"


def plan(
    project: Project, values: Values, resolve: Digest = registry.digest, anew: bool = False
) -> Files:
    """Render the Dockerfile and .dockerignore of a project.

    Its base keeps the digest that a Dockerfile in place gives it, unless it is to be planned `anew`;
    else `resolve` is asked for one.
    """
    tag = f"{values.python}-slim"
    pinned = _pinned(project.root, tag)
    digest = pinned if pinned and not anew else resolve("library/python", tag) or pinned
    others = {f"python:{TEMPLATE.python}-slim": f"python:{tag}" + (f"@{digest}" if digest else "")}
    dockerfile = render("Dockerfile", values, **others)
    if not (project.root / SERVE).is_file():
        dockerfile = dockerfile.replace(f"COPY {SERVE} configs/\n", "")
    return {"Dockerfile": dockerfile, ".dockerignore": ignore(sources(project))}


def sources(project: Project) -> list[str]:
    """List the files and folders that an image is built from. Raises MLError for odd names."""
    toml = pyproject.describe(project.root)
    named = {"pyproject.toml", "poetry.lock", *toml.documents, *_code(toml)}
    named |= {path.name for path in project.root.glob("LICEN[CS]E*")}
    if (project.root / SERVE).is_file():
        named.add(SERVE)
    paths = sorted({PurePosixPath(name) for name in named})
    names = [path.as_posix() for path in paths if not set(path.parents) & set(paths)]
    if odd := [name for name in names if not _fit(name)]:
        raise MLError(
            f"pyproject.toml names {', '.join(map(repr, odd))}, which an image cannot contain: "
            "use relative paths of letters, digits, dots, dashes and underscores."
        )
    return names


def ignore(names: list[str]) -> str:
    """Write a .dockerignore that lets in these names only."""
    return "\n".join(
        [
            "# Only what the image is made of is sent to the builder,",
            "*",
            *(f"!{name}" for name in names),
            "",
            "# without credentials and leftovers.",
            *(f"**/{pattern}" for pattern in NEVER),
            "",
        ]
    )


def context(project: Project) -> Iterator[str]:
    """Yield every file that .dockerignore lets in, as a path in the project."""
    for name in sources(project):
        for path in sorted(project.root.glob(name)):
            if path.is_dir():
                yield from sorted(_walk(project.root, path))
            else:
                yield path.relative_to(project.root).as_posix()


def left_behind(project: Project, anew: bool = False) -> list[Problem]:
    """Find modules that the package imports and the builder would not be sent.

    A .dockerignore in place counts, unless it is to be written `anew`.
    """
    written = project.root / ".dockerignore"
    text = (
        written.read_text(encoding="utf-8", errors="replace")
        if written.is_file() and not anew
        else ignore(sources(project))
    )
    package = project.artifacts_dir.parent
    modules = {project.at(package / path): path for path in code.imported(project)}
    return [
        Problem(
            f"{name}, which the package imports, would not be in the image: .dockerignore leaves it out",
            "Rename it, or change that file."
            if written.is_file()
            else "Give it a name that is not a credential's, or an environment's.",
        )
        for name in modules
        if ignored(text, name)
    ]


def ignored(text: str, name: str) -> bool:
    """Tell whether a .dockerignore leaves out a file: the last pattern that fits it, or a parent, counts."""
    path = PurePosixPath(name)
    places = [str(path), *map(str, path.parents[:-1])]
    left_out = False
    for line in text.splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#"):
            fits = re.compile(_regex(pattern.removeprefix("!").strip().strip("/")))
            if any(fits.fullmatch(place) for place in places):
                left_out = not pattern.startswith("!")
    return left_out


def verify(project: Project, anew: bool = False) -> None:
    """Refuse an image that would not work or would hold secrets. Raises MLError with all problems."""
    problems = list(readiness.ready(TARGETS["docker"], ProjectFacts(project)))
    problems += left_behind(project, anew)
    problems += leaks.in_tree(project)
    known = git.tracked(project.root) | git.untracked(project.root)  # which were searched already
    problems += leaks.in_files(project, set(context(project)) - known if known else ())
    if serve_setting(project.root, "api_keys"):
        what = f"{SERVE} contains api_keys, which would be part of the image"
        hint = f"Set ${project.package.upper()}_SERVE_API_KEYS where the image runs instead."
        problems.append(Problem(what, hint))
    if problems:
        raise MLError(f"The image was not built. Fix these problems first:\n{listing(problems)}")


def reference(project: Project, values: Values) -> str:
    """Name the image. Its tag is the version and a hash of the sources, so it never moves."""
    hashed = hashlib.sha256()
    for name in [*context(project), "Dockerfile", ".dockerignore"]:
        path = project.root / name
        hashed.update(f"{name}\0{path.is_symlink()}\0".encode())
        hashed.update(_settings(project) if name == "pyproject.toml" else _sha256(path))
    return f"{values.image}:{values.version.replace('+', '_')}-{hashed.hexdigest()[:12]}"


def labels(project: Project, values: Values) -> dict[str, str]:
    """Label an image with its origin: version, commit, and the artifacts' hashes."""
    hashes = {name: entry.sha256 for name, entry in artifacts.listed(project).items()}
    said = {
        "org.opencontainers.image.title": values.name,
        "org.opencontainers.image.version": values.version,
        "org.opencontainers.image.revision": git.revision(project.root, sources(project)),
        "poetry-ml-plugin.artifacts": json.dumps(hashes, sort_keys=True),
    }
    return {name: value for name, value in said.items() if value}


def _pinned(root: Path, tag: str) -> str | None:
    path = root / "Dockerfile"
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    found = re.search(rf"(?m)^FROM python:{re.escape(tag)}@(sha256:[0-9a-f]{{64}})\b", text)
    return found[1] if found else None


def _code(toml: PyProject) -> Iterator[str]:
    """Yield the folders and files that Poetry packs."""
    for entry in toml.packages or [{"include": "src"}]:
        yield str(entry.get("from") or _fixed(str(entry["include"])))
    for entry in toml.includes:
        path = _fixed(str(entry["path"] if isinstance(entry, dict) else entry))
        if path != ".":
            yield path
    if toml.build_script:
        yield toml.build_script


def _fixed(pattern: str) -> str:
    """Return the part of a path before its first wildcard."""
    parts = PurePosixPath(pattern).parts
    wild = next((n for n, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
    return PurePosixPath(*parts[:wild]).as_posix()


def _fit(name: str) -> bool:
    path = PurePosixPath(name)
    plain = re.fullmatch(r"[A-Za-z0-9_.*?\[\]/-]+", name)
    return bool(plain) and name != "." and not path.is_absolute() and ".." not in path.parts


def _walk(root: Path, folder: Path) -> Iterator[str]:
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _never(name)]
        for name in names:
            if not _never(name):
                yield (Path(here) / name).relative_to(root).as_posix()


def _regex(pattern: str) -> str:
    """Translate a pattern of .dockerignore, where ** stands for any number of folders."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.findall(r"\*\*/|\*\*|\*|\?|\[[^]]+\]|.", pattern.removeprefix("./"))
    return "".join(
        parts.get(piece) or (piece if piece[0] == "[" and piece[1:] else re.escape(piece))
        for piece in pieces
    )


def _never(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in NEVER)


def _settings(project: Project) -> bytes:
    """Hash what pyproject.toml says, without where to deploy to: that is not in the image."""
    said = dict(pyproject.describe(project.root).data)
    tools = pyproject.table(said, "tool")
    own = {
        key: value
        for key, value in pyproject.table(tools, pyproject.TOOL).items()
        if key != "deploy"
    }
    said["tool"] = {**tools, pyproject.TOOL: own}
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).digest()


def _sha256(path: Path) -> bytes:
    if path.is_symlink():
        return hashlib.sha256(str(path.readlink()).encode()).digest()
    hashed = hashlib.sha256()
    if path.is_file():
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                hashed.update(part)
    return hashed.digest()
