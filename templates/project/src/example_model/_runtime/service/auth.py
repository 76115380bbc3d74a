"""API keys: from the settings, and from a file that may change while the service runs."""

import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import falcon

from ..errors import ProjectError
from .protocol import ServeConfig

SETTLED = 2.0  # seconds after which a file that looks unchanged is
OPEN = {"/", "/ping", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"}

log = logging.getLogger(__name__)


class ApiKeyMiddleware:
    """Answers 401 to requests without a known key, if keys are asked for; 503 if they cannot be read.

    Raises ProjectError where keys are asked for, and there are none or no file of them.
    """

    def __init__(self, settings: ServeConfig) -> None:
        given = settings.api_keys.reveal()
        self._given = _digests(given.split(","))
        if given and not self._given:
            raise ProjectError("api_keys: there is no key in it. Write keys with commas between.")
        self._file = Path(settings.api_keys_file) if settings.api_keys_file else None
        self._seen: Any = None
        self._filed: list[bytes] = []
        self._fault = ""
        self._read()
        if self._fault:
            raise ProjectError(self._fault)

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        if request.path not in OPEN and request.method != "OPTIONS":
            self.check(request.get_header)

    def check(self, header: Callable[[str], str | None]) -> None:
        """Raise HTTPUnauthorized for a request whose headers have no known key; `header` looks one up."""
        if self._file is None and not self._given:
            return
        self._read()
        if self._fault:
            raise falcon.HTTPServiceUnavailable(description="The API keys cannot be read.")
        scheme, _, key = (header("Authorization") or "").partition(" ")
        if scheme.lower() != "bearer":
            key = header("X-API-Key") or ""
        digest = hashlib.sha256(key.strip().encode("latin-1")).digest()  # the bytes that were sent
        # Every key is compared, so that the time does not tell which was near.
        if sum(hmac.compare_digest(digest, known) for known in self._given + self._filed) == 0:
            raise falcon.HTTPUnauthorized(
                description="Send a key, as Authorization: Bearer KEY or as X-API-Key: KEY.",
                challenges=["Bearer"],
            )

    def _read(self) -> None:
        """Read the file again if it may have changed."""
        if self._file is None:
            return
        try:
            stat = self._file.stat()
            seen = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
            # Two changes within one tick of the file system's clock look the same.
            if seen == self._seen and time.time() - stat.st_ctime > SETTLED:
                return
            lines = self._file.read_text(encoding="utf-8-sig").splitlines()
            self._filed = _digests(line for line in lines if not line.lstrip().startswith("#"))
            self._seen, self._fault = seen, ""
        except (OSError, UnicodeDecodeError) as error:
            self._seen, fault = None, getattr(error, "strerror", None) or "it is not UTF-8"
            if not self._fault:  # once, not for each request
                self._fault = f"api_keys_file {self._file}: {fault}."
                log.error("%s Requests are refused until it can be read.", self._fault)


def _digests(keys: Iterable[str]) -> list[bytes]:
    """The hashes of keys, in either encoding that clients send them in."""
    known = [key.strip() for key in keys if key.strip()]
    encoded = {key.encode("latin-1", "backslashreplace") for key in known}
    return [hashlib.sha256(key).digest() for key in sorted(encoded | {k.encode() for k in known})]
