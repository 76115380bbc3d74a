"""Poetry's commands, several in one process: each line of standard input is one, its words as JSON."""

from __future__ import annotations

import json
import os
import sys

from poetry.console.application import Application

END = "\x1e"  # begins the line that ends what a command says; its exit code follows


def main() -> None:
    """Run what is asked for, until standard input ends."""
    orders = os.fdopen(os.dup(0), encoding="utf-8")
    # What Poetry starts must not read what is meant for this process.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    Application().find("install")  # imports what takes longest, while there is nothing to do yet
    for line in orders:
        sys.argv = ["poetry", *json.loads(line)]
        application = Application()
        application.auto_exits(False)
        code = application.run()
        sys.stdout.flush()
        sys.stderr.flush()
        print(f"\n{END}{code}", flush=True)


if __name__ == "__main__":
    main()
