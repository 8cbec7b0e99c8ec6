"""The JavaScript client, which pages import from the server that they talk to.

So a page always has the client that fits its server. Its source is a package for npm, in
``clients/js``; a wheel has the module beside this one.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from ..protocol.http import Request, Response
from .static import StaticFile, page_headers

BROWSER_CLIENT_PATH: Final = "/wsframe-client.js"

_NAME: Final = "wsframe-client.js"
# A page of another origin may import it too: it holds nothing that is not public.
_HEADERS: Final = (*page_headers(), ("access-control-allow-origin", "*"))


async def serve_browser_client(request: Request) -> Response:
    """Answer a request for the client's module."""
    return await _module()(request)


@cache
def _module() -> StaticFile:
    return StaticFile(_NAME, _file().read_bytes(), headers=_HEADERS)


def _file() -> Traversable:
    """Beside this module where the package is installed, ``clients/js`` in a source tree."""
    installed = files(__package__) / _NAME
    source = Path(__file__).parents[2] / "clients" / "js" / _NAME
    return installed if installed.is_file() else source
