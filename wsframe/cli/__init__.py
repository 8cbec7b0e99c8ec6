"""The command line: ``wsframe run``, ``demo``, ``plugins``, ``install``, ``config`` and others.

Nothing heavy is imported before it is known which command runs: a command line that takes a second
to say its version is one that people stop asking.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that ``sys.argv`` names, and exit with its code."""
    if sys.argv[1:] == ["--version"]:
        from wsframe.version import __version__

        sys.stdout.write(f"wsframe {__version__}\n")
        return
    from wsframe.cli.root import cli

    cli.main(prog_name="wsframe")
