"""What an agent gets for a reply: pictures to look at, words, and where the whole files are."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.mcp.pictures import small_picture
from engine.mcp.tools import SIMULATED
from engine.media.unfinished import Unfinished
from engine.wording import count_of, shorter

MOST_BYTES = 700_000
"""Of all pictures and sounds in an answer together. In base64 they take a third more: below a million."""
_MOST_ANSWER_BYTES = 1_000_000
"""Of a whole answer: clients of the library `mcp` (2.3) refuse a message of more than 1 MiB."""
_LEAST_PICTURE_BYTES = 5_000
_MOST_PICTURES = 4
_LONGEST_TEXT = 20_000
_LONGEST_VALUE = 500
_HIDDEN = ("base64", "thumbnail")
_SOUNDS = {"audio/wav": "audio/wav", "audio/mpeg": "audio/mpeg", "audio/flac": "audio/flac", "audio/ogg": "audio/ogg"}

Block = dict[str, Any]
"""A piece of content, in MCP's words."""


def result_of(reply: Mapping[str, Any], shown: Mapping[str, Any], *, simulated: bool, links: bool) -> Block:
    """The answer to a call.

    Args:
        reply: as it was made: with files by their `path`, where they are on this machine.
        shown: the same as its caller may see it.
        simulated: its pictures are stand-ins.
        links: its client knows links to resources, which came with the protocol's version 2025-06-18.
    """
    if "error" in shown:
        return failure_of(shown)
    result = _without_content(shown)
    content: list[Block] = []
    for each in result["outputs"]:
        if each.get("text") is not None:
            content.append(_text(each["text"]))
        elif links and (link := _link(each)):
            content.append(link)
    summary = _text(_summary(shown, simulated=simulated))
    words = len(json.dumps([summary, content, result]))
    most_bytes = min(MOST_BYTES, (_MOST_ANSWER_BYTES - words) * 3 // 4)
    pictures = _to_look_at(reply.get("outputs", ()), most_bytes)
    return {"content": [summary, *pictures, *content], "structuredContent": result}


def failure_of(reply: Mapping[str, Any]) -> Block:
    """The answer to a call that failed: all that is wrong, in words, so that another call can mend it."""
    failure = reply.get("failure") or {}
    lines = [str(reply["error"])]
    if len(problems := failure.get("problems") or ()) > 1:
        places = [": ".join(text for text in (each["parameter"], each["message"]) if text) for each in problems]
        lines = [
            f"{failure['code']}:",
            *(f"- {each}" for each in places),
            *([failure["hint"]] if failure["hint"] else []),
        ]
    return {"content": [_text("\n".join(lines))], "structuredContent": dict(reply), "isError": True}


def _summary(shown: Mapping[str, Any], *, simulated: bool) -> str:
    outputs = shown.get("outputs", ())
    seconds = (shown.get("timings") or {}).get("total")
    files = [each for each in outputs if each.get("text") is None]
    lines = [f"{shown.get('workflow', 'the workflow')}: {count_of(len(outputs), 'result')}"]
    if seconds is not None:
        lines[0] += f" in {seconds:.1f} s"
    lines += [f"- {_described(each)}" for each in files]
    if values := shown.get("values"):
        short = {name: _short(value) for name, value in values.items()}
        lines.append(f"values: {json.dumps(short, ensure_ascii=False)}")
    lines += [f"warning: {each}" for each in shown.get("warnings", ())]
    if simulated:
        lines.append(SIMULATED)
    return "\n".join(lines)


def _described(output: Mapping[str, Any]) -> str:
    size = f", {output['width']} by {output['height']}" if output.get("width") else ""
    seconds = f", {output['duration_seconds']:g} s" if output.get("duration_seconds") else ""
    place = output.get("path") or output.get("url") or output.get("uri") or "in this answer alone"
    return f"{output.get('filename', output.get('name'))} ({output.get('content_type')}{size}{seconds}): {place}"


def _short(value: Any) -> Any:
    return shorter(value, _LONGEST_VALUE) if isinstance(value, str) else value


def _to_look_at(outputs: Sequence[Mapping[str, Any]], left: int) -> Iterator[Block]:
    """The first pictures, and sounds that are short enough; of so many bytes together."""
    pictures = [each for each in outputs if str(each.get("content_type", "")).startswith("image/")]
    for number, output in enumerate(pictures[:_MOST_PICTURES]):
        most_bytes = left // (min(len(pictures), _MOST_PICTURES) - number)
        source = _content(output, preview=True)
        if source is None or most_bytes < _LEAST_PICTURE_BYTES:
            continue
        try:
            content, content_type = small_picture(source, most_bytes)
        except (Unfinished, OSError):
            continue  # the words and the link are there
        left -= len(content)
        yield _encoded("image", content, content_type)
    for output in outputs:
        content_type = _SOUNDS.get(str(output.get("content_type", "")), "")
        if content_type and output.get("size_bytes", left + 1) <= left:
            source = _content(output, preview=False)
            sound = source.read_bytes() if isinstance(source, Path) and source.is_file() else source
            if isinstance(sound, bytes):
                left -= len(sound)
                yield _encoded("audio", sound, content_type)


def _content(output: Mapping[str, Any], *, preview: bool) -> Path | bytes | None:
    """An output's file or content; a small picture of it, where it is in a bucket; None where there is neither."""
    if path := output.get("path"):
        return Path(path)
    if content := output.get("base64"):
        return base64.b64decode(content)
    thumbnail = output.get("thumbnail") if preview else None
    return base64.b64decode(thumbnail.partition(",")[2]) if thumbnail else None


def _encoded(kind: str, content: bytes, content_type: str) -> Block:
    return {"type": kind, "data": base64.b64encode(content).decode("ascii"), "mimeType": content_type}


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _link(output: Mapping[str, Any]) -> Block | None:
    uri = output.get("url") or (Path(output["path"]).absolute().as_uri() if output.get("path") else None)
    if uri is None:
        return None
    link = {
        "type": "resource_link",
        "uri": uri,
        "name": output.get("filename") or output["name"],
        "mimeType": output.get("content_type"),
        "size": output.get("size_bytes"),
    }
    return {key: value for key, value in link.items() if value is not None}


def _without_content(shown: Mapping[str, Any]) -> dict[str, Any]:
    """The result without what stands in the content already; long texts are cut."""
    left = _LONGEST_TEXT
    outputs = []
    for output in shown.get("outputs", ()):
        kept = {key: value for key, value in output.items() if key not in _HIDDEN}
        if kept.get("text") is not None:
            kept["text"] = shorter(kept["text"], max(left, _LONGEST_VALUE))
            left -= len(kept["text"])
        outputs.append(kept)
    values = {
        name: shorter(value, _LONGEST_TEXT) if isinstance(value, str) else value
        for name, value in shown.get("values", {}).items()
    }
    return {**shown, "outputs": outputs, "values": values}
