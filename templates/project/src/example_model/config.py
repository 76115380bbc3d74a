"""Typed settings from configs/*.yaml, overridden by environment variables and by options."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from . import ProjectError, project_dir

Settings = TypeVar("Settings", bound=msgspec.Struct)


def load(
    name: str,
    schema: type[Settings],
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Settings of configs/<name>.yaml, checked against a msgspec Struct.

    An environment variable <PACKAGE>_<NAME>_<KEY> wins over the file, `overrides` win over both.
    A key that is in none of them takes the Struct's default, so a wheel needs no file at all.
    Raises ProjectError with the file and the key where one is unknown, missing or of a wrong type.
    """
    path = (project_dir or Path.cwd()) / "configs" / f"{name}.yaml"
    values = _read(path)
    _convert(values, schema, str(path), strict=True)
    prefix = f"{__package__}_{name}_".upper()
    for key in schema.__struct_fields__:
        if (value := environ.get(prefix + key.upper())) is not None:
            values[key] = value
            _convert(values, schema, f"${prefix + key.upper()}")
    return _convert({**values, **(overrides or {})}, schema, "the command line")


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ProjectError(f"{path} cannot be read: {error}") from error
    if not isinstance(values or {}, dict):
        raise ProjectError(f'{path} must hold "key: value" lines.')
    return values or {}


def _convert(
    values: dict[str, Any], schema: type[Settings], source: str, strict: bool = False
) -> Settings:
    unknown = [str(key) for key in values if key not in schema.__struct_fields__]
    if unknown:
        near = difflib.get_close_matches(unknown[0], schema.__struct_fields__, 1)
        known = ", ".join(schema.__struct_fields__)
        mend = f'Did you mean "{near[0]}"?' if near else f"Known are {known}."
        raise ProjectError(f'{source}: unknown key "{unknown[0]}". {mend}')
    try:
        return msgspec.convert(values, schema, strict=strict)
    except msgspec.ValidationError as error:
        raise ProjectError(f"{source}: {re.sub(r'`[$][.]?', '`', str(error))}") from error
