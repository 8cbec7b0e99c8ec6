"""Opening listening sockets, and saying clearly why one cannot be opened."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ..config import Config
from ..errors import StartError

FREE_PORT_TRIES: Final = 5
"""How often another free port is tried, when the first is free on some addresses only."""
_NO_SUCH_ADDRESS: Final = frozenset(
    {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}
)


def open_sockets(config: Config) -> list[socket.socket]:
    """The sockets that ``config`` asks for, bound and listening.

    Raises:
        StartError: the address is taken, forbidden, or none of this machine's.
    """
    if config.unix_socket is not None:
        return [_open_unix(config.unix_socket, config.backlog)]
    try:
        found = socket.getaddrinfo(
            config.host or None, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise StartError(
            f"cannot listen on {config.host!r}: {getattr(error, 'strerror', None) or error}",
            hint="Use an address of this machine, like 127.0.0.1, or 0.0.0.0 for all of them.",
        ) from error
    addresses = [(each[0], each[4]) for each in dict.fromkeys(found)]
    for _ in range(FREE_PORT_TRIES - 1):
        try:
            return _open_all(addresses, config)
        except StartError as error:
            taken = isinstance(error.__cause__, OSError) and (
                error.__cause__.errno == errno.EADDRINUSE
            )
            if config.port != 0 or not taken:
                raise
    return _open_all(addresses, config)


def _open_all(
    addresses: Sequence[tuple[socket.AddressFamily, Any]], config: Config
) -> list[socket.socket]:
    """One socket for each address of a name, all on the same port.

    An address that this machine does not have, like ``::1`` where IPv6 is switched off, is left
    out if there is another one.
    """
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in addresses:
            if sockets and config.port == 0:
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            try:
                sockets.append(_open_tcp(family, address, config.backlog))
            except OSError as error:
                if error.errno not in _NO_SUCH_ADDRESS:
                    raise
                missing = error
        if not sockets and missing is not None:
            raise missing
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise _explained(error, f"{config.host}:{config.port}", config.port) from error
    return sockets


def _open_tcp(family: socket.AddressFamily, address: Any, backlog: int) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
        opened.listen(backlog)
        opened.setblocking(False)
    except BaseException:
        opened.close()
        raise
    return opened


class SocketFile:
    """The file of a Unix socket that was opened just now.

    Who may connect is decided by its mode, which the umask of the process gives it.

    Args:
        path: None: there is none.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._identity = self._found()

    def remove(self) -> None:
        """Remove it, unless another server has put its own in its place meanwhile."""
        if self._path is None or self._identity is None or self._found() != self._identity:
            return
        with contextlib.suppress(OSError):
            Path(self._path).unlink()

    def _found(self) -> tuple[int, int, int] | None:
        if self._path is None:
            return None
        try:
            status = Path(self._path).stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_mtime_ns


def _open_unix(path: str, backlog: int) -> socket.socket:
    _remove_stale(path)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened.bind(path)
        opened.listen(backlog)
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        raise _explained(error, path, None) from error
    return opened


def _remove_stale(path: str) -> None:
    """Remove a socket file that a killed server left; one that somebody answers on stays."""
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            return
    except OSError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            with contextlib.suppress(OSError):
                Path(path).unlink()
        except OSError:
            return


def _explained(error: OSError, where: str, port: int | None) -> StartError:
    if error.errno == errno.EADDRINUSE:
        hint = "Stop the program that uses it, or choose another one"
        hint += " with --port; 0 takes a free one." if port is not None else "."
        return StartError(f"cannot listen on {where}: it is in use", hint=hint)
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = "Ports below 1024 need a privilege; choose a higher one with --port."
        return StartError(
            f"cannot listen on {where}: no permission",
            hint=hint if port is not None else "Choose a folder that this user may write to.",
        )
    if error.errno in _NO_SUCH_ADDRESS:
        return StartError(
            f"cannot listen on {where}: this machine has no such address",
            hint="Use an address of this machine, like 127.0.0.1, or 0.0.0.0 for all of them.",
        )
    return StartError(f"cannot listen on {where}: {error.strerror or error}")


def make_tls(config: Config) -> ssl.SSLContext | None:
    """The TLS context of a server; None: it speaks plain TCP.

    Raises:
        StartError: the certificate or key cannot be read, or they do not belong together.
    """
    if config.tls_certificate_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # whatever the system's OpenSSL allows
    try:
        context.load_cert_chain(config.tls_certificate_file, config.tls_key_file, password=_refuse)
    except FileNotFoundError as error:
        files = config.tls_certificate_file, config.tls_key_file
        missing = next((name for name in files if name and not Path(name).exists()), files[0])
        raise StartError(
            f"TLS: there is no file {missing!r}",
            hint="Set tls_certificate_file and tls_key_file to PEM files.",
        ) from error
    except (OSError, ValueError) as error:
        raise StartError(
            f"TLS: {config.tls_certificate_file}: {error}",
            hint="Both files must be PEM, the key unencrypted and the certificate's own.",
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _refuse() -> str:
    raise ValueError("the key is encrypted")


def describe(opened: socket.socket, *, secure: bool, path: str) -> str:
    """The URL of the WebSocket endpoint behind a listening socket."""
    if opened.family == getattr(socket, "AF_UNIX", None):
        return f"unix:{opened.getsockname()}"
    host, port = opened.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    return f"{'wss' if secure else 'ws'}://{host}:{port}{path}"
