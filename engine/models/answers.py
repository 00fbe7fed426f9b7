"""One answer to one request for a file: redirects followed, refusals in words. Imports `requests`."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from engine.models.problems import Broken, ModelProblem, OutOfRange
from engine.models.sites import Source, host_of, origin
from engine.plain_sessions import plain_session, proxies_of_environment
from engine.transfers import make_cuttable

_MOST_REDIRECTS = 10
_CONNECT_SECONDS, _READ_SECONDS = 15.0, 60.0
_LONGEST_WAIT_SECONDS = 300.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_LOGIN = re.compile(r"/(login|signin|sign-in|sign_in)/?$", re.IGNORECASE)
_SHA256 = re.compile(r'"?([0-9a-f]{64})"?')


class Answer(NamedTuple):
    """The beginning of a file, or of the rest of one.

    Attributes:
        response: whose body has not been read; to be closed.
        start: where in the file the body begins.
        total: bytes of the whole file; None where the server does not tell.
        validator: by which the server knows this very file again; empty where it names none.
        sha256: of the file, as the site has it; None where it tells of none.
    """

    response: requests.Response
    start: int
    total: int | None
    validator: str
    sha256: str | None


class _Adapter(HTTPAdapter):
    """Opens connections that can be cut (`engine.transfers`), those to a proxy as well."""

    def __init__(self) -> None:
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more)
        make_cuttable(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **more)
        if is_new:
            make_cuttable(manager)
        return manager


@contextlib.contextmanager
def answered(source: Source, *, have: int, total: int | None, validator: str, has_hash: bool) -> Iterator[Answer]:
    """Ask for a file.

    Args:
        source: where it is.
        have: bytes of it that are there; the rest is asked for. The answer may begin at the start all the same.
        total: bytes of the whole file that these are of; None where that is not known.
        validator: of that file; empty where none is known.
        has_hash: the file is known by its sha256, so that it may come by http.

    Raises:
        OutOfRange: the rest that comes is not of the same file.
        Broken: it can't be had just now.
        ModelProblem: it can't be had.
    """
    bundle = os.environ.get("REQUESTS_CA_BUNDLE")
    if bundle and not Path(bundle).exists():
        raise ModelProblem(f"there is no {bundle}, which REQUESTS_CA_BUNDLE names", "unset it, or name another file")
    headers = {"Range": f"bytes={have}-", **({"If-Range": validator} if validator else {})} if have else {}
    with _in_words(source), plain_session(_Adapter()) as session:
        response, sha256 = _follow(session, source, headers, has_hash=has_hash)
        with contextlib.closing(response):
            answer = _read_headers(response, source, have, sha256)
            # Not every server looks at If-Range.
            is_other = answer.validator and validator and answer.validator != validator
            if answer.start and (is_other or (total and answer.total and answer.total != total)):
                raise OutOfRange(f"{source.host} has another file there than it had before")
            yield answer


def _follow(
    session: requests.Session, source: Source, headers: dict[str, str], *, has_hash: bool
) -> tuple[requests.Response, str | None]:
    """Ask, and follow redirects by hand: what is sent to a site is sent to no other host."""
    url, own, sha256, at_site = source.url, source.headers, None, source.site is not None
    may_be_http = has_hash or url.startswith("http:")
    for _ in range(_MOST_REDIRECTS + 1):
        parts = urlsplit(url)
        response = session.get(
            url,
            headers=headers | own,
            allow_redirects=False,
            stream=True,
            timeout=(_CONNECT_SECONDS, _READ_SECONDS),
            proxies=proxies_of_environment(url),
        )
        try:
            # Hugging Face tells the hash of a large file on its way to the file (huggingface_hub 1.0, constants.py).
            if at_site:
                sha256 = sha256 or _hash_of(response.headers.get("X-Linked-Etag", ""))
            target = response.headers.get("Location") if response.status_code in _REDIRECTS else None
            if target is None:
                _check_status(response, source, host_of(parts))
                return response, sha256
        except BaseException:
            response.close()
            raise
        response.close()
        url, following = _next(url, target)
        if _LOGIN.search(following.path):
            raise source.wants_token(f"{host_of(parts)} leads on to a login")
        if following.scheme != "https" and not (following.scheme == "http" and may_be_http):
            raise ModelProblem(
                f"{host_of(parts)} leads on to {following.scheme}://{host_of(following)}, which is not https",
                "give the sha256 of the file in the map, by which it is known whatever way it comes",
            )
        if origin(following) != origin(parts):
            own, at_site = {}, False
    raise ModelProblem(f"{source.host} leads on more than {_MOST_REDIRECTS} times", "name the url that it ends at")


def _next(url: str, target: str) -> tuple[str, SplitResult]:
    """Where a redirect leads: the URL, and its parts."""
    try:
        # Headers are read as Latin-1; what stands in them beyond ASCII is UTF-8.
        following = urljoin(url, target.encode("latin-1").decode("utf-8", "replace"))
        parts = urlsplit(following)
        origin(parts)
    except ValueError as error:
        raise ModelProblem(f"{host_of(urlsplit(url))} leads on to what is no URL", "name another url") from error
    return following, parts


def _check_status(response: requests.Response, source: Source, host: str) -> None:
    status = response.status_code
    if status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
        return
    if status in _PASSING:
        text = response.headers.get("Retry-After", "")
        seconds = float(text) if text.isascii() and text.isdecimal() else 0.0
        raise Broken(
            f"{host} answered {status} {response.reason or ''}".rstrip(),
            "try again later",
            after_seconds=min(seconds, _LONGEST_WAIT_SECONDS),
        )
    raise source.refused(status, host)


def _read_headers(response: requests.Response, source: Source, have: int, sha256: str | None) -> Answer:
    host = host_of(urlsplit(response.url))
    if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise OutOfRange(f"{host} has no more of the file than is here, or another file")
    if "html" in response.headers.get("Content-Type", "").lower() and not urlsplit(source.url).path.endswith(
        (".html", ".htm")
    ):
        page = f"; look at {source.page or 'the url'} in a browser"
        raise ModelProblem(
            f"{host} sent a web page and no file: a login, terms to be accepted, or the page of the file",
            f"name the url that the download itself has{page}",
        )
    if response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise ModelProblem(f"{host} sends the file compressed, although it was asked not to", "name another url")
    start, total = 0, _number(response.headers.get("Content-Length", ""))
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        found = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", response.headers.get("Content-Range", ""))
        if not found or int(found[1]) != have:
            raise OutOfRange(f"{host} sent another part of the file than it was asked for")
        start, total = have, _number(found[2])
    etag = response.headers.get("ETag", "")
    validator = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")  # a weak one won't do
    return Answer(response, start, total, validator, sha256)


def pieces(answer: Answer, count: int) -> Iterator[bytes]:
    """The body, at most so many bytes at a time.

    Raises:
        Broken: it broke off.
    """
    while piece := answer.response.raw.read(count, decode_content=False):
        yield piece


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _hash_of(etag: str) -> str | None:
    found = _SHA256.fullmatch(etag)
    return found[1] if found else None


@contextlib.contextmanager
def _in_words(source: Source) -> Iterator[None]:
    """Turns what `requests` and urllib3 raise into problems; their own texts hold URLs, which may be signed."""
    host = source.host
    try:
        yield
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.InvalidHeader,
        urllib3.exceptions.LocationParseError,
        UnicodeError,
    ) as error:
        raise ModelProblem(f"{host} can't be asked: {type(error).__name__}", "correct the url, or the proxy") from error
    except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as error:
        hint = "REQUESTS_CA_BUNDLE names the file of a private authority"
        raise ModelProblem(f"the certificate of {host} could not be verified", hint) from error
    except requests.exceptions.ProxyError as error:
        raise Broken(f"the proxy on the way to {host} does not answer", "look at HTTPS_PROXY") from error
    except (requests.exceptions.ConnectTimeout, requests.exceptions.ConnectionError) as error:
        unknown = "NameResolutionError" in repr(error)
        what = "is a name that can't be found" if unknown else "does not answer, or broke the connection off"
        raise Broken(f"{host} {what}", "look at the url, and whether this machine may reach the internet") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise Broken(f"the connection to {host} broke off") from error
