"""A Heroku that is real servers: an API that checks what it is asked, builds as the buildpack does, and dynos.

It has two addresses. One is the API's, the only that may see the key. The other stands for all the rest:
where sources are put, logs stream from, and the router answers for the apps.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import falcon
import tomlkit
import waitress  # type: ignore[import-untyped]
from heroku_schema import Refused, check

KEY = "HRKU-canary-5f1e6c0a-never-to-be-seen"
KEY_OF_BOB = "HRKU-canary-0b0b0b0b-never-to-be-seen"
ACCOUNTS = {KEY: "ann@example.org", KEY_OF_BOB: "bob@example.org"}
BUILDPACK_LOCKS = ("poetry.lock", "requirements.txt", "Pipfile.lock", "uv.lock")
SUPPORTED = ("3.10", "3.11", "3.12", "3.13", "3.14")


@dataclass
class Fault:
    """An answer in the place of the right one, for the next `times` requests that fit."""

    pattern: str
    status: int
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, str] = field(default_factory=dict)


@dataclass
class Hold:
    """A request that waits, once, between `reached` and `go`."""

    pattern: str
    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def meet(self, route: str) -> None:
        if not self.reached.is_set() and re.search(self.pattern, route):
            self.reached.set()
            self.go.wait(60)


class Line:
    """A connection to a server that can be cut: what was open breaks, and nothing new is taken."""

    def __init__(self, port: int) -> None:
        self._port, self._open = port, set[socket.socket]()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._door.accept()
                there = socket.create_connection(("127.0.0.1", self._port))
                self._open |= {here, there}
                for ways in ((here, there), (there, here)):
                    threading.Thread(target=self._pass, args=ways, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(1 << 16):
                target.sendall(part)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._open.discard(source)
        source.close()


@dataclass
class Stream:
    """A log that grows while it is read."""

    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    text: bytes = b""
    ended: bool = False

    def say(self, line: str) -> None:
        self.text += line.encode() + b"\n"


class Dyno:
    """A process that serves an app, from a folder and with a port of its own."""

    def __init__(self, app: App, number: int, release: dict[str, Any], boot_seconds: float) -> None:
        slug = app.slugs[release["slug"]["id"]]
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.id, self.name = str(uuid.uuid4()), f"web.{number}"
        self.app, self.release = app, release
        self._deadline = time.monotonic() + boot_seconds
        self._state = "starting"
        self.output = slug.folder.parent / f"{self.id}.log"
        path = os.pathsep.join([str(slug.bin), os.environ["PATH"]])
        env = {k: v for k, v in os.environ.items() if "HEROKU" not in k}
        env |= {"WEB_CONCURRENCY": "1", "PYTHONPATH": "src", **app.config}
        env |= {"PATH": path, "PORT": str(self.port)}
        words = shlex.split(slug.process_types["web"])
        words[0] = shutil.which(words[0], path=path) or words[0]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                words, cwd=slug.folder, env=env, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def state(self) -> str:
        if self._state in ("starting", "up") and self.process.poll() is not None:
            self._crash(f"State changed from {self._state} to crashed")
        elif self._state == "starting" and self._listens():
            self._state = "up"
        elif self._state == "starting" and time.monotonic() > self._deadline:
            self._crash(
                "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 60 seconds"
            )
        return self._state

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _crash(self, why: str) -> None:
        self._state = "crashed"
        self.process.kill()
        self.process.wait()
        for line in self.output.read_text().splitlines():
            self.app.say(f"app[{self.name}]: {line}")
        self.app.say(f"heroku[{self.name}]: {why}")
        self.app.say('heroku[router]: at=error code=H10 desc="App crashed" path="/"')

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


@dataclass
class Slug:
    """A built app: its files, what is installed for it, and what it was made of."""

    id: str
    folder: Path
    bin: Path
    process_types: dict[str, str]
    commit: str | None


class App:
    """An app's state, and what happens to it."""

    def __init__(self, fake: FakeHeroku, name: str, region: str, team: str | None) -> None:
        self.fake = fake
        self.id, self.name, self.region, self.team = str(uuid.uuid4()), name, region, team
        self.config: dict[str, str] = {}
        self.buildpacks: list[str] = []
        self.releases: list[dict[str, Any]] = []
        self.slugs: dict[str, Slug] = {}
        self.builds: list[dict[str, Any]] = []
        self.dynos: list[Dyno] = []
        self.quantity: int | None = None
        self.size = "Basic"
        self.log: list[str] = []
        self.configs: dict[str, dict[str, str]] = {}
        """The config vars of each release, by its id."""
        self.release("Initial release", None)

    def say(self, line: str) -> None:
        self.log.append(f"{now()} {line}")

    def info(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "web_url": f"{self.fake.outside}/router/{self.name}/",
            "git_url": f"https://git.heroku.com/{self.name}.git",
            "region": {"id": str(uuid.uuid4()), "name": self.region},
            "stack": {"id": str(uuid.uuid4()), "name": "heroku-24"},
            "build_stack": {"id": str(uuid.uuid4()), "name": "heroku-24"},
            "owner": {"id": str(uuid.uuid4()), "email": "ann@example.org"},
            "team": {"name": self.team} if self.team else None,
            "space": None,
            "generation": {"id": str(uuid.uuid4()), "name": "cedar"},
            "buildpack_provided_description": "Python",
            "created_at": now(),
            "updated_at": now(),
            "released_at": now(),
            "archived_at": None,
            "maintenance": False,
            "acm": False,
            "repo_size": None,
            "slug_size": 1,
        }

    def release(self, description: str, slug: str | None, by: str = "") -> dict[str, Any]:
        """A new release, which becomes the current one and is started."""
        with self.fake.lock:
            return self._release(description, slug, by or self.fake.caller())

    def _release(self, description: str, slug: str | None, by: str) -> dict[str, Any]:
        release = {
            "id": str(uuid.uuid4()),
            "version": len(self.releases) + 1,
            "description": description,
            "status": "succeeded",
            "slug": {"id": slug} if slug else None,
            "current": True,
            "eligible_for_rollback": slug is not None,
            "output_stream_url": None,
            "created_at": now(),
            "updated_at": now(),
            "user": {"id": str(uuid.uuid4()), "email": by},
            "app": {"id": self.id, "name": self.name},
            "addon_plan_names": [],
            "artifacts": [],
        }
        self.configs[str(release["id"])] = dict(self.config)
        if slug and self.fake.release_seconds:
            release["status"] = "pending"
            threading.Timer(self.fake.release_seconds, self._finish, [release]).start()
        else:
            self._finish(release)
        self.releases.append(release)
        return release

    def _finish(self, release: dict[str, Any]) -> None:
        if release["slug"] and self.fake.release_output:
            stream = self.fake.stream()
            stream.text, stream.ended = self.fake.release_output.encode(), True
            self.fake.release_output = ""
            release |= {"status": "failed", "current": False}
            release["output_stream_url"] = f"{self.fake.outside}/streams/{stream.id}"
            return
        for other in self.releases:
            other["current"] = False
        release["status"] = "succeeded"
        self.run(release)

    def run(self, release: dict[str, Any]) -> None:
        """Replace the dynos by those of a release."""
        for dyno in self.dynos:
            dyno.stop()
        if release["slug"] and self.quantity is None:
            self.quantity = 1
        count = (self.quantity or 0) if release["slug"] else 0
        boot = self.fake.boot_seconds
        self.dynos = [Dyno(self, n + 1, release, boot) for n in range(count)]

    def current(self) -> dict[str, Any]:
        return next(release for release in self.releases if release["current"])

    def build(self, blob: dict[str, Any]) -> dict[str, Any]:
        """Begin to build what was put at a place of ours."""
        stream = self.fake.stream()
        build = {
            "id": str(uuid.uuid4()),
            "app": {"id": self.id},
            "status": "pending",
            "source_blob": blob,
            "output_stream_url": f"{self.fake.outside}/streams/{stream.id}",
            "release": None,
            "slug": None,
            "buildpacks": [{"url": "https://github.com/heroku/heroku-buildpack-python"}],
            "created_at": now(),
            "updated_at": now(),
            "user": {"id": str(uuid.uuid4()), "email": self.fake.caller()},
        }
        self.builds.append(build)
        threading.Thread(target=self._make, args=(build, stream), daemon=True).start()
        return build

    def _make(self, build: dict[str, Any], stream: Stream) -> None:
        id = str(uuid.uuid4())  # noqa: A001
        try:
            slug = self.fake.compile(id, build["source_blob"], stream.say)
        except Exception as error:  # noqa: BLE001
            stream.say(f" !     {error}")
            stream.say(" !     Push failed")
            build["status"] = "failed"
            stream.ended = True
            return
        if build["status"] == "failed":  # it was cancelled
            stream.ended = True
            return
        self.slugs[id] = slug
        stream.say("-----> Launching...")
        by = str(build["user"]["email"])
        release = self.release(f"Deploy {(slug.commit or '')[:8]}", id, by)
        stream.say(f"       Released v{release['version']}")
        build |= {"slug": {"id": id}, "release": {"id": release["id"]}, "status": "succeeded"}
        stream.ended = True

    def lines(self) -> list[str]:
        """The app's log."""
        live = [
            f"{now()} app[{dyno.name}]: {line}"
            for dyno in self.dynos
            if dyno.state != "crashed"
            for line in dyno.output.read_text().splitlines()
        ]
        return [*self.log, *live]


class FakeHeroku:
    """The platform. What is wrong with it is said in its attributes."""

    def __init__(self, folder: Path, python_bin: Path | None) -> None:
        self.folder = folder
        self.python_bin = python_bin
        """Where an interpreter is that has all dependencies; None has each build install its own."""
        self.apps: dict[str, App] = {}
        self.foreign: set[str] = set()
        self.streams: dict[str, Stream] = {}
        self.blobs: dict[str, Path] = {}
        self.faults: list[Fault] = []
        self.holds: list[Hold] = []
        self.lock = threading.RLock()
        self.now = threading.local()
        self.seen: list[str] = []
        """Each request, as "METHOD /path"."""
        self.wrong: list[str] = []
        """What no client of Heroku's should send."""
        self.build_error = ""
        self.build_gate: threading.Event | None = None
        self.boot_seconds = 60.0
        self.release_seconds = 0.0
        self.release_output = ""  # of a release command that fails
        self.moved = False  # whether uploads are sent to another address
        self.drop_after: list[int] = []  # bytes after which the next streams break
        self.api = self.outside = ""

    def caller(self) -> str:
        """Whose key the request under way has."""
        return str(getattr(self.now, "caller", ACCOUNTS[KEY]))

    def hold(self, pattern: str) -> Hold:
        """Have the next request that fits wait."""
        self.holds.append(Hold(pattern))
        return self.holds[-1]

    def meet(self, route: str) -> None:
        for hold in self.holds:
            hold.meet(route)

    def stream(self) -> Stream:
        stream = Stream()
        self.streams[stream.id] = stream
        return stream

    def uploads(self) -> list[Path]:
        """The tarballs that were put, the oldest first."""
        return [path for path in self.blobs.values() if path.exists()]

    def compile(self, id: str, blob: dict[str, Any], say: Callable[[str], None]) -> Slug:  # noqa: A002
        """A slug of a tarball by the rules of the Python buildpack. Raises RuntimeError with its words."""
        say("-----> Building on the Heroku-24 stack")
        if self.build_gate:
            self.build_gate.wait(60)
        tarball = self.blobs[blob["url"].rpartition("/")[2]]
        checksum = "SHA256:" + hashlib.sha256(tarball.read_bytes()).hexdigest()
        if blob.get("checksum") not in (None, checksum):
            raise RuntimeError("Checksum mismatch")
        folder = self.folder / id / "app"
        folder.mkdir(parents=True)
        with tarfile.open(tarball) as archive:
            archive.extractall(folder, filter="data")
        locks = [name for name in BUILDPACK_LOCKS if (folder / name).exists()]
        if len(locks) != 1:
            raise RuntimeError(
                "Error: Multiple Python package manager files were found: " + str(locks)
            )
        for venv in (".venv", "venv"):
            if (folder / venv).exists():
                raise RuntimeError(f"Error: Existing '{venv}/' directory found.")
        version = (folder / ".python-version").read_text().strip()
        if not re.fullmatch(r"3\.\d+(\.\d+)?", version) or not version.startswith(SUPPORTED):
            raise RuntimeError(f"Error: The requested Python version {version} isn't supported.")
        pyproject = tomlkit.parse((folder / "pyproject.toml").read_text()).unwrap()
        if "requires-plugins" in pyproject["tool"]["poetry"]:
            raise RuntimeError("Error: Unable to install plugins using Poetry.")
        say(f"-----> Using Python {version} specified in .python-version")
        if self.build_error:
            raise RuntimeError(self.build_error)
        bin_folder = self.python_bin or install(folder, say)
        say("-----> Discovering process types")
        lines = [line.partition(":") for line in (folder / "Procfile").read_text().splitlines()]
        kinds = {name.strip(): command.strip() for name, _, command in lines if command}
        return Slug(id, folder, bin_folder, kinds, blob.get("version"))

    def close(self) -> None:
        for app in self.apps.values():
            for dyno in app.dynos:
                dyno.stop()


def install(folder: Path, say: Callable[[str], None]) -> Path:
    """What the lock file says a server needs, installed as the buildpack does; its bin folder."""
    venv = folder.parent / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    words = ["sync", "--only", "main", "--compile", "--no-ansi", "--no-interaction"]
    say(f"-----> Installing dependencies using 'poetry {' '.join(words)}'")
    with subprocess.Popen(
        [sys.executable, "-m", "poetry", *words],
        cwd=folder,
        env=os.environ | {"VIRTUAL_ENV": str(venv)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            say(f"       {line.rstrip()}")
    if process.returncode:
        raise RuntimeError("Error: Unable to install dependencies using Poetry.")
    return venv / "bin"


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class API:
    """The Platform API: every path, checked first."""

    def __init__(self, fake: FakeHeroku) -> None:
        self.fake = fake

    def __call__(self, req: falcon.Request, resp: falcon.Response, **parts: str) -> None:
        fake, request, response, path = self.fake, req, resp, parts["path"]
        route = f"{request.method} /{path}"
        fake.seen.append(route)
        raw = request.bounded_stream.read()
        fake.meet(route)
        if (fault := self._fault(route)) is not None:
            response.status, response.media = fault.status, fault.body
            for name, value in fault.headers.items():
                response.set_header(name, value)
            return
        try:
            body = json.loads(raw) if raw else None
            self._admit(request, route, body)
            response.media, response.status = self._answer(request, request.method, path, body)
        except Refused as refused:
            response.status = refused.status
            response.media = {"id": refused.id, "message": str(refused)}
            if refused.status == 400:
                fake.wrong.append(f"{route}: {refused}")

    def _fault(self, route: str) -> Fault | None:
        for fault in self.fake.faults:
            if fault.times and re.search(fault.pattern, route):
                fault.times -= 1
                return fault
        return None

    def _admit(self, request: falcon.Request, route: str, body: Any) -> None:
        kind, _, key = (request.get_header("Authorization") or "").partition(" ")
        if kind != "Bearer" or key not in ACCOUNTS:
            raise Refused(401, "unauthorized", "Invalid credentials provided.")
        self.fake.now.caller = ACCOUNTS[key]
        if "version=3" not in (request.get_header("Accept") or ""):
            raise Refused(400, "bad_request", "No version in Accept.")
        if not (request.user_agent or "").startswith("heroku-cli"):  # which has its own ways
            check(request.method, request.path, body)

    def _answer(
        self, request: falcon.Request, method: str, path: str, body: Any
    ) -> tuple[Any, int]:
        parts = path.split("/")
        if parts[0] == "sources":
            id = str(uuid.uuid4())  # noqa: A001
            self.fake.blobs[id] = self.fake.folder / f"{id}.tgz"
            url = f"{self.fake.outside}/blobs/{id}"
            return {"source_blob": {"put_url": url, "get_url": url}}, 201
        if path in ("apps", "teams/apps") and method == "POST":
            return self._create(body), 201
        if parts[0] == "account":
            return {"id": str(uuid.uuid4()), "email": "ann@example.org", "name": "Ann"}, 200
        if parts[0] not in ("apps", "teams") or len(parts) < 2:
            return [], 200
        app = self._app(parts[-1] if parts[0] == "teams" else parts[1])
        if len(parts) == 2 or parts[0] == "teams":
            if method == "DELETE":
                for dyno in app.dynos:
                    dyno.stop()
                del self.fake.apps[app.name]
            return app.info(), 200
        handler = getattr(self, "_" + parts[2].replace("-", "_"), None)
        if handler is None:
            return [], 200
        answer: tuple[Any, int] = handler(app, method, parts[3:], body)
        return answer

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        name = body["name"]
        if name in self.fake.apps or name in self.fake.foreign:
            raise Refused(422, "invalid_params", "Name is already taken")
        app = App(self.fake, name, body.get("region", "us"), body.get("team"))
        self.fake.apps[name] = app
        return app.info()

    def _app(self, name: str) -> App:
        if name in self.fake.foreign:
            raise Refused(403, "forbidden", "You do not have access to the app.")
        by_id = {app.id: app for app in self.fake.apps.values()}
        app = self.fake.apps.get(name) or by_id.get(name)
        if app is None:
            raise Refused(404, "not_found", "Couldn't find that app.")
        return app

    def _config_vars(self, app: App, method: str, rest: list[str], body: Any) -> tuple[Any, int]:
        if method == "PATCH":
            app.config = {k: v for k, v in {**app.config, **body}.items() if v is not None}
            slug = app.current()["slug"]
            app.release(f"Set {', '.join(body)} config vars", slug["id"] if slug else None)
        return app.config, 200

    def _buildpack_installations(
        self, app: App, method: str, rest: list[str], body: Any
    ) -> tuple[Any, int]:
        if method == "PUT":
            app.buildpacks = [update["buildpack"] for update in body["updates"]]
        return [
            {"ordinal": n, "buildpack": {"name": name, "url": name}}
            for n, name in enumerate(app.buildpacks)
        ], 200

    def _builds(self, app: App, method: str, rest: list[str], body: Any) -> tuple[Any, int]:
        if method == "POST":
            return app.build(body["source_blob"]), 201
        if method == "DELETE":
            build = self._one_or_all(app.builds, rest)[0]
            if build["status"] != "pending":
                raise Refused(422, "invalid_params", "The build has ended.")
            build["status"] = "failed"
            return build, 200
        return self._one_or_all(app.builds, rest)

    def _releases(self, app: App, method: str, rest: list[str], body: Any) -> tuple[Any, int]:
        if method == "POST":
            old = self._one_or_all(app.releases, [body["release"]])[0]
            with self.fake.lock:
                app.config = dict(app.configs[old["id"]])
                return app.release(f"Rollback to v{old['version']}", old["slug"]["id"]), 201
        if rest[1:] == ["config-vars"]:
            return app.configs[self._one_or_all(app.releases, rest)[0]["id"]], 200
        return self._one_or_all(app.releases, rest)

    def _pipeline_couplings(
        self, app: App, method: str, rest: list[str], body: Any
    ) -> tuple[Any, int]:
        raise Refused(404, "not_found", "It is in no pipeline.")

    def _slugs(self, app: App, method: str, rest: list[str], body: Any) -> tuple[Any, int]:
        slug = app.slugs[rest[0]]
        return {"id": slug.id, "commit": slug.commit, "process_types": slug.process_types}, 200

    def _formation(self, app: App, method: str, rest: list[str], body: Any) -> tuple[Any, int]:
        if method == "PATCH":
            for update in body["updates"]:
                app.quantity = update.get("quantity", app.quantity)
                app.size = update.get("dyno_size", {}).get("name", app.size)
            app.run(app.current())
        if app.quantity is None:
            return [], 200
        web = {"id": str(uuid.uuid4()), "type": "web", "quantity": app.quantity, "size": app.size}
        web |= {"dyno_size": {"name": app.size}, "command": "…", "app": {"name": app.name}}
        return [web], 200

    def _dynos(self, app: App, method: str, rest: list[str], body: Any) -> tuple[Any, int]:
        return [
            {
                "id": dyno.id,
                "name": dyno.name,
                "type": "web",
                "state": dyno.state,
                "size": app.size,
                "command": "python",
                "release": {"id": dyno.release["id"], "version": dyno.release["version"]},
                "app": {"id": app.id, "name": app.name},
                "created_at": now(),
                "updated_at": now(),
            }
            for dyno in app.dynos
        ], 200

    def _log_sessions(self, app: App, method: str, rest: list[str], body: Any) -> tuple[Any, int]:
        stream = self.fake.stream()
        stream.text = "".join(f"{line}\n" for line in app.lines()[-body["lines"] :]).encode()
        stream.ended = True
        return {"id": stream.id, "logplex_url": f"{self.fake.outside}/streams/{stream.id}"}, 201

    @staticmethod
    def _one_or_all(known: list[dict[str, Any]], rest: list[str]) -> tuple[Any, int]:
        if not rest:
            return list(known), 206
        for one in known:
            if rest[0] in (one["id"], str(one.get("version"))):
                return one, 200
        raise Refused(404, "not_found", "Couldn't find that.")


class Outside:
    """The addresses that the API hands out, and the router. None of them may see the key."""

    def __init__(self, fake: FakeHeroku) -> None:
        self.fake = fake

    def __call__(self, req: falcon.Request, resp: falcon.Response, **parts: str) -> None:
        called = f"{req.method} outside/{parts['path']}"
        self.fake.seen.append(called)
        self.fake.meet(called)
        if any(key in str(req.headers) for key in ACCOUNTS):
            self.fake.wrong.append(f"the key was sent to {called}")
        kind, _, rest = parts["path"].partition("/")
        getattr(self, f"_{kind}")(req, resp, rest)

    def _blobs(self, request: falcon.Request, response: falcon.Response, id: str) -> None:  # noqa: A002
        headers = {name.lower(): value for name, value in request.headers.items()}
        if "authorization" in headers or headers.get("content-type") or not request.content_length:
            self.fake.wrong.append(f"an upload with headers {sorted(headers)}")
        if self.fake.moved:
            response.status = 307
            response.set_header("Location", f"{self.fake.outside}/elsewhere")
            request.bounded_stream.exhaust()
            return
        with self.fake.blobs[id].open("wb") as file:
            while part := request.bounded_stream.read(1 << 20):
                file.write(part)

    def _streams(self, request: falcon.Request, response: falcon.Response, id: str) -> None:  # noqa: A002
        start = int((request.get_header("Range") or "bytes=0-")[6:].rstrip("-"))
        stream = self.fake.streams[id]
        if stream.ended and start >= len(stream.text):
            response.status = 416
            return
        response.status = 206 if start else 200
        response.content_type = "text/plain"
        drop = self.fake.drop_after.pop(0) if self.fake.drop_after else None
        response.stream = self._flow(stream, start, drop)

    @staticmethod
    def _flow(stream: Stream, at: int, drop: int | None) -> Iterator[bytes]:
        end = at + drop if drop is not None else None
        while True:
            ended, part = stream.ended, stream.text[at:end]
            at += len(part)
            if part:
                yield part
            if end is not None and at >= end:
                raise ConnectionError("the stream is dropped")
            if ended:
                return
            time.sleep(0.02)

    def _router(self, request: falcon.Request, response: falcon.Response, rest: str) -> None:
        name, _, path = rest.partition("/")
        app = self.fake.apps[name]
        up = [dyno for dyno in app.dynos if dyno.state == "up"]
        if not up:
            code = "H10" if app.dynos else "H14"
            app.say(f"heroku[router]: at=error code={code} path=/{path} status=503")
            response.status = 503
            return
        connection = http.client.HTTPConnection("127.0.0.1", up[0].port, timeout=30)
        headers = {"Content-Type": request.content_type} if request.content_type else {}
        if key := request.get_header("Authorization"):
            headers["Authorization"] = key
        body = request.bounded_stream.read()
        connection.request(request.method, f"/{path}", body or None, headers)
        answer = connection.getresponse()
        response.status = answer.status
        response.content_type = answer.getheader("Content-Type")
        response.data = answer.read()
        connection.close()


@contextmanager
def fake_heroku(folder: Path, python_bin: Path | None = None) -> Iterator[FakeHeroku]:
    """A Heroku of its own, for as long as the block lasts."""
    folder.mkdir(parents=True)
    fake = FakeHeroku(folder, python_bin)
    servers = []
    for handler in (API(fake), Outside(fake)):
        app = falcon.App()
        app.add_sink(handler, r"/(?P<path>.*)")
        server = waitress.create_server(app, host="127.0.0.1", port=0, threads=16)
        threading.Thread(target=server.run, daemon=True).start()
        servers.append(server)
    fake.api, fake.outside = (f"http://127.0.0.1:{server.effective_port}" for server in servers)
    try:
        yield fake
    finally:
        for server in servers:  # each in its own loop, which may be looking at its sockets
            server.trigger.pull_trigger(server.close)
            server.task_dispatcher.shutdown(timeout=1)
        fake.close()
