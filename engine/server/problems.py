"""What the local server refuses, and the status that each failure is answered with."""

from __future__ import annotations

from engine.errors import EngineError, RequestError, error_classes


class NoSuchPage(RequestError):
    """There is nothing at the address."""

    code = "no_such_page"
    meaning = "the server has nothing at that address"


class WrongMethod(RequestError):
    """The address is asked with another method."""

    code = "wrong_method"
    meaning = "that address is asked with another method; the header `Allow` says which"


class NotJson(RequestError):
    """The body of a request is no JSON, or nothing that can be read."""

    code = "not_json"
    meaning = "the body of the request is no JSON"


class UnknownForm(RequestError):
    """The body of a request is of a type that the route does not take."""

    code = "unknown_form"
    meaning = "the body is of a media type that the route does not take"


class BodyTooLong(RequestError):
    """The body of a request is too long."""

    code = "body_too_long"
    meaning = "the body of the request is longer than the server takes"


class BodyTooSlow(EngineError):
    """The body of a request does not come."""

    code = "body_too_slow"
    meaning = "the body of the request did not come, or came too slowly"
    retryable = True


class UnknownFile(RequestError):
    """There is no such file, or no longer."""

    code = "unknown_file"
    meaning = "there is no such file (any more)"


class NoSuchRange(RequestError):
    """A file has no such range."""

    code = "no_such_range"
    meaning = "the file does not have the range of bytes that the header `Range` asks for"


class Unauthorized(RequestError):
    """The token is missing, or another one."""

    code = "unauthorized"
    meaning = "the server's token is missing or wrong"


class OriginRefused(RequestError):
    """A page of another site sent the request."""

    code = "origin_refused"
    meaning = "a page of a site that may not call the server sent the request"


class HostRefused(RequestError):
    """The server is called by a name that it does not go by."""

    code = "host_refused"
    meaning = "the server was called by a name that it does not go by"


class TooManyRequests(EngineError):
    """One address asks too often, or the bodies of all requests are too much at once."""

    code = "too_many_requests"
    meaning = "too many requests, or too much in them, at once"
    retryable = True


_STATUS = {
    "invalid_request": 422,
    "invalid_payload": 422,
    "input_rejected": 422,
    "input_unavailable": 422,
    "result_too_large": 422,
    "quality_rejected": 422,
    "graph_rejected": 422,
    "not_json": 400,
    "unauthorized": 401,
    "origin_refused": 403,
    "unknown_workflow": 404,
    "unknown_job": 404,
    "unknown_file": 404,
    "no_such_page": 404,
    "wrong_method": 405,
    "body_too_slow": 408,
    "cancelled": 409,
    "job_not_over": 409,
    "body_too_long": 413,
    "unknown_form": 415,
    "no_such_range": 416,
    "host_refused": 421,
    "queue_full": 429,
    "too_many_requests": 429,
    "workflow_not_ready": 503,
    "invalid_map": 503,
    "binding_not_found": 503,
    "comfy_unavailable": 503,
    "environment_unverified": 503,
    "execution_timeout": 504,
    "job_expired": 504,
}


def status_of(error: EngineError | str) -> int:
    """The status that a failure is answered with.

    Args:
        error: the failure, or its code.
    """
    return _STATUS.get(error if isinstance(error, str) else error.code, 500)


def statuses() -> dict[str, int]:
    """Of every failure's code the status."""
    return {each.code: status_of(each.code) for each in error_classes()}
