"""Which addresses are public: the ones a worker may fetch from on a stranger's word."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

# What `ipaddress` of some supported Python calls global (they differ from 3.11 to 3.13), or what is reached by public
# numbers and is none the less private: https://www.iana.org/assignments/iana-ipv4-special-registry, its IPv6 twin,
# and Azure's channel to its own machines
# (https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16).
_NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "168.63.129.16/32",
        "64:ff9b:1::/48",
        "2001::/23",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
)

# IPv4 behind a translator (RFC 6052): the last 32 bits are the address that is really reached.
_NAT64 = ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet.

    An IPv6 address that only wraps an IPv4 one (mapped, 6to4, NAT64) counts as what it wraps; Teredo never is public.

    Args:
        address: an IPv4 or IPv6 address as text; one with a zone (`fe80::1%eth0`) is of a network of this machine.

    Returns:
        False for loopback, private, link-local (cloud metadata among them), shared, multicast, reserved and
        unspecified addresses, and for what is no address.
    """
    try:
        found = _innermost(ip_address(address))
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.scope_id is not None:
        return False
    if any(found in network for network in _NOT_PUBLIC):
        return False
    special = (
        found.is_private
        or found.is_loopback
        or found.is_link_local
        or found.is_multicast
        or found.is_reserved
        or found.is_unspecified
    )
    return found.is_global and not special


def _innermost(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
