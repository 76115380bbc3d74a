"""Cross-origin requests: which pages of other sites may call the service from a browser."""

import falcon


class Cors(falcon.CORSMiddleware):  # type: ignore[type-arg]
    """Says so in every answer, those that the transport refuses included."""

    def __init__(self, origins: set[str]) -> None:
        super().__init__("*" if "*" in origins else origins, expose_headers="X-Request-ID")

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, req_succeeded: bool
    ) -> None:
        super().process_response(req, resp, resource, req_succeeded)
        if self.allow_origins != "*":
            resp.append_header("Vary", "Origin")  # for caches


def middleware(origins: str) -> list[Cors]:
    """What a falcon application needs for these origins, with commas between."""
    named = {origin.strip() for origin in origins.split(",")} - {""}
    return [Cors(named)] if named else []
