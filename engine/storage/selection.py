"""Which place a job's results go to: the operator's defaults, and the request's wishes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from engine.cancellation import CancellationToken
from engine.delivery import Delivery, Naming, StorageMode
from engine.errors import InvalidRequest, Problem, ResultTooLarge
from engine.name_templates import DEFAULT_TEMPLATE, template_problem
from engine.names import clean_prefix
from engine.results import OutputFile, StoredOutput
from engine.s3 import S3Options
from engine.settings import Settings
from engine.storage.base import Storage
from engine.storage.callers_bucket import CallersBuckets, options_of
from engine.storage.configured import buckets, spool_of
from engine.storage.directory import DirectoryStorage, Link
from engine.storage.gcs import GCSStorage
from engine.storage.inline import InlineStorage
from engine.storage.object_wishes import gcs_problems, s3_problems
from engine.storage.requested import DeliveryRequest
from engine.storage.rescue import Rescue
from engine.storage.s3 import S3Storage

_ROOM_BYTES = 100_000
"""Of a reply, for what is not results: the values, the timings, a hash and a name of each result."""

_SETTINGS = {"s3": "S3_BUCKET with its credentials", "gcs": "GCS_BUCKET with its credentials"}


class Storages:
    """Every place that results can go to; one serves the process, from several threads at once.

    Args:
        settings: the operator's.
        default: where results go when neither the settings nor the request say, and there is no bucket.
        link: gives each result in a folder a link, where a server has it; see `DirectoryStorage`.

    Raises:
        SettingsError: the settings of a bucket, or of names, can't be right; with every problem.
    """

    def __init__(
        self, settings: Settings, *, default: Literal["inline", "directory"], link: Link | None = None
    ) -> None:
        self._settings = settings
        s3, gcs = buckets(settings)
        at_once = settings.uploads_at_once
        limit = settings.response_limit_bytes
        self._s3_options, self._gcs_options = s3, gcs
        seconds = settings.upload_retry_seconds
        self._s3 = S3Storage(s3, uploads_at_once=at_once, retry_seconds=seconds) if s3 else None
        self._gcs = GCSStorage(gcs, uploads_at_once=at_once, retry_seconds=seconds) if gcs else None
        self._inline = InlineStorage(limit - min(_ROOM_BYTES, limit // 10))
        self._directory = DirectoryStorage(settings.output_folder, link)
        self._callers = CallersBuckets(
            uploads_at_once=at_once, allow_private=settings.allow_private_urls, retry_seconds=seconds
        )
        self._rescue = Rescue(self._inline, spool_of(settings), [each for each in (self._s3, self._gcs) if each])
        named = settings.storage if settings.storage in ("s3", "gcs") else None
        self._bucket_mode: Literal["s3", "gcs"] | None = named or ("s3" if s3 else "gcs" if gcs else None)
        self.default_mode: StorageMode = settings.storage or self._bucket_mode or default

    def delivery(
        self,
        asked: DeliveryRequest | None,
        *,
        s3_config: Mapping[str, Any] | None = None,
        parameters: Collection[str] = (),
        allow_folder: bool = False,
    ) -> Delivery:
        """How the results of a job are delivered: the operator's defaults with the request's wishes over them.

        Looked at before the job runs, so that nothing is made that can't be delivered.

        Args:
            asked: the request's `delivery`.
            s3_config: the request's `s3Config`, as it was sent.
            parameters: of the workflow, which names can be made of.
            allow_folder: the request may ask for a folder; for the command line and the local server.

        Raises:
            InvalidRequest: the request asks for what can't be had; with every problem.
        """
        asked = asked or DeliveryRequest()
        callers = None if s3_config is None else self._callers_options(s3_config)
        mode: StorageMode = "s3" if s3_config is not None else asked.mode or self.default_mode
        problems = [
            *self._mode_problems(asked, mode, is_callers=s3_config is not None, allow_folder=allow_folder),
            *self._url_problems(asked, mode, is_callers=s3_config is not None),
            *self._name_problems(asked, mode, parameters, is_callers=s3_config is not None),
            *self._format_problems(asked),
            *self._object_problems(asked, mode, callers),
        ]
        if problems:
            raise InvalidRequest(problems=problems, hint="see docs/delivery.md")
        settings = self._settings
        picture_format = asked.format or settings.output_format
        lossless = settings.output_lossless if asked.lossless is None else asked.lossless
        return Delivery(
            mode=mode,
            prefix=asked.prefix or "",
            filename=asked.filename or settings.filename_template,
            format=picture_format,
            quality=settings.output_quality if asked.quality is None else asked.quality,
            lossless=lossless and picture_format != "jpeg",
            metadata=asked.metadata or settings.output_metadata,
            url=asked.url,
            expires_in=asked.expires_in,
            acl=asked.acl,
            storage_class=asked.storage_class,
            cache_control=asked.cache_control,
            thumbnail=settings.thumbnail_pixels if asked.thumbnail is None else asked.thumbnail,
        )

    def put(
        self,
        outputs: Sequence[OutputFile],
        *,
        naming: Naming,
        delivery: Delivery,
        s3_config: Mapping[str, Any] | None = None,
        cancel: CancellationToken | None = None,
    ) -> tuple[list[StoredOutput], list[str]]:
        """Stores the results of a job.

        Results that are too large for the reply go to the operator's bucket, if there is one. Those that the bucket
        does not take for now come in the reply if they fit, and are kept for it.

        Args:
            outputs: what the job made.
            naming: what names can be made of.
            delivery: as `delivery` gave it.
            s3_config: the request's.
            cancel: looked at between the results, and in waits; what has not begun then does not begin.

        Returns:
            One stored output for each output, in order, and warnings for the caller.

        Raises:
            Cancelled: the job was cancelled.
            InvalidRequest: the address of the caller's bucket has changed into one that may not be called.
            ResultTooLarge: the reply has no room for them, and there is no bucket.
            StorageError: they could not be stored. With `results_kept` they will be, and `problems` names the objects.
        """
        cancel = cancel or CancellationToken()
        if s3_config is not None:
            with self._callers.borrow(self._callers_options(s3_config)) as bucket:
                return self._rescue.put(bucket, outputs, None, naming=naming, delivery=delivery, cancel=cancel)
        try:
            return self._put(outputs, naming=naming, delivery=delivery, cancel=cancel)
        except ResultTooLarge as error:
            if self._bucket_mode is None or delivery.mode != "inline":
                raise
            instead = replace(delivery, mode=self._bucket_mode)
            stored, warnings = self._put(outputs, naming=naming, delivery=instead, cancel=cancel)
            return stored, [f"{error.message}; the results are in the bucket instead", *warnings]

    def _put(
        self, outputs: Sequence[OutputFile], *, naming: Naming, delivery: Delivery, cancel: CancellationToken
    ) -> tuple[list[StoredOutput], list[str]]:
        store = self.store(delivery.mode)
        if not isinstance(store, S3Storage | GCSStorage):
            return store.put(outputs, naming=naming, delivery=delivery, cancel=cancel), []
        return self._rescue.put(store, outputs, store.place, naming=naming, delivery=delivery, cancel=cancel)

    def store(self, mode: StorageMode) -> Storage:
        """The operator's place of one kind.

        Raises:
            InvalidRequest: it is not configured.
        """
        stores: dict[StorageMode, Storage | None] = {
            "s3": self._s3,
            "gcs": self._gcs,
            "inline": self._inline,
            "directory": self._directory,
        }
        found = stores[mode]
        if found is None:
            raise InvalidRequest(problems=[_not_configured(mode)])
        return found

    def warm(self) -> None:
        """Builds the client of the default bucket now, so that the first job does not wait for it.

        What waits for the operator's buckets from before begins to be delivered.

        Raises:
            StorageError: no client can be made.
        """
        bucket = {"s3": self._s3, "gcs": self._gcs}.get(self.default_mode)
        if bucket is not None:
            bucket.warm()
        self._rescue.start()

    def check(self) -> None:
        """Asks for the bucket at Google, if the operator wants that at the start (GCS_VALIDATE).

        Raises:
            StorageError: it is not there, or can't be written to.
        """
        if self._gcs is not None and self._settings.gcs_validate:
            self._gcs.check()

    def close(self) -> None:
        """Closes every connection; a later upload opens new ones. What waits for a bucket goes on waiting."""
        self._rescue.close()
        for storage in (self._s3, self._gcs, self._callers):
            if storage is not None:
                storage.close()

    def _callers_options(self, s3_config: Mapping[str, Any]) -> S3Options:
        if not self._settings.allow_s3_config:
            raise InvalidRequest(
                problems=[Problem("s3Config", "is not allowed here: results go where the operator says")],
                hint="the operator allows it with ALLOW_S3_CONFIG=1",
            )
        return options_of(
            s3_config,
            allow_private=self._settings.allow_private_urls,
            url_expires_seconds=self._settings.s3_url_seconds,
        )

    def _bucket_of(self, mode: StorageMode) -> StorageMode | None:
        """The bucket that results may go to: those too large for the reply go to one as well."""
        return self._bucket_mode if mode == "inline" else mode

    def _mode_problems(
        self, asked: DeliveryRequest, mode: StorageMode, *, is_callers: bool, allow_folder: bool
    ) -> list[Problem]:
        if is_callers:
            if asked.mode not in (None, "s3"):
                return [Problem("delivery.mode", f"must be s3 with an s3Config (got {asked.mode})")]
            return []
        if asked.mode == "directory" and self.default_mode != "directory" and not allow_folder:
            return [Problem("delivery.mode", "directory is a folder of the worker, which no caller can read")]
        if (mode == "s3" and self._s3 is None) or (mode == "gcs" and self._gcs is None):
            return [_not_configured(mode)]
        return []

    def _url_problems(self, asked: DeliveryRequest, mode: StorageMode, *, is_callers: bool) -> list[Problem]:
        if asked.url != "public":
            return []
        where = "delivery.url"
        if is_callers:
            return [Problem(where, "a bucket of s3Config has no public address that is known here; ask for presigned")]
        bucket = self._bucket_of(mode)
        if bucket == "s3" and self._s3_options and not self._s3_options.public_base_url:
            return [Problem(where, "there are no public links: the operator sets S3_PUBLIC_BASE_URL for them")]
        if bucket == "gcs" and self._gcs_options and not self._gcs_options.public:
            return [Problem(where, "there are no public links: the operator sets GCS_PUBLIC=1 for a public bucket")]
        return []

    def _name_problems(
        self, asked: DeliveryRequest, mode: StorageMode, parameters: Collection[str], *, is_callers: bool
    ) -> list[Problem]:
        prefix = asked.prefix or ""
        if "{" in prefix or "}" in prefix:
            return [Problem("delivery.prefix", "takes no fields; write them into delivery.filename")]
        options = {"s3": self._s3_options, "gcs": self._gcs_options}.get(self._bucket_of(mode) or "")
        root = options.prefix if options and not is_callers else ""
        before = "/".join(part for part in (clean_prefix(root), prefix) if part)
        if asked.filename is not None:
            complaint = template_problem(asked.filename, prefix=before, parameters=parameters)
            return [Problem("delivery.filename", complaint)] if complaint else []
        # The operator's own template was looked at when the worker started, but not with this prefix.
        complaint = template_problem(self._settings.filename_template or DEFAULT_TEMPLATE, prefix=before)
        return [Problem("delivery.prefix", "is too long for a whole name of 1024 bytes")] if complaint else []

    def _format_problems(self, asked: DeliveryRequest) -> list[Problem]:
        if asked.lossless and (asked.format or self._settings.output_format) == "jpeg":
            return [Problem("delivery.lossless", "JPEG always loses; ask for webp, avif or png")]
        return []

    def _object_problems(self, asked: DeliveryRequest, mode: StorageMode, callers: S3Options | None) -> list[Problem]:
        bucket = self._bucket_of(mode)
        if bucket == "gcs":
            return gcs_problems(asked)
        options = callers or self._s3_options
        return s3_problems(asked, options) if bucket == "s3" and options else []


def _not_configured(mode: StorageMode) -> Problem:
    return Problem("delivery.mode", f"{mode} is not configured on this worker: the operator sets {_SETTINGS[mode]}")
