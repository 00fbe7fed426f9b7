"""What agents are told: arguments they can write, answers they can look at."""

import base64
import io
import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.library import CATALOG, NAMES
from support.media import picture
from support.workflows import make_workflow

from engine.errors import InvalidPayload
from engine.mcp.answers import MOST_BYTES, failure_of, result_of
from engine.mcp.arguments import MOST_CHOICES, arguments_schema
from engine.mcp.calls import Standing
from engine.mcp.pictures import LONGEST_SIDE, small_picture
from engine.mcp.telling import Telling
from engine.mcp.tools import MEDIA_HERE, Offer, instructions, page_of, tool_of
from engine.replies import failure_reply

KINDS = st.sampled_from(["string", "integer", "number", "boolean"])


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_the_library_are_arguments_of_its_tools(name):
    workflow = CATALOG[name]
    tool = tool_of(workflow, None, MEDIA_HERE)
    for example in workflow.examples:
        jsonschema.validate(example.payload, tool["inputSchema"], jsonschema.Draft202012Validator)
    assert len(json.dumps(tool)) < 8_000  # an agent has all of them in mind


def test_a_thousand_tools_come_in_parts_that_clients_take():
    tool = tool_of(CATALOG["txt2img"], None, MEDIA_HERE)
    tools = [tool | {"name": f"tool{number:04}"} for number in range(1000)]
    found, last = page_of(tools, None)
    while last is not None:
        page, last = page_of(tools, last)
        assert len(json.dumps(page)) < 2**20
        found += page
    assert found == tools


def test_an_agent_is_told_what_is_left_out():
    told = instructions(Offer(not_ready=("sdxl",), broken=("poster",)), simulated=False, media=MEDIA_HERE)
    assert "models or nodes are missing on this machine (engine describe NAME): sdxl." in told
    assert "broken (engine check NAME): poster." in told


def test_a_tool_stays_short_whatever_its_author_wrote(tmp_path):
    parameters = {"prompt": {"type": "string", "default": "", "description": "long " * 100_000}}
    written = {"parameters": parameters, "title": "long " * 100_000, "description": "long " * 100_000}
    workflow = make_workflow(tmp_path, written | {"computed": {"$['6'].inputs.text": "{{ prompt }}"}})
    assert len(json.dumps(tool_of(workflow, None, MEDIA_HERE))) < 10_000


@given(st.lists(st.text(min_size=1), min_size=1, max_size=200, unique=True), st.booleans())
def test_long_lists_are_told_of_and_short_ones_are_there(choices, optional):
    value = {"type": ["string", "null"] if optional else "string", "enum": [*choices, *([None] if optional else [])]}
    schema = {"type": "object", "properties": {"name": value | {"x-group": "Model"}}, "required": []}
    shown = arguments_schema(schema, {}, media="")["properties"]["name"]
    assert shown["type"] == "string"
    assert "x-group" not in shown
    if len(choices) > MOST_CHOICES:
        assert shown["description"].startswith(f"One of {len(choices)}: ")
        assert "enum" not in shown
    else:
        assert shown["enum"] == choices


def test_a_default_that_is_not_here_is_told_of():
    value = {"type": "string", "enum": ["a.safetensors"], "default": "b.safetensors", "description": "A file."}
    shown = arguments_schema({"properties": {"name": value}}, {}, media="")["properties"]["name"]
    assert shown == {
        "type": "string",
        "enum": ["a.safetensors"],
        "description": "A file. The default is not on this machine: send another.",
    }


def test_whole_numbers_stay_where_javascript_reads_them():
    seed = {"type": "integer", "minimum": -1, "maximum": 2**64 - 1, "x-type": "seed", "default": -1}
    shown = arguments_schema({"properties": {"seed": seed}}, {}, media="")["properties"]["seed"]
    assert (shown["minimum"], shown["maximum"]) == (-1, 2**53 - 1)
    assert shown["description"] == "-1 draws one."


@settings(max_examples=15)
@given(
    mode=st.sampled_from(["RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK"]),
    form=st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "GIF"]),
    width=st.integers(1, 2000),
    height=st.integers(1, 2000),
    most=st.integers(20_000, MOST_BYTES),
)
def test_pictures_of_an_answer_are_bounded(mode, form, width, height, most):
    buffer = io.BytesIO()
    made = Image.effect_noise((width, height), 90).convert(mode if mode != "I;16" else "I")
    try:
        (made.convert("I;16") if mode == "I;16" else made).save(buffer, form)
    except (OSError, ValueError):
        return  # the format holds no such picture
    content, content_type = small_picture(buffer.getvalue(), most)
    assert len(content) <= most
    assert content_type in {"image/jpeg", "image/png", "image/webp"}
    with Image.open(io.BytesIO(content)) as shown:
        assert max(shown.size) <= LONGEST_SIDE
        shown.load()


def output(content_type, **more):
    return {"name": "made", "kind": "file", "filename": "made.bin", "content_type": content_type, **more}


def answer(*outputs, links=True, simulated=False):
    reply = {"workflow": "made", "outputs": [*outputs], "values": {"seed": 7}, "warnings": ["it is warm"]}
    return result_of(reply, reply, simulated=simulated, links=links)


def kinds(found):
    return [block["type"] for block in found["content"]]


def test_short_sounds_are_heard_and_long_ones_are_linked(tmp_path):
    (tmp_path / "short.wav").write_bytes(bytes(1000))
    short = output("audio/wav", path=str(tmp_path / "short.wav"), size_bytes=1000)
    found = answer(short, output("audio/wav", path="/nowhere/long.wav", size_bytes=MOST_BYTES + 1))
    assert kinds(found) == ["text", "audio", "resource_link", "resource_link"]
    assert base64.b64decode(found["content"][1]["data"]) == bytes(1000)


def test_a_text_is_a_text_and_a_video_a_link_which_old_clients_are_spared():
    made = (output("text/plain", text="a lighthouse"), output("video/mp4", url="https://example.com/a.mp4"))
    assert kinds(answer(*made)) == ["text", "text", "resource_link"]
    old = answer(*made, links=False)
    assert kinds(old) == ["text", "text"]
    assert "https://example.com/a.mp4" in old["content"][0]["text"]
    assert "warning: it is warm" in old["content"][0]["text"]


def test_a_picture_in_a_bucket_is_seen_by_its_thumbnail():
    small = base64.b64encode(picture((32, 16), "WEBP")).decode()
    found = answer(output("image/png", url="https://example.com/a.png", thumbnail=f"data:image/webp;base64,{small}"))
    assert kinds(found) == ["text", "image", "resource_link"]
    assert found["content"][1]["mimeType"] == "image/webp"
    assert "thumbnail" not in json.dumps(found["structuredContent"])


def test_of_many_pictures_some_are_shown_and_all_are_told(tmp_path):
    Image.effect_noise((1024, 1024), 90).save(tmp_path / "noise.png")
    found = answer(*(output("image/png", path=str(tmp_path / "noise.png"), filename=f"{n}.png") for n in range(6)))
    shown = [block["data"] for block in found["content"] if block["type"] == "image"]
    assert len(shown) == 4
    assert sum(len(base64.b64decode(each)) for each in shown) <= MOST_BYTES
    assert all(f"{number}.png" in found["content"][0]["text"] for number in range(6))


def test_an_answer_of_long_texts_and_pictures_is_one_that_clients_take(tmp_path):
    Image.effect_noise((2048, 2048), 90).save(tmp_path / "noise.png")
    pictures = [output("image/png", path=str(tmp_path / "noise.png"), filename=f"{n}.png") for n in range(4)]
    found = answer(*pictures, *(output("text/plain", text="\x01é" * 500_000) for _ in range(20)))
    assert len(json.dumps(found)) < 2**20
    assert kinds(found).count("text") == 21
    assert found["structuredContent"]["values"] == {"seed": 7}


def test_a_picture_that_is_gone_or_broken_fails_no_answer(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = answer(
        output("image/png", path=str(tmp_path / "broken.png")), output("image/png", path=str(tmp_path / "gone.png"))
    )
    assert kinds(found) == ["text", "resource_link", "resource_link"]


def test_a_failure_says_each_problem_and_what_to_do():
    error = InvalidPayload("no", hint="look again")
    assert failure_of(failure_reply(error))["content"][0]["text"] == "invalid_payload: no. Look again."


def test_progress_grows_though_a_job_begins_anew():
    told = []

    async def run():
        import anyio

        async def report(progress, total, words):
            told.append((progress, total, words))
            heard.set()

        telling = Telling(report)
        async with anyio.create_task_group() as group:
            group.start_soon(telling.run)
            for standing in (Standing(0.0, "waits"), Standing(0.5, "half"), Standing(0.1, "again"), Standing(1.0, "")):
                heard = anyio.Event()
                telling(standing)
                await heard.wait()
            group.cancel_scope.cancel()

    import anyio

    anyio.run(run)
    assert [each[2] for each in told] == ["waits", "half", "again", ""]
    assert [each[0] for each in told] == sorted({each[0] for each in told})
    assert told[1][0] == 0.5
    assert all(each[0] <= each[1] for each in told)
