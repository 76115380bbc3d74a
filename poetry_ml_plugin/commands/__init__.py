"""The names of the commands, and when each one's module is imported: as it is used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

# Not `import deploy`: this package has a module of that name, which replaces it once imported.
from poetry_ml_plugin.deploy import TARGETS, command_paths, targets

if TYPE_CHECKING:
    from cleo.commands.command import Command
    from cleo.events.event import Event
    from cleo.events.event_dispatcher import EventDispatcher
    from poetry.console.application import Application

COMMANDS = {
    "ml": "ml:Root",
    "ml new": "new:New",
    "ml init": "init:Init",
    "ml update": "update:Update",
    "ml add": "add:Add",
    "ml template check": "template_check:Check",
    "ml schema": "schema:Schema",
    "ml train": "train:Train",
    "ml evaluate": "evaluate:Evaluate",
    "ml runs": "runs:Runs",
    "ml predict": "predict:Predict",
    "ml serve": "serve:Serve",
    "ml drift": "drift:Drift",
    "ml reproduce": "reproduce:Reproduce",
    "ml notebook": "notebook:Notebook",
    "ml notebook run": "notebook_run:Run",
    "ml data add": "data_add:Add",
    "ml data push": "data_push:Push",
    "ml data pull": "data_pull:Pull",
    "ml data status": "data_status:Status",
    "ml data remote": "data_remote:Remote",
    "ml check": "check:Check",
    "ml deploy": "deploy:Deploy",
}


def register(application: Application) -> None:
    """Make the commands known to Poetry, and guard its builds. Names that are taken are left alone."""
    # To look for targets in all that is installed takes milliseconds: only who deploys waits for it.
    known = targets() if "deploy" in sys.argv else TARGETS
    own = {name: f"{__name__}.{path}" for name, path in COMMANDS.items()}
    for name, path in (own | command_paths(known)).items():
        if not application.command_loader.has(name):
            application.command_loader.register_factory(name, _factory(path))
    dispatcher = application.event_dispatcher
    if dispatcher is not None:
        dispatcher.add_listener("console.command", _before_command)


def _factory(path: str) -> Callable[[], Command]:
    def make() -> Command:
        module, name = path.split(":")
        command: Command = getattr(import_module(module), name)()
        return command

    return make


def _before_command(event: Event, name: str, dispatcher: EventDispatcher) -> None:
    command: Any = getattr(event, "command", None)
    if getattr(command, "name", None) in ("build", "publish"):
        import_module(f"{__name__}.guard").before(event, dispatcher)
