"""The address that the local server listens on."""

from __future__ import annotations

import errno
import ipaddress
import socket

from engine.errors import Problem, SettingsError
from engine.settings import Settings


def bound(settings: Settings) -> socket.socket:
    """Take the address that the local API is to listen on; nobody can connect before it does.

    Args:
        settings: API_HOST and API_PORT. Nobody's GPU is to be open to the world by accident, so on anything but
            loopback there must be an API_TOKEN.

    Raises:
        SettingsError: there is no token where one is needed, or the address is taken, or none of this machine.
    """
    if not settings.api_token and not is_loopback(settings.api_host):
        raise SettingsError(
            problems=[Problem("API_TOKEN", f"is needed where API_HOST is {settings.api_host}: anybody could run jobs")],
            hint="set API_TOKEN to a long random text (openssl rand -hex 32), which callers send as their bearer "
            "token; or leave API_HOST at 127.0.0.1",
        )
    try:
        found = socket.getaddrinfo(
            settings.api_host, settings.api_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after a restart, too
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:  # the latter of a host whose name can be none
        raise _not_bound(settings, error) from error
    return listener


def _not_bound(settings: Settings, error: OSError | UnicodeError) -> SettingsError:
    why = (error.strerror if isinstance(error, OSError) else None) or str(error)
    problem = f"{settings.api_host} port {settings.api_port} can't be listened on: {why}"
    if isinstance(error, socket.gaierror | UnicodeError) or error.errno == errno.EADDRNOTAVAIL:
        hint = "give an address of this machine: 127.0.0.1, or 0.0.0.0 for all that it has"
        return SettingsError(problems=[Problem("API_HOST", problem)], hint=hint)
    hint = "choose another port (API_PORT; `engine serve --port`), or end what listens there"
    return SettingsError(problems=[Problem("API_PORT", problem)], hint=hint)


def url_of(settings: Settings) -> str:
    """The address in a URL: `http://127.0.0.1:8000`."""
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    return f"http://{host}:{settings.api_port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
