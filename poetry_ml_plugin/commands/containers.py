"""`poetry ml deploy docker | kubernetes | sagemaker | render | fly`: files that are the user's, and what runs them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from cleo.helpers import argument, option

from poetry_ml_plugin import project, readiness
from poetry_ml_plugin.commands.command import MLCommand, escape
from poetry_ml_plugin.deploy import (
    builder,
    docker,
    files,
    fly,
    kubernetes,
    memory,
    render,
    sagemaker,
    values,
)
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import Project
from poetry_ml_plugin.violations import listing

OVERWRITE = option("overwrite", None, "Replace files that differ, after showing how.")
IMAGE = option(
    "image", None, "The image's name, like ghcr.io/acme/churn, to be remembered.", flag=False
)


class Container(MLCommand):
    """Writes the files of a target, and leaves those that are there to the user."""

    def _settle(self, root: Path, planned: Mapping[str, str], edited: Collection[str] = ()) -> None:
        """Write what is new. What differs is only replaced when that is asked for; `edited` is it already."""
        changed = {change.name: change for change in files.changes(root, planned)}
        for name in planned:
            change = changed.get(name)
            if change is None:
                self.line(f"  <comment>=</comment> {name} is as it should be")
            elif change.old is None or name in edited or self._may_replace(change):
                files.write(root, change)
                self.line(f"  <success>✓</success> {name} written")

    def _may_replace(self, change: files.Change) -> bool:
        if not self.option("overwrite"):
            count = sum(line[:1] in ("+", "-") for line in change.diff.splitlines()[2:])
            self.line(
                f"  <comment>-</comment> {change.name} is yours, and stays: it differs in "
                f"{count} line{'s' * (count > 1)} from what would be written (--overwrite shows it)"
            )
            return False
        self.line(escape(change.diff))
        # With nobody to ask, --overwrite is the answer.
        return not self.io.is_interactive() or self.confirm(f"Replace {change.name}?", False)

    def _read(self, found: Project) -> values.Values:
        image = self.option("image")
        read = values.read(found, image)
        if image and memory.recall(found, "docker").get("image") != image:
            keys = ("tool", project.TOOL, "deploy", "docker", "image")
            project.amend(found.root, {keys: image})
        return read

    def _image_files(self, found: Project, read: values.Values) -> dict[str, str]:
        planned = docker.plan(found, read, anew=bool(self.option("overwrite")))
        if "@sha256:" not in planned["Dockerfile"]:
            self.line(
                f"  <comment>-</comment> The base python:{read.python}-slim is named by its tag alone, "
                "for its registry cannot be asked. Pin it later with --overwrite"
            )
        return planned

    def _advise(self, found: Project, target: str) -> None:
        """Name all that keeps a platform from building and running this: it asks nobody first."""
        if wrong := list(readiness.ready(target, readiness.Subject(found))):
            self.line("")
            self.line("<comment>It would not work yet:</comment>")
            self.line(escape(listing(wrong)))

    def _next(self, *commands: str) -> int:
        self.line("")
        self.line("Next:")
        for command in commands:
            self.line(f"  <c1>{escape(command)}</c1>")
        return 0


class Docker(Container):
    name = "ml deploy docker"
    description = "Writes a Dockerfile, and builds the image of the service."
    arguments = [  # noqa: RUF012
        argument("options", "After --: what else the builder is told.", True, True)
    ]
    options = [  # noqa: RUF012
        IMAGE,
        option("push", None, "Push the image to the registry that its name says."),
        option("files-only", None, "Only write Dockerfile and .dockerignore."),
        OVERWRITE,
    ]
    help = """\
Builds an image with docker, podman or buildah, whichever is there. Its tag is the project's version and
a hash of all that went in.

    <c1>poetry ml deploy docker --image ghcr.io/acme/churn --push</c1>
"""

    def act(self) -> int:
        if (more := self.argument("options")) and not more[0].startswith("-"):
            raise MLError(
                f'"{more[0]}" is no option of a builder. See: poetry ml deploy docker --help'
            )
        found = project.find(self.folder)
        read = self._read(found)
        if self.option("push") and "/" not in read.image:
            raise MLError(
                f'"{read.image}" names no registry to push to. Say where: --image ghcr.io/acme/{read.image}'
            )
        if not self.option("files-only"):
            docker.verify(found)
        self._settle(found.root, self._image_files(found, read))
        if self.option("files-only"):
            return self._next(f"docker build --tag {docker.reference(found, read)} .")
        return self._build(found, read)

    def _build(self, found: Project, read: values.Values) -> int:
        program = builder.find()
        reference = docker.reference(found, read)
        self.line(f"Building <c1>{reference}</c1> with {program}")
        labels = docker.labels(found, read)
        builder.build(program, found.root, reference, labels, self.argument("options"))
        if not self.option("push"):
            tool = "podman" if program == "buildah" else program
            return self._next(f"{tool} run --rm --publish 8080:8080 {reference}")
        self.line(f"Pushing <c1>{reference}</c1>")
        builder.push(program, reference)
        return self._next("poetry ml deploy kubernetes --apply")


class Kubernetes(Container):
    name = "ml deploy kubernetes"
    description = "Writes manifests for a Kubernetes cluster, and applies them if asked to."
    options = [  # noqa: RUF012
        IMAGE,
        option("kserve", None, "As an InferenceService of KServe."),
        option("knative", None, "As a Service of Knative, or of Google's Cloud Run."),
        option("apply", None, "Apply them with kubectl, and wait for the new pods."),
        OVERWRITE,
    ]
    help = f"""\
Writes kubernetes/, and sets in its kustomization.yaml the image that <c1>poetry ml deploy docker</c1> builds
from the sources as they are now. [tool.{project.TOOL}.deploy.kubernetes] sets replicas, max-replicas, cpu
and memory.
"""

    def act(self) -> int:
        found = project.find(self.folder)
        read = self._read(found)
        flavour = self._flavour()
        if not (found.root / "Dockerfile").is_file():
            raise MLError("There is no image to run yet. Build it: poetry ml deploy docker")
        reference = docker.reference(found, read)
        planned = kubernetes.plan(found.root, read, reference, flavour)
        self._settle(found.root, planned, edited=[kubernetes.kustomization(flavour)])
        self.line(f"The image is <c1>{reference}</c1>")
        if "/" not in read.image:
            self.line(
                "  <comment>-</comment> That names no registry, so only a node which has it already can run "
                f"it. Say where nodes pull it from: --image ghcr.io/acme/{read.image}"
            )
        if not self.option("apply"):
            push = ["poetry ml deploy docker --push"] if "/" in read.image else []
            return self._next(*push, f"kubectl apply --kustomize {flavour.folder}")
        kubernetes.apply(found.root, read, flavour)
        return 0

    def _flavour(self) -> kubernetes.Flavour:
        if self.option("kserve") and self.option("knative"):
            raise MLError("Choose one of --kserve and --knative.")
        if self.option("kserve"):
            return kubernetes.KSERVE
        return kubernetes.KNATIVE if self.option("knative") else kubernetes.PLAIN


class SageMaker(Container):
    name = "ml deploy sagemaker"
    description = "Writes a CloudFormation template for a SageMaker endpoint."
    options = [IMAGE, OVERWRITE]  # noqa: RUF012

    def act(self) -> int:
        found = project.find(self.folder)
        read = self._read(found)
        self._settle(found.root, {**self._image_files(found, read), **sagemaker.plan(read)})
        registry = "ACCOUNT.dkr.ecr.REGION.amazonaws.com"
        image = read.image if "/" in read.image else f"{registry}/{read.image}"
        return self._next(
            f"poetry ml deploy docker --image {image} --push",
            f"aws cloudformation deploy --template-file {sagemaker.FILE} --stack-name {read.name} "
            "--capabilities CAPABILITY_IAM --parameter-overrides Image=THE_IMAGE_JUST_PUSHED",
        )


class Render(Container):
    name = "ml deploy render"
    description = "Writes a blueprint for Render."
    options = [OVERWRITE]  # noqa: RUF012

    def act(self) -> int:
        found = project.find(self.folder)
        read = values.read(found)
        self._settle(found.root, {**self._image_files(found, read), **render.plan(read)})
        self._advise(found, "render")
        artifacts = found.artifacts_dir.relative_to(found.root).as_posix()
        return self._next(
            f"git add Dockerfile .dockerignore {render.FILE} {artifacts}",
            "git commit --message 'Deploy to Render' && git push",
        )


class Fly(Container):
    name = "ml deploy fly"
    description = "Writes a fly.toml for Fly.io."
    options = [OVERWRITE]  # noqa: RUF012

    def act(self) -> int:
        found = project.find(self.folder)
        read = values.read(found)
        self._settle(found.root, {**self._image_files(found, read), **fly.plan(read)})
        self._advise(found, "fly")
        return self._next(f"fly apps create {read.name}", "fly deploy")
