"""Edits of pyproject.toml that leave every other byte as it was."""

from __future__ import annotations

import difflib
import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Array

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import inside, platforms


class Inline(dict[str, Any]):
    """A table that is written within its line."""


BOM = "\ufeff"
# The parts of an array's text: strings, comments, and what is between them.
PARTS = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\])*"|\'[^\']*\'|#[^\n]*|.', re.S
)


def extend(content: bytes, wish: Mapping[str, Any]) -> bytes:
    """Add what is wished for to a TOML document: keys to tables, items to the ends of arrays.

    A key that is there keeps its value. Raises MLError where that cannot be done by adding alone.
    """
    text = content.decode()
    mark = BOM if text.startswith(BOM) else ""
    lines = text.removeprefix(BOM).splitlines(keepends=True)
    end = line_end(text)
    before = "".join(line.rstrip("\r\n") + "\n" if line[-1:] in "\r\n" else line for line in lines)
    after = _extended(before, wish)
    return (mark + _with_line_ends(before, after, lines, end)).encode()


def append_table(content: bytes, path: tuple[str, ...], item: Mapping[str, Any]) -> bytes:
    """Add a table to an array of tables, under a header of its own where the document has none inline."""
    text = content.decode()
    end = line_end(text)
    lines = [
        f"[[{'.'.join(path)}]]",
        *(f"{key} = {_new(value).as_string()}" for key, value in item.items()),
    ]
    longer = text.rstrip("\r\n") + end * 2 + "".join(f"{line}{end}" for line in lines)
    try:
        tomllib.loads(longer.removeprefix(BOM))
    except ValueError:  # it is there as one value
        wish: dict[str, Any] = {path[-1]: [Inline(item)]}
        for key in reversed(path[:-1]):
            wish = {key: wish}
        return extend(content, wish)
    return longer.encode()


def merged(data: Mapping[str, Any], wish: Mapping[str, Any]) -> dict[str, Any]:
    """Plain data with what is wished for."""
    result = dict(data)
    for key, value in wish.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = merged(old, value)
        elif isinstance(old, list) and isinstance(value, list):
            result[key] = [*old, *(item for item in value if item not in old)]
        elif key not in result:
            result[key] = value
    return result


def _extended(text: str, wish: Mapping[str, Any]) -> str:
    expected = merged(tomllib.loads(text), wish)
    # A new table goes to the end under a header of its own, or within a line where its parents do so.
    # A last line that does not end is ended where a table of an array is to follow it.
    ends = ("",) if text.endswith("\n") else ("", "\n")
    for end, append, above in itertools.product(ends, (True, False), (True, False)):
        try:
            result = _edited(text + end, wish, append)
            result = _above_comments(text, result) if above else result
            both = tomllib.loads(result), tomlkit.parse(result).unwrap()  # Poetry uses either
            if both == (expected, expected) and _only_adds(text, result):
                return result
        except (TOMLKitError, ValueError, TypeError, AttributeError, KeyError):
            continue
    raise MLError(
        "pyproject.toml is written in a way that cannot be edited safely. "
        "Add these lines yourself, then run this command again:\n\n"
        + "\n".join(_tables(wish)).strip()
    )


def _edited(text: str, wish: Mapping[str, Any], append: bool) -> str:
    document = tomlkit.parse(text)
    headed: dict[str, Any] = {}
    _merge(document, wish, headed if append else None)
    result = tomlkit.dumps(document)
    if not headed:
        return result
    gap = "" if not result.strip() else "\n" if result.endswith("\n") else "\n\n"
    return result + gap + "\n".join(_tables(headed))


def _merge(table: Any, wish: Mapping[str, Any], headed: dict[str, Any] | None) -> None:
    """Put a wish into a document; tables that are new go into `headed` where that is given."""
    for key, value in wish.items():
        old = table.get(key)
        is_table = isinstance(value, Mapping) and not isinstance(value, Inline)
        if old is None and is_table and headed is not None:
            headed[key] = value
        elif old is None:
            table[key] = _new(value, inline=is_table)
        elif is_table and isinstance(old, Mapping):
            below: dict[str, Any] | None = None if headed is None else {}
            _merge(old, value, below)
            if below and headed is not None:
                headed[key] = below
        elif isinstance(value, list) and isinstance(old, Array):
            items = [item for item in value if item not in old.unwrap()]
            if items:
                table[key] = _longer(old, items)
        elif isinstance(value, list) and isinstance(old, AoT):
            for item in value:
                if item not in old.unwrap():
                    old.append(_separate(item))


def _tables(tables: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the text of each table, with its header."""
    below = {
        k: v for k, v in tables.items() if isinstance(v, Mapping) and not isinstance(v, Inline)
    }
    lines = [
        f"{tomlkit.key(key).as_string()} = {_new(value).as_string()}\n"
        for key, value in tables.items()
        if key not in below
    ]
    if lines:
        header = ".".join(tomlkit.key(key).as_string() for key in path)
        yield f"[{header}]\n" + "".join(lines)
    for key, value in below.items():
        yield from _tables(value, (*path, key))


def _new(value: Any, inline: bool = False) -> Any:
    """Make tomlkit items of a value: arrays with one item a line, tables within them inline."""
    if isinstance(value, Mapping):
        inline = inline or isinstance(value, Inline)
        table = tomlkit.inline_table() if inline else tomlkit.table()
        for key, item in value.items():
            table[key] = _new(item, inline)
        return table
    if isinstance(value, list):
        array = tomlkit.array()
        for item in value:
            array.append(_new(item, inline=True))
        return array.multiline(len(value) > 1 and not inline)
    return tomlkit.item(value)


def _separate(item: Mapping[str, Any]) -> Any:
    """Make one more table of an array of tables, with an empty line above it."""
    table = _new(item)
    for value in table.values():
        if isinstance(value, Array):
            value.multiline(False)
    table.trivia.indent = "\n"
    return table


def _longer(array: Array, items: list[Any]) -> Array:
    """Append items to an array, written like those before them."""
    text = array.as_string()
    body = text[: text.rindex("]")]
    last, comma = _last_item(body)
    new = [_new(item, inline=True).as_string() for item in items]
    if "\n" not in text:
        added = ("" if comma or last == 0 else ", ") + ", ".join(new)
        if comma:
            added = " " + added + ","
        place = last + (1 if comma else 0) if last else len(body)
        longer = body[:place] + added + body[place:] + "]"
    else:
        found = re.search(r"\n([ \t]*)[^\s#][^\n]*\Z", body[: last or None])
        indent = found[1] if found and last else "    "
        head = body[:last] + ("" if comma or not last else ",") + body[last:]
        closing = re.search(r"[ \t]*\Z", head)
        assert closing is not None
        alone = head[: closing.start()].endswith("\n")  # the bracket has a line to itself
        start = head[: closing.start()] if alone else head + "\n"
        ends = [*("," for _ in new[1:]), "," if alone else ""]
        added = "".join(f"{indent}{item}{end}\n" for item, end in zip(new, ends, strict=True))
        longer = start + added + (closing[0] if alone else "") + "]"
    result = tomlkit.parse(f"x = {longer}\n")["x"]
    assert isinstance(result, Array)
    return result


def _last_item(body: str) -> tuple[int, bool]:
    """Find where the last item of an array ends (0 if there is none), and whether a comma follows."""
    end, comma = 0, False
    for part in PARTS.finditer(body, 1):
        if part[0] == ",":
            comma = True
        elif not part[0].isspace() and not part[0].startswith("#"):
            end, comma = part.end(), False
    return end, comma


def _only_adds(before: str, after: str) -> bool:
    """Tell whether all that was there is still there, in its order."""
    rest = iter(after)
    return all(letter in rest for letter in before)


def _above_comments(before: str, after: str) -> str:
    """Move new lines above the comments they were put below: those belong to what follows."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    result: list[str] = []
    for tag, old_start, old_stop, start, stop in _steps(old, new):
        place, added = len(result), new[start:stop]
        if tag == "insert" and old_stop < len(old):
            while place and old_start and old[old_start - 1].lstrip()[:1] in ("#", ""):
                place, old_start = place - 1, old_start - 1
            while place < len(result) and added and not added[-1].strip():
                added.pop()
        result[place:place] = added
    return "".join(result)


def _with_line_ends(before: str, after: str, lines: list[str], end: str) -> str:
    """Keep each old line as it was, and end each new one like most of them."""
    new = after.splitlines(keepends=True)
    result: list[str] = []
    for tag, old_start, old_stop, start, stop in _steps(before.splitlines(keepends=True), new):
        if tag == "equal":
            result += lines[old_start:old_stop]
        else:
            result += [line.replace("\n", end) for line in new[start:stop]]
    return "".join(result)


def _steps(old: list[str], new: list[str]) -> list[Any]:
    return list(difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes())


def amend(root: Path, changes: Mapping[tuple[str, ...], Any]) -> None:
    """Edit a project's pyproject.toml in its place."""
    path = inside.resolve(root / "pyproject.toml", root)
    text = path.read_bytes().decode()
    end = text[len(text.rstrip()) :]
    platforms.write_whole(path, f"{set_values(text, changes).rstrip()}{end}".encode())


def set_values(text: str, changes: Mapping[tuple[str, ...], Any]) -> str:
    """Set the values at these key paths, or remove them for None, and keep all else as it is."""
    document = tomlkit.parse(text)
    for keys, value in changes.items():
        table: Any = document
        for key in keys[:-1]:
            table = table.setdefault(key, tomlkit.table())
        if value is None:
            table.pop(keys[-1], None)
        else:
            table[keys[-1]] = value
    edited = tomlkit.dumps(document)
    return re.sub(r"(?<!\r)\n", "\r\n", edited) if line_end(text) == "\r\n" else edited


def add_line(path: Path, line: str) -> None:
    """Add a line to the end of a text file in a project's folder, as its others end. It may be new."""
    path = inside.resolve(path, path.parent)
    text = path.read_bytes().decode() if path.exists() else ""
    end = line_end(text)
    gap = end if text and not text.endswith("\n") else ""
    platforms.write_whole(path, f"{text}{gap}{line}{end}".encode())


def line_end(text: str) -> str:
    """Return how most lines of a text end."""
    return "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"
