"""The manifests of a project's service for Kubernetes, KServe, Knative and KubeRay, and their way into a cluster."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from poetry_ml_plugin.deploy.container.files import Files, render
from poetry_ml_plugin.deploy.container.values import Values
from poetry_ml_plugin.errors import MLError

NAME = "kustomization.yaml"


@dataclass(frozen=True)
class Flavour:
    """One way to run the model in a cluster: a folder that can be applied by itself."""

    folder: str
    manifests: tuple[str, ...]


PLAIN = Flavour(
    "kubernetes", ("deployment.yaml", "service.yaml", "autoscaler.yaml", "disruption.yaml")
)
KSERVE = Flavour("kubernetes/kserve", ("inference-service.yaml",))
KNATIVE = Flavour("kubernetes/knative", ("service.yaml",))
BATCH = Flavour("kubernetes/batch", ("job.yaml",))
BATCH_ON_RAY = Flavour("kubernetes/batch-ray", ("ray-job.yaml",))


def plan(root: Path, values: Values, reference: str, flavour: Flavour = PLAIN) -> Files:
    """Render the manifests, and the kustomization that sets their image.

    Of a kustomization that is there, only the image is changed.
    """
    planned = {name: render(name, values) for name in _names(flavour)}
    return {**planned, kustomization(flavour): _kustomization(root, values, reference, flavour)}


def kustomization(flavour: Flavour) -> str:
    """Return the file that names the image."""
    return f"{flavour.folder}/{NAME}"


def apply(root: Path, values: Values, flavour: Flavour) -> None:
    """Apply them with kubectl, and wait until the new pods serve. Raises MLError where that fails."""
    if shutil.which("kubectl") is None:
        raise MLError(
            "kubectl is not installed. The files are written. Apply them with: "
            f"kubectl apply --kustomize {flavour.folder}"
        )
    _kubectl(root, "apply", "--kustomize", flavour.folder)
    if flavour == PLAIN:
        _kubectl(root, "rollout", "status", f"deployment/{values.name}", "--timeout=300s")


def _names(flavour: Flavour) -> list[str]:
    return [f"{flavour.folder}/{name}" for name in flavour.manifests]


def _kustomization(root: Path, values: Values, reference: str, flavour: Flavour) -> str:
    path = root / kustomization(flavour)
    there = path.is_file()
    text = path.read_text(encoding="utf-8") if there else render(kustomization(flavour), values)
    name, _, tag = reference.rpartition(":")
    text, found = re.subn(
        rf"(?m)^(\s*- name: {re.escape(values.name)}\n\s*newName: ).*\n(\s*newTag: ).*$",
        rf"\g<1>{name}\n\g<2>{tag}",
        text,
    )
    if not found:
        raise MLError(
            f'{path} has no image "{values.name}" with newName and newTag on consecutive lines. '
            "Add it, or delete the file to have it written again."
        )
    return text


def _kubectl(root: Path, *words: str) -> None:
    command = ["kubectl", *words]
    code = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, check=False).returncode
    if code != 0:
        raise MLError(f'"kubectl {words[0]}" failed with exit code {code}. See its output above.')
