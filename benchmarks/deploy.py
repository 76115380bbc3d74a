"""From `poetry ml deploy heroku` to the first remote prediction, by step, against the tests' Heroku."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from fake_heroku import KEY, FakeHeroku, fake_heroku

MB = 480  # of weights: with all that else is in a slug, no more than Heroku takes


def main() -> None:
    """Print every figure."""
    poetry = [sys.executable, "-m", "poetry"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = [*poetry, "ml", "new", str(folder / "churn")]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
        with fake_heroku(folder / "heroku") as fake:
            show("first deploy, dependencies installed by the build", poetry, folder, fake)
            show("again, nothing changed", poetry, folder, fake)
            (folder / "churn/README.md").write_text("# Other words\n")
            show("again, one file changed", poetry, folder, fake)
            add_weights(folder / "churn/src/churn/artifacts")
            show(f"again, with {MB} MB of weights", poetry, folder, fake)


def show(title: str, poetry: list[str], folder: Path, fake: FakeHeroku) -> None:
    """Time one deploy, and print what it said of its steps."""
    start = time.monotonic()
    peak = 0
    with subprocess.Popen(
        [*poetry, "ml", "deploy", "heroku", "churn-bench"],
        cwd=folder / "churn",
        env={**os.environ, "HEROKU_HOST": fake.api, "HEROKU_API_KEY": KEY},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            peak = max(peak, peak_memory(process.pid))
    if process.returncode:
        raise SystemExit(said)
    steps = re.findall(r"✓ (.+?)\s{2,}([\d.]+ s)", said)
    print(f"{title}: {time.monotonic() - start:.1f} s, peak {peak} MB")
    print("  " + ", ".join(f"{step} {seconds}" for step, seconds in steps))


def peak_memory(pid: int) -> int:
    """The most memory that a process ever had, in MB; its children's apart."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) // 1000 if found else 0


def add_weights(artifacts: Path) -> None:
    """Declare a file that does not shrink as an artifact."""
    digest = hashlib.sha256()
    with (artifacts / "weights.bin").open("wb") as file:
        for _ in range(MB):
            block = os.urandom(1_000_000)
            digest.update(block)
            file.write(block)
    manifest = json.loads((artifacts / "manifest.json").read_text())
    manifest["artifacts"]["weights.bin"] = {"sha256": digest.hexdigest(), "size": MB * 1_000_000}
    (artifacts / "manifest.json").write_text(json.dumps(manifest))


if __name__ == "__main__":
    main()
