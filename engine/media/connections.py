"""The connections of a fetch, to addresses that were checked (`engine.dialing` says why).

Imports `requests`: import this where a URL is fetched.
"""

from __future__ import annotations

import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from engine.dialing import NotPublicError, Public, addresses_of, check_public, connect_to_first
from engine.media.problems import Broken, Rejected, Unavailable
from engine.media.watch import Watch
from engine.plain_sessions import plain_session

_CONNECT_SECONDS = 10


class Dialer:
    """Opens the sockets of one fetch.

    Args:
        public: which addresses it may connect to.
        watch: the fetch's bound of time.
    """

    def __init__(self, public: Public, watch: Watch) -> None:
        self._public = public
        self._watch = watch

    def __call__(self, host: str, port: int) -> socket.socket:
        """Connects to a host.

        Raises:
            Unavailable: it is not known, or does not answer.
            Rejected: one of its addresses is not public.
            Cancelled: the job was cancelled.
        """
        try:
            # Resolvers have timeouts of their own, of up to half a minute, and can't be interrupted.
            found = self._watch.run(lambda: addresses_of(host, port))
        except (socket.gaierror, UnicodeError) as error:
            raise Unavailable(f"names the host {shown_host(host)}, which can't be found", detail=str(error)) from error
        try:
            check_public(host, port, found, self._public)
            connection = connect_to_first(found, self._prepare)
        except NotPublicError as error:
            raise Rejected(
                f"names the host {shown_host(host)}, which is not on the public internet; only public hosts are "
                "fetched from",
                hint="send the file as base64 or as a data URI, or put it where everyone can fetch it",
                detail=str(error),
            ) from error
        except OSError as error:
            self._watch.check()
            raise Broken(f"names the host {shown_host(host)}, which does not answer", detail=str(error)) from error
        try:
            connection.settimeout(self._watch.left)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: socket.socket) -> None:
        self._watch.check()
        connection.settimeout(min(_CONNECT_SECONDS, self._watch.left))
        self._watch.guard(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def shown_host(host: str) -> str:
    """A host's name for messages, cut where it is long."""
    return host if len(host) <= 100 else f"{host[:100]}…"


class _CheckedHTTPConnection(HTTPConnection):
    def __init__(self, *args: Any, dialer: Dialer, **more: Any) -> None:
        super().__init__(*args, **more)
        self._dialer = dialer

    def _new_conn(self) -> socket.socket:
        return self._dialer(self._dns_host, self.port)


class _CheckedHTTPSConnection(HTTPSConnection):
    def __init__(self, *args: Any, dialer: Dialer, **more: Any) -> None:
        super().__init__(*args, **more)
        self._dialer = dialer

    def _new_conn(self) -> socket.socket:
        return self._dialer(self._dns_host, self.port)


class _CheckedHTTPPool(HTTPConnectionPool):
    ConnectionCls = _CheckedHTTPConnection


class _CheckedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _CheckedHTTPSConnection


class _CheckedAdapter(HTTPAdapter):
    """Makes `requests` open its connections by a dialer, those to a proxy as well."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more)
        self.poolmanager = _with_checked_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
        if not proxy.lower().startswith(("http://", "https://")):
            raise requests.exceptions.InvalidSchema("only http and https proxies are used")
        manager: ProxyManager = super().proxy_manager_for(proxy, **more)
        return _with_checked_pools(manager)

    def get_connection_with_tls_context(self, *args: Any, **more: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **more)
        pool.conn_kw["dialer"] = self._dialer
        return pool


def _with_checked_pools(manager: PoolManager) -> PoolManager:
    manager.pool_classes_by_scheme = {"http": _CheckedHTTPPool, "https": _CheckedHTTPSPool}
    return manager


def new_session(dialer: Dialer) -> requests.Session:
    """A session for one fetch that connects by a dialer."""
    return plain_session(_CheckedAdapter(dialer))
