"""`poetry ml runs`: the project's own verb."""

from __future__ import annotations

from poetry_ml_plugin.commands.base.verb import Verb, verb_help


class Runs(Verb):
    name = "ml runs"
    description = "Shows the trainings so far: their settings and metrics."
    help = verb_help("runs")

    def uses(self, words: list[str]) -> list[str]:
        return ["tracking"] if "--send" in words else []
