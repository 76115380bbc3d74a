"""A Kubernetes API that is a real server: enough of it for kubectl to validate, apply and wait."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# By the path of their group: name and kind.
RESOURCES = {
    "api/v1": ("services", "Service"),
    "apis/apps/v1": ("deployments", "Deployment"),
    "apis/autoscaling/v2": ("horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    "apis/policy/v1": ("poddisruptionbudgets", "PodDisruptionBudget"),
}
ROLLED_OUT = ("replicas", "updatedReplicas", "availableReplicas", "readyReplicas")


@dataclass
class Cluster:
    """What was applied, by its path, and how it is reached."""

    url: str
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)

    def one(self, kind: str) -> dict[str, Any]:
        """The one object of a kind."""
        (found,) = (each for each in self.objects.values() if each["kind"] == kind)
        return found

    def environment(self, folder: Path) -> dict[str, str]:
        """Variables that have kubectl use this cluster, by a configuration in a folder."""
        config = folder / "config"
        place = {"name": "x", "cluster": {"server": self.url}}
        context = {"name": "x", "context": {"cluster": "x", "user": ""}}
        settings = {"clusters": [place], "contexts": [context], "current-context": "x"}
        config.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **settings}))
        return {"KUBECONFIG": str(config), "HOME": str(folder)}

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Status and content for a request."""
        words = path.strip("/")
        if words in _DISCOVERY:
            return 200, _DISCOVERY[words]
        if method == "POST":
            made = json.loads(body)
            return 201, self._keep(f"{words}/{made['metadata']['name']}", made)
        if words not in self.objects:
            if words.endswith("/deployments"):  # "rollout status" lists by a field
                return 200, {"kind": "DeploymentList", "apiVersion": "apps/v1", **self._listed()}
            return 404, {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
        if method == "PATCH":
            return 200, self._keep(words, _merge(self.objects[words], json.loads(body)))
        return 200, self.objects[words]

    def _keep(self, words: str, made: dict[str, Any]) -> dict[str, Any]:
        made["metadata"].update(uid="1", generation=1)
        if made["kind"] == "Deployment":
            made["status"] = {"observedGeneration": 1, **dict.fromkeys(ROLLED_OUT, 1)}
        self.objects[words] = made
        return made

    def _listed(self) -> dict[str, Any]:
        return {"metadata": {"resourceVersion": "1"}, "items": [self.one("Deployment")]}


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster with nothing in it, for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = found.answer(self.command, self.path.partition("?")[0], body)
            sent = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PATCH = _answer

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Cluster(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


def _merge(old: Any, patch: Any) -> Any:
    """A strategic merge, as far as a changed container needs it."""
    if isinstance(old, dict) and isinstance(patch, dict):
        merged = {key: _merge(old.get(key), value) for key, value in patch.items()}
        return {k: v for k, v in {**old, **merged}.items() if not k.startswith("$")}
    if isinstance(old, list) and patch and isinstance(patch[0], dict):
        return [_merge(one, change) for one, change in zip(old, patch, strict=True)]
    return patch


def _discovery() -> dict[str, Any]:
    """What kubectl asks before it sends anything."""
    split = {path: path.removeprefix("apis/").split("/") for path in RESOURCES if "apis" in path}
    groups = [
        {
            "name": group,
            "versions": [{"groupVersion": f"{group}/{version}", "version": version}],
            "preferredVersion": {"groupVersion": f"{group}/{version}", "version": version},
        }
        for group, version in split.values()
    ]
    known: dict[str, Any] = {
        "version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
        "api": {"kind": "APIVersions", "versions": ["v1"]},
        "apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
        "openapi/v3": {
            "paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}"} for path in RESOURCES}
        },
    }
    for path, (name, kind) in RESOURCES.items():
        group, version = split.get(path, ["", "v1"])
        known[path] = {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": f"{group}/{version}".strip("/"),
            "resources": [
                {
                    "name": name,
                    "singularName": "",
                    "kind": kind,
                    "namespaced": True,
                    "verbs": ["create", "get", "list", "patch", "watch"],
                }
            ],
        }
        operation = {
            "parameters": [{"name": "fieldValidation", "in": "query"}],
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
            "responses": {},
        }
        known[f"openapi/v3/{path}"] = {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": "1"},
            "paths": {f"/{path}/namespaces/{{namespace}}/{name}/{{name}}": {"patch": operation}},
        }
    return known


_DISCOVERY = _discovery()
