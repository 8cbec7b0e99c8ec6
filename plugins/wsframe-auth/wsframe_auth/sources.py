"""Where keys come from: the configuration, a file, or a JSON Web Key Set somewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import anyio.to_thread

from wsframe import PluginError

from .config import Config, KeySource
from .errors import InvalidToken
from .jwks import JwksKeys, check_url
from .keys import Key, check_algorithms, public_key, secret_key

log = logging.getLogger("wsframe.plugins.auth")

_HINT = (
    "Set secret, secret_file, public_key, public_key_file or jwks_url under [plugins.auth], and "
    "algorithms; or start without it: -p no:auth"
)


class Keys(Protocol):
    """The keys of one issuer."""

    changes: bool
    """May they change? Then :meth:`refresh` is to be called now and then."""

    async def find(self, kid: str | None, algorithm: str) -> Key:
        """The key that a token names.

        Raises:
            InvalidToken: there is none.
            KeysUnavailable: nobody knows at the moment.
        """

    async def refresh(self) -> None:
        """Look for new ones."""


class GivenKeys:
    """The one key that the configuration has."""

    changes = False

    def __init__(self, key: Key) -> None:
        self._key = key

    async def find(self, _kid: str | None, algorithm: str) -> Key:
        """See :class:`Keys`; a key without a name is meant by any."""
        if algorithm not in self._key.algorithms:
            raise InvalidToken("its algorithm does not count")
        return self._key

    async def refresh(self) -> None:
        """See :class:`Keys`."""


class FileKeys(GivenKeys):
    """The one key in a file, which may be replaced.

    Raises:
        OSError, ValueError: the file cannot be read, or has no key.
    """

    changes = True

    def __init__(self, path: Path, read: Callable[[bytes], Key]) -> None:
        self._path = path
        self._read = read
        self._version: Any = None
        key = self._read_again()
        assert key is not None, "it was never read before"
        super().__init__(key)

    def _read_again(self) -> Key | None:
        status = self._path.stat()
        version = (status.st_mtime_ns, status.st_size, status.st_ino)
        if version == self._version:
            return None
        key = self._read(self._path.read_bytes())
        self._version = version
        return key

    async def refresh(self) -> None:
        """Read the file again if it has changed; what is wrong with it keeps the former key."""
        try:
            key = await anyio.to_thread.run_sync(self._read_again, abandon_on_cancel=True)
        except (OSError, ValueError) as error:
            log.error("%s cannot be used, its former key stays: %s", self._path, error)
            return
        if key is not None:
            log.info("%s has changed: its new key counts from now on", self._path)
            self._key = key


class Issuer:
    """Whose tokens count, for whom, and the keys they are checked with."""

    __slots__ = ("audience", "keys", "name")

    def __init__(self, name: str | None, audience: frozenset[str], keys: Keys) -> None:
        self.name = name
        self.audience = audience
        self.keys = keys


def make_issuers(config: Config, now: Callable[[], float]) -> list[Issuer]:
    """Every issuer that the configuration names, with its keys.

    Args:
        now: a steady clock, in seconds.

    Raises:
        PluginError: a key is missing or wrong, or two issuers cannot be told apart.
    """
    sources: list[KeySource] = [config] if config.material or not config.issuers else []
    sources += config.issuers
    issuers = [_make_issuer(source, config, now) for source in sources]
    names = [issuer.name for issuer in issuers]
    if len(names) > 1 and (
        None in names or len(set(names)) < len(names) or any("|" in str(each) for each in names)
    ):
        raise PluginError(
            "auth",
            "two issuers cannot be told apart",
            hint="With more than one source of keys, each needs an issuer of its own, without '|'.",
        )
    return issuers


def _make_issuer(source: KeySource, config: Config, now: Callable[[], float]) -> Issuer:
    if len(source.material) != 1:
        problem = "there is no key to check tokens with"
        if source.material:
            problem = f"only one of {' and '.join(source.material)} can say where the key is"
        raise PluginError("auth", problem, hint=_HINT)
    try:
        check_algorithms(source.algorithms)
        keys = _make_keys(source, config, now)
    except (OSError, ValueError) as error:
        raise PluginError("auth", str(error), hint=_HINT) from None
    return Issuer(source.issuer, frozenset(source.audience), keys)


def _make_keys(source: KeySource, config: Config, now: Callable[[], float]) -> Keys:
    algorithms = source.algorithms

    def read_secret(data: bytes) -> Key:
        return secret_key(data.removesuffix(b"\n").removesuffix(b"\r"), algorithms)

    def read_public(data: bytes) -> Key:
        return public_key(data, algorithms)

    if source.secret is not None:
        return GivenKeys(secret_key(source.secret.encode(), algorithms))
    if source.secret_file is not None:
        return FileKeys(Path(source.secret_file), read_secret)
    if source.public_key is not None:
        return GivenKeys(read_public(source.public_key.encode()))
    if source.public_key_file is not None:
        return FileKeys(Path(source.public_key_file), read_public)
    assert source.jwks_url is not None, "one of them is there"
    if any(name.startswith("HS") for name in algorithms):
        raise ValueError("algorithms: HS256/384/512 need a secret, and a key set has none")
    check_url(source.jwks_url)
    return JwksKeys(source.jwks_url, algorithms, config, now)


def named_function(setting: str, name: str) -> Callable[..., Any]:
    """The function that a setting names as ``module:function``.

    Raises:
        PluginError: there is none.
    """
    module, _, path = name.partition(":")
    try:
        found: Any = import_module(module)
        for each in path.split("."):
            found = getattr(found, each)
    except (ImportError, AttributeError, ValueError) as error:
        raise PluginError(
            "auth", f"{setting}: {name}: {error}", hint="Write it as module:function."
        ) from error
    if not callable(found):
        raise PluginError("auth", f"{setting}: {name} is no function")
    return cast("Callable[..., Any]", found)
