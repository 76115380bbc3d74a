"""Secrets of HashiCorp Vault or OpenBao, for ${vault:path#key} in the configuration.

This file may be deleted by a project that does not use Vault.
"""

from collections.abc import Mapping
from typing import Any

from .errors import ProjectError


class Vault:
    """Reads each path once: the parts of a lease belong together."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._client: Any = None
        self._read: dict[str, Mapping[str, Any]] = {}

    def read(self, path: str) -> Mapping[str, Any]:
        """Return the keys and values at a path.

        Raises ProjectError where Vault cannot be reached, or has nothing there.
        """
        if path not in self._read:
            self._read[path] = self._ask(path)
        return self._read[path]

    def _ask(self, path: str) -> Mapping[str, Any]:
        hvac = _hvac()
        try:
            self._client = self._client or self._connect(hvac)
            answer = self._client.read(path)
        except (hvac.exceptions.VaultError, OSError) as error:  # requests' errors are OSErrors
            why = getattr(error, "errors", None) or [f"{type(error).__name__} at $VAULT_ADDR"]
            reason = "; ".join(" ".join(str(line).split()) for line in why)
            raise ProjectError(f"Vault did not return {path}: {reason}.") from error
        if answer is None:
            raise ProjectError(
                f"Vault has no {path}. In a KV store of version 2, "
                '"data" follows the mount, as in secret/data/churn.'
            )
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, dict):
            raise ProjectError(f"The server at $VAULT_ADDR has no secret at {path}.")
        return data["data"] or {} if {"data", "metadata"} <= data.keys() else data

    def _connect(self, hvac: Any) -> Any:
        if "VAULT_ADDR" not in self._environ:
            raise ProjectError("Set VAULT_ADDR to the address of Vault.")
        client = hvac.Client(
            self._environ["VAULT_ADDR"], self._environ.get("VAULT_TOKEN"), timeout=10
        )
        if client.token:
            return client
        role = self._environ.get("VAULT_ROLE_ID")
        secret = self._environ.get("VAULT_SECRET_ID")
        if not role or not secret:
            raise ProjectError("Set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID.")
        try:
            client.auth.approle.login(role, secret)
        except TypeError as error:  # of an answer that is not JSON
            raise ProjectError("The server at $VAULT_ADDR is not Vault.") from error
        return client


def _hvac() -> Any:
    try:
        import hvac
    except ModuleNotFoundError as error:
        raise ProjectError(
            "Reading from Vault needs hvac. Run: poetry install --extras vault; or, for a platform "
            'that installs no extras: poetry add hvac --python "<4"'
        ) from error
    return hvac
