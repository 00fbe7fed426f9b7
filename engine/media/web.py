"""Files by URL. Callers choose the URL, so nothing about it or about what answers is taken on trust."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import SplitResult, urljoin

from engine.media.encodings import decoded
from engine.media.problems import Broken, MediaProblem, Passing, Rejected, Unavailable
from engine.media.sink import Sink
from engine.media.urls import checked_url, filename_of, origin
from engine.media.watch import Watch

if TYPE_CHECKING:
    from requests import Response, Session

_CHUNK_BYTES = 64 * 1024
_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WORTH_A_RETRY = frozenset({502, 503, 504})
_WORTH_A_LATER_TRY = frozenset({408, 429})  # not at once: such a server has had enough
_RETRY_SECONDS = 0.25

Headers = Sequence[tuple[str, str]]


class Web:
    """Fetches files by http and https. May be used from many threads.

    Args:
        public: whether an address and port may be connected to. All addresses of a host must be, of that of every
            redirect as well; the connection is then made to one of those that were looked at.
        use_proxies: go by the proxies of the environment. A proxy asks for the addresses itself, so that `public`
            is not asked about what lies behind it.
    """

    def __init__(self, public: Callable[[str, int], bool], *, use_proxies: bool = False) -> None:
        self._public = public
        self._use_proxies = use_proxies

    def download(self, url: str, headers: Headers, sink: Sink, watch: Watch) -> str:
        """Fetches a file. A connection that breaks, and an overloaded server, get one second try.

        Args:
            url: where it is; a user and password in it are sent as basic authentication.
            headers: checked ones, for this origin alone: a redirect to another does not get them.
            sink: where it goes.
            watch: its bound of time, all tries and redirects together.

        Returns:
            Its own name, as the server or else the URL has it; empty where there is none.

        Raises:
            Rejected: the URL may not be fetched, or the file is too large.
            Unavailable: the file can't be had.
            Cancelled: the job was cancelled.
        """
        parts = checked_url(url)
        try:
            return self._attempt(url, parts, headers, sink, watch)
        except Broken:
            watch.pause(_RETRY_SECONDS)
        sink.restart()
        return self._attempt(url, parts, headers, sink, watch)

    def _attempt(self, url: str, parts: SplitResult, headers: Headers, sink: Sink, watch: Watch) -> str:
        from engine.media.connections import Dialer, new_session

        with (
            _translated(parts.hostname or "", watch),
            new_session(Dialer(self._public, watch)) as session,
            contextlib.closing(self._answer(session, url, parts, headers, watch)) as response,
        ):
            length = response.headers.get("Content-Length", "")
            # The compressed length is a bound as well: hardly a file grows by being compressed.
            if length.isdecimal() and length.isascii():
                sink.expect(int(length[:20]))
            for piece in decoded(_raw_chunks(response, watch), response.headers.get("Content-Encoding", "")):
                sink.write(piece)
            # A connection that was shut down looks like one that ended.
            watch.check()
            return filename_of(parts, response.headers.get("Content-Disposition", ""))

    def _answer(self, session: Session, url: str, parts: SplitResult, headers: Headers, watch: Watch) -> Response:
        """Asks, and follows redirects by hand: each is a URL of a stranger's again."""
        for _ in range(_MOST_REDIRECTS + 1):
            response = session.get(
                url,
                headers=dict(headers),
                allow_redirects=False,
                stream=True,
                timeout=watch.left,
                proxies=self._proxies(url),
            )
            try:
                watch.check()
                target = _redirect_target(response)
                if target is None and response.status_code != HTTPStatus.OK:
                    _refuse_status(response.status_code, parts.hostname or "")
            except BaseException:
                response.close()
                raise
            if target is None:
                return response
            response.close()
            try:
                url = _joined(url, target)
                following = checked_url(url)
            except Rejected as problem:
                raise Rejected(f"leads on to what is not fetched: it {problem.message}") from problem
            if origin(following) != origin(parts):
                headers = ()
            parts = following
        raise Unavailable(f"leads on more than {_MOST_REDIRECTS} times", hint="send the URL that it ends at")

    def _proxies(self, url: str) -> dict[str, str]:
        from engine.plain_sessions import proxies_of_environment

        return proxies_of_environment(url) if self._use_proxies else {}


def _redirect_target(response: Response) -> str | None:
    if response.status_code not in _REDIRECTS:
        return None
    target = response.headers.get("Location")
    # Headers are read as Latin-1; what stands in them beyond ASCII is UTF-8.
    return target.encode("latin-1").decode("utf-8", "replace") if target else None


def _joined(url: str, target: str) -> str:
    try:
        return urljoin(url, target)
    except ValueError:
        raise Rejected("is no URL that can be read") from None


def _raw_chunks(response: Response, watch: Watch) -> Iterator[bytes]:
    while chunk := response.raw.read(_CHUNK_BYTES, decode_content=False):
        watch.check()
        yield chunk


def _refuse_status(status: int, host: str) -> NoReturn:
    from engine.media.connections import shown_host

    # The server's own words are a stranger's; the names of the numbers are not.
    name = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    kind = Broken if status in _WORTH_A_RETRY else Passing if status in _WORTH_A_LATER_TRY else Unavailable
    hint = "the URL may have expired, or needs `headers`" if status in (401, 403) else None
    raise kind(f"could not be fetched: {shown_host(host)} answered {status} {name}".rstrip(), hint=hint)


@contextlib.contextmanager
def _translated(host: str, watch: Watch) -> Iterator[None]:
    """Turns what `requests` and urllib3 raise into problems; what a shut down connection made them raise first."""
    import requests
    import urllib3
    from urllib3.exceptions import LocationParseError

    from engine.media.connections import shown_host

    where = shown_host(host)
    unreadable = (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
        requests.exceptions.InvalidHeader,
        LocationParseError,
        UnicodeError,
    )
    try:
        yield
    except MediaProblem:
        watch.check()
        raise
    except unreadable as error:
        raise Rejected("is no URL that can be read", detail=type(error).__name__) from error
    except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as error:
        watch.check()
        raise Unavailable(
            f"could not be fetched: the certificate of {where} could not be verified", detail=type(error).__name__
        ) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        watch.check()
        # Their texts hold the URL.
        raise Broken(
            f"could not be fetched: the connection to {where} broke off", detail=type(error).__name__
        ) from error
