"""Irises by a network of PyTorch, served as ONNX without it."""

from typing import Any

from sklearn.datasets import load_iris

TEMPLATE = "project"
SETTINGS = {"data": "raw/irises.csv"}


def table() -> Any:
    """Return the data."""
    found = load_iris(as_frame=True)
    frame = found.frame.rename(columns=lambda name: name.removesuffix(" (cm)").replace(" ", "_"))
    frame["species"] = found.target_names[frame.pop("target")]
    return frame


def expected(net: Any, prepared: Any) -> Any:
    """Return what the network says of the table."""
    import torch

    names = ["setosa", "versicolor", "virginica"]
    with torch.no_grad():
        shares = net(torch.tensor(prepared.to_numpy("float32"))).numpy()
    return [
        {"species": names[row.argmax()], "probabilities": dict(zip(names, row, strict=True))}
        for row in shares
    ]
