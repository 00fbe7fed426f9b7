"""Results in a bucket, at Amazon or at anything that speaks S3."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from engine.cancellation import CancellationToken
from engine.delivery import Delivery, Naming, UrlKind
from engine.dialing import Public
from engine.errors import StorageError
from engine.results import OutputFile, StoredOutput
from engine.s3 import S3Options, build_client, translated
from engine.storage.uploads import upload_all

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MULTIPART_BYTES = 8 * 1024 * 1024
"""Above this a file goes up in parts of this size; S3 takes parts from 5 MiB on, and 10000 of them
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html). A part is read from the file as it is sent, and
never held as a whole."""

_PARTS_AT_ONCE = 4


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
    """

    name = "s3"

    def __init__(self, options: S3Options, *, uploads_at_once: int = 4, public: Public | None = None) -> None:
        self._options = options
        self._public = public
        self._uploads_at_once = uploads_at_once
        self._building = threading.Lock()
        self._client: S3Client | None = None

    def warm(self) -> None:
        """Builds the client now, so that the first job does not wait for it. Sends nothing.

        Raises:
            StorageError: no client can be made of the options (a profile that does not exist).
        """
        with self._building:
            if self._client is None:
                self._client = build_client(self._options, public=self._public)

    def close(self) -> None:
        """Closes the client's connections; the next upload builds another."""
        with self._building:
            if self._client is not None:
                self._client.close()
                self._client = None

    def put(
        self,
        outputs: Sequence[OutputFile],
        *,
        naming: Naming,
        delivery: Delivery,
        cancel: CancellationToken | None = None,
    ) -> list[StoredOutput]:
        """Uploads the results, several at once; see `Storage.put`.

        Objects of a job that failed half way stay in the bucket: the key may well lack the right to delete
        them. A second try of the same job writes to the same keys, unless their names tell the time.

        Raises:
            Cancelled: the job was cancelled. Objects that were uploaded by then stay.
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
        upload = functools.partial(self._upload, self._ready_client(), delivery)
        return upload_all(
            outputs,
            upload,
            naming=naming,
            delivery=delivery,
            root=self._options.prefix,
            at_once=self._uploads_at_once,
            cancel=cancel,
        )

    def _ready_client(self) -> S3Client:
        self.warm()
        client = self._client
        # Only another thread's close() can have taken it away again.
        return client if client is not None else self._ready_client()

    def _upload(self, client: S3Client, delivery: Delivery, output: OutputFile, path: Path, key: str) -> StoredOutput:
        with translated(self._options):
            headers = self._headers(output, delivery)
            if output.size_bytes < _MULTIPART_BYTES:
                with path.open("rb") as body:
                    client.put_object(Bucket=self._options.bucket, Key=key, Body=body, **headers)
            else:
                self._upload_in_parts(client, path, key, headers)
            return self._stored(client, delivery, output, key)

    def _headers(self, output: OutputFile, delivery: Delivery) -> dict[str, Any]:
        """What goes with an object, by S3's names (PutObject and CreateMultipartUpload take the same)."""
        wished = {
            "ContentType": output.content_type,
            "ACL": delivery.acl or self._options.acl,
            "StorageClass": delivery.storage_class or self._options.storage_class,
            "CacheControl": delivery.cache_control or self._options.cache_control,
        }
        return {name: value for name, value in wished.items() if value}

    def _upload_in_parts(self, client: S3Client, path: Path, key: str, headers: dict[str, Any]) -> None:
        from boto3.s3.transfer import TransferConfig

        client.upload_file(
            str(path),
            self._options.bucket,
            key,
            ExtraArgs=headers,
            # "classic": an awscrt that happens to be installed would bring other retries and other errors.
            Config=TransferConfig(
                multipart_threshold=_MULTIPART_BYTES,
                multipart_chunksize=_MULTIPART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
                preferred_transfer_client="classic",
            ),
        )

    def _url_kind(self, delivery: Delivery) -> UrlKind:
        own: UrlKind = "public" if self._options.public_base_url else "presigned"
        return delivery.url or self._options.url_kind or own

    def _stored(self, client: S3Client, delivery: Delivery, output: OutputFile, key: str) -> StoredOutput:
        uri = f"s3://{self._options.bucket}/{key}"
        kind = self._url_kind(delivery)
        if kind == "none":
            return StoredOutput(output, uri=uri)
        if kind == "public":
            base = (self._options.public_base_url or "").rstrip("/")
            return StoredOutput(output, url=f"{base}/{quote(key)}", uri=uri)
        seconds = delivery.expires_in or self._options.url_expires_seconds
        # Signatures tell whole seconds. Taken before signing: the link never dies before the time it is said to.
        expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
        url = client.generate_presigned_url(
            "get_object", Params={"Bucket": self._options.bucket, "Key": key}, ExpiresIn=seconds
        )
        return StoredOutput(output, url=url, uri=uri, expires_at=expires_at)
