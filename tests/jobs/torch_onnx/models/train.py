"""Fit the model, judge it, save it. This file is yours."""

from typing import Annotated, Any

import msgspec
import numpy as np
import torch
from msgspec import Meta
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import train_test_split

from .. import Columns, ProjectError, Table, data, manifest
from .model import Model, features
from .schema import TARGET


class TrainConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """configs/train.yaml."""

    data: str
    test_size: Annotated[float, Meta(gt=0, lt=1)]
    seed: int
    trees: Annotated[int, Meta(ge=1)]
    max_depth: Annotated[int, Meta(ge=1)] | None
    tolerance: Annotated[float, Meta(gt=0)]


def train(settings: TrainConfig) -> None:
    """Fit on the training rows, save the model, and judge what was saved on the held-out rows."""
    training, held_out = split(settings)
    species, labels = np.unique(training.target, return_inverse=True)
    rows = torch.from_numpy(features(training.columns))
    net = fitted(rows, torch.from_numpy(labels), settings.seed)
    with manifest.run(settings, data=training.sources) as run:
        manifest.save("net.onnx", exported(net, rows[:5]))
        manifest.save("species.json", species.tolist())
        run.judge(Model(), held_out, metrics)


def split(settings: TrainConfig) -> tuple[Table, Table]:
    """Return the training rows and the held-out rows: the same ones every time."""
    rows = data.read(settings.data)
    shares: dict[str, Any] = {"test_size": settings.test_size, "random_state": settings.seed}
    try:
        training, held_out = train_test_split(np.arange(len(rows)), stratify=rows.target, **shares)
    except ValueError as error:
        raise ProjectError(f"The rows cannot be split by configs/train.yaml: {error}") from error
    return rows.take(training), rows.take(held_out)


def fitted(rows: Any, labels: Any, seed: int) -> torch.nn.Module:
    """Return a network of one hidden layer, fitted to rows and the numbers of their species."""
    torch.manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(rows), labels).backward()
        optimizer.step()
    return torch.nn.Sequential(net, torch.nn.Softmax(dim=1)).eval()


def exported(net: torch.nn.Module, rows: Any) -> Any:
    """Return a network as ONNX, for any number of rows."""
    program = torch.onnx.export(
        net,
        (rows,),
        input_names=["rows"],
        output_names=["probabilities"],
        dynamic_shapes=({0: torch.export.Dim("n")},),
        dynamo=True,
    )
    return program.model_proto


def metrics(truth: Any, predicted: Columns) -> dict[str, Any]:
    """Measure how good predictions are: the columns of Prediction, beside the true labels."""
    probabilities = predicted["probabilities"]
    shares = np.column_stack(list(probabilities.values()))
    return {
        "accuracy": accuracy_score(truth, predicted[TARGET]),
        "f1_macro": f1_score(truth, predicted[TARGET], average="macro"),
        "log_loss": log_loss(truth, shares, labels=list(probabilities)),
    }
