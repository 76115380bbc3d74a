"""The end of a deploy that failed or was interrupted: what it changed is undone, and what serves is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from poetry_ml_plugin.deploy.heroku.api import HerokuError
from poetry_ml_plugin.deploy.heroku.app import CLI, JSON, App
from poetry_ml_plugin.errors import MLError

BUILD_FAILED, START_FAILED, ANSWER_DIFFERS, NOT_CHECKED, INTERRUPTED = 3, 4, 5, 6, 130
TRIED = 3  # earlier releases, one after the other, until one serves


class DeployError(MLError):
    """A deploy that began and did not end well; the exit code says where."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass
class Trail:
    """What a deploy has changed on Heroku so far."""

    app: App
    sources: str
    asked: bool = False  # whether a build was asked for
    build: JSON | None = None
    joined: bool = False  # whether that build was begun by another deploy of the same files
    releases: list[JSON] = field(default_factory=list)
    base: JSON | None = None  # the release whose config vars were changed
    former: dict[str, str | None] = field(default_factory=dict)
    wanted: Mapping[str, str] = field(default_factory=dict)

    @property
    def begun(self) -> bool:
        return self.asked or bool(self.releases or self.former)

    def configure(self, wanted: Mapping[str, str], base: JSON | None) -> list[str]:
        """Set config vars on top of a release, if there is one yet, and name those that change."""
        current = self.app.config()
        changed = {name: value for name, value in wanted.items() if current.get(name) != value}
        if changed and base:
            self.former = {name: current.get(name) for name in changed}
            self.wanted, self.base = changed, base
        if changed:
            self.app.set_config(changed)
        return list(changed)

    def owns(self, release: JSON) -> bool:
        """Tell whether a release is this deploy's own: its build's, or the one of its config vars.

        What sets config vars does not say which release that made. It is the next one, of the same code.
        """
        if any(release["id"] == own["id"] for own in self.releases):
            return True
        base = self.base
        return bool(
            base
            and release["version"] == base["version"] + 1
            and release.get("slug") == base.get("slug")
        )


class Ending:
    """Undoes what a deploy changed, as far as nobody has built on it since."""

    def __init__(
        self, trail: Trail, proved: Callable[[JSON], bool], fault: Callable[[JSON], str]
    ) -> None:
        """`proved` tells whether a release may be gone back to; `fault` waits for one, and says what is wrong."""
        self._trail, self._app = trail, trail.app
        self._proved, self._fault = proved, fault

    def of(self, error: MLError | KeyboardInterrupt) -> DeployError:
        """Undo, and build the error that says what happened and what serves now."""
        interrupted = isinstance(error, KeyboardInterrupt)
        try:
            after = self._undo(error) if self._trail.begun else ""
        except (MLError, KeyboardInterrupt):  # no network, or a second Ctrl-C
            after = self._left()
        if interrupted and not self._trail.begun:
            after = "Nothing was released."
        said = "Interrupted." if interrupted else str(error)
        return DeployError("\n".join(filter(None, [said, after])), self._exit_code(error))

    def _exit_code(self, error: MLError | KeyboardInterrupt) -> int:
        if isinstance(error, KeyboardInterrupt):
            return int(getattr(error, "exit_code", INTERRUPTED))
        if isinstance(error, DeployError):
            return error.exit_code
        return NOT_CHECKED if self._trail.begun else 1

    def _undo(self, error: MLError | KeyboardInterrupt) -> str:
        trail = self._trail
        if trail.asked and not trail.releases:
            if isinstance(error, DeployError):  # the build failed, or takes too long
                return ""
            if not isinstance(error, KeyboardInterrupt):
                raise error  # the network is gone
            if after := self._stop_build():
                return after
        return self._go_back(isinstance(error, KeyboardInterrupt))

    def _stop_build(self) -> str:
        """Cancel the build, if it is one's own and still under way; else note what it released."""
        trail = self._trail
        if trail.build is None:  # the answer to the question for it was cut off
            trail.build = next(iter(self._app.building(trail.sources)), None)
        if trail.build is None:
            return "Nothing was released."
        if trail.joined:
            return "The build was begun by another deploy, and continues."
        with suppress(HerokuError):  # it has ended meanwhile
            self._app.cancel(trail.build["id"])
        build = self._app.built(trail.build["id"])
        if not build["release"]:
            return "The build was cancelled, and nothing was released."
        trail.releases.append(self._app.release(build["release"]["id"]))
        return ""

    def _go_back(self, quickly: bool) -> str:
        known = self._app.releases()
        own = [release for release in known if self._trail.owns(release)]
        if not own:  # the config vars did not make a release
            return ""
        if own[0]["status"] == "pending":
            return self._left()
        if own[0]["status"] != "succeeded":
            return self._with_vars("")
        if newer := [one for one in known if one["version"] > own[0]["version"]]:
            return self._with_vars(f"{told(newer[0])}, and was left in place.")
        for tried, earlier in enumerate(self._candidates(known, own[-1]["version"])):
            back = self._app.bring_back(earlier)
            if after := self._give_way(own[0], back):
                return self._with_vars(after)
            said = f"Rolled back to v{earlier['version']} (now v{back['version']})."
            fault = "" if quickly else self._fault(back)
            if not fault or tried + 1 == TRIED:
                return self._with_vars(f"{said} {fault}".rstrip())
            own.insert(0, back)
        return self._with_vars(
            f"v{own[0]['version']} stays: there is no earlier one to roll back to."
        )

    def _candidates(self, known: list[JSON], before: int) -> Iterator[JSON]:
        """Yield the releases that can be gone back to, the newest first; of each code the newest only."""
        slugs = []
        for release in known:
            slug = release.get("slug")
            fits = slug and release["version"] < before and release["status"] == "succeeded"
            if fits and slug not in slugs and self._proved(release):
                slugs.append(slug)
                yield release

    def _give_way(self, own: JSON, back: JSON) -> str:
        """Undo a rollback if somebody released between the look at the releases and the rollback."""
        between = [
            release
            for release in self._app.releases()
            if own["version"] < release["version"] < back["version"]
            and release.get("slug") not in (None, back["slug"])
        ]
        if not between:
            return ""
        again = self._app.bring_back(between[0])
        return f"{told(between[0])}, and was released again (now v{again['version']})."

    def _with_vars(self, said: str) -> str:
        """Set config vars back, unless the rollback did, or somebody has set them since."""
        trail, current = self._trail, self._app.config() if self._trail.former else {}
        stale = {
            name: former
            for name, former in trail.former.items()
            if current.get(name) == trail.wanted[name]
        }
        if stale:
            self._app.set_config(stale)
        names = f"Config vars set back: {', '.join(trail.former)}." if trail.former else ""
        return " ".join(filter(None, [said, names]))

    def _left(self) -> str:
        """Say what could not be undone, and how to go on."""
        trail = self._trail
        again = "Run the same command to check it"
        if trail.releases or trail.former:
            newest = (trail.releases or [trail.base or {}])[-1]
            return (
                f"v{newest.get('version')} may serve now, and was not checked. {again}, "
                f"or go back: {CLI} rollback"
            )
        if trail.build is None:
            return f"Heroku may have begun to build. {again}."
        return f"The build continues on Heroku, which will release it. {again}."


def told(release: JSON) -> str:
    """Say who released what, and when."""
    who = (release.get("user") or {}).get("email", "somebody")
    when = str(release["created_at"])[11:16]
    return f"{who} released v{release['version']} ({release['description']}) at {when} UTC"
