"""Read the data and prepare it for training. This file is yours."""

from pathlib import Path

import numpy as np
import pandas as pd

from . import ProjectError, data_dir


def path(name: str) -> Path:
    """The path of a file below data/. Raises ProjectError where the package was installed without it."""
    if data_dir is None:
        raise ProjectError(
            "data/ does not travel with the installed package. Work in a checkout of the project."
        )
    return data_dir / name


def read(name: str) -> tuple[list[str], list[str]]:
    """The tweets, and what people felt in them: "positive" where the mean of twenty ratings is above 0.

    Raises ProjectError where the file or one of its columns is missing.
    """
    try:
        table = pd.read_csv(path(name), keep_default_na=False, dtype={"rating": "float64"})
    except FileNotFoundError:
        raise ProjectError(f'{path(name)} is missing. Set "data" in configs/train.yaml.') from None
    except (OSError, ValueError) as error:  # pandas' own are ValueErrors
        why = " ".join(str(error).split())
        raise ProjectError(f"{path(name)} cannot be read: {why}") from error
    missing = sorted({"text", "rating"} - set(table.columns))
    if missing:
        raise ProjectError(f"{path(name)} has no column {', '.join(missing)}.")
    return table["text"].tolist(), np.where(table["rating"] > 0, "positive", "negative").tolist()
