"""What is peculiar to the variables of an S3 bucket: Amazon's general ones, and endpoints that hold the bucket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

from engine.errors import Problem
from engine.settings.given import Given, GivenValues
from engine.wording import shown

_CREDENTIALS = ("s3_access_key_id", "s3_secret_access_key", "s3_session_token")
_PAIR = _CREDENTIALS[:2]
_FROM_AMAZON = (*_CREDENTIALS, "s3_region", "s3_endpoint_url")
_MEANS_OURS = ("s3_endpoint_url", *_PAIR)
_STORAGE, _BUCKET, _ENDPOINT = "storage", "s3_bucket", "s3_endpoint_url"

_NAME = r"(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])"
# Hosts that begin with the bucket's name, by their owners' documentation: Amazon, Backblaze, Wasabi, Scaleway
# (`BUCKET.s3.REGION.`), R2 (`BUCKET.ACCOUNT.r2.`), DigitalOcean (`BUCKET.REGION.`), Google (`BUCKET.storage.`).
_BUCKET_IN_HOST = [
    re.compile(rf"{_NAME}\.(?P<server>{server})")
    for server in (
        r"s3(?!-accelerate)(?:[.-](?:dualstack\.)?[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?",
        r"s3(?:\.[a-z0-9-]+)?\.(?:backblazeb2\.com|wasabisys\.com|scw\.cloud)",
        r"[0-9a-f]{32}(?:\.[a-z]+)?\.r2\.cloudflarestorage\.com",
        r"[a-z]{3}\d\.digitaloceanspaces\.com",
        r"storage\.googleapis\.com",
    )
]


def without_strangers(given: GivenValues) -> GivenValues:
    """The variables, without Amazon's general ones where they are not meant for a bucket of results.

    Credentials for something else may lie in any environment: they alone ask for no bucket. Those of two sources are
    never mixed, since a session token of the one goes with no key of the other; nor is a region of Amazon's with
    somebody else's server.
    """
    if given.get("gcs_bucket"):
        given = {**given, _BUCKET: _ours(given, _BUCKET)}
    wanted = (
        bool(given.get(_BUCKET))
        or any(each.text.lower() == "s3" for each in given.get(_STORAGE, ())[:1])
        or any(_ours(given, field) for field in _MEANS_OURS)
    )
    own = any(_ours(given, field) for field in _CREDENTIALS)
    whole = all(given.get(field) for field in _PAIR)
    kept = dict(given)
    for field in _FROM_AMAZON:
        ours = _ours(given, field)
        mixed = field in _CREDENTIALS and (own or not whole)
        elsewhere = field == "s3_region" and _ours(given, _ENDPOINT)
        if not wanted or ((mixed or elsewhere) and not ours):
            kept[field] = ours
    return {field: values for field, values in kept.items() if values}


def _ours(given: GivenValues, field: str) -> list[Given]:
    return [each for each in given.get(field, ()) if not each.generic]


def with_bucket_of_endpoint(given: GivenValues) -> tuple[GivenValues, list[Problem]]:
    """The variables with the endpoint's server alone, and the bucket that its URL holds where none is named.

    worker-comfyui takes the bucket in the URL (`BUCKET_ENDPOINT_URL=https://BUCKET.s3.REGION.amazonaws.com`).

    Returns:
        The variables, and a problem where the URL holds another bucket than the one that is named.
    """
    if not given.get(_ENDPOINT):
        return given, []
    bucket = given[_BUCKET][0] if given.get(_BUCKET) else None
    split = [split_endpoint(each.text, bucket.text if bucket else None) for each in given[_ENDPOINT]]
    found = {
        **given,
        _ENDPOINT: [each._replace(text=url) for each, (url, _) in zip(given[_ENDPOINT], split, strict=True)],
    }
    first, name = given[_ENDPOINT][0], split[0][1]
    if name is None:
        return found, []
    if bucket is None:
        return {**found, _BUCKET: [Given(first.variable, name, first.generic)]}, []
    if bucket.text == name:
        return found, []
    message = f"names the bucket {shown(name)}, and {bucket.variable} the bucket {shown(bucket.text)}"
    return found, [Problem(first.variable, f"{message}: give the server alone, or remove {bucket.variable}")]


def split_endpoint(url: str, bucket: str | None = None) -> tuple[str, str | None]:
    """An endpoint's server, and the bucket that stands before or behind it.

    Args:
        url: of the endpoint.
        bucket: its name where that is known: a path is then taken off only where it is this.

    Returns:
        The URL as it was, and None, where it holds no bucket.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    except ValueError:
        return url, None
    if parts.username is not None or parts.query or parts.fragment:
        return url, None
    for bucket_in, server in _buckets_in(host):
        if not parts.path.strip("/"):
            return urlunsplit(parts._replace(netloc=server + port, path="")), bucket_in
    path = parts.path.strip("/")
    if path and "/" not in path and bucket in (None, path):
        return urlunsplit(parts._replace(path="")), path
    return url, None


def _buckets_in(host: str) -> Iterator[tuple[str, str]]:
    for pattern in _BUCKET_IN_HOST:
        if match := pattern.fullmatch(host):
            yield match["bucket"], match["server"]
