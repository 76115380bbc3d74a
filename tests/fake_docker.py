#!/usr/bin/env python3
"""A docker that builds nothing and really runs the service of a project, in the place of its image.

$DOCKER_STATE is a folder for what it was asked and what runs, $DOCKER_RUNS a project and its Python.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path


def main(words: list[str]) -> int:
    state = Path(os.environ["DOCKER_STATE"])
    with (state / "asked.jsonl").open("a") as file:
        file.write(json.dumps(words) + "\n")
    verb = words[0]
    path = state / f"{words[-1]}.json"
    if verb == "run":
        run(state)
    elif verb == "port":
        print(f"127.0.0.1:{json.loads((state / f'{words[1]}.json').read_text())['port']}")
    elif verb == "inspect":
        print("true" if alive(json.loads(path.read_text())["pid"]) else "false")
    elif verb == "logs":
        print((state / f"{words[-1]}.log").read_text())
    elif verb == "rm":
        end(json.loads(path.read_text())["pid"])
        path.unlink()
    return 0


def run(state: Path) -> None:
    root, python, command = json.loads(os.environ["DOCKER_RUNS"])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {**os.environ, "PORT": str(port), "PYTHONPATH": f"{root}/src"}
    name = f"c{port}"
    with (state / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [python, *command], cwd=root, env=env, stdout=log, stderr=log, start_new_session=True
        )
    (state / f"{name}.json").write_text(json.dumps({"port": port, "pid": process.pid}))
    print(name)


def alive(pid: int) -> bool:
    try:
        with Path(f"/proc/{pid}/stat").open() as file:
            return file.read().split()[2] != "Z"
    except OSError:
        return False


def end(pid: int) -> None:
    if alive(pid):
        os.killpg(pid, signal.SIGTERM)
    while alive(pid):
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
