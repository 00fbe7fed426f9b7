"""What inputs are called in the field, and what a caller should know of each. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

SAMPLING, MODEL = "Sampling", "Model"


@dataclass(frozen=True, slots=True)
class Field:
    """A thing that graphs of all sorts let one set.

    Attributes:
        name: of the parameter.
        inputs: what inputs call it; the whole of their name.
        type: of its values.
        rank: its importance to a caller, the least first.
        description: for callers.
        group: heading under which forms show it.
        minimum: sense, where the node catalogue takes more.
        maximum: as `minimum`.
        most: how many such parameters a map may hold; none, and it is told as left out.
        joins: equal values of several places are one parameter.
        choice: its values are choices, which custom nodes often give as texts.
    """

    name: str
    inputs: str
    type: str
    rank: float
    description: str = ""
    group: str = ""
    minimum: float | None = None
    maximum: float | None = None
    most: int = 1
    joins: bool = True
    choice: bool = False

    def takes(self, name: str, value: Any, *, known: bool) -> bool:
        """Whether an input of that name, with that literal, is one of these; see `field_of`."""
        if not re.fullmatch(self.inputs, name):
            return False
        return self.fits(value) or (not known and (self.choice or self.type == "seed"))

    def fits(self, value: Any) -> bool:
        """Whether a literal is of the field's type."""
        if self.type in {"integer", "seed"}:
            whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return whole and not isinstance(value, bool)
        if self.type == "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        if self.type == "boolean":
            return isinstance(value, bool)
        return isinstance(value, str) and bool(value.strip() or not self.choice)


SEED = Field(
    "seed",
    r"(\w+_)?seed",
    "seed",
    30,
    "The same seed gives the same result; -1 draws a new one.",
    most=4,
)
STEPS = Field(
    "steps",
    r"(num_|n_|sampling_|sampler_|sample_|inference_|num_inference_|diffusion_|denoising_|base_|refiner_|total_|max_)?steps",
    "integer",
    45,
    "More steps take longer and show more detail.",
    SAMPLING,
    1,
    150,
    2,
)
CFG = Field(
    "cfg_scale",
    r"(true_)?cfg(_scale)?|guidance_scale|cfg_conds?|cfg_strength|cfg_weight|cfg_scale_start",
    "number",
    46,
    "How closely to follow the prompt.",
    SAMPLING,
    0,
    30,
)
GUIDANCE = Field(
    "guidance",
    r"guidance|embedded_guidance(_scale)?|flux_guidance",
    "number",
    47,
    "How closely to follow the prompt.",
    SAMPLING,
    0,
    100,
)
DENOISE = Field(
    "denoise",
    r"(image_)?denois(e|ing)(_strength)?|img2img_strength|image_strength",
    "number",
    29,
    "How much to change: 0 nothing, 1 everything.",
    "",
    0,
    1,
    2,
    joins=False,
)
SAMPLER = Field("sampler_name", r"sampler(_name)?", "string", 52, "", SAMPLING, choice=True)
SCHEDULER = Field("scheduler", r"scheduler(_name)?", "string", 53, "", SAMPLING, choice=True)
ASPECT_RATIO = Field("aspect_ratio", r"(aspect_)?ratio|aspect_?ratio", "string", 34, "Width to height.", choice=True)
RESOLUTION = Field("resolution", r"((output|target|video|image)_)?resolution", "string", 35, "", choice=True)
MEGAPIXELS = Field("megapixels", r"mega_?pixels?", "number", 36, "The size, in millions of pixels.", "", 0.01, 64)
SIZE = Field("size", r"((image|video|output)_)?size|dimensions", "string", 37, "", choice=True)
WIDTH = Field(
    "width",
    r"((empty_latent|image|video|output|target|latent|custom|canvas)_)?width",
    "integer",
    38,
    "In pixels.",
    "",
    16,
    4096,
)
HEIGHT = Field(
    "height",
    r"((empty_latent|image|video|output|target|latent|custom|canvas)_)?height",
    "integer",
    39,
    "In pixels.",
    "",
    16,
    4096,
)
FRAMES = Field(
    "frames",
    r"((video|clip)_)?length|(num_|video_|n_|total_|max_)?frames|num_of_frames|(num_)?frames?_(count|num|number)"
    r"|frame_load_cap|frame_cap",
    "integer",
    40,
    "How many frames the video has.",
    "",
    1,
    1024,
)
DURATION = Field(
    "duration",
    r"((audio|video|song)_)?duration(_(in_)?(s|sec|seconds))?|seconds(_total)?|(total|length)_(in_)?seconds|song_length",
    "number",
    41,
    "In seconds.",
    "",
    0,
    600,
)
DURATION_CHOICE = Field("duration", r"duration|seconds", "string", 41, "In seconds.", choice=True)
FPS = Field("fps", r"((output|target|video)_)?(fps|frame_?rate)", "number", 42, "Frames a second.", "", 1, 120)
BATCH = Field(
    "batch_size",
    r"(empty_latent_)?batch_size|n|(num|number_of|max)_(images|outputs|results)|image_count",
    "integer",
    54,
    "Results at a time.",
    SAMPLING,
    1,
    16,
)
VOLUME = Field("volume", r"volume", "number", 50, "How loud, as the node counts it.", "", most=4, joins=False)
CHOICE = Field("choice", r"choice", "string", 51, choice=True, most=2, joins=False)
STRENGTH = Field(
    "strength",
    r"strength|weight|conditioning_(strength|scale)"
    r"|(control|control_?net|ip_?adapter|style|reference|ref|face|id)_(strength|weight|scale|conditioning_scale)",
    "number",
    48,
    "How strongly it takes part.",
    most=2,
    joins=False,
)
LORA_STRENGTH = Field(
    "lora_strength",
    r"(lora\d?_?)((model|clip)_)?(strength|weight|wt)(_\d+)?|strength_(model|clip)(_\d+)?|(model|clip)_(str|strength|weight)_\d+",
    "number",
    48,
    "How strong the LoRA is.",
    MODEL,
    most=4,
)
UPSCALE = Field(
    "upscale_by",
    r"scale_by|(up)?scale_(by|factor|ratio)|upscale|scale|(rescale|resize)_factor|rescale",
    "number",
    56,
    "How many times as large.",
    "",
    0.01,
    8,
)
PADDING = Field("padding", r"left|top|right|bottom", "integer", 43, "Pixels to add there.", "", 0, 4096, 4, joins=False)
CHECKPOINT = Field(
    "ckpt_name", r"ckpt_name|ckpt|checkpoint(_name)?", "string", 58, "A file below models/checkpoints.", MODEL
)

# Worth knowing of, seldom worth a caller's while.
QUALITY = Field("quality", r"quality", "string", 70, choice=True, most=0)
API_MODEL = Field("model", r"model|model_name|model_version", "string", 71, choice=True, most=0)
SYSTEM_PROMPT = Field("system_prompt", r"system_(prompt|message|instruction)s?", "string", 72, most=0)
GROW_MASK = Field(
    "grow_mask", r"grow_mask_by|mask_(expand|blur)|expand|blur(_radius)?", "number", 73, most=0, joins=False
)
TILE = Field("tile_size", r"tile_size|tile_width|tile_height", "integer", 74, most=0)
SHIFT = Field("shift", r"shift|max_shift|base_shift", "number", 82, "", SAMPLING, most=0)
START_END = Field("start_percent", r"start_percent|start_at", "number", 84, "", most=0, joins=False)
END = Field("end_percent", r"end_percent|end_at", "number", 85, "", most=0, joins=False)
CLIP_SKIP = Field("clip_skip", r"stop_at_clip_layer|clip_skip", "integer", 86, "", MODEL, most=0)

FIELDS = (
    SEED,
    STEPS,
    CFG,
    GUIDANCE,
    DENOISE,
    SAMPLER,
    SCHEDULER,
    ASPECT_RATIO,
    RESOLUTION,
    MEGAPIXELS,
    SIZE,
    WIDTH,
    HEIGHT,
    FRAMES,
    DURATION,
    DURATION_CHOICE,
    FPS,
    BATCH,
    VOLUME,
    CHOICE,
    STRENGTH,
    LORA_STRENGTH,
    UPSCALE,
    PADDING,
    CHECKPOINT,
    QUALITY,
    API_MODEL,
    SYSTEM_PROMPT,
    GROW_MASK,
    TILE,
    SHIFT,
    START_END,
    END,
    CLIP_SKIP,
)


def field_of(name: str, value: Any, *, known: bool) -> Field | None:
    """The field that an input belongs to.

    Args:
        name: of the input.
        value: its literal.
        known: whether the node catalogue has its class. Where it does not, a choice may be of any type, and a seed's
            literal says nothing: it is drawn anew.
    """
    return next((field for field in FIELDS if field.takes(name, value, known=known)), None)
