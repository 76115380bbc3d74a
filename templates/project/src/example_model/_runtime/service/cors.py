"""Cross-origin requests: which pages of other sites may call the service from a browser."""

import falcon

from .protocol import Headers


class Cors:
    """Says so in every answer, those of the transport included."""

    def __init__(self, origins: str) -> None:
        self._origins = {origin.strip() for origin in origins.split(",") if origin.strip()}

    def headers(self, origin: str | None) -> Headers:
        """What an answer to this origin says; caches must know that it depends on it."""
        if not self._origins:
            return []
        if "*" in self._origins:
            return [("Access-Control-Allow-Origin", "*")] if origin else []
        vary = [("Vary", "Origin")]
        is_known = origin is not None and origin in self._origins
        return [("Access-Control-Allow-Origin", str(origin)), *vary] if is_known else vary

    def process_response(
        self, request: falcon.Request, response: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        origin = request.get_header("Origin")
        for name, value in self.headers(origin):
            response.set_header(name, value)
        if not response.get_header("Access-Control-Allow-Origin"):
            return
        response.set_header("Access-Control-Expose-Headers", "X-Request-ID")
        if request.method == "OPTIONS" and request.get_header("Access-Control-Request-Method"):
            asked = request.get_header("Access-Control-Request-Headers") or "*"
            response.set_header("Access-Control-Allow-Methods", response.get_header("Allow") or "")
            response.set_header("Access-Control-Allow-Headers", asked)
            response.set_header("Access-Control-Max-Age", "86400")
