"""`poetry ml serve`: the project's own verb."""

from __future__ import annotations

from poetry_ml_plugin.commands.base.verb import Verb, verb_help


class Serve(Verb):
    name = "ml serve"
    description = "Serves the model over HTTP."
    help = verb_help("serve")

    def uses(self, words: list[str]) -> list[str]:
        """List gRPC's libraries where a port is given for it."""
        return ["grpc"] if any(word.partition("=")[0] == "--grpc-port" for word in words) else []
