"""Known causes of failed deploys, by what their log shows."""

from __future__ import annotations

import re
from typing import NamedTuple

from poetry_ml_plugin.deploy.heroku.app import CLI
from poetry_ml_plugin.project.imports import distribution


class Symptom(NamedTuple):
    """A pattern in a log, its cause, and the next command. Heroku's codes are codes; builds have prose only."""

    pattern: str
    meaning: str
    command: str


SYMPTOMS = (
    Symptom(
        r"ModuleNotFoundError: No module named '([\w.]+)",
        "{0} is imported, and its distribution is not among the runtime dependencies.",
        "poetry add {distribution}",
    ),
    Symptom(
        r"ImportError: (lib[\w.-]+): cannot open shared object file",
        "{0} is a library of the system, which a dyno does not have. For OpenCV, use the build without a "
        "screen.",
        "poetry add opencv-python-headless",
    ),
    Symptom(
        r"\bR10\b",
        "R10: nothing listened on $PORT within a minute. The Procfile's web line has to start a "
        "server on 0.0.0.0 and that port.",
        "cat Procfile",
    ),
    Symptom(
        r"\bR1[45]\b",
        "R14, R15: the dyno ran out of memory. Use a larger one, or fewer workers "
        "(--env WEB_CONCURRENCY=1).",
        f"{CLI} --size standard-2x",
    ),
    Symptom(
        r"\bH10\b",
        "H10: the app crashed. See its log for the reason.",
        f"{CLI} logs",
    ),
    Symptom(
        r"\bH12\b",
        "H12: an answer took longer than 30 seconds. Send fewer rows at a time, or take a faster dyno.",
        f"{CLI} --size standard-2x",
    ),
    Symptom(r"\bH14\b", "H14: no web dyno is running.", f"{CLI} scale 1"),
    Symptom(
        r"slug size: .* is too large|Compiled slug.*too large",
        "The slug is larger than 500 MB. Keep training libraries in the train group, and "
        "install CPU-only builds.",
        f"{CLI} --dry-run",
    ),
    Symptom(
        r"poetry\.lock was last generated|poetry\.lock.*(not up to date|out of date)",
        "poetry.lock does not match pyproject.toml.",
        "poetry lock",
    ),
    Symptom(
        r"Multiple Python package manager|multiple package managers",
        "There is another lock file next to poetry.lock.",
        f"{CLI} --dry-run",
    ),
    Symptom(
        r"(?i)python version.*(not supported|isn't supported|unsupported|not available)",
        "Heroku does not support this Python version.",
        "cat .python-version",
    ),
)


def explain(log: str) -> list[str]:
    """List the causes recognized in a log, each with the next command."""
    said = []
    for symptom in SYMPTOMS:
        if found := re.search(symptom.pattern, log):
            line = f"{symptom.meaning} Next: {symptom.command}"
            names = found.groups()
            said.append(line.format(*names, distribution=distribution(*names[:1] or [""])))
    return said
