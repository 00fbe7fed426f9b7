"""How each form of reference becomes bytes, and what the operator allows each kind of file.

One more form is one more case in `interpret` (what a value is) and one more here (how it is opened).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from engine.cancellation import CancellationToken
from engine.dialing import public_alone
from engine.media.buckets import Buckets
from engine.media.inline import base64_chunks, data_uri_chunks
from engine.media.local import file_chunks
from engine.media.references import Reference
from engine.media.sink import Sink
from engine.media.watch import Watch
from engine.media.web import Web
from engine.settings import Settings

_AT_HAND: dict[str, Callable[[str], Iterator[bytes]]] = {
    "data URI": data_uri_chunks,
    "base64": base64_chunks,
    "file": file_chunks,
}


class Opener:
    """Opens references of every form.

    Args:
        settings: bounds, and whether private addresses may be fetched from.
        buckets: for names in buckets.
        public: which addresses may be fetched from, in place of what the settings say.
    """

    def __init__(self, settings: Settings, buckets: Buckets, public: Callable[[str, int], bool] | None = None) -> None:
        if public is None:
            public = _anywhere if settings.allow_private_urls else public_alone
        self.web = Web(public, use_proxies=settings.allow_private_urls)
        self._buckets = buckets
        # An image's bounds are a mask's as well.
        self._max_bytes = {
            "image": settings.max_image_bytes,
            "mask": settings.max_image_bytes,
            "video": settings.max_video_bytes,
            "audio": settings.max_audio_bytes,
            "file": settings.max_file_bytes,
        }
        self._seconds = {
            "image": settings.fetch_image_seconds,
            "mask": settings.fetch_image_seconds,
            "video": settings.fetch_video_seconds,
            "audio": settings.fetch_audio_seconds,
            "file": settings.fetch_file_seconds,
        }

    def max_bytes(self, kind: str) -> int:
        """The most bytes that a file of a kind may have."""
        return self._max_bytes[kind]

    def seconds(self, kind: str) -> float:
        """The longest that the fetch of a file of a kind may take."""
        return self._seconds[kind]

    def receive(self, reference: Reference, sink: Sink, seconds: float, tokens: Sequence[CancellationToken]) -> str:
        """Reads a file.

        Args:
            reference: where it is.
            sink: where it goes.
            seconds: the longest that a fetch may take.
            tokens: any of them ends it.

        Returns:
            Its own name; empty where it has none.

        Raises:
            Rejected: it is not what may be read.
            Unavailable: it can't be had.
            Cancelled: the job was cancelled.
        """
        if open_chunks := _AT_HAND.get(reference.form):
            for chunk in open_chunks(reference.text):
                sink.write(chunk)
                for token in tokens:
                    token.raise_if_cancelled()
            return reference.filename
        with Watch(seconds, tokens) as watch:
            return self._fetched(reference, sink, watch)

    def _fetched(self, reference: Reference, sink: Sink, watch: Watch) -> str:
        if reference.form == "URL":
            name = self.web.download(reference.text, reference.headers, sink, watch)
            return reference.filename or name
        is_name = reference.form == "bare name"
        location = self._buckets.named(reference.text) if is_name else self._buckets.at(reference.text)
        self._buckets.download(location, sink, watch)
        return reference.filename or location.key.rpartition("/")[2]


def _anywhere(address: str, port: int) -> bool:  # noqa: ARG001 - of the form that the web asks for
    return True
