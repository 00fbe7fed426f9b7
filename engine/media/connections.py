"""The connections of a fetch, to addresses that were checked (`engine.dialing` says why).

Imports `requests`: import this where a URL is fetched.
"""

from __future__ import annotations

import os
import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from engine.dialing import NotPublicError, Public, addresses_of, check_public, connect_to_first
from engine.media.problems import Broken, Rejected, Unavailable
from engine.media.watch import Watch

_CONNECT_SECONDS = 10
_AGENT = "comfyui-workflow-engine"


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


class _Session(requests.Session):
    """Follows no redirect, and does not look at any.

    Told not to follow one, `requests` still works the next request out, and reads the whole body of the redirect for
    it: into memory, uncompressed, however long it is (2.34, Session.send and resolve_redirects).
    """

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - as its base class has it
        return None


def new_session(dialer: Dialer) -> requests.Session:
    """A session for one fetch that connects by a dialer, whatever the environment says of proxies and logins."""
    session = _Session()
    # With it, `requests` would go through proxies, which resolve names unchecked, and send logins from ~/.netrc.
    session.trust_env = False
    # A private authority, told in the way that `requests` itself documents.
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
    session.headers.clear()
    session.headers.update({"User-Agent": _AGENT, "Accept": "*/*", "Accept-Encoding": "identity"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, _CheckedAdapter(dialer))
    return session


def proxies_of_environment(url: str) -> dict[str, str]:
    """The proxies that the environment sets for a URL (HTTP_PROXY and its like), by scheme."""
    return {str(scheme): proxy for scheme, proxy in get_environ_proxies(url).items() if proxy}
