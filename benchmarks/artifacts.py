"""What it costs the service's start that each artifact is held against its manifest."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STARTS = 9
VERIFY = """
import json, statistics, time
from churn import artifacts_dir, manifest

def median(act):
    times = []
    for _ in range(21):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return statistics.median(times)

files = [artifacts_dir / name for name in manifest.read().artifacts]
contents = [path.read_bytes() for path in files]
def check():
    for path, content in zip(files, contents):
        assert manifest._difference(content, manifest.read().artifacts[path.name]) is None
print(sum(map(len, contents)), median(check))
"""


def main() -> None:
    """Print the figures for the sample as it is, and for a forest twenty times as large."""
    with tempfile.TemporaryDirectory() as name:
        poetry = [sys.executable, "-m", "poetry"]
        root = Path(name) / "churn"
        quiet = {"check": True, "stdout": subprocess.DEVNULL}
        subprocess.run([*poetry, "ml", "new", str(root)], **quiet)  # type: ignore[call-overload]
        ask = [*poetry, "env", "info", "--executable"]
        python = subprocess.check_output(ask, cwd=root, text=True).strip()
        for trees in (100, 2_000):
            train = [python, "-m", "churn", "train", "--set", f"trees={trees}"]
            subprocess.run(train, cwd=root, **quiet)  # type: ignore[call-overload]
            size, check = subprocess.check_output(
                [python, "-c", VERIFY], cwd=root, text=True
            ).split()
            start = statistics.median(started(python, root) for _ in range(STARTS))
            share = float(check) / start
            print(
                f"{int(size) / 1e6:.1f} MB: start {start * 1000:.0f} ms, "
                f"of which verification {float(check) * 1000:.2f} ms, {share:.2%}"
            )


def started(python: str, root: Path) -> float:
    """Seconds from the command to the address that may be used."""
    command = [python, "-m", "churn", "serve", "--port", "0", "--workers", "1"]
    start = time.perf_counter()
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seconds = time.perf_counter() - start
        process.terminate()
    return seconds


if __name__ == "__main__":
    main()
