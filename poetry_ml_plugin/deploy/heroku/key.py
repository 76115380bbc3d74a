"""The address of Heroku's API, and the key to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from requests import PreparedRequest
from requests.auth import AuthBase
from requests.utils import get_netrc_auth

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import processes

LOOPBACK = ("127.0.0.1", "::1", "localhost")
SECONDS = 60  # for Heroku's own command to answer


class Secret:
    """Text that shows as *** wherever it is printed; `reveal` is the only way to it."""

    def __init__(self, value: str, source: str) -> None:
        self._value = value
        self.source = source
        """Where it was found, for messages."""

    def reveal(self) -> str:
        return self._value

    def hide_in(self, text: str) -> str:
        """Replace the secret in a text."""
        return text.replace(self._value, "***")

    def __repr__(self) -> str:
        return "***"


class KeyAuth(AuthBase):
    """Adds the key to requests to the API, and to no others.

    An auth object also keeps requests from putting what is in ~/.netrc in the key's place.
    """

    def __init__(self, key: Secret, api: str) -> None:
        self._key = key
        self._origin = _origin(api)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        if _origin(request.url or "") == self._origin:
            request.headers["Authorization"] = f"Bearer {self._key.reveal()}"
        return request


def api_address(environ: Mapping[str, str]) -> str:
    """Return the API's base address: Heroku's own, or $HEROKU_HOST, as the heroku CLI reads it.

    Raises MLError where the key would travel unencrypted.
    """
    host = environ.get("HEROKU_HOST") or "heroku.com"
    address = (host if host.startswith("http") else f"https://api.{host}").rstrip("/")
    parts = urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise MLError(f"$HEROKU_HOST is {host}: the API key is sent over https only. Unset it.")
    return address


def find_key(
    environ: Mapping[str, str], api: str, ask_cli: Callable[[], str] | None = None
) -> Secret:
    """Find the API key: in $HEROKU_API_KEY, ~/.netrc or the heroku CLI's login.

    Raises MLError where there is none, or none that can be one.
    """
    netrc = get_netrc_auth(api)
    places: list[tuple[str, Callable[[], str]]] = [
        ("$HEROKU_API_KEY", lambda: environ.get("HEROKU_API_KEY", "")),
        ("~/.netrc", lambda: netrc[1] if netrc else ""),
        ("heroku auth:token", ask_cli or _ask_cli),
    ]
    for source, read in places:
        if value := read().strip():
            if not (value.isascii() and value.isprintable() and " " not in value):
                raise MLError(f"The value from {source} is not an API key: it is not one word.")
            return Secret(value, source)
    raise MLError(
        "No Heroku API key found in $HEROKU_API_KEY, in ~/.netrc or from the heroku CLI. "
        "Create one at https://dashboard.heroku.com/account, or run: heroku login"
    )


def _ask_cli() -> str:
    command = shutil.which("heroku")
    if command is None:
        return ""
    done = processes.ask([command, "auth:token"], SECONDS)
    return done.stdout if done is not None and done.returncode == 0 else ""


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
