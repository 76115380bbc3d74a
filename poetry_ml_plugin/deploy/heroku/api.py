"""Heroku's Platform API, version 3: safe calls are repeated, and each failure is one clear sentence."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import requests

from poetry_ml_plugin.deploy.heroku.key import KeyAuth, Secret
from poetry_ml_plugin.errors import MLError

Body = dict[str, Any] | None

TIMEOUT = (10, 60)  # seconds to connect, and between two bytes
UPLOAD_TIMEOUT = (10, 600)
PATIENCE = 300  # seconds to wait in all for a call that is put off
ATTEMPTS = 5
REPEATABLE = ("GET", "PUT", "PATCH", "DELETE")
BUSY = 429

MEANING = {
    401: "Heroku does not accept the API key from {source}. Log in again with: heroku login",
    402: "Heroku requires a payment method: https://dashboard.heroku.com/account/billing",
    403: "This account is not allowed to do that ({message}). Ask the app's owner for access.",
    404: "Not found on Heroku ({message}). List your apps with: heroku apps",
    409: "Another operation is in progress for this app ({message}). Try again when it has finished.",
    422: "Heroku rejected the request: {message}",
    429: "Rate limit exceeded for this account ({message}). Try again in {wait} seconds.",
}
BROKEN = "Heroku has an internal error ({status}). See https://status.heroku.com and try again."


class HerokuError(MLError):
    """An error that the API answered, with its status and id."""

    def __init__(self, sentence: str, status: int, id: str) -> None:  # noqa: A002
        super().__init__(sentence)
        self.status = status
        self.id = id


class HerokuAPI:
    """Calls to the API, and to the addresses it hands out, which never get to see the key."""

    def __init__(
        self,
        key: Secret,
        base: str,
        session: requests.Session | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = key
        self._base = base
        self._session = session or requests.Session()
        self._session.auth = KeyAuth(key, base)
        self._sleep = sleep
        self._clock = clock

    def get(self, path: str, span: str = "") -> Any:
        """Fetch a path; of a list, the part that `span` names, as `version ..; max=5`."""
        return self._call("GET", path, headers={"Range": span} if span else {})

    def post(self, path: str, body: Body = None, repeatable: bool = False) -> Any:
        return self._call("POST", path, body, repeatable=repeatable)

    def patch(self, path: str, body: Body) -> Any:
        return self._call("PATCH", path, body)

    def put(self, path: str, body: Body) -> Any:
        return self._call("PUT", path, body)

    def delete(self, path: str) -> Any:
        return self._call("DELETE", path)

    def upload(self, url: str, file: BinaryIO, size: int, tell: Callable[[int], None]) -> None:
        """Put a file where the API said, read from disk as it goes; `tell` hears how far it is."""

        def send() -> requests.Response:
            file.seek(0)
            # The address is signed for an empty content type.
            headers = {"Content-Type": "", "Accept": "*/*"}
            body = _Told(file, size, tell)
            return self._session.put(
                url, body, headers=headers, timeout=UPLOAD_TIMEOUT, allow_redirects=False
            )

        response = self._persist(send, "the upload", True)
        if response.status_code // 100 != 2:  # a redirection has not taken it either
            raise MLError(
                f"The upload failed with status {response.status_code}. Run the deploy again."
            )

    def stream(self, url: str, start: int = 0, silence: float | None = 60) -> Iterator[bytes]:
        """Yield the bytes of a log from `start` on, as they arrive.

        Ends where the connection does, or after so many seconds of silence; None bears with any.
        """
        headers = {"Accept": "text/plain"} | ({"Range": f"bytes={start}-"} if start else {})
        try:
            with self._session.get(
                url, headers=headers, timeout=(10, silence), stream=True, allow_redirects=False
            ) as response:
                if response.status_code not in (200, 206):
                    return
                skip = start if response.status_code == 200 else 0
                for chunk in response.iter_content(1024):
                    yield chunk[skip:]
                    skip = max(skip - len(chunk), 0)
        except requests.RequestException:
            return  # whoever reads knows how far it came, and asks for the rest

    def visit(self, url: str, body: Any = None, key: str = "") -> requests.Response | None:
        """Ask a deployed service, by POST if there is a body; None if it does not answer."""
        try:
            return self._session.request(
                "GET" if body is None else "POST",
                url,
                json=body,
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        except requests.RequestException:
            return None

    def _call(
        self,
        method: str,
        path: str,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> Any:
        accept = {"Accept": "application/vnd.heroku+json; version=3", **(headers or {})}

        def send() -> requests.Response:
            return self._session.request(
                method,
                self._base + path,
                json=body,
                headers=accept,
                timeout=TIMEOUT,
                allow_redirects=False,
            )

        response = self._persist(send, f"{method} {path}", repeatable or method in REPEATABLE)
        if not response.ok:
            raise self._error(response)
        try:
            return response.json() if response.content else None
        except ValueError as error:
            raise MLError(f"{self._base} does not answer as Heroku's API does.") from error

    def _persist(
        self, send: Callable[[], requests.Response], what: str, repeatable: bool
    ) -> requests.Response:
        """Send until it is answered. What may have been done already is not sent again."""
        deadline = self._clock() + PATIENCE
        for attempt in range(ATTEMPTS):
            pause = float(2**attempt)
            last = attempt == ATTEMPTS - 1
            try:
                response = send()
            except (requests.ConnectionError, requests.Timeout) as error:
                # Not to have connected at all is always safe.
                if last or not (repeatable or isinstance(error, requests.ConnectTimeout)):
                    raise MLError(_unreachable(self._base, what, error)) from None
            except requests.RequestException as error:
                raise MLError(_unreachable(self._base, what, error)) from None
            else:
                status = response.status_code
                if last or not (status == BUSY or (status >= 500 and repeatable)):
                    return response
                pause = _retry_after(response) or pause
                if self._clock() + pause > deadline:
                    return response
            self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _error(self, response: requests.Response) -> HerokuError:
        try:
            told = response.json()
            name, message = str(told.get("id", "")), str(told.get("message", ""))
        except (ValueError, AttributeError):
            name, message = "", response.reason or ""
        sentence = MEANING.get(response.status_code, BROKEN).format(
            source=self._key.source,
            message=self._key.hide_in(message),
            status=response.status_code,
            wait=round(_retry_after(response) or 60),
        )
        return HerokuError(sentence, response.status_code, name)


class _Told:
    """A file that tells how much of it was read."""

    def __init__(self, file: BinaryIO, size: int, tell: Callable[[int], None]) -> None:
        self._file, self._size, self._tell = file, size, tell

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        part = self._file.read(size)
        self._tell(self._file.tell())
        return part


def _retry_after(response: requests.Response) -> float | None:
    """Return the seconds that an answer asks to wait, given as a number or a date."""
    said = response.headers.get("Retry-After", "")
    if said.isdigit():
        return float(said)
    try:
        return max(email.utils.parsedate_to_datetime(said).timestamp() - time.time(), 0)
    except (TypeError, ValueError):
        return None


def _unreachable(base: str, what: str, error: requests.RequestException) -> str:
    # The error's own words can hold an address with a signature in it.
    how = "did not answer in time" if isinstance(error, requests.Timeout) else "cannot be reached"
    return f"{base} {how} ({what}). Check your network, then run the command again."
