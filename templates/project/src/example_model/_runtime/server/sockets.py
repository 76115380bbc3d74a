"""The socket that all processes accept from."""

import ctypes
import logging
import socket
import struct
import sys
from contextlib import suppress

from ..errors import ProjectError

SO_ATTACH_FILTER = 26
SPARE = 128  # files of a process that are not connections

log = logging.getLogger(__name__)


def connections_within(wanted: int) -> int:
    """How many of the connections wanted the system allows; its soft limit on files is raised for them."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted + SPARE or soft == resource.RLIM_INFINITY:
        limit = wanted + SPARE if hard == resource.RLIM_INFINITY else min(wanted + SPARE, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))
            soft = max(soft, limit)
    possible = max(min(wanted, soft - SPARE), 8)
    if possible < wanted:
        log.warning(
            "connection_limit is %d, not %d: a process may have %d files open (ulimit -n).",
            *(possible, wanted, soft),
        )
    return possible


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address. Raises ProjectError."""
    try:
        is_any = host == "::"  # of both families, where the system can
        return socket.create_server(
            (host, port),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            backlog=1024,
            dualstack_ipv6=is_any and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        raise ProjectError(
            f"Cannot listen on {host}, port {port}: "
            f"{str(error.strerror).partition(' (')[0]}. Choose others with --host and --port."
        ) from error


def keep_port(host: str, port: int) -> socket.socket:
    """A socket that keeps a port for processes that each listen there themselves. Raises ProjectError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with listen(host, port) as alone:  # what shares a port shares it with whoever came before, too
        port = alone.getsockname()[1]
    kept = socket.socket(family, socket.SOCK_STREAM)
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6 and socket.has_dualstack_ipv6():
        kept.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
    kept.bind((host, port))
    return kept


def ignore_new(listening: socket.socket) -> None:
    """Let no more connections begin, so that those which have may be accepted before the socket is closed.

    Whoever connects between the last accept and the close would be cut off, having sent a request. So,
    on Linux, packets with the flag SYN are dropped from here on: the system of such a client sends
    another a second later, when somebody else listens, or nobody.
    """
    if not sys.platform.startswith("linux"):
        return
    load_flags, jump_if_set, leave = 0x30, 0x45, 0x06  # of the classic BPF
    steps = [(load_flags, 0, 0, 13), (jump_if_set, 0, 1, 2), (leave, 0, 0, 0), (leave, 0, 0, 2**31)]
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    held = ctypes.create_string_buffer(program)
    with suppress(OSError):
        value = struct.pack("HP", len(steps), ctypes.addressof(held))
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, value)


def url_of(listening: socket.socket) -> str:
    """The address under which a listening socket is reached."""
    return f"http://{address_of(listening)}"


def address_of(bound: socket.socket) -> str:
    """The host and the port of a socket."""
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
