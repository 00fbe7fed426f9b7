"""What boto3 and botocore raise, said once in words for people.

A server's own message is never passed on: Amazon's hold the access key's id and the text that was signed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engine.errors import StorageError
from engine.s3.options import S3Options


@contextmanager
def translated(options: S3Options) -> Iterator[None]:
    """Turns every exception of boto3, botocore and the file system in its block into a StorageError.

    Args:
        options: the bucket it is about.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        raise _refused(error.response, options) from error
    except ResponseParserError as error:
        raise StorageError(
            f"what answers at {options.host} does not speak S3",
            hint="check the endpoint's URL",
            detail=type(error).__name__,
        ) from error
    except BotoCoreError as error:
        raise _unreached(error, options) from error
    except Boto3Error as error:
        # upload_file wraps the answer of the server in its own exception and keeps only its text.
        inner = error.__cause__ or error.__context__
        if isinstance(inner, ClientError):
            raise _refused(inner.response, options) from error
        raise _unreached(inner or error, options) from error
    except OSError as error:
        raise StorageError("a result file could not be read for the upload", detail=str(error)) from error
    except ValueError as error:
        # botocore's word for an endpoint it can't make a URL of.
        raise StorageError(
            f"the S3 endpoint {options.host} is not one that can be called",
            hint="check the endpoint's URL",
            retryable=False,
        ) from error


def _refused(response: Any, options: S3Options) -> StorageError:
    """For an answer that says no. Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html."""
    answer = response.get("Error", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    given = str(answer.get("Code", ""))
    code = _SAME_AS.get(given, given)
    bucket, host = options.bucket, options.host
    said = {
        "NoSuchBucket": (
            f"the bucket `{bucket}` does not exist at {host}",
            "check the bucket's name, the endpoint and the region",
        ),
        "AccessDenied": (
            f"access denied by {host}: the key lacks s3:PutObject on `{bucket}`",
            f"allow s3:PutObject and s3:GetObject on {bucket}/* for this key",
        ),
        "InvalidAccessKeyId": (
            f"{host} does not know the access key id",
            "check the access key id, and that it belongs to this endpoint",
        ),
        "SignatureDoesNotMatch": (
            f"{host} refused the signature: wrong secret key, or a wrong region",
            "check the secret access key and the region",
        ),
        "ExpiredToken": (
            "the temporary credentials have expired",
            "set new credentials, or a key that does not expire",
        ),
        "RequestTimeTooSkewed": (
            f"{host} refused the upload: this machine's clock is wrong",
            "set the clock by network time",
        ),
        "PermanentRedirect": (
            f"the bucket `{bucket}` is in another region than the one set",
            "set the region of the bucket",
        ),
        "SlowDown": (f"{host} is overloaded and refused the upload", "send the job again later"),
        "QuotaExceeded": (f"the bucket `{bucket}` is full", "make room in the bucket or raise its quota"),
    }
    message, hint = said.get(
        code,
        # HEAD and some servers answer with a bare number.
        said["AccessDenied"]
        if status == 403
        else (
            f"{host} refused the upload to the bucket `{bucket}` ({given or 'no code'}, HTTP {status})",
            None,
        ),
    )
    passes = (status == 429 or status >= 500) if isinstance(status, int) and code not in said else code in _PASSES
    return StorageError(message, hint=hint, detail=f"S3 answered {given} with HTTP {status}", retryable=passes)


# The refusals that a later try can escape; wrong names, keys, rights and regions stay wrong.
_PASSES = frozenset({"RequestTimeTooSkewed", "SlowDown"})


_SAME_AS = {
    "403": "AccessDenied",
    "Forbidden": "AccessDenied",
    "AllAccessDisabled": "AccessDenied",
    "AccountProblem": "AccessDenied",
    "InvalidToken": "ExpiredToken",
    "TokenRefreshRequired": "ExpiredToken",
    "AuthorizationHeaderMalformed": "PermanentRedirect",
    "IllegalLocationConstraintException": "PermanentRedirect",
    "301": "PermanentRedirect",
    "503": "SlowDown",
    "ServiceUnavailable": "SlowDown",
    "InternalError": "SlowDown",
    "XMinioStorageFull": "QuotaExceeded",
    "InsufficientStorage": "QuotaExceeded",
}


def _unreached(error: BaseException, options: S3Options) -> StorageError:
    """For what went wrong before there was an answer."""
    from botocore import exceptions

    bucket, host = options.bucket, options.host
    kinds: list[tuple[tuple[type[Exception], ...], str, str, bool]] = [
        (
            (
                exceptions.NoCredentialsError,
                exceptions.PartialCredentialsError,
                exceptions.CredentialRetrievalError,
                exceptions.ProfileNotFound,
                exceptions.TokenRetrievalError,
                exceptions.SSOError,
            ),
            f"there are no credentials for the bucket `{bucket}` at {host}",
            "set an access key id and a secret access key, or give the machine a role",
            False,
        ),
        (
            (exceptions.SSLError,),
            f"the certificate of {host} could not be verified",
            "check the endpoint; a certificate of one's own must be known to this machine",
            False,
        ),
        (
            (exceptions.HTTPClientError, exceptions.ConnectionError),
            f"no answer from {host}",
            "check the endpoint's URL, its port, and that this machine can reach it",
            True,
        ),
        (
            (exceptions.ParamValidationError, exceptions.InvalidRegionError),
            f"`{bucket}` at {host} can't be called by this name or region",
            "check the bucket's name and the region",
            False,
        ),
    ]
    for classes, message, hint, passes in kinds:
        if isinstance(error, classes):
            return StorageError(message, hint=hint, detail=type(error).__name__, retryable=passes)
    return StorageError(f"the upload to the bucket `{bucket}` at {host} failed", detail=type(error).__name__)
