"""Connections to addresses that were checked.

Checking a name and then handing it on is not enough, since it may lead elsewhere the next time it is asked. So the
connection itself asks for the addresses, looks at all of them and connects to one of these, while TLS goes on to
check the certificate against the name.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

from engine.addresses import is_public

Public = Callable[[str, int], bool]
"""Whether an address and port may be connected to."""

Found = tuple[int, int, int, str, Any]
"""One address of a host, as `socket.getaddrinfo` gives it: family, kind, protocol, name, address."""


def public_alone(address: str, port: int) -> bool:  # noqa: ARG001 - of the form of `Public`
    """Takes addresses of the public internet alone, whatever the port."""
    return is_public(address)


class NotPublicError(Exception):
    """A host is, or may be, at an address that may not be connected to.

    No OSError, which the libraries in between would take for a network that fails, and try again.

    Args:
        host: its name.
        addresses: all that it has; for the log alone.
    """

    def __init__(self, host: str, addresses: Sequence[str]) -> None:
        self.addresses = sorted(set(addresses))
        super().__init__(f"{host} is at {', '.join(self.addresses)}")


def addresses_of(host: str, port: int) -> Sequence[Found]:
    """The addresses of a host; asks a resolver, which may take half a minute and can't be interrupted.

    Args:
        host: a name or an address, an IPv6 one with or without brackets.
        port: to connect to.

    Raises:
        OSError: the name is not known.
        UnicodeError: it can be no name.
    """
    return socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)


def check_public(host: str, port: int, found: Sequence[Found], public: Public) -> None:
    """Refuses a host unless all of its addresses may be connected to.

    One private address among public ones is how a name is made to look harmless.

    Raises:
        NotPublicError: one may not be.
    """
    addresses = [str(address[0]) for *_, address in found]
    if not all(public(address, port) for address in addresses):
        raise NotPublicError(host, addresses)


def connect_to_first(found: Sequence[Found], prepare: Callable[[socket.socket], None]) -> socket.socket:
    """A connection to the first of some addresses that answers.

    Args:
        found: the addresses; nothing else is connected to.
        prepare: given each socket before it connects, to set its timeout and options.

    Raises:
        OSError: none answers; the last failure.
    """
    failure = OSError("no address")
    for family, kind, protocol, _, address in found:
        connection = socket.socket(family, kind, protocol)
        try:
            prepare(connection)
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise failure
