"""A bucket that speaks S3: what it needs to be told, its client, and its errors in words for people."""

from __future__ import annotations

from engine.s3.client import build_client
from engine.s3.errors import translated
from engine.s3.options import S3Options
from engine.s3.words import acl_problem, storage_class_problem

__all__ = ["S3Options", "acl_problem", "build_client", "storage_class_problem", "translated"]
