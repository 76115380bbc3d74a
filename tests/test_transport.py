"""The transport: what it may know of the application, and what it uses of waitress' inside."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from conftest import REPOSITORY, Churn, run

RUNTIME = REPOSITORY / "templates/project/src/example_model/_runtime"
MEETING = "service.protocol"

# Which functions of waitress are overridden or called, with their parameters.
FUNCTIONS = {
    "adjustments.Adjustments.__init__": "(self, **kw)",
    "channel.HTTPChannel.__init__": "(self, server, sock, addr, adj, map=None)",
    "channel.HTTPChannel._flush_exception": "(self, flush, do_close=True)",
    "channel.HTTPChannel._flush_some": "(self, do_close=True)",
    "channel.HTTPChannel.handle_close": "(self)",
    "channel.HTTPChannel.handle_write": "(self)",
    "channel.HTTPChannel.received": "(self, data)",
    "channel.HTTPChannel.send_continue": "(self)",
    "channel.HTTPChannel.service": "(self)",
    "channel.HTTPChannel.write_soon": "(self, data)",
    "parser.HTTPRequestParser.parse_header": "(self, header_plus)",
    "server.TcpWSGIServer.__init__": "(self, application, map=None, _start=True, _sock=None, "
    "dispatcher=None, adj=None, sockinfo=None, bind_socket=True, **kw)",
    "server.TcpWSGIServer.add_task": "(self, task)",
    "server.TcpWSGIServer.handle_accept": "(self)",
    "server.TcpWSGIServer.handle_close": "(self)",
    "server.TcpWSGIServer.pull_trigger": "(self)",
    "server.TcpWSGIServer.readable": "(self)",
    "task.ThreadedTaskDispatcher.add_task": "(self, task)",
    "task.ThreadedTaskDispatcher.shutdown": "(self, cancel_pending=True, timeout=5)",
    "task.WSGITask.execute": "(self)",
    "task.WSGITask.finish": "(self)",
    "task.WSGITask.get_environment": "(self)",
    "task.WSGITask.service": "(self)",
    "task.WSGITask.set_close_on_finish": "(self) -> None",
    "task.WSGITask.write": "(self, data)",
    "utilities.build_http_date": "(when)",
    "wasyncore.close_all": "(map=None, ignore_all=False)",
    "wasyncore.dispatcher.send": "(self, data, do_close=True)",
    "wasyncore.loop": "(timeout=30.0, use_poll=False, map=None, count=None)",
}

# Which attributes are read or set; each must be somewhere in the source of the module.
ATTRIBUTES = {
    "channel": "addr close_when_flushed connected error_task_class outbuf_lock parser_class request "
    "requests sent_continue server socket task_class total_outbufs_len",
    "parser": "body_bytes_received chunked command connection_close error expect_continue headers "
    "headers_finished path query request_uri url_scheme version",
    "server": "_map active_channels adj socket task_dispatcher",
    "task": "channel close_on_finish content_bytes_written content_length environ has_body queue request "
    "response_headers status version wrote_header",
    "utilities": "body code reason",
    "wasyncore": "_fileno",
}

SETTINGS = (
    "channel_timeout clear_untrusted_proxy_headers connection_limit ident inbuf_overflow "
    "max_request_body_size max_request_header_size outbuf_overflow send_bytes sockets threads"
)

ASK = """
import ast, inspect, json, sys
from importlib import import_module
functions, attributes = json.loads(sys.argv[1])
def signature(path):
    module, _, name = path.partition(".")
    found = import_module(f"waitress.{module}")
    for part in name.split("."):
        found = getattr(found, part, None)
    return str(inspect.signature(found)) if found else None
def names(module):
    tree = ast.parse(inspect.getsource(import_module(f"waitress.{module}")))
    return {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)} | {
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
from waitress.adjustments import Adjustments
known = {name for name, _ in Adjustments._params}
print(json.dumps([
    {path: signature(path) for path in functions},
    {module: sorted(set(wanted.split()) - names(module)) for module, wanted in attributes.items()},
    sorted(set(sys.argv[2].split()) - known),
]))
"""


def test_what_is_used_of_waitress_inside_is_there(churn: Churn) -> None:
    given = json.dumps([list(FUNCTIONS), ATTRIBUTES])
    found = run(churn.python, "-c", ASK, given, SETTINGS, cwd=churn.root)
    functions, missing_attributes, missing_settings = json.loads(found.stdout)
    changed = {path: said for path, said in functions.items() if said != FUNCTIONS[path]}
    assert changed == {}, "waitress has changed these functions: see server/ for how they are used"
    assert not any(missing_attributes.values()), missing_attributes
    assert missing_settings == []


@pytest.mark.parametrize(("folder", "other"), [("server", "service"), ("service", "server")])
def test_transport_and_application_meet_in_one_file(folder: str, other: str) -> None:
    imports = {
        (path.name, name)
        for path in (RUNTIME / folder).rglob("*.py")
        for name in imported(path, folder)
        if name.partition(".")[0] == other and name != MEETING
    }
    assert imports == set()


def imported(path: Path, folder: str) -> set[str]:
    """What a module of the folder imports of the runtime, late imports included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.level == 2:
            if node.module:
                found.add(node.module)
            else:
                found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 1:
            found.add(f"{folder}.{node.module or ''}")
    return found


def test_the_application_imports_no_sockets_and_the_transport_no_web_framework() -> None:
    for folder, foreign in (("service", {"socket", "waitress"}), ("server", {"falcon"})):
        for path in (RUNTIME / folder).rglob("*.py"):
            tree = ast.parse(path.read_bytes())
            names = {
                name.partition(".")[0]
                for node in ast.walk(tree)
                for name in (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                    if isinstance(node, ast.ImportFrom) and not node.level
                    else []
                )
            }
            assert not names & foreign, path.name
