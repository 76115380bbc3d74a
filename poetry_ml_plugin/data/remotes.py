"""Where DVC sends data to, and gets it from."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

from poetry_ml_plugin.data import dvc
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import libraries

USES = {"s3": "data-s3", "ssh": "data-ssh"}  # the libraries that a remote's protocol needs
READ_ONLY = ("http", "https")
SECONDS = 20  # for a remote to answer


def listed(root: Path) -> dict[str, str]:
    """Return the remotes of a project: each one's address, by name."""
    if not dvc.is_set_up(root):
        return {}
    lines = (line.split(None, 1) for line in dvc.ask(root, "remote", "list").splitlines())
    return {parts[0]: parts[1].partition("\t")[0].split()[0] for parts in lines if len(parts) == 2}


def default(root: Path) -> str:
    """Return the name of the default remote; empty where there is none."""
    try:
        return dvc.ask(root, "config", "core.remote").strip()
    except MLError:
        return ""


def needs(root: Path, name: str) -> str:
    """Return which of LIBRARIES a remote needs and the project's DVC has not; empty if none.

    A DVC from elsewhere, as pipx installs it, has what it has.
    """
    use = USES.get(urlsplit(listed(root).get(name, "")).scheme, "")
    missing = libraries.missing(root, use) if use else []
    return use if missing and "dvc" not in missing else ""


def check_answers(root: Path, name: str) -> None:
    """Raise MLError where a remote on the web is down: DVC would say that it lacks all files."""
    url = listed(root).get(name, "")
    if urlsplit(url).scheme not in READ_ONLY:
        return
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=SECONDS):
            pass
    except HTTPError:
        pass  # it need not list its files
    except (OSError, ValueError) as error:
        raise MLError(f"{url} does not answer: {getattr(error, 'reason', error)}.") from error


def advice(root: Path, name: str) -> str:
    """Say what to look at where a remote does not answer."""
    url = listed(root).get(name)
    if url is None:
        known = ", ".join(listed(root)) or "none"
        return (
            f'There is no remote "{name}", only: {known}. Add one with: poetry ml data remote URL'
        )
    scheme = urlsplit(url).scheme
    hint = "Check that it is up and that you may use it, then run the command again."
    if scheme == "s3":
        hint = (
            "Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from ~/.aws. "
            + hint
        )
    if scheme in READ_ONLY:
        hint = "A remote on the web is read-only. " + hint
    return f"The remote {name} is {url}. {hint}"


def add(root: Path, name: str, url: str, endpoint: str, anonymous: bool) -> None:
    """Make an address the default remote. Raises MLError where it holds a credential."""
    parts = urlsplit(url)
    if parts.password or ("@" in parts.netloc and parts.scheme == "s3"):
        raise MLError(
            f"{parts.scheme}://… holds a credential, and would be committed in .dvc/config. Give the "
            "address without it; DVC reads credentials from the environment or from ~/.aws and ~/.ssh."
        )
    dvc.ask(root, "remote", "add", "--force", "--default", name, url)
    if endpoint:
        dvc.ask(root, "remote", "modify", name, "endpointurl", endpoint)
    if anonymous:
        dvc.ask(root, "remote", "modify", name, "allow_anonymous_login", "true")
