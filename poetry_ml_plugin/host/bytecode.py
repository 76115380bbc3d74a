"""Modules compiled while the other core idles, before a first import has to do it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

# Run by the environment's own Python. A package is complete once its RECORD is. The order is that of
# the imports, and what comes first in it is compiled last: an import that is under way meanwhile
# comes from the other end.
COMPILER = """
import glob, importlib.util, os, py_compile, sys, time
if hasattr(os, "nice"):
    os.nice(10)
folder, parent = sys.argv[1], os.getppid()
left = sys.stdin.read().splitlines()
complete, records = set(), set()
while left and os.getppid() == parent:
    for path in glob.glob("*.dist-info/RECORD", root_dir=folder):
        if path not in records:
            with open(os.path.join(folder, path), encoding="utf-8") as file:
                names = [line.partition(",")[0] for line in file]
            if path in names:
                records.add(path)
                complete.update(names)
    ready = [name for name in left if name in complete]
    left = [name for name in left if name not in complete]
    for name in reversed(ready):
        path = os.path.join(folder, name)
        if not os.path.exists(importlib.util.cache_from_source(path)):
            py_compile.compile(path, quiet=2)
    time.sleep(0 if ready else 0.2)
"""


def begin(python: Path, folder: Path, names: Iterable[str]) -> subprocess.Popen[str]:
    """Begin to compile these files of an environment's folder of packages, as they come to be there."""
    compiler = subprocess.Popen(
        [str(python), "-I", "-S", "-c", COMPILER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )
    assert compiler.stdin is not None
    with compiler.stdin as orders:
        orders.write("\n".join(names))
    return compiler


def compiled(folder: Path, known: Iterable[str] = ()) -> list[str]:
    """List what of a folder of packages is compiled: those known in their order, others as they came."""
    found = {}
    for place, _, files in os.walk(folder):
        if place.endswith("__pycache__"):
            source = Path(place).parent.relative_to(folder)
            for file in files:
                name = (source / f"{file.partition('.')[0]}.py").as_posix()
                found[name] = Path(place, file).stat().st_mtime
    kept = [name for name in known if name in found]
    return kept + sorted(found.keys() - {*kept}, key=lambda name: found[name])
