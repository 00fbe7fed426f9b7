"""What a clone says of itself, with git and without it."""

import pytest
from support.repositories import git, repository
from support.workflows import ROOT

from engine.snapshots.repositories import changed_files, commit_of, remote_of


@pytest.fixture
def clone(tmp_path):
    """A repository with one commit."""
    repository(tmp_path / "pack", __init__="")
    return tmp_path / "pack"


@pytest.mark.parametrize("how", ["a branch", "packed", "detached", "a worktree", "a submodule"])
def test_the_commit_of_a_clone_needs_no_git(clone, tmp_path, how, monkeypatch):
    wanted = git(clone, "rev-parse", "HEAD")
    folder = clone
    if how == "packed":
        git(clone, "pack-refs", "--all")
    elif how == "detached":
        git(clone, "checkout", "-q", "--detach")
    elif how == "a worktree":
        folder = tmp_path / "tree"
        git(clone, "worktree", "add", "-q", str(folder), "-b", "other")
    elif how == "a submodule":
        (clone / ".git").rename(tmp_path / "kept")
        (clone / ".git").write_text("gitdir: ../kept\n")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))

    assert commit_of(folder) == wanted


def test_no_clone_has_no_commit(tmp_path):
    assert commit_of(tmp_path) is None
    assert remote_of(tmp_path) is None
    assert changed_files(tmp_path) == []


def test_a_clone_without_a_commit_has_none(tmp_path):
    git(tmp_path, "init", "-q")

    assert commit_of(tmp_path) is None


def test_a_head_that_leads_out_of_the_clone_is_not_followed(tmp_path):
    (tmp_path / "secret").write_text("f" * 40)
    (tmp_path / "pack" / ".git").mkdir(parents=True)
    (tmp_path / "pack" / ".git" / "HEAD").write_text("ref: ../../secret\n")

    assert commit_of(tmp_path / "pack") is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://x.example/a/pack.git", "https://x.example/a/pack.git"),
        ("https://user:token@x.example/a/pack", "https://x.example/a/pack"),
        ("https://user:half@half@x.example/a/pack", "https://x.example/a/pack"),
        ("git@x.example:a/pack.git", "git@x.example:a/pack.git"),
        ("file:///srv/pack", "file:///srv/pack"),
    ],
)
def test_where_a_clone_is_from(clone, url, said):
    git(clone, "remote", "add", "other", "https://y.example/b")
    git(clone, "remote", "add", "origin", url)

    assert remote_of(clone) == said


def test_files_that_were_changed_are_told(clone):
    assert changed_files(clone) == []
    (clone / "__init__.py").write_text("changed")
    (clone / "new.py").write_text("")

    assert changed_files(clone) == ["__init__.py"]


def test_this_very_repository_is_read_as_git_says_it():
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    assert commit_of(ROOT) == git(ROOT, "rev-parse", "HEAD")
