"""A client that connects to public addresses alone, for endpoints that strangers name.

It leans on private names of botocore (1.43) and urllib3 (2.7), which have no public ones for it: the endpoint of a
client, its session's pool manager, and `_new_conn`. All are read before they are set, so that a release without them
fails when the client is built instead of leaving the client unguarded.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from engine.dialing import NotPublicError, Public, addresses_of, check_public, connect_to_first

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def connect_publicly(client: S3Client, public: Public) -> None:
    """Makes a client connect to addresses alone that were checked. Its proxies must have been turned off.

    Its calls then raise NotPublicError, at once and for good, where the endpoint has an address that may not be
    called.

    Args:
        client: that has sent nothing yet.
        public: which addresses it may connect to.
    """
    session: Any = client._endpoint.http_session  # type: ignore[attr-defined] # noqa: SLF001 - see above
    manager = session._manager  # noqa: SLF001
    manager.pool_classes_by_scheme = {
        scheme: _checked_pool(pool, public) for scheme, pool in manager.pool_classes_by_scheme.items()
    }
    client.meta.events.register_first("needs-retry.s3", _refuse_at_once)


def _checked_pool(pool: Any, public: Public) -> Any:
    """A class of pools like another, whose connections check where they go."""

    def _new_conn(connection: Any) -> socket.socket:
        return _connected(connection, public)

    plain = pool.ConnectionCls
    if not callable(getattr(plain, "_new_conn", None)):
        raise AttributeError("urllib3's connections have no `_new_conn` any more, which guards where they go")
    checked = type(f"Checked{plain.__name__}", (plain,), {"_new_conn": _new_conn})
    return type(f"Checked{pool.__name__}", (pool,), {"ConnectionCls": checked})


def _connected(connection: Any, public: Public) -> socket.socket:
    """What urllib3's own `_new_conn` does, to an address that was looked at."""
    from urllib3.exceptions import NewConnectionError

    host, port = connection._dns_host, connection.port  # noqa: SLF001

    def prepare(sock: socket.socket) -> None:
        sock.settimeout(connection.timeout)
        for option in connection.socket_options or ():
            sock.setsockopt(*option)

    try:
        found = addresses_of(host, port)
        check_public(host, port, found, public)
        return connect_to_first(found, prepare)
    except (OSError, UnicodeError) as error:
        raise NewConnectionError(connection, type(error).__name__) from error


def _refuse_at_once(caught_exception: Exception | None = None, **_: Any) -> None:
    """Without this botocore would take the refusal for a network that fails, and try again."""
    cause = getattr(caught_exception, "kwargs", {}).get("error")
    if isinstance(cause, NotPublicError):
        raise cause
