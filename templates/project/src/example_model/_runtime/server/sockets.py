"""The socket that all processes accept from."""

import socket

from ..errors import ProjectError


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address. Raises ProjectError."""
    try:
        return socket.create_server(
            (host, port),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            backlog=1024,
        )
    except OSError as error:
        raise ProjectError(
            f"Cannot listen on {host}, port {port}: "
            f"{str(error.strerror).partition(' (')[0]}. Choose others with --host and --port."
        ) from error


def url_of(listening: socket.socket) -> str:
    """The address under which a listening socket is reached."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
