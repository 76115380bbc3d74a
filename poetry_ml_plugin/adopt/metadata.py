"""What a project says of itself outside pyproject.toml, in the words of setup()."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from poetry_ml_plugin.host import backend
from poetry_ml_plugin.project import requirements, setup_cfg

# What pyproject.toml takes over, and what it needs no words for.
TAKEN = frozenset(
    [
        *("name", "version", "description", "python_requires", "install_requires"),
        *("extras_require", "entry_points", "author", "author_email", "license"),
        *("classifiers", "keywords", "url", "project_urls"),
    ]
)
NEEDLESS = frozenset(
    [
        *("packages", "package_dir", "py_modules", "include_package_data", "package_data"),
        *("long_description", "long_description_content_type", "setup_requires", "platforms"),
        *("license_file", "license_files", "zip_safe"),
    ]
)
# With these arguments a plugin of setuptools computes the version.
VERSIONED = frozenset(["use_scm_version", "pbr"])
_EXTRA = re.compile(r"""\s*(?:and\s+)?extra\s*==\s*["']([^"']+)["'](?:\s+and\s+)?""")


def ask(root: Path) -> dict[str, Any]:
    """Have the build back end say it: all of it, computed or not. Raises MLError where that fails."""
    said, points = backend.metadata(root)
    plain: Mapping[str, Any] = said.json
    main, extras = _by_extra(said.get_all("Requires-Dist") or [])
    found = {
        "name": plain.get("name"),
        "version": plain.get("version"),
        "description": plain.get("summary"),
        "python_requires": plain.get("requires_python"),
        "install_requires": main,
        "extras_require": extras,
        "entry_points": _points([(p.group, p.name, p.value) for p in points]),
        "author": plain.get("author"),
        "author_email": plain.get("author_email"),
        "license": plain.get("license_expression") or plain.get("license"),
        "classifiers": list(plain.get("classifier") or []),
        "keywords": plain.get("keywords"),
        "url": plain.get("home_page"),
        "project_urls": _urls(plain.get("project_url") or []),
    }
    return {key: value for key, value in found.items() if value and value != "UNKNOWN"}


def read(root: Path) -> dict[str, Any]:
    """Read what setup.py and setup.cfg say as it stands. As for setuptools, setup.py wins."""
    return {
        **setup_cfg.read(root / "setup.cfg"),
        **requirements.read_setup(root / "setup.py"),
    }


def sources(root: Path) -> str:
    """Name the files that say it."""
    both = [name for name in ("setup.py", "setup.cfg") if (root / name).is_file()]
    if both == ["setup.py", "setup.cfg"] and not setup_cfg.describes(root / "setup.cfg"):
        both.pop()
    return " and ".join(both)


def computed(root: Path) -> list[str]:
    """Name the arguments of setup() that pyproject.toml needs and that no literal gives."""
    named, known = _named(root), read(root).keys()
    wanted = {name for name in named - known if name in TAKEN or name == "**"}
    return sorted(wanted | ({"version"} if named & VERSIONED and "version" not in known else set()))


def left(root: Path) -> list[str]:
    """Name the arguments of setup() that pyproject.toml has no place for."""
    return sorted(_named(root) - TAKEN - NEEDLESS - VERSIONED - {"**"})


def _named(root: Path) -> set[str]:
    return requirements.arguments(root / "setup.py") | setup_cfg.keys(root / "setup.cfg")


def described(said: Mapping[str, Any]) -> dict[str, Any]:
    """Write what [project] takes over, beside name, version, description and dependencies."""
    table: dict[str, Any] = {}
    if author := _author(said):
        table["authors"] = [author]
    if licence := _text(said.get("license")):
        table["license"] = {"text": licence.splitlines()[0]}
    keywords = said.get("keywords")
    if isinstance(keywords, str):
        parts = keywords.split("," if "," in keywords else None)
        keywords = [word.strip() for word in parts if word.strip()]
    for key, value in (("keywords", keywords), ("classifiers", said.get("classifiers"))):
        if texts := _texts(value):
            table[key] = texts
    if urls := _all_urls(said):
        table["urls"] = urls
    if extras := said.get("extras_require"):
        table["optional-dependencies"] = {
            canonicalize_name(str(extra)): [d.pep508() for d in requirements.parsed(texts)]
            for extra, texts in extras.items()
        }
    return {**table, **_entry_points(said.get("entry_points"))}


def _entry_points(said: Any) -> dict[str, Any]:
    places = {"console_scripts": "scripts", "gui_scripts": "gui-scripts"}
    table: dict[str, Any] = {}
    for group, listed in said.items() if isinstance(said, Mapping) else ():
        points = [text.partition("=") for text in _texts(listed)]
        values = {name.strip(): place.strip() for name, _, place in points}
        if values and group in places:
            table[places[group]] = values
        elif values:
            table.setdefault("entry-points", {})[group] = values
    return table


def _author(said: Mapping[str, Any]) -> dict[str, str]:
    name, email = _text(said.get("author")), _text(said.get("author_email"))
    if found := re.fullmatch(r"\s*\"?([^<\"]+?)\"?\s*<([^>]+)>.*", email, re.S):
        name, email = name or found[1], found[2]
    return {key: value for key, value in (("name", name), ("email", email)) if value}


def _all_urls(said: Mapping[str, Any]) -> dict[str, str]:
    urls = said.get("project_urls")
    listed = {str(k): str(v) for k, v in urls.items()} if isinstance(urls, Mapping) else {}
    home = _text(said.get("url"))
    return {"Homepage": home, **listed} if home else listed


def _by_extra(texts: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    main: list[str] = []
    extras: dict[str, list[str]] = {}
    for text in texts:
        requirement = Requirement(text)
        marker = str(requirement.marker or "")
        found = _EXTRA.search(marker)
        if not found:
            main.append(text)
            continue
        rest = _EXTRA.sub("", marker).strip()
        bare = text.partition(";")[0].strip()
        extras.setdefault(found[1], []).append(f"{bare} ; {rest}" if rest else bare)
    return main, extras


def _points(points: list[tuple[str, str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for group, name, value in points:
        found.setdefault(group, []).append(f"{name} = {value}")
    return found


def _urls(texts: list[str]) -> dict[str, str]:
    pairs = (text.partition(",") for text in texts)
    return {name.strip(): url.strip() for name, _, url in pairs}


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
