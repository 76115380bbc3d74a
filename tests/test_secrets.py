"""Secrets: referred to in YAML, resolved from the environment or from a real Vault, and shown nowhere."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from conftest import Churn, run
from serving import service

CANARY = "canary-7f3a"
ROOT = f"{CANARY}-root"


@dataclass(frozen=True)
class Vault:
    """A server that speaks Vault's API."""

    url: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What it answers to the one who may everything."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"X-Vault-Token": ROOT}
        request = urllib.request.Request(f"{self.url}/v1/{path}", content, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read() or b"null")

    @property
    def env(self) -> dict[str, str]:
        """Lets a program in by its token."""
        return {"VAULT_ADDR": self.url, "VAULT_TOKEN": ROOT}


@pytest.fixture(scope="module")
def vault(extended: Churn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    """OpenBao in memory, with a secret, and a role that may read it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        str(extended.python.with_name("bao")),
        "server",
        "-dev",
        "-dev-no-store-token",
        f"-dev-root-token-id={ROOT}",
        f"-dev-listen-address={address}",
    ]
    log = tmp_path_factory.mktemp("vault") / "log"
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        found = Vault(f"http://{address}")
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    found.ask("GET", "sys/health")
                    break
                except OSError:
                    assert process.poll() is None, log.read_text()
                    assert time.monotonic() < deadline, log.read_text()
                    time.sleep(0.1)
            secret = {"api_keys": f"{CANARY}-vault", "pin": 1234}
            found.ask("POST", "secret/data/churn", {"data": secret})
            found.ask("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
            found.ask("POST", "old/churn", {"password": f"{CANARY}-old"})
            found.ask("POST", "sys/auth/approle", {"type": "approle"})
            policy = 'path "secret/data/churn" { capabilities = ["read"] }'
            found.ask("POST", "sys/policies/acl/reader", {"policy": policy})
            found.ask("POST", "auth/approle/role/churn", {"token_policies": "reader"})
            yield found
        finally:
            process.terminate()


def configure(copy: Path, **lines: str) -> None:
    """Write settings of the service into its YAML."""
    path = copy / "configs/serve.yaml"
    kept = [line for line in path.read_text().splitlines() if line.split(":")[0] not in lines]
    path.write_text("\n".join([*kept, *(f"{key}: {value}" for key, value in lines.items())]))


def load(
    project: Churn, copy: Path, code: int = 0, env: dict[str, str] | None = None, *words: str
) -> str:
    """The API keys that a configuration gives, or what it is refused for."""
    script = (
        "import sys; from churn import ProjectError, config; from churn._runtime.service import ServeConfig\n"
        "given = dict(word.split('=', 1) for word in sys.argv[1:])\n"
        "try: print(config.load('serve', ServeConfig, given).api_keys.reveal())\n"
        "except ProjectError as error: sys.exit(str(error))"
    )
    env = {"PYTHONPATH": str(copy / "src"), "HOME": str(copy), **(env or {})}
    done = run(project.python, "-c", script, *words, cwd=copy, code=code, env=env)
    return (done.stdout or done.stderr).strip()


def test_a_reference_is_resolved_where_nothing_wins_over_it(churn: Churn, copy: Path) -> None:
    configure(copy, api_keys="${env:KEYS}")
    assert load(churn, copy, env={"KEYS": "a,b"}) == "a,b"
    assert load(churn, copy, env={"CHURN_SERVE_API_KEYS": "c"}) == "c"
    env = {"CHURN_SERVE_API_KEYS": "${env:OTHER}-2", "OTHER": "d"}
    assert load(churn, copy, env=env) == "d-2"
    assert load(churn, copy, 0, {"OTHER": "e"}, "api_keys=${env:OTHER}") == "e"
    said = load(churn, copy, 1)
    assert "configs/serve.yaml: api_keys: ${env:KEYS} is not set" in said


def test_a_secret_in_plain_text_is_refused_and_not_repeated(churn: Churn, copy: Path) -> None:
    said = load(churn, copy, 1, {}, f"api_keys={CANARY}")
    assert "the command line: Secrets are not written here" in said
    configure(copy, api_keys=CANARY)
    also = load(churn, copy, 1)
    assert "serve.yaml: Secrets are not written here" in also
    assert "`api_keys`" in also
    assert CANARY not in said + also


@pytest.mark.parametrize("written", [f'"{CANARY}', f"!{CANARY}", f"*{CANARY}", f"[{CANARY}"])
def test_yaml_that_cannot_be_read_is_not_repeated(churn: Churn, copy: Path, written: str) -> None:
    configure(copy, api_keys=written)
    said = load(churn, copy, 1)
    assert re.search(r"serve\.yaml cannot be read: line \d+: ", said)
    assert said.count("\n") == 0
    assert CANARY not in said


@pytest.mark.parametrize("written", ["${vault:secret/churn}", "${env:KEYS", "${env:KEYS}${evn:B}"])
def test_what_nearly_is_a_reference_is_no_secret(churn: Churn, copy: Path, written: str) -> None:
    env = {"KEYS": CANARY, "CHURN_SERVE_API_KEYS": written}
    said = load(churn, copy, 1, env)
    assert "$CHURN_SERVE_API_KEYS: api_keys: write a reference as ${env:NAME}" in said
    configure(copy, api_keys=written)
    assert "serve.yaml: api_keys: write a reference as" in load(churn, copy, 1, {"KEYS": CANARY})


@pytest.mark.parametrize("key", ["host", "port", "log", "predict_seconds"])
def test_a_secret_goes_into_a_field_for_secrets_alone(churn: Churn, copy: Path, key: str) -> None:
    configure(copy, **{key: "${env:KEYS}"})
    said = load(churn, copy, 1, {"KEYS": CANARY})
    assert f"got `Secret` - at `{key}`" in said
    assert CANARY not in said


def test_vault_is_read_by_token_and_by_role(extended: Churn, copy: Path, vault: Vault) -> None:
    configure(copy, api_keys="${vault:secret/data/churn#api_keys}")
    assert load(extended, copy, env=vault.env) == f"{CANARY}-vault"
    role = "auth/approle/role/churn"
    env = {
        "VAULT_ADDR": vault.url,
        "VAULT_ROLE_ID": vault.ask("GET", f"{role}/role-id")["data"]["role_id"],
        "VAULT_SECRET_ID": vault.ask("POST", f"{role}/secret-id", {})["data"]["secret_id"],
    }
    assert load(extended, copy, env=env) == f"{CANARY}-vault"
    said = load(extended, copy, 1, env, "api_keys=${vault:old/churn#password}")
    assert "Vault did not return old/churn: " in said
    assert "permission denied" in said
    said = load(extended, copy, 1, {**env, "VAULT_SECRET_ID": f"{CANARY}-wrong"})
    assert "Vault did not return secret/data/churn: invalid role or secret ID" in said
    assert CANARY not in said


@pytest.mark.parametrize(
    ("path", "given"),
    [("old/churn#password", f"{CANARY}-old"), ("secret/data/churn#pin", "1234")],
)
def test_both_versions_of_vaults_store_are_read(
    extended: Churn, copy: Path, vault: Vault, path: str, given: str
) -> None:
    assert load(extended, copy, 0, vault.env, f"api_keys=${{vault:{path}}}") == given


@pytest.mark.parametrize(
    ("reference", "env", "said"),
    [
        (
            "secret/data/churn#pn",
            {},
            'has no key "pn", only api_keys, pin',
        ),
        ("secret/churn#pin", {}, '"data" follows the mount'),
        ("secret/data/churn#pin", {"VAULT_TOKEN": f"{CANARY}-no"}, "permission denied"),
        ("secret/data/churn#pin", {"VAULT_TOKEN": ""}, "VAULT_ROLE_ID and VAULT_SECRET_ID"),
        ("secret/data/churn#pin", {"VAULT_ADDR": "http://127.0.0.1:9"}, "ConnectionError"),
    ],
    ids=["unknown key", "no data in the path", "wrong token", "no token", "no Vault"],
)
def test_what_vault_does_not_give_is_one_sentence(
    extended: Churn, copy: Path, vault: Vault, reference: str, env: dict[str, str], said: str
) -> None:
    configure(copy, api_keys=f"${{vault:{reference}}}")
    refusal = load(extended, copy, 1, {**vault.env, **env})
    assert said in refusal
    assert "serve.yaml: " in refusal
    assert refusal.count("\n") == 0
    assert CANARY not in refusal


@pytest.mark.parametrize(
    "role",
    [{"VAULT_TOKEN": "a"}, {"VAULT_ROLE_ID": "a", "VAULT_SECRET_ID": "b"}],
    ids=["token", "role"],
)
def test_what_is_not_vault_is_one_sentence(
    extended: Churn, copy: Path, role: dict[str, str]
) -> None:
    """As where the address is that of Vault's own page, which answers to every path."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<!doctype html>")

        do_POST = do_GET

    configure(copy, api_keys="${vault:secret/data/churn#pin}")
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}/ui"
        said = load(extended, copy, 1, {"VAULT_ADDR": url, **role})
        server.shutdown()
    assert "The server at $VAULT_ADDR" in said
    assert said.count("\n") == 0


def test_vault_without_its_client_says_how_to_get_it(churn: Churn, copy: Path) -> None:
    configure(copy, api_keys="${vault:secret/data/churn#api_keys}")
    said = load(churn, copy, 1, {"VAULT_ADDR": "http://127.0.0.1:9"})
    assert "poetry install --extras vault" in said


def test_keys_from_vault_open_the_service_and_a_file_of_keys_is_read_again(
    extended: Churn, copy: Path, vault: Vault, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("first\n")
    configure(copy, api_keys="${vault:secret/data/churn#api_keys}", api_keys_file=str(keys))
    command = [extended.python, "-m", "churn", "serve", "--port", "0", "--workers", "1"]
    env = {**vault.env, "PYTHONPATH": str(copy / "src")}
    with service(command, copy, env) as running:

        def status(key: str) -> int:
            return running.request("GET", "/openapi.json", X_API_Key=key)[0]

        assert [status(key) for key in (f"{CANARY}-vault", "first", "none")] == [200, 200, 401]
        keys.write_text("second\n")
        os.utime(keys, ns=(1, 1))
        assert [status(key) for key in (f"{CANARY}-vault", "first", "second")] == [200, 401, 200]
        assert running.stop() == 0
    assert CANARY not in "".join(running.log)


MASKED = """
import json, pickle, msgspec, traceback
from churn._runtime.config import Secret, plain
from churn._runtime.service import ServeConfig
settings = ServeConfig(api_keys=Secret("CANARY"))
print(settings, repr(settings.api_keys), f"{settings.api_keys:}", "%s" % settings.api_keys)
print(json.dumps(plain(settings)), json.dumps(settings.api_keys, default=str))
for write in (msgspec.json.encode, msgspec.msgpack.encode, pickle.dumps, json.dumps):
    try:
        print(write(settings))
    except TypeError as error:
        print(error)
print(settings.api_keys == Secret("CANARY"), bool(Secret()))
"""


def test_a_secret_shows_itself_to_nobody(churn: Churn) -> None:
    said = run(churn.python, "-c", MASKED.replace("CANARY", CANARY), cwd=churn.root).stdout
    assert CANARY not in said
    assert said.count("***") >= 5
    assert said.splitlines()[-1] == "True False"


def test_a_canary_is_found_nowhere(extended: Churn, copy: Path, vault: Vault) -> None:
    """In the environment, in Vault and behind references: not in what is said, nor in what is written."""
    source = copy / "src/churn/models/train.py"
    field = "    seed: int\n"
    text = source.read_text().replace(field, f"{field}    token: Secret\n    key: Secret\n")
    text = text.replace("from .. import ", "from .. import Secret, ")
    source.write_text(text)
    with (copy / "configs/train.yaml").open("a") as file:
        file.write("\ntoken: ${vault:secret/data/churn#api_keys}\nkey: ${env:CANARY_KEY}\n")
    env = {**vault.env, "CANARY_KEY": f"{CANARY}-env", "PYTHONPATH": str(copy / "src")}
    said = []
    for code, words in (
        (0, ["train"]),
        (0, ["evaluate"]),
        (0, ["verify"]),
        (0, ["train", "--help"]),
        (0, ["serve", "--help"]),
        (1, ["train", "--set", "trees=many"]),
        (1, ["train", "--set", "data=raw/none.csv"]),
    ):
        done = run(extended.python, "-m", "churn", *words, cwd=copy, code=code, env=env)
        said.append(done.stdout + done.stderr)
    recorded = json.loads((copy / "src/churn/artifacts/manifest.json").read_text())["run"]["config"]
    assert (recorded["token"], recorded["key"]) == ("***", "***")
    assert CANARY not in "".join(said)
    for path in copy.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path
