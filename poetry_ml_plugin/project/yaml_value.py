"""Reader of one value in a YAML file: Poetry's environment has no YAML parser."""

from __future__ import annotations

import re


def read(text: str, key: str) -> str:
    """Return the plain value of a key at the top of a document; empty where there is none."""
    line = re.search(rf"""^\s*["']?{key}["']?\s*:(?:[ \t]+(.*))?$""", text, re.MULTILINE)
    value = re.sub(r"(^|\s)#.*", "", (line and line[1]) or "").strip()
    return value.strip("\"'")
