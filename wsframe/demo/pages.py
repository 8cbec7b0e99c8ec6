"""The chat page: a few static files, served on the application's own port."""

from __future__ import annotations

from wsframe import App
from wsframe.http import SAME_ORIGIN_ONLY, StaticFiles, page_headers


def add_pages(app: App) -> None:
    """Serve everything in ``static/``; ``/`` is the page itself."""
    pages = StaticFiles(__package__, "static", headers=page_headers(SAME_ORIGIN_ONLY))
    app.http_route("/*")(pages)
