"""The entry point that Poetry loads at every start. It registers names only, and never fails."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from poetry.plugins.application_plugin import ApplicationPlugin

if TYPE_CHECKING:
    from poetry.console.application import Application


class MLPlugin(ApplicationPlugin):
    """Adds the `poetry ml` commands, and a guard to `poetry build` and `poetry publish`."""

    def activate(self, application: Application) -> None:
        # Poetry does not isolate its plugins: whatever is raised here would break every command,
        # "poetry self remove" included.
        try:
            from poetry_ml_plugin import commands

            commands.register(application)
        except Exception as error:  # noqa: BLE001
            print(
                f"poetry-ml-plugin failed to load: {type(error).__name__}: {error}. "
                "Try: poetry self update poetry-ml-plugin",
                file=sys.stderr,
            )
