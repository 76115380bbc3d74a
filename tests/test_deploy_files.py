"""The files of container targets over time: settings change, users edit, images come and go."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from conftest import poetry
from kube import cluster
from test_containers import small

from poetry_ml_plugin.deploy.container import docker, files, kubernetes, registry, values
from poetry_ml_plugin.project.pyproject import Project

__all__ = ["small"]

SETTINGS = "\n[tool.poetry-ml-plugin.deploy.kubernetes]\nreplicas = {}\nmemory = '{}'\n"


def kubernetes_of(project: Project) -> str:
    return poetry("ml", "deploy", "kubernetes", cwd=project.root).stdout


def settle(project: Project, replicas: int, memory: str) -> None:
    path = project.root / "pyproject.toml"
    text = path.read_text().partition("\n[tool.poetry-ml-plugin.deploy.kubernetes]")[0]
    path.write_text(text + SETTINGS.format(replicas, memory))


def test_settings_reach_what_nobody_edited_and_go_beside_what_somebody_did(small: Project) -> None:
    poetry("ml", "deploy", "docker", "--files-only", cwd=small.root)
    assert "deployment.yaml written" in kubernetes_of(small)
    folder = small.root / "kubernetes"
    deployment = folder / "deployment.yaml"
    deployment.write_text(
        deployment.read_text().replace("revisionHistoryLimit: 5", "revisionHistoryLimit: 9")
    )
    settle(small, 4, "2Gi")
    said = kubernetes_of(small)
    assert "kubernetes/autoscaler.yaml updated\n" in said
    assert "kubernetes/deployment.yaml updated, with your changes kept" in said
    assert yaml.safe_load((folder / "autoscaler.yaml").read_text())["spec"]["minReplicas"] == 4
    spec = yaml.safe_load(deployment.read_text())["spec"]
    assert spec["revisionHistoryLimit"] == 9
    (container,) = spec["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "2Gi"}
    assert "deployment.yaml was kept" in kubernetes_of(small)


def test_where_both_changed_the_same_line_the_users_stays(small: Project) -> None:
    poetry("ml", "deploy", "docker", "--files-only", cwd=small.root)
    kubernetes_of(small)
    scaler = small.root / "kubernetes/autoscaler.yaml"
    mine = scaler.read_text().replace("minReplicas: 2", "minReplicas: 7")
    scaler.write_text(mine)
    settle(small, 4, "1Gi")
    for _ in range(2):
        assert "autoscaler.yaml was kept: it differs in 2 lines" in kubernetes_of(small)
        assert scaler.read_text() == mine
    said = poetry("ml", "deploy", "kubernetes", "--overwrite", cwd=small.root).stdout
    assert "-  minReplicas: 7" in said
    assert "minReplicas: 4" in scaler.read_text()


def test_a_project_without_the_record_keeps_what_differs(small: Project) -> None:
    poetry("ml", "deploy", "docker", "--files-only", cwd=small.root)
    kubernetes_of(small)
    (small.root / files.RECORD).unlink()
    settle(small, 4, "1Gi")
    assert "autoscaler.yaml was kept" in kubernetes_of(small)
    (small.root / files.RECORD).write_text("[not json")
    assert "autoscaler.yaml was kept" in kubernetes_of(small)


def test_where_to_deploy_to_is_no_part_of_the_image(small: Project) -> None:
    poetry("ml", "deploy", "docker", "--files-only", cwd=small.root)

    def tag() -> str:
        return docker.reference(small, values.read(small)).rpartition(":")[2]

    before = tag()
    settle(small, 4, "1Gi")
    poetry("ml", "deploy", "kubernetes", "--image", "ghcr.io/acme/churn", cwd=small.root)
    assert tag() == before
    path = small.root / "pyproject.toml"
    path.write_text(
        path.read_text().replace('readme = "README.md"', 'readme = "README.md"\nkeywords = ["x"]')
    )
    assert tag() != before


def test_secrets_reach_the_pods_of_every_flavour_and_service_links_none(small: Project) -> None:
    read = values.read(small)
    for flavour in (kubernetes.PLAIN, kubernetes.KSERVE, kubernetes.KNATIVE):
        planned = kubernetes.plan(small.root, read, "a.b/churn:1", flavour)
        specs = [pod for name, text in planned.items() if (pod := pod_of(yaml.safe_load(text)))]
        (pod,) = specs
        assert pod["enableServiceLinks"] is False, flavour.folder
        (container,) = pod["containers"]
        assert container["envFrom"] == [{"secretRef": {"name": "churn", "optional": True}}]


def pod_of(manifest: dict[str, Any]) -> dict[str, Any] | None:
    """Find what has containers in it."""
    for value in manifest.values():
        if isinstance(value, dict):
            if "containers" in value:
                return value
            if found := pod_of(value):
                return found
    return None


@contextmanager
def registry_with(*tags: str, status: int = 404) -> Iterator[str]:
    """A registry of one repository; its host, as an image's name says it."""

    class Registry(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            there = self.path.rpartition("/")[2] in tags
            self.send_response(200 if there else status)
            self.end_headers()

        do_GET = do_HEAD

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_registry_says_whether_an_image_is_there_or_nobody_knows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # without a builder to ask with a login
    with registry_with("1") as host:
        assert registry.exists(f"{host}/acme/churn:1") is True
        assert registry.exists(f"{host}/acme/churn:2") is False
    with registry_with(status=403) as host:
        assert registry.exists(f"{host}/acme/churn:1") is None
    assert registry.exists("127.0.0.1:1/acme/churn:1") is None
    # What docker says with its login, of a registry that tells a stranger nothing.
    program = tmp_path / "docker"
    for code, said, known in ((0, "", True), (1, "manifest unknown", False), (1, "denied", None)):
        program.write_text(f"#!/bin/sh\necho {said} >&2\nexit {code}\n")
        program.chmod(0o755)
        assert registry.exists("127.0.0.1:1/acme/churn:1") is known


def test_an_image_that_was_never_pushed_is_not_applied(small: Project, tmp_path: Path) -> None:
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    read = values.read(small)
    poetry("ml", "deploy", "docker", "--files-only", cwd=small.root)
    tag = docker.reference(small, read).rpartition(":")[2]
    with cluster() as found:
        env = found.environment(tmp_path)
        words = ("ml", "deploy", "kubernetes", "--apply", "--image")
        with registry_with() as host:
            done = poetry(*words, f"{host}/acme/churn", cwd=small.root, env=env, code=1)
            assert "is not in its registry, so nothing was applied" in done.stderr
            assert "poetry ml deploy docker --push" in done.stderr
            assert found.objects == {}
        with registry_with(tag) as host:
            done = poetry(*words, f"{host}/acme/churn", cwd=small.root, env=env)
            assert "successfully rolled out" in done.stdout


def test_a_merge_of_texts_that_collide_is_none(small: Project) -> None:
    change = files.Change("a", "one\ntwo\n", "one\n2\n", "one\nzwei\n")
    assert change.merged is None
    assert replace(change, old="one\nzwei\n").untouched
    assert replace(change, base=None).merged is None
