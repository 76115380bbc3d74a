"""What Heroku's API takes: rules of our own for every call, and the published schema where it is at hand."""

from __future__ import annotations

import functools
import json
import re
from typing import Any
from urllib.parse import unquote

import jsonschema
from conftest import REPOSITORY

SCHEMA = REPOSITORY.parent / "shared" / "heroku" / "platform-api.json"
NAME = r"[a-z][a-z0-9-]{1,28}[a-z0-9]"

# What may be sent to each path: a JSON schema, or None for nothing.
NAMED = {"type": "string", "pattern": f"^{NAME}$"}
TEXT = {"type": "string"}


def _exactly(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": sorted(required),
        "additionalProperties": False,
    }


UPDATE = {"quantity": {"type": "integer", "minimum": 0}, "dyno_size": _exactly({"name": TEXT})}
BLOB = _exactly(
    {"url": {"type": "string", "pattern": "^http"}},
    {
        "checksum": {"type": "string", "pattern": "^SHA256:[0-9a-f]{64}$"},
        "version": TEXT,
        "version_description": TEXT,
    },
)
CALLS: list[tuple[str, Any]] = [
    ("POST /apps", _exactly({"name": NAMED}, {"region": TEXT, "stack": TEXT})),
    ("POST /teams/apps", _exactly({"name": NAMED, "team": TEXT}, {"region": TEXT})),
    ("(GET|DELETE) /apps/{app}", None),
    (
        "PUT /apps/{app}/buildpack-installations",
        _exactly({"updates": {"type": "array", "items": _exactly({"buildpack": TEXT})}}),
    ),
    ("GET /apps/{app}/(config-vars|formation|dynos|builds|releases)", None),
    (
        "PATCH /apps/{app}/config-vars",
        {
            "type": "object",
            "additionalProperties": False,
            "patternProperties": {r"^\w+$": {"type": ["string", "null"]}},
        },
    ),
    ("POST /sources", None),
    ("POST /apps/{app}/builds", _exactly({"source_blob": BLOB})),
    ("GET /apps/{app}/(builds|releases|slugs)/[^/]+", None),
    ("GET /apps/{app}/releases/[^/]+/config-vars", None),
    ("DELETE /apps/{app}/builds/[^/]+", None),
    ("POST /apps/{app}/releases", _exactly({"release": TEXT})),
    (
        "PATCH /apps/{app}/formation",
        _exactly({"updates": {"type": "array", "items": _exactly({"type": TEXT}, UPDATE)}}),
    ),
    (
        "POST /apps/{app}/log-sessions",
        _exactly({}, {"lines": {"type": "integer"}, "tail": {"type": "boolean"}}),
    ),
]


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, id: str, message: str) -> None:  # noqa: A002
        super().__init__(message)
        self.status, self.id = status, id


def check(method: str, path: str, body: Any) -> None:
    """Raises Refused where Heroku would, and where it lets pass what it does not know."""
    route = f"{method} {path}"
    fitting = [schema for p, schema in CALLS if re.fullmatch(p.replace("{app}", NAME), route)]
    if not fitting:
        raise Refused(400, "bad_request", "no call that we know of")
    hold(body, fitting[0])
    if SCHEMA.exists():
        hold(body, published(method, path))


def hold(body: Any, schema: Any) -> None:
    """Raises Refused where a body does not fit its schema."""
    if schema is None:
        if body is not None:
            raise Refused(400, "bad_request", f"a body where there is none: {body}")
        return
    try:
        jsonschema.Draft4Validator(schema).validate(body)
    except jsonschema.ValidationError as error:
        raise Refused(400, "bad_request", error.message) from error


@functools.cache
def whole() -> Any:
    """The published schema."""
    return json.loads(SCHEMA.read_text())


@functools.cache
def links() -> list[tuple[str, str, Any]]:
    """Method, pattern of the path, and schema of the body of every published call."""
    found = []
    for definition in whole()["definitions"].values():
        for link in definition.get("links", []):
            pattern = re.sub(
                r"\{[^}]*\}", "[^/]+", unquote(link["href"]).replace("(#", "").replace(")", "")
            )
            found.append((link["method"], pattern, link.get("schema")))
    return found


def published(method: str, path: str) -> Any:
    """The schema of a call's body; of several for one path, any will do."""
    fitting = [s for m, pattern, s in links() if m == method and re.fullmatch(pattern, path)]
    if not fitting:
        raise Refused(400, "bad_request", f"{method} {path} is not published")
    asked = [schema for schema in fitting if schema]
    return {"anyOf": asked, "definitions": whole()["definitions"]} if asked else None
