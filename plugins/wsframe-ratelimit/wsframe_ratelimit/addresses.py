"""Which address a request counts for."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from wsframe import Request

from .config import Config, Network

Address = IPv4Address | IPv6Address


class Addresses:
    """Finds out whom a request comes from, behind proxies too."""

    def __init__(self, config: Config) -> None:
        self._exempt = config.networks("exempt_addresses")
        self._proxies = config.networks("trusted_proxies")

    def key(self, request: Request) -> str | None:
        """What a request is counted under; None: there is no limit for its address.

        Whoever has one IPv6 address has the 2^64 of its network, so that is what counts.
        """
        text = request.address
        address = _parse(text)
        if address is None:
            return text or None  # a Unix socket has no address; a test client has a name
        if _is_in(address, self._proxies):
            address = self._behind(address, request)
        if _is_in(address, self._exempt):
            return None
        if isinstance(address, IPv6Address):
            return f"{IPv6Address(int(address) >> 64 << 64)}/64"
        return str(address)

    def _behind(self, address: Address, request: Request) -> Address:
        """The nearest address that is no trusted proxy: each of those adds one on the right."""
        for entry in reversed(",".join(request.headers_all("x-forwarded-for")).split(",")):
            named = _parse(entry.strip())
            if named is None:
                break
            address = named
            if not _is_in(address, self._proxies):
                break
        return address


def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
