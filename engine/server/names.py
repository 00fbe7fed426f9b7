"""By which names the server may be called, and by the pages of which sites.

A page of any site can have a name of its own lead to 127.0.0.1 (DNS rebinding), and any page can post to it: browsers
ask nobody before they send. So the names of the request's two headers are looked at: `Host` and `Origin`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from engine.server.asgi import App, Receive, Scope, Send, header, refuse
from engine.server.problems import HostRefused, OriginRefused
from engine.settings import Settings

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:/@\s]*))(?::[0-9]*)?")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


def with_own_names(app: App, settings: Settings) -> App:
    """The application, for requests to a name that it goes by.

    With API_HOSTS those names and this machine's; else with a token any, since the name alone opens nothing; else this
    machine's alone. That of API_PUBLIC_URL is one of them.

    Args:
        app: an ASGI application.
        settings: API_HOST, API_HOSTS, API_PUBLIC_URL, API_TOKEN.
    """
    if settings.api_token and not settings.api_hosts:
        return app
    public = urlsplit(settings.api_public_url or "").hostname or "localhost"
    known = frozenset(each.lower() for each in (*_THIS_MACHINE, settings.api_host, public, *settings.api_hosts))

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        host = header(scope, "host") if scope["type"] == "http" else ""
        if scope["type"] != "http" or host_name(host) in known or host.lower() in known:
            await app(scope, receive, send)
            return
        error = HostRefused("the server does not go by that name", hint="its operator can add it to API_HOSTS")
        await refuse(send, error)

    return named


def origins_of(settings: Settings) -> list[str]:
    """The sites of API_CORS_ORIGINS as browsers write them: in small letters, without a slash at the end."""
    return [each.lower().rstrip("/") for each in settings.api_cors_origins]


def with_own_pages(app: App, origins: Sequence[str]) -> App:
    """The application, which changes nothing for pages of other sites.

    Args:
        app: an ASGI application.
        origins: the sites whose pages may, as `origins_of` gives them; `*` for all.
    """
    if "*" in origins:
        return app
    allowed = frozenset(origins)

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _READS:
            origin = header(scope, "origin").lower()
            if origin and origin not in allowed and not _is_same(origin, header(scope, "host").lower()):
                error = OriginRefused(
                    "a page of another site sent this", hint="the operator can add the site to API_CORS_ORIGINS"
                )
                await refuse(send, error)
                return
        await app(scope, receive, send)

    return checked


def host_name(host: str) -> str:
    """The name in a `Host` header, in small letters, without its port; empty where it is none."""
    found = _HOST.fullmatch(host.strip().lower())
    return (found[1] or found[2]).rstrip(".") if found else ""


def _is_same(origin: str, host: str) -> bool:
    """Whether a page is the server's own: a proxy may have taken the TLS away, so the scheme does not count."""
    try:
        return bool(host) and urlsplit(origin).netloc == host
    except ValueError:
        return False
