"""What an entry of `requires.models` may say, and what becomes of what several maps say of one file."""

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.workflows import make_workflow

from engine.errors import InvalidMap
from engine.model_entries import path_problem
from engine.models.required import required_models

HASH = "0123456789abcdef" * 4


def load(folder, *entries, name="made"):
    return make_workflow(folder, {"parameters": {}, "requires": {"models": list(entries)}}, name=name)


def problems(folder, **entry):
    with pytest.raises(InvalidMap) as caught:
        load(folder, {"path": "checkpoints/a.safetensors", **entry})
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("a.safetensors", "names no kind"),
        ("/checkpoints/a.safetensors", "begins with /"),
        ("checkpoints/../../a.safetensors", "leads nowhere but down"),
        ("../a.safetensors", "leads nowhere but down"),
        ("checkpoints//a.safetensors", "has an empty part"),
        ("checkpoints/./a.safetensors", "has an empty part or one of dots"),
        ("checkpoints/", "has an empty part"),
        ("checkpoints\\a.safetensors", "written with /"),
        ("checkpoints/a\n.safetensors", "can't be printed"),
    ],
)
def test_a_path_leads_nowhere_but_into_a_folder_of_models(tmp_path, path, said):
    (told,) = problems(tmp_path, path=path)
    assert told.startswith("schemas/made.json: requires.models[0].path: the path ")
    assert said in told


@pytest.mark.parametrize("path", ["checkpoints/a.safetensors", "my_kind/sub/folder/ä b.pth", "loras/..a"])
def test_any_kind_will_do(tmp_path, path):
    assert load(tmp_path, {"path": path}).requires.models[0].path == path


@given(st.text("ab./\\ \0\n~:", max_size=12))
def test_a_path_that_is_taken_stays_below(path):
    if path_problem(path) is None:
        joined = posixpath.normpath(posixpath.join("/models", path))
        assert joined == f"/models/{path}"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"sha256": "abc"}, "requires.models[0].sha256: a sha256 is 64 hex digits, 0-9 and a-f (got 3 characters)"),
        ({"sha256": "a" * 63 + "l"}, "64 hex digits, 0-9 and a-f (got 64 characters, one of them 'l')"),
        ({"size_bytes": 0}, "requires.models[0].size_bytes: must be greater than 0"),
        ({"size_bytes": "5"}, "a whole number"),
        ({"url": "http://example.com/a"}, "requires.models[0]: the url is http, where anyone on the way"),
        ({"url": "ftp://example.com/a"}, "must be an https URL, not ftp"),
        ({"url": "example.com/a"}, "is no URL"),
        ({"url": "https:///a"}, "is no URL"),
        ({"url": "https://me:secret@example.com/a"}, "holds a user or password"),
        ({"url": "https://example.com/a b"}, "is no URL"),
        ({"sha1": "x"}, 'unknown key "sha1" (did you mean "sha256"?)'),
    ],
)
def test_what_is_no_hash_size_or_url_is_refused(tmp_path, entry, said):
    told = "\n".join(problems(tmp_path, **entry))
    assert said in told
    assert "secret" not in told


def test_http_will_do_where_the_hash_is_known_and_capitals_are_the_same_hash(tmp_path):
    entry = {"path": "loras/a.bin", "url": "http://127.0.0.1/a", "sha256": HASH.upper()}
    assert load(tmp_path, entry).requires.models[0].sha256 == HASH


def test_what_one_map_leaves_open_another_fills_in(tmp_path):
    first = load(tmp_path / "1", {"path": "loras/a.bin", "url": "https://example.com/a"}, name="first")
    second = load(tmp_path / "2", {"path": "loras/a.bin", "sha256": HASH, "size_bytes": 5}, name="second")
    (model,) = required_models([first, second])
    assert (model.url, model.sha256, model.size_bytes) == ("https://example.com/a", HASH, 5)
    assert model.workflows == ("first", "second")
    assert not model.conflict


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ({"sha256": "a" * 64}, {"sha256": "b" * 64}, f"first says the sha256 {'a' * 64}, second says {'b' * 64}"),
        ({"size_bytes": 5}, {"size_bytes": 6}, "first says the size_bytes 5, second says 6"),
        ({"url": "https://a.example/a"}, {"url": "https://b.example/a"}, "first and second name different urls"),
    ],
)
def test_maps_that_contradict_each_other_are_told(tmp_path, one, other, said):
    first = load(tmp_path / "1", {"path": "loras/a.bin"} | one, name="first")
    second = load(tmp_path / "2", {"path": "loras/a.bin"} | other, name="second")
    assert required_models([first, second])[0].conflict.startswith(said)


def test_two_urls_of_one_hash_are_no_contradiction(tmp_path):
    entries = [{"path": "loras/a.bin", "url": f"https://{name}.example/a", "sha256": HASH} for name in "ab"]
    workflows = [load(tmp_path / str(at), entry, name=f"w{at}") for at, entry in enumerate(entries)]
    assert not required_models(workflows)[0].conflict


def test_an_old_name_of_a_kind_names_the_same_file(tmp_path):
    first = load(tmp_path / "1", {"path": "unet/a.bin"}, name="first")
    second = load(tmp_path / "2", {"path": "diffusion_models/a.bin", "url": "https://a.example/a"}, name="second")
    (model,) = required_models([first, second])
    assert (model.path, model.url, model.workflows) == ("unet/a.bin", "https://a.example/a", ("first", "second"))
