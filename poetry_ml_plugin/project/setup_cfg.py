"""setup.cfg in the words of setup(): what it says as it stands, and what it leaves to be computed."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

from poetry_ml_plugin.errors import MLError

DIRECTIVES = ("attr:", "file:", "find:", "find_namespace:")
NAMES = {"summary": "description", "home_page": "url", "classifier": "classifiers"}
# How lists that stand in one line are separated.
LISTS = {"classifiers": ",", "install_requires": ";"}


def read(path: Path) -> dict[str, Any]:
    """Read what a setup.cfg says without anything being run. Raises MLError if it is broken."""
    parser = _parse(path)
    found: dict[str, Any] = {}
    for key, value in _said(parser):
        if value and not value.startswith(DIRECTIVES):
            found[key] = _lines(value, LISTS[key]) if key in LISTS else value
    if urls := found.get("project_urls"):
        found["project_urls"] = _pairs(urls)
    for key in ("extras_require", "entry_points"):
        if parser.has_section(f"options.{key}"):
            found[key] = {
                name: _lines(value, ";") for name, value in parser.items(f"options.{key}")
            }
    return found


def keys(path: Path) -> set[str]:
    """Name what a setup.cfg says or has read from code or other files."""
    return {key for key, _ in _said(_parse(path))}


def describes(path: Path) -> bool:
    """Tell whether a setup.cfg describes a project, and does not only configure tools."""
    return path.is_file() and _parse(path).has_section("metadata")


def _parse(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(delimiters=("=", ":"))
    parser.optionxform = lambda optionstr: optionstr  # type: ignore[method-assign]  # names of scripts keep their case
    try:
        parser.read_string(path.read_text("utf-8-sig") if path.is_file() else "", str(path))
    except (OSError, ValueError, configparser.Error) as error:
        raise MLError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    return parser


def _said(parser: configparser.RawConfigParser) -> list[tuple[str, str]]:
    pairs = [
        (key.lower().replace("-", "_"), value.strip())
        for section in ("metadata", "options")
        if parser.has_section(section)
        for key, value in parser.items(section)
    ]
    return [(NAMES.get(key, key), value) for key, value in pairs]


def _lines(value: str, separator: str = "\n") -> list[str]:
    parts = value.splitlines() if "\n" in value else value.split(separator)
    return [line for line in map(_plain, parts) if line]


def _plain(line: str) -> str:
    return re.sub(r"(^|\s)#.*", "", line).strip()


def _pairs(value: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in _lines(value))
    return {name.strip(): url.strip() for name, _, url in pairs}
