"""Where results go: a bucket, the reply itself, or a folder. `new_backend.md` says how to add one more."""

from __future__ import annotations

from engine.s3 import S3Options
from engine.storage.base import Storage
from engine.storage.configured import spool_folder
from engine.storage.directory import DirectoryStorage
from engine.storage.gcs import GCSStorage
from engine.storage.inline import InlineStorage
from engine.storage.requested import DeliveryRequest
from engine.storage.s3 import S3Storage
from engine.storage.selection import Storages

__all__ = [
    "DeliveryRequest",
    "DirectoryStorage",
    "GCSStorage",
    "InlineStorage",
    "S3Options",
    "S3Storage",
    "Storage",
    "Storages",
    "spool_folder",
]
