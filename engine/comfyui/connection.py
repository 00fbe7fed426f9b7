"""The way to a ComfyUI: kept-alive connections, and what goes wrong on them in words.

What `urllib3` raises is translated here, once: whoever calls sees `ComfyUnavailable`. It is used without `requests`
around it, which takes as long for a request as ComfyUI for its answer (see benchmarks/overhead.py); what `requests`
makes of the environment, proxies and certificates, holds here too.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, get_netrc_auth, select_proxy
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    LocationValueError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from engine.comfyui.cleaning import first_line
from engine.errors import ComfyUnavailable

Response = urllib3.BaseHTTPResponse

NONE_THERE = "start ComfyUI, or set COMFY_URL to one that runs or COMFY_HOME to where it is installed"
_AUTHORITY = "name the authority that signed it in REQUESTS_CA_BUNDLE, or reach ComfyUI by the name in its certificate"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST_KEPT = 32
_OK = 200


class NoAnswer(ComfyUnavailable):
    """ComfyUI took the connection and did not answer: what was asked of it may be done or not.

    Attributes:
        busy: it kept the connection and did not answer in time, as while it loads a large model.
    """

    busy: bool = False


class Connection:
    """Kept-alive connections to one ComfyUI. Any number of threads may use it at once.

    Args:
        url: where ComfyUI listens, `http://127.0.0.1:8188`; a user and password in it are sent, never shown.
        connect_timeout: seconds to wait for a connection.
        read_timeout: seconds to wait for each part of an answer.

    Attributes:
        auth: user and password of the URL, where it has them.
    """

    def __init__(self, url: str, *, connect_timeout: float = 5.0, read_timeout: float = 30.0) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        self.url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self.auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        # A proxy of the environment has no way to this machine's own ports.
        self._heeds_environment = parts.hostname not in _LOOPBACK
        self._opening = threading.Lock()
        self._pools: urllib3.PoolManager | None = None
        self._headers: dict[str, str] = {}

    def close(self) -> None:
        """Close the connections."""
        with self._opening:
            if self._pools is not None:
                self._pools.clear()

    def _json(self, method: str, path: str, *, read_timeout: float | None = None) -> Any:
        return self._parsed(self._send(method, path, read_timeout=read_timeout))

    def _parsed(self, response: Response) -> Any:
        try:
            return response.json()
        except ValueError as error:
            raise ComfyUnavailable(f"what answers at {self.url} is not a ComfyUI", hint=NONE_THERE) from error

    def _send(
        self,
        method: str,
        path: str,
        *,
        document: Any = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        read_timeout: float | None = None,
        accept: range = range(200, 300),
        stream: bool = False,
    ) -> Response:
        """Ask once.

        Args:
            method: of HTTP.
            path: below ComfyUI's URL, quoted.
            document: to send as JSON.
            body: to send as it is; what has `read` needs a Content-Length among the headers.
            headers: beside those of each request.
            read_timeout: for each part of the answer, in seconds.
            accept: which statuses are answers.
            stream: leave the body of a 200 to be read by the caller, who closes the response.

        Returns:
            The answer, read unless it is to be streamed.
        """
        seconds = read_timeout or self.read_timeout
        sent = {**(headers or {})}
        if document is not None:
            # Encoded here, once; what JSON has no form for never goes out.
            body = json.dumps(document, allow_nan=False).encode()
            sent["Content-Type"] = "application/json"
        try:
            pools = self._ready_pools()
            response = pools.urlopen(
                method,
                self.url + path,
                body=body,
                headers={**self._headers, **sent},
                timeout=urllib3.Timeout(connect=self.connect_timeout, read=seconds),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (ConnectTimeoutError, LocationValueError) as error:  # the first also where there is no such host or port
            raise self._nobody() from error
        except ReadTimeoutError as error:
            silent = NoAnswer(
                f"ComfyUI at {self.url} did not answer {method} {_plain(path)} within {seconds:g} s",
                hint="its machine may be too busy: see ComfyUI's log",
            )
            silent.busy = True
            raise silent from error
        except HTTPError as error:
            raise self._unconnected(error) or self._broken(method, path) from error
        if not (stream and response.status == _OK):
            self._read(response, method, path)
        if response.status not in accept:
            raise self._unexpected(response, method, path)
        return response

    def _read(self, response: Response, method: str, path: str) -> None:
        """Read an answer to its end, which keeps the connection for the next."""
        try:
            _ = response.data
        except DecodeError as error:  # something between us and ComfyUI; the request may have come through
            raise NoAnswer(
                f"ComfyUI at {self.url} can't be asked: {type(error).__name__}", hint=NONE_THERE, detail=str(error)
            ) from error
        except HTTPError as error:  # the answer was cut short
            raise self._broken(method, path) from error

    def _ready_pools(self) -> urllib3.PoolManager:
        """The connections; the environment is looked at with the first use."""
        with self._opening:
            if self._pools is None:
                self._pools, self._headers = self._opened()
            return self._pools

    def _opened(self) -> tuple[urllib3.PoolManager, dict[str, str]]:
        headers = dict(urllib3.make_headers(keep_alive=True, accept_encoding=True))
        options: dict[str, Any] = {"num_pools": 1, "maxsize": _MOST_KEPT}
        auth, proxy = self.auth, None
        if self.url.startswith("https:"):
            options |= {"cert_reqs": "CERT_REQUIRED", **_certificates()}
        if self._heeds_environment:
            auth = auth or get_netrc_auth(self.url)
            proxy = select_proxy(self.url, get_environ_proxies(self.url))
        if auth:
            headers["Authorization"] = basic(auth)
        if not proxy:
            return urllib3.PoolManager(**options), headers
        proxy = proxy if "//" in proxy else f"http://{proxy}"
        login = urlsplit(proxy)
        if login.username:
            both = f"{unquote(login.username)}:{unquote(login.password or '')}"
            options["proxy_headers"] = urllib3.make_headers(proxy_basic_auth=both)
        try:
            return urllib3.ProxyManager(proxy, **options), headers
        except LocationValueError as error:  # no URL, or a scheme such as socks5
            raise self._no_way("the proxy that the environment names is none of http:// or https://") from error

    def _unconnected(self, error: HTTPError) -> ComfyUnavailable | None:
        """What kept us from a connection, where that is known: then nothing was asked."""
        reason = error.args[-1] if error.args else None
        if isinstance(error, ProxyError):
            return self._no_way("the proxy that the environment names does not connect to it")
        if not isinstance(error, SSLError):
            return None
        if isinstance(reason, ssl.SSLCertVerificationError):
            return ComfyUnavailable(
                f"the certificate of ComfyUI at {self.url} is not believed: {reason.verify_message}",
                hint=_AUTHORITY,
            )
        # As urllib3 passes on what `ssl` says of the file of authorities.
        if not isinstance(reason, ssl.SSLError) or reason.reason == "NO_CERTIFICATE_OR_CRL_FOUND":
            return ComfyUnavailable(
                f"ComfyUI at {self.url} can't be asked: there is no file of authorities to believe", hint=_AUTHORITY
            )
        return None

    def _no_way(self, why: str) -> ComfyUnavailable:
        return ComfyUnavailable(
            f"ComfyUI at {self.url} can't be asked: {why}",
            hint="correct HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, or name ComfyUI's host in NO_PROXY",
        )

    def _nobody(self) -> ComfyUnavailable:
        return ComfyUnavailable(f"no ComfyUI answers at {self.url}", hint=NONE_THERE)

    def _odd(self, path: str) -> ComfyUnavailable:
        return ComfyUnavailable(f"ComfyUI at {self.url} answered GET {path} with something else than it should")

    def _broken(self, method: str, path: str) -> NoAnswer:
        return NoAnswer(
            f"ComfyUI at {self.url} broke the connection during {method} {_plain(path)}",
            hint="it may have stopped: see ComfyUI's log"
            + ("; or it speaks http:// alone, as ComfyUI does by itself" if self.url.startswith("https:") else ""),
        )

    def _garbled(self, response: Response, method: str, path: str) -> NoAnswer:
        """What something between us and ComfyUI answered, which may have handed the request on all the same."""
        unexpected = self._unexpected(response, method, path)
        return NoAnswer(unexpected.message, hint=unexpected.hint)

    def _unexpected(self, response: Response, method: str, path: str) -> ComfyUnavailable:
        reason = f"{response.status} {response.reason or ''}".strip()
        text = response.data[:8000].decode("utf-8", errors="replace")[:2000]
        return ComfyUnavailable(
            f"ComfyUI at {self.url} answered {method} {urlsplit(self.url).path}{_plain(path)} with {reason}",
            hint="check that the address is ComfyUI's and that nothing between refuses the request",
            detail=None if method == "POST" else first_line(text),
        )


def basic(auth: tuple[str, str]) -> str:
    """A user and password as the header `Authorization` has them."""
    return "Basic " + base64.b64encode(":".join(auth).encode()).decode()


def _plain(path: str) -> str:
    """Without what was asked for in particular."""
    return path.partition("?")[0]


def _certificates() -> dict[str, str]:
    """Who is believed, told in the way that `requests` documents."""
    place = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
    return {"ca_cert_dir": place} if os.path.isdir(place) else {"ca_certs": place}  # noqa: PTH112 - a text, as it came
