"""The deploys from this machine that were not seen to serve well, by the hash of their files."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from poetry.locations import data_dir

from poetry_ml_plugin.host import platforms

KEPT = 50  # hashes of one app


class Unproved:
    """A list that survives the process. Where it cannot be kept, nothing is known to be unproved.

    Files are listed before their build begins, and taken off when their service predicts as it should: so
    what a lost network, a crash or a second Ctrl-C left up is not taken for a good release later.
    """

    def __init__(self, path: Path, app: str) -> None:
        self._path, self._app = path, app

    def __contains__(self, sources: str) -> bool:
        return sources in self._read().get(self._app, [])

    def add(self, sources: str) -> None:
        others = [one for one in self._read().get(self._app, []) if one != sources]
        self._write([*others, sources][-KEPT:])

    def discard(self, sources: str) -> None:
        if sources in self:
            self._write([one for one in self._read()[self._app] if one != sources])

    def _read(self) -> dict[str, list[str]]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, listed: list[str]) -> None:
        known = self._read() | {self._app: listed}
        with suppress(OSError):  # a deploy must not fail for a note
            self._path.parent.mkdir(parents=True, exist_ok=True)
            platforms.write_whole(self._path, json.dumps(known, indent=1).encode())


def at_home() -> Path:
    """Return where the list is kept: in Poetry's own folder of data."""
    return data_dir() / "poetry-ml-plugin" / "heroku-unproved.json"
