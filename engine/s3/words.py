"""The words that Amazon and Google know for an object's ACL and storage class.

A server refuses another only when the result is uploaded, after the job has run.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from engine.wording import did_you_mean, listed

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html, x-amz-acl; other servers took the words over.
CANNED_ACLS = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
)

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html, x-amz-storage-class.
AMAZONS_CLASSES = (
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
    "EXPRESS_ONEZONE",
    "OUTPOSTS",
    "SNOW",
    "FSX_OPENZFS",
    "FSX_ONTAP",
    "AWS_BACKUP_WARM",
    "AWS_BACKUP_LOW_COST_WARM",
)

# https://cloud.google.com/storage/docs/storage-classes; the last three are older and still taken.
GOOGLES_CLASSES = (
    "STANDARD",
    "NEARLINE",
    "COLDLINE",
    "ARCHIVE",
    "MULTI_REGIONAL",
    "REGIONAL",
    "DURABLE_REDUCED_AVAILABILITY",
)

# https://cloud.google.com/storage/docs/access-control/lists#predefined-acl, as Google's server that speaks S3 calls it.
_GOOGLES_OWN_ACL = "project-private"

# Botocore's own, which lead a client without an endpoint to another server than Amazon's
# (https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html).
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


def acl_problem(acl: str, endpoint_url: str | None) -> str | None:
    """What is wrong with a canned ACL of S3's; None if nothing is.

    Args:
        acl: the word.
        endpoint_url: of the server; None for Amazon.
    """
    known = (*CANNED_ACLS, _GOOGLES_OWN_ACL) if _is_below(endpoint_url, "googleapis.com") else CANNED_ACLS
    return unknown_word(acl, known)


def storage_class_problem(storage_class: str, endpoint_url: str | None) -> str | None:
    """What is wrong with a storage class; None if nothing is, or if the server is neither Amazon's nor Google's.

    Args:
        storage_class: the word.
        endpoint_url: of the server; None for Amazon.
    """
    endpoint = endpoint_url or next((os.environ[name] for name in _ENDPOINT_VARIABLES if os.environ.get(name)), None)
    if endpoint is None or _is_below(endpoint, "amazonaws.com") or _is_below(endpoint, "amazonaws.com.cn"):
        return unknown_word(storage_class, AMAZONS_CLASSES)
    if _is_below(endpoint, "googleapis.com"):
        return unknown_word(storage_class, GOOGLES_CLASSES)
    return None


def unknown_word(word: str, known: tuple[str, ...]) -> str | None:
    """That a word is not among those known, with the nearest and all of them; None if it is."""
    if word in known:
        return None
    return f'"{word}" is unknown{did_you_mean(word, known)}; there are: {listed(known)}'


def _is_below(endpoint_url: str | None, domain: str) -> bool:
    try:
        host = (urlsplit(endpoint_url or "").hostname or "").rstrip(".")
    except ValueError:  # said elsewhere
        return False
    return host == domain or host.endswith(f".{domain}")
