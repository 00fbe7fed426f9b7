"""Files in buckets that speak S3: `s3://BUCKET/KEY`, and bare names below the operator's input prefix."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.errors import EngineError, Problem, SettingsError
from engine.media.problems import Broken, Passing, Rejected, Unavailable
from engine.media.sink import Sink
from engine.media.watch import Watch
from engine.s3 import S3Options, build_client
from engine.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK_BYTES = 256 * 1024
_RETRY_SECONDS = 0.25
_LONGEST_KEY_BYTES = 1024
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ANY = "*"
_ALLOWED_BY = "the operator allows buckets by S3_INPUT_BUCKETS"


class Location(NamedTuple):
    """An object in a bucket."""

    bucket: str
    key: str


class Buckets:
    """The buckets that callers may name files in. May be used from many threads.

    S3_INPUT_BUCKETS alone opens whole buckets to `s3://`. The bucket for bare names may be that of the results, which
    are not every caller's to read: `s3://` reaches what lies below its prefix there, and nothing where it has none.

    One client serves the process; it is built with the first file.

    Args:
        settings: the buckets that are allowed, and the credentials: those for inputs where there are any, else
            those for results.

    Raises:
        SettingsError: the credentials or the endpoint can't be right, or there is a prefix and no bucket for it.
    """

    def __init__(self, settings: Settings) -> None:
        named = settings.s3_input_bucket is not None or settings.s3_input_prefix is not None
        self._bucket = (settings.s3_input_bucket or settings.s3_bucket) if named else None
        self._prefix = (settings.s3_input_prefix or "").strip("/")
        if named and self._bucket is None:
            raise SettingsError(
                problems=[Problem("S3_INPUT_BUCKET", "is missing: S3_INPUT_PREFIX is a folder in a bucket")],
                hint="set S3_INPUT_BUCKET, or S3_BUCKET where the results' bucket holds the inputs too",
            )
        self._allowed = frozenset(settings.s3_input_buckets)
        self._options = _options(settings, self._bucket) if self._allowed or self._bucket else None
        self._building = threading.Lock()
        self._client: S3Client | None = None

    @property
    def takes_names(self) -> bool:
        """Whether a bare name is a key below the operator's prefix."""
        return self._bucket is not None

    @property
    def takes_urls(self) -> bool:
        """Whether there is a bucket that `s3://` may name."""
        return bool(self._allowed or (self._bucket and self._prefix))

    def named(self, name: str) -> Location:
        """The object that a bare name means.

        Raises:
            Rejected: it would leave the prefix, or can't be a key.
        """
        if self._bucket is None:
            raise Rejected("names a file in a bucket, and no bucket for such names is set up here")
        return Location(self._bucket, _checked_key(f"{self._prefix}/{name}" if self._prefix else name, name))

    def at(self, url: str) -> Location:
        """The object that `s3://BUCKET/KEY` means.

        Raises:
            Rejected: it is not of that form, or leads to where callers may not read.
        """
        bucket, _, key = url[len("s3://") :].partition("/")
        if not _BUCKET.match(bucket) or not key:
            raise Rejected("is no object in a bucket; s3://bucket/folder/photo.png is one")
        if bucket in self._allowed or _ANY in self._allowed:
            return Location(bucket, _checked_key(key, key))
        if bucket != self._bucket or not self._prefix:
            raise Rejected("names a bucket that is not among those files are read from", hint=_ALLOWED_BY)
        checked = _checked_key(key, key)
        if not checked.startswith(f"{self._prefix}/"):
            raise Rejected("names an object outside of the folder that files are read from", hint=_ALLOWED_BY)
        return Location(bucket, checked)

    def download(self, location: Location, sink: Sink, watch: Watch) -> None:
        """Fetches an object.

        Raises:
            Rejected: it is too large.
            Unavailable: it can't be had. The message holds no credentials.
            Cancelled: the job was cancelled.
        """
        # boto3's own waits are longer than a fetch may take and can't be interrupted.
        try:
            return watch.run(lambda: self._copy(location, sink, watch))
        except Broken:
            watch.pause(_RETRY_SECONDS)
        sink.restart()
        return watch.run(lambda: self._copy(location, sink, watch))

    def close(self) -> None:
        """Closes the client's connections; the next file builds another."""
        with self._building:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _copy(self, location: Location, sink: Sink, watch: Watch) -> None:
        with _translated(location):
            answer = self._ready_client().get_object(Bucket=location.bucket, Key=location.key)
            with contextlib.closing(answer["Body"]) as body:
                watch.check()
                sink.expect(answer["ContentLength"])
                while chunk := body.read(_CHUNK_BYTES):
                    # The thread that waits may have gone, and the file with it.
                    watch.check()
                    sink.write(chunk)

    def _ready_client(self) -> S3Client:
        with self._building:
            if self._client is None:
                if self._options is None:
                    raise Rejected("names a bucket, and none is set up here")
                self._client = build_client(self._options)
            return self._client


def _options(settings: Settings, bucket: str | None) -> S3Options:
    ours = (settings.s3_input_access_key_id, settings.s3_input_secret_access_key, settings.s3_input_session_token)
    theirs = (settings.s3_access_key_id, settings.s3_secret_access_key, settings.s3_session_token)
    # As a group: a key id never goes with another's secret.
    of_inputs = any(ours)
    key_id, secret, token = ours if of_inputs else theirs
    start = "S3_INPUT_" if of_inputs else "S3_"
    try:
        return S3Options.from_values(
            {
                "bucket": bucket or "inputs",
                "endpoint_url": settings.s3_input_endpoint_url or settings.s3_endpoint_url,
                "region": settings.s3_input_region or settings.s3_region,
                "access_key_id": key_id,
                "secret_access_key": secret,
                "session_token": token,
                "addressing_style": settings.s3_addressing_style,
            },
            names={
                "bucket": "S3_INPUT_BUCKET",
                "endpoint_url": "S3_INPUT_ENDPOINT_URL" if settings.s3_input_endpoint_url else "S3_ENDPOINT_URL",
                "access_key_id": f"{start}ACCESS_KEY_ID",
                "secret_access_key": f"{start}SECRET_ACCESS_KEY",
            },
        )
    except SettingsError as error:
        raise SettingsError(
            problems=error.problems, hint="files are read from buckets only when those are described completely"
        ) from error


def _checked_key(key: str, said: str) -> str:
    """A key that stays where it is put: some servers keep objects as files, and go by `..` as a file system does."""
    if said.startswith("/") or "\\" in said or _CONTROL.search(said) or {"..", "."} & set(said.split("/")):
        raise Rejected(
            "may not leave its folder: a name in a bucket holds no `..`, no backslash, no control character and does "
            "not begin with a slash"
        )
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        raise Rejected("is no name of an object: it is not Unicode") from None
    if length > _LONGEST_KEY_BYTES:
        raise Rejected(f"is too long for a name in a bucket: it may have {_LONGEST_KEY_BYTES} bytes")
    return key


# By the codes of https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; some servers, and answers
# without a body, have the status alone.
_SAID = {
    "NoSuchKey": "names an object that is not in the bucket: there is no such object",
    "NoSuchBucket": "names a bucket that does not exist",
    "AccessDenied": "names an object that could not be read: access to it was denied, or there is no such object",
    "InvalidAccessKeyId": "could not be read: the bucket's server refused the worker's credentials",
    "SlowDown": "could not be read: the bucket's server is overloaded or out of order",
}
_SAME_AS = {
    "404": "NoSuchKey",
    "NotFound": "NoSuchKey",
    "NoSuchVersion": "NoSuchKey",
    "403": "AccessDenied",
    "Forbidden": "AccessDenied",
    "AllAccessDisabled": "AccessDenied",
    "SignatureDoesNotMatch": "InvalidAccessKeyId",
    "ExpiredToken": "InvalidAccessKeyId",
    "InvalidToken": "InvalidAccessKeyId",
    "RequestTimeTooSkewed": "InvalidAccessKeyId",
    "AuthorizationHeaderMalformed": "InvalidAccessKeyId",
    "429": "SlowDown",
    "500": "SlowDown",
    "502": "SlowDown",
    "503": "SlowDown",
    "504": "SlowDown",
    "TooManyRequests": "SlowDown",
    "RequestTimeout": "SlowDown",
    "ServiceUnavailable": "SlowDown",
    "InternalError": "SlowDown",
}
_OPERATORS = frozenset({"AccessDenied", "InvalidAccessKeyId"})


@contextlib.contextmanager
def _translated(location: Location) -> Iterator[None]:
    """Turns what boto3 and botocore raise into problems. A server's own words may hold key ids: never passed on."""
    from botocore import exceptions
    from urllib3.exceptions import HTTPError

    where = f"s3://{location.bucket}/{location.key}"
    try:
        yield
    except exceptions.ClientError as error:
        raise _refused(error.response, where) from error
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.TokenRetrievalError,
        exceptions.SSOError,
    ) as error:
        raise Unavailable(
            "could not be read: the worker has no credentials for the bucket",
            hint="the operator sets S3_INPUT_ACCESS_KEY_ID and S3_INPUT_SECRET_ACCESS_KEY",
            detail=f"{where}: {type(error).__name__}",
        ) from error
    except exceptions.ParamValidationError as error:
        raise Rejected("is no object in a bucket", detail=f"{where}: {type(error).__name__}") from error
    except (exceptions.IncompleteReadError, exceptions.ResponseStreamingError, HTTPError) as error:
        raise Broken(
            "could not be read: the connection to the bucket's server broke off",
            detail=f"{where}: {type(error).__name__}",
        ) from error
    except (exceptions.BotoCoreError, OSError) as error:
        # botocore has tried several times by then.
        raise Passing(
            "could not be read: no answer from the bucket's server", detail=f"{where}: {type(error).__name__}"
        ) from error
    except EngineError as error:
        if type(error).code != "storage_error":
            raise
        raise Unavailable("could not be read: the bucket's server can't be called", detail=error.detail) from error


def _refused(response: Any, where: str) -> Unavailable:
    code = str(response.get("Error", {}).get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    detail = f"{where}: S3 answered {code or 'no code'} with HTTP {status}"
    known = _SAME_AS.get(code, code)
    if known not in _SAID:
        known = _SAME_AS.get(str(status), "")
    message = _SAID.get(known, f"could not be read: the bucket's server refused it with HTTP {status}")
    hint = "check the name, or ask the operator for the right to read it" if known in _OPERATORS else None
    # botocore has tried several times by then: not once more at once, but perhaps later.
    kind = Passing if known == "SlowDown" else Unavailable
    return kind(message, hint=hint, detail=detail)
