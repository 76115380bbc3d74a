"""A CycloneDX 1.6 document of what is locked for a package to run."""

from __future__ import annotations

import importlib.metadata
import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from packaging.utils import canonicalize_name

from poetry_ml_plugin.project.lock import Package

ALGORITHMS = {"sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512", "md5": "MD5"}
SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"


def document(
    name: str, version: str, packages: Iterable[Package], licences: Mapping[str, str]
) -> bytes:
    """Write the document: the same bytes for the same lock and the same licences.

    `licences` says those that are known by "name version", as the environment that builds knows them.
    """
    running = {_purl(each.name, each.version): each for each in packages if each.runtime}
    content: dict[str, Any] = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": _component("application", name, version),
            "tools": {"components": [_tool()]},
        },
        "components": [_library(package, licences) for package in running.values()],
        "dependencies": [
            {"ref": _purl(name, version), "dependsOn": sorted(running)},
            *({"ref": ref, "dependsOn": _needed(each, running)} for ref, each in running.items()),
        ],
    }
    content["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content))}"
    return json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"


def licences(distributions: Iterable[importlib.metadata.Distribution]) -> dict[str, str]:
    """Read the licences of installed distributions, by "name version"."""
    found = {}
    for distribution in distributions:
        said: Any = distribution.metadata
        classified = [
            line.rpartition(" :: ")[2]
            for line in said.get_all("Classifier") or []
            if line.startswith("License :: OSI Approved ::")
        ]
        licence = said.get("License-Expression") or ", ".join(classified) or said.get("License")
        if licence and "\n" not in licence:  # some put the whole text there
            found[f"{canonicalize_name(said['Name'] or '')} {said['Version']}"] = licence
    return found


def _library(package: Package, licences: Mapping[str, str]) -> dict[str, Any]:
    component = _component("library", package.name, package.version)
    component["scope"] = "optional" if package.optional else "required"
    if licence := licences.get(f"{package.name} {package.version}"):
        component["licenses"] = [{"license": {"name": licence}}]
    component["externalReferences"] = [
        {"type": "distribution", "url": file, "hashes": [_hash(known)]}
        for file, known in sorted(package.files.items())
    ]
    return component


def _component(kind: str, name: str, version: str) -> dict[str, Any]:
    ref = _purl(name, version)
    return {"type": kind, "bom-ref": ref, "name": name, "version": version, "purl": ref}


def _tool() -> dict[str, str]:
    own = "poetry-ml-plugin"
    return {"type": "application", "name": own, "version": importlib.metadata.version(own)}


def _needed(package: Package, running: Mapping[str, Package]) -> list[str]:
    return sorted(ref for ref, other in running.items() if other.name in package.requires)


def _hash(known: str) -> dict[str, str]:
    algorithm, _, content = known.partition(":")
    return {"alg": ALGORITHMS[algorithm], "content": content}


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version}"
