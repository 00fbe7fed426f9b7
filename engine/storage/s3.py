"""Results in a bucket, at Amazon or at anything that speaks S3."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from engine.cancellation import CancellationToken
from engine.delivery import Delivery, Naming, UrlKind
from engine.dialing import Public
from engine.errors import StorageError
from engine.results import OutputFile, StoredOutput
from engine.s3 import S3Options, build_client, translated
from engine.storage.found import MADE_AT, Found, age
from engine.storage.parcels import Parcel, Waiting
from engine.storage.retrying import RETRY_SECONDS, Patience
from engine.storage.s3_sending import S3Sender
from engine.storage.uploads import upload_all, waiting_outputs

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TIDYING_SECONDS = 10.0  # for all objects of a cancelled job together


class S3Storage:
    """Uploads results and gives links to them.

    One client serves the process: building one costs some 80 ms, and it may be used from many threads
    (https://docs.aws.amazon.com/boto3/latest/guide/clients.html, "multithreading"). It is built with the
    first upload, or before by `warm`.

    Args:
        options: the bucket and how to reach it.
        uploads_at_once: of one job's results.
        public: which addresses it may connect to, for an endpoint that a stranger named; None for any. An upload
            raises NotPublicError where the endpoint has another.
        retry_seconds: that a job may lose to a bucket that fails.
    """

    name = "s3"

    def __init__(
        self,
        options: S3Options,
        *,
        uploads_at_once: int = 4,
        public: Public | None = None,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._options = options
        self._public = public
        self._uploads_at_once = uploads_at_once
        self._retry_seconds = retry_seconds
        self._sender = S3Sender(options)
        self._building = threading.Lock()
        self._client: S3Client | None = None

    def warm(self) -> None:
        """Builds the client now, so that the first job does not wait for it. Sends nothing.

        Raises:
            StorageError: no client can be made of the options (a profile that does not exist).
        """
        with self._building:
            if self._client is None:
                self._client = build_client(self._options, public=self._public, attempts=1)

    def close(self) -> None:
        """Closes the client's connections; the next upload builds another."""
        with self._building:
            if self._client is not None:
                self._client.close()
                self._client = None

    @property
    def place(self) -> str:
        """Which bucket of which server this is."""
        return f"{self._options.bucket} at {self._options.endpoint_url or 'Amazon S3'}"

    def put(
        self,
        outputs: Sequence[OutputFile],
        *,
        naming: Naming,
        delivery: Delivery,
        cancel: CancellationToken | None = None,
        known_away: bool = False,
    ) -> list[StoredOutput]:
        """Uploads the results, several at once; see `Bucket.put`.

        Objects of a job that failed half way stay in the bucket: the key may well lack the right to delete
        them. A second try of the same job writes to the same keys, unless their names tell the time.

        Raises:
            Cancelled: the job was cancelled. An upload under way ends at once, and what was uploaded by then is
                removed, where the key may.
            Undelivered: the bucket could not be reached, for as long as it was tried.
            StorageError: the bucket, the server or the credentials did not let it happen. The message never
                holds a secret, a key id or a signature.
        """
        cancel = cancel or CancellationToken()
        if all(output.path is None for output in outputs):
            return [StoredOutput(output) for output in outputs]
        if self._url_kind(delivery) == "public" and not self._options.public_base_url:
            raise StorageError(
                f"the bucket `{self._options.bucket}` has no public address to make links from",
                hint="ask for presigned links",
                retryable=False,
            )
        client = self._ready_client()
        patience = Patience.brief(cancel) if known_away else Patience(self._retry_seconds, cancel)
        planned = waiting_outputs(
            outputs,
            naming=naming,
            delivery=delivery,
            root=self._options.prefix,
            uri=lambda key: f"s3://{self._options.bucket}/{key}",
            headers=functools.partial(self._headers, delivery),
        )

        def upload(waiting: Waiting) -> StoredOutput:
            self._sender.send(client, waiting.parcel, patience, cancel)
            return self._stored(client, delivery, waiting)

        def remove(keys: Collection[str]) -> None:
            until = time.monotonic() + _TIDYING_SECONDS
            for key in keys:
                if time.monotonic() < until:
                    self._sender.remove(client, key)

        return upload_all(planned, upload, remove, at_once=self._uploads_at_once, cancel=cancel)

    def deliver(self, parcel: Parcel, *, made_at: float, cancel: CancellationToken) -> bool:
        """Sends what has waited; see `Bucket.deliver`."""
        client = self._ready_client()
        patience = Patience(0, cancel)
        found = patience.run(lambda _: self._found(client, parcel.key))
        if found is not None and found.makes_needless(parcel, made_at):
            return False
        self._sender.send(client, parcel, patience, cancel, {MADE_AT: f"{made_at:.3f}"})
        return True

    def _found(self, client: S3Client, key: str) -> Found | None:
        """The object of that key; None where there is none, or the credentials may not look."""
        try:
            with translated(self._options):
                answer = client.head_object(Bucket=self._options.bucket, Key=key)
        except StorageError as error:
            if error.retryable:
                raise
            return None
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        if "ContentLength" not in answer or "LastModified" not in answer:
            return None  # an answer that broke off tells nothing
        return Found(
            size_bytes=answer["ContentLength"],
            md5=answer.get("ETag", "").strip('"'),
            age_seconds=age(answer["LastModified"], headers.get("date")),
            made_at=answer.get("Metadata", {}).get(MADE_AT),
        )

    def _ready_client(self) -> S3Client:
        self.warm()
        client = self._client
        # Only another thread's close() can have taken it away again.
        return client if client is not None else self._ready_client()

    def _headers(self, delivery: Delivery, output: OutputFile) -> dict[str, str]:
        """What goes with an object, by S3's names (PutObject and CreateMultipartUpload take the same)."""
        wished = {
            "ContentType": output.content_type,
            "ACL": delivery.acl or self._options.acl,
            "StorageClass": delivery.storage_class or self._options.storage_class,
            "CacheControl": delivery.cache_control or self._options.cache_control,
        }
        return {name: value for name, value in wished.items() if value}

    def _url_kind(self, delivery: Delivery) -> UrlKind:
        own: UrlKind = "public" if self._options.public_base_url else "presigned"
        return delivery.url or self._options.url_kind or own

    def _stored(self, client: S3Client, delivery: Delivery, waiting: Waiting) -> StoredOutput:
        output, key, uri = waiting.output, waiting.parcel.key, waiting.uri
        kind = self._url_kind(delivery)
        if kind == "none":
            return StoredOutput(output, uri=uri)
        if kind == "public":
            base = (self._options.public_base_url or "").rstrip("/")
            return StoredOutput(output, url=f"{base}/{quote(key)}", uri=uri)
        seconds = delivery.expires_in or self._options.url_expires_seconds
        # Signatures tell whole seconds. Taken before signing: the link never dies before the time it is said to.
        expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
        with translated(self._options):
            url = client.generate_presigned_url(
                "get_object", Params={"Bucket": self._options.bucket, "Key": key}, ExpiresIn=seconds
            )
        return StoredOutput(output, url=url, uri=uri, expires_at=expires_at)
