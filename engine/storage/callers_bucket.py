"""A caller's own bucket: RunPod's `s3Config`, which comes with one request and its credentials.

Its values are secrets of the caller's: no message, log line or repr holds one.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from engine.dialing import NotPublicError, addresses_of, check_public, public_alone
from engine.errors import InvalidRequest, Problem, SettingsError
from engine.s3 import S3Options
from engine.storage.retrying import RETRY_SECONDS
from engine.storage.s3 import S3Storage
from engine.wording import did_you_mean, kind_of, listed

# RunPod's names (https://docs.runpod.io/serverless/endpoints/send-requests#s3-compatible-storage).
_KEYS = {
    "accessId": "access_key_id",
    "accessSecret": "secret_access_key",
    "bucketName": "bucket",
    "endpointUrl": "endpoint_url",
}
# Amazon's rules and older ones; above all no ARN, which boto3 would take as the name of another server.
_BUCKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")

_ENDPOINT = "s3Config.endpointUrl"

_KEPT = 4


def options_of(config: Any, *, allow_private: bool, url_expires_seconds: int) -> S3Options:
    """The bucket that a request brings.

    Nothing of the operator's bucket is in it: not its prefix, its public address, nor its ACL.

    Args:
        config: the request's `s3Config`.
        allow_private: its endpoint may be in this machine's own network.
        url_expires_seconds: how long a signed link holds, unless the request says.

    Raises:
        InvalidRequest: it is incomplete or wrong, or its endpoint may not be called; with every problem.
    """
    if not isinstance(config, Mapping):
        raise InvalidRequest(problems=[Problem("s3Config", f"must be an object (got {kind_of(config)})")])
    problems = [
        Problem(
            f"s3Config.{str(key)[:40]}", f"unknown key{did_you_mean(str(key), _KEYS)}; the keys are: {listed(_KEYS)}"
        )
        for key in config
        if key not in _KEYS
    ]
    for key in _KEYS:
        value = config.get(key)
        if value is None or value == "":
            problems.append(Problem(f"s3Config.{key}", "is missing"))
        elif not isinstance(value, str):
            problems.append(Problem(f"s3Config.{key}", f"must be a string (got {kind_of(value)})"))
    if not problems and not _BUCKET_NAME.fullmatch(config["bucketName"]):
        problems.append(Problem("s3Config.bucketName", "is not a name that a bucket can have"))
    if problems:
        raise InvalidRequest(problems=problems)
    endpoint = _without_bucket(config["endpointUrl"], config["bucketName"])
    try:
        options = S3Options.from_values(
            {
                "bucket": config["bucketName"],
                "endpoint_url": endpoint,
                "access_key_id": config["accessId"],
                "secret_access_key": config["accessSecret"],
                "url_expires_seconds": url_expires_seconds,
            },
            {ours: f"s3Config.{theirs}" for theirs, ours in _KEYS.items()},
        )
    except SettingsError as error:
        raise InvalidRequest(problems=error.problems) from None
    if not allow_private:
        refuse_private(endpoint)
    return options


def refuse_private(endpoint_url: str) -> None:
    """Refuses an endpoint that is, or may be, in this machine's own network.

    Raises:
        InvalidRequest: its name has no address, or one that is not public.
    """
    parts = urlsplit(endpoint_url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        check_public(host, port, addresses_of(host, port), public_alone)
    except (OSError, UnicodeError):
        raise InvalidRequest(problems=[Problem(_ENDPOINT, "has a host whose address can't be found")]) from None
    except NotPublicError:
        raise _private_network() from None


def _private_network() -> InvalidRequest:
    return InvalidRequest(
        problems=[Problem(_ENDPOINT, "leads into a private network, which is not allowed")],
        hint="the operator allows it with ALLOW_PRIVATE_URLS=1",
    )


class CallersBuckets:
    """The last few buckets of callers, each with its client, which takes some 80 ms to build.

    Args:
        uploads_at_once: of one job's results.
        allow_private: their endpoints may be in this machine's own network.
        retry_seconds: that a job may lose to a bucket that fails.
    """

    def __init__(self, *, uploads_at_once: int, allow_private: bool, retry_seconds: float = RETRY_SECONDS) -> None:
        self._retry_seconds = retry_seconds
        self._uploads_at_once = uploads_at_once
        self._public = None if allow_private else public_alone
        self._lock = threading.Lock()
        self._storages: OrderedDict[S3Options, S3Storage] = OrderedDict()
        self._users: dict[S3Options, int] = {}

    @contextmanager
    def borrow(self, options: S3Options) -> Iterator[S3Storage]:
        """A storage for a bucket; it stays open for as long as the block lasts.

        Raises:
            InvalidRequest: from the block: the endpoint's host, public when it was looked at, has become private.
        """
        fresh = S3Storage(
            options,
            uploads_at_once=self._uploads_at_once,
            public=self._public,
            retry_seconds=self._retry_seconds,
        )
        with self._lock:
            storage = self._storages.setdefault(options, fresh)
            self._storages.move_to_end(options)
            self._users[options] = self._users.get(options, 0) + 1
        try:
            yield storage
        except NotPublicError as error:
            raise _private_network() from error
        finally:
            with self._lock:
                self._users[options] -= 1
                unneeded = self._take_unneeded()
            for storage in unneeded:
                storage.close()

    def close(self) -> None:
        """Closes every client that is not in use."""
        with self._lock:
            idle = [options for options in self._storages if not self._users[options]]
            closing = [self._forget(options) for options in idle]
        for storage in closing:
            storage.close()

    def _take_unneeded(self) -> list[S3Storage]:
        """The longest unused above the number kept."""
        idle = [options for options in self._storages if not self._users[options]]
        return [self._forget(options) for options in idle[: max(len(self._storages) - _KEPT, 0)]]

    def _forget(self, options: S3Options) -> S3Storage:
        del self._users[options]
        return self._storages.pop(options)


def _without_bucket(endpoint_url: str, bucket: str) -> str:
    """An endpoint without the bucket, which many write before its host or behind it."""
    try:
        parts = urlsplit(endpoint_url)
    except ValueError:
        return endpoint_url
    path = "" if parts.path.strip("/") == bucket else parts.path
    return urlunsplit(parts._replace(netloc=parts.netloc.removeprefix(f"{bucket}."), path=path))
