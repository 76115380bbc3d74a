"""The SBOM of a wheel: valid CycloneDX that names what is locked to run, and nothing else."""

from __future__ import annotations

import importlib.metadata
import json
import zipfile
from pathlib import Path
from typing import Any

import tomlkit
from conftest import Churn, poetry
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from poetry_ml_plugin.build import sbom
from poetry_ml_plugin.project import lock

NAME = "churn-0.1.0.dist-info/sboms/churn.cdx.json"


def wheel(root: Path) -> zipfile.ZipFile:
    poetry("build", "--format", "wheel", cwd=root)
    (built,) = (root / "dist").glob("*.whl")
    return zipfile.ZipFile(built)


def switch_on(root: Path) -> None:
    path = root / "pyproject.toml"
    path.write_text(path.read_text().replace('package = "churn"', 'package = "churn"\nsbom = true'))


def valid(document: dict[str, Any]) -> bool:
    """Whether the official schema takes it. Components are alike, and a few do: the schema is slow."""
    few = document | {
        "components": document["components"][:2],
        "dependencies": document["dependencies"][:3],
    }
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(few)) is None


def test_a_wheel_says_what_is_locked_for_it_if_asked_to(copy: Path) -> None:
    assert NAME not in wheel(copy).namelist()
    switch_on(copy)
    built = wheel(copy)
    content = built.read(NAME)
    assert NAME in built.read("churn-0.1.0.dist-info/RECORD").decode()
    document = json.loads(content)
    assert valid(document)
    named = {each["name"]: each for each in document["components"]}
    locked = tomlkit.parse((copy / "poetry.lock").read_text()).unwrap()["package"]
    assert set(named) == {p["name"] for p in locked if "main" in p["groups"]}
    assert {"falcon", "onnxruntime"} <= set(named)
    assert not {"scikit-learn", "pytest"} & set(named)
    (falcon,) = [package for package in locked if package["name"] == "falcon"]
    assert named["falcon"]["purl"] == f"pkg:pypi/falcon@{falcon['version']}"
    hashes = {each["url"]: each["hashes"][0] for each in named["falcon"]["externalReferences"]}
    assert hashes == {
        file["file"]: {"alg": "SHA-256", "content": file["hash"].removeprefix("sha256:")}
        for file in falcon["files"]
    }
    root = document["metadata"]["component"]["bom-ref"]
    needs = {each["ref"]: each["dependsOn"] for each in document["dependencies"]}
    assert root == "pkg:pypi/churn@0.1.0"
    assert named["click"]["bom-ref"] in needs[root]


def test_licences_are_those_of_the_environment(churn: Churn) -> None:
    locked = lock.read(churn.root)
    assert locked is not None
    version = next(iter(locked.versions("falcon")))
    known = {f"falcon {version}": "Apache-2.0"}
    document = json.loads(sbom.document("churn", "0.1.0", locked.packages, known))
    (falcon,) = [each for each in document["components"] if each["name"] == "falcon"]
    assert valid(document | {"components": [falcon]})
    assert not valid(document | {"components": [falcon | {"type": "no such type"}]})
    assert falcon["licenses"] == [{"license": {"name": "Apache-2.0"}}]
    names = {name.partition(" ")[0] for name in sbom.licences(importlib.metadata.distributions())}
    assert names == {canonicalize_name(name) for name in names}
    again = sbom.document("churn", "0.1.0", locked.packages, known)
    assert again == sbom.document("churn", "0.1.0", locked.packages, dict(known))


def test_an_sbom_that_cannot_be_written_stops_the_build(copy: Path) -> None:
    switch_on(copy)
    (copy / "poetry.lock").unlink()
    assert "no poetry.lock, which an SBOM needs" in poetry("build", cwd=copy, code=1).stderr
    assert not (copy / "dist").exists()
