"""MODEL_CARD.md: what is known of the saved model, beside what only people can say."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from . import readme, staging
from .formats import need
from .package import Package
from .runs import Entry
from .signature import Schema, about

CARD = "MODEL_CARD.md"
HELD_OUT = "held-out rows"
UNKNOWN = ["Not measured since the training. Run: poetry ml evaluate"]


def renew(
    package: Package, entry: Entry, schema: Schema | None, slices: Sequence[str] = UNKNOWN
) -> Iterator[str]:
    """Renew the facts of the card, and make it where it is missing. Says what it could not do."""
    path = package.written(package.root / CARD)
    if not find_spec("huggingface_hub"):
        if path.exists():
            yield f"{CARD} was left as it is: huggingface_hub is not installed. Run: poetry ml add report"
        return
    ModelCard = need("huggingface_hub").ModelCard
    try:
        card = ModelCard.load(path) if path.exists() else ModelCard(_template(package))
    except Exception as error:  # of YAML, or of what the metadata must be
        yield f"{CARD} was left as it is: its metadata cannot be read: {error}"
        return
    card.data.model_name = package.distribution
    card.data.eval_results = list(_results(card, entry))
    text = str(card)
    for part, lines in _facts(entry, schema).items():
        text = readme.put(text, part, "\n".join(lines))
    staging.write_whole(path, readme.put(text, "slices", "\n".join(slices)).encode())


def _template(package: Package) -> str:
    known = about(package.distribution)
    text = Path(__file__).with_name("card.md").read_text("utf-8")
    description = known.get("description") or "Say here what the model predicts."
    return text.format(name=package.distribution, package=package.name, description=description)


def _results(card: Any, entry: Entry) -> Iterator[Any]:
    """The metrics in the form of the card's metadata, apart from what others measured."""
    yield from (r for r in card.data.eval_results or [] if r.dataset_type != HELD_OUT)
    for name, value in entry.numbers.items():
        yield need("huggingface_hub").EvalResult(
            task_type=card.data.pipeline_tag or "other",
            dataset_type=HELD_OUT,
            dataset_name=", ".join(entry.data) or "none",
            metric_type=name,
            metric_value=value,
        )


def _facts(entry: Entry, schema: Schema | None) -> dict[str, list[str]]:
    fields = schema.fields if schema else ()
    takes = [
        f"| `{f.key}` | {f.kind.base}{'' if f.required else ', may be missing'} |" for f in fields
    ]
    return {
        "data": [f"- `{name}`, SHA-256 `{digest}`" for name, digest in entry.data.items()],
        "metrics": list(readme.metrics_table(entry.metrics)),
        "signature": ["| Field | Type |", "|---|---|", *takes] if takes else ["Any JSON."],
    }
