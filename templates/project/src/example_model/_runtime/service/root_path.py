"""The path under which a proxy offers the service: from the settings, or from the proxy itself."""

import ipaddress
import re
from typing import Any

from ..errors import ProjectError
from .protocol import ServeConfig

PATH = re.compile(r"(/[\w.~-]+)+")


class RootPath:
    """Finds the path, and takes it off a request where the proxy has left it. Raises ProjectError."""

    def __init__(self, settings: ServeConfig) -> None:
        self._path = settings.root_path.rstrip("/")
        if self._path and not PATH.fullmatch(self._path):
            raise ProjectError(f'root_path: "{settings.root_path}" is not a path such as /model.')
        try:
            proxies = [word.strip() for word in settings.trusted_proxies.split(",")]
            self._trusted = [ipaddress.ip_network(word) for word in proxies if word]
        except ValueError as error:
            raise ProjectError(f"trusted_proxies: {error}.") from error

    def mount(self, environ: dict[str, Any]) -> None:
        """Tell the application of the path, as WSGI does."""
        if not self._path and not self._trusted:
            return
        given = environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/")
        is_given = PATH.fullmatch(given) and self._trusts(environ["REMOTE_ADDR"])
        root = environ["SCRIPT_NAME"] = given if is_given else self._path
        path = environ["PATH_INFO"]
        if root and f"{path}/".startswith(f"{root}/"):
            environ["PATH_INFO"] = path[len(root) :] or "/"

    def _trusts(self, address: str) -> bool:
        peer = ipaddress.ip_address(address.partition("%")[0])
        peer = getattr(peer, "ipv4_mapped", None) or peer
        return any(peer in network for network in self._trusted)
