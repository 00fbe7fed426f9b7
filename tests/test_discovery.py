"""Drafting a parameter map: what is found in a graph, by its links and types."""

import base64
import copy
import io

import pytest
from PIL import Image
from support.drafted import changed, drafted, loaded, node, places, rendered_back
from support.workflows import sampler_graph

from engine.authoring.discovery.fields import FIELDS, field_of
from engine.authoring.draft import AppMode
from engine.bindings import Place
from engine.schema import PARAMETER_NAME, RESERVED_NAMES


def parameters(graph, **options):
    draft = drafted(graph, **options)
    loaded(draft, graph)
    return draft.document["parameters"]


# Prompts


def test_prompts_are_told_by_the_inputs_they_feed_and_not_by_titles():
    graph = sampler_graph()
    graph["3"]["inputs"] |= {"positive": ["7", 0], "negative": ["6", 0]}
    found = parameters(graph)
    assert found["prompt"]["bind"] == "$['7'].inputs.text"
    assert found["negative_prompt"]["bind"] == "$['6'].inputs.text"


@pytest.mark.parametrize(
    "between",
    [
        node("FluxGuidance", conditioning=["6", 0], guidance=3.5),
        node("ConditioningSetTimestepRange", conditioning=["6", 0], start=0, end=1),
        node("SomebodysConditioning", conditioning=["6", 0]),
    ],
)
def test_a_prompt_is_followed_through_what_its_conditioning_passes(between):
    found = parameters(changed(n20=between, n3={"positive": ["20", 0]}))
    assert found["prompt"]["bind"] == "$['6'].inputs.text"


def test_a_zeroed_conditioning_has_no_prompt():
    graph = changed(n20=node("ConditioningZeroOut", conditioning=["6", 0]), n3={"negative": ["20", 0]})
    found = parameters(graph)
    assert found["prompt"]["bind"] == "$['6'].inputs.text"
    assert "negative_prompt" not in found


def test_a_prompt_is_the_text_that_feeds_the_encoder():
    graph = changed(
        n20=node("PrimitiveStringMultiline", value="a cat"),
        n21=node("PreviewAny", source=["20", 0]),
        n6={"text": ["21", 0]},
    )
    assert parameters(graph)["prompt"]["bind"] == "$['20'].inputs.value"


def test_one_text_in_several_encoders_is_one_parameter():
    encoder = node("CLIPTextEncodeSDXL", text_g="a cat", text_l="a cat", clip=["4", 1], width=1024, height=1024)
    graph = changed(n20=encoder, n3={"positive": ["20", 0]})
    assert parameters(graph)["prompt"]["bind"] == ["$['20'].inputs.text_g", "$['20'].inputs.text_l"]


def test_the_template_s_own_text_is_an_example_and_no_default():
    draft = drafted(sampler_graph())
    assert draft.document["parameters"]["prompt"]["required"] is True
    assert "default" not in draft.document["parameters"]["prompt"]
    assert draft.document["examples"][0]["payload"]["prompt"].startswith("beautiful scenery")


def test_several_texts_of_one_role_are_a_question_and_each_a_parameter():
    graph = changed(
        n20=node("StringConcatenate", string_a="a cat", string_b="oil on canvas", delimiter=", "),
        n6={"text": ["20", 0]},
    )
    draft = drafted(graph)
    assert draft.document["parameters"]["prompt"]["bind"] == "$['20'].inputs.string_a"
    assert draft.document["parameters"]["prompt_2"]["bind"] == "$['20'].inputs.string_b"
    assert "required" not in draft.document["parameters"]["prompt"]
    (question,) = draft.questions
    assert "StringConcatenate (20).string_a" in question.text


@pytest.mark.parametrize("picked", [0, 1])
def test_every_answer_to_a_question_makes_a_map_that_loads(picked):
    graph = changed(
        n20=node("StringConcatenate", string_a="a cat", string_b="oil on canvas", delimiter=", "),
        n6={"text": ["20", 0]},
    )
    draft = drafted(graph)
    option = draft.questions[0].options[picked]
    for section, added in option.adds.items():
        draft.document[section] |= added
    workflow = loaded(draft, graph)
    rendered = workflow.render(workflow.validate({"prompt": "a dog"}))
    assert rendered["20"]["inputs"][["string_a", "string_b"][picked]] == "a dog"


def test_a_negative_prompt_without_effect_is_left_out():
    draft = drafted(changed(n3={"cfg": 1.0}))
    assert "negative_prompt" not in draft.document["parameters"]
    assert "cfg_scale" not in draft.document["parameters"]
    assert {"negative_prompt", "cfg_scale"} <= draft.left_out.keys()


def test_nodes_that_the_catalogue_lacks_are_read_by_their_inputs():
    graph = {
        "1": node("SomeImageApi", prompt="a cat", negative_prompt="rain", seed=3, aspect_ratio="16:9", key="x"),
        "2": node("SaveImage", images=["1", 0], filename_prefix="x"),
    }
    found = parameters(graph)
    assert list(found) == ["prompt", "negative_prompt", "seed", "aspect_ratio"]
    assert {found[name]["type"] for name in ("prompt", "aspect_ratio")} == {"string"}


def test_many_prompts_of_services_are_the_recipe():
    graph = {"save": node("SaveImage", images=["join", 0], filename_prefix="x"), "join": node("Join")}
    for number in range(5):
        graph[str(number)] = node("SomeImageApi", prompt=f"style {number}", image=["photo", 0])
        graph["join"]["inputs"][f"image{number}"] = [str(number), 0]
    graph["photo"] = node("LoadImage", image="photo.png")
    draft = drafted(graph)
    assert list(draft.document["parameters"]) == ["image"]
    assert len(draft.questions[0].options) == 5


# Seeds and settings


def test_seeds_of_one_result_are_one_parameter():
    second = copy.deepcopy(sampler_graph()["3"]) | {}
    second["inputs"] |= {"seed": 99, "latent_image": ["3", 0], "denoise": 0.5}
    found = parameters(changed(n30=second, n8={"samples": ["30", 0]}))
    assert found["seed"]["bind"] == ["$['3'].inputs.seed", "$['30'].inputs.seed"]
    assert found["steps"]["bind"] == ["$['3'].inputs.steps", "$['30'].inputs.steps"]
    assert found["denoise"]["bind"] == "$['30'].inputs.denoise"


def test_nodes_that_differ_by_their_seeds_alone_keep_their_own():
    twin = copy.deepcopy(sampler_graph()["3"])
    twin["inputs"]["seed"] = 99
    graph = changed(n30=twin, n31=node("LatentBatch", samples1=["3", 0], samples2=["30", 0]), n8={"samples": ["31", 0]})
    found = parameters(graph)
    assert found["seed"]["bind"] == "$['3'].inputs.seed"
    assert found["seed_2"]["bind"] == "$['30'].inputs.seed"


def test_a_value_of_a_node_of_its_own_is_named_by_what_it_feeds():
    graph = changed(n20=node("PrimitiveInt", value=30), n3={"steps": ["20", 0]})
    assert parameters(graph)["steps"]["bind"] == "$['20'].inputs.value"


def test_a_switch_tells_which_of_two_values_takes_part():
    graph = changed(
        n20=node("PrimitiveInt", value=30),
        n21=node("PrimitiveInt", value=4),
        n22=node("PrimitiveBoolean", value=True),
        n23=node("ComfySwitchNode", switch=["22", 0], on_false=["20", 0], on_true=["21", 0]),
        n3={"steps": ["23", 0]},
    )
    draft = drafted(graph)
    assert draft.document["parameters"]["steps"]["bind"] == "$['21'].inputs.value"
    assert draft.left_out["steps_2"]["bind"] == "$['20'].inputs.value"


def test_seconds_that_frames_are_computed_of_are_the_duration():
    graph = {
        "1": node("PrimitiveInt", value=5),
        "2": node("PrimitiveInt", value=24),
        "3": node("ComfyMathExpression", **{"values.a": ["1", 0], "values.b": ["2", 0], "expression": "a * b + 1"}),
        "4": node("EmptyLTXVLatentVideo", width=768, height=512, length=["3", 1], batch_size=1),
        "5": node("SomeDecode", samples=["4", 0]),
        "6": node("CreateVideo", images=["5", 0], fps=["2", 0]),
        "7": node("SaveVideo", video=["6", 0], filename_prefix="x", format="auto", codec="auto"),
    }
    draft = drafted(graph)
    assert draft.document["parameters"]["duration"]["bind"] == "$['1'].inputs.value"
    assert draft.document["parameters"]["fps"]["bind"] == "$['2'].inputs.value"
    assert draft.document["outputs"] == {"video": {"node": "7", "kind": "video"}}


def test_ranges_are_sensible_where_the_template_s_own_value_allows_it():
    found = parameters(sampler_graph())
    assert (found["steps"]["minimum"], found["steps"]["maximum"]) == (1, 150)
    assert (found["width"]["maximum"], found["width"]["multipleOf"]) == (4096, 8)
    found = parameters(changed(n3={"steps": 400}, n5={"width": 5000, "height": 1001}))
    assert "maximum" not in found["steps"]
    assert "maximum" not in found["width"]
    assert "multipleOf" not in found["height"]


def test_a_choice_that_the_catalogue_lacks_is_not_enforced_and_told():
    draft = drafted(changed(n3={"sampler_name": "res_3m"}))
    assert draft.document["parameters"]["sampler_name"]["choices"] is False
    assert any("sampler_name" in note and "res_3m" in note for note in draft.notes)


def test_a_value_out_of_range_leaves_its_parameter_out_and_is_told():
    graph = changed(n5={"batch_size": 100000})
    draft = drafted(graph)
    loaded(draft, graph)
    assert "batch_size" not in draft.document["parameters"]
    assert any("batch_size is left out" in note for note in draft.notes)


def test_what_no_output_needs_is_not_bound():
    graph = changed(n20=node("KSampler", seed=1, steps=7), n21=node("LoadImage", image="unused.png"))
    draft = drafted(graph)
    assert not {place.node_id for place in places(draft, graph)} & {"20", "21"}


def test_at_most_fifteen_parameters_and_always_the_prompt_the_seed_and_the_steps():
    graph = changed(n30=node("Join", images=["8", 0]), n9={"images": ["30", 0]})
    for number in range(20):
        graph[f"p{number}"] = node("LoadImage", image=f"{number}.png")
        graph["30"]["inputs"][f"image{number}"] = [f"p{number}", 0]
    draft = drafted(graph)
    assert len(draft.document["parameters"]) == 15
    assert {"prompt", "seed", "steps"} <= draft.document["parameters"].keys()
    assert "cfg_scale" in draft.left_out


# Files


@pytest.mark.parametrize(
    ("loader", "name", "kind"),
    [
        (node("LoadVideo", file="a.mp4"), "video", "video"),
        (node("LoadAudio", audio="a.wav"), "audio", "audio"),
        (node("LoadImageMask", image="a.png", channel="alpha"), "mask", "mask"),
        (node("VHS_LoadVideo", video="a.mp4", force_rate=0), "video", "video"),
        (node("SomebodysLoadImage", image="a.png"), "image", "image"),
    ],
)
def test_files_are_required_parameters(loader, name, kind):
    graph = {"1": loader, "2": node("Anything", input=["1", 0]), "3": node("SaveImage", images=["2", 0])}
    found = parameters(graph)
    assert list(found) == [name]
    assert (found[name]["type"], found[name]["required"]) == (kind, True)


def test_a_loader_of_a_server_s_paths_takes_no_files():
    graph = {"1": node("VHS_LoadVideoPath", video="/data/a.mp4"), "2": node("SaveImage", images=["1", 0])}
    assert parameters(graph) == {}


def test_pictures_are_named_by_what_they_are_for():
    graph = changed(
        n20=node("LoadImage", image="pose.png"),
        n21=node("ControlNetLoader", control_net_name="pose.pth"),
        n22=node(
            "ControlNetApplyAdvanced",
            positive=["6", 0],
            negative=["7", 0],
            control_net=["21", 0],
            image=["20", 0],
            strength=0.8,
            start_percent=0,
            end_percent=1,
        ),
        n23=node("LoadImage", image="start.png"),
        n24=node("VAEEncode", pixels=["23", 0], vae=["4", 2]),
        n3={"positive": ["22", 0], "negative": ["22", 1], "latent_image": ["24", 0], "denoise": 0.6},
    )
    found = parameters(graph)
    assert found["control_image"]["bind"] == "$['20'].inputs.image"
    assert found["image"]["bind"] == "$['23'].inputs.image"
    assert found["control_strength"]["bind"] == "$['22'].inputs.strength"
    assert found["denoise"]["bind"] == "$['3'].inputs.denoise"


def test_a_picture_of_which_only_the_transparency_is_used_is_a_mask():
    graph = {
        "1": node("LoadImage", image="a.png"),
        "2": node("LoadImage", image="b.png"),
        "3": node("ImageCompositeMasked", source=["1", 0], destination=["1", 0], mask=["2", 1], x=0, y=0),
        "4": node("SaveImage", images=["3", 0], filename_prefix="x"),
    }
    found = parameters(graph)
    assert (found["image"]["bind"], found["mask"]["bind"]) == ("$['1'].inputs.image", "$['2'].inputs.image")


# Models and LoRAs


def test_required_models_are_listed_by_folder():
    graph = changed(
        n20=node("UnetLoaderGGUF", unet_name="flux\\dev-Q4.gguf"),
        n21=node("DualCLIPLoader", clip_name1="l.safetensors", clip_name2="t5.safetensors", type="flux"),
        n22=node("VAELoader", vae_name="ae.safetensors"),
        n23=node("CLIPVisionLoader", clip_name="v.safetensors"),
        n24=node("Uses", a=["20", 0], b=["21", 0], c=["22", 0], d=["23", 0], e=["8", 0]),
        n9={"images": ["24", 0]},
    )
    draft = drafted(graph)
    assert {each["path"] for each in draft.document["requires"]["models"]} == {
        "checkpoints/v1-5-pruned-emaonly-fp16.safetensors",
        "diffusion_models/flux/dev-Q4.gguf",
        "text_encoders/l.safetensors",
        "text_encoders/t5.safetensors",
        "vae/ae.safetensors",
        "clip_vision/v.safetensors",
    }
    assert "unet_name" not in draft.document["parameters"]
    assert "unet_name" in draft.left_out


def with_loras(*strengths):
    nodes, model, clip = {}, ["4", 0], ["4", 1]
    for number, strength in enumerate(strengths):
        nodes[f"n5{number}"] = node(
            "LoraLoader",
            lora_name=f"{number}.safetensors",
            strength_model=strength,
            strength_clip=strength,
            model=model,
            clip=clip,
        )
        model, clip = [f"5{number}", 0], [f"5{number}", 1]
    return changed(**nodes, n3={"model": model}, n6={"clip": clip}, n7={"clip": clip})


@pytest.mark.parametrize("strengths", [[1], [0.5, 0.75], [0.5, 0.75, 1]])
def test_a_chain_of_loras_is_a_list_of_any_length(strengths):
    graph = with_loras(*strengths)
    draft = drafted(graph)
    found, expected = rendered_back(draft, graph)
    assert found == expected
    workflow = loaded(draft, graph)
    assert [each["strength"] for each in draft.document["parameters"]["loras"]["default"]] == strengths
    for count in (0, 1, 3, 5):
        items = [{"name": f"mine{number}.safetensors"} for number in range(count)]
        rendered = workflow.render(workflow.validate({"prompt": "a cat", "loras": items}))
        used, model = [], rendered["3"]["inputs"]["model"]
        while rendered[model[0]]["class_type"] == "LoraLoader":
            used.insert(0, rendered[model[0]]["inputs"]["lora_name"])
            model = rendered[model[0]]["inputs"]["model"]
        assert used == [each["name"] for each in items]
        assert sum(each["class_type"] == "LoraLoader" for each in rendered.values()) == count


def test_a_lora_of_which_something_else_takes_the_middle_is_no_chain():
    graph = with_loras(0.5, 0.75)
    graph["7"]["inputs"]["clip"] = ["50", 1]
    draft = drafted(graph)
    found, expected = rendered_back(draft, graph)
    assert found == expected
    assert len(draft.document["repeat"]) == 1


def test_a_single_lora_of_the_model_alone_has_a_strength():
    graph = changed(
        n50=node("LoraLoaderModelOnly", lora_name="style.safetensors", strength_model=0.8, model=["4", 0]),
        n3={"model": ["50", 0]},
    )
    assert parameters(graph)["lora_strength"]["bind"] == "$['50'].inputs.strength_model"


# Outputs, traps


def test_previews_are_outputs_only_where_nothing_is_saved():
    graph = changed(n20=node("PreviewImage", images=["8", 0]))
    assert drafted(graph).document["outputs"] == {"image": {"node": "9", "kind": "image"}}
    del graph["9"]
    assert drafted(graph).document["outputs"] == {"image": {"node": "20", "kind": "image"}}


def test_a_graph_that_saves_nothing_gets_a_note():
    draft = drafted({"1": node("EmptyLatentImage", width=64, height=64, batch_size=1)})
    assert any("no node of the graph saves anything" in note for note in draft.notes)


def test_ids_and_inputs_of_any_sign_lists_and_missing_inputs():
    graph = {
        "57:8 🙂.a": node("Some Api", **{"model.prompt": "a cat", "points": {"__value__": [["a", 1]]}, "seed": 5}),
        "it's": {"class_type": "Nothing"},
        "s": node("SaveImage", images=["57:8 🙂.a", 0], filename_prefix="x", mask=["it's", 0]),
    }
    found = parameters(graph)
    assert found["prompt"]["bind"] == "$['57:8 🙂.a'].inputs['model.prompt']"
    assert found["seed"]["bind"] == "$['57:8 🙂.a'].inputs.seed"


def test_the_keys_stand_in_the_order_of_maps():
    document = drafted(sampler_graph(), title="A title").document
    assert list(document) == ["$schema", "title", "version", "parameters", "outputs", "expects", "requires", "examples"]


def test_the_graph_is_left_as_it_is():
    graph = with_loras(1, 0.5)
    before = copy.deepcopy(graph)
    drafted(graph)
    assert graph == before


# App mode


def test_app_mode_s_inputs_are_the_parameters_in_its_order():
    app_mode = AppMode(inputs=((Place("5", "width"), ""), (Place("6", "text"), "What to paint")), outputs=("9",))
    draft = drafted(sampler_graph(), app_mode=app_mode)
    loaded(draft, sampler_graph())
    assert list(draft.document["parameters"]) == ["width", "prompt"]
    assert draft.document["parameters"]["prompt"]["title"] == "What to paint"
    assert "seed" in draft.left_out
    assert any("the seed is none of App mode's inputs" in note for note in draft.notes)


def test_app_mode_s_labels_tell_inputs_of_one_name_apart():
    graph = changed(
        n20=node("LoadImage", image="a.png"),
        n21=node("LoadImage", image="b.png"),
        n22=node("ImageBatch", image1=["20", 0], image2=["21", 0]),
        n9={"images": ["22", 0]},
    )
    inputs = ((Place("20", "image"), "Person"), (Place("21", "image"), "Product"))
    assert list(parameters(graph, app_mode=AppMode(inputs=inputs))) == ["person", "product"]


def test_app_mode_s_inputs_that_hold_no_value_are_told():
    app_mode = AppMode(inputs=((Place("3", "model"), ""), (Place("99", "x"), ""), (Place("3", "steps"), "")))
    draft = drafted(sampler_graph(), app_mode=app_mode)
    assert list(draft.document["parameters"]) == ["steps"]
    assert sum("holds no value" in note for note in draft.notes) == 2


def test_the_example_of_a_draft_renders():
    graph = changed(n20=node("LoadImage", image="a.png"), n21=node("VAEEncode", pixels=["20", 0], vae=["4", 2]))
    graph["3"]["inputs"] |= {"latent_image": ["21", 0], "denoise": 0.5}
    draft = drafted(graph)
    workflow = loaded(draft, graph)
    (example,) = workflow.examples
    carried = base64.b64decode(example.payload["image"].removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(carried)) as picture:
        picture.load()
        assert picture.size == (64, 64)
    assert workflow.render(workflow.validate(example.payload))


def test_every_field_has_a_name_that_maps_take():
    assert all(PARAMETER_NAME.fullmatch(field.name) and field.name not in RESERVED_NAMES for field in FIELDS)
    assert field_of("noise_seed", 3, known=True).name == "seed"
    assert field_of("noise_seed", "3", known=True) is None
