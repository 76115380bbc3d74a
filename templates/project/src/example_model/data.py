"""Read the data and prepare it for training. This file is yours."""

from pathlib import Path

import pandas as pd

from . import ProjectError, data_dir
from .models.model import NUMBERS, WORDS

TARGET = "species"


def path(name: str) -> Path:
    """The path of a file below data/. Raises ProjectError where the package was installed without it."""
    if data_dir is None:
        raise ProjectError(
            "data/ does not travel with the installed package. Work in a checkout of the project."
        )
    return data_dir / name


def read(name: str) -> tuple[pd.DataFrame, pd.Series]:
    """The features of each row, missing words named as such, and the species to predict.

    Raises ProjectError where the file or one of its columns is missing.
    """
    try:
        table = pd.read_csv(path(name), dtype=dict.fromkeys(NUMBERS, "float32"))
    except FileNotFoundError:
        raise ProjectError(f'{path(name)} is missing. Set "data" in configs/train.yaml.') from None
    except (OSError, ValueError) as error:  # pandas' own are ValueErrors
        why = " ".join(str(error).split())
        raise ProjectError(f"{path(name)} cannot be read: {why}") from error
    missing = sorted({*NUMBERS, *WORDS, TARGET} - set(table.columns))
    if missing:
        raise ProjectError(f"{path(name)} has no column {', '.join(missing)}.")
    features = table[[*NUMBERS, *WORDS]]
    return features.fillna(dict.fromkeys(WORDS, "missing")), table[TARGET]
