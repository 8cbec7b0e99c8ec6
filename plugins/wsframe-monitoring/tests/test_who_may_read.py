"""The metrics are for this machine, unless somebody decides otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wsframe import PluginError

TOKEN = "a token for Prometheus"


async def status(get: Any, app: Any, **asked: Any) -> tuple[int, str | None]:
    response = await get(app, **asked)
    return response.status, dict(response.headers).get("www-authenticate")


@pytest.mark.parametrize(
    ("address", "answered"),
    [("127.0.0.1", 200), ("127.8.8.8", 200), ("::1", 200), ("::ffff:127.0.0.1", 200),
     ("10.0.0.7", 403), ("2001:db8::1", 403), ("::ffff:10.0.0.7", 403), ("", 403),
     ("localhost", 403)],
)  # fmt: skip
async def test_without_a_word_only_this_machine_may(
    wsframe_client: Any, watched: Any, get: Any, address: str, answered: int
) -> None:
    app = watched()
    await wsframe_client(app)
    assert await status(get, app, address=address) == (answered, None)


@pytest.mark.parametrize("header", ["forwarded", "x_forwarded_for", "x_real_ip", "via"])
async def test_what_a_proxy_hands_on_is_not_from_this_machine(
    wsframe_client: Any, watched: Any, get: Any, header: str
) -> None:
    app = watched()
    await wsframe_client(app)
    assert await status(get, app, **{header: "127.0.0.1"}) == (403, None)


async def test_networks_that_are_named_may(wsframe_client: Any, watched: Any, get: Any) -> None:
    app = watched(allow=("10.0.0.0/8", "2001:db8::/32"))
    await wsframe_client(app)
    assert await status(get, app, address="10.1.2.3") == (200, None)
    assert await status(get, app, address="2001:db8::7") == (200, None)
    assert await status(get, app, address="127.0.0.1") == (403, None)


async def test_with_a_token_whoever_has_it_may(wsframe_client: Any, watched: Any, get: Any) -> None:
    app = watched(token=TOKEN)
    await wsframe_client(app)
    far = {"address": "10.0.0.7"}
    assert await status(get, app, **far) == (401, "Bearer")
    assert await status(get, app, **far, authorization=f"Bearer {TOKEN}") == (200, None)
    assert await status(get, app, **far, authorization=f"bearer {TOKEN}") == (200, None)
    for wrong in (f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", TOKEN):
        assert await status(get, app, **far, authorization=wrong) == (401, "Bearer")
    assert await status(get, app, address="127.0.0.1") == (401, "Bearer")


async def test_address_and_token_are_both_needed_where_both_are_set(
    wsframe_client: Any, watched: Any, get: Any, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n", encoding="utf-8")
    app = watched(token_file=str(file), allow=("10.0.0.0/8",))
    await wsframe_client(app)
    right = {"authorization": f"Bearer {TOKEN}"}
    assert await status(get, app, address="10.0.0.7", **right) == (200, None)
    assert await status(get, app, address="10.0.0.7") == (401, "Bearer")
    assert await status(get, app, address="127.0.0.1", **right) == (403, None)


async def test_the_path_is_somebodys_choice(wsframe_client: Any, watched: Any, get: Any) -> None:
    app = watched(path="/internal/metrics")
    await wsframe_client(app)
    assert (await get(app, "/internal/metrics")).status == 200
    assert (await get(app, "/metrics")).status == 404


async def test_there_may_be_no_path_at_all(wsframe_client: Any, watched: Any, get: Any) -> None:
    app = watched(path="")
    await wsframe_client(app)
    assert (await get(app, "/metrics")).status == 404


@pytest.mark.parametrize(
    ("text", "problem"), [(None, "No such file"), ("short", "at least 16"), ("ä" * 20, "ASCII")]
)
async def test_a_token_that_cannot_be_read_stops_the_start(
    wsframe_client: Any, watched: Any, tmp_path: Path, text: str | None, problem: str
) -> None:
    file = tmp_path / "token"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(PluginError, match=problem):
        await wsframe_client(watched(token_file=str(file)))
