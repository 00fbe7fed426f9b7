"""The reference at /docs: Swagger UI, out of the package, on the document of this server."""

import hashlib
import json
import re

import pytest
import requests
from support.browser import problems_of
from support.workflows import ROOT

TOKEN = "a-token-that-is-long-enough"


@pytest.fixture(scope="module")
def server(playground):
    """A server on the ComfyUI of the tests, which wants a token."""
    return playground(API_TOKEN=TOKEN)


def test_the_reference_asks_for_the_token_shows_an_operation_and_runs_it(server, pages):
    page = pages()
    page.goto(f"{server.url}/docs")
    for token, heard in (("not-the-token-of-this-server", "This token is not the server's."), (TOKEN, None)):
        page.get_by_label("This server needs its token").fill(token)
        page.get_by_role("button", name="Continue").click()
        if heard:
            page.get_by_text(heard).wait_for()
    operation = page.locator("#operations-workflows-run_resize")
    operation.locator(".opblock-summary-control").click()
    assert problems_of(page) == []
    operation.get_by_label("Body of the request").fill(json.dumps({"width": 16}))
    operation.get_by_role("button", name="Execute").click()
    answered = operation.locator(".live-responses-table")
    answered.wait_for()
    assert answered.locator(".response-col_status").last.inner_text().startswith("200")
    assert '"outputs"' in answered.inner_text()


def test_the_reference_follows_the_theme_and_the_page_keeps_the_token(server, pages):
    page = pages(color_scheme="dark", phone=True)
    page.add_init_script(f"localStorage.setItem('token', '{TOKEN}')")
    page.goto(f"{server.url}/docs")
    page.locator(".opblock").first.wait_for()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(28, 32, 34)"
    assert problems_of(page) == []


def test_the_vendored_files_are_those_that_the_readme_names():
    folder = ROOT / "engine" / "server" / "viewer" / "vendored"
    named = re.findall(r"^\| (\S+) \| `([0-9a-f]{64})` \|$", (folder / "README.md").read_text(), re.MULTILINE)
    assert {name for name, _ in named} == {path.name for path in folder.iterdir() if path.suffix in {".js", ".css"}}
    for name, digest in named:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, "make viewer"


@pytest.mark.parametrize("page", ["/", "/docs"])
def test_everything_that_a_page_names_is_there(server, page):
    text = requests.get(f"{server.url}{page}", timeout=10).text
    named = re.findall(r'<(?:link|script)[^>]* (?:href|src)="([^"]+)"', text)
    assert named
    for path in named:
        answer = requests.get(f"{server.url}/{path}", timeout=10)
        assert answer.status_code == 200, path
        assert answer.content, path
