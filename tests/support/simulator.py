"""Talking to a simulator in tests: requests, a listening websocket, graphs, and what a real ComfyUI said."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket

ROOT = Path(__file__).resolve().parent.parent.parent
COMFYUI_FACTS = ROOT.parent / "shared" / "comfyui"

needs_captures = pytest.mark.skipif(
    not (COMFYUI_FACTS / "captures").is_dir(), reason="the captures of a real ComfyUI are not there"
)


def capture(name: str) -> Any:
    """What a real ComfyUI 0.3.64 was asked and said."""
    return json.loads((COMFYUI_FACTS / "captures" / f"{name}.json").read_text())


def plain_graph(color: int = 0x112233, prefix: str = "plain", width: int = 256) -> dict[str, Any]:
    """A graph that needs no model."""
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 512, "height": 512, "batch_size": 1, "color": color},
        },
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {
            "class_type": "ImageScale",
            "inputs": {
                "image": ["2", 0],
                "upscale_method": "nearest-exact",
                "width": width,
                "height": 256,
                "crop": "disabled",
            },
        },
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": prefix}},
    }


def text_to_image(**changes: Any) -> dict[str, Any]:
    """The usual graph; `seed steps text width height batch_size checkpoint prefix` can be changed."""
    value = {
        "seed": 1,
        "steps": 2,
        "text": "a photo of a cat",
        "width": 64,
        "height": 64,
        "batch_size": 1,
        "checkpoint": "sd15.safetensors",
        "prefix": "t2i",
    } | changes
    return {
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "seed": value["seed"],
                "steps": value["steps"],
                "cfg": 7.0,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1.0,
                "model": ["4", 0],
                "positive": ["6", 0],
                "negative": ["7", 0],
                "latent_image": ["5", 0],
            },
        },
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": value["checkpoint"]}},
        "5": {
            "class_type": "EmptyLatentImage",
            "inputs": {key: value[key] for key in ("width", "height", "batch_size")},
        },
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": value["text"], "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry, low quality", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {
            "class_type": "SaveImage",
            "inputs": {"filename_prefix": value["prefix"], "images": ["8", 0]},
        },
    }


class Listener:
    """A websocket of one client, that reads until it has seen what it waits for."""

    def __init__(self, url: str, client_id: str | None = None) -> None:
        self.client_id = client_id or str(uuid.uuid4())
        self.frames: list[Any] = []
        address = f"{url.replace('http', 'ws', 1)}/ws?clientId={self.client_id}"
        self._socket = websocket.create_connection(address, timeout=20)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, message: dict[str, Any]) -> None:
        self._socket.send(json.dumps(message))

    def next(self) -> Any:
        """The next frame: a message, or the bytes of a binary one."""
        frame = self._socket.recv()
        self.frames.append(json.loads(frame) if isinstance(frame, str) else frame)
        return self.frames[-1]

    def until(self, kind: str, **data: Any) -> Any:
        """Read up to a message of that type whose data has those values."""
        while True:
            frame = self.next()
            if (
                isinstance(frame, dict)
                and frame["type"] == kind
                and all(frame["data"].get(key) == value for key, value in data.items())
            ):
                return frame

    def messages(self) -> list[dict[str, Any]]:
        """What came that was no binary frame."""
        return [frame for frame in self.frames if isinstance(frame, dict)]


def run(url: str, graph: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Queue a graph, wait for its end, give its entry in history."""
    with Listener(url) as listener:
        answer = requests.post(
            f"{url}/prompt", json={"prompt": graph, "client_id": listener.client_id, **more}, timeout=20
        )
        assert answer.status_code == 200, answer.text
        prompt_id = answer.json()["prompt_id"]
        listener.until("executing", node=None, prompt_id=prompt_id)
    return requests.get(f"{url}/history/{prompt_id}", timeout=20).json()[prompt_id]


def view(url: str, image: dict[str, str], **more: str) -> requests.Response:
    """Fetch a picture that history names."""
    return requests.get(f"{url}/view", params={**image, **more}, timeout=20)
