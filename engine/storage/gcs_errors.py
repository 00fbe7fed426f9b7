"""What Google's packages raise, said once in words for people.

A server's own message is never passed on: it may hold the account, the request and its headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import StorageError

# What a later try can escape (https://cloud.google.com/storage/docs/retry-strategy#retryable).
_PASSES = frozenset({408, 429, 500, 502, 503, 504})


@contextmanager
def translated(bucket: str) -> Iterator[None]:
    """Turns every exception of Google's packages and of the file system in its block into a StorageError.

    Args:
        bucket: the name of the bucket it is about.
    """
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
    from requests.exceptions import RequestException

    try:
        yield
    except StorageError:
        raise
    except GoogleAPICallError as error:
        raise _refused(int(error.code or 0), bucket) from error
    except InvalidResponse as error:
        raise _refused(int(error.response.status_code), bucket) from error
    except DataCorruption as error:
        raise StorageError(
            f"a result reached the bucket `{bucket}` damaged", hint="send the job again", detail=type(error).__name__
        ) from error
    except GoogleAuthError as error:
        raise _not_let_in(error, bucket) from error
    except RequestException as error:
        raise StorageError(
            "no answer from Google Cloud Storage",
            hint="check that this machine can reach storage.googleapis.com",
            detail=type(error).__name__,
        ) from error
    except OSError as error:
        raise StorageError("a result file could not be read for the upload", detail=str(error)) from error
    except ValueError as error:
        raise StorageError(
            f"the bucket `{bucket}` can't be called as it is set",
            hint="check the bucket's name",
            detail=type(error).__name__,
            retryable=False,
        ) from error


def _refused(status: int, bucket: str) -> StorageError:
    """For an answer that says no."""
    said: dict[int, tuple[str, str | None]] = {
        401: (
            "Google Cloud Storage does not accept the credentials",
            "check GOOGLE_APPLICATION_CREDENTIALS: the key may have been removed",
        ),
        403: (
            f"access denied by Google Cloud Storage: the account lacks storage.objects.create on `{bucket}`",
            f"give it the role Storage Object User on the bucket {bucket}; an acl in the request needs more, and a "
            "bucket with uniform access takes none",
        ),
        404: (f"the bucket `{bucket}` does not exist at Google Cloud Storage", "check GCS_BUCKET"),
        412: (f"the bucket `{bucket}` refused to replace an object", "allow it, or choose names with {job_id}"),
    }
    message, hint = said.get(
        status, (f"Google Cloud Storage refused the upload to the bucket `{bucket}` (HTTP {status})", None)
    )
    if status in _PASSES:
        hint = "send the job again later"
    detail = f"Google Cloud Storage answered with HTTP {status}"
    return StorageError(message, hint=hint, detail=detail, retryable=status in _PASSES)


def _not_let_in(error: Exception, bucket: str) -> StorageError:
    from google.auth.exceptions import DefaultCredentialsError, TransportError

    if isinstance(error, DefaultCredentialsError):
        message = f"there are no credentials for the bucket `{bucket}` of Google Cloud Storage"
    else:
        message = f"Google gave no access token for the bucket `{bucket}`"
    return StorageError(
        message,
        hint="set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account, or give the machine a role",
        detail=type(error).__name__,
        retryable=isinstance(error, TransportError),
    )
