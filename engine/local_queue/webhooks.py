"""Posts how jobs ended to the URLs that their callers named.

RunPod posts the same document that `/status` gives, expects a 200, and tries up to 2 more times, 10 s apart
(https://docs.runpod.io/serverless/endpoints/send-requests#webhook-notifications). Here any 2xx does, and after these
three tries there are four more within an hour and a half. What is not posted yet is kept on disk, so that a restart
goes on with it; one that was posted just before the server was killed may come twice.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from engine.addresses import is_public
from engine.dialing import public_alone
from engine.errors import InvalidRequest, Problem
from engine.local_queue.database import DISK_ERRORS, detail_of
from engine.local_queue.posts import Post
from engine.local_queue.problems import UnknownJob
from engine.local_queue.records import JobRecord, JobState
from engine.local_queue.state import State
from engine.logs import event

log = logging.getLogger(__name__)

Document = Callable[[JobRecord, str], Mapping[str, Any]]
"""What is posted of a job: it, and what links in it begin with."""

DELAYS_SECONDS = (10.0, 10.0, 60.0, 300.0, 900.0, 3600.0)
"""After each try that failed but the last."""

_POST_SECONDS = 10.0
_THREADS = 4
_DISK_SECONDS = 5.0


class _RefusedError(Exception):
    """It can't be posted, now or later. Its text says why."""


class _FailedError(Exception):
    """It was not taken. Its text says why."""


def status_document(record: JobRecord, base_url: str) -> dict[str, Any]:  # noqa: ARG001 - of the form of `Document`
    """The least of what RunPod's `/status` says of a job that has ended."""
    document: dict[str, Any] = {"id": record.id, "status": record.state.value}
    if record.reply is not None:
        document["output"] = record.reply
    if record.state is not JobState.COMPLETED and record.reply and "error" in record.reply:
        document["error"] = record.reply["error"]
    return document


def check_url(url: str, *, private: bool) -> None:
    """See that a webhook can be posted to; where its host is, is looked at when it is.

    Args:
        url: as the caller sent it.
        private: whether it may be in this machine's own network.

    Raises:
        InvalidRequest: it can't.
    """
    from engine.media.problems import Rejected
    from engine.media.urls import checked_url

    problem = None
    try:
        host = checked_url(url).hostname or ""
    except Rejected as error:
        problem = error.message
    else:
        if not private and _is_private(host):
            problem = "names a host that is not on the public internet"
    if problem:
        raise InvalidRequest(
            problems=[Problem("webhook", problem)], hint="a webhook is an http or https URL that anybody can reach"
        )


class Webhooks:
    """Threads that post; a receiver that hangs holds up other webhooks at most, and never a job.

    Args:
        state: the queue's.
        document: what is posted.
        private: whether they may go to this machine's own network.
        delays_seconds: after each try that failed but the last.
    """

    def __init__(
        self, state: State, document: Document, *, private: bool, delays_seconds: Sequence[float] = DELAYS_SECONDS
    ) -> None:
        self._state = state
        self._document = document
        self._private = private
        self._delays_seconds = tuple(delays_seconds)
        self._closed = False
        self._posting: set[str] = set()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin."""
        self._threads = [
            threading.Thread(target=self._run, name=f"queue-webhooks-{number}", daemon=True)
            for number in range(_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Begin no more; one that is under way may end as it likes, and is posted again after the next start."""
        with self._state.lock:
            self._closed = True
            self._state.posting.notify_all()

    def _run(self) -> None:
        while (post := self._next()) is not None:
            failure, refused = "", False
            try:
                with self._state.lock:
                    if self._closed:
                        return
                    body = json.dumps(self._document(self._state.record(post.job_id), post.base_url)).encode()
                _send(post.url, body, private=self._private)
            except UnknownJob:
                refused = True
            except (_RefusedError, _FailedError) as error:
                failure, refused = str(error), isinstance(error, _RefusedError)
            except Exception as error:  # noqa: BLE001 - the thread has other webhooks to post
                failure = type(error).__name__
                event(log, logging.ERROR, "a webhook failed", exc_info=True, job_id=post.job_id)
            with self._state.lock:
                self._settle(post, failure, refused=refused)

    def _next(self) -> Post | None:
        """The next that is due; None once there are to be no more."""
        state = self._state
        with state.lock:
            while not self._closed:
                now = time.time()
                try:
                    if post := state.posts.due(now, self._posting):
                        self._posting.add(post.job_id)
                        return post
                    due_at = state.posts.next_due(self._posting)
                except DISK_ERRORS as error:
                    event(log, logging.ERROR, "the webhooks could not be read", detail=detail_of(error))
                    due_at = now + _DISK_SECONDS
                state.posting.wait(None if due_at is None else max(0.0, due_at - now) + 0.001)
        return None

    def _settle(self, post: Post, failure: str, *, refused: bool) -> None:
        while not self._closed:
            try:
                if failure and not refused and post.tries < len(self._delays_seconds):
                    seconds = self._delays_seconds[post.tries]
                    self._state.posts.again(post.job_id, time.time() + seconds)
                    self._say(logging.WARNING, "a webhook was not taken", post, reason=failure, again_in=seconds)
                else:
                    self._state.posts.done(post.job_id)
                    if failure:
                        self._say(logging.ERROR, "a webhook is given up", post, reason=failure)
                break
            except DISK_ERRORS as error:
                event(log, logging.ERROR, "a webhook's end could not be kept", detail=detail_of(error))
                self._state.posting.wait(_DISK_SECONDS)
        self._posting.discard(post.job_id)
        self._state.posting.notify_all()

    def _say(self, level: int, message: str, post: Post, **fields: Any) -> None:
        event(log, level, message, job_id=post.job_id, host=urlsplit(post.url).hostname, tries=post.tries + 1, **fields)


def _is_private(host: str) -> bool:
    """Whether a host is written as an address, and one that is not public; what names lead to is not known yet."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return not is_public(host.strip("[]"))


def _anywhere(address: str, port: int) -> bool:  # noqa: ARG001 - of the form of `engine.dialing.Public`
    return True


def _send(url: str, body: bytes, *, private: bool) -> None:
    """Post once; redirects are not followed.

    Raises:
        _RefusedError: it may not go there.
        _FailedError: it was not taken.
    """
    import requests
    import urllib3

    from engine.media.connections import Dialer, new_session
    from engine.media.problems import MediaProblem, Rejected
    from engine.media.watch import Watch
    from engine.plain_sessions import proxies_of_environment

    headers = {"Content-Type": "application/json"}
    try:
        with (
            Watch(_POST_SECONDS) as watch,
            new_session(Dialer(_anywhere if private else public_alone, watch)) as session,
            session.post(
                url,
                data=body,
                headers=headers,
                timeout=watch.left,
                allow_redirects=False,
                stream=True,
                proxies=proxies_of_environment(url) if private else {},
            ) as response,
        ):
            status = response.status_code
    except Rejected as error:
        raise _RefusedError(error.message) from error
    except (MediaProblem, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise _FailedError(type(error).__name__) from error  # its text holds the URL
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise _FailedError(f"it answered {status}")
