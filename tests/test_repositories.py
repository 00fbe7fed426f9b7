"""Workflows of Git repositories: fetched from a real host of Git, kept, and had from the last copy."""

import json
import os
import random
import threading
from urllib.parse import urlsplit

import pytest
from support.git_host import git_host
from support.web import make_certificate, serve_web
from support.workflows import sampler_graph

from engine import Catalog
from engine.repositories import Copies, Token, collect, token_for
from engine.workflows_path import Repository, parse_repository

MAP = {"parameters": {"steps": {"type": "integer", "bind": "$['3'].inputs.steps"}}}
SECONDS = 60


def workflow(name="mine", folder="", title="Mine"):
    return {
        f"{folder}templates/{name}.json": json.dumps(sampler_graph()),
        f"{folder}schemas/{name}.json": json.dumps({"title": title, **MAP}),
    }


@pytest.fixture
def host(tmp_path):
    with git_host(tmp_path / "host") as host:
        host.repository(files=workflow())
        yield host


@pytest.fixture
def copies(tmp_path):
    return Copies(tmp_path / "copies")


@pytest.fixture
def fetch(host, copies):
    """Have the workflows of the repository, as `@REF#FOLDER` says."""

    def fetch(what="", *, token=None, seconds=SECONDS, url=None):
        repository = parse_repository(f"{url or host.url}/me/flows{what}")
        return collect([repository], copies, token=token, seconds=seconds)[repository]

    return fetch


def title(collected, name="mine"):
    return Catalog([collected.folder])[name].title


def test_a_repository_is_a_folder_of_workflows(fetch, host):
    collected = fetch()
    assert collected.trouble == ""
    assert collected.commit == host.git("rev-parse", "HEAD")
    assert title(collected) == "Mine"


def test_only_templates_and_maps_are_kept(fetch, host, tmp_path):
    more = {"README.md": "x", "templates/run.py": "x", "templates/deep/x.json": "{}", ".gitattributes": "* filter=lfs"}
    host.repository(files=workflow() | more)
    folder = fetch().folder
    kept = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert kept == {"templates/mine.json", "schemas/mine.json"}


def test_a_new_commit_is_had_at_the_next_time_and_an_old_one_stays_for_whoever_has_it(fetch, host):
    first = fetch()
    host.repository(files=workflow(title="Better"))
    second = fetch()
    assert title(second) == "Better"
    assert title(first) == "Mine"


def test_a_commit_that_is_there_is_not_sent_again(fetch, host):
    first = fetch()
    host.asked.clear()
    assert fetch() == first
    paths = [path for path, _ in host.asked]
    assert paths
    assert len(paths) <= 2  # what there is, and no pack


def test_a_forced_push_is_followed(fetch, host):
    host.repository(files=workflow(title="Better"))
    fetch()
    host.git("reset", "-q", "--hard", "HEAD~1")
    host.git("commit", "-q", "--amend", "-m", "other")
    collected = fetch()
    assert title(collected) == "Mine"
    assert collected.commit == host.git("rev-parse", "HEAD")


def test_branches_tags_and_commits(fetch, host):
    first = host.git("rev-parse", "HEAD")
    host.git("tag", "-a", "v1", "-m", "annotated")
    host.git("tag", "light")
    host.git("tag", "20240131")  # which could be the beginning of a commit
    host.git("checkout", "-q", "-b", "feature/x")
    host.repository(files=workflow(title="Branch"))
    host.git("checkout", "-q", "main")
    assert title(fetch("@feature/x")) == "Branch"
    for ref in ("@v1", "@light", "@refs/tags/light", "@20240131", f"@{first}", "@main", ""):
        assert title(fetch(ref)) == "Mine", ref


def test_a_commit_that_is_named_and_there_asks_nobody(fetch, host):
    commit = host.git("rev-parse", "HEAD")
    fetch(f"@{commit}")
    host.asked.clear()
    assert title(fetch(f"@{commit}")) == "Mine"
    assert host.asked == []


def test_a_folder_of_a_repository(fetch, host):
    host.repository(files=workflow(folder="comfy/flows/", title="Deep"))
    assert title(fetch("#comfy/flows")) == "Deep"
    assert "has no templates/ and no schemas/; #FOLDER behind the address names one that has" in fetch().problem
    assert "it has no folder comfy/other" in fetch("#comfy/other").problem


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("@nothing", "it has no branch and no tag nothing"),
        ("@1a2b3c4d", "it has no branch and no tag 1a2b3c4d; a commit is written whole, with its 40 characters"),
        (f"@{'1' * 40}", f"its host does not give the commit {'1' * 40}: is it pushed?"),
    ],
)
def test_a_wrong_ref_is_named(fetch, what, says):
    collected = fetch(what)
    assert says in collected.trouble
    assert "its workflows are missing" in collected.trouble
    assert not collected.folder.exists()


def test_a_repository_that_is_not_there(host, copies):
    missing = Repository(f"{host.url}/me/nothing")
    assert (
        "there is no such repository, or it is private"
        in collect([missing], copies, token=None, seconds=SECONDS)[missing].problem
    )


def test_an_empty_repository(host, copies):
    (host.folder / "me" / "empty").mkdir()
    host.git("init", "-q", name="me/empty")
    empty = Repository(f"{host.url}/me/empty")
    assert "it has no commit yet" in collect([empty], copies, token=None, seconds=SECONDS)[empty].problem


def test_a_private_repository_takes_a_token_which_no_other_host_gets(fetch, host, tmp_path):
    host.token = "tok-12345678"
    own = parse_repository(f"{host.url}/x").host
    assert "private and needs WORKFLOWS_TOKEN" in fetch().problem
    assert "does not take WORKFLOWS_TOKEN" in fetch(token=Token("wrong-one-9", own)).problem
    host.asked.clear()
    assert "needs WORKFLOWS_TOKEN" in fetch(token=Token("tok-12345678", "github.com")).problem
    assert {sent for _, sent in host.asked} == {None}
    assert title(fetch(token=Token("tok-12345678", own))) == "Mine"
    assert title(fetch("@main", token=Token("me:tok-12345678", own))) == "Mine"
    kept = [path.read_text() for path in (tmp_path / "copies").rglob("*") if path.is_file()]
    assert not any("tok-12345678" in text for text in kept)


def test_a_host_that_leads_on_to_another_is_not_followed(fetch, host, tmp_path):
    with git_host(tmp_path / "other") as other:
        other.repository(files=workflow())
        host.leads_to = other.url
        collected = fetch(token=Token("tok-12345678", parse_repository(f"{host.url}/x").host))
        assert f"its host leads on to another, {urlsplit(other.url).netloc}: name that one" in collected.problem
        assert other.asked == []  # it may be an address that nobody else is to reach
        host.leads_to = other.url.replace("://", "://me:hush-hush@")
        assert "hush-hush" not in fetch().problem


def test_a_host_that_hangs_is_given_up(fetch, host):
    fetch()
    host.hangs = True
    collected = fetch(seconds=2)
    assert "did not answer, or not to the end, within 2 s" in collected.trouble
    assert "the last copy serves" in collected.trouble
    assert title(collected) == "Mine"


def test_a_host_that_is_down_leaves_the_last_copy(fetch, unused_port, host, copies):
    first = fetch()
    host.close()
    collected = fetch()
    assert collected.folder == first.folder
    assert f"the last copy serves ({first.commit[:10]})" in collected.trouble
    never = Repository(f"http://127.0.0.1:{unused_port}/me/flows")
    found = collect([never], copies, token=None, seconds=SECONDS)[never]
    assert f"{never}: its workflows are missing, since its host does not answer: " in found.trouble
    assert found.trouble.endswith("Connection refused")


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (
            (200, [("Content-Type", "text/html")], b"<h1>Welcome to 10.0.0.7</h1>"),
            "its host does not answer as one of Git: what it sends can't be read",
        ),
        ((403, []), "there is no such repository, or it is private and needs WORKFLOWS_TOKEN"),
        ((503, []), "it answers with status 503"),
    ],
)
def test_a_host_that_says_something_else_is_not_repeated(fetch, host, says, told):
    host.says = says
    problem = fetch().problem
    assert told in problem
    assert "10.0.0.7" not in problem
    assert "info/refs?" not in problem


def test_a_certificate_that_is_not_trusted_is_told_in_a_few_words(copies, tmp_path):
    with serve_web(make_certificate(tmp_path)) as web:
        repository = Repository(f"{web.url}/me/flows")
        found = collect([repository], copies, token=None, seconds=SECONDS)[repository]
    assert "no secure connection to its host is possible: " in found.problem
    assert "Max retries" not in found.problem


def test_a_token_with_odd_characters_is_told_by_its_variable(fetch, host):
    problem = fetch(token=Token("tok€n-12345", parse_repository(f"{host.url}/x").host)).problem
    assert problem == "WORKFLOWS_TOKEN holds characters that no token has"


def test_links_lead_nowhere(fetch, host):
    host.repository(files=workflow())
    work = host.folder / "me" / "flows"
    (work / "templates" / "out.json").symlink_to("/etc/passwd")
    host.git("add", "--all")
    host.git("commit", "-qm", "link")
    collected = fetch()
    assert collected.skipped == ("templates/out.json is a link",)
    assert "left out of" in collected.trouble
    assert set(Catalog([collected.folder])) == {"mine"}


def test_a_folder_that_is_a_link_is_none(fetch, host):
    host.repository(files={"README.md": "x"})
    (host.folder / "me" / "flows" / "templates").symlink_to("/etc")
    host.git("add", "--all")
    host.git("commit", "-qm", "link")
    assert "has no templates/" in fetch().problem


def test_a_file_that_is_too_large_is_left_out_and_the_others_are_there(fetch, host):
    host.repository(files=workflow() | {"templates/huge.json": os.urandom(9_000_000)})
    collected = fetch()
    assert collected.skipped == ("templates/huge.json is too large",)
    assert title(collected) == "Mine"


def test_a_huge_pack_is_given_up(fetch, host):
    generator = random.Random(1)
    host.git("config", "uploadpack.allowFilter", "false")
    host.git("config", "core.compression", "0")  # nothing of it could be made smaller
    host.repository(files=workflow() | {f"{each}.bin": generator.randbytes(51_000_000) for each in range(2)})
    collected = fetch()
    assert "larger than 100 MB" in collected.problem


def test_a_small_pack_that_unfolds_to_gigabytes_is_given_up(fetch, host):
    host.git("config", "uploadpack.allowFilter", "false")
    host.repository(files=workflow() | {"templates/zeros.json": b"\0" * 600_000_000})
    assert "too large to be read" in fetch().problem


def test_several_at_once_on_one_volume(host, copies):
    repository = Repository(f"{host.url}/me/flows")
    found = []

    def one():
        found.append(collect([repository], copies, token=None, seconds=SECONDS)[repository])

    threads = [threading.Thread(target=one) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert {(each.folder, each.trouble) for each in found} == {(found[0].folder, "")}
    assert title(found[0]) == "Mine"
    left = [path.name for path in found[0].folder.parent.iterdir()]
    assert sorted(left) == sorted([found[0].commit, "current.json"])


def test_a_place_that_can_not_be_written_is_told(host, tmp_path):
    (tmp_path / "file").write_text("")
    repository = Repository(f"{host.url}/me/flows")
    found = collect([repository], Copies(tmp_path / "file"), token=None, seconds=SECONDS)[repository]
    assert "it can't be kept: Not a directory" in found.trouble
    assert str(tmp_path) not in found.trouble  # callers are told as well


def test_what_goes_wrong_with_one_repository_leaves_the_others(fetch, host, copies):
    first = fetch()
    repository = Repository(f"{host.url}/me/flows")
    assert collect([repository], copies, token=None, seconds=1e12)[repository].folder == first.folder


def test_the_copy_that_counts_outlives_later_ones(fetch, host):
    first = fetch()
    for number in range(60):  # those of pushes that were taken back since
        other = first.folder.parent / f"{number:040x}"
        other.mkdir()
    os.utime(first.folder, (1, 1))
    second = fetch()
    assert second.trouble == ""
    assert title(second) == "Mine"


def test_whose_token_it_is():
    github, own = Repository("https://github.com/a/b"), Repository("https://git.example.com/a/b")
    assert token_for("t", None, [github]) == Token("t", "github.com")
    assert token_for("t", None, [github, own]) is None
    assert token_for("t", "Git.example.com", [github, own]) == Token("t", "git.example.com")
    assert token_for(None, "github.com", [github]) is None
