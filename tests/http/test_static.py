"""Files of a package, served as they are."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wsframe import Request, RequestRefused, Response
from wsframe.http import SAME_ORIGIN_ONLY, Routes, StaticFiles, page_headers

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An importable package with a folder of files, and a secret beside the folder."""
    name = "package_with_files"
    static = tmp_path / name / "static"
    (static / "docs").mkdir(parents=True)
    (static / "__pycache__").mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / name / "secret.txt").write_text("secret")
    (static / "index.html").write_text("<p>Hi")
    (static / "APP.JS").write_text("let a;")
    (static / "raw").write_bytes(b"\x00")
    (static / ".env").write_text("secret")
    (static / "__pycache__" / "a.pyc").write_bytes(b"secret")
    (static / "docs" / "index.html").write_text("<p>Docs")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


async def get(files: StaticFiles, path: str, *headers: tuple[str, str]) -> Response:
    return await files(Request("GET", path, headers))


@pytest.mark.parametrize(
    ("path", "body", "content_type"),
    [
        ("/", b"<p>Hi", "text/html; charset=utf-8"),
        ("/index.html", b"<p>Hi", "text/html; charset=utf-8"),
        ("/APP.JS", b"let a;", "text/javascript; charset=utf-8"),
        ("/docs/", b"<p>Docs", "text/html; charset=utf-8"),
        ("/docs/index.html", b"<p>Docs", "text/html; charset=utf-8"),
        ("/raw", b"\x00", "application/octet-stream"),
    ],
)
async def test_a_file_is_served_with_its_type(
    package: str, path: str, body: bytes, content_type: str
) -> None:
    response = await get(StaticFiles(package, "static"), path)
    assert (response.status, response.body, response.content_type) == (200, body, content_type)


@pytest.mark.parametrize(
    "path",
    [
        "/missing",
        "/docs",
        "/.env",
        "/__pycache__/a.pyc",
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/docs/../../secret.txt",
        "/docs/..%5c..%5csecret.txt",
        "//secret.txt",
        "/./raw",
    ],
)
async def test_no_path_reaches_a_file_that_is_not_served(package: str, path: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        await get(StaticFiles(package, "static"), path)
    assert caught.value.status == 404


async def test_a_browser_that_has_the_file_is_told_so(package: str) -> None:
    files = StaticFiles(package, "static", prefix="/files/")
    first = await get(files, "/files/raw")
    etag = dict(first.headers)["etag"]
    assert ("cache-control", "no-cache") in first.headers
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = await get(files, "/files/raw", ("if-none-match", known))
        assert (again.status, again.body) == (304, b"")
        assert dict(again.headers)["etag"] == etag
    changed = await get(files, "/files/raw", ("if-none-match", '"other"'))
    assert changed.status == 200


async def test_a_file_may_be_kept_for_some_time_and_carries_the_pages_headers(package: str) -> None:
    headers = page_headers(SAME_ORIGIN_ONLY)
    files = StaticFiles(package, "static", max_age_s=3600, headers=headers)
    response = await get(files, "/")
    assert ("cache-control", "public, max-age=3600") in response.headers
    assert ("x-content-type-options", "nosniff") in response.headers
    assert ("content-security-policy", SAME_ORIGIN_ONLY) in response.headers
    assert "content-security-policy" not in dict(page_headers())


async def test_files_are_a_route_like_any_other(package: str) -> None:
    routes = Routes()
    files = StaticFiles(package, "static", prefix="/files/")
    routes.add("/files/*", files)
    assert (await routes.respond(Request("HEAD", "/files/"))).body == b"<p>Hi"
    assert set(files.paths) >= {"/files/", "/files/index.html", "/files/docs/", "/files/raw"}
    with pytest.raises(RequestRefused) as caught:
        await routes.respond(Request("POST", "/files/"))
    assert caught.value.status == 405


@pytest.mark.parametrize("folder", ["missing", "secret.txt"])
def test_a_missing_folder_is_a_mistake(package: str, folder: str) -> None:
    with pytest.raises(FileNotFoundError, match=folder):
        StaticFiles(package, folder)
