"""Frozen values that the steps of a job hand on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from engine.verdicts import QualityReport

OutputKind = Literal["image", "video", "audio", "text", "3d", "file"]


@dataclass(frozen=True, slots=True)
class InputFile:
    """A checked file for one media parameter.

    Attributes:
        parameter: the parameter it came in by.
        path: where it lies on this machine.
        filename: a name to upload it under (unique to the job).
        content_type: its media type, from its bytes.
        size_bytes: its length.
        sha256: of its bytes, as hex.
        width: in pixels, for pictures.
        height: in pixels, for pictures.
    """

    parameter: str
    path: Path
    filename: str
    content_type: str
    size_bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class RawOutput:
    """One thing ComfyUI's history says a node made, under its declared name.

    Attributes:
        name: the output's name in the parameter map (the node's id where none is declared).
        index: its position among those of the same name.
        kind: what it is; `file` where ComfyUI does not say.
        node_id: of the template, also where the node that made it is a copy.
        filename: as ComfyUI named it; empty for text.
        subfolder: below ComfyUI's folder of that type.
        type: ComfyUI's folder: `output`, `temp` or `input`.
        text: for text outputs.
        path: the file, where it came over the websocket and is on this machine already.
    """

    name: str
    index: int
    kind: OutputKind
    node_id: str
    filename: str = ""
    subfolder: str = ""
    type: str = "output"
    text: str | None = None
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A result on this machine, described.

    Attributes:
        path: the file; None for text.
        content_type: its media type, from its bytes.
        size_bytes: its length; of the UTF-8 bytes for text.
        sha256: of its bytes, as hex.
        width: in pixels, for pictures.
        height: in pixels, for pictures and videos.
        duration_seconds: of videos, animations and sounds, where it can be read.
        fps: frames in a second, for videos.
        thumbnail: a small WebP picture as a data URI, where one was asked for.
    """

    name: str
    index: int
    kind: OutputKind
    node_id: str
    filename: str
    path: Path | None
    content_type: str
    size_bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    fps: float | None = None
    thumbnail: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class StoredOutput:
    """A result where the caller can get at it: by url, base64 or path; a text has none of them.

    Only what lies in a folder that a server gives out has two of them: its path, and a link to that server.

    Attributes:
        file: the result.
        url: a link to it.
        base64: its bytes.
        path: its file on this machine.
        uri: where it is in a bucket, `s3://BUCKET/KEY` or `gs://BUCKET/NAME`, whether or not there is a link.
        expires_at: when the link ends.
    """

    file: OutputFile
    url: str | None = None
    uri: str | None = None
    base64: str | None = None
    path: str | None = None
    expires_at: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        """The output as the contract shows it, without what it lacks."""
        described = {
            "name": self.file.name,
            "index": self.file.index,
            "kind": self.file.kind,
            "node_id": self.file.node_id,
            "filename": self.file.filename or None,
            "content_type": self.file.content_type,
            "size_bytes": self.file.size_bytes,
            "sha256": self.file.sha256,
            "width": self.file.width,
            "height": self.file.height,
            "duration_seconds": self.file.duration_seconds,
            "fps": self.file.fps,
            "thumbnail": self.file.thumbnail,
            "text": self.file.text,
            "url": self.url,
            "uri": self.uri,
            "base64": self.base64,
            "path": self.path,
            "expires_at": self.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ") if self.expires_at else None,
        }
        return {key: value for key, value in described.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an execution stands.

    Attributes:
        node_id: the node that runs, as the template names it; None before the first and after the last.
        node_class: its class.
        step: the step it is at.
        steps: how many it has.
        fraction: of the whole graph, 0 to 1; never goes down within an execution.
        node_title: the node's title in the template, where it has one.
        preview: a small JPEG of what the node is at, where previews were asked for and ComfyUI sends them.
        attempt: which try it is, where a workflow's quality gates refused the result of the one before.
    """

    node_id: str | None
    node_class: str | None
    step: int
    steps: int
    fraction: float
    node_title: str | None = None
    preview: bytes | None = field(default=None, repr=False)
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Execution:
    """What ComfyUI made of one rendered graph.

    Attributes:
        prompt_id: ComfyUI's id of it, chosen by us.
        outputs: node id to what the node reported, as /history has it.
        queue_seconds: from queueing until ComfyUI started it.
        execute_seconds: from its start to its end.
        warnings: what went wrong without failing the job.
        frames: node id to the pictures it sent over the websocket (SaveImageWebsocket), as files of this machine.
    """

    prompt_id: str
    outputs: dict[str, dict[str, Any]]
    queue_seconds: float
    execute_seconds: float
    warnings: tuple[str, ...] = ()
    frames: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobResult:
    """A finished job.

    Attributes:
        workflow: its name.
        version: of its map.
        outputs: what it made, stored.
        values: what it was made of.
        timings: seconds that its steps took.
        warnings: for its caller.
        quality: what the workflow's quality gates made of it; None where none applied.
    """

    workflow: str
    version: str
    outputs: tuple[StoredOutput, ...]
    values: dict[str, Any]
    timings: dict[str, float]
    warnings: tuple[str, ...] = field(default=())
    quality: QualityReport | None = None

    def as_dict(self) -> dict[str, Any]:
        """The result as the contract shows it: JSON types only."""
        shown: dict[str, Any] = {
            "workflow": self.workflow,
            "version": self.version,
            "outputs": [output.as_dict() for output in self.outputs],
            "values": self.values,
            "timings": {name: round(seconds, 3) for name, seconds in self.timings.items()},
            "warnings": list(self.warnings),
        }
        return shown | ({"quality": self.quality.as_dict()} if self.quality else {})
