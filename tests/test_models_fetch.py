"""Models fetched from a real server, which breaks off, lies, refuses and leads elsewhere."""

import dataclasses
import json
import os
import shutil
import socket
import threading
from pathlib import Path

import pytest
from support.shelf import CONTENT, HALF, SHA256, Shelf
from support.web import drip, make_certificate, reply, serve_raw, serve_web

from engine.models.downloading import Patience
from engine.models.fetching import Fetcher
from engine.models.hugging_face import HuggingFaceFile
from engine.models.required import RequiredModel
from engine.models.sites import Sites

PATH = "checkpoints/sub/model.safetensors"
OTHER_DISK = Path("/dev/shm")


class Told:
    def __init__(self):
        self.notes = []
        self.sizes = []

    def moved(self, path, size, total):
        self.sizes.append((path, size, total))

    def noted(self, path, text):
        self.notes.append(f"{path}: {text}")

    def ended(self, fetched):
        self.notes.append(fetched.outcome)


@pytest.fixture
def server():
    with serve_web() as server:
        yield server


@pytest.fixture
def into(tmp_path):
    return tmp_path / "models"


@pytest.fixture
def fetcher(into):
    def make(sites=None, **more):
        silence = more.pop("silence_seconds", 30)
        patience = Patience(tries=3, pause_seconds=0.001, silence_seconds=silence, look_seconds=0)
        folder = more.pop("into", into)
        return Fetcher([folder], folder, sites or Sites(), Told(), patience=patience, **more)

    return make


@pytest.fixture
def fetch(fetcher):
    def fetch(url, *, sites=None, path=PATH, sha256=SHA256, size_bytes=None, **more):
        model = RequiredModel(path, url, sha256, size_bytes, workflows=("poster",))
        (fetched,) = fetcher(sites, **more).fetch([model])
        return fetched

    return fetch


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_a_file_gets_its_name_once_it_is_whole(server, fetch, into):
    fetched = fetch(server.answer("/a", Shelf()))
    assert (fetched.outcome, fetched.sha256, fetched.size_bytes) == ("fetched", SHA256, len(CONTENT))
    assert (into / PATH).read_bytes() == CONTENT
    assert files_in(into) == [PATH]
    assert (into / PATH).stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_is_there_is_not_fetched(server, fetch, into):
    (into / PATH).parent.mkdir(parents=True)
    (into / PATH).write_bytes(b"own")
    assert fetch(server.answer("/a", Shelf())).outcome == "there"
    assert (into / PATH).read_bytes() == b"own"
    assert server.requests == []
    of_another_size = fetch(server.answer("/a", Shelf()), size_bytes=len(CONTENT))
    assert of_another_size.outcome == "failed"
    assert "3 bytes" in of_another_size.message
    assert (into / PATH).read_bytes() == b"own"


def test_a_connection_that_breaks_off_is_gone_on_with(server, fetch, into):
    shelf = Shelf(cuts=[HALF, HALF // 2])
    fetched = fetch(server.answer("/a", shelf))
    assert fetched.outcome == "fetched"
    assert (into / PATH).read_bytes() == CONTENT
    assert shelf.asked[0] == ""
    starts = [int(each.removeprefix("bytes=").rstrip("-")) for each in shelf.asked[1:]]
    assert 0 < starts[0] < starts[1] < len(CONTENT)
    assert server.requests[1][1]["if-range"] == '"v1"'


def test_a_server_that_dies_is_given_up_and_a_later_fetch_goes_on(server, fetch, into):
    shelf = Shelf(cuts=[HALF, 0, 0, 0])
    failed = fetch(server.answer("/a", shelf))
    assert failed.outcome == "failed"
    assert "broke off" in failed.message
    assert "kept" in failed.message
    assert not (into / PATH).exists()
    shelf.cuts, shelf.asked = [], []
    assert fetch(f"{server.url}/a").outcome == "fetched"
    assert shelf.asked == [f"bytes={HALF}-"]
    assert (into / PATH).read_bytes() == CONTENT
    assert files_in(into) == [PATH]


def test_a_server_that_is_not_there_is_told(fetch, unused_port, into):
    failed = fetch(f"http://127.0.0.1:{unused_port}/a")
    assert f"127.0.0.1:{unused_port} does not answer" in failed.message
    assert files_in(into) == []


def test_a_server_that_knows_no_parts_begins_again(server, fetch, into):
    shelf = Shelf(cuts=[HALF], ranges=False)
    fetched = fetch(server.answer("/a", shelf))
    assert fetched.outcome == "fetched"
    assert shelf.asked == ["", f"bytes={HALF}-"]
    assert (into / PATH).read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_fetched_from_the_start(server, fetch, into):
    shelf = Shelf(content=b"x" * len(CONTENT), cuts=[HALF, 0, 0, 0])
    assert fetch(server.answer("/a", shelf), sha256=None).outcome == "failed"
    shelf.content, shelf.etag, shelf.cuts = CONTENT, '"v2"', []
    assert fetch(f"{server.url}/a", sha256=None).sha256 == SHA256
    assert (into / PATH).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("before", "after", "more"),
    [("", "", b""), ('"v1"', '"v2"', b""), ('"v1"', "", b"longer")],
    ids=["nothing tells", "it does not look at If-Range", "nor names what it sends"],
)
def test_a_file_that_changes_between_two_tries_is_not_put_together_of_both(server, fetch, into, before, after, more):
    old = Shelf(content=b"x" * len(CONTENT) + more, etag=before, cuts=[HALF])
    new = Shelf(etag=after)

    def answer(handler):
        del handler.headers["If-Range"]
        (new if old.asked else old)(handler)

    assert fetch(server.answer("/a", answer), sha256=None).sha256 == SHA256
    assert (into / PATH).read_bytes() == CONTENT


def test_a_part_without_a_way_to_tell_the_rest_is_not_gone_on_with(server, fetch, into):
    shelf = Shelf(etag="", cuts=[HALF, HALF, HALF])
    failed = fetch(server.answer("/a", shelf), sha256=None)
    assert "kept" not in failed.message
    assert files_in(into) == []
    shelf.cuts, shelf.asked = [], []
    assert fetch(f"{server.url}/a", sha256=None).sha256 == SHA256
    assert shelf.asked == [""]


def test_a_part_of_another_url_is_not_gone_on_with(server, fetch):
    fetch(server.answer("/a", Shelf(content=b"x" * len(CONTENT), cuts=[HALF, 0, 0, 0])))
    shelf = Shelf()
    assert fetch(server.answer("/b", shelf)).outcome == "fetched"
    assert shelf.asked == [""]


def test_a_damaged_part_is_found_out_and_the_file_fetched_anew(server, fetch, into):
    shelf = Shelf(cuts=[HALF, 0, 0, 0])
    fetch(server.answer("/a", shelf))
    part = into / "checkpoints" / "sub" / ".model.safetensors.part"
    part.write_bytes(bytes(part.stat().st_size))
    shelf.cuts, shelf.asked = [], []
    assert fetch(f"{server.url}/a").outcome == "fetched"
    assert shelf.asked == [f"bytes={HALF}-", ""]
    assert (into / PATH).read_bytes() == CONTENT


def test_a_part_that_is_whole_needs_no_server(server, fetch, into):
    part = into / "checkpoints" / "sub" / ".model.safetensors.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)
    note = {"url": f"{server.url}/a", "total": len(CONTENT), "validator": '"v1"'}
    part.with_name(f"{part.name}.json").write_text(json.dumps(note))
    assert fetch(f"{server.url}/a").outcome == "fetched"
    assert server.requests == []
    assert files_in(into) == [PATH]


def test_a_part_of_which_the_server_has_no_more_is_fetched_anew(server, fetch, into):
    part = into / "checkpoints" / "sub" / ".model.safetensors.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT + b"more")
    note = {"url": f"{server.url}/a", "total": None, "validator": '"v1"'}
    part.with_name(f"{part.name}.json").write_text(json.dumps(note))
    assert fetch(server.answer("/a", Shelf())).outcome == "fetched"
    assert (into / PATH).read_bytes() == CONTENT


def test_a_wrong_hash_is_refused_with_both_and_nothing_is_left(server, fetch, into):
    wrong = "f" * 64
    failed = fetch(server.answer("/a", Shelf()), sha256=wrong)
    assert failed.outcome == "failed"
    assert wrong in failed.message
    assert SHA256 in failed.message
    assert files_in(into) == []


def test_a_wrong_size_is_refused_before_it_comes(server, fetch, into):
    failed = fetch(server.answer("/a", Shelf()), size_bytes=5)
    assert f"{len(CONTENT)} bytes, the map says 5" in failed.message
    assert files_in(into) == []


def test_a_wrong_size_is_refused_where_none_is_told_before(server, fetch, into):
    shelf = Shelf(length=0)
    failed = fetch(server.answer("/a", shelf), size_bytes=len(CONTENT) + 1)
    assert "wrong size" in failed.message
    assert files_in(into) == []


def test_an_empty_file_is_no_model(server, fetch, into):
    url = server.serve("/a", b"")
    assert "an empty file came" in fetch(url, sha256=None).message
    assert files_in(into) == []
    assert fetch(url, sha256=None, size_bytes=0).outcome == "fetched"


def test_a_file_of_which_nothing_tells_the_end_is_refused(server, fetch):
    url = server.answer("/a", Shelf(length=0, etag=""))
    assert "does not tell how long" in fetch(url, sha256=None).message
    assert fetch(url).outcome == "fetched"  # its hash tells


def test_the_hash_that_hugging_face_has_is_compared(server, fetch, into):
    url = HuggingFaceFile("O/N", "main", "a.bin").url()
    server.answer("/O/N/resolve/main/a.bin", Shelf(headers={"X-Linked-Etag": f'"{"e" * 64}"'}))
    failed = fetch(url, sites=Sites(hf_endpoint=server.url), sha256=None)
    assert f"the site says {'e' * 64}" in failed.message
    assert files_in(into) == []


@pytest.mark.parametrize(("status", "said"), [(404, "there is no such file"), (410, "answered 410 Gone")])
def test_a_file_that_is_gone_is_told(server, fetch, into, status, said):
    failed = fetch(server.serve("/a", b"gone", status=status))
    assert said in failed.message
    assert len(server.requests) == 1
    assert files_in(into) == []


def test_a_server_that_has_had_enough_is_asked_again(server, fetch):
    answers = iter([503, 429])
    shelf = Shelf()

    def answer(handler):
        status = next(answers, None)
        return reply(handler, b"later", status, {"Retry-After": "0"}) if status else shelf(handler)

    assert fetch(server.answer("/a", answer)).outcome == "fetched"
    assert len(server.requests) == 3


def test_a_web_page_is_no_model(server, fetch, into):
    page = server.serve("/a", b"<!doctype html>Log in", Content_Type="text/html; charset=utf-8")
    failed = fetch(page, sha256=None)
    assert "sent a web page" in failed.message
    assert "login" in failed.message
    assert files_in(into) == []


def test_a_compressed_answer_is_no_file(server, fetch):
    failed = fetch(server.answer("/a", Shelf(headers={"Content-Encoding": "gzip"})))
    assert "compressed" in failed.message


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
@pytest.mark.parametrize("more", [b"", b"x"], ids=["silent", "dripping"])
def test_a_server_that_falls_silent_is_left_and_asked_again(server, fetch, into, connection, more):
    shelf, calls = Shelf(), []

    def answer(handler):
        calls.append(handler.path)
        if len(calls) > 1:
            return shelf(handler)
        head = f"HTTP/1.1 200 OK\r\nConnection: {connection}\r\nContent-Length: {len(CONTENT)}\r\n\r\n".encode()
        return drip(head, more)(handler)

    assert fetch(server.answer("/a", answer), silence_seconds=0.3).outcome == "fetched"
    assert (into / PATH).read_bytes() == CONTENT


def test_headers_that_end_with_the_connection_are_no_answer(fetch, into):
    with serve_raw(lambda connection, _: connection.sendall(b"HTTP/1.1 200 OK\r\nServer: a\r\n")) as url:
        assert "sent nothing" in fetch(f"{url}/a", sha256=None).message
    assert files_in(into) == []


def test_a_bundle_of_certificates_that_is_not_there_is_told(server, fetch, monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    assert "gone.pem, which REQUESTS_CA_BUNDLE names" in fetch(server.answer("/a", Shelf())).message


class TestTokens:
    @pytest.fixture
    def other(self):
        with serve_web() as server:
            yield server

    @pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
    def test_one_goes_to_its_site_and_not_on_to_another_host(self, server, other, fetch, name):
        target = other.answer("/cdn", Shelf()).replace("127.0.0.1", name)
        server.answer("/O/N/resolve/main/a.bin", lambda handler: reply(handler, b"", 302, {"Location": target}))
        sites = Sites("hf-secret", "civitai-secret", hf_endpoint=server.url)
        fetched = fetch("https://huggingface.co/O/N/blob/main/a.bin", sites=sites)
        assert fetched.outcome == "fetched"
        assert server.requests[0][1]["authorization"] == "Bearer hf-secret"
        assert "authorization" not in other.requests[0][1]

    def test_one_goes_on_to_the_same_host(self, server, fetch):
        server.answer("/O/N/resolve/main/a.bin", lambda each: reply(each, b"", 307, {"Location": "/new?signed=1"}))
        server.answer("/new", Shelf())
        sites = Sites("hf-secret", hf_endpoint=server.url)
        assert fetch("https://huggingface.co/O/N/resolve/main/a.bin", sites=sites).outcome == "fetched"
        assert [each[1]["authorization"] for each in server.requests] == ["Bearer hf-secret"] * 2

    def test_one_is_not_given_back_to_a_host_that_was_left(self, server, other, fetch):
        shelf = Shelf()
        server.answer("/O/N/resolve/main/a.bin", lambda each: reply(each, b"", 302, {"Location": f"{other.url}/on"}))
        other.answer("/on", lambda handler: reply(handler, b"", 302, {"Location": f"{server.url}/back"}))
        server.answer("/back", shelf)
        sites = Sites("hf-secret", hf_endpoint=server.url)
        assert fetch("https://huggingface.co/O/N/resolve/main/a.bin", sites=sites).outcome == "fetched"
        assert "authorization" not in server.requests[1][1]

    def test_other_hosts_get_none(self, server, fetch, monkeypatch, tmp_path):
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret")
        monkeypatch.setenv("HOME", str(tmp_path))
        fetch(server.answer("/a", Shelf()), sites=Sites("hf-secret", "civitai-secret"))
        assert "authorization" not in server.requests[0][1]

    def test_civitai_gets_its_own(self, server, fetch):
        server.answer("/api/download/models/5", Shelf())
        sites = Sites("hf-secret", "civitai-secret", civitai=server.url)
        assert fetch(f"{server.url}/api/download/models/5?type=Model", sites=sites).outcome == "fetched"
        assert server.requests[0][1]["authorization"] == "Bearer civitai-secret"
        assert server.requests[0][0] == "/api/download/models/5?type=Model"

    @pytest.mark.parametrize("status", [401, 403])
    def test_without_one_the_variable_and_the_page_of_the_terms_are_told(self, server, fetch, status):
        server.serve("/O/N/resolve/main/a.bin", b"no", status=status)
        failed = fetch("https://huggingface.co/O/N/resolve/main/a.bin", sites=Sites(hf_endpoint=server.url))
        assert f"{status}" in failed.message
        assert "HF_TOKEN" in failed.hint
        assert "https://huggingface.co/settings/tokens" in failed.hint
        assert "https://huggingface.co/O/N" in failed.hint

    def test_one_that_is_refused_is_told_and_not_shown(self, server, fetch):
        server.serve("/O/N/resolve/main/a.bin", b"no", status=403)
        sites = Sites("hf-secret", hf_endpoint=server.url)
        failed = fetch("https://huggingface.co/O/N/resolve/main/a.bin", sites=sites)
        assert "does not give it to the account of HF_TOKEN" in failed.message
        assert "hf-secret" not in failed.message + failed.hint

    def test_a_login_is_told_as_what_it_is(self, server, fetch):
        server.answer("/api/download/models/5", lambda each: reply(each, b"", 307, {"Location": "/login?returnUrl=x"}))
        failed = fetch(f"{server.url}/api/download/models/5", sites=Sites(civitai=server.url))
        assert "leads on to a login" in failed.message
        assert "CIVITAI_TOKEN" in failed.hint

    def test_another_host_that_wants_a_login_is_told(self, server, fetch):
        failed = fetch(server.serve("/a", b"no", status=401))
        assert "to nobody without a login" in failed.message


class TestWays:
    def test_https_does_not_lead_on_to_http_without_a_hash(self, tmp_path, monkeypatch, fetch, server):
        certificate = make_certificate(tmp_path)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        target = server.answer("/a", Shelf())
        with serve_web(certificate) as secure:
            url = secure.answer("/a", lambda handler: reply(handler, b"", 302, {"Location": target}))
            failed = fetch(url, sha256=None)
            assert "not https" in failed.message
            assert server.requests == []
            assert fetch(url).outcome == "fetched"

    def test_redirects_end(self, server, fetch):
        url = server.answer("/a", lambda handler: reply(handler, b"", 302, {"Location": "/a"}))
        assert "more than 10 times" in fetch(url).message

    @pytest.mark.parametrize("target", ["http://[nowhere", "http://127.0.0.1:99999/a"])
    def test_what_is_no_url_is_not_followed(self, server, fetch, into, target):
        url = server.answer("/a", lambda handler: reply(handler, b"", 302, {"Location": target}))
        assert "leads on to what is no URL" in fetch(url).message
        assert files_in(into) == []

    def test_a_password_in_a_redirect_is_not_shown(self, server, fetch):
        target = server.url.replace("http://", "http://me:secret@") + "/gone"
        url = server.answer("/a", lambda handler: reply(handler, b"", 302, {"Location": target}))
        failed = fetch(url)
        assert "no such file: 127.0.0.1" in failed.message
        assert "secret" not in failed.message + failed.hint

    def test_other_schemes_are_not_followed(self, server, fetch):
        url = server.answer("/a", lambda handler: reply(handler, b"", 302, {"Location": "file:///etc/passwd"}))
        assert "not https" in fetch(url).message


class TestSameFiles:
    def test_one_that_is_there_by_another_name_is_linked(self, server, fetch, into):
        other = into / "loras" / "same.safetensors"
        other.parent.mkdir(parents=True)
        other.write_bytes(CONTENT)
        fetched = fetch(f"{server.url}/a", size_bytes=len(CONTENT))
        assert fetched.outcome == "linked"
        assert (into / PATH).samefile(other)
        assert server.requests == []

    def test_one_of_the_same_size_is_not(self, server, fetch, into):
        other = into / "loras" / "alike.safetensors"
        other.parent.mkdir(parents=True)
        other.write_bytes(bytes(len(CONTENT)))
        assert fetch(server.answer("/a", Shelf()), size_bytes=len(CONTENT)).outcome == "fetched"
        assert (into / PATH).read_bytes() == CONTENT

    @pytest.mark.parametrize("sha256", [SHA256, None])
    def test_two_models_that_are_one_file_are_fetched_once(self, server, fetcher, into, sha256):
        shelf = Shelf()
        url = server.answer("/a", shelf)
        paths = ("checkpoints/a.safetensors", "diffusion_models/b.safetensors")
        done = fetcher().fetch([RequiredModel(path, url, sha256, workflows=("poster",)) for path in paths])
        assert sorted(each.outcome for each in done) == ["fetched", "linked"]
        assert (into / paths[0]).samefile(into / paths[1])
        assert shelf.asked == [""]

    def test_a_file_of_another_size_is_not_the_same_for_its_url(self, server, fetcher, into):
        url = server.answer("/a", Shelf())
        (into / "loras").mkdir(parents=True)
        (into / "loras" / "a.bin").write_bytes(b"own")
        models = [RequiredModel(f"loras/{name}.bin", url, None, len(CONTENT), workflows=("p",)) for name in "ab"]
        assert [each.outcome for each in fetcher().fetch(models)] == ["failed", "fetched"]
        assert (into / "loras" / "b.bin").read_bytes() == CONTENT

    def test_hugging_faces_cache_is_used(self, server, fetch, into, tmp_path):
        blob = tmp_path / "hub" / "models--O--N" / "blobs" / SHA256
        file = tmp_path / "hub" / "models--O--N" / "snapshots" / ("c" * 40) / "a.bin"
        for each in (blob, file):
            each.parent.mkdir(parents=True)
        blob.write_bytes(CONTENT)
        file.symlink_to(blob)
        url = HuggingFaceFile("O/N", "main", "a.bin").url()
        fetched = fetch(url, sites=Sites(hf_endpoint=server.url), caches=[tmp_path / "hub"])
        assert fetched.outcome == "linked"
        assert (into / PATH).read_bytes() == CONTENT
        assert server.requests == []
        # By its hash alone, under whatever name it is there.
        by_hash = fetch(f"{server.url}/x", path="loras/b.safetensors", caches=[tmp_path / "hub"])
        assert by_hash.outcome == "linked"

    def test_a_file_of_the_cache_that_is_another_is_not(self, server, fetch, tmp_path):
        file = tmp_path / "hub" / "models--O--N" / "snapshots" / ("c" * 40) / "a.bin"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"another")
        server.answer("/O/N/resolve/main/a.bin", Shelf())
        url = HuggingFaceFile("O/N", "main", "a.bin").url()
        fetched = fetch(url, sites=Sites(hf_endpoint=server.url), caches=[tmp_path / "hub"])
        assert fetched.outcome == "fetched"

    @pytest.mark.skipif(not OTHER_DISK.is_dir(), reason="needs a second file system")
    @pytest.mark.parametrize("contained", [True, False])
    def test_of_another_disk_the_link_is_symbolic_unless_the_folder_is_to_stand_alone(
        self, server, fetch, into, tmp_path, contained
    ):
        if OTHER_DISK.stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("needs a second file system")
        hub = OTHER_DISK / f"hub-{os.getpid()}"
        file = hub / "models--O--N" / "snapshots" / ("c" * 40) / "a.bin"
        file.parent.mkdir(parents=True)
        try:
            file.write_bytes(CONTENT)
            server.answer("/O/N/resolve/main/a.bin", Shelf())
            url = HuggingFaceFile("O/N", "main", "a.bin").url()
            sites = Sites(hf_endpoint=server.url)
            fetched = fetch(url, sites=sites, caches=[hub], contained=contained)
            assert fetched.outcome == ("fetched" if contained else "linked")
            assert (into / PATH).is_symlink() != contained
            assert (into / PATH).read_bytes() == CONTENT
        finally:
            shutil.rmtree(hub)


class TestSeveral:
    def test_what_fails_stops_no_other(self, server, fetcher, into):
        models = [
            RequiredModel("loras/none.safetensors", workflows=("poster",)),
            RequiredModel("loras/gone.safetensors", f"{server.url}/gone", "a" * 64, workflows=("poster",)),
            RequiredModel("loras/there.safetensors", server.answer("/a", Shelf()), SHA256, workflows=("poster",)),
            RequiredModel("loras/two.safetensors", f"{server.url}/a", conflict="a says this, b that"),
        ]
        done = fetcher().fetch(models)
        assert [each.outcome for each in done] == ["failed", "failed", "fetched", "failed"]
        assert "no map names a url" in done[0].message
        assert "schemas/poster.json" in done[0].hint
        assert files_in(into) == ["loras/there.safetensors"]

    def test_a_name_that_no_disk_takes_is_told(self, server, fetcher):
        url = server.answer("/a", Shelf())
        models = [RequiredModel(f"loras/{name}.bin", url, SHA256, workflows=("p",)) for name in ("a" * 300, "b")]
        done = fetcher().fetch(models)
        assert [each.outcome for each in done] == ["failed", "fetched"]
        assert "File name too long" in done[0].message

    def test_results_that_can_not_be_told_end_it(self, server, fetcher):
        class Gone(Told):
            def ended(self, fetched):
                raise BrokenPipeError(fetched.outcome)

        made = dataclasses.replace(fetcher(), watcher=Gone())
        with pytest.raises(BrokenPipeError):
            made.fetch([RequiredModel(PATH, server.answer("/a", Shelf()), SHA256)])

    def test_several_come_at_once(self, server, fetcher):
        barrier = threading.Barrier(3, timeout=30)

        def answer(handler):
            barrier.wait()  # the server answers none before it was asked for three
            Shelf()(handler)

        urls = [server.answer(f"/{number}", answer) for number in range(3)]
        models = [RequiredModel(f"loras/{number}.bin", url, workflows=("a",)) for number, url in enumerate(urls)]
        assert [each.outcome for each in fetcher(at_once=3).fetch(models)] == ["fetched"] * 3

    def test_a_file_that_comes_to_be_there_meanwhile_is_left_alone(self, server, fetch, into):
        shelf = Shelf(pause_at=HALF)

        def put():
            (into / PATH).write_bytes(b"own")
            shelf.go.set()

        def answer(handler):
            threading.Thread(target=put).start()
            shelf(handler)

        failed = fetch(server.answer("/a", answer))
        assert failed.outcome == "failed"
        assert (into / PATH).read_bytes() == b"own"
        assert files_in(into) == [PATH]

    def test_a_folder_of_the_files_name_is_told_before_it_comes(self, server, fetch, into):
        (into / PATH).mkdir(parents=True)
        assert "is there, and is no file" in fetch(server.answer("/a", Shelf())).message
        assert server.requests == []

    def test_who_was_taken_for_dead_writes_nothing_more(self, server, fetcher, into, wait_until):
        """It was asleep, and another machine has begun the download anew; what comes to both differs."""
        shelf, made = Shelf(pause_at=HALF), fetcher()
        part = (into / PATH).with_name(".model.safetensors.part")
        lock = part.with_suffix(".lock")
        parts = []

        def take_over():
            wait_until(lambda: part.stat().st_size == HALF)
            lock.write_text('{"machine": "another"}')
            part.write_bytes(b"another's")
            shelf.go.set()
            wait_until(lambda: f"{PATH}: another process fetches it; waiting" in made.watcher.notes)
            parts.append(part.read_bytes())
            (into / PATH).write_bytes(b"another's")

        def answer(handler):
            taker.start()
            shelf(handler)

        taker = threading.Thread(target=take_over)
        (done,) = made.fetch([RequiredModel(PATH, server.answer("/a", answer), workflows=("p",))])
        taker.join()
        assert parts == [b"another's"]
        assert (done.outcome, (into / PATH).read_bytes()) == ("there", b"another's")

    def test_a_part_that_is_a_link_is_not_written_through(self, server, fetch, into, tmp_path):
        (tmp_path / "own").write_bytes(b"own")
        (into / PATH).parent.mkdir(parents=True)
        (into / PATH).with_name(".model.safetensors.part").symlink_to(tmp_path / "own")
        assert fetch(server.answer("/a", Shelf())).outcome == "failed"
        assert (tmp_path / "own").read_bytes() == b"own"

    def test_a_link_that_leads_nowhere_gives_way(self, server, fetch, into, tmp_path):
        (into / PATH).parent.mkdir(parents=True)
        (into / PATH).symlink_to(tmp_path / "gone")
        assert fetch(server.answer("/a", Shelf())).outcome == "fetched"
        assert (into / PATH).read_bytes() == CONTENT
        assert not (into / PATH).is_symlink()

    def test_a_folder_that_can_not_be_written_is_told(self, server, fetch, into):
        into.mkdir()
        (into / "checkpoints").write_text("a file where the folder would be")
        failed = fetch(server.answer("/a", Shelf()))
        assert f"the folder {(into / PATH).parent} can't be made: a file" in failed.message
        assert failed.hint == "move that away"

    def test_a_file_that_does_not_fit_is_not_begun(self, server, fetch, into):
        shelf = Shelf(length=10**15)
        failed = fetch(server.answer("/a", shelf), sha256=None)
        assert "it needs 1000 TB" in failed.message
        assert "free in" in failed.message
        assert files_in(into) == []


def test_the_progress_ends_at_the_whole(server, fetcher, into):
    made = fetcher()
    made.fetch([RequiredModel(PATH, server.answer("/a", Shelf()), SHA256)])
    assert made.watcher.sizes[0] == (PATH, 0, None)
    assert made.watcher.sizes[-1] == (PATH, len(CONTENT), len(CONTENT))


def test_a_port_that_drops_the_connection_is_told(fetch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        stop = threading.Event()

        def hang_up():
            listener.settimeout(0.02)
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        failed = fetch(f"http://127.0.0.1:{port}/a")
        stop.set()
        thread.join()
    assert "broke" in failed.message
