"""The pytest plugin: the fixture ``wsframe_client``, and virtual time for the tests that use it.

``wsframe_promise`` is for ordinary test functions: it makes event loops of its own.

An ``async def`` test that uses the fixture needs no marker and no other plugin: it is run here, in
virtual time. A test that somebody else runs is left to them, and the fixture works in it as well,
by their clock: one marked ``anyio``, ``asyncio`` or ``trio``, and one whose own ``async`` fixtures
anyio runs.

pytest loads this in every project in whose environment wsframe is installed, so it imports
nothing before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial, wraps
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .connector import Connector
    from .faults.fixture import PromiseTest

OTHER_RUNNERS = ("anyio", "asyncio", "trio")
"""Markers of those who run async tests themselves."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting ``wsframe_backend`` and the option ``--wsframe-seed``."""
    parser.getgroup("wsframe").addoption(
        "--wsframe-seed",
        type=int,
        metavar="SEED",
        help="run tests that use wsframe_promise with this seed alone",
    )
    parser.addini(
        "wsframe_backend",
        "event loop of async tests that use wsframe_client: asyncio or trio",
        default="asyncio",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        'wsframe(backend="asyncio"): run the test, which uses wsframe_client, on asyncio or trio.',
    )


@pytest.fixture
def wsframe_client(request: pytest.FixtureRequest) -> Iterator[Connector]:
    """Starts applications in memory, and connects clients to them."""
    from .connector import Connector, closing

    connector = Connector()
    item: Any = request.node
    test = getattr(item, "obj", None)
    if not iscoroutinefunction(test):
        yield connector
        return
    item.obj = closing(test, connector)
    yield connector
    item.obj = test


@pytest.fixture
def wsframe_promise(request: pytest.FixtureRequest) -> PromiseTest:
    """Sees whether an application keeps the promise on a bad network."""
    from .faults.fixture import PromiseTest

    return PromiseTest(
        nodeid=request.node.nodeid,
        seed=request.config.getoption("--wsframe-seed"),
        backend=_backend_of(request.node),
    )


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Make an ordinary function of an async test that is ours to run."""
    if not _is_ours(pyfuncitem):
        return (yield)
    test = pyfuncitem.obj
    pyfuncitem.obj = _in_virtual_time(test, _backend_of(pyfuncitem))
    try:
        return (yield)
    finally:
        pyfuncitem.obj = test


def _is_ours(item: pytest.Function) -> bool:
    if "wsframe_client" not in item.fixturenames or not iscoroutinefunction(item.obj):
        return False
    if any(item.get_closest_marker(name) for name in OTHER_RUNNERS):
        return False
    return "anyio_backend" not in item.fixturenames or not _has_async_fixtures(item)


def _has_async_fixtures(item: pytest.Function) -> bool:
    """Does anyio run fixtures of this test, in an event loop that then must be the test's too?"""
    definitions = item._fixtureinfo.name2fixturedefs  # noqa: SLF001 - pytest offers no other way
    return any(
        iscoroutinefunction(found[-1].func) or isasyncgenfunction(found[-1].func)
        for name, found in definitions.items()
        if name in item.fixturenames
    )


def _backend_of(item: pytest.Function) -> str:
    """The marker's, or that for which anyio's auto mode repeats the test, or the setting's."""
    marker = item.get_closest_marker("wsframe")
    if marker is not None and "backend" in marker.kwargs:
        backend = marker.kwargs["backend"]
    elif "anyio_backend" in item.funcargs:
        backend = item.funcargs["anyio_backend"]
    else:
        backend = item.config.getini("wsframe_backend")
    name = backend if isinstance(backend, str) else backend[0]
    if name not in ("asyncio", "trio"):
        raise pytest.UsageError(
            f"{item.nodeid}: wsframe's backend is 'asyncio' or 'trio', not {name!r}"
        )
    return str(name)


def _in_virtual_time(test: Callable[..., Any], backend: str) -> Callable[..., None]:
    @wraps(test)
    def run(**arguments: Any) -> None:
        import anyio

        from .clocks import virtual_time

        anyio.run(
            partial(test, **arguments), backend=backend, backend_options=virtual_time(backend)
        )

    del run.__wrapped__  # who looks beneath would find a coroutine function
    return run
