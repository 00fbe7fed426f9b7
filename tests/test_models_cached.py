"""Models in a cache of Hugging Face's hub: found by URL, and linked where ComfyUI looks. Nothing reaches a network."""

import os
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.models.hub_caches import hub_caches
from engine.models.hugging_face import HuggingFaceFile, cached, cached_sha256, parse
from engine.models.linking import link_cached

COMMIT, OTHER = "a" * 40, "b" * 40
SHA256 = "0123456789abcdef" * 4
URL = "https://huggingface.co/Org/Name/resolve/main/sub/model.safetensors"


def put(cache, commit=COMMIT, *, repository="models--Org--Name", content=b"model", blob=SHA256, ref=None):
    """A file as huggingface_hub keeps it: a blob, a link to it in a snapshot, and the commit of a revision."""
    folder = cache / repository
    file = folder / "snapshots" / commit / "sub" / "model.safetensors"
    file.parent.mkdir(parents=True)
    if blob:
        (folder / "blobs").mkdir(exist_ok=True)
        (folder / "blobs" / blob).write_bytes(content)
        file.symlink_to(os.path.relpath(folder / "blobs" / blob, file.parent))
    else:
        file.write_bytes(content)
    if ref:
        (folder / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
        (folder / "refs" / ref).write_text(commit)
    return file


def model(path="checkpoints/a.safetensors", url=URL, sha256=None, size_bytes=None):
    return SimpleNamespace(path=path, url=url, sha256=sha256, size_bytes=size_bytes)


@pytest.mark.parametrize(
    ("url", "repository", "revision", "path", "kind"),
    [
        (URL, "Org/Name", "main", "sub/model.safetensors", "models"),
        ("https://huggingface.co/O/N/blob/v1.0/a.bin?download=true", "O/N", "v1.0", "a.bin", "models"),
        ("https://huggingface.co/gpt2/resolve/main/model.bin", "gpt2", "main", "model.bin", "models"),
        ("https://hf.co/datasets/O/N/resolve/refs%2Fpr%2F1/a%20b.bin", "O/N", "refs/pr/1", "a b.bin", "datasets"),
    ],
)
def test_a_url_of_a_file_is_taken_apart(url, repository, revision, path, kind):
    assert parse(url) == HuggingFaceFile(repository, revision, path, kind)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/Org/Name/resolve/main/a.bin",
        "https://huggingface.co.example.com/Org/Name/resolve/main/a.bin",
        "https://huggingface.co/Org/Name",
        "https://huggingface.co/Org/Name/tree/main/a.bin",
        "https://huggingface.co/Org/Name/resolve/main/",
        "https://huggingface.co/Org/Name/resolve/main/../../etc/passwd",
        "https://huggingface.co/Org/Name/resolve/main/%2e%2e/a.bin",
        "https://huggingface.co/Org/Name/resolve/main/..%2f..%2fa.bin",
        "https://huggingface.co/Org/Name/resolve/..%2f..%2fx/a.bin",
        "https://[huggingface.co/Org/Name/resolve/main/a.bin",
        "ftp://huggingface.co/Org/Name/resolve/main/a.bin",
    ],
)
def test_what_is_no_url_of_a_file_there_is_none(url):
    assert parse(url) is None


_PIECE = st.text("abcXYZ09-_. é%+", min_size=1, max_size=8).filter(lambda text: text not in (".", ".."))


@given(_PIECE, _PIECE, _PIECE, st.lists(_PIECE, min_size=1, max_size=3), st.sampled_from(["models", "datasets"]))
def test_the_url_of_a_file_leads_back_to_it(organisation, name, revision, path, kind):
    assume(organisation not in ("datasets", "spaces", "resolve", "blob") and name not in ("resolve", "blob"))
    file = HuggingFaceFile(f"{quote(organisation)}/{quote(name)}", revision, "/".join(path), kind)
    assert parse(file.url()) == file._replace(repository=f"{organisation}/{name}")


def test_a_file_is_found_by_what_its_revision_is_known_to_be_at(tmp_path):
    put(tmp_path, OTHER, blob="c" * 64)
    file = put(tmp_path, COMMIT, ref="main")
    assert cached(URL, tmp_path) == file
    assert cached_sha256(file) == SHA256


def test_a_file_is_found_by_its_commit(tmp_path):
    file = put(tmp_path)
    assert cached(URL.replace("main", COMMIT), tmp_path) == file
    assert cached(URL.replace("main", OTHER), tmp_path) is None
    assert cached(URL.replace("main", "v2"), tmp_path) is None


def test_without_a_known_commit_main_is_the_newest_snapshot_that_has_the_file(tmp_path):
    old, new = put(tmp_path, OTHER, blob="c" * 64), put(tmp_path, COMMIT)
    os.utime(old.parent.parent, (1_000, 1_000))
    os.utime(new.parent.parent, (2_000, 2_000))
    assert cached(URL, tmp_path) == new
    new.unlink()
    assert cached(URL, tmp_path) == old


def test_a_repository_is_found_under_its_name_in_small_letters(tmp_path):
    file = put(tmp_path, repository="models--org--name", blob=None)
    assert cached(URL, tmp_path) == file
    assert cached_sha256(file) is None


def test_a_blob_that_is_gone_is_no_file(tmp_path):
    put(tmp_path).resolve().unlink()
    assert cached(URL, tmp_path) is None


def test_a_revision_can_lead_nowhere_else(tmp_path):
    file = put(tmp_path, ref="main")
    (tmp_path / "models--Org--Name" / "refs" / "main").write_text(f"../snapshots/{COMMIT}")
    assert cached(URL, tmp_path) == file  # as the newest
    assert cached(URL, tmp_path / "nothing") is None


def test_the_caches_are_those_of_the_variables_then_the_platforms(tmp_path):
    for name in ("one", "home/hub", "volume/huggingface-cache/hub", "user/.cache/huggingface/hub"):
        (tmp_path / name).mkdir(parents=True)
    environment = {"HF_HUB_CACHE": f"{tmp_path}/one", "HF_HOME": f"{tmp_path}/home", "HOME": f"{tmp_path}/user"}
    found = hub_caches(environment, tmp_path / "volume")
    assert [str(each.relative_to(tmp_path)) for each in found] == [
        "one",
        "home/hub",
        "volume/huggingface-cache/hub",
        "user/.cache/huggingface/hub",
    ]
    nowhere = {"HF_HOME": f"{tmp_path}/gone", "HOME": f"{tmp_path}/gone"}
    assert hub_caches(nowhere, tmp_path / "gone") == []


def test_a_model_of_the_cache_is_linked_where_no_folder_has_it(tmp_path):
    cache, into, models = tmp_path / "cache", tmp_path / "links", tmp_path / "models"
    file = put(cache, ref="main")
    (models / "clip").mkdir(parents=True)
    (models / "clip" / "there.safetensors").touch()
    required = [
        model(),
        model("text_encoders/there.safetensors"),
        model("loras/elsewhere.safetensors", "https://example.com/a"),
        model("loras/unknown.safetensors", None),
        model(),
    ]
    linked = link_cached(required, [models], cache, into)
    assert [(each.path, each.file, each.problem) for each in linked] == [("checkpoints/a.safetensors", file, "")]
    assert (into / "checkpoints" / "a.safetensors").read_bytes() == b"model"
    assert link_cached(required, [models], cache, into) == []  # it is there now


def test_a_link_that_leads_nowhere_gives_way_and_a_file_does_not(tmp_path):
    cache, into = tmp_path / "cache", tmp_path / "links"
    put(cache, ref="main")
    (into / "checkpoints").mkdir(parents=True)
    (into / "checkpoints" / "a.safetensors").symlink_to(tmp_path / "gone")
    (into / "checkpoints" / "b.safetensors").write_bytes(b"own")
    link_cached([model(), model("checkpoints/b.safetensors")], [], cache, into)
    assert (into / "checkpoints" / "a.safetensors").read_bytes() == b"model"
    assert (into / "checkpoints" / "b.safetensors").read_bytes() == b"own"
    assert sorted(each.name for each in (into / "checkpoints").iterdir()) == ["a.safetensors", "b.safetensors"]


@pytest.mark.parametrize(("known", "said"), [({"sha256": "f" * 64}, SHA256), ({"size_bytes": 6}, "5 bytes")])
def test_another_file_than_the_map_says_is_not_linked(known, said, tmp_path):
    put(tmp_path / "cache", ref="main")
    (linked,) = link_cached([model(**known)], [], tmp_path / "cache", tmp_path / "links")
    assert said in linked.problem
    assert not linked.link.exists()


def test_a_link_that_can_not_be_made_is_told(tmp_path):
    put(tmp_path / "cache", ref="main")
    (tmp_path / "links").write_text("a file where the folder would be")
    (linked,) = link_cached([model()], [], tmp_path / "cache", tmp_path / "links")
    assert "no link can be made" in linked.problem
