"""`poetry ml deploy kubernetes`."""

from __future__ import annotations

from cleo.helpers import option

from poetry_ml_plugin.commands.base.container import IMAGE, OVERWRITE, Container
from poetry_ml_plugin.deploy.container import (
    docker,
    kubernetes,
    registry,
)
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import pyproject

FLAVOURS = {
    "kserve": kubernetes.KSERVE,
    "knative": kubernetes.KNATIVE,
    "batch": kubernetes.BATCH,
}


class Kubernetes(Container):
    name = "ml deploy kubernetes"
    description = "Writes manifests for Kubernetes, and applies them with --apply."
    options = [  # noqa: RUF012
        IMAGE,
        option("kserve", None, "Write an InferenceService for KServe."),
        option("knative", None, "Write a Service for Knative or Google Cloud Run."),
        option("batch", None, "Write a Job that predicts files, in place of a service."),
        option("ray", None, "With --batch: a RayJob for KubeRay."),
        option("apply", None, "Apply them with kubectl, and wait for the new pods."),
        OVERWRITE,
    ]
    help = f"""\
Writes kubernetes/, and sets in its kustomization.yaml the image that <c1>poetry ml deploy docker</c1> builds
from the present sources. [tool.{pyproject.TOOL}.deploy.kubernetes] sets replicas, max-replicas, cpu
and memory.
"""

    def act(self) -> int:
        project = pyproject.find(self.folder)
        read = self._read(project)
        flavour = self._flavour()
        if not (project.root / "Dockerfile").is_file():
            raise MLError(
                "There is no Dockerfile yet. Build an image first: poetry ml deploy docker"
            )
        reference = docker.reference(project, read)
        planned = kubernetes.plan(project.root, read, reference, flavour)
        self._settle(project.root, planned, edited=[kubernetes.kustomization(flavour)])
        self.line(f"The image is <c1>{reference}</c1>")
        if "/" not in read.image:
            self.line(
                "  <comment>-</comment> That names no registry, so only a node which has it already can run "
                f"it. Say where nodes pull it from: --image ghcr.io/acme/{read.image}"
            )
        if not self.option("apply"):
            push = ["poetry ml deploy docker --push"] if "/" in read.image else []
            return self._next(*push, f"kubectl apply --kustomize {flavour.folder}")
        self._ask_for(reference)
        kubernetes.apply(project.root, read, flavour)
        return 0

    def _ask_for(self, reference: str) -> None:
        """Refuse to apply manifests of an image that nobody has pushed: its pods would never start."""
        there = registry.exists(reference) if "/" in reference else None
        if there is False:
            raise MLError(
                f"{reference} is not in its registry, so nothing was applied. "
                "Build and push it: poetry ml deploy docker --push"
            )
        if there is None and "/" in reference:
            self.line(
                "  <comment>-</comment> Its registry does not say whether it is there: "
                "it cannot be reached, or wants a login"
            )

    def _flavour(self) -> kubernetes.Flavour:
        chosen = [name for name in FLAVOURS if self.option(name)]
        if len(chosen) > 1:
            raise MLError(f"--{chosen[0]} and --{chosen[1]} cannot be used together.")
        if self.option("ray"):
            if chosen != ["batch"]:
                raise MLError("--ray goes with --batch.")
            return kubernetes.BATCH_ON_RAY
        return FLAVOURS[chosen[0]] if chosen else kubernetes.PLAIN
