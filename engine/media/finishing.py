"""Results as they are to be delivered: in the format that was asked for, with what made them, with a thumbnail.

Nothing here loses a result: what can't be done is left undone, and a warning says so.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from engine.delivery import Delivery
from engine.media import conversion, facts, sniff, stamps, thumbnails
from engine.media.unfinished import Unfinished, container_work
from engine.results import OutputFile

log = logging.getLogger(__name__)


def finish(
    output: OutputFile, *, delivery: Delivery, stamp: Mapping[str, Any], folder: Path
) -> tuple[OutputFile, list[str]]:
    """Bring a result into the form that is to be delivered.

    Args:
        output: the result; its file is never changed.
        delivery: what was asked for: `format`, `quality`, `lossless`, `metadata` and `thumbnail` count here. A
            picture that has the format already is not coded again, whatever its quality.
        stamp: what made the result, in JSON types: `workflow`, `version`, `values` without media, `engine`; empty
            for none.
        folder: where new files go, each under a name of its own; made if need be.

    Returns:
        The result, described anew where its file is new, and the very same where there was nothing to be done; and
        warnings of what could not be done, each a sentence for people.
    """
    if output.path is None:
        return output, []
    if not output.content_type.startswith("image/"):
        # Videos, sounds, 3D models and latents may all hold ComfyUI's graph, and so may files of kinds not known here.
        return output, [] if delivery.metadata == "keep" else [_metadata_stays(output)]
    warnings: list[str] = []
    finished = _converted(output, delivery, stamp, folder, warnings)
    if finished is output:
        finished = _stamped(output, delivery, stamp, folder, warnings)
    if delivery.thumbnail > 0:
        finished = _with_thumbnail(finished, delivery.thumbnail, warnings)
    return finished, warnings


def _converted(
    output: OutputFile, delivery: Delivery, stamp: Mapping[str, Any], folder: Path, warnings: list[str]
) -> OutputFile:
    if delivery.format is None or output.path is None:
        return output
    content_type = conversion.CONTENT_TYPES[delivery.format]
    if content_type == output.content_type:
        return output
    try:
        target = _new_file(folder, content_type)
        found = conversion.convert(
            output.path,
            target,
            form=delivery.format,
            quality=delivery.quality,
            lossless=delivery.lossless,
            metadata=delivery.metadata,
            stamp=stamp,
        )
        warnings += [_sentence(output, warning) for warning in found]
        filename = str(PurePath(output.filename).with_suffix(sniff.extension(content_type)))
        return _described(replace(output, path=target, filename=filename, content_type=content_type))
    except Unfinished as problem:
        _note(output, problem, warnings)
        return output


def _stamped(
    output: OutputFile, delivery: Delivery, stamp: Mapping[str, Any], folder: Path, warnings: list[str]
) -> OutputFile:
    if output.path is None:
        return output
    if not stamps.can_stamp(output.content_type):
        warnings += [] if delivery.metadata == "keep" else [_metadata_stays(output)]
        return output
    try:
        target = _new_file(folder, output.content_type)
        changed, found = stamps.restamp(
            output.path, target, content_type=output.content_type, metadata=delivery.metadata, stamp=stamp
        )
        warnings += [_sentence(output, warning) for warning in found]
        return _hashed(replace(output, path=target)) if changed else output
    except Unfinished as problem:
        _note(output, problem, warnings)
        return output


def _with_thumbnail(output: OutputFile, longest_side: int, warnings: list[str]) -> OutputFile:
    if output.path is None:
        return output
    try:
        return replace(output, thumbnail=thumbnails.thumbnail(output.path, longest_side))
    except Unfinished as problem:
        _note(output, problem, warnings)
        return output


def _new_file(folder: Path, content_type: str) -> Path:
    with container_work("can't be changed"):
        folder.mkdir(parents=True, exist_ok=True)
    return folder / f"finished_{secrets.token_hex(8)}{sniff.extension(content_type)}"


def _described(output: OutputFile) -> OutputFile:
    """The result with what its new file changed, its size included."""
    size = facts.size(output.path, output.content_type) if output.path else None
    return _hashed(replace(output, width=size[0], height=size[1]) if size else output)


def _hashed(output: OutputFile) -> OutputFile:
    """The result with the hash and the length of its new file."""
    if output.path is None:
        return output
    try:
        with output.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size_bytes = file.tell()
    except OSError as error:
        raise Unfinished("was changed, but can't be read again: it stays as it was") from error
    return replace(output, sha256=digest, size_bytes=size_bytes)


def _metadata_stays(output: OutputFile) -> str:
    return _sentence(output, f"the metadata of {output.content_type} can't be changed; it stays")


def _note(output: OutputFile, problem: Unfinished, warnings: list[str]) -> None:
    log.info("%s %s (%r)", output.filename, problem, problem.__cause__)
    warnings.append(_sentence(output, str(problem)))


def _sentence(output: OutputFile, clause: str) -> str:
    return f"{output.filename}: {clause}"
