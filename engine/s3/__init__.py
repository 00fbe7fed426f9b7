"""A bucket that speaks S3: what it needs to be told, its client, and its errors in words for people."""

from __future__ import annotations

from engine.s3.client import build_client
from engine.s3.errors import translated
from engine.s3.options import S3Options

__all__ = ["S3Options", "build_client", "translated"]
