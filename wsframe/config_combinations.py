"""Settings that are right alone and impossible together, or whose rule is more than a range."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from wsframe.config import Config
from wsframe.config_fields import debug_subjects
from wsframe.config_origins import Given, refuse
from wsframe.errors import ConfigError

_LONGEST_SOCKET_PATH = 103
"""Bytes of ``sun_path`` on the strictest systems, without the final NUL."""


def check_combinations(
    config: Config, given: Mapping[str, tuple[Given, ...]]
) -> Iterator[ConfigError]:
    """Every rule that ``config`` breaks. ``given`` says who set what, for the messages."""

    def blame(key: str) -> Given:
        return given[key][-1]

    if "path" in given and not re.fullmatch(r"/[^\s?#\x00-\x20\x7f]*", config.path):
        yield refuse(
            blame("path"), "must start with / and hold no space, ? or #", hint='For example "/ws".'
        )
    if config.tls_key_file is not None and config.tls_certificate_file is None:
        yield refuse(
            blame("tls_key_file"),
            "a key needs a certificate",
            hint="Set tls_certificate_file (--tls-certificate) too.",
        )
    if config.backend == "trio" and config.transport == "asyncio":
        yield refuse(
            blame("backend"),
            "the asyncio transport cannot run on trio",
            hint='Set transport = "anyio" (--transport anyio) too.',
        )
    yield from _check_address(config, given)
    if "debug" in given:
        try:
            debug_subjects(config.debug)
        except ValueError as error:
            yield refuse(blame("debug"), str(error))
    for name in sorted(set(config.plugins.disable) & set(config.plugins.only or ())):
        yield refuse(
            blame("plugins.disable"),
            f"plugin {name} is in plugins.only too",
            hint="Keep one of the two.",
        )


def _check_address(config: Config, given: Mapping[str, tuple[Given, ...]]) -> Iterator[ConfigError]:
    if config.unix_socket is None:
        return
    socket = given["unix_socket"][-1]
    if not config.unix_socket or "\x00" in config.unix_socket:
        yield refuse(socket, "must be the path of a socket")
    elif len(config.unix_socket.encode()) > _LONGEST_SOCKET_PATH:
        yield refuse(socket, f"is longer than {_LONGEST_SOCKET_PATH} bytes, what systems allow")
    for key in ("host", "port"):
        if key in given and given[key][-1].origin.rank >= socket.origin.rank:
            other = given[key][-1]
            yield refuse(
                other,
                f"excludes unix_socket, which {socket.origin.where} sets",
                hint="Listen on an address or on a Unix socket; "
                "a stronger source switches the socket off with none.",
            )
