"""Which network addresses belong to everybody, and which to somebody's own network."""

from __future__ import annotations

import ipaddress

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_TEREDO = ipaddress.ip_network("2001::/32")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


def is_public(address: str) -> bool:
    """Whether an address can be called without reaching into this machine's own network.

    An IPv6 address that carries an IPv4 one (mapped, 6to4, NAT64, Teredo) leads to that one, and is judged by it as
    well. Not public are loopback, private, link-local (the metadata services of clouds), shared (CGNAT), multicast
    and reserved addresses: the registries of https://www.iana.org/assignments/iana-ipv4-special-registry and
    https://www.iana.org/assignments/iana-ipv6-special-registry, as Python knows them.

    Args:
        address: an IPv4 or IPv6 address; what is none is not public.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved
    if parsed.scope_id is not None:
        return False
    if (carried := _carried(parsed)) is not None:
        return is_public(str(carried))
    # Python counts some old kinds as global (site-local, IPv4-compatible); none of them is within 2000::/3.
    return parsed in _GLOBAL_UNICAST and parsed.is_global


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _TEREDO:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF ^ 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
