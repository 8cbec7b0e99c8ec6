"""The pytest plugin, in projects of their own: who runs a test, on what, and by which clock."""

from __future__ import annotations

import pytest

from tests.testing.conftest import RunPytest

pytestmark = pytest.mark.slow

APP = """
import anyio
import pytest
import sniffio
from wsframe import App

app = App()

@app.handler("where")
async def where(message, connection):
    return sniffio.current_async_library()

@app.handler("slow", timeout_s=1000)
async def slow(message, connection):
    await anyio.sleep(500)
"""


def test_a_test_needs_no_marker_and_no_other_plugin(run_pytest: RunPytest) -> None:
    done = run_pytest(
        APP
        + """
async def test_it(wsframe_client):
    client = await wsframe_client(app)
    assert (await client.request("where")).content == "asyncio"
    await client.request("slow", timeout_s=1000)

class TestInAClass:
    async def test_method(self, wsframe_client):
        client = await wsframe_client(app)
        assert (await client.request("where")).content == "asyncio"

    @pytest.mark.parametrize("text", ["a", "b"])
    async def test_with_parameters(self, text, wsframe_client):
        assert text in "ab"
        await wsframe_client(app)
""",
        "-p",
        "no:anyio",
    )
    assert "4 passed" in done.stdout, done.stdout


def test_the_marker_chooses_the_backend(run_pytest: RunPytest) -> None:
    done = run_pytest(
        APP
        + """
@pytest.mark.wsframe(backend="trio")
async def test_it(wsframe_client):
    client = await wsframe_client(app)
    assert (await client.request("where")).content == "trio"
    await client.request("slow", timeout_s=1000)
""",
        "--strict-markers",
    )
    assert "1 passed" in done.stdout, done.stdout


def test_the_setting_chooses_the_backend_where_no_marker_does(run_pytest: RunPytest) -> None:
    done = run_pytest(
        APP
        + """
async def test_setting(wsframe_client):
    client = await wsframe_client(app)
    assert (await client.request("where")).content == "trio"

@pytest.mark.wsframe(backend="asyncio")
async def test_marker(wsframe_client):
    client = await wsframe_client(app)
    assert (await client.request("where")).content == "asyncio"
""",
        "--strict-config",
        ini="wsframe_backend = trio",
    )
    assert "2 passed" in done.stdout, done.stdout


def test_there_is_no_third_backend(run_pytest: RunPytest) -> None:
    done = run_pytest(
        APP
        + """
@pytest.mark.wsframe(backend="twisted")
async def test_it(wsframe_client):
    await wsframe_client(app)
"""
    )
    assert "wsframe's backend is 'asyncio' or 'trio', not 'twisted'" in done.stdout
    assert "passed" not in done.stdout


def test_a_test_marked_anyio_is_run_by_anyio(run_pytest: RunPytest) -> None:
    done = run_pytest(
        APP
        + """
@pytest.fixture
async def client(wsframe_client, anyio_backend):
    return await wsframe_client(app)

@pytest.mark.anyio
async def test_it(client, anyio_backend_name):
    assert (await client.request("where")).content == anyio_backend_name

@pytest.mark.anyio
async def test_directly(wsframe_client, anyio_backend_name):
    client = await wsframe_client(app)
    assert (await client.request("where")).content == anyio_backend_name
"""
    )
    assert "4 passed" in done.stdout, done.stdout


def test_anyio_can_be_given_virtual_time(run_pytest: RunPytest) -> None:
    done = run_pytest(
        APP
        + """
from wsframe.testing import virtual_time

@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param, virtual_time(request.param)

@pytest.fixture
async def client(wsframe_client, anyio_backend):
    return await wsframe_client(app)

@pytest.mark.anyio
async def test_it(client):
    await client.request("slow", timeout_s=1000)
"""
    )
    assert "2 passed" in done.stdout, done.stdout


def test_in_the_auto_mode_of_anyio_time_is_virtual_on_each_backend(run_pytest: RunPytest) -> None:
    done = run_pytest(
        APP
        + """
async def test_it(wsframe_client, anyio_backend_name):
    client = await wsframe_client(app)
    assert (await client.request("where")).content == anyio_backend_name
    await client.request("slow", timeout_s=1000)

@pytest.fixture
async def number():
    return 7

async def test_with_a_fixture_that_anyio_runs(wsframe_client, number):
    client = await wsframe_client(app)
    assert number == 7
    await client.request("where")
""",
        ini="anyio_mode = auto",
    )
    assert "4 passed" in done.stdout, done.stdout


def test_a_test_made_synchronous_by_another_plugin_is_left_to_it(run_pytest: RunPytest) -> None:
    done = run_pytest(
        APP
        + """
import asyncio

def elsewhere(test):
    def run(wsframe_client):
        asyncio.run(test(wsframe_client))
    return run

@elsewhere
async def test_it(wsframe_client):
    try:
        client = await wsframe_client(app)
        assert (await client.request("where")).content == "asyncio"
    finally:
        await wsframe_client.aclose()
"""
    )
    assert "1 passed" in done.stdout, done.stdout


def test_async_tests_without_the_fixture_are_nobodys(run_pytest: RunPytest) -> None:
    done = run_pytest(
        """
        async def test_it():
            pass
        """,
        "-W",
        "default",
    )
    assert "1 passed" not in done.stdout


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_failing_test_fails_with_its_own_error_and_leaves_nothing_behind(
    run_pytest: RunPytest, backend: str
) -> None:
    done = run_pytest(
        APP
        + """
async def test_fails(wsframe_client):
    client = await wsframe_client(app)
    client.send("slow")
    await client.advance()
    assert 1 == 2

async def test_passes(wsframe_client):
    assert app.runtime is None
    client = await wsframe_client(app)
    await client.request("where")
""",
        ini=f"wsframe_backend = {backend}",
    )
    assert "E       assert 1 == 2" in done.stdout, done.stdout
    assert "ExceptionGroup" not in done.stdout
    assert "1 failed, 1 passed" in done.stdout


def test_the_plugin_costs_nothing_where_it_is_not_used(run_pytest: RunPytest) -> None:
    done = run_pytest(
        """
        import sys

        def test_it():
            assert "wsframe.testing.plugin" in sys.modules
            assert "wsframe.server" not in sys.modules
            assert "wsframe.testing.client" not in sys.modules
        """
    )
    assert "1 passed" in done.stdout, done.stdout
