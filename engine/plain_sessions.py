"""Sessions of `requests` that do what they are told, and nothing that the environment or a server adds to it.

Imports `requests`: import this where a URL is fetched.
"""

from __future__ import annotations

import os

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

_AGENT = "comfyui-workflow-engine"


class _Session(requests.Session):
    """Follows no redirect, and does not look at any.

    Told not to follow one, `requests` still works the next request out, and reads the whole body of the redirect for
    it: into memory, uncompressed, however long it is (2.34, Session.send and resolve_redirects).
    """

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - as its base class has it
        return None


def plain_session(adapter: HTTPAdapter) -> requests.Session:
    """A session that connects by an adapter, whatever the environment says of proxies and logins.

    It asks for files as they are, uncompressed.
    """
    session = _Session()
    # With it, `requests` would go through proxies, which resolve names unchecked, and send logins from ~/.netrc.
    session.trust_env = False
    # A private authority, told in the way that `requests` itself documents.
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
    session.headers.clear()
    session.headers.update({"User-Agent": _AGENT, "Accept": "*/*", "Accept-Encoding": "identity"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    return session


def proxies_of_environment(url: str) -> dict[str, str]:
    """The proxies that the environment sets for a URL (HTTP_PROXY and its like), by scheme."""
    return {str(scheme): proxy for scheme, proxy in get_environ_proxies(url).items() if proxy}
