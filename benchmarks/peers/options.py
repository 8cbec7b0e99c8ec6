"""The command line every Python peer has: ``--host`` and ``--port``."""

from __future__ import annotations

import argparse


def address(description: str | None) -> tuple[str, int]:
    """The host and port asked for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001)
    options = parser.parse_args()
    return options.host, options.port
