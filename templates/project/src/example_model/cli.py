"""The command line: train, evaluate, predict, serve, verify."""

from typing import Any

import click

from . import artifacts_dir, batch, config, manifest
from .errors import ProjectError


class Commands(click.Group):
    """Prints a ProjectError as one line instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ProjectError as error:
            raise click.ClickException(str(error)) from error


def _pairs(ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    for key, equals, _ in pairs:
        if not equals:
            raise click.BadParameter(f'write key=value, not "{key}"')
    return {key: value for key, _, value in pairs}


settings_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_pairs,
    help="Override a key of the configuration; may be repeated.",
)


@click.group(cls=Commands)
def main() -> None:
    """Train the model, evaluate it, predict with it, serve it."""


@main.command()
@settings_option
def train(overrides: dict[str, str]) -> None:
    """Fit the model on data/ as configs/train.yaml says, and save it in artifacts/."""
    _training().train(overrides, click.echo)


@main.command()
@settings_option
def evaluate(overrides: dict[str, str]) -> None:
    """Evaluate the saved model on the rows held out of its training."""
    _training().evaluate_saved(overrides, click.echo)


@main.command()
@click.argument("rows", required=False)
@click.option("--example", is_flag=True, help="Predict the model's own example rows.")
def predict(rows: str | None, example: bool) -> None:
    """Predict ROWS: JSON, a .json or .csv file, or - for standard input."""
    if (rows is None) == (not example):
        raise click.UsageError("Give rows to predict (JSON, a file, or -), or --example.")
    model = _model()
    click.echo(batch.predict_examples(model) if rows is None else batch.predict(model, rows))


@main.command()
@click.option("--host", help="Address to listen on; 0.0.0.0 to be reached from other machines.")
@click.option("--port", envvar="PORT", help="Port to listen on; 0 for any free one. [$PORT]")
@settings_option
def serve(host: str | None, port: str | None, overrides: dict[str, str]) -> None:
    """Serve the model over HTTP as configs/serve.yaml says."""
    from .service.server import ServeConfig, Server

    options = {"host": host, "port": port}
    overrides |= {key: value for key, value in options.items() if value is not None}
    server = Server(_model(), config.load("serve", ServeConfig, overrides))
    click.echo(f"Serving at {server.url} (try {server.url}/openapi.json). Stop with Ctrl-C.")
    server.run()


@main.command()
def verify() -> None:
    """Hold every artifact against the manifest."""
    violations = manifest.verify()
    for violation in violations:
        click.echo(violation, err=True)
    if violations:
        raise ProjectError(f"{len(violations)} violations in {artifacts_dir}.")
    click.echo(f"{len(manifest.read().artifacts)} artifacts are as they were saved.")


def _model() -> Any:
    from .models.model import Model

    return Model()


def _training() -> Any:
    try:
        from .models import train
    except ModuleNotFoundError as error:
        raise ProjectError(
            f'Training needs {error.name}. Run "poetry install" in a checkout of the project: '
            "an installed package carries the model, not what trained it."
        ) from error
    return train
