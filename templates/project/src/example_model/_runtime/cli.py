"""The command line: train, evaluate, runs, predict, serve, verify."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import msgspec
from click.exceptions import Exit

from . import evaluation, frames, tracking
from . import runs as records
from .columns import plain_list
from .config import Config
from .errors import InvalidRow, ProjectError
from .evaluation import Training
from .faults import InvalidRows
from .manifest import Manifest
from .package import Package
from .signature import Schema, refusal
from .tables import KINDS, SUFFIXES


@dataclass(frozen=True)
class Project:
    """What the commands work on: a package, its model, and its training, each loaded when needed."""

    package: Package
    model: Callable[[], Any]
    load_training: Callable[[], Training]

    @property
    def manifest(self) -> Manifest:
        """The manifest of the package's artifacts."""
        return Manifest(self.package)

    def training(self) -> Training:
        """Import what trains the model. Raises ProjectError where a library that it needs is missing."""
        try:
            return self.load_training()
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] == self.package.name:
                raise  # a module of the project itself: a bug in it
            raise ProjectError(
                f"Training needs {error.name}. Run: poetry install, in a checkout of the project. "
                "An installed package carries the model, not what trained it."
            ) from error


def commands(
    package: Package, model: Callable[[], Any], training: Callable[[], Training]
) -> click.Group:
    """The command line of a package; `model` makes its Model, `training` imports its training."""
    return Commands(
        "main",
        commands=[train, evaluate, runs, example, predict, schema, serve, verify],
        help="Train the model, evaluate it, predict with it, serve it.",
        context_settings={"obj": Project(package, model, training)},
    )


class Commands(click.Group):
    """Prints a ProjectError as one line, and an error in the user's code with the user's frames."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ProjectError as error:
            raise click.ClickException(str(error)) from error
        except (click.ClickException, click.Abort, Exit):
            raise
        except Exception as error:
            if ctx.meta.get(TRACEBACK) or not (text := frames.of_user(error)):
                raise
            click.echo(f"{text}(--traceback shows the frames of the machinery, too.)", err=True)
            ctx.exit(1)


TRACEBACK = f"{__name__}.traceback"


def _show_all(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[TRACEBACK] = True  # which a command shares with its group


traceback_option = click.option(
    "--traceback",
    is_flag=True,
    expose_value=False,
    callback=_show_all,
    help="Show every frame of an error in your code.",
)


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


@click.command()
@settings_option
@traceback_option
@click.pass_obj
def train(project: Project, overrides: dict[str, str]) -> None:
    """Fit the model on data/ as configs/train.yaml says, and save it in artifacts/."""
    module = project.training().train
    settings = Config(project.package).load("train", module.TrainConfig, overrides)
    tracking.check(settings)
    module.train(settings)


@click.command()
@click.option("--data", help="A file of other rows, instead of those held out of the training.")
@click.option("--compare", metavar="REV", help="A commit whose model to set beside this one.")
@click.option("--markdown", is_flag=True, help="Print a table for a pull request.")
@click.option("--open", "browse", is_flag=True, help="Open the page in a browser.")
@settings_option
@traceback_option
@click.pass_obj
def evaluate(
    project: Project,
    data: str | None,
    compare: str | None,
    markdown: bool,
    browse: bool,
    overrides: dict[str, str],
) -> None:
    """Evaluate the saved model on the rows held out of its training, or on other data."""
    from . import evaluate_command

    manifest, model, training = project.manifest, project.model(), project.training()
    say = partial(click.echo, err=True)
    found = evaluation.evaluate(manifest, model, training, data, overrides, say)
    for line in evaluate_command.show(manifest, model, found, compare, markdown):
        click.echo(line)
    if browse and find_spec("skore"):
        click.launch(str(project.package.root / evaluate_command.PAGE))


@click.command()
@click.option(
    "--where", metavar="EXPRESSION", help='Which ones: "accuracy > 0.9 and trees == 100".'
)
@click.option("--last", type=click.IntRange(1), help="So many of the newest.")
@click.option("--sort", metavar="COLUMN", help="The greatest first; -COLUMN: the least first.")
@click.option("--plot", metavar="METRIC", help="Draw a metric over time, here and as a PNG.")
@click.option("--json", "as_json", is_flag=True, help="Print all that is recorded.")
@click.option(
    "--send", is_flag=True, help="Send them to the MLflow server in $MLFLOW_TRACKING_URI."
)
@click.pass_obj
def runs(
    project: Project, where: str, last: int, sort: str, plot: str, as_json: bool, send: bool
) -> None:
    """Show the trainings so far: their settings and metrics."""
    package = project.package
    entries = records.read(package, partial(click.echo, err=True))
    if not entries:
        raise ProjectError(f"{records.RUNS} has no run. Run: {package.command} train")
    table = records.select(entries, where, last, sort)
    chosen = [entries[place] for place in table.index]
    if plot:
        for line in records.curve(package, table, plot):
            click.echo(line)
    elif send:
        for entry in chosen:
            click.echo(tracking.send(package, entry))
    elif as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(chosen)))
    else:
        click.echo(records.text(table))


@click.command()
@traceback_option
@click.pass_obj
def example(project: Project) -> None:
    """Print the model's example rows as the body of a request."""
    examples = msgspec.Raw(_examples(project.model())[0])
    click.echo(msgspec.json.format(msgspec.json.encode({"data": examples})))


def _names(ctx: click.Context, option: click.Parameter, value: str | None) -> list[str] | None:
    return None if value is None else [name for name in value.split(",") if name]


@click.command()
@click.argument("rows", nargs=-1, metavar="[ROWS | INPUT...]")
@click.option("-o", "--output", help="A file or folder for the predictions of whole files.")
@click.option("--example", is_flag=True, help="Predict the model's own example rows.")
@click.option(
    "--missing", multiple=True, metavar="COLUMN", help="A field that the table has no column for."
)
@click.option("--keep", metavar="NAMES", callback=_names, help="Columns to keep, instead of all.")
@click.option(
    "--format", type=click.Choice(["csv", "jsonl", "parquet"]), help="Of the files of a folder."
)
@click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    help="What to do about a row that does not fit: skip lists it in OUTPUT.rejected.jsonl.",
)
@click.option(
    "--max-errors",
    type=click.IntRange(0),
    default=1_000,
    show_default=True,
    help="How many rows may be skipped.",
)
@click.option("--force", is_flag=True, help="Begin anew, instead of going on.")
@click.option("--workers", type=click.IntRange(1), help="Processes; one a core, at most 4.")
@click.option(
    "--engine", type=click.Choice(["local", "ray", "dask"]), default="local", show_default=True
)
@click.option("--address", help="Of a Ray or Dask cluster; one on this machine if not given.")
@traceback_option
@click.pass_obj
def predict(
    project: Project,
    rows: tuple[str, ...],
    output: str | None,
    example: bool,
    missing: tuple[str, ...],
    keep: list[str] | None,
    format: str | None,
    on_error: str,
    max_errors: int,
    force: bool,
    workers: int | None,
    engine: str,
    address: str | None,
) -> None:
    """Predict ROWS: JSON, a .json, .jsonl, .csv or .parquet file, or - for standard input.

    With -o, predict whole files, folders and patterns, also of s3:// and gs://, in bounded memory.
    The same command goes on where it was stopped.
    """
    if output is None:
        _predict_rows(project, rows, example, missing)
        return
    if not rows or example:
        raise click.UsageError("Give files or folders to predict.")
    from . import scoring

    all_frames = bool(click.get_current_context().meta.get(TRACEBACK))
    options = scoring.Options(
        format, keep, missing, on_error == "skip", max_errors, force, all_frames
    )
    chosen = scoring.engines.choose(engine, address, workers, project.package.folder)
    try:
        for line in scoring.predict(project.package, rows, output, options, chosen):
            click.echo(line)
    except scoring.Interrupted as error:
        click.echo(str(error), err=True)
        raise Exit(130) from error


def _predict_rows(
    project: Project, rows: tuple[str, ...], example: bool, missing: tuple[str, ...]
) -> None:
    """Print the predictions of rows that are given at once."""
    if len(rows) > 1:
        raise click.UsageError("Give -o OUTPUT to predict several files.")
    if bool(rows) == example:
        raise click.UsageError("Give rows to predict (JSON, a file, or -), or --example.")
    model = project.model()
    body, kind = _read(rows[0]) if rows else _examples(model)
    answer = _predict(model, body, kind, missing)
    if kind == "application/json":
        answer = msgspec.json.format(answer) + b"\n"
    click.echo(answer, nl=False)


@click.command()
@traceback_option
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--target", help="The column to predict, unless models/schema.py names it.")
@click.option("--task", type=click.Choice(["classification", "regression"]))
@click.option("--missing", multiple=True, metavar="WORD", help="A word for a missing value.")
@click.option("--text", multiple=True, metavar="COLUMN", help="A column of words, not of numbers.")
@click.option("--day-first/--month-first", default=None, help="How to read 01/02/2024.")
@click.option("--write", is_flag=True, help="Renew models/schema.py and data.py, and print a diff.")
@click.option("--train", "then_train", is_flag=True, help="Write, and train on the file.")
@click.option("--force", is_flag=True, help="Write over files that were edited.")
@click.option("--check", is_flag=True, help="Name what of the file does not fit the project's Row.")
@click.option("--json", "as_json", is_flag=True, help="Print what is inferred as JSON.")
@click.pass_context
def schema(
    ctx: click.Context,
    file: Path,
    target: str | None,
    task: str | None,
    missing: tuple[str, ...],
    text: tuple[str, ...],
    day_first: bool | None,
    write: bool,
    then_train: bool,
    force: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Infer a schema from FILE: CSV, JSON lines, Parquet or Excel; write it, or check FILE against it."""
    from . import schema_command
    from .profile import Choices

    project: Project = ctx.obj
    if check:
        for line in schema_command.check(project, file):
            click.echo(line)
        return
    choices = Choices(target, task, missing, text, day_first)
    for line in schema_command.infer(
        project.package, file, choices, write or then_train, force, as_json
    ):
        click.echo(line)
    if then_train:
        ctx.invoke(train, overrides={})


@click.command()
@click.option("--host", help="Address to listen on; 0.0.0.0 to be reached from other machines.")
@click.option(
    "--port",
    envvar=["SAGEMAKER_BIND_TO_PORT", "PORT"],
    help="Port to listen on; 0 for any free one. [$PORT]",
)
@click.option("--grpc-port", help="Port for gRPC, which is served beside HTTP; 0 for any free one.")
@click.option("--workers", envvar="WEB_CONCURRENCY", help="Processes. [$WEB_CONCURRENCY]")
@click.option("--reload", is_flag=True, help="Restart when the code or an artifact changes.")
@settings_option
@traceback_option
@click.pass_obj
def serve(
    project: Project,
    host: str | None,
    port: str | None,
    grpc_port: str | None,
    workers: str | None,
    reload: bool,
    overrides: dict[str, str],
) -> None:
    """Serve the model over HTTP as configs/serve.yaml says."""
    from . import reload as reloader
    from .service import ServeConfig
    from .serving import serve as run

    options = {"host": host, "port": port, "grpc_port": grpc_port, "workers": workers}
    chosen = {key: value for key, value in options.items() if value is not None}

    def configure() -> ServeConfig:
        return Config(project.package).load("serve", ServeConfig, overrides | chosen)

    if reload:
        configure()
        reloader.run(project.package.folder)
    run(
        project.package,
        project.model,
        configure,
        lambda url: click.echo(f"Serving at {url}, with a page to try it. Stop with Ctrl-C."),
        project.manifest.watch(),
        project.manifest.is_data,
    )


@click.command()
@traceback_option
@click.pass_obj
def verify(project: Project) -> None:
    """Compare every artifact with the manifest."""
    manifest = project.manifest
    problems = manifest.verify()
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise ProjectError(f"{len(problems)} problems in {manifest.folder}.")
    number = len(manifest.read().artifacts)
    click.echo(f"Verified {number} artifact{'s' if number != 1 else ''}.")


def _read(source: str) -> tuple[bytes, str]:
    """The rows to predict, and their media type."""
    if source.lstrip()[:1] in ("[", "{"):
        return source.encode(), "application/json"
    try:
        body = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise ProjectError(
            f"{source} cannot be read: {error.strerror}. "
            "Give JSON rows, a .json, .jsonl, .csv or .parquet file, or - for standard input."
        ) from error
    looks_json = body.lstrip()[:1] in (b"[", b"{")
    return body, SUFFIXES.get(Path(source).suffix, "application/json" if looks_json else "text/csv")


def _examples(model: Any) -> tuple[bytes, str]:
    examples = getattr(model, "examples", None)
    if examples is None or not len(examples):
        raise ProjectError("The model has no examples: give it real rows as Model.examples.")
    return Schema.encode(plain_list(examples)), "application/json"


def _predict(model: Any, body: bytes, kind: str, missing: tuple[str, ...]) -> bytes:
    if kind not in KINDS:
        raise ProjectError("Parquet needs pyarrow. Run: poetry ml add parquet")
    schema = Schema.of(model)
    try:
        rows, render = KINDS[kind](schema, body, missing)
        return render(schema.bind(model.predict)(rows))
    except InvalidRows as error:
        raise ProjectError(f"These rows do not fit the model: {error}") from error
    except InvalidRow as error:
        raise ProjectError(f"The model refuses these rows: {refusal(error)}") from error
