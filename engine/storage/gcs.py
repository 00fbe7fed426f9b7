"""Results in a bucket of Google Cloud Storage, by Google's own package (the extra `gcs`)."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from engine.cancellation import CancellationToken
from engine.delivery import Delivery, Naming, UrlKind
from engine.errors import StorageError
from engine.results import OutputFile, StoredOutput
from engine.storage.gcs_errors import translated
from engine.storage.gcs_options import GCSOptions, build_client
from engine.storage.object_wishes import predefined_acl
from engine.storage.uploads import upload_all

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Client

_CHUNK_BYTES = 4 * 1024 * 1024
"""Above this a file goes up in chunks of this size, one after the other, each held in memory as it is sent; it must
be a multiple of 256 KiB (https://cloud.google.com/storage/docs/performing-resumable-uploads#chunked-upload)."""

_UPLOADS_AT_ONCE = 6
"""Of all jobs together: with a chunk and its copy each, they hold less than 64 MiB."""

_TIMEOUT_SECONDS = (10, 60)  # to connect, and for an answer

_LONGEST_SLEEP_SECONDS = 60


class GCSStorage:
    """Uploads results and gives links to them.

    One client serves the process; it is built with the first upload, or before by `warm`.

    Args:
        options: the bucket and how to reach it.
        uploads_at_once: of one job's results.
    """

    name = "gcs"

    def __init__(self, options: GCSOptions, *, uploads_at_once: int = 4) -> None:
        self._options = options
        self._uploads_at_once = uploads_at_once
        self._room = threading.BoundedSemaphore(_UPLOADS_AT_ONCE)
        self._building = threading.Lock()
        self._client: Client | None = None

    def warm(self) -> None:
        """Builds the client now, so that the first job does not wait for it.

        Raises:
            StorageError: there are no credentials.
        """
        self._ready_client()

    def close(self) -> None:
        """Closes the client's connections; the next upload builds another."""
        with self._building:
            if self._client is not None:
                self._client.close()
                self._client = None

    def check(self) -> None:
        """Asks for the bucket, and whether objects may be made in it.

        Asking needs no right of its own
        (https://cloud.google.com/storage/docs/json_api/v1/buckets/testIamPermissions), unlike reading the bucket.

        Raises:
            StorageError: it does not exist, the credentials are wrong, or may not write to it.
        """
        client = self._ready_client()
        wanted = "storage.objects.create"
        with translated(self._options.bucket):
            bucket = client.bucket(self._options.bucket)
            allowed = bucket.test_iam_permissions([wanted], timeout=_TIMEOUT_SECONDS, retry=None)
        if wanted not in allowed:
            raise StorageError(
                f"the account lacks {wanted} on the bucket `{self._options.bucket}`",
                hint=f"give it the role Storage Object User on the bucket {self._options.bucket}",
                retryable=False,
            )

    def put(
        self,
        outputs: Sequence[OutputFile],
        *,
        naming: Naming,
        delivery: Delivery,
        cancel: CancellationToken | None = None,
    ) -> list[StoredOutput]:
        """Uploads the results, several at once; see `Storage.put`.

        Raises:
            Cancelled: the job was cancelled. Objects that were uploaded by then stay.
            StorageError: the bucket or the credentials did not let it happen, or can't make the links asked for. The
                message never holds a token or a signature.
        """
        cancel = cancel or CancellationToken()
        if all(output.path is None for output in outputs):
            return [StoredOutput(output) for output in outputs]
        client = self._ready_client()
        if self._url_kind(delivery) == "presigned":
            with translated(self._options.bucket):
                _signing_arguments(client)  # before the upload, which without links would be of no use
        return upload_all(
            outputs,
            functools.partial(self._upload, client, delivery, cancel),
            naming=naming,
            delivery=delivery,
            root=self._options.prefix,
            at_once=self._uploads_at_once,
            cancel=cancel,
        )

    def _ready_client(self) -> Client:
        with self._building:
            if self._client is None:
                self._client = build_client(self._options)
            return self._client

    def _upload(
        self, client: Client, delivery: Delivery, cancel: CancellationToken, output: OutputFile, path: Path, key: str
    ) -> StoredOutput:
        blob = client.bucket(self._options.bucket).blob(key, chunk_size=_CHUNK_BYTES)
        blob.cache_control = delivery.cache_control
        if delivery.storage_class:
            blob.storage_class = delivery.storage_class
        with translated(self._options.bucket):
            with path.open("rb") as body:
                self._send(blob, output, body, predefined_acl(delivery.acl), cancel)
            return self._stored(client, blob, delivery, output, key)

    def _send(self, blob: Blob, output: OutputFile, body: BinaryIO, acl: str | None, cancel: CancellationToken) -> None:
        for attempt in range(self._options.retries + 1):
            try:
                with self._room, translated(self._options.bucket):
                    cancel.raise_if_cancelled()  # room may have come long after it was asked for
                    blob.upload_from_file(
                        body,
                        rewind=True,
                        # Told the size, the package sends up to 8 MiB in one piece, with a copy of it in memory.
                        size=output.size_bytes if output.size_bytes <= _CHUNK_BYTES else None,
                        content_type=output.content_type,
                        predefined_acl=acl,
                        timeout=_TIMEOUT_SECONDS,
                        retry=None,  # the operator says how often
                    )
            except StorageError as error:
                if not error.retryable or attempt == self._options.retries:
                    raise
            else:
                return
            cancel.wait(min(self._options.retry_base_sleep * 2**attempt, _LONGEST_SLEEP_SECONDS))

    def _url_kind(self, delivery: Delivery) -> UrlKind:
        own: UrlKind = "public" if self._options.public else "presigned"
        return delivery.url or self._options.url_kind or own

    def _stored(self, client: Client, blob: Blob, delivery: Delivery, output: OutputFile, key: str) -> StoredOutput:
        kind = self._url_kind(delivery)
        uri = f"gs://{self._options.bucket}/{key}"
        if kind == "none":
            return StoredOutput(output, uri=uri)
        if kind == "public":
            url = f"https://storage.googleapis.com/{self._options.bucket}/{quote(key)}"
            return StoredOutput(output, url=url, uri=uri)
        seconds = delivery.expires_in or self._options.url_expires_seconds
        # Signatures tell whole seconds. Taken before signing: the link never dies before the time it is said to.
        expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
        url = _signed(client, blob, seconds)
        return StoredOutput(output, url=url, uri=uri, expires_at=expires_at)


def _signed(client: Client, blob: Blob, seconds: int) -> str:
    """A link that Google takes for so many seconds.

    Raises:
        StorageError: the account may not have links signed.
    """
    from google.auth.exceptions import TransportError

    arguments = _signing_arguments(client)
    try:
        return str(blob.generate_signed_url(version="v4", expiration=timedelta(seconds=seconds), **arguments))
    except TransportError as error:
        raise StorageError(
            "the result is in the bucket, but Google did not sign a link to it",
            hint="give the account the role Service Account Token Creator on itself and enable the IAM Service Account "
            "Credentials API, or set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account",
            detail=type(error).__name__,
            retryable=False,
        ) from error


def _signing_arguments(client: Client) -> dict[str, Any]:
    """What a link is signed with: nothing more where the credentials hold a key, else an account of Google's.

    Without a key, Google signs for the account
    (https://cloud.google.com/storage/docs/authentication/creating-signatures); its keys change, and such a link is
    sure to hold for twelve hours alone.

    Raises:
        StorageError: the credentials belong to no service account.
    """
    from google.auth.credentials import Signing
    from google.auth.transport.requests import Request

    credentials = client._credentials  # noqa: SLF001 - the package has no other way to ask for them
    if isinstance(credentials, Signing):
        return {}
    if getattr(credentials, "service_account_email", None):
        if not credentials.valid:
            # A role learns the name of its account, too, with its first token.
            credentials.refresh(Request())
        return {"service_account_email": credentials.service_account_email, "access_token": credentials.token}
    raise StorageError(
        "these Google credentials can't sign links",
        hint="set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account, or GCS_PUBLIC=1 for a bucket "
        'that everybody may read, or ask for "url": "none"',
        retryable=False,
    )
