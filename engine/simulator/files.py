"""`/upload/image`, `/upload/mask` and `/view`, with ComfyUI's rules and status codes (0.3.64 and 0.8.0)."""

from __future__ import annotations

import json
import mimetypes
import os
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from aiohttp import web
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from engine.simulator.folders import Folders, OutsideFolderError

# A browser would run these; ComfyUI has them downloaded instead.
_ACTIVE = frozenset({"text/html", "text/html-sandboxed", "application/xhtml+xml", "text/javascript", "text/css"})


def routes(folders: Folders) -> list[web.RouteDef]:
    """The routes over those folders."""

    async def upload_image(request: web.Request) -> web.Response:
        return _upload(folders, await request.post(), lambda data: data)

    async def upload_mask(request: web.Request) -> web.Response:
        form = await request.post()
        original = json.loads(str(form["original_ref"]))
        return _upload(folders, form, lambda data: _with_mask(folders, original, data))

    async def view(request: web.Request) -> web.StreamResponse:
        return _view(folders, request.query)

    return [
        web.post("/upload/image", upload_image),
        web.post("/upload/mask", upload_mask),
        web.get("/view", view),
    ]


def _upload(folders: Folders, form: Mapping[str, Any], prepare: Callable[[bytes], bytes | None]) -> web.Response:
    file = form.get("image")
    kind = form.get("type", "input")
    folder = folders.of_type(kind)
    if folder is None:
        raise ValueError(f"no folder of type {kind!r}")  # a 500, as ComfyUI answers
    if not isinstance(file, web.FileField) or not file.filename:
        return web.Response(status=400)
    data = file.file.read()
    name, subfolder = file.filename, form.get("subfolder", "")
    try:
        path = folders.inside(folder, os.path.normpath(subfolder), name)
    except OutsideFolderError:
        return web.Response(status=400)
    path.parent.mkdir(parents=True, exist_ok=True)
    same = False
    if form.get("overwrite") not in ("true", "1"):
        stem, ending = os.path.splitext(name)  # noqa: PTH122 -- a name with a folder in it stays one
        number = 1
        while path.exists() and not (same := path.read_bytes() == data):
            name = f"{stem} ({number}){ending}"
            path = folders.inside(folder, os.path.normpath(subfolder), name)
            number += 1
    if not same:
        prepared = prepare(data)
        if prepared is not None:
            path.write_bytes(prepared)
    return web.json_response({"name": name, "subfolder": subfolder, "type": kind})


def _with_mask(folders: Folders, original: Mapping[str, Any], mask: bytes) -> bytes | None:
    """The original with the mask's alpha, as PNG; None, and nothing is written, where it is not there."""
    name, folder = folders.annotated(original["filename"])
    folder = folder or folders.of_type(original.get("type", "output"))
    if not name or name.startswith("/") or ".." in name or folder is None:
        return None
    file = folders.inside(folder, original.get("subfolder", ""), name)
    if not file.is_file():
        return None
    with Image.open(file) as picture, Image.open(BytesIO(mask)) as drawn:
        info = PngInfo()
        for key, text in getattr(picture, "text", {}).items():
            info.add_text(key, text)
        combined = picture.convert("RGBA")
        combined.putalpha(drawn.convert("RGBA").getchannel("A"))
    buffer = BytesIO()
    combined.save(buffer, "PNG", compress_level=4, pnginfo=info)
    return buffer.getvalue()


def _view(folders: Folders, query: Mapping[str, str]) -> web.StreamResponse:
    if "filename" not in query:
        return web.Response(status=404)
    name, folder = folders.annotated(query["filename"])
    if not name or name.startswith("/") or ".." in name:
        return web.Response(status=400)
    folder = folder or folders.of_type(query.get("type", "output"))
    if folder is None:
        return web.Response(status=400)
    try:
        path = folders.inside(folder, query.get("subfolder", "")) / Path(name).name
    except OutsideFolderError:
        return web.Response(status=403)
    if not path.is_file():
        return web.Response(status=404)
    disposition = {"Content-Disposition": f'filename="{path.name}"'}
    if "preview" in query:
        data, kind = _preview(path, query["preview"], query.get("channel", ""))
        return web.Response(body=data, content_type=kind, headers=disposition)
    if query.get("channel") in ("rgb", "a"):
        return web.Response(body=_channel(path, query["channel"]), content_type="image/png", headers=disposition)
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    kind = "application/octet-stream" if kind in _ACTIVE else kind
    return web.FileResponse(path, headers={**disposition, "Content-Type": kind})


def _preview(path: Path, wanted: str, channel: str) -> tuple[bytes, str]:
    """The picture as `webp;80` or `jpeg;70` says; and its content type."""
    parts = wanted.split(";")
    picture_format = parts[0] if parts[0] in ("webp", "jpeg") and "a" not in channel else "webp"
    quality = int(parts[-1]) if parts[-1].isdigit() else 90
    with Image.open(path) as picture:
        image = picture.convert("RGB") if picture_format == "jpeg" or channel == "rgb" else picture
        buffer = BytesIO()
        image.save(buffer, picture_format, quality=quality)
    return buffer.getvalue(), f"image/{picture_format}"


def _channel(path: Path, channel: str) -> bytes:
    with Image.open(path) as picture:
        if channel == "rgb":
            image = picture.convert("RGB")
        else:
            image = Image.new("RGBA", picture.size)
            alpha = picture.getchannel("A") if picture.mode == "RGBA" else Image.new("L", picture.size, 255)
            image.putalpha(alpha)
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
