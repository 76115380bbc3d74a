"""One app on Heroku: what it is, what runs in it, and the ways to change that."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from poetry_ml_plugin.deploy.heroku.api import HerokuAPI
from poetry_ml_plugin.deploy.heroku.logs import Log
from poetry_ml_plugin.errors import MLError

CLI = "poetry ml deploy heroku"
NAME = re.compile(r"[a-z][a-z0-9-]{1,28}[a-z0-9]")
NEWEST = "version ..; max=20, order=desc"

JSON = dict[str, Any]
Proved = Callable[[JSON], bool]  # whether a release may be gone back to


class App:
    """An app by its name. Each method is a call or two, and gives what the API's schema describes."""

    def __init__(self, api: HerokuAPI, name: str) -> None:
        if not NAME.fullmatch(name):
            raise MLError(
                f'"{name}" is not a valid app name: use 3 to 30 lower-case letters, digits and dashes, '
                "starting with a letter."
            )
        self.name = name
        self._api = api
        self._path = f"/apps/{name}"

    def info(self) -> JSON:
        return dict(self._api.get(self._path))

    def create(self, region: str = "", team: str = "") -> JSON:
        body = {"name": self.name} | ({"region": region} if region else {})
        if team:
            info = self._api.post("/teams/apps", {**body, "team": team})
        else:
            info = self._api.post("/apps", body)
        python = {"updates": [{"buildpack": "heroku/python"}]}  # other files must not mislead it
        self._api.put(f"{self._path}/buildpack-installations", python)
        return dict(info)

    def destroy(self) -> None:
        self._api.delete(self._path)

    def config(self, release: JSON | None = None) -> dict[str, str]:
        """Return the config vars, or those of a release."""
        of = f"/releases/{release['id']}" if release else ""
        return dict(self._api.get(f"{self._path}{of}/config-vars"))

    def set_config(self, changed: Mapping[str, str | None]) -> None:
        """Change config vars; None removes one."""
        self._api.patch(f"{self._path}/config-vars", dict(changed))

    def web(self) -> JSON:
        """Return the formation of the web dynos; empty before the first release."""
        formation = self._api.get(f"{self._path}/formation")
        return next((dict(kind) for kind in formation if kind["type"] == "web"), {})

    def scale(self, dynos: int | None = None, size: str = "") -> bool:
        """Set the number or the size of the web dynos, and tell whether that changed anything."""
        web = self.web()
        update: JSON = {}
        if dynos is not None and dynos != web.get("quantity"):
            update["quantity"] = dynos
        if size and size.lower() != str(web.get("size", "")).lower():
            update["dyno_size"] = {"name": size}
        if update:
            self._api.patch(f"{self._path}/formation", {"updates": [{"type": "web", **update}]})
        return bool(update)

    def dynos(self) -> list[JSON]:
        """List the web dynos."""
        return [d for d in self._api.get(f"{self._path}/dynos") if d["type"] == "web"]

    def build(self, url: str, sha256: str, sources: str, description: str) -> JSON:
        blob = {
            "url": url,
            "checksum": f"SHA256:{sha256}",
            "version": sources,
            "version_description": description,
        }
        return dict(self._api.post(f"{self._path}/builds", {"source_blob": blob}))

    def built(self, id: str) -> JSON:  # noqa: A002
        return dict(self._api.get(f"{self._path}/builds/{id}"))

    def cancel(self, id: str) -> None:  # noqa: A002
        """Cancel a build. Raises HerokuError if it has ended."""
        self._api.delete(f"{self._path}/builds/{id}")

    def building(self, sources: str = "") -> list[JSON]:
        """List the builds in progress, or those of these files."""
        pending = [b for b in self._api.get(f"{self._path}/builds") if b["status"] == "pending"]
        return [b for b in pending if sources in ("", b["source_blob"].get("version"))]

    def release(self, id: str) -> JSON:  # noqa: A002
        return dict(self._api.get(f"{self._path}/releases/{id}"))

    def releases(self) -> list[JSON]:
        """List the newest releases, newest first."""
        found: list[JSON] = self._api.get(f"{self._path}/releases", NEWEST)
        return sorted(found, key=lambda release: -int(release["version"]))

    def serving(self) -> JSON | None:
        """Return the current release, if it has code in it."""
        current = (release for release in self.releases() if release.get("current"))
        return next((release for release in current if release.get("slug")), None)

    def sources(self, release: JSON) -> str:
        """Return the hash of the files that a release was built from, as its build recorded it."""
        slug = self._api.get(f"{self._path}/slugs/{release['slug']['id']}")
        return str(slug.get("commit") or "")

    def bring_back(self, release: JSON) -> JSON:
        """Release an earlier release's code again."""
        return dict(self._api.post(f"{self._path}/releases", {"release": release["id"]}))

    def to_roll_back(self, version: int | None, proved: Proved = lambda release: True) -> JSON:
        """Find the release to roll back to: this version, or the last one of other code than now's."""
        chosen = earlier(self.releases(), version, proved)
        if chosen is None:
            wanted = "earlier version" if version is None else f"v{version}"
            raise MLError(f"{self.name} has no {wanted} to roll back to. See: {CLI} releases")
        return chosen

    def differing(self, release: JSON) -> list[str]:
        """Name the config vars that are not as a release had them."""
        then, now = self.config(release), self.config()
        return sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))

    def log(self, lines: int, tail: bool = False) -> Iterator[str]:
        """Yield the last lines of the log; with `tail`, later ones too."""
        wanted = {"lines": lines, "tail": tail}
        session = self._api.post(f"{self._path}/log-sessions", wanted, repeatable=True)
        waiting: list[str] = []
        log = Log(waiting.append)
        for chunk in self._api.stream(session["logplex_url"], silence=None if tail else 60):
            log.take(chunk)
            yield from waiting
            waiting.clear()
        log.end()
        yield from waiting


def earlier(
    known: list[JSON], version: int | None, proved: Proved = lambda release: True
) -> JSON | None:
    """Of releases, newest first, the one of this version, or the last of other code than the current one."""
    current = next((release for release in known if release.get("current")), {})
    for release in known:
        if release["status"] != "succeeded" or not release.get("slug"):
            continue
        if version is not None:
            if release["version"] == version:
                return release
        elif (
            release["slug"] != current.get("slug")
            and release["version"] < current.get("version", 0)
            and proved(release)
        ):
            return release
    return None
