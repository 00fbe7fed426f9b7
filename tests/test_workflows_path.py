"""What WORKFLOWS_PATH may name, and what it is told where it names something else."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.workflows_path import Repository, entries_of, folders_named, split_path

GITHUB = "https://github.com/me/flows"


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("/a:/b", (Path("/a"), Path("/b"))),
        (".:mine:", (Path(), Path("mine"))),
        (GITHUB, (Repository(GITHUB),)),
        (f"{GITHUB}.git", (Repository(f"{GITHUB}.git"),)),
        (f"{GITHUB}/", (Repository(GITHUB),)),
        (f"git+{GITHUB}@v2#comfy", (Repository(GITHUB, "v2", "comfy"),)),
        (f"{GITHUB}@feature/x#a/b/", (Repository(GITHUB, "feature/x", "a/b"),)),
        (f"{GITHUB}#comfy", (Repository(GITHUB, "", "comfy"),)),
        (f" {GITHUB}\n", (Repository(GITHUB),)),
        (f"/a: {GITHUB}@v1 :\n{GITHUB}/", (Path("/a"), Repository(GITHUB, "v1"), Repository(GITHUB))),
        (f"{GITHUB}@20240131", (Repository(GITHUB, "20240131"),)),
        (f"/a:{GITHUB}@main:/b", (Path("/a"), Repository(GITHUB, "main"), Path("/b"))),
        (
            "https://git.example.com:8443/x/y@v1:http://127.0.0.1:3000/z:/b",
            (Repository("https://git.example.com:8443/x/y", "v1"), Repository("http://127.0.0.1:3000/z"), Path("/b")),
        ),
    ],
)
def test_folders_and_repositories(text, entries):
    assert entries_of(text) == entries


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("git@github.com:me/flows.git", "read over https, with WORKFLOWS_TOKEN"),
        ("ssh://git@github.com/me/flows", "read over https, with WORKFLOWS_TOKEN"),
        ("http://example.com/me/flows", "read over https"),
        ("file:///etc", "read over https"),
        ("https://me:secret99@github.com/me/flows", "holds no user and no password"),
        (f"{GITHUB}/tree/main/comfy/flows", f"the repository is {GITHUB}@main#comfy/flows"),
        (f"{GITHUB}/-/tree/main", f"the repository is {GITHUB}@main"),
        ("https://github.com", "names no repository"),
        (f"{GITHUB}?x=1", "names no repository"),
        ("https://github.com:port/me/flows", "is no address"),
        (f"{GITHUB}@", "a branch, a tag or a commit"),
        (f"{GITHUB}@-x", "a branch, a tag or a commit"),
        (f"{GITHUB}@a..b", "a branch, a tag or a commit"),
        (f"{GITHUB}#../x", "a folder of the repository"),
    ],
)
def test_what_is_no_repository_is_told_the_form(text, says):
    with pytest.raises(ValueError, match=says.replace("?", r"\?")) as caught:
        entries_of(text)
    assert "secret99" not in str(caught.value)


def test_a_host_is_told_apart_by_its_port():
    assert Repository("https://Git.Example.com:8443/x").host == "git.example.com:8443"
    assert Repository(f"{GITHUB}@main").host == "github.com"


def test_the_folders_alone():
    assert folders_named(f"/a:{GITHUB}@v1:/b") == (Path("/a"), Path("/b"))


PARTS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True)
FOLDERS = st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: Path("/", *parts))
REPOSITORIES = st.builds(
    lambda port, owner, name, ref, folder: Repository(
        f"https://git.example.com{port}/{owner}/{name}", ref and f"r-{ref}", "/".join(folder)
    ),
    st.sampled_from(["", ":8443"]),
    PARTS,
    PARTS,
    st.one_of(st.just(""), PARTS),
    st.lists(PARTS, max_size=2),
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(FOLDERS, REPOSITORIES), min_size=1, max_size=5))
def test_what_is_written_is_read_again(entries):
    text = ":".join(map(str, entries))
    assert split_path(text) == tuple(map(str, entries))
    assert entries_of(text) == tuple(entries)
