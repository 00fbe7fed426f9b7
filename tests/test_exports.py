"""Reading exports: what is taken as one in which form, and what is said of all else."""

import json
import struct
import subprocess
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL.PngImagePlugin import PngInfo
from support.finishing import GRAPH as QUEUED
from support.finishing import comfy_animated_png, comfy_exif, comfy_jpeg, comfy_png, comfy_webp, saved, speckled
from support.graphs import fresh_number
from support.official import converted, official_workflows
from support.official_loading import loads
from support.simulator import plain_graph
from support.ui_documents import api_picture, document, node, picture
from support.workflows import ROOT, SHARED

from engine.authoring.exports import read_export
from engine.comfyui import new_prompt_id
from engine.errors import EngineError, InvalidMap
from engine.nodes import load_catalogue
from engine.ui_format import Converter

API = (ROOT / "templates" / "txt2img.json").read_bytes()
GRAPH = json.loads(API)
EVERY = 60


def refusal(data, name="poster.json", **options):
    with pytest.raises(InvalidMap) as caught:
        read_export(data if isinstance(data, bytes) else json.dumps(data).encode(), name=name, **options)
    return caught.value


@pytest.mark.parametrize("data", [API, b"\xef\xbb\xbf" + API, API.replace(b"\n", b"\r\n")])
def test_an_api_export_is_kept_byte_for_byte(data):
    export = read_export(data, name="poster.json")
    assert export.graph == GRAPH
    assert export.text == data
    assert (export.stem, export.converted, export.app_mode, export.notes) == ("poster", False, None, ())


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("folder/My poster (1).json", "My_poster_1"),
        ("image.app.json", "image_app"),
        ("-odd.json", "odd"),
        ("灯台.json", ""),
        ("-", ""),
        ("", ""),
    ],
)
def test_a_workflow_is_named_after_its_file(name, stem):
    assert read_export(API, name=name).stem == stem


@pytest.mark.parametrize(
    ("wrapped", "keys"),
    [
        ({"prompt": GRAPH, "client_id": "me"}, '"prompt"'),
        ({"input": {"workflow": GRAPH, "images": []}}, '"input" > "workflow"'),
        ({"workflow": json.dumps(GRAPH)}, '"workflow"'),
    ],
)
def test_a_graph_is_taken_out_of_a_request_and_that_is_told(wrapped, keys):
    export = read_export(json.dumps(wrapped).encode(), name="poster.json")
    assert export.graph == json.loads(export.text) == GRAPH
    assert export.notes == (f"the graph stood under {keys}; the template is that graph alone",)


def test_an_export_in_ui_format_is_converted():
    export = read_export(json.dumps(picture()).encode(), name="poster.json")
    assert export.graph == json.loads(export.text) == api_picture()
    assert export.converted


def test_one_in_a_request_is_converted_too():
    export = read_export(json.dumps({"input": {"workflow": picture()}}).encode(), name="poster.json")
    assert export.graph == api_picture()


def test_a_picture_that_comfyui_saved_brings_its_graph(run, comfy, tmp_path):
    graph = plain_graph(color=fresh_number())
    [(_, path)] = comfy.collect(run(graph), [("image", "4", "image")], tmp_path)
    export = read_export(path.read_bytes(), name=path.name)
    assert export.graph == json.loads(export.text) == graph
    assert not export.converted
    assert export.notes == ("the graph is the one that this PNG file was made with",)


def test_a_picture_of_a_job_of_ours_brings_no_names_of_that_job(run, sharing_comfy, tmp_path):
    graph = plain_graph(color=fresh_number())
    graph["5"] = {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}
    with sharing_comfy.workspace("job-1", prompt_id := new_prompt_id()) as space:
        execution = run(space.isolated(graph), comfy=sharing_comfy, prompt_id=prompt_id)
        [(_, path)] = sharing_comfy.collect(execution, [("image", "4", "image")], tmp_path)
        picture = path.read_bytes()
    assert space.folder.encode() in picture
    export = read_export(picture, name="picture.png")
    assert export.graph == json.loads(export.text) == graph
    assert "the job's own folder was taken out" in export.notes[1]


def test_an_export_that_a_shell_wrote_as_utf_16_is_read():
    text = json.dumps(api_picture())
    export = read_export(text.encode("utf-16"), name="poster.json")
    assert export.graph == json.loads(export.text) == json.loads(text)
    assert "UTF-16" in export.notes[0]


ANIMATIONS = {
    "webp": {
        "4": {
            "class_type": "SaveAnimatedWEBP",
            "inputs": {"images": ["3", 0], "fps": 6, "lossless": True, "quality": 80, "method": "default"},
        }
    },
    "png": {"4": {"class_type": "SaveAnimatedPNG", "inputs": {"images": ["3", 0], "fps": 6, "compress_level": 4}}},
    "mp4": {
        "5": {"class_type": "CreateVideo", "inputs": {"images": ["3", 0], "fps": 6}},
        "4": {"class_type": "SaveVideo", "inputs": {"video": ["5", 0], "format": "auto", "codec": "auto"}},
    },
}


@pytest.mark.comfyui
@pytest.mark.parametrize("suffix", ANIMATIONS)
def test_what_moves_brings_its_graph(run, comfy, tmp_path, suffix):
    graph = plain_graph(color=fresh_number()) | ANIMATIONS[suffix]
    graph["4"]["inputs"]["filename_prefix"] = "moving"
    [(_, path)] = comfy.collect(run(graph), [("out", "4", None)], tmp_path)
    export = read_export(path.read_bytes(), name=path.name)
    assert path.suffix == f".{suffix}"
    assert export.graph == graph


def test_what_was_chosen_in_app_mode_is_found_in_a_picture_too(run, comfy, tmp_path):
    number = fresh_number()
    ui = picture(color=number) | {"extra": {"linearData": {"inputs": [[1, "width"]], "outputs": [2]}}}
    execution = run(api_picture(color=number), extra_data={"extra_pnginfo": {"workflow": ui}})
    [(_, path)] = comfy.collect(execution, [("image", "2", "image")], tmp_path)
    export = read_export(path.read_bytes(), name=path.name)
    [(place, name)] = export.app_mode.inputs
    assert (place.node_id, place.input_name, name) == ("1", "width", "")
    assert export.app_mode.outputs == ("2",)


def picture_with(**texts):
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text, zip=name.startswith("zipped"))
    return saved(speckled(), "PNG", pnginfo=info)


def test_a_picture_with_the_editors_graph_alone_is_converted():
    export = read_export(picture_with(workflow=json.dumps(picture())), name="a.png")
    assert export.graph == api_picture()
    assert export.converted
    assert export.notes == ("the graph is the editor's, as this PNG file carries it",)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("PNG", comfy_png()),
        ("PNG", comfy_animated_png()),
        ("WebP", comfy_webp()),
        ("WebP", comfy_webp(frames=3)),
        ("JPEG", comfy_jpeg()),
        ("AVIF", saved(speckled(), "AVIF", exif=comfy_exif())),
    ],
    ids=["png", "animated png", "webp", "animated webp", "jpeg", "avif"],
)
def test_pictures_of_all_kinds_bring_their_graph(kind, data):
    export = read_export(data, name="a")
    assert export.graph == QUEUED
    assert export.notes[0] == f"the graph is the one that this {kind} file was made with"


@pytest.mark.parametrize("suffix", ["mp4", "webm", "flac", "opus", "mp3"])
def test_films_and_sounds_bring_their_graph(tmp_path, suffix):
    """Written by ffmpeg, by whose library ComfyUI's nodes write them."""
    ffmpeg = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    source = "testsrc=d=0.2:s=32x32" if suffix in ("mp4", "webm") else "sine=d=0.2"
    path = tmp_path / f"made.{suffix}"
    tags = ["-metadata", f"prompt={json.dumps(QUEUED)}", "-movflags", "use_metadata_tags"]
    subprocess.run([ffmpeg, "-loglevel", "error", "-f", "lavfi", "-i", source, *tags, path], check=True)
    assert read_export(path.read_bytes(), name=path.name).graph == QUEUED


def test_what_comfyui_adds_when_it_runs_a_graph_goes():
    """`is_changed` is what a node's own check gave; NaN is the usual way to say "always"."""
    ran = {"3": QUEUED["3"] | {"is_changed": [float("nan")]}}
    assert read_export(picture_with(prompt=json.dumps(ran)), name="a.png").graph == QUEUED


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def test_compressed_and_international_texts_are_read():
    text = json.dumps({"3": {"class_type": "Text", "inputs": {"text": "灯台"}}}, ensure_ascii=False).encode()
    for content in (b"prompt\0\0\0\0\0" + text, b"prompt\0\1\0\0\0" + zlib.compress(text)):
        data = comfy_png()[:33] + chunk(b"iTXt", content) + comfy_png()[33:]
        assert read_export(data, name="a.png").graph["3"]["inputs"]["text"] == "灯台"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (saved(speckled(), "PNG"), "this PNG file carries no graph"),
        (saved(speckled(), "WEBP"), "this WebP file carries no graph"),
        (picture_with(parameters="a cat"), "what it carries (parameters) was written by another program than ComfyUI"),
        (picture_with(Comment="hi"), "this PNG file carries no graph; what it carries: Comment"),
        (picture_with(**{"\x1b[31m": "hi"}), 'what it carries: "\\u001b[31m"'),
        (saved(speckled(), "PNG")[:60], "this PNG file carries no graph: it has a part that is longer than the file"),
        (b"RIFF\xff\xff\xff\0WEBPVP8 ", "this WebP file carries no graph: it breaks off before its end"),
        (b"\xff\xd8\xff\xe1", "this JPEG file carries no graph: it has a part that is longer than the file"),
        (b"\0\0\0\x18ftypavif" + bytes(12), "this AVIF file carries no graph: it can't be read"),
        (b"\0\0\0\x18ftypmp42" + bytes(12), "this MP4 file carries no graph"),
        (comfy_png()[:33] + chunk(b"zTXt", b"prompt\0\0rubbish") + saved(speckled(), "PNG")[33:], "carries no graph"),
        (
            comfy_png()[:33]
            + chunk(b"zTXt", b"prompt\0\0" + zlib.compress(b" " * 40_000_000))
            + saved(speckled(), "PNG")[33:],
            "carries no graph",
        ),
        (picture_with(prompt="{"), "a.png: not JSON"),
        (picture_with(prompt="[" * 100_000), "a.png: nested too deeply"),
        (picture_with(prompt="[1]"), "a.png: an export is a JSON object, not an array"),
    ],
    ids=[
        *("png", "webp", "another program's", "comment", "odd name", "cut", "webp cut", "jpeg cut"),
        *("avif broken", "mp4 broken", "broken text", "inflating text", "no JSON", "deep", "array"),
    ],
)
def test_a_file_without_a_graph_is_told_for_what_it_is(data, message):
    assert message in refusal(data, name="a.png").message


def test_texts_that_inflate_are_not_read_where_nobody_asks_for_them():
    """Three hundred of them would take gigabytes, and a minute."""
    bombs = b"".join(
        chunk(b"zTXt", b"%s\0\0" % name + zlib.compress(b" " * 15_000_000, 1))
        for name in (*(b"text%d" % number for number in range(20)), *[b"prompt"] * 20)
    )
    tracemalloc.start()
    try:
        message = refusal(comfy_png()[:33] + bombs * 8 + saved(speckled(), "PNG")[33:], name="a.png").message
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "a.png: not JSON" in message
    assert most < 200_000_000


def test_a_picture_that_breaks_off_after_its_graph_still_brings_it():
    assert read_export(comfy_png()[:-40], name="a.png").graph == QUEUED


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "poster.json: is empty"),
        (b"\xef\xbb\xbf\n", "poster.json: is empty"),
        (b"PK\3\4\xff\xfe", "is neither JSON nor a picture, film or sound that ComfyUI writes graphs into"),
        (b"{", "poster.json: not JSON"),
        (b'{"1": {"class_type": "A", "inputs": {}}, "1": {}}', 'the key "1" stands twice'),
        (b'{"1": {"class_type": "A", "inputs": {"x": NaN}}}', "NaN is no JSON value"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"nodes": [{"id": ' + b"9" * 5000 + b"}]}", "holds a number that is too long"),
        ([{"class_type": "A"}], "this is a list of nodes, without their links"),
        ([1], "an export is a JSON object, not an array"),
        ("text", "an export is a JSON object, not a string"),
        ({}, "the graph has no nodes"),
        ({"parameters": {"prompt": {}}}, "this is a parameter map"),
        ({"workflow": "txt2img", "payload": {}}, 'this is a request that names the workflow "txt2img"'),
        ({"a": 1, "b": {}}, "this is no graph: no node has a class_type; its keys are: a, b"),
        (
            {"1": {"class_type": "A", "inputs": {"x": ["2", 0]}}},
            "1.inputs.x: it is linked to node 2, which does not exist",
        ),
        (document([]), "poster.json: comfy-cli refused it: Workflow conversion produced no executable nodes"),
        (document([node(1, "workflow>mine")]), "poster.json: it has group nodes"),
    ],
)
def test_what_is_no_export_is_told_for_what_it_is(data, message):
    assert message in refusal(data).message


def test_without_the_converter_the_way_to_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    error = refusal(picture())
    assert "comfy-cli, which converts those, is not installed" in error.message
    assert "pip install 'comfy-cli>=1.23' beside the engine (some 300 MB)" in error.hint
    assert read_export(API, name="a.json").graph == GRAPH


def test_a_converter_can_be_given():
    nothing = Converter(load_catalogue(), program=ROOT / "none")
    assert "can't be started" in refusal(picture(), convert=nothing).message


@settings(max_examples=150)
@given(st.sampled_from([comfy_png(), comfy_webp(), comfy_jpeg(), comfy_animated_png()]), st.data())
def test_a_damaged_picture_never_crashes(data, draw):
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 4))):
        damaged[draw.draw(st.integers(8, len(data) - 1))] = draw.draw(st.integers(0, 255))
    damaged = bytes(damaged[: draw.draw(st.integers(12, len(data)))])
    try:
        outcome = read_export(damaged, name="a.png").graph
    except InvalidMap as error:
        outcome = {"why": error.message}
    assert outcome


def test_a_huge_picture_is_not_decoded():
    """Its header says four billion pixels; only what stands beside them is read."""
    header = struct.pack(">IIBBBBB", 65_535, 65_535, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"tEXt", b"prompt\0" + json.dumps(QUEUED).encode()), chunk(b"IEND", b"")]
    assert read_export(b"\x89PNG\r\n\x1a\n" + b"".join(parts), name="a.png").graph == QUEUED


CORPUS = sorted((SHARED / "corpus" / "api_workflows").glob("*.json"))


@pytest.mark.skipif(not CORPUS, reason="the corpus is not there")
def test_every_graph_of_the_corpus_is_read_or_told_for_what_it_is():
    read = 0
    for path in CORPUS:
        data = path.read_bytes()
        try:
            export = read_export(data, name=path.name)
        except EngineError as error:
            message = error.message
        else:
            message = path.name
            assert export.converted or export.text == data
            read += 1
        assert path.name in message
    assert read >= len(CORPUS) - 2


def test_official_workflows_convert_and_load(tmp_path):
    """Every sixtieth, by name; `benchmarks/authoring.py convert` has all of them."""
    names = list(official_workflows())[::EVERY]
    assert len(names) >= 12
    for name, outcome in converted(names):
        assert not isinstance(outcome, EngineError), f"{name}: {outcome}"
        assert outcome.converted
        reason = loads(outcome, tmp_path, "official")
        assert reason is None or "no node of the template saves anything" in reason.message  # a piece of a graph
