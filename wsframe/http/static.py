"""Files of a package, served as they are.

All files are read once, at the start. A request is then a look-up of its path in a table, so no
path, however written, reaches a file that is not in it, and no request waits for a disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from ..errors import RequestRefused
from ..protocol.head import split_list
from ..protocol.http import Request, Response

CONTENT_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "gif": "image/gif",
    "html": "text/html; charset=utf-8",
    "ico": "image/x-icon",
    "jpg": "image/jpeg",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "map": "application/json; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
    "ts": "text/plain; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "webmanifest": "application/manifest+json",
    "webp": "image/webp",
    "woff2": "font/woff2",
}
"""By file name extension; another one is served as ``application/octet-stream``. A table of our
own, because :mod:`mimetypes` answers differently from machine to machine."""

SAME_ORIGIN_ONLY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""A Content-Security-Policy for pages that load their own files only and run no inline script."""


def page_headers(content_security_policy: str | None = None) -> tuple[tuple[str, str], ...]:
    """Return the headers that pages and their files are served with.

    Args:
        content_security_policy: such as :data:`SAME_ORIGIN_ONLY`; None: none is sent.
    """
    headers = (("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"))
    if content_security_policy is None:
        return headers
    return (*headers, ("content-security-policy", content_security_policy))


class StaticFile:
    """A handler that serves one file, or a 304 to those who have it already.

    Args:
        name: decides the content type by its extension, see :data:`CONTENT_TYPES`.
        body: what is in it.
        max_age_s: seconds for which browsers may use the file without asking; 0: they ask each
            time.
        headers: to add to each response, see :func:`page_headers`.
    """

    __slots__ = ("_etag", "_unchanged", "_whole")

    def __init__(
        self,
        name: str,
        body: bytes,
        *,
        max_age_s: int = 0,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        caching = "no-cache" if max_age_s == 0 else f"public, max-age={max_age_s}"
        self._etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        added = (*headers, ("cache-control", caching), ("etag", self._etag))
        extension = name.rpartition(".")[2].lower()
        content_type = CONTENT_TYPES.get(extension, "application/octet-stream")
        self._whole = Response(200, body, added, content_type=content_type)
        self._unchanged = Response(304, b"", added)

    async def __call__(self, request: Request) -> Response:
        """Answer a request for the file."""
        known = split_list(request.headers_all("if-none-match"))
        if "*" in known or self._etag in (tag.removeprefix("w/") for tag in known):
            return self._unchanged
        return self._whole


class StaticFiles:
    """A handler that serves a folder of a package: ``routes.add("/files/*", StaticFiles(…))``.

    ``index.html`` also answers the path of its folder. Files and folders whose name begins with a
    dot or an underscore are left out.

    Args:
        package: the importable package that ships the folder.
        folder: the folder's name within the package.
        prefix: the path on the server that stands for the folder, with ``/`` at its end.
        max_age_s: seconds for which browsers may use a file without asking; 0: they ask each
            time, and get a 304 while it is the same.
        headers: to add to each response, see :func:`page_headers`.

    Raises:
        FileNotFoundError: there is no such folder.
    """

    def __init__(
        self,
        package: str,
        folder: str,
        *,
        prefix: str = "/",
        max_age_s: int = 0,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        root = files(package).joinpath(folder)
        if not root.is_dir():
            raise FileNotFoundError(f"package {package!r} has no folder {folder!r}")
        self._files: dict[str, StaticFile] = {}
        for name, file in _walk(root, ""):
            found = StaticFile(name, file.read_bytes(), max_age_s=max_age_s, headers=headers)
            self._files[prefix + name] = found
            if name == "index.html" or name.endswith("/index.html"):
                self._files[prefix + name.removesuffix("index.html")] = found

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that is served."""
        return tuple(self._files)

    async def __call__(self, request: Request) -> Response:
        """Answer a request for a file.

        Raises:
            RequestRefused: 404, there is no such file.
        """
        found = self._files.get(request.path)
        if found is None:
            raise RequestRefused(404, "not_found", "There is nothing at this address.")
        return await found(request)


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry
