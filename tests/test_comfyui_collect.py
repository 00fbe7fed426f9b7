"""From what nodes report to files under the declared names."""

from dataclasses import replace

import pytest
from support.graphs import picture

from engine.comfyui import SharedFolders, raw_outputs
from engine.comfyui.collect import collect
from engine.errors import NoOutputs
from engine.results import Execution


def execution(**outputs):
    return Execution("id", {node.removeprefix("n"): made for node, made in outputs.items()}, 0.0, 0.0)


def file(filename, type="output", subfolder=""):  # noqa: A002 (ComfyUI's word)
    return {"filename": filename, "subfolder": subfolder, "type": type}


def brief(outputs):
    return [(output.name, output.index, output.kind, output.filename or output.text) for output in outputs]


@pytest.mark.parametrize(
    ("key", "filename", "kind"),
    [
        ("images", "a.png", "image"),
        ("images", "a.webp", "image"),
        ("images", "a.mp4", "video"),
        ("gifs", "a.mp4", "video"),
        ("gifs", "a.gif", "image"),
        ("gifs", "a.webm", "video"),
        ("videos", "a.unknown", "video"),
        ("audio", "a.flac", "audio"),
        ("3d", "a.glb", "3d"),
        ("3d", "a.unknown", "3d"),
        ("files", "a.txt", "file"),
        ("latents", "a.latent", "file"),
        ("a_images", "a.PNG", "image"),
        ("whatever", "a", "file"),
    ],
)
def test_the_kind_follows_from_the_file_and_the_key(key, filename, kind):
    [output] = raw_outputs(execution(n9={key: [file(filename)], "animated": [True]}), [])

    assert (output.kind, output.filename) == (kind, filename)


def test_declared_outputs_come_in_their_order_under_their_names():
    made = execution(
        n1={"images": [file("a.png"), file("b.png")]},
        n2={"text": ["hello", "world"]},
        n3={"images": [file("undeclared.png")]},
    )

    found = raw_outputs(made, [("words", "2", "text"), ("picture", "1", None)])

    assert brief(found) == [
        ("words", 0, "text", "hello"),
        ("words", 1, "text", "world"),
        ("picture", 0, "image", "a.png"),
        ("picture", 1, "image", "b.png"),
    ]


def test_with_none_declared_everything_comes_but_previews_beside_saved_files():
    made = execution(n1={"images": [file("preview.png", "temp")]}, n2={"images": [file("a.png")]}, n3={"text": "hi"})

    assert brief(raw_outputs(made, [])) == [("2", 0, "image", "a.png"), ("3", 0, "text", "hi")]


def test_previews_alone_are_results():
    made = execution(n1={"images": [file("preview.png", "temp")]})

    assert brief(raw_outputs(made, [])) == [("1", 0, "image", "preview.png")]


def test_a_declared_preview_is_a_result_beside_saved_files():
    made = execution(n1={"images": [file("preview.png", "temp")]}, n2={"images": [file("a.png")]})

    assert brief(raw_outputs(made, [("look", "1", "image")])) == [("look", 0, "image", "preview.png")]


def test_a_declared_kind_picks_among_what_a_node_made():
    made = execution(n1={"images": [file("a.png")], "audio": [file("a.flac")], "text": ["seen"]})

    assert brief(raw_outputs(made, [("sound", "1", "audio")])) == [("sound", 0, "audio", "a.flac")]
    assert brief(raw_outputs(made, [("said", "1", "text")])) == [("said", 0, "text", "seen")]


def test_a_declared_kind_that_no_file_looks_like_is_believed():
    made = execution(n1={"images": [file("a.gif")]})

    assert brief(raw_outputs(made, [("clip", "1", "video")])) == [("clip", 0, "video", "a.gif")]


def test_copies_of_a_node_count_as_the_node():
    made = execution(n9={"images": [file("a.png")]}, n9x={"images": [file("b.png")]})

    found = raw_outputs(made, [("image", "9", "image")], originals={"9x": "9"})

    assert brief(found) == [("image", 0, "image", "a.png"), ("image", 1, "image", "b.png")]
    assert {output.node_id for output in found} == {"9"}


@pytest.mark.parametrize("declared", [[("9", "9", "image")], []])
def test_copies_come_in_the_order_of_their_row_whichever_ran_first(declared):
    made = execution(
        n9c={"images": [file("c.png")]},
        n5={"images": [file("other.png")]},
        n9={"images": [file("a.png")]},
        n9b={"images": [file("b.png")]},
    )

    found = raw_outputs(made, declared, originals={"9b": "9", "9c": "9"})

    assert [each for each in brief(found) if each[0] == "9"] == [
        ("9", 0, "image", "a.png"),
        ("9", 1, "image", "b.png"),
        ("9", 2, "image", "c.png"),
    ]


def test_previews_of_copies_are_named_by_the_node_of_the_template():
    made = execution(
        n9={"images": [file("a.png")]},
        n7b={"images": [file("second.png", "temp")]},
        n7={"images": [file("first.png", "temp")]},
    )

    found = raw_outputs(made, [("image", "9", "image")], originals={"7b": "7"}, previews=True)

    assert brief(found)[1:] == [("7", 0, "image", "first.png"), ("7", 1, "image", "second.png")]
    assert {output.node_id for output in found} == {"7", "9"}


def test_no_output_at_all_names_what_was_declared():
    with pytest.raises(NoOutputs, match=r"none of the declared outputs: image \(node 9\)") as caught:
        raw_outputs(execution(n4={"images": [file("other.png")]}), [("image", "9", "image")])

    assert "SaveImage" in caught.value.hint


def test_previews_beside_saved_files_come_when_they_are_asked_for():
    made = execution(n1={"images": [file("p.png", "temp")]}, n2={"images": [file("a.png")]})

    assert brief(raw_outputs(made, [])) == [("2", 0, "image", "a.png")]
    assert brief(raw_outputs(made, [], previews=True)) == [("1", 0, "image", "p.png"), ("2", 0, "image", "a.png")]


def test_a_declared_text_is_whatever_text_the_node_shows():
    made = execution(n1={"string": ["a", "b"], "images": [file("a.png")]})

    assert brief(raw_outputs(made, [("caption", "1", "text")])) == [
        ("caption", 0, "text", "a"),
        ("caption", 1, "text", "b"),
    ]


def test_a_viewed_model_is_the_file_it_shows():
    made = execution(n1={"result": ["meshes/a.glb", {"position": 1}, None], "text": ["hi"]})

    [model, _] = raw_outputs(made, [])

    assert (model.kind, model.filename, model.subfolder, model.type) == ("3d", "a.glb", "meshes", "output")


def test_odd_reports_are_passed_over():
    made = execution(n1={"images": [None, "x", {"no": "filename"}, {"filename": None}], "text": [3, None]})

    with pytest.raises(NoOutputs, match="made nothing"):
        raw_outputs(made, [])


def test_files_of_one_name_do_not_collide(comfy, run, tmp_path):
    names = ("one/same", "two/same")
    made = [run(picture(prefix=prefix, size=size)) for prefix, size in zip(names, (64, 128), strict=True)]
    raw = [raw_outputs(each, [])[0] for each in made]
    assert raw[0].subfolder != raw[1].subfolder

    files = [path for _, path in collect(comfy.client, raw, tmp_path)]

    assert len(set(files)) == 2
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in files)


def test_a_file_deleted_in_comfyui_is_told(comfy, run, tmp_path):
    [output] = raw_outputs(run(picture()), [])
    gone = replace(output, filename="was-deleted.png")

    with pytest.raises(NoOutputs, match=r"was-deleted\.png") as caught:
        collect(comfy.client, [gone], tmp_path)

    assert "cached" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_shared_output_folder_is_read_in_place(comfy, tmp_path):
    shared = tmp_path / "output"
    (shared / "sub").mkdir(parents=True)
    (shared / "sub" / "a.png").write_bytes(b"picture")
    raw = raw_outputs(execution(n1={"images": [file("a.png", subfolder="sub")], "text": ["hi"]}), [])

    (_, path), (text, no_path) = collect(comfy.client, raw, tmp_path, folders=SharedFolders.below(tmp_path))

    assert path == (shared / "sub" / "a.png").resolve()
    assert (text.text, no_path) == ("hi", None)


def test_a_name_that_leads_out_of_the_shared_folder_is_not_followed(comfy, tmp_path):
    shared = tmp_path / "output"
    shared.mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    raw = raw_outputs(execution(n1={"images": [file("secret.png", subfolder="..")]}), [])

    with pytest.raises(NoOutputs):
        collect(comfy.client, raw, shared, folders=SharedFolders.below(tmp_path))
