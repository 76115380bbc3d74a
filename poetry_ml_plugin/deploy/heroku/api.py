"""Heroku's Platform API, version 3: safe calls are repeated, and each failure is one clear sentence."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, MaxRetryError, ReadTimeoutError
from urllib3.util import Retry

from poetry_ml_plugin.deploy.heroku.key import KeyAuth, Secret
from poetry_ml_plugin.errors import MLError

if TYPE_CHECKING:
    from urllib3.connectionpool import ConnectionPool
    from urllib3.response import BaseHTTPResponse

Body = dict[str, Any] | None

TIMEOUT = (10, 60)  # seconds to connect, and between two bytes
UPLOAD_TIMEOUT = (10, 600)
PATIENCE = 300  # the longest wait, in seconds, for a call that is put off
ATTEMPTS = 5
IDEMPOTENT = frozenset(["GET", "PUT", "PATCH", "DELETE"])
BUSY = 429

MEANING = {
    401: "Heroku does not accept the API key from {source}. {renew}",
    402: "Heroku requires a payment method: https://dashboard.heroku.com/account/billing",
    403: "This account is not allowed to do that ({message}). Ask the app's owner for access.",
    404: "Not found on Heroku ({message}). List your apps with: heroku apps",
    409: "Another operation is in progress for this app ({message}). Try again when it has finished.",
    422: "Heroku rejected the request: {message}",
    429: "Rate limit exceeded for this account ({message}). Try again in {wait} seconds.",
}
RENEW = {
    "$HEROKU_API_KEY": "Set it to a valid key, or unset it to use the login of the heroku CLI.",
    "~/.netrc": "Log in again with: heroku login",
}
MOVED = "{base} redirects to another address, which is not to get the API key. Check $HEROKU_HOST."
BROKEN = "Heroku has an internal error ({status}). See https://status.heroku.com and try again."


class HerokuError(MLError):
    """An error that the API answered, with its status and id."""

    def __init__(self, sentence: str, status: int, id: str) -> None:  # noqa: A002
        super().__init__(sentence)
        self.status = status
        self.id = id


class NetworkError(MLError):
    """No answer came: whether the call was carried out is not known."""


class HerokuAPI:
    """Calls to the API, and to the addresses it hands out, which never get to see the key."""

    def __init__(
        self,
        key: Secret,
        base: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._key = key
        self._base = base
        auth = KeyAuth(key, base)
        self._session = _session(auth, Retry(0))  # for what is polled anyway
        self._once = _session(auth, Repeat(IDEMPOTENT, sleep))
        self._repeating = _session(auth, Repeat({*IDEMPOTENT, "POST"}, sleep))

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
            return self._once.put(
                url, body, headers=headers, timeout=UPLOAD_TIMEOUT, allow_redirects=False
            )

        response = self._answer(send, "the upload", host(url))
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
                # What is there, not the next kilobyte: a live log may send a line an hour.
                while chunk := response.raw.read1(1024, decode_content=True):
                    yield chunk[skip:]
                    skip = max(skip - len(chunk), 0)
        except (requests.RequestException, HTTPError):
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

        session = self._repeating if repeatable else self._once

        def send() -> requests.Response:
            return session.request(
                method,
                self._base + path,
                json=body,
                headers=accept,
                timeout=TIMEOUT,
                allow_redirects=False,
            )

        response = self._answer(send, f"{method} {path}", self._base)
        if response.status_code // 100 != 2:
            raise self._error(response)
        try:
            return response.json() if response.content else None
        except ValueError as error:
            raise MLError(f"{self._base} does not answer as Heroku's API does.") from error

    def _answer(
        self, send: Callable[[], requests.Response], what: str, where: str
    ) -> requests.Response:
        try:
            return send()
        except requests.RequestException as error:
            # The error's own words can hold an address with a signature in it.
            how = "did not answer in time" if _is_timeout(error) else "cannot be reached"
            raise NetworkError(
                f"{where} {how} ({what}). Check your network, then run the command again."
            ) from None

    def _error(self, response: requests.Response) -> HerokuError:
        try:
            told = response.json()
            name, message = str(told.get("id", "")), str(told.get("message", ""))
        except (ValueError, AttributeError):
            name, message = "", response.reason or ""
        otherwise = MOVED if response.status_code // 100 == 3 else BROKEN
        sentence = MEANING.get(response.status_code, otherwise).format(
            base=self._base,
            source=self._key.source,
            renew=RENEW.get(self._key.source, RENEW["~/.netrc"]),
            message=self._key.hide_in(message),
            status=response.status_code,
            wait=round(_retry_after(response) or 60),
        )
        return HerokuError(sentence, response.status_code, name)


class Repeat(Retry):
    """The retries of calls: what may have been done already is not sent again.

    Not to have connected at all is always safe, and so is a call that Heroku puts off.
    """

    def __init__(
        self,
        safe: Collection[str] = IDEMPOTENT,
        sleep: Callable[[float], None] = time.sleep,
        **options: Any,
    ) -> None:
        defaults = {"total": ATTEMPTS - 1, "backoff_factor": 1, "raise_on_status": False}
        super().__init__(**{**defaults, "allowed_methods": safe, **options})
        self._sleep = sleep

    def new(self, **options: Any) -> Self:
        made = super().new(**options)
        made._sleep = self._sleep
        return made

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        safe = status_code >= 500 and method.upper() in (self.allowed_methods or ())
        return bool(self.total) and (status_code == BUSY or safe)

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        *others: Any,
        **options: Any,
    ) -> Self:
        if response is not None and (self.get_retry_after(response) or 0) > PATIENCE:
            raise MaxRetryError(cast("ConnectionPool", None), url or "")  # it is answered instead
        return super().increment(method, url, response, *others, **options)

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        asked = self.get_retry_after(response) if response is not None else None
        self._sleep(asked or self.get_backoff_time())


class _Told:
    """A file that tells how much of it was read."""

    def __init__(self, file: BinaryIO, size: int, tell: Callable[[int], None]) -> None:
        self._file, self._size, self._tell = file, size, tell

    def __len__(self) -> int:
        return self._size

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, place: int) -> int:
        return self._file.seek(place)

    def read(self, size: int = -1) -> bytes:
        part = self._file.read(size)
        self._tell(self._file.tell())
        return part


def _session(auth: KeyAuth, retries: Retry) -> requests.Session:
    session = requests.Session()
    session.auth = auth
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retries))
    return session


def _is_timeout(error: requests.RequestException) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.Timeout) or isinstance(reason, ReadTimeoutError)


def _retry_after(response: requests.Response) -> float | None:
    """Return the seconds that an answer asks to wait, given as a number or a date."""
    said = response.headers.get("Retry-After", "")
    if said.isdigit():
        return float(said)
    try:
        return max(email.utils.parsedate_to_datetime(said).timestamp() - time.time(), 0)
    except (TypeError, ValueError):
        return None


def host(url: str) -> str:
    """Return the part of an address that holds no signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
