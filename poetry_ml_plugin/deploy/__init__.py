"""Where a project can be deployed to: the targets here, and those of other packages."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import metadata

from poetry_ml_plugin.deploy.target import Target

GROUP = "poetry_ml_plugin.targets"

TARGETS = {
    "heroku": Target(
        summary="builds and runs the service on Heroku",
        needs="a Heroku account: $HEROKU_API_KEY, ~/.netrc or the heroku CLI's login",
        commands={
            "": "poetry_ml_plugin.commands.heroku:Deploy",
            "status": "poetry_ml_plugin.commands.heroku:Status",
            "logs": "poetry_ml_plugin.commands.heroku:Logs",
            "releases": "poetry_ml_plugin.commands.heroku:Releases",
            "rollback": "poetry_ml_plugin.commands.heroku:Rollback",
            "scale": "poetry_ml_plugin.commands.heroku:Scale",
            "open": "poetry_ml_plugin.commands.heroku:Open",
            "destroy": "poetry_ml_plugin.commands.heroku:Destroy",
        },
    ),
}


def targets() -> dict[str, Target]:
    """Every target by its name. One of another package that does not load is named on standard error."""
    return {**TARGETS, **_others()}


def command_paths(known: Mapping[str, Target]) -> dict[str, str]:
    """Every command of these targets by its full name, and where its class is."""
    return {
        f"ml deploy {name} {words}".rstrip(): path
        for name, target in known.items()
        for words, path in target.commands.items()
    }


def _others() -> dict[str, Target]:
    found = {}
    for entry in metadata.entry_points(group=GROUP):
        if entry.name in TARGETS:
            continue
        try:
            target = entry.load()
        except Exception as error:  # noqa: BLE001
            # Somebody else's bug must not be the reason why nothing can be deployed.
            print(f"The deploy target {entry.name} does not load: {error!r}", file=sys.stderr)
            continue
        if isinstance(target, Target):
            found[entry.name] = target
        else:
            print(f"The deploy target {entry.name} is no Target: {entry.value}", file=sys.stderr)
    return found
