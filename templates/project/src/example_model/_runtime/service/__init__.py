"""The model as a web service, and its settings."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ..secret import Secret

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class ServeConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """configs/serve.yaml, which says what each is for. These defaults are its values too."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    workers: Annotated[int, Meta(ge=0)] = 0
    threads: Count = 64
    max_batch: Count = 64
    max_rows: Count = 10_000
    max_body_bytes: Count = 1_048_576
    max_header_bytes: Count = 16_384
    connection_limit: Count = 2_000
    queue_limit: Count = 512
    predict_seconds: Seconds = 20
    stuck_seconds: Seconds = 60
    header_seconds: Seconds = 10
    body_seconds: Seconds = 30
    keep_alive_seconds: Seconds = 95
    drain_seconds: Seconds = 20
    log: Literal["auto", "json", "plain", "off"] = "auto"
    api_keys: Secret = Secret()
    api_keys_file: str = ""
    cors_origins: str = ""
