"""Jobs that run while their bucket goes away and comes back."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from support.runners import runner_on
from support.s3 import BUCKET, Outages

from engine.envelope import answer

_FITS, _DOES_NOT = (8, 8), (96, 96)  # of pictures of noise, in pixels
_REPLY_BYTES = 20_000


@dataclass
class Seen:
    """What callers and the bucket saw.

    Attributes:
        in_bucket: jobs whose reply had a link.
        in_reply: jobs whose reply had the result itself, for the bucket was away.
        kept: jobs whose failure named the object to come.
        failed: what any other job said.
        right: jobs whose object has the right bytes in the end.
        seconds: from the server's return until the last object was there.
    """

    in_bucket: int = 0
    in_reply: int = 0
    kept: int = 0
    failed: list[str] = field(default_factory=list)
    right: int = 0
    seconds: float = 0.0


def through_an_outage(
    comfy: object,
    outages: Outages,
    folder: Path,
    *,
    jobs: int,
    at_once: int,
    away: Callable[[], object],
    **settings: object,
) -> Seen:
    """Runs jobs, some of which make more than a reply takes; the bucket is away from the fifth on.

    Args:
        comfy: that runs them.
        outages: the bucket's server.
        folder: for the spool.
        jobs: how many.
        at_once: how many run at the same time.
        away: returns when the bucket is to be back.
        settings: of the operator.
    """
    pictures = [_picture(_DOES_NOT if number % 2 else _FITS) for number in range(jobs)]
    control = runner_on(comfy, folder, default="inline")
    expected = [_digest(answer(_request(each), control, job_id="control")) for each in pictures]
    control.close()

    server = {f"s3_{name}": value for name, value in outages.server.options().items()}
    runner = runner_on(
        comfy,
        folder,
        default="inline",
        response_limit_bytes=_REPLY_BYTES,
        spool_path=folder / "spool",
        **server,
        **settings,
    )
    runner.warm()
    seen, lock = Seen(), threading.Lock()

    def run(number: int) -> None:
        reply = answer(_request(pictures[number]), runner, job_id=f"job-{number}")
        with lock:
            _count(seen, reply)

    with ThreadPoolExecutor(at_once) as pool:
        for number in range(5):
            run(number)
        outages.stop()
        running = [pool.submit(run, number) for number in range(5, jobs)]
        away()
        outages.start()
        back = time.monotonic()
        for each in running:
            each.result()
    deadline = time.monotonic() + 90
    kept = folder / "spool" / "kept"
    while kept.exists() and list(kept.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    seen.seconds = time.monotonic() - back
    runner.close()
    seen.right = sum(_is_right(outages, number, digest) for number, digest in enumerate(expected))
    return seen


def _picture(size: tuple[int, int]) -> bytes:
    """Noise, which no format makes small."""
    buffer = io.BytesIO()
    Image.effect_noise(size, 90).save(buffer, "PNG")
    return buffer.getvalue()


def _request(picture: bytes) -> dict[str, object]:
    payload = {"image": base64.b64encode(picture).decode(), "width": Image.open(io.BytesIO(picture)).width}
    wishes = {"metadata": "strip", "filename": "{job_id}.png"}
    return {"workflow": "resize", "payload": payload, "delivery": wishes}


def _digest(reply: dict[str, object]) -> str:
    [output] = reply["outputs"]
    return output["sha256"]


def _count(seen: Seen, reply: dict[str, object]) -> None:
    failure = reply.get("failure")
    if failure is None:
        [output] = reply["outputs"]
        seen.in_bucket += "url" in output
        seen.in_reply += "base64" in output
    elif [problem["parameter"] for problem in failure["problems"]] and not failure["retryable"]:
        seen.kept += 1
    else:
        seen.failed.append(reply["error"])


def _is_right(outages: Outages, number: int, digest: str) -> bool:
    path = outages.server.folder / BUCKET / f"job-{number}.png"
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest
