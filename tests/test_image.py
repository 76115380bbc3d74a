"""The image: its Dockerfile's own steps run without an engine, and by buildah where that is installed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, ROWS, Churn, poetry, run
from serving import service

from poetry_ml_plugin.deploy.container import docker
from poetry_ml_plugin.project.pyproject import Project

CANARY = "canary-2c81d0"
# Where the index has no JSON pages, Poetry needs what reads the simple one; a user would say it like this.
MIRROR = "poetry-plugin-pypi-mirror"


@pytest.fixture
def hiding(churn: Churn, tmp_path: Path) -> Project:
    """The shared project, with its git, and with secrets where people leave them."""
    root = tmp_path / "churn"
    shutil.copytree(churn.root, root, ignore=shutil.ignore_patterns("dist"))
    for name in (".env", "src/churn/.env", "configs/train.yaml", "data/raw/penguins.csv"):
        with (root / name).open("a") as file:
            file.write(CANARY)
    poetry("ml", "deploy", "docker", "--files-only", cwd=root)
    return Project(root, "churn")


def instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """Each instruction of a Dockerfile, and what it says."""
    lines = [line for line in dockerfile.splitlines() if not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.partition(" ")
            yield word, rest.strip()


def allowed(root: Path) -> list[str]:
    """The files that a .dockerignore lets in: of the lines that match, the last one counts."""
    rules = (root / ".dockerignore").read_text().splitlines()
    rules = [rule for rule in rules if rule and not rule.startswith("#")]

    def matches(name: str, pattern: str) -> bool:
        parts = name.split("/")
        if pattern.startswith("**/"):
            return any(fnmatch(part, pattern[3:]) for part in parts)
        return any(fnmatch("/".join(parts[:n]), pattern) for n in range(1, len(parts) + 1))

    def enters(name: str) -> bool:
        verdict = True
        for rule in rules:
            if matches(name, rule.removeprefix("!")):
                verdict = rule.startswith("!")
        return verdict

    files = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return sorted(name for name in files if enters(name))


@dataclass
class Image:
    """What a Dockerfile's steps make, its absolute paths below a folder instead of the root."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: int = 0
    words: dict[str, list[str]] = field(default_factory=dict)

    def inside(self, text: str) -> str:
        """Text with the paths of the image made those of this machine."""
        return re.sub(r"(?<![\w.])/(?=(opt|project|srv)\b)", f"{self.root}/", text)

    def run(self, command: Sequence[str], **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the image's user."""
        return subprocess.run(
            self.as_user(command),
            cwd=self.inside(self.workdir),
            env={**self.outside(), **more},
            capture_output=True,
            text=True,
            check=False,
        )

    def as_user(self, command: Sequence[str]) -> list[str]:
        """A command, run as the image's user where there is a way to become that one."""
        if not self.user:
            return list(command)
        user = [f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        # env has only that user's rights when it looks for the program; setpriv would have ours.
        return ["setpriv", *user, "env", *command]

    def outside(self) -> dict[str, str]:
        """The image's environment, and what of this machine's is needed to install anything."""
        kept = ("PIP_", "SSL_", "REQUESTS_", "POETRY_PYPI", "POETRY_CACHE")
        return {k: v for k, v in os.environ.items() if k.startswith(kept)} | {
            name: self.inside(value) for name, value in self.env.items()
        }


def follow(dockerfile: str, context: Path, root: Path) -> Image:
    """Do what a Dockerfile says, step by step, and return what its last stage makes."""
    host = root / "host"
    host.mkdir()
    (host / "python").symlink_to(Path(sys.executable).resolve())
    path = os.pathsep.join([str(host), os.defpath])
    stages: dict[str, Image] = {}
    image = Image(root)
    for word, rest in instructions(dockerfile):
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            image = Image(root / (name or "last"), {"PATH": path, "HOME": str(root)})
            if base in stages:
                image = stages[base]  # nothing else is made of it
            stages[name] = image
            image.root.mkdir(exist_ok=True)
        elif word == "ENV":
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                image.env[name] = value.replace("$PATH", image.env["PATH"])
        elif word == "WORKDIR":
            image.workdir = rest
            Path(image.inside(rest)).mkdir(parents=True)
        elif word == "COPY":
            words = rest.split()
            flag = words.pop(0) if words[0].startswith("--from=") else ""
            origin = stages[flag.removeprefix("--from=")] if flag else None
            _copy(image, origin, context, words[:-1], words[-1])
        elif word == "RUN":
            if rest.startswith("python -m venv /opt/poetry "):
                # The Poetry of these tests, to save a minute.
                Path(image.inside("/opt/")).mkdir()
                Path(image.inside("/opt/poetry")).symlink_to(sys.prefix)
                continue
            done = image.run(["/bin/sh", "-c", image.inside(rest)])
            assert done.returncode == 0, f"{rest}\n{done.stdout}\n{done.stderr}"
        elif word == "USER":
            image.user = int(rest.partition(":")[0])
            if os.geteuid() != 0 or image.run(["python", "-c", ""]).returncode != 0:
                image.user = 0  # this machine's Python is not for everybody
        elif word in ("ENTRYPOINT", "CMD"):
            image.words[word] = json.loads(rest)
        elif word == "HEALTHCHECK":
            image.words[word] = json.loads(rest.partition("CMD ")[2])
    return image


def _copy(
    image: Image, origin: Image | None, context: Path, sources: list[str], target: str
) -> None:
    absolute = target if target.startswith("/") else f"{image.workdir}/{target}"
    place = Path(image.inside(absolute))
    for source in sources:
        found = Path(origin.inside(source)) if origin else context / source
        if found.is_dir():
            shutil.copytree(found, place, symlinks=True, dirs_exist_ok=True)
        else:
            folder = place if target.endswith("/") else place.parent
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, folder)


def test_the_dockerfiles_own_steps_make_a_service(hiding: Project, churn: Churn) -> None:
    root = Path(tempfile.mkdtemp(prefix="poetry-ml-image-"))  # where another user may look in
    root.chmod(0o755)
    try:
        context = root / "context"
        for name in allowed(hiding.root):
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(hiding.root / name, context / name)
        # .dockerignore says what the tag is made from.
        assert allowed(hiding.root) == sorted(docker.context(hiding))
        text = (hiding.root / "Dockerfile").read_text()
        image = follow(text, context, root)
        check_image(image, churn)
    finally:
        shutil.rmtree(root)


def check_image(image: Image, churn: Churn) -> None:
    inside = sorted(path.name for path in image.root.iterdir())
    assert inside == ["opt", "srv"]
    assert sorted(path.name for path in (image.root / "opt").iterdir()) == ["model", "venv"]
    assert files_with(image.root / "opt/model", CANARY) == files_with(image.root / "srv", CANARY)
    assert not files_with(image.root / "srv", CANARY)
    installed = {p.name for p in image.root.glob("opt/venv/lib/python*/site-packages/*")}
    assert "falcon" in installed
    assert not {"poetry", "pip", "sklearn", "pandas"} & installed

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = image.words["ENTRYPOINT"] + image.words["CMD"]
    words = image.as_user(["env", *command])
    env = dict.fromkeys(os.environ, "") | image.outside() | {"PORT": port}
    with service(words, Path(image.inside(image.workdir)), env) as running:
        body = json.dumps({"data": json.loads(ROWS)}).encode()
        status, answer = running.post("/predict", body)
        assert status == 200
        assert answer["predictions"] == json.loads(churn.verb("predict", ROWS).stdout)
        healthy = image.run(image.words["HEALTHCHECK"], PORT=port)
        assert healthy.returncode == 0, healthy.stderr
        assert running.stop(signal.SIGTERM) == 0
    assert image.run(image.words["HEALTHCHECK"], PORT=port).returncode != 0


def files_with(folder: Path, text: str) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if text.encode() in path.read_bytes()]


# --- built by buildah


@dataclass(frozen=True)
class Buildah:
    """A buildah with a store of its own, and a base image in it."""

    env: dict[str, str]

    def __call__(self, *words: str | Path) -> str:
        return run("buildah", *words, cwd=REPOSITORY, env=self.env).stdout.strip()


@pytest.fixture(scope="session")
def buildah(churn: Churn) -> Iterator[Buildah]:
    """The base is the official image where its registry can be reached, else a Debian that stands in."""
    if not shutil.which("buildah") or os.geteuid() != 0:
        pytest.skip("buildah is not installed, or this is not root")
    folder = Path(tempfile.mkdtemp(prefix="poetry-ml-buildah-"))
    settings = folder / "storage.conf"
    settings.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
    )
    own = Buildah({"CONTAINERS_STORAGE_CONF": str(settings), "BUILDAH_ISOLATION": "chroot"})
    version = (churn.root / ".python-version").read_text().strip()
    try:
        stand_in(own, f"docker.io/library/python:{version}-slim", version, folder)
        yield own
    finally:
        subprocess.run(["buildah", "rm", "--all"], env={**os.environ, **own.env}, check=False)
        subprocess.run(["buildah", "rmi", "-a", "-f"], env={**os.environ, **own.env}, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def stand_in(buildah: Buildah, name: str, version: str, folder: Path) -> None:
    pulled = subprocess.run(
        ["buildah", "pull", "--quiet", name],
        env={**os.environ, **buildah.env},
        timeout=300,
        capture_output=True,
        check=False,
    )
    if pulled.returncode == 0:
        return
    if not shutil.which("debootstrap"):
        pytest.skip(f"neither {name} nor debootstrap is to be had")
    tree = REPOSITORY / ".dev/debian"
    if not (tree / "usr/bin/python3").exists():
        shutil.rmtree(tree, ignore_errors=True)
        packages = "--include=python3,python3-venv,python3-pip,ca-certificates"
        made = ["debootstrap", "--variant=minbase", packages, "bookworm", str(tree)]
        if subprocess.run(made, capture_output=True, timeout=600, check=False).returncode != 0:
            shutil.rmtree(tree, ignore_errors=True)
            pytest.skip(f"neither {name} nor a Debian mirror can be reached")
    if not (tree / f"usr/bin/python{version}").exists():
        pytest.skip(f"{name} cannot be pulled, and Debian's Python is not {version}")
    container = buildah("from", "scratch")
    buildah("add", "--quiet", container, tree, "/")
    bundle = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    buildah("copy", "--quiet", container, bundle, "/etc/ssl/certs/ca-certificates.crt")
    env = {
        "PIP_BREAK_SYSTEM_PACKAGES": "1",  # which the official image needs not
        "POETRY_PYPI_MIRROR_URL": os.environ["POETRY_PYPI_MIRROR_URL"],
        "PIP_INDEX_URL": os.environ["POETRY_PYPI_MIRROR_URL"],
        "REQUESTS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt",
    }
    for key, value in env.items():
        buildah("config", "--env", f"{key}={value}", container)
    mounted = Path(buildah("mount", container))
    (mounted / "usr/bin/python").symlink_to("python3")
    buildah("umount", container)
    buildah("commit", "--quiet", "--format", "docker", container, name)


@pytest.mark.slow
def test_buildah_builds_an_image_that_predicts(
    hiding: Project, churn: Churn, buildah: Buildah, tmp_path: Path
) -> None:
    # Other builders are not to be found, so that ours is the one that is taken.
    only = tmp_path / "bin"
    only.mkdir()
    for name in ("buildah", "git"):
        (only / name).symlink_to(str(shutil.which(name)))
    env = {**buildah.env, "PATH": f"{only}:/usr/sbin:/sbin", "CANARY": CANARY}
    wanted = re.search(r"ARG POETRY=(\S+)", (hiding.root / "Dockerfile").read_text())
    assert wanted
    more = ["--", "--pull-never", "--build-arg", f"POETRY={wanted[1]} {MIRROR}"]
    said = poetry("ml", "deploy", "docker", *more, cwd=hiding.root, env=env).stdout
    reference = re.findall(r"churn:0\.1\.0-[0-9a-f]{12}", said)[-1]
    assert CANARY not in said

    config = json.loads(buildah("inspect", "--type", "image", reference))["Docker"]["config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["python", "-m", "churn"]
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert CANARY not in json.dumps(config)
    check_labels(config["Labels"], hiding, churn)

    container = buildah("from", "--pull-never", reference)
    mounted = Path(buildah("mount", container))
    assert not (mounted / "project").exists()
    assert not files_with(mounted / "opt/model", CANARY) + files_with(mounted / "srv", CANARY)
    marker = tmp_path / "marker"
    marker.touch()
    time.sleep(0.1)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    words = [*config["Entrypoint"], *config["Cmd"]]
    command = ["buildah", "run", "--env", f"PORT={port}", container, "--", *words]
    with service(command, tmp_path, buildah.env) as running:
        body = json.dumps({"data": json.loads(ROWS)}).encode()
        assert running.post("/predict", body)[1]["predictions"] == json.loads(
            churn.verb("predict", ROWS).stdout
        )
        # What a root file system that can only be read leaves room for.
        changed = ("-newer", marker, "-type", "f", "-not", "-path", f"{mounted}/tmp/*")
        said = run("find", mounted, *changed, cwd=tmp_path).stdout
        assert said.split() in ([], [f"{mounted}/run/.containerenv"])  # which is buildah's own
        (server,) = served_by(port)
        os.kill(server, signal.SIGTERM)
        assert running.process.wait(30) == 0
    # Built again with another model, the dependencies' layer is the old one.
    with (hiding.root / "README.md").open("a") as file:
        file.write("more\n")
    said = poetry("ml", "deploy", "docker", *more, cwd=hiding.root, env=env).stdout
    step = said.partition("RUN /opt/poetry/bin/poetry install")[2].splitlines()[1]
    assert "Using cache" in step
    assert re.findall(r"churn:0\.1\.0-[0-9a-f]{12}", said)[-1] != reference


def check_labels(labels: dict[str, str], hiding: Project, churn: Churn) -> None:
    manifest = json.loads((hiding.artifacts_dir / "manifest.json").read_bytes())["artifacts"]
    hashes = {name: entry["sha256"] for name, entry in manifest.items()}
    assert json.loads(labels["poetry-ml-plugin.artifacts"]) == hashes
    commit = run("git", "rev-parse", "HEAD", cwd=churn.root).stdout.strip()
    assert labels["org.opencontainers.image.revision"] == commit
    assert labels["org.opencontainers.image.version"] == "0.1.0"


def served_by(port: str) -> list[int]:
    """The process that was told to serve on a port: of the service's, the one that is nobody's child."""
    found: dict[int, Any] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            mine = f"PORT={port}".encode() in (folder / "environ").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if mine and words[1:4] == [b"-m", b"churn", b"serve"]:
            found[int(folder.name)] = parent
    return [pid for pid, parent in found.items() if parent not in found]
