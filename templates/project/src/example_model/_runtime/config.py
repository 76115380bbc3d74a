"""Typed settings from configs/*.yaml, overridden by environment variables and by options.

A secret is not written there but referred to, as ${env:NAME} or ${vault:path#key}, and becomes a Secret.
"""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from .errors import ProjectError
from .package import Package
from .secret import Secret

Settings = TypeVar("Settings", bound=msgspec.Struct)
REFERENCE = re.compile(r"\$\{(?:env:(\w+)|vault:([^#{}]+)#([^#{}]+))\}")


class Config:
    """The settings of one package."""

    def __init__(self, package: Package) -> None:
        self._package = package

    def load(
        self,
        name: str,
        schema: type[Settings],
        overrides: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> Settings:
        """Load configs/<name>.yaml, checked against a msgspec Struct.

        An environment variable <PACKAGE>_<NAME>_<KEY> wins over the file, `overrides` win over both.
        A key that is in none of them takes the Struct's default, so a wheel needs no file at all.
        Raises ProjectError with the file and the key where one is unknown, missing or of a wrong type.
        """
        path = (self._package.project_dir or Path.cwd()) / "configs" / f"{name}.yaml"
        prefix = f"{self._package.name}_{name}"
        return _load(path, prefix, schema, overrides or {}, environ)


def _load(
    path: Path,
    prefix: str,
    schema: type[Settings],
    overrides: Mapping[str, Any],
    environ: Mapping[str, str],
) -> Settings:
    variables = {key: f"{prefix}_{key}".upper() for key in schema.__struct_fields__}
    sources: list[tuple[str, Mapping[str, Any]]] = [
        (str(path), _read(path)),
        *((f"${v}", {key: environ[v]}) for key, v in variables.items() if v in environ),
        ("the command line", overrides),
    ]
    look_up = _References(environ).look_up
    values: dict[str, Any] = {}
    for n, (source, given) in enumerate(sources):
        overridden = {key for _, later in sources[n + 1 :] for key in later}
        resolved = {
            k: v if k in overridden else _resolve(v, look_up, f"{source}: {k}")
            for k, v in given.items()
        }
        values |= _convert(resolved, schema, source, strict=n == 0)
    try:
        return msgspec.convert(values, schema)
    except msgspec.ValidationError as error:  # of what was in none of them
        raise ProjectError(_said(str(path), error)) from error


def plain(settings: msgspec.Struct) -> Any:
    """Return settings as plain data for JSON, with *** for each secret."""
    return msgspec.to_builtins(settings, enc_hook=repr)


class _Loader(yaml.SafeLoader):
    """YAML as people write it: 1e-5 is a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+$"), [*"-+0123456789"]
)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        return {}
    except yaml.MarkedYAMLError as error:  # whose own words repeat the line, and what stands there
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = re.sub(r" '[^'<]{3,}'", "", str(error.problem))
        raise ProjectError(f"{path} cannot be read: line {line}: {problem}.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ProjectError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(values or {}, dict):
        raise ProjectError(f'{path} must hold "key: value" lines.')
    return values or {}


def _convert(
    given: dict[str, Any], schema: type[msgspec.Struct], source: str, strict: bool
) -> dict[str, Any]:
    """Convert what one source gives to the types of the schema."""
    unknown = [str(key) for key in given if key not in schema.__struct_fields__]
    if unknown:
        near = difflib.get_close_matches(unknown[0], schema.__struct_fields__, 1)
        known = ", ".join(schema.__struct_fields__)
        hint = f'Did you mean "{near[0]}"?' if near else f"Known keys: {known}."
        raise ProjectError(f'{source}: unknown key "{unknown[0]}". {hint}')

    def to_secret(kind: type, value: Any) -> Any:
        if isinstance(value, kind):
            return value
        if kind is not Secret or not isinstance(value, str):
            raise ValueError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")
        if value and not source.startswith("$") and not REFERENCE.search(value):
            raise ValueError(
                "Secrets are not written here: refer to one as ${env:NAME} or ${vault:path#key}"
            )
        return Secret(value)

    fields = {field.name: field.type for field in msgspec.structs.fields(schema)}
    part = msgspec.defstruct(schema.__name__, [(key, fields[key]) for key in given])
    try:
        return msgspec.structs.asdict(
            msgspec.convert(given, part, strict=strict, dec_hook=to_secret)
        )
    except msgspec.ValidationError as error:
        raise ProjectError(_said(source, error)) from error


def _said(source: str, error: msgspec.ValidationError) -> str:
    return f"{source}: {re.sub(r'`[$][.]?', '`', str(error))}"


def _resolve(value: Any, look_up: Callable[[re.Match[str]], str], source: str) -> Any:
    """Make a Secret of each text in the value that refers to one."""
    if isinstance(value, dict):
        return {key: _resolve(item, look_up, source) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, look_up, source) for item in value]
    if isinstance(value, str) and "${" in REFERENCE.sub("", value):
        raise ProjectError(f"{source}: write a reference as ${{env:NAME}} or ${{vault:path#key}}")
    if not isinstance(value, str) or not REFERENCE.search(value):
        return value
    try:
        return Secret(REFERENCE.sub(look_up, value))
    except ProjectError as error:
        raise ProjectError(f"{source}: {error}") from error


class _References:
    """Looks up what ${env:NAME} and ${vault:path#key} refer to."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._vault: Any = None

    def look_up(self, reference: re.Match[str]) -> str:
        """Return the text of a reference. Raises ProjectError where there is none, or an empty one."""
        name, path, key = reference.groups()
        text = self._of_environment(name) if name else self._of_vault(path, key)
        if text is None or not text.strip():  # an empty API key would let everybody in
            raise ProjectError(f"{reference[0]} is {'not set' if text is None else 'empty'}.")
        return text

    def _of_environment(self, name: str) -> str | None:
        return self._environ.get(name)

    def _of_vault(self, path: str, key: str) -> str:
        if self._vault is None:
            self._vault = _vault(self._environ)
        fields = self._vault.read(path)
        if key not in fields:
            raise ProjectError(f'Vault\'s {path} has no key "{key}", only {", ".join(fields)}.')
        return str(fields[key])


def _vault(environ: Mapping[str, str]) -> Any:
    try:
        from .vault import Vault
    except ModuleNotFoundError as error:
        raise ProjectError("This project has no _runtime/vault.py to read Vault with.") from error
    return Vault(environ)
