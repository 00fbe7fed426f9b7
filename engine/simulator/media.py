"""Nodes of video, sound and 3D: what they save is of the right kind, and holds little."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.simulator import containers
from engine.simulator.calls import Call, Operation, Outcome
from engine.simulator.values import Carried, Images

_FALLBACK_FPS = 24.0


def _create_video(call: Call) -> Outcome:
    return Outcome((Carried("VIDEO", {"images": call.images("images"), "fps": call.inputs["fps"]}),))


def _empty_audio(call: Call) -> Outcome:
    facts = {
        "seconds": call.inputs["duration"],
        "sample_rate": call.inputs.get("sample_rate", 44100),
        "channels": call.inputs.get("channels", 2),
    }
    return Outcome((Carried("AUDIO", facts),))


def _save_video(call: Call) -> Outcome:
    facts = _facts(call, "video")
    images = facts.get("images")
    if not isinstance(images, Images):
        images = _black()
    content = containers.motion_jpeg(images.frames, facts.get("fps", _FALLBACK_FPS))
    shown = _saved(call, content, ".mp4", images.size)
    return Outcome((), {"images": [shown], "animated": [True]})


def _save_audio(call: Call) -> Outcome:
    return Outcome((), {"audio": [_saved(call, _sound(call), ".flac", (0, 0))]})


def _save_mp3(call: Call) -> Outcome:
    return Outcome((), {"audio": [_saved(call, _sound(call, containers.silent_mp3), ".mp3", (0, 0))]})


def _preview_audio(call: Call) -> Outcome:
    place = call.folders.next_place(call.folders.temp, f"ComfyUI{call.temp_name}", (0, 0))
    path = place.take(0, ".flac")
    path.write_bytes(_sound(call))
    return Outcome((), {"audio": [{"filename": path.name, "subfolder": place.subfolder, "type": "temp"}]})


def _save_latent(call: Call) -> Outcome:
    latent = call.latent("samples")
    content = containers.empty_latent((latent.batch, 4, latent.height // 8, latent.width // 8))
    return Outcome((), {"latents": [_saved(call, content, ".latent", (0, 0))]})


def _save_mesh(call: Call) -> Outcome:
    return Outcome((), {"3d": [_saved(call, containers.empty_scene(), ".glb", (0, 0))]})


def _sound(call: Call, silent: Callable[[float, int, int], bytes] = containers.silent_flac) -> bytes:
    facts = _facts(call, "audio")
    return silent(facts.get("seconds", 1.0), facts.get("sample_rate", 44100), facts.get("channels", 2))


def _facts(call: Call, name: str) -> Mapping[str, Any]:
    value = call.inputs.get(name)
    return value.facts if isinstance(value, Carried) else {}


def _black() -> Images:
    from PIL import Image

    return Images((Image.new("RGB", (64, 64)),))


def _saved(call: Call, content: bytes, ending: str, size: tuple[int, int]) -> dict[str, str]:
    place = call.folders.next_place(call.folders.output, call.inputs["filename_prefix"], size)
    path = place.take(0, ending)
    path.write_bytes(content)
    return {"filename": path.name, "subfolder": place.subfolder, "type": "output"}


OPERATIONS: Mapping[str, Operation] = {
    "CreateVideo": _create_video,
    "EmptyAudio": _empty_audio,
    "SaveVideo": _save_video,
    "SaveAudio": _save_audio,
    "SaveAudioMP3": _save_mp3,
    "PreviewAudio": _preview_audio,
    "SaveLatent": _save_latent,
    "SaveGLB": _save_mesh,
}
