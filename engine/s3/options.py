"""What an S3 bucket needs to be told. Checked when made: a worker with wrong options does not start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from engine.delivery import UrlKind
from engine.errors import Problem, SettingsError
from engine.names import clean_prefix
from engine.s3.words import acl_problem, storage_class_problem

AddressingStyle = Literal["auto", "path", "virtual"]

_LONGEST_PREFIX = 512  # bytes; the names of any job still fit behind it

LONGEST_EXPIRY_SECONDS = 604_800
"""Seven days: the most that a version 4 signature allows
(https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html, X-Amz-Expires)."""

# Names of the endpoints that hold their region, by their owners' documentation: Amazon, Backblaze and Wasabi
# (`s3.REGION.`), DigitalOcean (`REGION.digitaloceanspaces.com`). R2 takes `auto` alone as its own.
_REGION_IN_HOST = (
    re.compile(
        r"^s3[.-](?:dualstack\.)?(?P<region>[a-z]+(?:-[a-z0-9]+)+)"
        r"\.(?:amazonaws\.com|amazonaws\.com\.cn|backblazeb2\.com|wasabisys\.com)$"
    ),
    re.compile(r"^(?P<region>[a-z]{3}\d)\.digitaloceanspaces\.com$"),
    re.compile(r"\.r2\.(?P<region>)cloudflarestorage\.com$"),
)


@dataclass(frozen=True, slots=True)
class S3Options:
    """A bucket and how to reach it.

    Attributes:
        bucket: its name.
        endpoint_url: `https://HOST` of anything that speaks S3 (R2, MinIO, Backblaze, Google with HMAC keys);
            None for Amazon.
        region: where the bucket is. None reads it from the endpoint, else from the AWS environment, else
            takes `us-east-1`, which most other servers accept as their own. With a wrong one links fail.
        access_key_id: None together with the secret leaves it to the AWS credential chain (environment,
            profile, role of the machine).
        secret_access_key: the other half.
        session_token: of temporary credentials. Links die with them, whatever their own expiry says.
        prefix: of all keys; may hold slashes.
        public_base_url: where the bucket's objects are public (a CDN); links are then this and the key, and
            do not expire.
        url_expires_seconds: how long a signed link lives; by default, and at most, seven days.
        addressing_style: `virtual` puts the bucket into the host name, `path` behind it, `auto` chooses: path for
            an endpoint of its own and for names with dots, else virtual.
        acl: of the objects, unless a request asks for another (`public-read`); None for the bucket's own.
        storage_class: of the objects, likewise (`STANDARD_IA`).
        cache_control: of the objects, likewise (`max-age=86400`).
        url_kind: of the links, likewise; None: `public` where there is a public base, else `presigned`.

    Raises:
        SettingsError: a value can't be right; all of them are named.
    """

    bucket: str
    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    prefix: str = ""
    public_base_url: str | None = None
    url_expires_seconds: int = LONGEST_EXPIRY_SECONDS
    addressing_style: AddressingStyle = "auto"
    acl: str | None = None
    storage_class: str | None = None
    cache_control: str | None = None
    url_kind: UrlKind | None = None

    def __post_init__(self) -> None:
        _refuse(_problems({f.name: getattr(self, f.name) for f in fields(self)}))

    @classmethod
    def from_values(cls, values: Mapping[str, Any], names: Mapping[str, str] | None = None) -> S3Options:
        """Options from values of which some may be missing.

        Args:
            values: by attribute; None and the empty string are as good as absent.
            names: what the operator calls an attribute (`{"bucket": "S3_BUCKET"}`), for the messages.

        Raises:
            SettingsError: values are missing or wrong; all of them are named at once.
        """
        present = {name: value for name, value in values.items() if value not in (None, "")}
        _refuse(_problems(present), names)
        return cls(**present)

    @property
    def host(self) -> str:
        """The server's name, for messages."""
        return (urlsplit(self.endpoint_url).netloc if self.endpoint_url else "") or "Amazon S3"

    @property
    def effective_region(self) -> str | None:
        """The region to sign for; None leaves it to the AWS environment."""
        return self.region or (region_of_endpoint(self.endpoint_url) if self.endpoint_url else None)

    @property
    def effective_addressing_style(self) -> AddressingStyle:
        """The style, with `auto` decided.

        Left to botocore, `auto` signs Amazon's links for the global host name, which answers for new buckets and
        newer regions with a redirect that the signature does not survive
        (https://github.com/boto/boto3/issues/3015). No certificate covers a bucket with dots in the host name.
        """
        if self.addressing_style != "auto":
            return self.addressing_style
        return "path" if self.endpoint_url or "." in self.bucket else "virtual"


def region_of_endpoint(endpoint_url: str) -> str:
    """The region that an endpoint's host name tells, else `us-east-1`.

    Args:
        endpoint_url: `https://HOST`.
    """
    host = urlsplit(endpoint_url).hostname or ""
    for pattern in _REGION_IN_HOST:
        if match := pattern.search(host):
            return match["region"] or "auto"
    return "us-east-1"


def _refuse(problems: list[Problem], names: Mapping[str, str] | None = None) -> None:
    if problems:
        named = [Problem((names or {}).get(problem.where, problem.where), problem.message) for problem in problems]
        raise SettingsError(problems=named, hint="results go to a bucket only when it is described completely")


def _problems(values: Mapping[str, Any]) -> list[Problem]:
    problems = [
        Problem(name, f"is missing; {reason}")
        for name, reason in (
            ("bucket", "it names the bucket that results go to"),
            *_other_half(values),
        )
        if not values.get(name)
    ]
    problems += [
        Problem(name, complaint)
        for name in ("endpoint_url", "public_base_url")
        if (url := values.get(name)) and (complaint := _url_problem(str(url), origin=name == "endpoint_url"))
    ]
    authority = str(values.get("endpoint_url") or "").partition("//")[2]
    if values.get("bucket") and authority.startswith(f"{values['bucket']}."):
        problems.append(
            Problem("endpoint_url", "must not start with the bucket's name; that is said by the bucket alone")
        )
    expires = values.get("url_expires_seconds", LONGEST_EXPIRY_SECONDS)
    if not isinstance(expires, int) or not 1 <= expires <= LONGEST_EXPIRY_SECONDS:
        problems.append(
            Problem("url_expires_seconds", f"must be 1 to {LONGEST_EXPIRY_SECONDS} seconds (got {expires!r})")
        )
    style = values.get("addressing_style", "auto")
    if style not in get_args(AddressingStyle):
        problems.append(Problem("addressing_style", f"must be auto, path or virtual (got {style!r})"))
    if len(clean_prefix(values.get("prefix", "")).encode()) > _LONGEST_PREFIX:
        problems.append(
            Problem("prefix", f"is too long; at most {_LONGEST_PREFIX} bytes, of the 1024 that a whole key takes")
        )
    problems += [
        Problem(name, complaint)
        for name, check in (("acl", acl_problem), ("storage_class", storage_class_problem))
        if (word := values.get(name)) and (complaint := check(str(word), values.get("endpoint_url")))
    ]
    if values.get("url_kind") == "public" and not values.get("public_base_url"):
        problems.append(Problem("public_base_url", "is missing; public links are below it"))
    return problems


def _other_half(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Of credentials, what must be there because another part is."""
    needed = []
    if values.get("secret_access_key") or values.get("session_token"):
        needed.append(("access_key_id", "the other parts of the credentials are set"))
    if values.get("access_key_id") or values.get("session_token"):
        needed.append(("secret_access_key", "the other parts of the credentials are set"))
    return needed


def _url_problem(url: str, *, origin: bool) -> str | None:
    try:
        parts = urlsplit(url)
        port_is_number = parts.port is None or parts.port >= 0
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_number:
        return "must be a URL such as https://s3.example.com"
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        return "must hold neither credentials nor a query"
    if origin and parts.path.strip("/"):
        return "must be the server alone, without a path; the bucket is named on its own"
    return None
