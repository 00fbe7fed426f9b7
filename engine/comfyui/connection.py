"""The way to a ComfyUI: kept-alive connections, and what goes wrong on them in words.

What `requests` raises is translated here, once: whoever calls sees `ComfyUnavailable`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter

from engine.comfyui.cleaning import first_line
from engine.errors import ComfyUnavailable

NONE_THERE = "start ComfyUI, or set COMFY_URL to one that runs or COMFY_HOME to where it is installed"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


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
    """

    def __init__(self, url: str, *, connect_timeout: float = 5.0, read_timeout: float = 30.0) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        self.url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self._session = requests.Session()
        if parts.username:
            self._session.auth = (unquote(parts.username), unquote(parts.password or ""))
        # A proxy of the environment has no way to this machine's own ports.
        self._session.trust_env = parts.hostname not in _LOOPBACK
        # The one pool is shared: more threads than this at once only open connections that are not kept.
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=32)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    @property
    def auth(self) -> tuple[str, str] | None:
        """User and password of the URL, where it has them."""
        auth = self._session.auth
        return auth if isinstance(auth, tuple) else None

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _json(self, method: str, path: str, *, read_timeout: float | None = None) -> Any:
        return self._parsed(self._send(method, path, read_timeout=read_timeout))

    def _parsed(self, response: requests.Response) -> Any:
        try:
            return response.json()
        except ValueError as error:
            raise ComfyUnavailable(f"what answers at {self.url} is not a ComfyUI", hint=NONE_THERE) from error

    def _send(
        self,
        method: str,
        path: str,
        *,
        read_timeout: float | None = None,
        accept: range = range(200, 300),
        **request: Any,
    ) -> requests.Response:
        timeout = (self.connect_timeout, read_timeout or self.read_timeout)
        try:
            response = self._session.request(method, self.url + path, timeout=timeout, allow_redirects=False, **request)
        except (requests.ConnectTimeout, requests.exceptions.InvalidURL) as error:
            raise self._nobody() from error
        except requests.ReadTimeout as error:
            silent = NoAnswer(
                f"ComfyUI at {self.url} did not answer {method} {path} within {timeout[1]:g} s",
                hint="its machine may be too busy: see ComfyUI's log",
            )
            silent.busy = True
            raise silent from error
        except requests.ConnectionError as error:
            # requests has one class for "nobody there" and "hung up on us"; only urllib3's reason tells.
            refused = type(getattr(error.args[0] if error.args else None, "reason", None)).__name__
            if refused in {"NewConnectionError", "NameResolutionError"}:
                raise self._nobody() from error
            raise self._broken(method, path) from error
        except requests.exceptions.ChunkedEncodingError as error:  # the answer was cut short
            raise self._broken(method, path) from error
        except requests.RequestException as error:
            raise ComfyUnavailable(
                f"ComfyUI at {self.url} can't be asked: {type(error).__name__}", hint=NONE_THERE, detail=str(error)
            ) from error
        if response.status_code not in accept:
            raise self._unexpected(response)
        return response

    def _nobody(self) -> ComfyUnavailable:
        return ComfyUnavailable(f"no ComfyUI answers at {self.url}", hint=NONE_THERE)

    def _odd(self, path: str) -> ComfyUnavailable:
        return ComfyUnavailable(f"ComfyUI at {self.url} answered GET {path} with something else than it should")

    def _broken(self, method: str, path: str) -> NoAnswer:
        return NoAnswer(
            f"ComfyUI at {self.url} broke the connection during {method} {path}",
            hint="it may have stopped: see ComfyUI's log"
            + ("; or it speaks http:// alone, as ComfyUI does by itself" if self.url.startswith("https:") else ""),
        )

    def _garbled(self, response: requests.Response) -> NoAnswer:
        """What something between us and ComfyUI answered, which may have handed the request on all the same."""
        unexpected = self._unexpected(response)
        return NoAnswer(unexpected.message, hint=unexpected.hint)

    def _unexpected(self, response: requests.Response) -> ComfyUnavailable:
        path = urlsplit(response.url).path
        reason = f"{response.status_code} {response.reason or ''}".strip()
        return ComfyUnavailable(
            f"ComfyUI at {self.url} answered {response.request.method} {path} with {reason}",
            hint="check that the address is ComfyUI's and that nothing between refuses the request",
            detail=None if response.request.method == "POST" else first_line(response.text[:2000]),
        )
