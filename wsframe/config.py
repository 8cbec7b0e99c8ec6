"""The settings of one application.

One flat, typed struct; names carry their unit, types their range. Where the values come from (file,
environment, command line, keyword arguments), and how they are checked, is
:mod:`wsframe.config_sources`: a ``Config`` built directly is not checked. The comments here are the
sections, and the docstrings the text, of ``docs/reference/configuration.md``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Size: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Duration: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=31_536_000)]
"""Seconds, up to a year; 0 has the meaning its setting gives it."""
Deadline: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=31_536_000)]
"""Seconds, up to a year; 0 would make the thing impossible."""


class PluginSettings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which plugins are active, and their own settings."""

    disable: tuple[str, ...] = ()
    """Names of installed plugins that stay inactive."""
    only: tuple[str, ...] | None = None
    """None: every installed plugin is active; otherwise only these."""
    dirs: tuple[str, ...] = ()
    """Folders whose ``*.py`` files are plugins."""
    settings: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    """What stands under ``[plugins.<name>]``, by plugin name."""


class Config(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Every setting wsframe itself has, with its default."""

    # Where it listens
    host: str = "127.0.0.1"
    """Address to listen on; ``0.0.0.0`` or ``::`` for every interface."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 3001
    """TCP port, 0-65535; 0 takes a free one."""
    unix_socket: str | None = None
    """Path of a Unix socket to listen on instead of host and port."""
    path: str = "/ws"
    """URL path of the WebSocket endpoint."""
    tls_certificate_file: str | None = None
    """PEM file with the certificate chain; with it, the server speaks TLS."""
    tls_key_file: str | None = None
    """PEM file with the private key; None: it is in the certificate file."""
    transport: Literal["asyncio", "anyio"] = "asyncio"
    """``asyncio``: the fast transport (asyncio, uvloop); ``anyio``: any stream, trio too."""
    backend: Literal["auto", "asyncio", "uvloop", "trio"] = "auto"
    """The event loop; ``auto``: uvloop where it is installed, asyncio otherwise."""
    backlog: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 2048
    """Connections the kernel keeps waiting for accept."""

    # Limits on connections
    max_connections: Count = 10_000
    """Live connections in all; one more is answered 503 with Retry-After."""
    max_connections_per_address: Count | None = None
    """Live connections from one address; one more is answered 429. None: no limit."""
    handshake_timeout_s: Deadline = 10.0
    """From accept to the complete upgrade request; later: 408. Also what middleware and plugins may
    take to open a connection; longer: 1013."""
    max_header_bytes: Annotated[int, msgspec.Meta(ge=256)] = 16_384
    """Request line and headers together; more: 431 (414 for a long target)."""
    close_timeout_s: Deadline = 5.0
    """From our close frame to the end of the TCP connection."""

    # Limits on messages
    max_message_bytes: Count = 2_097_152
    """One message, before and after inflation; more: close 1009."""
    max_fragments: Count = 65_536
    """Frames of one fragmented message, at least 1; more: close 1009."""
    max_in_flight: Count = 64
    """Unanswered messages of a session; one more is answered ``too_many_in_flight``."""
    message_timeout_s: Deadline | None = 30.0
    """Running time of a handler that names no ``timeout_s``; None: no limit."""
    max_retries: Size = 0
    """How often a handler is run again after an error marked retryable."""

    # Sessions
    store: str = "memory:"
    """Where sessions are kept: ``memory:``, ``sqlite:///chat.db``, or a URL that a plugin knows."""
    durability: Literal["batched", "strict"] = "batched"
    """``batched``: an answer may leave before it is stored; ``strict``: it leaves afterwards."""
    resume_window_s: Duration = 120.0
    """How long a session without a connection may be resumed; 0 ends it with its connection."""
    max_detached_sessions: Count = 10_000
    """Sessions without a connection that are kept; one more ends the oldest."""
    outbox_messages: Count = 1_000
    """Messages kept for a session that are not acknowledged, or not yet written."""
    outbox_bytes: Count = 4_194_304
    """The same in bytes of encoded frames."""
    ledger_messages: Count = 256
    """Answered message ids a session remembers."""
    ledger_bytes: Size = 1_048_576
    """Bytes of stored answers a session remembers."""
    max_rooms_per_session: Count = 100
    """Rooms one session may be in."""

    # Heartbeat
    heartbeat_interval_s: Duration = 30.0
    """A peer that was silent for so long is pinged; 0 switches the heartbeat off."""
    heartbeat_timeout_s: Deadline = 10.0
    """A pinged peer that stays silent for so long is dropped with 4408."""
    max_control_frames_per_s: Count = 1_000
    """Pings, pongs and empty fragments of one connection in a second; more: close 1008."""

    # Compression (RFC 7692)
    compression: bool = True
    """Accept permessage-deflate when a client offers it."""
    compression_min_bytes: Size = 1_024
    """Smaller messages are sent uncompressed."""
    compression_level: Annotated[int, msgspec.Meta(ge=0, le=9)] = 1
    """zlib level, 0-9."""
    compression_memory_level: Annotated[int, msgspec.Meta(ge=1, le=9)] = 8
    """zlib memory level, 1-9; memory per compressor is about 2^(level+9) bytes."""
    compression_window_bits: Annotated[int, msgspec.Meta(ge=9, le=15)] = 15
    """Largest window accepted and used, 9-15."""
    compression_context_takeover: bool = False
    """Let clients keep their window between messages: smaller messages, 32 KiB a connection."""

    # Stopping
    drain_timeout_s: Duration = 10.0
    """How long running handlers may go on after SIGTERM."""
    reconnect_after_ms: Size = 1_000
    """What clients are told at a restart; each gets a random share of it added."""

    # Logging
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    """Least severity that is logged."""
    log_format: Literal["text", "json"] = "text"
    """One line a record, for people or for machines."""
    log_file: str | None = None
    """Path of a log file, e.g. ``logs/websocket.log``; None: standard error only."""
    log_file_max_bytes: Annotated[int, msgspec.Meta(ge=1_024)] = 10_485_760
    """A log file that would grow over this is rotated."""
    log_file_backups: Count = 5
    """Rotated log files that are kept."""
    debug: str = ""
    """Subjects to trace, with commas: ``*``, ``protocol``, ``messages``, ``hooks``, ``server``."""

    plugins: PluginSettings = msgspec.field(default_factory=PluginSettings)
