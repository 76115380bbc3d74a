"""API keys: from the settings, and from a file that may change while the service runs."""

import hashlib
import hmac
from pathlib import Path

import falcon

from ..errors import ProjectError
from .protocol import ServeConfig

OPEN = {"/", "/ping", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"}


class ApiKeyMiddleware:
    """Answers 401 to requests without a known key, where there are keys."""

    def __init__(self, settings: ServeConfig) -> None:
        self._given = _digests(settings.api_keys.reveal().split(","))
        self._file = Path(settings.api_keys_file) if settings.api_keys_file else None
        self._seen = -1
        self._filed: list[bytes] = []
        self._read()

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        if request.path in OPEN or request.method == "OPTIONS":
            return
        if self._file is not None:
            self._read()
        elif not self._given:
            return
        scheme, _, key = (request.get_header("Authorization") or "").partition(" ")
        if scheme.lower() != "bearer":
            key = request.get_header("X-API-Key") or ""
        digest = hashlib.sha256(key.strip().encode()).digest()
        # Every key is compared, so that the time does not tell which was near.
        if sum(hmac.compare_digest(digest, known) for known in self._given + self._filed) == 0:
            raise falcon.HTTPUnauthorized(
                description="Send a key, as Authorization: Bearer KEY or as X-API-Key: KEY.",
                challenges=["Bearer"],
            )

    def _read(self) -> None:
        if self._file is None:
            return
        try:
            changed = self._file.stat().st_mtime_ns
            if changed != self._seen:
                self._filed = _digests(self._file.read_text(encoding="utf-8").splitlines())
                self._seen = changed
        except OSError as error:
            raise ProjectError(f"api_keys_file {self._file}: {error.strerror}.") from error


def _digests(keys: list[str]) -> list[bytes]:
    return [hashlib.sha256(key.strip().encode()).digest() for key in keys if key.strip()]
