"""The parts of README.md that follow from the data and from the last training.

Each stands between two comments; where somebody has deleted those, nothing is written.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from . import staging


def renew(root: Path, part: str, text: str) -> None:
    """Put a text between <!-- part --> and <!-- /part --> in README.md, where these are."""
    path = root / "README.md"
    try:
        old = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return
    if (new := put(old, part, text)) != old:
        staging.write_whole(path, new.encode())


def put(old: str, part: str, text: str) -> str:
    """Return a document with a text between <!-- part --> and <!-- /part -->, where it has these."""
    pattern = re.compile(rf"(<!-- {part} -->\n).*?(<!-- /{part} -->)", re.DOTALL)
    return pattern.sub(lambda found: f"{found[1]}{text.strip()}\n{found[2]}", old)


def renew_metrics(root: Path, metrics: Mapping[str, Any]) -> None:
    """Write the metrics of a training into README.md, where there is a place for them."""
    renew(root, "metrics", "\n".join(metrics_table(metrics)))


def metrics_table(metrics: Mapping[str, Any]) -> Iterator[str]:
    numbers = {k: v for k, v in metrics.items() if k != "rows" and isinstance(v, int | float)}
    chosen = f" ({metrics['estimator']})" if "estimator" in metrics else ""
    yield f"The saved model{chosen}, on {metrics.get('rows', 0):,} rows that were held out of its training:\n"
    yield "| Metric | Value |"
    yield "|---|--:|"
    for name, value in numbers.items():
        yield f"| {name.replace('_', ' ')} | {value:.4g} |"


def cell(text: str) -> str:
    """Return a text that fits into a cell of a table in Markdown."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
