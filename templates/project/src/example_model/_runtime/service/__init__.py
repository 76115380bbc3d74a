"""The model as a web service, which knows no sockets."""

from .protocol import ServeConfig

__all__ = ["ServeConfig"]
