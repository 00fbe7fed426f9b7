"""Results in a bucket of Google Cloud Storage, by Google's own package (the extra `gcs`)."""

from __future__ import annotations

import base64
import functools
import logging
import math
import os
import threading
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from engine.cancellation import CancellationToken
from engine.delivery import Delivery, Naming, UrlKind
from engine.errors import Cancelled, StorageError
from engine.logs import event
from engine.results import OutputFile, StoredOutput
from engine.storage.found import MADE_AT, Found, age
from engine.storage.gcs_errors import translated
from engine.storage.gcs_options import GCSOptions, build_client
from engine.storage.object_wishes import predefined_acl
from engine.storage.parcels import Parcel, Waiting
from engine.storage.retrying import RETRY_SECONDS, Patience
from engine.storage.uploads import upload_all, waiting_outputs
from engine.transfers import Body, Transfer, watched

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Client

log = logging.getLogger(__name__)

_CHUNK_BYTES = 4 * 1024 * 1024
"""Above this a file goes up in chunks of this size, one after the other, each held in memory as it is sent; it must
be a multiple of 256 KiB (https://cloud.google.com/storage/docs/performing-resumable-uploads#chunked-upload)."""

_UPLOADS_AT_ONCE = 6
"""Of all jobs together: with a chunk and its copy each, they hold less than 64 MiB."""

_TIMEOUT_SECONDS = (10, 60)  # to connect, and for an answer

_TIDYING_SECONDS = 10.0  # for all objects of a cancelled job together


class GCSStorage:
    """Uploads results and gives links to them.

    One client serves the process; it is built with the first upload, or before by `warm`.

    Args:
        options: the bucket and how to reach it.
        uploads_at_once: of one job's results.
        retry_seconds: that a job may lose to a bucket that fails.
    """

    name = "gcs"

    def __init__(self, options: GCSOptions, *, uploads_at_once: int = 4, retry_seconds: float = RETRY_SECONDS) -> None:
        self._retry_seconds = retry_seconds
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

    @property
    def place(self) -> str:
        """Which bucket of which server this is."""
        return f"{self._options.bucket} at {os.environ.get('STORAGE_EMULATOR_HOST') or 'Google Cloud Storage'}"

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

        Raises:
            Cancelled: the job was cancelled. An upload under way ends at once, and what was uploaded by then is
                removed, where the account may.
            Undelivered: the bucket could not be reached, for as long as it was tried.
            StorageError: the bucket or the credentials did not let it happen, or can't make the links asked for. The
                message never holds a token or a signature.
        """
        cancel = cancel or CancellationToken()
        if all(output.path is None for output in outputs):
            return [StoredOutput(output) for output in outputs]
        client = self._ready_client()
        patience = Patience.brief(cancel) if known_away else self._patience(self._retry_seconds, cancel)
        if self._url_kind(delivery) == "presigned":
            with translated(self._options.bucket):
                _signing_arguments(client)  # before the upload, which without links would be of no use
        planned = waiting_outputs(
            outputs,
            naming=naming,
            delivery=delivery,
            root=self._options.prefix,
            uri=lambda key: f"gs://{self._options.bucket}/{key}",
            headers=functools.partial(_headers, delivery),
        )

        def upload(waiting: Waiting) -> StoredOutput:
            self._send(client, waiting.parcel, patience, cancel)
            with translated(self._options.bucket):
                return self._stored(client, delivery, waiting)

        def remove(keys: Collection[str]) -> None:
            until = time.monotonic() + _TIDYING_SECONDS
            for key in keys:
                if time.monotonic() < until:
                    self._remove(client, key)

        return upload_all(planned, upload, remove, at_once=self._uploads_at_once, cancel=cancel)

    def deliver(self, parcel: Parcel, *, made_at: float, cancel: CancellationToken) -> bool:
        """Sends what has waited; see `Bucket.deliver`."""
        client = self._ready_client()
        patience = self._patience(0, cancel)
        found = patience.run(lambda _: self._found(client, parcel.key))
        if found is not None and found.makes_needless(parcel, made_at):
            return False
        self._send(client, parcel, patience, cancel, {MADE_AT: f"{made_at:.3f}"})
        return True

    def _patience(self, seconds: float, cancel: CancellationToken) -> Patience:
        return Patience(
            seconds,
            cancel,
            most_retries=self._options.retries,
            first_pause=self._options.retry_base_sleep,
            silence_seconds=_TIMEOUT_SECONDS[1],  # a chunk is read at once, and then sent
        )

    def _found(self, client: Client, key: str) -> Found | None:
        """The object of that key; None where there is none, or the account may not look."""
        try:
            with translated(self._options.bucket):
                blob = client.bucket(self._options.bucket).get_blob(key, timeout=_TIMEOUT_SECONDS, retry=None)
        except StorageError as error:
            if error.retryable:
                raise
            return None
        if blob is None:
            return None
        return Found(
            size_bytes=int(blob.size or 0),
            md5=base64.b64decode(blob.md5_hash or "").hex(),
            age_seconds=age(blob.updated, None) if blob.updated else math.inf,
            made_at=(blob.metadata or {}).get(MADE_AT),
        )

    def _remove(self, client: Client, key: str) -> None:
        """Removes an object of a cancelled job, if the account may; never raises."""
        try:
            with watched(Transfer(CancellationToken(), _TIDYING_SECONDS)), translated(self._options.bucket):
                client.bucket(self._options.bucket).blob(key).delete(timeout=_TIMEOUT_SECONDS, retry=None)
        except StorageError as error:
            event(
                log,
                logging.WARNING,
                "an object of a cancelled job stays",
                key=key,
                bucket=self._options.bucket,
                reason=str(error),
            )

    def _ready_client(self) -> Client:
        with self._building:
            if self._client is None:
                self._client = build_client(self._options)
            return self._client

    def _send(
        self,
        client: Client,
        parcel: Parcel,
        patience: Patience,
        cancel: CancellationToken,
        metadata: dict[str, str] | None = None,
    ) -> None:
        was_read = False

        def attempt(transfer: Transfer) -> None:
            nonlocal was_read
            blob = client.bucket(self._options.bucket).blob(parcel.key, chunk_size=_CHUNK_BYTES)
            blob.cache_control = parcel.headers.get("cacheControl")
            blob.metadata = metadata
            if storage_class := parcel.headers.get("storageClass"):
                blob.storage_class = storage_class
            with translated(self._options.bucket), parcel.path.open("rb") as file:
                body = Body(file, transfer, length=parcel.size_bytes)
                try:
                    blob.upload_from_file(
                        body,
                        rewind=True,
                        # Told the size, the package sends up to 8 MiB in one piece, with a copy of it in memory.
                        size=parcel.size_bytes if parcel.size_bytes <= _CHUNK_BYTES else None,
                        content_type=parcel.headers["contentType"],
                        predefined_acl=parcel.headers.get("predefinedAcl"),
                        timeout=_TIMEOUT_SECONDS,
                        retry=None,  # the patience says how often
                    )
                finally:
                    was_read = was_read or body.was_read

        def in_turn(transfer: Transfer) -> None:
            with self._room:
                cancel.raise_if_cancelled()  # room may have come long after it was asked for
                transfer.begin()
                attempt(transfer)

        try:
            patience.run(in_turn)
        except Cancelled:
            if was_read:  # the answer was not waited for, so it may be there
                self._remove(client, parcel.key)
            raise

    def _url_kind(self, delivery: Delivery) -> UrlKind:
        own: UrlKind = "public" if self._options.public else "presigned"
        return delivery.url or self._options.url_kind or own

    def _stored(self, client: Client, delivery: Delivery, waiting: Waiting) -> StoredOutput:
        output, key, uri = waiting.output, waiting.parcel.key, waiting.uri
        kind = self._url_kind(delivery)
        if kind == "none":
            return StoredOutput(output, uri=uri)
        if kind == "public":
            url = f"https://storage.googleapis.com/{self._options.bucket}/{quote(key)}"
            return StoredOutput(output, url=url, uri=uri)
        seconds = delivery.expires_in or self._options.url_expires_seconds
        # Signatures tell whole seconds. Taken before signing: the link never dies before the time it is said to.
        expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
        url = _signed(client, client.bucket(self._options.bucket).blob(key), seconds)
        return StoredOutput(output, url=url, uri=uri, expires_at=expires_at)


def _headers(delivery: Delivery, output: OutputFile) -> dict[str, str]:
    """What goes with an object, by the names of Google's interface."""
    wished = {
        "contentType": output.content_type,
        "predefinedAcl": predefined_acl(delivery.acl),
        "storageClass": delivery.storage_class,
        "cacheControl": delivery.cache_control,
    }
    return {name: value for name, value in wished.items() if value}


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
