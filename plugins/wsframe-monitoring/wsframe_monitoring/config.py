"""``[plugins.monitoring]``: typed, checked, and never shown with its secrets."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from .autopsy.settings import AutopsySettings

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
AccessLines = Literal["connections", "requests", "messages"]

MIN_TOKEN_LENGTH = 16
SAMPLES = 10_000
"""Kept for an alert at most."""


class Rule(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """When an alert is raised, and when it is cleared."""

    threshold: Annotated[float, msgspec.Meta(ge=0)]
    """Raised above this."""
    clear: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Cleared at or below this; None: four fifths of ``threshold``."""
    window_s: Seconds = 60.0
    """The time that is looked at."""
    min_messages: Annotated[int, msgspec.Meta(ge=1)] = 20
    """Messages that must have been answered in that time, for ``error_rate`` and
    ``response_time``."""

    def __post_init__(self) -> None:
        if self.clear is not None and self.clear > self.threshold:
            raise ValueError("clear must not be above threshold")

    @property
    def clears_at(self) -> float:
        """The value at or below which the alert is cleared."""
        return 0.8 * self.threshold if self.clear is None else self.clear


Threshold = Annotated[float, msgspec.Meta(ge=0)] | Rule | Literal["off"]
"""The threshold alone, or a table with all there is to say, or no such alert."""


class AlertSettings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """``[plugins.monitoring.alerts]``: each a number, or a table, or ``"off"``."""

    error_rate: Threshold = 0.1
    """Share of answers that are no replies: failed, timed out, interrupted."""
    response_time: Threshold = 5.0
    """Mean time from the start of a handler to its answer, in seconds."""
    connection_count: Threshold | None = None
    """Open connections, on average; None: nine tenths of ``max_connections``."""
    loop_lag: Threshold = 0.5
    """The longest time that the event loop was late, in seconds."""
    outbox_pressure: Threshold = 0.2
    """Share of the sessions whose outbox is half full of what their clients do not read, on
    average."""


class Config(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """``[plugins.monitoring]``."""

    path: str = "/metrics"
    """Where Prometheus asks; empty: nowhere."""
    allow: tuple[str, ...] | None = None
    """Addresses and networks that may ask. None: this machine only, or anybody if there is a
    token."""
    token: str | None = None
    """What must be sent as ``Authorization: Bearer``."""
    token_file: str | None = None
    """A file with the token; read at the start."""
    max_types: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100
    """Message types, and error codes, that have numbers of their own; all others share theirs."""
    buckets_s: tuple[float, ...] = (
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    )  # fmt: skip
    """Upper bounds of the latency histograms, in seconds."""
    process: bool = True
    """Tell of the process too: CPU, memory, file descriptors, garbage collection."""
    hooks: bool = True
    """Time the hooks of plugins; of those on the path of every message one call in sixteen."""

    alerts: AlertSettings = AlertSettings()
    """What is an alert."""
    interval_s: Annotated[float, msgspec.Meta(ge=0.1, le=60)] = 5.0
    """How often is looked whether there is one."""
    webhook_url: str | None = None
    """Where alerts are sent to, as JSON: ``https``, or ``http`` on this machine."""
    webhook_url_file: str | None = None
    """A file with that address, for those that are secrets; read at the start."""
    webhook_token: str | None = None
    """Sent along as ``Authorization: Bearer``."""
    webhook_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 5.0
    """How long one attempt may take."""
    webhook_attempts: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3
    """How often it is tried."""

    access_log: tuple[AccessLines, ...] = ()
    """What there is a line for."""
    access_log_file: str | None = None
    """Where to; None: wsframe's own log, as logger ``wsframe.access``."""
    access_log_format: Literal["text", "json"] = "text"
    """How a line in that file looks."""
    access_log_max_bytes: Annotated[int, msgspec.Meta(ge=1_024)] = 10_485_760
    """The file is rotated when it would grow larger."""
    access_log_backups: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 5
    """Rotated files that are kept."""

    autopsy: AutopsySettings = AutopsySettings()
    """What is recorded of messages, for ``wsframe trace``."""

    def __post_init__(self) -> None:
        if self.path and (not self.path.startswith("/") or "*" in self.path):
            raise ValueError("path must start with '/', or be empty")
        for entry in self.allow or ():
            try:
                ipaddress.ip_network(entry)
            except ValueError as error:
                raise ValueError(f"allow: {error}") from None
        if self.token is not None and self.token_file is not None:
            raise ValueError("token and token_file: give one of them")
        if self.token is not None:
            check_token(self.token)
        if self.autopsy.token is not None:
            check_token(self.autopsy.token)
        if list(self.buckets_s) != sorted(set(self.buckets_s)) or not self.buckets_s:
            raise ValueError("buckets_s must be numbers that rise")
        if self.webhook_url is not None and self.webhook_url_file is not None:
            raise ValueError("webhook_url and webhook_url_file: give one of them")
        if self.webhook_url is not None:
            check_webhook(self.webhook_url)
        for rule in msgspec.structs.astuple(self.alerts):
            if isinstance(rule, Rule) and rule.window_s > SAMPLES * self.interval_s:
                raise ValueError(f"window_s is more than {SAMPLES} times interval_s")

    def __repr__(self) -> str:
        return f"<Config path={self.path!r} access_log={self.access_log!r}>"


def check_token(token: str) -> None:
    """See that a token is worth its name.

    Raises:
        ValueError: it is too short, or cannot stand in a header.
    """
    if len(token) < MIN_TOKEN_LENGTH or not token.isascii() or not token.isprintable():
        raise ValueError(f"token must be at least {MIN_TOKEN_LENGTH} printable ASCII characters")


def check_webhook(url: str) -> None:
    """See that alerts may be sent there; the address is not repeated, it may be a secret.

    Raises:
        ValueError: it is neither ``https`` nor on this machine.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise ValueError("webhook_url must be https://host/path")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("webhook_url must be https, or on this machine")


def is_loopback(host: str) -> bool:
    """Is it this machine?"""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
