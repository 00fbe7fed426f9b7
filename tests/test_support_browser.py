"""The browser of the tests fails a test whose page has something wrong in it."""

import pytest
from support.browser import problems_of
from support.web import serve_web

GOOD = b"""<!doctype html><html lang=en><title>A page</title><link rel=icon href="data:,">
<main><h1>Fine</h1></main></html>"""
BAD = b"""<!doctype html><html lang=en><title>A page</title><main><input><h1>Hm</h1></main><script>
fetch('/wrong'); fetch('/missing'); fetch('http://198.51.100.7/').catch(() => 0);
console.error('spoken'); setTimeout(() => { throw Error('thrown') });
</script></html>"""


@pytest.fixture(scope="module")
def site():
    """A web server with a page that is well and one that is not."""
    with serve_web() as server:
        server.serve("/good", GOOD, content_type="text/html")
        server.serve("/bad", BAD, content_type="text/html")
        server.serve("/wrong", b"", status=422)
        server.serve("/missing", b"", status=404)
        yield server


def test_nothing_is_wrong_with_a_good_page(pages, site):
    for page in (pages(), pages(phone=True, color_scheme="dark")):
        page.goto(f"{site.url}/good")
        assert page.get_by_role("heading").inner_text() == "Fine"
        assert problems_of(page) == []
    assert page.viewport_size["width"] == 360


def test_whatever_is_wrong_with_a_page_is_found(pages, page, site):
    page.goto(f"{site.url}/bad", wait_until="networkidle")
    assert [problem for problem in problems_of(page) if problem.startswith("label (critical)")]
    found = "\n".join(pages.complaints)
    pages.complaints.clear()
    for wrong in ("asked for http://198.51.100.7/", "404", "in the console: spoken", "uncaught: thrown"):
        assert wrong in found
    assert "422" not in found
