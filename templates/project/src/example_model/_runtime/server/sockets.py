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
    unlimited = resource.RLIM_INFINITY
    if soft != unlimited and soft < wanted + SPARE:
        with suppress(OSError, ValueError):
            limit = wanted + SPARE if hard == unlimited else min(wanted + SPARE, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            soft = limit
    possible = wanted if soft == unlimited else max(min(wanted, soft - SPARE), 8)
    if possible < wanted:
        said = "connection_limit is %d, not %d: a process may have %d files open (ulimit -n)."
        log.warning(said, possible, wanted, soft)
    return possible


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address, where :: is any of IPv4 too if the system can. Raises ProjectError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    is_any = host == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            (host, port), family=family, backlog=1024, dualstack_ipv6=is_any
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
