"""Drafting a parameter map for graphs of node packs that the catalogue does not know."""

import pytest
from support.drafted import changed, drafted, node, rendered_back

from engine.authoring.discovery.examples import _PICTURE


def found(graph):
    """The parameters of a draft that loads, and gives the template back."""
    draft = drafted(graph)
    rendered, template = rendered_back(draft, graph)
    assert rendered == template
    return draft.document["parameters"]


VIDEO_OF_A_PACK = {
    "1": node("LoadWanVideoT5TextEncoder", model_name="t5.safetensors"),
    "2": node("WanVideoTextEncode", positive_prompt="she walks", negative_prompt="blurred", t5=["1", 0]),
    "3": node("LoadImage", image="her.png"),
    "4": node("ImageResizeKJv2", width=832, height=480, image=["3", 0]),
    "5": node("WanVideoImageToVideoEncode", num_frames=81, width=["4", 1], height=["4", 2], start_image=["4", 0]),
    "6": node("WanVideoSampler", steps=30, cfg=6.0, seed=42, image_embeds=["5", 0], text_embeds=["2", 0]),
    "7": node("WanVideoDecode", samples=["6", 0]),
    "8": node("VHS_VideoCombine", frame_rate=16, filename_prefix="v", images=["7", 0]),
}


def test_the_prompts_of_an_encoder_that_no_catalogue_knows_are_found():
    parameters = found(VIDEO_OF_A_PACK)
    assert parameters["prompt"]["bind"] == "$['2'].inputs.positive_prompt"
    assert parameters["negative_prompt"]["bind"] == "$['2'].inputs.negative_prompt"
    assert parameters["frames"]["bind"] == "$['5'].inputs.num_frames"


def test_the_size_is_what_the_picture_is_scaled_to_where_nothing_else_says_it():
    parameters = found(VIDEO_OF_A_PACK)
    assert parameters["width"]["bind"] == "$['4'].inputs.width"
    assert parameters["height"]["bind"] == "$['4'].inputs.height"


def test_a_size_of_its_own_leaves_the_scaling_of_a_hint_to_the_author():
    graph = changed(
        n20=node("LoadImage", image="pose.png"),
        n21=node("ImageScale", image=["20", 0], width=640, height=640, upscale_method="area", crop="disabled"),
        n22=node("ControlNetLoader", control_net_name="pose.safetensors"),
        n23=node("ControlNetApply", conditioning=["6", 0], control_net=["22", 0], image=["21", 0], strength=1.0),
        n3={"positive": ["23", 0]},
    )
    assert found(graph)["width"]["bind"] == "$['5'].inputs.width"


def test_a_styler_gives_its_two_texts_to_both_encoders_and_each_is_what_it_is_called():
    graph = changed(
        n20=node("SDXLPromptStyler", text_positive="a cat", text_negative="blurred", style="anime"),
        n6={"text": ["20", 0]},
        n7={"text": ["20", 1]},
    )
    parameters = found(graph)
    assert parameters["prompt"]["bind"] == "$['20'].inputs.text_positive"
    assert parameters["negative_prompt"]["bind"] == "$['20'].inputs.text_negative"


def test_what_a_node_showed_last_is_no_prompt():
    graph = changed(
        n20=node("Text Multiline", text="a cat"),
        n21=node("ShowText|pysssss", text=["20", 0], text_0="a dog"),
        n6={"text": ["21", 0]},
    )
    draft = drafted(graph)
    assert draft.document["parameters"]["prompt"]["bind"] == "$['20'].inputs.text"
    assert not draft.questions


def test_a_wildcard_text_is_the_prompt_and_not_what_it_came_to_last():
    graph = changed(
        n20=node("ImpactWildcardProcessor", wildcard_text="a {red|blue} car", populated_text="a red car", seed=4),
        n6={"text": ["20", 0]},
    )
    draft = drafted(graph)
    assert draft.document["parameters"]["prompt"]["bind"] == "$['20'].inputs.wildcard_text"
    assert not draft.questions


def test_a_formula_is_no_text():
    graph = changed(n20=node("SimpleMath+", value="a*2", a=512), n5={"height": ["20", 0]})
    draft = drafted(graph)
    assert "instruction" not in {**draft.document["parameters"], **draft.left_out}


def test_what_is_looked_for_in_a_picture_is_no_second_prompt():
    graph = changed(
        n20=node("LoadImage", image="her.png"),
        n21=node("GroundingDinoSAMSegment (segment anything)", prompt="shirt", image=["20", 0]),
        n22=node("VAEEncodeForInpaint", grow_mask_by=6, pixels=["20", 0], vae=["4", 2], mask=["21", 1]),
        n3={"latent_image": ["22", 0]},
    )
    draft = drafted(graph)
    assert draft.document["parameters"]["prompt"]["required"]
    assert draft.document["parameters"]["text"]["bind"] == "$['21'].inputs.prompt"
    assert not draft.questions


def test_the_seed_of_a_service_named_after_text_is_found():
    graph = {
        "1": node("RecraftV4TextToImageNode", prompt="a cat", seed=3, n=2),
        "2": node("SomebodysSaveImage", images=["1", 0]),
    }
    parameters = found(graph)
    assert parameters["seed"]["bind"] == "$['1'].inputs.seed"
    assert parameters["batch_size"]["bind"] == "$['1'].inputs.n"


def test_the_first_stage_is_the_first():
    graph = changed(
        n20=node("CheckpointLoaderSimple", ckpt_name="refiner.safetensors"),
        n21=node("CLIPTextEncode", text="a lighthouse", clip=["20", 1]),
        n22=node(
            "KSampler",
            model=["20", 0],
            positive=["21", 0],
            negative=["7", 0],
            latent_image=["3", 0],
            seed=1,
            steps=10,
            cfg=5.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=0.3,
        ),
        n8={"samples": ["22", 0]},
    )
    draft = drafted(graph)
    assert draft.document["parameters"]["ckpt_name"]["bind"] == "$['4'].inputs.ckpt_name"
    assert draft.document["parameters"]["steps"]["bind"] == "$['3'].inputs.steps"
    assert draft.left_out["ckpt_name_2"]["bind"] == "$['20'].inputs.ckpt_name"


def with_loras(**loader):
    return changed(
        n20=node("Power Lora Loader (rgthree)", model=["4", 0], clip=["4", 1], **loader),
        n3={"model": ["20", 0]},
        n6={"clip": ["20", 1]},
    )


def test_a_lora_that_is_an_object_is_a_parameter_and_one_that_is_off_is_told():
    graph = with_loras(
        header={"type": "header"},
        lora_1={"on": True, "lora": "x.safetensors", "strength": 0.8},
        lora_2={"on": False, "lora": "y.safetensors", "strength": 1},
    )
    parameters = found(graph)
    assert parameters["lora"]["bind"] == "$['20'].inputs.lora_1"
    assert parameters["lora"]["properties"]["lora"]["choices"] == "LoraLoader.lora_name"
    assert "lora_2" not in parameters
    draft = drafted(graph)
    assert draft.left_out["lora_2"]["bind"] == "$['20'].inputs.lora_2"
    paths = [each["path"] for each in draft.document["requires"]["models"]]
    assert "loras/x.safetensors" in paths
    assert "loras/y.safetensors" not in paths


def test_slots_of_a_stack_are_parameters_where_they_hold_a_lora():
    graph = with_loras(
        lora_name_1="x.safetensors", model_weight_1=0.8, clip_weight_1=0.8,
        lora_name_2="y.safetensors", model_weight_2=0.8, clip_weight_2=0.8,
        lora_name_3="None", model_weight_3=1.0, clip_weight_3=1.0,
    )  # fmt: skip
    parameters = found(graph)
    assert parameters["lora_strength"]["bind"] == ["$['20'].inputs.model_weight_1", "$['20'].inputs.clip_weight_1"]
    assert parameters["lora_strength_2"]["bind"] == ["$['20'].inputs.model_weight_2", "$['20'].inputs.clip_weight_2"]
    assert "lora_strength_3" not in parameters


def from_picture(loader):
    return changed(
        n20=loader,
        n21=node("VAEEncode", pixels=["20", 0], vae=["4", 2]),
        n3={"latent_image": ["21", 0], "denoise": 0.6},
    )


def test_a_picture_that_a_node_fetches_itself_is_an_address_and_its_author_is_warned():
    graph = from_picture(node("LoadImageFromUrl", image="https://example.com/a.png"))
    draft = drafted(graph)
    assert draft.document["parameters"]["image_url"]["bind"] == "$['20'].inputs.image"
    assert any("LoadImageFromUrl (20)" in note and "checks" in note for note in draft.notes)


def test_a_picture_in_base64_is_a_text_with_an_example_that_is_one():
    graph = from_picture(node("ETN_LoadImageBase64", image="iVBORw0KGgo="))
    draft = drafted(graph)
    assert draft.document["parameters"]["image_base64"]["type"] == "string"
    assert _PICTURE.endswith(draft.document["examples"][0]["payload"]["image_base64"])


def test_an_outpainting_is_set_by_its_borders():
    graph = changed(
        n20=node("LoadImage", image="her.png"),
        n21=node("ImagePadForOutpaint", left=256, top=0, right=256, bottom=0, feathering=40, image=["20", 0]),
        n22=node("VAEEncodeForInpaint", grow_mask_by=6, pixels=["21", 0], vae=["4", 2], mask=["21", 1]),
        n3={"latent_image": ["22", 0]},
    )
    assert {"pad_left", "pad_top", "pad_right", "pad_bottom"} <= found(graph).keys()


def test_a_picture_that_a_model_is_adapted_to_is_told_from_the_one_to_work_on():
    graph = from_picture(node("LoadImage", image="her.png")) | {
        "30": node("LoadImage", image="style.png"),
        "31": node("IPAdapterAdvanced", weight=0.8, model=["4", 0], image=["30", 0]),
    }
    graph["3"]["inputs"]["model"] = ["31", 0]
    parameters = found(graph)
    assert parameters["image"]["bind"] == "$['20'].inputs.image"
    assert parameters["reference_image"]["bind"] == "$['30'].inputs.image"
    assert parameters["strength"]["bind"] == "$['31'].inputs.weight"


INTERPOLATION = {
    "1": node("VHS_LoadVideo", video="in.mp4", custom_width=0, custom_height=0, frame_load_cap=0),
    "2": node("VAEDecode", samples=["4", 0], vae=["5", 2]),
    "3": node("RIFE VFI", ckpt_name="rife47.pth", multiplier=2, scale_factor=1, frames=["2", 0]),
    "4": node("VAEEncode", pixels=["1", 0], vae=["5", 2]),
    "5": node("CheckpointLoaderSimple", ckpt_name="sd15.safetensors"),
    "6": node("VHS_VideoCombine", frame_rate=48, filename_prefix="v", images=["3", 0], audio=["1", 2]),
}


def test_a_model_of_a_picture_step_is_no_checkpoint():
    draft = drafted(INTERPOLATION)
    assert [each["path"] for each in draft.document["requires"]["models"]] == ["checkpoints/sd15.safetensors"]
    assert draft.document["parameters"]["ckpt_name"]["bind"] == "$['5'].inputs.ckpt_name"


def test_sizes_of_nothing_and_factors_of_one_are_not_offered():
    assert not found(INTERPOLATION).keys() & {"width", "height", "frames", "upscale_by"}


def test_a_film_with_its_sound_is_a_film():
    graph = {
        "1": node("LoadAudio", audio="voice.wav"),
        "2": node("SomebodysSampler", seed=1, voice=["1", 0]),
        "3": node("VHS_VideoCombine", frame_rate=24, images=["2", 0], audio=["1", 0]),
    }
    assert {each.get("kind") for each in drafted(graph).document["outputs"].values()} == {"video"}


def test_a_node_that_saves_and_hands_on_what_it_saved_is_an_output():
    graph = changed(n9=node("SomebodysSaveImage", images=["8", 0]), n20=node("PreviewImage", images=["9", 0]))
    assert [each["node"] for each in drafted(graph).document["outputs"].values()] == ["9"]


@pytest.mark.parametrize(("length", "is_offered"), [(81, True), (1, False)])
def test_one_frame_is_a_picture(length, is_offered):
    graph = changed(n5=node("EmptyHunyuanLatentVideo", width=512, height=512, length=length, batch_size=1))
    assert ("frames" in found(graph)) is is_offered
