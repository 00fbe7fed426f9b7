"""The formats of RunPod's Hub files, as JSON Schemas of our own.

RunPod publishes none. The fields, which of them must be there and what they hold are those of its publishing guide
(https://docs.runpod.io/hub/publishing-guide as of 2026-08-20); the names of GPUs and of their pools are those of
https://docs.runpod.io/references/gpu-types. What the guide does not name is refused: the Hub would not use it.
"""

_POOLS = "AMPERE_16|AMPERE_24|ADA_24|AMPERE_48|ADA_48_PRO|AMPERE_80|ADA_80_PRO|HOPPER_141"
# A few of the table's GPU ids: those that a test may want.
_GPUS = ["NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 3090", "NVIDIA RTX A4000", "NVIDIA RTX A5000", "NVIDIA L4"]
_CUDA = {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"pattern": r"^\d+\.\d$", "type": "string"}}
_NAME = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}  # of an environment variable
_TEXT = {"type": "string", "minLength": 1}
_VALUE = {"type": ["string", "number", "boolean"]}

_INPUT = {
    "type": "object",
    "required": ["name", "type"],
    "additionalProperties": False,
    "properties": {
        "name": _TEXT,
        "type": {"enum": ["string", "huggingface", "number", "boolean"]},
        "description": _TEXT,
        "default": _VALUE,
        "required": {"type": "boolean"},
        "advanced": {"type": "boolean"},
        "options": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["label", "value"],
                "additionalProperties": False,
                "properties": {"label": _TEXT, "value": {"type": "string"}},
            },
        },
        "min": {"type": "number"},
        "max": {"type": "number"},
        "trueValue": {"type": "string"},
        "falseValue": {"type": "string"},
    },
    "allOf": [
        {
            "if": {"properties": {"type": {"const": kind}}},
            "then": {"properties": {"default": {"type": default}}},
            "else": {"not": {"anyOf": [{"required": [word]} for word in own]}} if own else True,
        }
        for kind, default, own in (
            ("string", "string", ["options"]),
            ("huggingface", "string", []),
            ("number", "number", ["min", "max"]),
            ("boolean", "boolean", ["trueValue", "falseValue"]),
        )
    ],
}

HUB = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["title", "description", "type", "category", "config"],
    "additionalProperties": False,
    "properties": {
        "title": _TEXT,
        "description": _TEXT,
        "type": {"const": "serverless"},
        "category": {"enum": ["audio", "embedding", "language", "video", "image"]},
        "iconUrl": {"type": "string", "pattern": r"^https://[^\s/]+/\S+$"},
        "config": {
            "type": "object",
            "required": ["runsOn", "containerDiskInGb", "gpuCount", "gpuIds"],  # of one that runs on a GPU
            "additionalProperties": False,
            "properties": {
                "runsOn": {"const": "GPU"},
                "endpointType": {"const": "LB"},
                "containerDiskInGb": {"type": "integer", "minimum": 1},
                "gpuCount": {"type": "integer", "minimum": 1},
                "gpuIds": {"type": "string", "pattern": rf"^({_POOLS})(,({_POOLS})|,-[A-Za-z0-9 ]+)*$"},
                "allowedCudaVersions": _CUDA,
                "presets": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name", "defaults"],
                        "additionalProperties": False,
                        "properties": {
                            "name": _TEXT,
                            "defaults": {"type": "object", "propertyNames": _NAME, "additionalProperties": _VALUE},
                        },
                    },
                },
                "env": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["key"],
                        "additionalProperties": False,
                        "properties": {"key": _NAME, "value": {"type": "string"}, "input": _INPUT},
                        "oneOf": [{"required": ["value"]}, {"required": ["input"]}],
                    },
                },
            },
        },
    },
}

TESTS = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["tests", "config"],
    "additionalProperties": False,
    "properties": {
        "tests": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "input"],
                "additionalProperties": False,
                "properties": {
                    "name": _TEXT,
                    "input": {"type": "object"},  # what the handler finds under `input`
                    "timeout": {"type": "integer", "minimum": 1000},  # milliseconds: below a second it is a mistake
                },
            },
        },
        "config": {
            "type": "object",
            "required": ["gpuTypeId", "gpuCount"],
            "additionalProperties": False,
            "properties": {
                "gpuTypeId": {"enum": _GPUS},
                "gpuCount": {"type": "integer", "minimum": 1},
                "allowedCudaVersions": _CUDA,
                "env": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["key", "value"],
                        "additionalProperties": False,
                        "properties": {"key": _NAME, "value": {"type": "string"}},
                    },
                },
            },
        },
    },
}
