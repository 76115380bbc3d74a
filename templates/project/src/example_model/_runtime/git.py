"""What git knows of the checkout."""

import subprocess
from pathlib import Path


def git(root: Path | None, *words: str) -> str | None:
    """Return what git says, or None where it fails or is not there."""
    # A repository that is not the user's own work must not run programs: no hooks, no monitor.
    settings = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "safe.bareRepository=explicit")
    safe = [word for setting in settings for word in ("-c", setting)]
    try:
        done = subprocess.run(
            ["git", *safe, *words], cwd=root, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError, UnicodeDecodeError):
        return None
    return done.stdout.strip()
