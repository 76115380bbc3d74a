"""A package index for tests: some wheels of its own, and all else from the index that is configured."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def wheel(name: str, version: str, files: Mapping[str, str]) -> bytes:
    """Pack a pure wheel of these modules."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    tags = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    content = {**files, f"{info}/METADATA": metadata, f"{info}/WHEEL": tags}
    record = "".join(
        f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in content.items()
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, text in {**content, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(zipfile.ZipInfo(path), text)  # without the time: its hash is cached
    return out.getvalue()


def _digest(text: str) -> str:
    found = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return found.rstrip(b"=").decode()


@contextmanager
def index(files: Mapping[str, bytes], others: bool = True) -> Iterator[dict[str, str]]:
    """Serve these files by their names; the variables have Poetry use this index.

    Without `others` it knows no other files, so that locking a project fails at once.
    """
    upstream = os.environ["POETRY_PYPI_MIRROR_URL"].rstrip("/")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rstrip("/").rpartition("/")[2]
            listed = {f: c for f, c in files.items() if f.partition("-")[0] == name}
            if name in files:
                self._answer(200, files[name], "application/octet-stream")
            elif listed:
                links = (
                    f'<a href="/files/{f}#sha256={hashlib.sha256(c).hexdigest()}">{f}</a><br>'
                    for f, c in listed.items()
                )
                self._answer(200, "".join(links).encode(), "text/html")
            elif not others:
                self._answer(404, b"", "text/plain")
            else:
                self.send_response(302)
                self.send_header("Location", f"{upstream}/{name}/")
                self.send_header("Content-Length", "0")
                self.end_headers()

        do_HEAD = do_GET

        def _answer(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *said: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield {"POETRY_PYPI_MIRROR_URL": f"http://127.0.0.1:{server.server_port}/simple/"}
        finally:
            server.shutdown()
            thread.join()
