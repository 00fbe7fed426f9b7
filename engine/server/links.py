"""Links to results that lie on this machine: signed, and without the address of a server that may move.

In the queue's records a link begins with `{server}`: it is replaced on the way out by the address that whoever asks has
used, so that links go on working after the server was started on another port.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request

from engine.errors import Problem, SettingsError
from engine.server.listening import is_loopback
from engine.settings import Settings

SERVER = "{server}"
"""What stands for the server's address in a link that is kept."""

_PATH = re.compile(r"/jobs/(?P<job_id>[^/]+)/files/(?P<number>\d{1,9})/[^/]+")
_SECRET_BYTES = 32
_NOT_OURS = frozenset({"values", "text"})
"""Keys under which stands what a caller sent or a workflow wrote, which is nobody's link."""


def signature(secret: bytes, job_id: str, number: int) -> str:
    """What opens a result without the token: HMAC-SHA256 of `JOB_ID/NUMBER`, in hex."""
    return hmac.new(secret, f"{job_id}/{number}".encode(), hashlib.sha256).hexdigest()


def is_signed(secret: bytes, job_id: str, number: int, sent: str) -> bool:
    """Whether it is the signature of a result."""
    return hmac.compare_digest(signature(secret, job_id, number).encode(), sent.encode("utf-8", "replace"))


def opens(secret: bytes, path: str, sent: str) -> bool:
    """Whether a request needs no token, since its link is signed.

    Args:
        secret: the server's.
        path: of the request, decoded.
        sent: its query's `signature`; empty for none.
    """
    found = _PATH.fullmatch(path)
    return bool(sent and found and is_signed(secret, found["job_id"], int(found["number"]), sent))


def linker(secret: bytes, keep: Callable[[str, Path, str], int]) -> Callable[[str, Path, str], str]:
    """What makes the links for `Storages(link=…)`.

    Args:
        secret: the server's.
        keep: registers a result: `LocalQueue.keep_file`.

    Returns:
        From a job's id, a file and its media type to the link, which begins with `{server}`.
    """

    def link(job_id: str, path: Path, content_type: str) -> str:
        number = keep(job_id, path.absolute(), content_type)
        return f"{SERVER}/jobs/{quote(job_id, safe='')}/files/{number}/{quote(path.name, safe='')}" + (
            f"?signature={signature(secret, job_id, number)}"
        )

    return link


def with_base(reply: Any, base_url: str, *, paths: bool = False) -> Any:
    """A reply, or anything that holds one, whose links lead to this server.

    Args:
        reply: in JSON's types; it is left as it is.
        base_url: what `{server}` becomes, without a slash at its end.
        paths: leave the paths of files beside their links, for callers on the same machine.
    """
    if isinstance(reply, str):
        return base_url + reply.removeprefix(SERVER) if reply.startswith(f"{SERVER}/jobs/") else reply
    if isinstance(reply, list | tuple):
        return [with_base(each, base_url, paths=paths) for each in reply]
    if not isinstance(reply, Mapping):
        return reply
    is_linked = isinstance(reply.get("url"), str) and reply["url"].startswith(f"{SERVER}/jobs/")
    return {
        key: each if key in _NOT_OURS else with_base(each, base_url, paths=paths)
        for key, each in reply.items()
        if paths or not (is_linked and key == "path")
    }


def shows_paths(settings: Settings) -> bool:
    """Whether callers may see where results lie: those on this machine, where it listens for nobody else."""
    return settings.api_token is None and is_loopback(settings.api_host)


def base_url(request: Request, settings: Settings) -> str:
    """The server's address as the caller of a request has used it; API_PUBLIC_URL where that is set.

    A proxy that ends TLS says so with `X-Forwarded-Proto`.
    """
    if settings.api_public_url:
        return settings.api_public_url.rstrip("/")
    forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    scheme = forwarded if forwarded in ("http", "https") else request.url.scheme
    return f"{scheme}://{request.headers.get('host') or request.url.netloc}"


def server_secret(folder: Path) -> bytes:
    """The server's secret, which signs links; made when it is first asked for.

    Args:
        folder: that API_FOLDER names; made if need be.

    Raises:
        SettingsError: it can't be read or written.
    """
    file = folder / "secret"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = folder / f".secret-{secrets.token_hex(8)}"
        if not file.exists():
            descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with open(descriptor, "wb") as made:  # noqa: PTH123 - a descriptor has no path
                made.write(secrets.token_bytes(_SECRET_BYTES))
            try:
                os.link(fresh, file)  # whole or not at all; the first of two wins
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        found = file.read_bytes()
    except OSError as error:
        raise SettingsError(
            problems=[Problem("API_FOLDER", f"{file} can't be read or written: {error.strerror}")],
            hint="name a folder that is yours",
        ) from error
    if len(found) != _SECRET_BYTES:
        raise SettingsError(
            problems=[Problem("API_FOLDER", f"{file} is not the secret that was kept there")],
            hint="remove the file: links to earlier results end then, and new ones work",
        )
    return found
