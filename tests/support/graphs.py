"""Small graphs for the tests that run something."""

import itertools
import random

_fresh = itertools.count(random.SystemRandom().randrange(1 << 23))


def fresh_number() -> int:
    """A number that no test has used, so that ComfyUI takes nothing from its cache."""
    return next(_fresh) & 0xFFFFFF


def picture(*, color=None, size=64, prefix="plain") -> dict:
    """A picture of one colour, inverted and scaled to half; no model is needed.

    The colour is 0xRRGGBB; the saved picture has its inverse.
    """
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {
                "width": size,
                "height": size,
                "batch_size": 1,
                "color": fresh_number() if color is None else color,
            },
        },
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {
            "class_type": "ImageScale",
            "inputs": {
                "image": ["2", 0],
                "upscale_method": "nearest-exact",
                "width": size // 2,
                "height": size // 2,
                "crop": "disabled",
            },
        },
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": prefix}},
    }


def text_to_image(checkpoint, *, steps=2, seed=None) -> dict:
    """Sample 64 by 64 pixels; thousands of steps make a job that outlasts any test."""
    return {
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "seed": fresh_number() if seed is None else seed,
                "steps": steps,
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
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a lighthouse", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "t2i"}},
    }
