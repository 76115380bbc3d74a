"""What each server is sent, and how it says its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What every server must say of the row."""

    label: int
    probabilities: tuple[float, ...]


def plain(said: Any) -> Answer:
    """{"label": 1, "probabilities": [0.1, 0.9]}"""
    return Answer(said["label"], tuple(said["probabilities"]))


def first_prediction(said: Any) -> Answer:
    """The same, in the list of a generated project's service."""
    return plain(said["predictions"][0])


def array(said: Any) -> Answer:
    """An array with a line for each row: the label, then the probabilities."""
    ((label, *shares),) = said
    return Answer(int(label), tuple(shares))


def open_inference(said: Any) -> Answer:
    """A tensor of labels, and one of probabilities."""
    outputs = {output["name"]: output["data"] for output in said["outputs"]}
    return Answer(outputs["label"][0], tuple(outputs["probabilities"]))


def probabilities(said: Any) -> Answer:
    """Probabilities only, from which the label follows."""
    (shares,) = said["predictions"]
    return Answer(shares.index(max(shares)), tuple(shares))


def features(row: list[float]) -> Any:
    """One row."""
    return {"features": row}


def tensor(row: list[float]) -> Any:
    """One row as a tensor."""
    one = {"name": "features", "shape": [1, len(row)], "datatype": "FP64", "data": row}
    return {"inputs": [one]}


def listed(name: str, row: list[float]) -> Any:
    """One row as a list of rows under some name."""
    return {name: [row]}
