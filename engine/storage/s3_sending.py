"""One file into a bucket that speaks S3: whole or in parts, tried again, and nothing left of it half way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import TYPE_CHECKING, Any

from engine.cancellation import CancellationToken
from engine.errors import Cancelled, StorageError
from engine.logs import event
from engine.s3 import S3Options, translated
from engine.storage.parcels import Parcel
from engine.storage.retrying import Patience
from engine.transfers import Body, Transfer, watched

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

_MULTIPART_BYTES = 8 * 1024 * 1024
"""From here on a file goes up in parts of this size; S3 takes parts from 5 MiB on
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html). A part is read from the file as it is sent, and
never held as a whole."""

_MOST_PARTS = 10_000  # the same page

_PARTS_AT_ONCE = 4

_JOINING_SECONDS = 180.0
"""For the answer to CompleteMultipartUpload, which may take minutes
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html)."""

_TIDYING_SECONDS = 3.0
"""For each object, and each upload in parts, that is to be removed: the job is over, and its caller may wait."""

_MOST_REMEMBERED = 100


class S3Sender:
    """Sends files to one bucket.

    Args:
        options: the bucket.
    """

    def __init__(self, options: S3Options) -> None:
        self._options = options
        self._bucket = options.bucket
        self._lock = threading.Lock()
        self._half_way: list[tuple[str, str]] = []

    def send(
        self,
        client: S3Client,
        parcel: Parcel,
        patience: Patience,
        cancel: CancellationToken,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Uploads a file.

        Args:
            client: of the bucket.
            parcel: the file and its key.
            patience: how long it is tried again.
            cancel: ends it.
            metadata: of the object.

        Raises:
            Cancelled: it was ended. The bucket then has no object of it, as far as it can be removed.
            StorageError: the bucket did not take it.
        """
        headers: dict[str, Any] = {**parcel.headers, **({"Metadata": dict(metadata)} if metadata else {})}
        if parcel.size_bytes < _MULTIPART_BYTES:
            self._send_whole(client, parcel, patience, headers)
        else:
            self._send_in_parts(client, parcel, patience, cancel, headers)
        self._tidy(client)

    def remove(self, client: S3Client, key: str) -> None:
        """Removes an object, if the credentials may; never raises."""
        try:
            self._once(lambda: client.delete_object(Bucket=self._bucket, Key=key))
        except StorageError as error:
            event(
                log,
                logging.WARNING,
                "an object of a cancelled job stays",
                key=key,
                bucket=self._bucket,
                reason=str(error),
            )

    def _send_whole(self, client: S3Client, parcel: Parcel, patience: Patience, headers: dict[str, Any]) -> None:
        was_read = False

        def attempt(transfer: Transfer) -> None:
            nonlocal was_read
            with translated(self._options), parcel.path.open("rb") as file:
                body = Body(file, transfer, length=parcel.size_bytes)
                try:
                    client.put_object(Bucket=self._bucket, Key=parcel.key, Body=body, **headers)  # type: ignore[arg-type]
                finally:
                    was_read = was_read or body.was_read

        try:
            patience.run(attempt)
        except Cancelled:
            if was_read:  # the answer was not waited for, so it may be there
                self.remove(client, parcel.key)
            raise

    def _send_in_parts(
        self,
        client: S3Client,
        parcel: Parcel,
        patience: Patience,
        cancel: CancellationToken,
        headers: dict[str, Any],
    ) -> None:
        where: Any = {"Bucket": self._bucket, "Key": parcel.key}

        def begin(_: Transfer) -> str:
            with translated(self._options):
                if not parcel.path.is_file():
                    raise FileNotFoundError(parcel.path)
                return self._told(client.create_multipart_upload(**where, **headers), "UploadId")

        where["UploadId"] = patience.run(begin)
        joining = False
        try:
            parts = self._send_parts(client, parcel, patience, cancel, where)
            joining = True
            self._join(client, patience, where, parts, parcel)
        except BaseException as error:
            self._abort(client, parcel.key, where["UploadId"])
            if joining and isinstance(error, Cancelled):
                self.remove(client, parcel.key)
            raise

    def _send_parts(
        self, client: S3Client, parcel: Parcel, patience: Patience, cancel: CancellationToken, where: dict[str, Any]
    ) -> list[dict[str, Any]]:
        size = max(_MULTIPART_BYTES, -(-parcel.size_bytes // _MOST_PARTS))

        def send_part(number: int) -> dict[str, Any]:
            def attempt(transfer: Transfer) -> dict[str, Any]:
                start = (number - 1) * size
                with translated(self._options), parcel.path.open("rb") as file:
                    body: Any = Body(file, transfer, start=start, length=min(size, parcel.size_bytes - start))
                    answer = client.upload_part(**where, PartNumber=number, Body=body)
                    return {"PartNumber": number, "ETag": self._told(answer, "ETag")}

            cancel.raise_if_cancelled()
            return patience.run(attempt)

        numbers = range(1, -(-parcel.size_bytes // size) + 1)
        with ThreadPoolExecutor(_PARTS_AT_ONCE, "part") as pool:
            sent = [pool.submit(send_part, number) for number in numbers]
            done, _ = wait_for(sent, return_when="FIRST_EXCEPTION")
            if any(each.exception() for each in done):
                pool.shutdown(wait=False, cancel_futures=True)
        failed = next((each for each in sent if not each.cancelled() and each.exception()), None)
        if failed is not None:
            failed.result()
        return [each.result() for each in sent]

    def _told(self, answer: Mapping[str, Any], name: str) -> str:
        """What an answer must hold, and does not where the connection ended before it did.

        Raises:
            StorageError: it does not.
        """
        if not answer.get(name):
            raise StorageError(f"{self._options.host} did not finish its answer")
        return str(answer[name])

    def _join(
        self, client: S3Client, patience: Patience, where: dict[str, Any], parts: list[dict[str, Any]], parcel: Parcel
    ) -> None:
        tries = 0

        def attempt(transfer: Transfer) -> None:
            nonlocal tries
            tries += 1
            transfer.allow_silence(_JOINING_SECONDS)
            with translated(self._options):
                client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})  # type: ignore[typeddict-item]

        try:
            patience.run(attempt)
        except StorageError as error:
            # An answer got lost, and what is joined already can't be joined again.
            if tries == 1 or code_of(error) != "NoSuchUpload" or not self._is_there(client, parcel):
                raise

    def _is_there(self, client: S3Client, parcel: Parcel) -> bool:
        try:
            answer = self._once(lambda: client.head_object(Bucket=self._bucket, Key=parcel.key))
        except StorageError:
            return False
        return bool(answer.get("ContentLength") == parcel.size_bytes)

    def _abort(self, client: S3Client, key: str, upload_id: str) -> None:
        try:
            self._once(lambda: client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id))
        except StorageError as error:
            if code_of(error) == "NoSuchUpload":
                return
            event(
                log, logging.WARNING, "parts of an object stay for now", key=key, bucket=self._bucket, reason=str(error)
            )
            with self._lock:
                self._half_way = [*self._half_way, (key, upload_id)][-_MOST_REMEMBERED:]

    def _tidy(self, client: S3Client) -> None:
        """Removes the parts of uploads that could not be removed when they failed: the bucket is back."""
        with self._lock:
            half_way, self._half_way = self._half_way, []
        for key, upload_id in half_way:
            self._abort(client, key, upload_id)

    def _once(self, call: Callable[[], Any]) -> Any:
        """One try, for what a job does not depend on, and which its cancellation does not end."""
        with watched(Transfer(CancellationToken(), _TIDYING_SECONDS)), translated(self._options):
            return call()


def code_of(error: StorageError) -> str:
    """S3's own code of a refusal (`NoSuchUpload`); empty where there was none."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
