"""The OpenAPI 3.1 document of the service."""

from typing import Any

import msgspec

from .schema import Schema

PROBLEM = {
    "type": "object",
    "required": ["title", "status"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


def document(title: str, version: str, schema: Schema, examples: list[Any]) -> dict[str, Any]:
    """One document for one model, with real rows as the example."""
    types, components = msgspec.json.schema_components(
        [schema.request, schema.response], ref_template="#/components/schemas/{name}"
    )
    request: dict[str, Any] = {"schema": types[0]}
    if examples:
        request["example"] = msgspec.to_builtins({"data": examples})
    predict = {
        "operationId": "predict",
        "summary": "Predict one answer for each row",
        "requestBody": {"required": True, "content": {"application/json": request}},
        "responses": {
            "200": _answer("The predictions, in the order of the rows", types[1]),
            "default": _problem("What was wrong with the request, or with the service"),
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": {
            "/predict": {"post": predict},
            "/health/live": {"get": _health("live", "The process answers")},
            "/health/ready": {"get": _health("ready", "The model is loaded, and work is welcome")},
        },
        "components": {"schemas": {**components, "Problem": PROBLEM}},
    }


def _health(name: str, summary: str) -> dict[str, Any]:
    status = {"type": "object", "properties": {"status": {"type": "string"}}}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": _answer("Yes", status), "503": _problem("No")},
    }


def _answer(description: str, schema: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problem(description: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": description, "content": content}
