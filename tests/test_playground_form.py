"""The playground's list, forms, "Use it" and graph, as a person finds them in a browser."""

import json
import os
from urllib.parse import urlsplit

import pytest
import requests
from PIL import Image
from support.browser import problems_of
from support.workflows import ROOT, sampler_graph, write_workflow

pytest.importorskip("playwright")
from playwright.sync_api import expect

LARGEST_SEED = 2**64 - 1
SIZE = "96 \N{MULTIPLICATION SIGN} 64"  # of the picture
OWN_CODE = 150_000  # bytes that a page of a workflow may load, as they are without compression
EVERY_CONTROL = {
    "title": "Everything",
    "parameters": {
        "words": {"type": "string", "default": None},
        "tags": {
            "type": "array",
            "minItems": 1,
            "maxItems": 3,
            "default": ["one"],
            "items": {"type": "string", "minLength": 1},
        },
        "look": {
            "type": "object",
            "default": {"style": "ink"},
            "properties": {
                "style": {"type": "string", "enum": ["ink", "oil"], "required": True},
                "weight": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5},
            },
        },
        "tiled": {"type": "boolean", "default": False},
        "passes": {"type": "integer", "enum": [1, 2, 4], "default": 2},
        "ratio": {"type": "number", "exclusiveMinimum": 0, "default": 1.5},
        "sampler": {"type": "string", "bind": "$['3'].inputs.sampler_name"},
        "clip": {"type": "video", "group": "Files"},
        "sound": {"type": "audio", "group": "Files"},
        "extra": {"type": "file", "group": "Files"},
        "parts": {"type": "array", "default": [], "group": "Files", "items": {"type": "image"}},
    },
    "computed": {
        "$['6'].inputs.text": "{{ words }} {{ tags | join }} {{ look.style }} {{ look.weight }} {{ ratio }} {{ clip }} "
        "{{ sound }} {{ extra }} {{ parts | join }}"
    },
    "rules": [{"that": "not tiled or passes > 1", "message": "tiled takes two passes at least"}],
    "outputs": {"image": {"node": "9", "kind": "image"}},
    "examples": [{"title": "Its defaults", "payload": {}}],
}


@pytest.fixture(scope="module")
def url(playground, tmp_path_factory):
    """A local server on the simulator: this repository's workflows, and one that has every control."""
    folder = write_workflow(tmp_path_factory.mktemp("workflows"), "everything", sampler_graph(), EVERY_CONTROL)
    return playground(step_seconds=0.001, WORKFLOWS_PATH=f"{ROOT}{os.pathsep}{folder}").url


@pytest.fixture
def form(url, page):
    """Opens the form of a workflow, with all its groups."""

    def form(name):
        page.goto(f"{url}/#/workflows/{name}")
        expect(page.get_by_role("form", name="Parameters")).to_be_visible()
        for summary in page.locator("form summary").all():
            summary.click()
        return page

    return form


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "harbour.png"
    Image.new("RGB", (96, 64), "teal").save(path)
    return path


def sends(page, workflow, payload):
    """Look at the call that the page shows until it is the one of this payload, to the last digit."""
    page.get_by_role("tab", name="Use it").click()
    page.get_by_role("tab", name="RunPod").click()
    call = {"input": {"workflow": workflow, "payload": payload}}
    expect(page.get_by_label("RunPod call")).to_have_text(json.dumps(call, indent=2))


def problem_of(page, label):
    """What is said to be wrong with a field; of a field that is marked, and whose mark is read out with it."""
    control = page.get_by_label(label, exact=True)
    expect(control).to_have_attribute("aria-invalid", "true")
    return page.locator(f"#{control.get_attribute('aria-describedby').split()[0]}")


def test_the_workflows_are_searched_and_opened(url, page):
    page.goto(url)
    lines = requests.get(f"{url}/workflows", timeout=30).json()["workflows"]
    expect(page.locator("main li:visible")).to_have_count(len(lines))
    assert problems_of(page) == []
    page.get_by_role("searchbox").fill("LoRAs image")
    expect(page.get_by_role("link", name="Text to music")).to_be_hidden()
    page.get_by_role("link", name="Text to image with LoRAs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Text to image with LoRAs")
    expect(page).to_have_title("Text to image with LoRAs · Workflows")
    expect(page.locator("main")).to_be_focused()


def test_each_workflow_has_a_form_of_all_its_parameters(url, page):
    page.goto(url)
    for line in requests.get(f"{url}/workflows", timeout=30).json()["workflows"]:
        schema = requests.get(f"{url}/workflows/{line['name']}", timeout=30).json()["payload"]
        page.evaluate("name => { location.hash = `#/workflows/${name}` }", line["name"])
        expect(page.locator("h1")).to_have_text(line["title"])
        drawn = page.locator("form > .fields > .field, details > .fields > .field")
        names = drawn.evaluate_all("fields => fields.map(field => field.dataset.parameter)")
        assert sorted(names) == sorted(schema["properties"])


def test_examples_fill_the_form_and_only_what_differs_is_sent(form):
    page = form("txt2img_lora")
    lora = "lcm-lora-sdv1-5.safetensors"
    page.get_by_role("button", name="Two, at different strengths").click()
    two = [{"name": lora, "strength": 0.5}, {"name": lora, "strength": 0.25}]
    payload = {"prompt": "a lighthouse at dusk", "loras": two, "seed": 7, "steps": 12, "cfg_scale": 2}
    sends(page, "txt2img_lora", payload)
    page.get_by_role("button", name="LoRA 2: move up").click()
    sends(page, "txt2img_lora", payload | {"loras": two[::-1]})
    page.get_by_role("button", name="LoRA 1: take away").click()
    sends(page, "txt2img_lora", payload | {"loras": two[:1]})
    for _ in range(4):
        # Slowly, as a finger does: what is told to be wrong with the row before must not move the button under it.
        page.get_by_role("button", name="Add LoRA").click(delay=50)
    expect(page.get_by_role("button", name="Add LoRA")).to_be_disabled()
    page.get_by_role("button", name="Back to the default: 20").click()
    expect(page.get_by_label("Steps", exact=True)).to_have_value("20")
    page.get_by_role("button", name="Reset", exact=True).click()
    sends(page, "txt2img_lora", {})


def test_a_seed_is_exact_kept_and_drawn(form, url):
    page = form("txt2img")
    seed = page.get_by_label("Seed", exact=True)
    page.get_by_label("Prompt", exact=True).fill("a harbour")
    seed.fill(str(LARGEST_SEED))
    sends(page, "txt2img", {"prompt": "a harbour", "seed": LARGEST_SEED})
    page.reload()
    expect(seed).to_have_value(str(LARGEST_SEED))
    page.get_by_role("button", name="Run", exact=True).click()
    done = page.locator("article[data-status=COMPLETED]")
    expect(done).to_have_count(1)
    made = requests.get(f"{url}/jobs/{done.get_attribute('data-job')}", timeout=30).json()
    assert made["payload"] == {"prompt": "a harbour", "seed": LARGEST_SEED}
    page.get_by_role("button", name="Keep it").click()
    sends(page, "txt2img", {"prompt": "a harbour"})
    page.get_by_role("button", name="Draw a new one").click()
    assert 0 <= int(seed.input_value()) < 2**53
    sends(page, "txt2img", {"prompt": "a harbour", "seed": int(seed.input_value())})


def test_what_is_wrong_is_marked_in_its_place_in_the_servers_words(form):
    page = form("txt2img_lora")
    page.get_by_label("Width", exact=True).fill("65")
    page.get_by_role("button", name="Add LoRA").click()
    page.get_by_label("Strength", exact=True).fill("9")
    page.get_by_label("Steps", exact=True).fill("500")
    page.keyboard.press("Tab")
    expect(problem_of(page, "Width")).to_have_text("must be a multiple of 8 (got 65)")
    expect(problem_of(page, "Strength")).to_have_text("must be at most 2 (got 9)")
    expect(problem_of(page, "Steps")).to_have_text("must be at most 150 (got 500)")
    expect(page.get_by_label("Prompt", exact=True)).not_to_have_attribute("aria-invalid", "true")  # not there yet
    for summary in page.locator("form summary").all():
        summary.click()
    expect(page.locator("summary", has_text="Sampling")).to_contain_text("to change")
    page.keyboard.press("Control+Enter")
    told = page.locator("form").get_by_role("alert")
    expect(told).to_be_focused()
    expect(told).to_contain_text("5 things to change")
    expect(problem_of(page, "Prompt")).to_have_text("is required")
    assert problems_of(page) == []
    told.get_by_role("button", name="Steps").click()
    steps = page.get_by_label("Steps", exact=True)
    expect(steps).to_be_focused()
    steps.fill("15")
    expect(steps).not_to_have_attribute("aria-invalid", "true")
    expect(told).to_contain_text("4 things to change")


def test_a_picture_is_chosen_dropped_pasted_and_named(form, picture, url):
    page = form("img2img")
    chooser = page.locator("input[type=file]")
    chooser.set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"words"})
    expect(page.get_by_text("That is not a picture.")).to_be_visible()
    chooser.set_input_files(picture)
    shown = page.get_by_alt_text("Image: as it will be sent")
    expect(page.get_by_text(SIZE)).to_be_visible()
    assert shown.evaluate("image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])") == [96, 64]
    kept = page.evaluate("JSON.parse(sessionStorage['form:img2img']).image")
    assert requests.get(f"{url}/files/{kept}", timeout=30).content == picture.read_bytes()
    page.reload()
    expect(page.get_by_text(kept)).to_be_visible()
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 96
    page.get_by_role("button", name="Image: take away").click()
    expect(shown).to_have_count(0)
    for kind in ("drop", "paste"):
        page.evaluate(
            """([kind, bytes]) => {
                const data = new DataTransfer();
                data.items.add(new File([new Uint8Array(bytes)], `${kind}.png`, {type: "image/png"}));
                const init = {bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data};
                const Kind = {drop: DragEvent, paste: ClipboardEvent}[kind];
                document.body.dispatchEvent(new Kind(kind, init));
            }""",
            [kind, list(picture.read_bytes())],
        )
        expect(page.locator(".drop")).to_contain_text(f"{kind}.png {SIZE}")
    page.get_by_role("button", name="Image: take away").click()
    page.get_by_role("button", name="From a URL").click()
    page.keyboard.type("https://example.com/cat.png")
    sends(page, "img2img", {"image": "https://example.com/cat.png"})


def test_every_control_is_used_with_the_keyboard(form, pages):
    page = form("everything")
    assert problems_of(page) == []
    sends(page, "everything", {})
    page.get_by_label("Words", exact=True).focus()
    page.keyboard.type("a few")
    page.get_by_role("button", name="Add Tag").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("two")
    page.get_by_label("Weight", exact=True).focus()
    page.keyboard.press("ArrowUp")
    page.get_by_label("Style", exact=True).focus()
    page.keyboard.press("ArrowDown")
    page.get_by_role("switch", name="Tiled").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.get_by_label("Passes", exact=True).focus()
    page.keyboard.type("1")
    page.get_by_role("combobox", name="Sampler").focus()
    page.keyboard.type("2m sde")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_role("group", name="Clip").get_by_role("button", name="From a URL").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("https://example.com/cat.mp4")
    page.keyboard.press("Tab")
    payload = {"words": "a few", "tags": ["one", "two"], "look": {"style": "oil", "weight": 0.51}, "tiled": True}
    payload |= {"passes": 1, "sampler": "dpmpp_2m_sde_gpu", "clip": "https://example.com/cat.mp4"}
    sends(page, "everything", payload)
    for label in ("Tiled", "Passes"):
        expect(problem_of(page, label)).to_have_text("tiled takes two passes at least")
    page.get_by_role("button", name="Tag 2: take away").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Tag 1: take away")).to_be_disabled()
    page.get_by_role("button", name="Its defaults").focus()
    page.keyboard.press("Enter")
    sends(page, "everything", {})


def test_the_graph_is_drawn_with_what_the_form_changes_in_it(form):
    page = form("txt2img")
    page.get_by_label("Prompt", exact=True).fill("a harbour")
    page.get_by_label("Steps", exact=True).fill("12")
    page.get_by_role("tab", name="Graph").click()
    drawn = page.get_by_role("img", name="The graph of Text to image")
    assert drawn.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
    wide = drawn.bounding_box()["width"]
    page.get_by_role("button", name="Larger").click()
    assert drawn.bounding_box()["width"] > wide
    assert problems_of(page) == []
    page.get_by_role("tab", name="Changes").click()
    sampler = page.locator(".change", has_text="KSampler (3)").locator("dl", has_text="by steps")
    expect(sampler).to_contain_text("before: 20")
    expect(sampler).to_contain_text("after: 12")
    page.get_by_role("tab", name="JSON").click()
    expect(page.get_by_label("Rendered graph")).to_contain_text('"text": "a harbour"')


def test_the_theme_is_kept_and_a_phone_is_wide_enough(url, pages):
    page = pages(phone=True, color_scheme="light", reduced_motion="reduce")
    page.goto(url)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Theme: as the system").click()
    page.get_by_role("button", name="Theme: light").click()
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    for name in ("everything", "txt2img_lora", "img2img", "controlnet"):
        page.goto(f"{url}/#/workflows/{name}")
        page.locator(".chip").last.click()
        for summary in page.locator("form summary").all():
            summary.click()
        for tab in ("Use it", "Graph"):
            page.get_by_role("tab", name=tab).click()
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, (name, tab)
    assert problems_of(page) == []


def test_the_page_of_a_workflow_loads_little_code_and_nothing_from_elsewhere(url, page):
    loaded = {}

    def keep(response):
        path = urlsplit(response.url).path
        if path == "/" or path.startswith("/assets/"):
            loaded[path] = response

    page.on("response", keep)
    page.goto(f"{url}/#/workflows/txt2img")
    expect(page.get_by_role("form", name="Parameters")).to_be_visible()
    sizes = {path: len(response.body()) for path, response in loaded.items()}
    assert "/assets/form.js" in sizes
    assert sum(sizes.values()) < OWN_CODE, sorted(sizes.items(), key=lambda each: -each[1])
