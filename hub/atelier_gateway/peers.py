"""Who is at the other end of the line. `X-Forwarded-For` counts only as far as trusted proxies wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from atelier_gateway.headers import values

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]


def networks(texts: Iterable[str]) -> Networks:
    """Networks in CIDR notation."""
    return tuple(ip_network(text, strict=False) for text in texts)


def within(address: Address | None, allowed: Networks) -> bool:
    """Whether the address lies in one of the networks."""
    return address is not None and any(address.version == one.version and address in one for one in allowed)


@lru_cache(maxsize=4096)
def parse(text: str) -> Address | None:
    """An address as proxies write it; none if it is not one."""
    try:
        address = ip_address(text.strip().strip("[]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


class Peers:
    """Finds the visitor's address behind the proxies of `trusted` networks."""

    def __init__(self, trusted: Sequence[str]) -> None:
        known = networks(trusted)
        self._trusts = lru_cache(maxsize=4096)(lambda address: within(address, known))

    def address(self, scope: Any) -> Address | None:
        """The last one in the chain that no trusted proxy vouches for as its own."""
        client = scope.get("client")
        address = parse(client[0]) if client else None
        if not self._trusts(address):
            return address
        chain = ",".join(value.decode("latin-1") for value in values(scope["headers"], b"x-forwarded-for"))
        for text in reversed(chain.split(",")) if chain else ():
            hop = parse(text)
            if hop is None:
                return None  # whoever wrote this is not to be believed, and neither is what stands before it
            address = hop
            if not self._trusts(hop):
                return hop
        return address

    def secure(self, scope: Any) -> bool:
        """Whether the visitor came by TLS, as far as we know."""
        client = scope.get("client")
        if client and self._trusts(parse(client[0])):
            said = values(scope["headers"], b"x-forwarded-proto")
            if said:
                return said[-1].split(b",")[-1].strip().lower() in (b"https", b"wss")
        return scope.get("scheme") in ("https", "wss")
