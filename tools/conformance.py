"""Runs the Autobahn test suite (RFC 6455 and RFC 7692, 517 cases) against wsframe.

The suite is a tool from outside: it needs Python 2.7, which nothing else here does, so it is
installed into ``build/autobahn`` and left out of the product. Where no Python 2.7 is found the run
is skipped, and says so.

    python tools/conformance.py                      every subject
    python tools/conformance.py --only server-asyncio --cases '1.*' --cases '5.*'
    python tools/conformance.py --only websockets    checks the runner itself on a known good peer

Exit code: 0 when no case failed or the run was skipped, 1 when one failed, 2 when it could not run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from wsframe.testing.faults import free_port

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
SUITE = BUILD / "autobahn"
REPORTS = BUILD / "conformance"

REQUIREMENTS = ("autobahntestsuite==25.10.1", "autobahn==0.10.9", "Twisted==19.10.0")
RUN_WSTEST = """
import site, sys
site.addsitedir(sys.argv.pop(1))
from autobahntestsuite import case, wstest
for compressed in case.Case12_X_X + case.Case13_X_X:
    compressed.COUNT = int(sys.argv[1])
del sys.argv[1]
wstest.run()
"""

ALL_CASES = ("*",)
GOOD_BEHAVIOUR = frozenset({"OK", "NON-STRICT", "INFORMATIONAL"})
GOOD_CLOSE = frozenset({"OK", "INFORMATIONAL"})
MOST_PRINTED = 20
CASES_AT_A_TIME = 20
CLIENT_TIMEOUT_S = 1_800
MESSAGES = 100
LARGEST_MESSAGE = 16 * 1024 * 1024
"""Bytes of the largest message in the suite (cases 9.*)."""


class Subject(NamedTuple):
    """Something the suite is run against."""

    name: str
    is_client: bool
    command: tuple[str, ...]
    """Follows the interpreter; a server is given ``--port``, a client its URL, at the end."""


ECHO = (
    *("-m", "wsframe.testing.echo", "--deflate", "--max-message-bytes", str(LARGEST_MESSAGE)),
    *("--heartbeat-interval-s", "0"),  # the suite is busy for a minute with 16 MiB, and silent
)
ECHO_CLIENT = ("-m", "wsframe.testing.echo_client", "--deflate")
SUBJECTS = (
    Subject("server-asyncio", False, (*ECHO, "--transport", "asyncio")),
    Subject(
        "server-asyncio-no-hot-path", False, (*ECHO, "--transport", "asyncio", "--no-hot-path")
    ),
    Subject("server-anyio", False, (*ECHO, "--transport", "anyio")),
    Subject("server-anyio-no-hot-path", False, (*ECHO, "--transport", "anyio", "--no-hot-path")),
    Subject("server-anyio-trio", False, (*ECHO, "--transport", "anyio", "--backend", "trio")),
    Subject("client", True, ECHO_CLIENT),
    Subject("client-no-hot-path", True, (*ECHO_CLIENT, "--no-hot-path")),
)
PEERS = (Subject("websockets", False, ("-m", "benchmarks.peers.websockets_server")),)


class Skipped(Exception):
    """The suite cannot run here; the message says why."""


class Failed(Exception):
    """The run itself went wrong, not a case."""


class Case(NamedTuple):
    """What the suite found for one case."""

    number: str
    behaviour: str
    close: str

    @property
    def passed(self) -> bool:
        """Both the behaviour and the closing were as the suite wants them."""
        return self.behaviour in GOOD_BEHAVIOUR and self.close in GOOD_CLOSE


def find_python2() -> str:
    """The path of a Python 2.7: ``PYTHON27``, the search path, or one made by pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [
        os.environ.get("PYTHON27"),
        *(str(path) for path in sorted(pyenv.glob("2.7*/bin/python"))),
        shutil.which("python2.7"),
        shutil.which("python2"),
    ]
    probe = "import sys; sys.exit(sys.version_info[:2] != (2, 7))"
    for candidate in filter(None, candidates):
        with contextlib.suppress(OSError):
            if not subprocess.run(
                (candidate, "-c", probe), capture_output=True, check=False
            ).returncode:
                return candidate
    raise Skipped("no Python 2.7 found, which the Autobahn test suite needs (set PYTHON27)")


def install_suite(python2: str) -> None:
    """Installs the suite into ``build/autobahn``, once."""
    mark = SUITE / "installed"
    if mark.exists() and mark.read_text() == "\n".join(REQUIREMENTS):
        return
    print("installing the Autobahn test suite into build/autobahn …", flush=True)
    shutil.rmtree(SUITE, ignore_errors=True)
    command = (python2, "-m", "pip", "install", "--quiet", "--target", str(SUITE), *REQUIREMENTS)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Skipped(f"the Autobahn test suite could not be installed: {reason}")
    mark.write_text("\n".join(REQUIREMENTS))


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Returns once ``port`` accepts; raises Failed when the process ends or 20 s pass before."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failed(f"ended with exit code {process.returncode}:\n{log.read_text()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise Failed(f"nothing listens on port {port} after 20 s")


@contextlib.contextmanager
def running(command: Sequence[str], port: int, log: Path) -> Iterator[None]:
    """Runs ``command`` until the block ends; ready once ``port`` accepts."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT)
        try:
            wait_for_port(port, process, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wstest(
    python2: str, mode: str, spec: Mapping[str, Any], folder: Path, messages: int
) -> tuple[str, ...]:
    """The command that runs the suite in ``mode``, its specification written to ``folder``."""
    path = folder / f"{mode}.json"
    path.write_text(json.dumps(spec, indent=2))
    suite = (python2, "-c", RUN_WSTEST, str(SUITE), str(messages))
    return (*suite, "-m", mode, "-s", str(path), "-u", "0")


def against_server(
    python2: str, subject: Subject, cases: Sequence[str], folder: Path, messages: int
) -> None:
    """The suite as the client of one server."""
    port = free_port()
    spec = {
        "outdir": str(folder),
        "servers": [{"agent": subject.name, "url": f"ws://127.0.0.1:{port}/"}],
        "cases": list(cases),
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    command = (sys.executable, *subject.command, "--host", "127.0.0.1", "--port", str(port))
    suite = wstest(python2, "fuzzingclient", spec, folder, messages)
    log = folder / "suite.log"
    with running(command, port, folder / "subject.log"), log.open("wb") as output:
        done = subprocess.run(
            suite, stdout=output, stderr=subprocess.STDOUT, timeout=3600, check=False
        )
    if done.returncode:
        raise Failed(f"the suite ended with exit code {done.returncode}; see {folder}/suite.log")


def against_client(
    python2: str, subject: Subject, cases: Sequence[str], folder: Path, messages: int
) -> None:
    """The suite as the server; a client goes through some cases and is started anew."""
    port = free_port()
    url = f"ws://127.0.0.1:{port}"
    spec = {
        "url": url,
        "outdir": str(folder),
        "cases": list(cases),
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    suite = wstest(python2, "fuzzingserver", spec, folder, messages)
    with running(suite, port, folder / "suite.log"):
        with connect(f"{url}/getCaseCount") as count:
            total = int(count.recv())
        targets = [
            f"{url}/runCase?case={number}&agent={subject.name}" for number in range(1, total + 1)
        ]
        with (folder / "subject.log").open("ab") as output:
            for first in range(0, total, CASES_AT_A_TIME):
                some = targets[first : first + CASES_AT_A_TIME]
                with contextlib.suppress(subprocess.TimeoutExpired):  # the suite reports the cases
                    subprocess.run(
                        (sys.executable, *subject.command, *some),
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        timeout=CLIENT_TIMEOUT_S,
                        check=False,
                        cwd=ROOT,
                    )
        with (
            connect(f"{url}/updateReports?agent={subject.name}") as update,
            contextlib.suppress(ConnectionClosed),  # by the suite, once it has written
        ):
            update.recv()


def read_report(folder: Path, agent: str) -> list[Case]:
    """What the suite wrote about ``agent`` into ``folder``, in the order of the cases."""
    index = folder / "index.json"
    if not index.exists():
        raise Failed(f"the suite wrote no report into {folder}")
    results = json.loads(index.read_text()).get(agent, {})
    cases = [Case(number, r["behavior"], r["behaviorClose"]) for number, r in results.items()]
    if not cases:
        raise Failed(f"the suite ran no case; see {folder}/subject.log")
    return sorted(cases, key=lambda case: [int(part) for part in case.number.split(".")])


def run_subject(python2: str, subject: Subject, cases: Sequence[str], messages: int) -> bool:
    """Runs the cases against one subject, prints what was found; False when a case failed."""
    folder = REPORTS / subject.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    started = time.monotonic()
    (against_client if subject.is_client else against_server)(
        python2, subject, cases, folder, messages
    )
    found = read_report(folder, subject.name)
    kinds = Counter(case.behaviour for case in found)
    failed = [case for case in found if not case.passed]
    summary = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    took = time.monotonic() - started
    print(f"{subject.name:28} {len(found)} cases: {summary}; {len(failed)} failed ({took:.0f} s)")
    for case in failed[:MOST_PRINTED]:
        print(f"    {case.number}: behaviour {case.behaviour}, close {case.close}")
    if len(failed) > MOST_PRINTED:
        print(f"    … and {len(failed) - MOST_PRINTED} more")
    if failed:
        print(f"    details: {folder}/index.html")
    sys.stdout.flush()
    return not failed


def main() -> int:
    """Runs the chosen subjects; the exit code stands at the top of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = [subject.name for subject in (*SUBJECTS, *PEERS)]
    parser.add_argument("--only", action="append", choices=names, help="a subject; repeatable")
    parser.add_argument("--cases", action="append", help="a pattern such as 7.*; repeatable")
    parser.add_argument(
        "--messages",
        type=int,
        default=MESSAGES,
        help=f"echoed in each of the 216 compression cases ({MESSAGES}; the suite's own is 1000)",
    )
    options = parser.parse_args()
    try:
        python2 = find_python2()
        install_suite(python2)
    except Skipped as reason:
        print(f"conformance skipped: {reason}")
        return 0
    wanted = options.only or [subject.name for subject in SUBJECTS]
    passed = True
    for subject in (*SUBJECTS, *PEERS):
        if subject.name not in wanted:
            continue
        try:
            passed &= run_subject(python2, subject, options.cases or ALL_CASES, options.messages)
        except Failed as problem:
            print(f"{subject.name}: {problem}", file=sys.stderr)
            return 2
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
