"""How much memory a piece of Python takes at its peak, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import re
import sys

sys.path.insert(0, {root!r})


def peak_kib():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])


{setup}
before = peak_kib()
{attack}
print(peak_kib() - before)
"""


def peak_growth_kib(setup: str, attack: str) -> int:
    """KiB by which ``attack`` raises the peak of resident memory over that after ``setup``."""
    root = str(Path(__file__).parents[2])
    program = _PROGRAM.format(root=root, setup=setup, attack=attack)
    result = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return int(result.stdout)
