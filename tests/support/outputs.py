"""Results as the steps before storage hand them on."""

from __future__ import annotations

import hashlib
from pathlib import Path

from engine.delivery import Delivery, Naming
from engine.results import OutputFile


def of_job(
    workflow: str = "txt2img", job_id: str = "job-1", *, values: dict[str, object] | None = None, **delivery: object
) -> dict[str, object]:
    """What a store is told beside the results."""
    naming = Naming(workflow, "1.0", job_id, dict(values or {}))
    return {"naming": naming, "delivery": Delivery(**{"mode": "s3", **delivery})}


def output_file(
    folder: Path,
    filename: str = "ComfyUI_00001_.png",
    content: bytes = b"not really a picture",
    *,
    content_type: str = "image/png",
    name: str = "image",
    index: int = 0,
) -> OutputFile:
    """A result with its file, which lies under a name of its own in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"result-{hashlib.sha256(repr((filename, index)).encode()).hexdigest()[:12]}"
    path.write_bytes(content)
    return OutputFile(
        name=name,
        index=index,
        kind="image",
        node_id="9",
        filename=filename,
        path=path,
        content_type=content_type,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def text_output(text: str = "a lighthouse", *, name: str = "caption") -> OutputFile:
    """A result that is text."""
    content = text.encode()
    return OutputFile(
        name=name,
        index=0,
        kind="text",
        node_id="12",
        filename="",
        path=None,
        content_type="text/plain",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        text=text,
    )
