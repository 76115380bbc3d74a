"""Typed settings from configs/*.yaml, overridden by environment variables and by options.

A secret is not written there but referred to, as ${env:NAME} or ${vault:path#key}, and is a Secret here.
"""

import difflib
import functools
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from .errors import ProjectError
from .package import Package

Settings = TypeVar("Settings", bound=msgspec.Struct)
REFERENCE = re.compile(r"\$\{(?:env:(\w+)|vault:([^#{}]+)#([^#{}]+))\}")


class Secret:
    """Text that is shown to nobody who does not ask with reveal(): its repr, str and JSON are ***."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: not for a log, a message or an artifact."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("A secret is not pickled.")


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
    look_up = functools.partial(_look_up, environ, _vault(environ))
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
    """Settings as what JSON can say, with *** for each secret."""
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
        line = error.problem_mark.line + 1
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
    """What one source gives, as the types of the schema."""
    unknown = [str(key) for key in given if key not in schema.__struct_fields__]
    if unknown:
        near = difflib.get_close_matches(unknown[0], schema.__struct_fields__, 1)
        known = ", ".join(schema.__struct_fields__)
        mend = f'Did you mean "{near[0]}"?' if near else f"Known are {known}."
        raise ProjectError(f'{source}: unknown key "{unknown[0]}". {mend}')

    def to_secret(kind: type, value: Any) -> Any:
        if isinstance(value, kind):
            return value
        if kind is not Secret or not isinstance(value, str):
            raise ValueError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")
        if value and not source.startswith("$") and not REFERENCE.search(value):
            raise ValueError("A secret is not written here: ${env:NAME} or ${vault:path#key} is")
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
    """The value with each text that refers to a secret made a Secret."""
    if isinstance(value, dict):
        return {key: _resolve(item, look_up, source) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, look_up, source) for item in value]
    if isinstance(value, str) and "${" in REFERENCE.sub("", value):
        raise ProjectError(f"{source}: a reference is written ${{env:NAME}} or ${{vault:path#key}}")
    if not isinstance(value, str) or not REFERENCE.search(value):
        return value
    try:
        return Secret(REFERENCE.sub(look_up, value))
    except ProjectError as error:
        raise ProjectError(f"{source}: {error}") from error


def _look_up(
    environ: Mapping[str, str],
    read: Callable[[str], Mapping[str, Any]],
    reference: re.Match[str],
) -> str:
    name, path, key = reference.groups()
    if name and name not in environ:
        raise ProjectError(f"{reference[0]}: this environment variable is not set.")
    fields = {} if name else read(path)
    if not name and key not in fields:
        raise ProjectError(f"{reference[0]}: known there are {', '.join(fields) or 'no keys'}.")
    value = environ[name] if name else str(fields[key])
    if not value.strip():  # what it is for would be without a secret, and nobody would know
        raise ProjectError(f"{reference[0]} is empty.")
    return value


def _vault(environ: Mapping[str, str]) -> Callable[[str], Mapping[str, Any]]:
    """Reads paths of HashiCorp's Vault, or of OpenBao, each once: a lease's parts belong together."""

    @functools.cache
    def client() -> Any:
        hvac = _hvac()
        if "VAULT_ADDR" not in environ:
            raise ProjectError("$VAULT_ADDR does not say where Vault is.")
        found = hvac.Client(environ["VAULT_ADDR"], environ.get("VAULT_TOKEN"), timeout=10)
        if not found.token:
            role, secret = environ.get("VAULT_ROLE_ID"), environ.get("VAULT_SECRET_ID")
            if not role or not secret:
                raise ProjectError(
                    "Vault wants $VAULT_TOKEN, or $VAULT_ROLE_ID and $VAULT_SECRET_ID."
                )
            try:
                found.auth.approle.login(role, secret)
            except TypeError as error:  # of an answer that is no JSON
                raise ProjectError("What answers at $VAULT_ADDR is not Vault.") from error
        return found

    @functools.cache
    def read(path: str) -> Mapping[str, Any]:
        hvac = _hvac()
        try:
            answer = client().read(path)
        except (hvac.exceptions.VaultError, OSError) as error:  # requests' errors are OSErrors
            why = getattr(error, "errors", None) or [f"{type(error).__name__} at $VAULT_ADDR"]
            said = "; ".join(" ".join(str(line).split()) for line in why)
            raise ProjectError(f"Vault did not give {path}: {said}.") from error
        if answer is None:
            raise ProjectError(
                f'Vault has no {path}. In a store of version 2 "data" follows its mount, '
                "as in secret/data/churn."
            )
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, dict):
            raise ProjectError(f"What answers at $VAULT_ADDR has no secret at {path}.")
        return data["data"] or {} if {"data", "metadata"} <= data.keys() else data

    return read


def _hvac() -> Any:
    try:
        import hvac
    except ModuleNotFoundError as error:
        raise ProjectError(
            "Vault is read with hvac. Run: poetry install --extras vault; or, for a platform that "
            'installs no extras: poetry add hvac --python "<4"'
        ) from error
    return hvac
