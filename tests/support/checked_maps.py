"""Maps of the sampler's graph for `engine check`: one that is fine, and one that gets a warning."""

MAP = {
    "parameters": {
        "prompt": {"type": "string", "required": True, "bind": "$['6'].inputs.text"},
        "seed": {"type": "seed", "bind": "$['3'].inputs.seed"},
        "ckpt_name": {"type": "string", "bind": "$['4'].inputs.ckpt_name"},
    },
    "outputs": {"image": {"node": "9"}},
    "expects": {"3": "KSampler", "4": "CheckpointLoaderSimple", "6": "CLIPTextEncode", "9": "SaveImage"},
    "requires": {"models": [{"path": "checkpoints/v1-5-pruned-emaonly-fp16.safetensors"}]},
    "examples": [{"title": "A cat", "payload": {"prompt": "a cat"}}],
}
WARNED = {**MAP, "requires": {}}
