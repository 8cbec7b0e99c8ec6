"""``[plugins.monitoring.autopsy]``."""

from __future__ import annotations

from typing import Annotated

import msgspec


class AutopsySettings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """``[plugins.monitoring.autopsy]``."""

    one_in: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    """The messages of one session in so many are recorded; 1: all, 0: none."""
    max_messages: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 10_000
    """So many messages are remembered; the oldest go first."""
    max_bytes: Annotated[int, msgspec.Meta(ge=10_000)] = 16_777_216
    """So much memory they may take."""
    path: str = "/trace"
    """Where ``wsframe trace`` asks; empty: nowhere."""
    token: str | None = None
    """What must be sent as ``Authorization: Bearer``. Without one, only this machine may ask."""
    token_file: str | None = None
    """A file with the token; read at the start."""

    def __post_init__(self) -> None:
        if self.path and (not self.path.startswith("/") or "*" in self.path):
            raise ValueError("autopsy: path must start with '/', or be empty")
        if self.token is not None and self.token_file is not None:
            raise ValueError("autopsy: token and token_file: give one of them")

    def __repr__(self) -> str:
        return f"<AutopsySettings one_in={self.one_in} path={self.path!r}>"
