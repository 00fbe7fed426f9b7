"""The way through the playground that its documentation shows, and the pictures of it: `make screenshots` takes them.

An ordinary run goes the same way, and looks whether the pictures are there; it takes none.
"""

import io
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image
from support.workflows import ROOT

pytest.importorskip("playwright")
from playwright.sync_api import expect

PICTURES = ROOT / "docs" / "pictures"
MOST_BYTES = 150_000  # of a picture
WINDOW = {"width": 1280, "height": 800}
STEPS = 24
# When it was made, how long that took, and where the server listens: what differs from one run to the next.
ERASE = """port => {
    const differs = /^[\\d:]+( [AP]M)?$|^[\\d.]+ s$/;
    for (const line of document.querySelectorAll(".job-head > .muted"))
        line.textContent = line.textContent.split(" · ").filter(each => !differs.test(each)).join(" · ");
    for (const clock of document.querySelectorAll(".clock")) clock.textContent = "0:03";
    for (const code of document.querySelectorAll("code")) code.textContent = code.textContent.replaceAll(port, "8000");
}"""


@pytest.fixture(scope="module")
def url(playground):
    """A server of its own, on a simulator slow enough for its progress to be seen."""
    return playground(step_seconds=0.1).url


@pytest.fixture
def show(request):
    """Takes a picture of a page under a name, where pictures are wanted; looks whether the docs have it, where not."""
    folder = request.config.getoption("--screenshots")

    def show(page, name):
        path = Path(folder or PICTURES) / f"{name}.webp"
        if folder:
            page.evaluate(ERASE, str(urlsplit(page.url).port))
            taken = page.screenshot(animations="disabled", caret="hide")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.open(io.BytesIO(taken)).convert("RGB").save(path, quality=90, method=6)
        assert path.stat().st_size < MOST_BYTES
        with Image.open(path) as picture:
            assert picture.width == page.viewport_size["width"] * page.evaluate("devicePixelRatio")

    return show


def card(page, text):
    return page.locator("article.job", has_text=text)


def test_the_way_that_the_documentation_shows(url, pages, show):
    page = pages(viewport=WINDOW, color_scheme="light")
    page.goto(f"{url}/#/workflows/txt2img")
    page.get_by_label("Prompt", exact=True).fill("a lighthouse at dusk, oil painting")
    page.get_by_label("Seed", exact=True).fill("7")
    page.locator("summary", has_text="Sampling").click()
    page.get_by_role("spinbutton", name="Steps").fill(str(STEPS))
    page.keyboard.press("Control+Enter")
    first = card(page, "seed 7")
    running = page.get_by_text(re.compile(rf"step 1\d of {STEPS}"))
    expect(page.get_by_alt_text("Preview of what is being made")).to_be_visible()
    expect(running).to_be_visible()
    show(page, "running")
    expect(first).to_have_attribute("data-status", "COMPLETED")
    page.evaluate("scrollTo(0, 0)")
    show(page, "result")

    page.get_by_role("spinbutton", name="Steps").fill("500")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("alert").filter(has_text="One thing to change")).to_be_visible()
    show(page, "wrong")
    page.get_by_role("spinbutton", name="Steps").fill(str(STEPS))

    page.get_by_role("tab", name="Use it").click()
    page.get_by_role("tab", name="Python").click()
    expect(page.get_by_label("Python call")).to_contain_text(f'"steps": {STEPS}')
    show(page, "use")
    page.get_by_role("tab", name="Graph").click()
    graph = page.get_by_role("img", name="The graph of")
    assert graph.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
    show(page, "graph")
    page.close()

    page = pages(viewport=WINDOW, color_scheme="dark")
    page.goto(f"{url}/#/workflows/txt2img")
    page.get_by_label("Prompt", exact=True).fill("a lighthouse at dusk, oil painting")
    page.get_by_label("Seed", exact=True).fill("12")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("article[data-status=COMPLETED]")).to_have_count(2)
    for each in page.get_by_role("button", name="Compare", exact=True).all():
        each.click()
    page.get_by_role("link", name="Compare", exact=True).click()
    page.get_by_role("button", name="Slider").click()
    show(page, "compare")
