"""The one way a client of a bucket is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.dialing import Public
from engine.s3.errors import translated
from engine.s3.options import S3Options
from engine.s3.public_only import connect_publicly
from engine.transfers import Body, cuttable, make_cuttable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ATTEMPTS = 4
_CONNECTIONS = 32
_SMALL_BYTES = 2 * 1024 * 1024


def build_client(options: S3Options, *, public: Public | None = None, attempts: int = _ATTEMPTS) -> S3Client:
    """A client for a bucket; takes some 80 ms, sends nothing. It may be used from many threads.

    Args:
        options: the bucket and how to reach it.
        public: which addresses it may connect to, for an endpoint that a stranger named; None for any. Then it uses
            no proxy, since proxies resolve names themselves, and its calls may raise NotPublicError.
        attempts: how often it sends a request that fails; 1 where the caller has a policy of its own.

    Raises:
        StorageError: no client can be made of the options (a profile that does not exist).
    """
    import boto3
    from botocore.config import Config

    with translated(options):
        session = boto3.session.Session()
        client = session.client(
            "s3",
            endpoint_url=options.endpoint_url,
            region_name=options.effective_region or session.region_name or "us-east-1",
            aws_access_key_id=options.access_key_id,
            aws_secret_access_key=options.secret_access_key,
            aws_session_token=options.session_token,
            config=Config(
                # Without it botocore still signs some links by version 2, which newer regions and R2 refuse.
                signature_version="s3v4",
                s3={"addressing_style": options.effective_addressing_style},
                # Since 1.36 botocore adds checksums that R2, Google and others refuse, unless told so.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                retries={"mode": "standard", "total_max_attempts": attempts},
                connect_timeout=5 if attempts == 1 else 10,
                read_timeout=60,
                max_pool_connections=_CONNECTIONS,
                # An empty dictionary means none; None, those of the environment.
                proxies=None if public is None else {},
            ),
        )
    client.meta.events.register_last("before-call.s3", _send_small_bodies_at_once)
    _make_cuttable(client)
    if public is not None:
        connect_publicly(client, public)
    return client


def _send_small_bodies_at_once(params: dict[str, Any], **_: Any) -> None:
    """Ask the bucket for nothing before a body that is soon sent.

    botocore (1.44, `add_expect_header`) has each upload from a file wait for the server to say that it wants it
    (`Expect: 100-continue`): a whole round trip more. It is worth its time where a long body would be sent in vain.
    """
    body = params.get("body")
    if isinstance(body, Body) and body.length <= _SMALL_BYTES:
        params["headers"].pop("Expect", None)


def _make_cuttable(client: S3Client) -> None:
    """Lets what is watched be cut: of botocore (1.44) the pool manager, and the pools of those for proxies."""
    session: Any = client._endpoint.http_session  # type: ignore[attr-defined] # noqa: SLF001 - it has no public way
    make_cuttable(session._manager)  # noqa: SLF001
    pools = session._pool_classes_by_scheme  # noqa: SLF001
    session._pool_classes_by_scheme = {scheme: cuttable(pool) for scheme, pool in pools.items()}  # noqa: SLF001
