"""Questions to a container registry: anonymous ones, and those of the builder with its login."""

from __future__ import annotations

import re
import shutil

import requests

from poetry_ml_plugin.host import processes

HUB = "https://registry-1.docker.io"
SECONDS = 5
ANSWER = 60  # seconds for a program that asks with its login
INDEXES = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
]
IMAGES = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
]
LOOPBACK = ("localhost", "127.0.0.1")
ASK = {  # each with the login that pushes
    "docker": ["docker", "manifest", "inspect"],
    "podman": ["podman", "manifest", "inspect"],
    "skopeo": ["skopeo", "inspect", "--raw"],
}
ABSENT = re.compile(r"manifest unknown|no such manifest|not found", re.IGNORECASE)


def digest(repository: str, tag: str, registry: str = HUB) -> str | None:
    """Look up the digest, "sha256:…", of a multi-platform image; None if the registry does not answer."""
    response = _ask(f"{registry}/v2/{repository}/manifests/{tag}", INDEXES)
    answered = response is not None and response.ok
    found = response.headers.get("Docker-Content-Digest", "") if response and answered else ""
    return found if re.fullmatch("sha256:[0-9a-f]{64}", found) else None


def exists(reference: str) -> bool | None:
    """Tell whether an image is in the registry that its name says; None if nobody here may know."""
    name, _, tag = reference.rpartition(":")
    where, _, repository = name.partition("/")
    scheme = "http" if where.partition(":")[0] in LOOPBACK else "https"
    response = _ask(f"{scheme}://{where}/v2/{repository}/manifests/{tag}", [*INDEXES, *IMAGES])
    if response is not None and response.ok:
        return True
    if response is not None and response.status_code == 404:
        return False
    return _exists_with_login(reference)


def _exists_with_login(reference: str) -> bool | None:
    for program, words in ASK.items():
        if shutil.which(program) is None:
            continue
        named = f"docker://{reference}" if program == "skopeo" else reference
        done = processes.ask([*words, named], ANSWER)
        if done is None:
            continue
        if done.returncode == 0:
            return True
        if ABSENT.search(done.stderr):
            return False
    return None


def _ask(address: str, kinds: list[str]) -> requests.Response | None:
    """Ask for a manifest, with the anonymous token that the registry hands out; None if it does not answer."""
    try:
        response = _head(address, kinds)
        if response.status_code == 401:
            token = _token(response.headers.get("WWW-Authenticate", ""))
            response = _head(address, kinds, token)
    except (requests.RequestException, ValueError, KeyError):
        return None
    return response


def _head(address: str, kinds: list[str], token: str | None = None) -> requests.Response:
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    headers = {"Accept": ", ".join(kinds), **bearer}
    # Without the session's own look into ~/.netrc: nobody's password has a part in this.
    with requests.Session() as session:
        session.auth = lambda request: request
        return session.head(address, headers=headers, timeout=SECONDS, allow_redirects=True)


def _token(challenge: str) -> str:
    """Fetch the anonymous token that a registry's challenge names."""
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = asked.pop("realm")
    with requests.Session() as session:
        session.auth = lambda request: request
        answer = session.get(realm, params=asked, timeout=SECONDS)
    answer.raise_for_status()
    return str(answer.json()["token"])
