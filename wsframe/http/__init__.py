"""Plain HTTP on the WebSocket's port: routes, and answers to health checks, metrics, files."""

from ..protocol.http import Response
from .browser_client import serve_browser_client
from .endpoints import add_endpoints
from .routes import Answer, Handler, Routes
from .static import SAME_ORIGIN_ONLY, StaticFiles, page_headers

__all__ = [
    "SAME_ORIGIN_ONLY",
    "Answer",
    "Handler",
    "Response",
    "Routes",
    "StaticFiles",
    "add_endpoints",
    "page_headers",
    "serve_browser_client",
]
