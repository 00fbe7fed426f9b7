"""What a bucket of Google Cloud Storage needs to be told, and its client. Checked when made."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.delivery import UrlKind
from engine.errors import Problem, SettingsError
from engine.names import clean_prefix
from engine.storage.gcs_errors import translated
from engine.transfers import make_cuttable

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.cloud.storage import Client
    from requests.adapters import HTTPAdapter

_LONGEST_PREFIX = 512  # bytes; the names of any job still fit behind it

# Signing without a key of one's own asks another of Google's services, which the scopes of storage do not cover
# (https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signBlob).
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


@dataclass(frozen=True, slots=True)
class GCSOptions:
    """A bucket and how to reach it.

    Attributes:
        bucket: its name.
        prefix: of all names; may hold slashes.
        credentials_file: of a service account; None leaves it to Google's own search: a role, gcloud's login.
        project: None for that of the credentials.
        public: everybody may read the bucket: links are plain and do not expire.
        url_expires_seconds: how long a signed link lives, at most seven days.
        url_kind: of the links, unless a request asks for another; None: `public` for a public bucket, else `presigned`.
        retries: after a failed upload.
        retry_base_sleep: seconds before the first retry; doubles with each.

    Raises:
        SettingsError: a value can't be right, or Google's package is not installed; all problems at once.
    """

    bucket: str
    prefix: str = ""
    credentials_file: Path | None = None
    project: str | None = None
    public: bool = False
    url_expires_seconds: int = 86_400
    url_kind: UrlKind | None = None
    retries: int = 4
    retry_base_sleep: float = 0.5

    def __post_init__(self) -> None:
        _refuse(_problems({name: getattr(self, name) for name in self.__slots__}))

    @classmethod
    def from_values(cls, values: Mapping[str, Any], names: Mapping[str, str]) -> GCSOptions:
        """Options from values of which some may be missing.

        Args:
            values: by attribute; None and the empty string are as good as absent.
            names: what the operator calls an attribute (`{"bucket": "GCS_BUCKET"}`), for the messages.

        Raises:
            SettingsError: values are missing or wrong; all of them are named at once.
        """
        present = {name: value for name, value in values.items() if value not in (None, "")}
        _refuse(_problems(present), names)
        return cls(**present)


def build_client(options: GCSOptions) -> Client:
    """A client for a bucket; sends nothing, but for a search for credentials. It may be used from many threads.

    With STORAGE_EMULATOR_HOST set, which Google's package calls instead of Google, no credentials are needed.

    Raises:
        StorageError: there are no credentials, or their file is none of a service account.
    """
    import google.auth
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    # Else the package asks for the bucket's place in a thread of its own, for traces that nobody collects
    # (google-cloud-storage 3.17, _opentelemetry_tracing.py).
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    with translated(options.bucket):
        project = options.project
        if options.credentials_file is not None:
            credentials, found = _of_file(options.credentials_file)
        elif os.environ.get("STORAGE_EMULATOR_HOST"):
            credentials, found = AnonymousCredentials(), "emulated"
        else:
            credentials, found = google.auth.default(scopes=_SCOPES)
        # A bucket's name is enough to upload; without any project the package would refuse to begin.
        client = storage.Client(project=project or found or "none", credentials=credentials)
    for scheme in ("https://", "http://"):
        client._http.mount(scheme, _cuttable_adapter())  # noqa: SLF001 - the package has no other way to it
    return client


def _cuttable_adapter() -> HTTPAdapter:
    """Connections of requests that a transfer can cut."""
    from requests.adapters import HTTPAdapter

    adapter = HTTPAdapter()
    make_cuttable(adapter.poolmanager)
    return adapter


def _of_file(path: Path) -> tuple[Credentials, str | None]:
    """The credentials in a file, with their project.

    Raises:
        google.auth.exceptions.DefaultCredentialsError: it holds none.
    """
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError
    from google.oauth2 import service_account

    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:
        raise DefaultCredentialsError("the file is not JSON") from error
    kind = document.get("type") if isinstance(document, dict) else None
    if kind == "service_account":
        credentials = service_account.Credentials.from_service_account_info(document, scopes=_SCOPES)
        return credentials, document.get("project_id")
    if kind and os.environ.get("GOOGLE_APPLICATION_CREDENTIALS") == str(path):
        # A federated or an impersonated account: Google's own search takes the same file.
        return google.auth.default(scopes=_SCOPES)
    raise DefaultCredentialsError("the file holds no credentials")


def _refuse(problems: list[Problem], names: Mapping[str, str] | None = None) -> None:
    if problems:
        named = [Problem((names or {}).get(problem.where, problem.where), problem.message) for problem in problems]
        raise SettingsError(problems=named, hint="results go to a bucket only when it is described completely")


def _problems(values: Mapping[str, Any]) -> list[Problem]:
    problems = []
    if not values.get("bucket"):
        problems.append(Problem("bucket", "is missing; it names the bucket that results go to"))
    if not _installed():
        problems.append(Problem("bucket", "needs Google's package: pip install 'google-cloud-storage>=3.1', or use S3"))
    if (file := values.get("credentials_file")) and not Path(file).is_file():
        problems.append(Problem("credentials_file", "is no file that can be read"))
    if len(clean_prefix(values.get("prefix", "")).encode()) > _LONGEST_PREFIX:
        problems.append(
            Problem("prefix", f"is too long; at most {_LONGEST_PREFIX} bytes, of the 1024 that a whole name takes")
        )
    if values.get("url_kind") == "public" and not values.get("public"):
        problems.append(Problem("public", "is not set; public links need a bucket that everybody may read"))
    return problems


def _installed() -> bool:
    """Whether google-cloud-storage is here, without importing it (some 0.5 s)."""
    try:
        return importlib.util.find_spec("google.cloud.storage") is not None
    except ModuleNotFoundError:  # not even `google.cloud`
        return False
