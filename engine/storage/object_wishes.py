"""What a request wishes of the objects themselves: their ACL and storage class, in the words of the bucket's server."""

from __future__ import annotations

from engine.errors import Problem
from engine.s3 import S3Options, acl_problem, storage_class_problem
from engine.s3.words import GOOGLES_CLASSES, unknown_word
from engine.storage.requested import DeliveryRequest

# https://cloud.google.com/storage/docs/access-control/lists#predefined-acl: by S3's names, and Google's own.
_GOOGLES_ACLS = {
    "private": "private",
    "public-read": "publicRead",
    "authenticated-read": "authenticatedRead",
    "bucket-owner-read": "bucketOwnerRead",
    "bucket-owner-full-control": "bucketOwnerFullControl",
    "project-private": "projectPrivate",
}


def predefined_acl(acl: str | None) -> str | None:
    """Google's name of a predefined ACL, for S3's or Google's own."""
    return _GOOGLES_ACLS.get(acl, acl) if acl else None


def s3_problems(asked: DeliveryRequest, options: S3Options) -> list[Problem]:
    """What a bucket that speaks S3 would refuse, after the job has run."""
    return _problems(
        acl=acl_problem(asked.acl, options.endpoint_url) if asked.acl else None,
        storage_class=storage_class_problem(asked.storage_class, options.endpoint_url) if asked.storage_class else None,
    )


def gcs_problems(asked: DeliveryRequest) -> list[Problem]:
    """What a bucket of Google's would refuse, after the job has run."""
    acls = tuple(dict.fromkeys([*_GOOGLES_ACLS, *_GOOGLES_ACLS.values()]))
    return _problems(
        acl=unknown_word(asked.acl, acls) if asked.acl else None,
        storage_class=unknown_word(asked.storage_class, GOOGLES_CLASSES) if asked.storage_class else None,
    )


def _problems(**complaints: str | None) -> list[Problem]:
    return [Problem(f"delivery.{key}", complaint) for key, complaint in complaints.items() if complaint]
