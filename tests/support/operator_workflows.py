"""A workflow with every operator: LoRAs, an optional ControlNet, an optional upscale, an optional image."""

from support.workflows import sampler_graph

LORAS = ("random_lora_a.safetensors", "random_lora_b.safetensors")
CONTROL_NET = "empty_controlnet.safetensors"


def everything_graph():
    """Text to image with a LoRA, a ControlNet, an image to begin with, and a larger picture at the end."""
    graph = sampler_graph()
    graph["10"] = _node(
        "LoraLoader", lora_name=LORAS[0], strength_model=1.0, strength_clip=1.0, model=["4", 0], clip=["4", 1]
    )
    graph["20"] = _node("LoadImage", image="control.png")
    graph["21"] = _node("ControlNetLoader", control_net_name=CONTROL_NET)
    graph["22"] = _node(
        "ControlNetApplyAdvanced",
        positive=["6", 0],
        negative=["7", 0],
        control_net=["21", 0],
        image=["20", 0],
        strength=0.8,
        start_percent=0.0,
        end_percent=1.0,
    )
    graph["30"] = _node("ImageScaleBy", image=["8", 0], upscale_method="bilinear", scale_by=2.0)
    graph["40"] = _node("LoadImage", image="start.png")
    graph["41"] = _node("VAEEncode", pixels=["40", 0], vae=["4", 2])
    for node_id in ("6", "7"):
        graph[node_id]["inputs"]["clip"] = ["10", 1]
    graph["3"]["inputs"] |= {"model": ["10", 0], "positive": ["22", 0], "negative": ["22", 1]}
    graph["9"]["inputs"]["images"] = ["30", 0]
    return graph


def everything_map():
    """Its map; made anew for every caller."""
    return {
        "parameters": {
            "prompt": {"type": "string", "required": True, "bind": "$['6'].inputs.text"},
            "seed": {"type": "seed", "bind": "$['3'].inputs.seed"},
            "steps": {"type": "integer", "minimum": 1, "maximum": 150, "bind": "$['3'].inputs.steps"},
            "width": {"type": "integer", "bind": "$['5'].inputs.width"},
            "height": {"type": "integer", "bind": "$['5'].inputs.height"},
            "ckpt_name": {"type": "string", "bind": "$['4'].inputs.ckpt_name"},
            "control_image": {"type": "image", "bind": "$['20'].inputs.image"},
            "strength": {"type": "number", "minimum": 0, "maximum": 2, "bind": "$['22'].inputs.strength"},
            "image": {"type": "image", "bind": "$['40'].inputs.image"},
            "upscale": {"type": "number", "minimum": 1, "maximum": 4, "default": 1, "bind": "$['30'].inputs.scale_by"},
            "loras": {
                "type": "array",
                "maxItems": 5,
                "default": [],
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "required": True, "choices": "LoraLoader.lora_name"},
                        "strength": {"type": "number", "minimum": -2, "maximum": 2, "default": 1},
                    },
                },
            },
        },
        "computed": {
            "$['3'].inputs.latent_image": {
                "expression": "['41', 0] if image is not none else ['5', 0]",
                "replaces_link": True,
            }
        },
        "switches": {
            "control": {"when": "control_image is not none", "bypass": ["22"]},
            "upscale": {"when": "upscale != 1", "bypass": ["30"]},
        },
        "repeat": {
            "10": {
                "over": "loras",
                "through": {"model": 0, "clip": 1},
                "set": {
                    "lora_name": "item.name",
                    "strength_model": "item.strength",
                    "strength_clip": "item.strength",
                },
            }
        },
        "outputs": {"image": {"node": "9", "kind": "image"}},
    }


def loras(count):
    """That many items for the parameter `loras`, each with its own strength."""
    return [{"name": LORAS[index % len(LORAS)], "strength": round(0.5 + index / 10, 1)} for index in range(count)]


def _node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}
