"""The command line: train, evaluate, predict, serve, verify."""

import csv
import http.client
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec

from . import ProjectError, artifacts_dir, config, manifest
from .rows import KINDS, SUFFIXES
from .service.schema import Schema


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
    for name in manifest.changed_data():
        risk = "the model may have been trained on some of these rows."
        click.echo(f"Warning: {name} has changed: {risk}", err=True)


@main.command()
@click.argument("rows", required=False)
@click.option("--example", is_flag=True, help="Predict the model's own example rows.")
@click.option("--url", help="Ask the service at this address instead of the model here.")
def predict(rows: str | None, example: bool, url: str | None) -> None:
    """Predict ROWS: JSON, a .json, .jsonl or .csv file, or - for standard input."""
    if bool(rows) == example:
        raise click.UsageError("Give rows to predict (JSON, a file, or -), or --example.")
    model = _model() if example or not url else None
    body, kind = _read(rows) if rows else _examples(model)
    answer = _ask(url, body, kind) if url else _predict(model, body, kind)
    click.echo(_pretty(answer) if kind == "application/json" else answer, nl=False)


@main.command()
@click.option("--host", help="Address to listen on; 0.0.0.0 to be reached from other machines.")
@click.option("--port", envvar="PORT", help="Port to listen on; 0 for any free one. [$PORT]")
@click.option("--workers", envvar="WEB_CONCURRENCY", help="Processes. [$WEB_CONCURRENCY]")
@click.option("--reload", is_flag=True, help="Start anew when the code or an artifact changes.")
@settings_option
def serve(reload: bool, overrides: dict[str, str], **options: str | None) -> None:
    """Serve the model over HTTP as configs/serve.yaml says."""
    from .service import ServeConfig
    from .service.workers import Supervisor

    chosen = {key: value for key, value in options.items() if value is not None}

    def configure() -> ServeConfig:
        return config.load("serve", ServeConfig, overrides | chosen)

    if reload:
        configure()
        _serve_anew([sys.executable, *(word for word in sys.orig_argv[1:] if word != "--reload")])
    Supervisor(_model, configure, manifest.watch()).run(
        lambda url: click.echo(f"Serving at {url}, with a page to try it. Stop with Ctrl-C.")
    )


@main.command()
def verify() -> None:
    """Hold every artifact against the manifest."""
    violations = manifest.verify()
    for violation in violations:
        click.echo(violation, err=True)
    if violations:
        raise ProjectError(f"{len(violations)} violations in {artifacts_dir}.")
    click.echo(f"{len(manifest.read().artifacts)} artifacts are as they were saved.")


def _serve_anew(command: list[str]) -> NoReturn:
    """Run a server, and another one whenever the code or an artifact changes, until told to stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit())
    while True:
        seen = _newest()
        server = subprocess.Popen(command)
        try:
            while _newest() == seen:
                time.sleep(0.25)
            click.echo("The code has changed: starting anew.", err=True)
        finally:
            server.terminate()
            server.wait()


def _newest() -> float:
    """When a file of the code, or an artifact, was last changed."""
    files = Path(__file__).parent.rglob("*")
    try:
        return max(p.stat().st_mtime for p in files if p.suffix != ".pyc" and p.is_file())
    except FileNotFoundError:  # a temporary file that has its name now
        return _newest()


def _read(source: str) -> tuple[bytes, str]:
    """What to predict, and its media type."""
    if source.lstrip()[:1] in ("[", "{"):
        return source.encode(), "application/json"
    try:
        body = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise ProjectError(
            f"{source} cannot be read: {error.strerror}. "
            "Give JSON rows, a .json, .jsonl or .csv file, or - for standard input."
        ) from error
    looks_json = body.lstrip()[:1] in (b"[", b"{")
    return body, SUFFIXES.get(Path(source).suffix, "application/json" if looks_json else "text/csv")


def _examples(model: Any) -> tuple[bytes, str]:
    if not (examples := getattr(model, "examples", None)):
        raise ProjectError("The model has no examples: give it real rows as Model.examples.")
    return Schema.encode(examples), "application/json"


def _predict(model: Any, body: bytes, kind: str) -> bytes:
    try:
        data, render = KINDS[kind](Schema.of(model), body)
    except (msgspec.DecodeError, ValueError, csv.Error) as error:
        raise ProjectError(f"These rows do not fit the model: {error}") from error
    return render(model.predict(data))


class _Direct(urllib.request.HTTPRedirectHandler):
    """Follows nobody elsewhere: rows and key are for this address alone."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _ask(url: str, body: bytes, kind: str) -> bytes:
    headers = {"Content-Type": kind}
    if key := os.environ.get(f"{__package__}_API_KEY".upper()):
        headers["Authorization"] = f"Bearer {key}"
    home = url.rstrip("/") if "://" in url else f"http://{url.rstrip('/')}"
    try:
        request = urllib.request.Request(f"{home}/invocations", body, headers)
        with urllib.request.build_opener(_Direct).open(request, timeout=60) as response:
            answer, answered = bytes(response.read()), response.headers.get_content_type()
    except urllib.error.HTTPError as error:
        said = error.headers.get("Location") or error.read().decode(errors="replace")
        raise ProjectError(f"{url} answered {error.code}: {said}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ProjectError(f"{url} cannot be reached: {error}") from error
    if answered != kind:
        raise ProjectError(f"{url} answered with {answered}: it is not the service of a model.")
    return answer


def _pretty(content: bytes) -> bytes:
    return msgspec.json.format(content) + b"\n"


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


if __name__ == "__main__":
    main()
