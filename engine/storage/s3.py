"""Results in a bucket, at Amazon or at anything that speaks S3."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from engine.delivery import Delivery, Naming
from engine.names import object_keys
from engine.results import OutputFile, StoredOutput
from engine.s3 import S3Options, build_client, translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MULTIPART_BYTES = 8 * 1024 * 1024
"""Above this a file goes up in parts of this size; S3 takes parts from 5 MiB on, and 10000 of them
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""

_UPLOADS_AT_ONCE = 4
_PARTS_AT_ONCE = 4


class S3Storage:
    """Uploads results and gives links to them.

    One client serves the process: building one costs some 80 ms, and it may be used from many threads
    (https://docs.aws.amazon.com/boto3/latest/guide/clients.html, "multithreading"). It is built with the
    first upload, or before by `warm`.

    Args:
        options: the bucket and how to reach it.
    """

    name = "s3"

    def __init__(self, options: S3Options) -> None:
        self._options = options
        self._building = threading.Lock()
        self._client: S3Client | None = None

    def warm(self) -> None:
        """Builds the client now, so that the first job does not wait for it. Sends nothing.

        Raises:
            StorageError: no client can be made of the options (a profile that does not exist).
        """
        with self._building:
            if self._client is None:
                self._client = build_client(self._options)

    def close(self) -> None:
        """Closes the client's connections; the next upload builds another."""
        with self._building:
            if self._client is not None:
                self._client.close()
                self._client = None

    def put(self, outputs: Sequence[OutputFile], *, naming: Naming, delivery: Delivery) -> list[StoredOutput]:  # noqa: ARG002
        """Uploads the results, several at once; see `Storage.put`.

        Objects of a job that failed half way stay in the bucket: the key may well lack the right to delete
        them. A second try of the same job writes to the same keys.

        Raises:
            StorageError: the bucket, the server or the credentials did not let it happen. The message never
                holds a secret, a key id or a signature.
        """
        with_file = [(output, output.path) for output in outputs if output.path is not None]
        if not with_file:
            return [StoredOutput(output) for output in outputs]
        client = self._ready_client()
        keys = object_keys(
            [(output.filename, output.name) for output, _ in with_file],
            template=self._options.key_template,
            prefix=self._options.prefix,
            workflow=naming.workflow,
            job_id=naming.job_id,
        )
        with ThreadPoolExecutor(min(_UPLOADS_AT_ONCE, len(with_file)), "upload") as pool:
            uploads = [
                pool.submit(self._upload, client, output, path, key)
                for (output, path), key in zip(with_file, keys, strict=True)
            ]
            try:
                stored = iter([upload.result() for upload in uploads])
            except BaseException:
                # What has not begun need not; leaving the block waits for what has.
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [StoredOutput(output) if output.path is None else next(stored) for output in outputs]

    def _ready_client(self) -> S3Client:
        self.warm()
        client = self._client
        # Only another thread's close() can have taken it away again.
        return client if client is not None else self._ready_client()

    def _upload(self, client: S3Client, output: OutputFile, path: Path, key: str) -> StoredOutput:
        with translated(self._options):
            if output.size_bytes < _MULTIPART_BYTES:
                with path.open("rb") as body:
                    client.put_object(Bucket=self._options.bucket, Key=key, Body=body, ContentType=output.content_type)
            else:
                self._upload_in_parts(client, output, path, key)
            return self._stored(client, output, key)

    def _upload_in_parts(self, client: S3Client, output: OutputFile, path: Path, key: str) -> None:
        from boto3.s3.transfer import TransferConfig

        client.upload_file(
            str(path),
            self._options.bucket,
            key,
            ExtraArgs={"ContentType": output.content_type},
            # "classic": an awscrt that happens to be installed would bring other retries and other errors.
            Config=TransferConfig(
                multipart_threshold=_MULTIPART_BYTES,
                multipart_chunksize=_MULTIPART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
                preferred_transfer_client="classic",
            ),
        )

    def _stored(self, client: S3Client, output: OutputFile, key: str) -> StoredOutput:
        if self._options.public_base_url:
            return StoredOutput(output, url=f"{self._options.public_base_url.rstrip('/')}/{quote(key)}")
        seconds = self._options.url_expires_seconds
        # Taken before signing: the link never dies before the time it is said to.
        expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
        url = client.generate_presigned_url(
            "get_object", Params={"Bucket": self._options.bucket, "Key": key}, ExpiresIn=seconds
        )
        return StoredOutput(output, url=url, expires_at=expires_at)
