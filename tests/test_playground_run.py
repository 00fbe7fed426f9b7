"""Running workflows in the browser: progress, results, the history, comparing; on the simulator or a real ComfyUI."""

import re
from pathlib import Path

import pytest
import requests
from conftest import COMFY_HOME, COMFY_URL
from support.browser import problems_of
from support.playground import free_port

pytest.importorskip("playwright")
from playwright.sync_api import expect

SMALL = {"width": 64, "height": 64, "steps": 1}
LARGEST_SEED = 2**64 - 1
REAL = bool(COMFY_URL or COMFY_HOME)
LONG = 240_000  # milliseconds that a real ComfyUI may take on a CPU
# Keeps what is seen of the first job of the page, however short a time it stands there.
WATCH = """() => {
    window.seen = {states: [], places: [], words: [], previews: []};
    const keep = (kind, value) => seen[kind].includes(value) || seen[kind].push(value);
    new MutationObserver(() => {
        const job = document.querySelector("article.job");
        keep("states", job?.dataset.status);
        keep("places", job?.querySelector("progress[value]")?.value ?? null);
        keep("words", job?.querySelector(".progress")?.innerText ?? "");
        keep("previews", job?.querySelector(".progress img")?.getBoundingClientRect().width ?? 0);
    }).observe(document.querySelector("main"), {subtree: true, childList: true, attributes: true});
}"""
LASTING = 150  # steps: half a minute on the slow simulator


@pytest.fixture(scope="module")
def url(playground, checkpoint):
    """A local server on the ComfyUI of the tests."""
    return playground().url


@pytest.fixture(scope="module")
def slow_url(playground, request):
    """One whose jobs last as long as a test needs: on a simulator of its own, or a real ComfyUI."""
    if REAL:
        return request.getfixturevalue("url")
    return playground(step_seconds=0.2).url


@pytest.fixture
def make(url):
    """Runs txt2img through the API; gives the job's id."""

    def make(prompt, **payload):
        sent = SMALL | {"prompt": prompt} | payload
        reply = requests.post(f"{url}/workflows/txt2img?wait={LONG}", json=sent, timeout=LONG / 1000)
        assert reply.status_code == 200, reply.text
        return reply.headers["X-Job-Id"]

    return make


def queue(url, **payload):
    """Queues txt2img; gives the job's id."""
    reply = requests.post(f"{url}/workflows/txt2img?async=1", json=SMALL | payload, timeout=30)
    assert reply.status_code == 202, reply.text
    return reply.json()["id"]


def job(url, job_id):
    return requests.get(f"{url}/jobs/{job_id}", timeout=30).json()


def card(page, text):
    return page.locator("article.job", has_text=text)


def drawn(picture):
    """Whether a picture has come and can be shown."""
    return picture.evaluate("image => image.decode().then(() => image.naturalWidth)")


def fill_in(page, prompt, **numbers):
    page.get_by_label("Prompt", exact=True).fill(prompt)
    # Not by clicks: a group in which something is wrong opens by itself.
    page.locator("form details").evaluate_all("groups => groups.forEach(group => { group.open = true })")
    for label, value in numbers.items():
        page.get_by_role("spinbutton", name=label).fill(str(value))


def moves(page, wait_until):
    """Wait until the bar of a job was seen at three places at least."""
    seen = set()

    def looked():
        seen.update(page.locator("article progress[value]").evaluate_all("bars => bars.map(bar => bar.value)"))
        return len(seen) >= 3

    wait_until(looked)
    assert all(0 <= value <= 1 for value in seen)


def test_a_new_user_comes_to_a_picture(url, page):
    page.goto(url)
    page.get_by_role("link", name="Text to image").click()
    steps = 12 if REAL else 60
    fill_in(page, "a lighthouse at dusk", Steps=steps, Width=64, Height=64)
    page.evaluate(WATCH)
    page.keyboard.press("Control+Enter")
    made = card(page, "a lighthouse at dusk")
    expect(made).to_have_attribute("data-status", "COMPLETED", timeout=LONG)
    seen = page.evaluate("seen")
    assert "IN_PROGRESS" in seen["states"]
    places = [place for place in seen["places"] if place is not None]
    assert len(places) >= 3
    assert places == sorted(places)
    assert any(re.search(rf"step \d+ of {steps}", words) for words in seen["words"])
    assert REAL or max(seen["previews"]) >= 64  # an older ComfyUI sends none
    assert drawn(made.get_by_role("img")) == 64
    assert problems_of(page) == []
    page.reload()
    expect(made.get_by_role("img")).to_be_visible()
    with page.expect_download() as download:
        made.get_by_role("link", name="Download").click()
    assert re.fullmatch(r"txt2img_\d+_\.png", download.value.suggested_filename)


def test_a_seed_is_used_again_exactly_and_another_is_drawn(url, page, make):
    made = card(page, "a seeded one")
    make("a seeded one", seed=LARGEST_SEED)
    page.goto(f"{url}/#/workflows/txt2img")
    made.get_by_role("button", name="Again with this seed").click()
    expect(page.get_by_label("Seed", exact=True)).to_have_value(str(LARGEST_SEED))
    page.get_by_role("button", name="Run", exact=True).click()
    expect(made).to_have_count(2)
    expect(made.filter(has_text=f"seed {LARGEST_SEED}")).to_have_count(2, timeout=LONG)
    made.last.get_by_role("button", name="Vary").click()
    expect(made).to_have_count(3)
    expect(made.first).to_have_attribute("data-status", "COMPLETED", timeout=LONG)
    newest, again, first = (job(url, each.get_attribute("data-job"))["output"] for each in made.all())
    assert first["values"] == again["values"]
    assert newest["values"]["seed"] != LARGEST_SEED
    assert newest["values"] | {"seed": 0} == first["values"] | {"seed": 0}


def test_a_job_that_runs_is_found_again_after_a_reload_and_cancelled(slow_url, page, wait_until):
    page.goto(f"{slow_url}/#/workflows/txt2img")
    fill_in(page, "the first of two", Steps=LASTING, Width=64, Height=64)
    page.get_by_role("button", name="Run", exact=True).click()
    runs, waits = card(page, "the first of two"), card(page, "the second of two")
    expect(runs).to_have_attribute("data-status", "IN_PROGRESS", timeout=LONG)
    second = queue(slow_url, prompt="the second of two", steps=LASTING)
    page.reload()
    expect(waits.get_by_text("next in the queue")).to_be_visible()
    expect(runs.get_by_text("step")).to_be_visible(timeout=LONG)
    moves(page, wait_until)
    for each in (waits, runs):
        each.get_by_role("button", name="Cancel").click()
        expect(each).to_have_attribute("data-status", "CANCELLED", timeout=LONG)
    assert job(slow_url, second)["status"] == "CANCELLED"
    assert job(slow_url, second)["started_at"] is None


def test_what_was_refused_is_told_in_the_servers_words(url, page):
    page.goto(f"{url}/#/workflows/txt2img")
    fill_in(page, "far too wide", Width=2048, Height=2048)
    page.get_by_role("spinbutton", name="Batch size").fill("16")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="batch_size is at most").first).to_be_visible()
    expect(card(page, "far too wide")).to_have_count(0)


def test_the_history_is_searched_and_a_job_deleted(url, page, make):
    made = make("a heron in the reeds")
    for number in range(25):  # more than a page of the history
        queue(url, prompt=f"never made {number}", steps=LASTING)
    requests.post(f"{url}/purge-queue", timeout=30)
    page.goto(f"{url}/#/history")
    expect(page.locator("article.job")).to_have_count(24)
    page.get_by_role("button", name="More").click()
    expect(card(page, "a heron")).to_be_visible()
    page.get_by_label("State").select_option("Cancelled")
    expect(card(page, "a heron")).to_have_count(0)
    page.get_by_label("State").select_option("All states")
    page.get_by_label("Search the history").fill("HERON")
    expect(page.locator("article.job")).to_have_count(1)
    assert problems_of(page) == []
    link = job(url, made)["output"]["outputs"][0]["url"]
    assert requests.get(link, timeout=30).status_code == 200
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Keep").click()
    expect(card(page, "a heron")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No job is like that")).to_be_visible()
    assert requests.get(link, timeout=30).status_code == 404
    for each in requests.get(f"{url}/jobs?search=never+made&status=IN_PROGRESS", timeout=30).json()["jobs"]:
        requests.post(f"{url}/cancel/{each['id']}", timeout=30)


def test_two_results_are_compared(url, page, make):
    ids = make("to be compared", seed=1), make("to be compared", seed=2)
    page.goto(f"{url}/#/history")
    for each in ids:
        page.locator(f"[data-job='{each}']").get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("link", name="Compare", exact=True).click()
    expect(page.get_by_role("button", name="Slider")).to_be_visible()
    expect(page.locator("figure img")).to_have_count(2)
    assert [drawn(picture) for picture in page.locator("figure img").all()] == [64, 64]
    assert page.locator("tbody tr").all_inner_texts() == ["seed\t1\t2"]
    page.get_by_role("button", name="Slider").click()
    page.get_by_role("slider").press("Home")
    before = page.locator(".overlay .upper").evaluate("image => getComputedStyle(image).clipPath")
    page.get_by_role("slider").press("End")
    assert page.locator(".overlay .upper").evaluate("image => getComputedStyle(image).clipPath") != before
    assert problems_of(page) == []


def test_pictures_are_seen_large_with_the_keyboard(url, page, make):
    made = make("two at a time", batch_size=2)
    page.goto(f"{url}/#/jobs/{made}")
    opener = page.get_by_role("button", name="Show large").first
    opener.focus()
    page.keyboard.press("Enter")
    viewer = page.get_by_role("dialog", name="Picture")
    expect(viewer.get_by_role("status")).to_contain_text("1 of 2")
    page.keyboard.press("ArrowRight")
    expect(viewer.get_by_role("status")).to_contain_text("2 of 2")
    page.keyboard.press("1")
    expect(viewer.get_by_role("button", name="1:1")).to_have_attribute("aria-pressed", "true")
    assert problems_of(page) == []
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    expect(opener).to_be_focused()


def test_a_picture_whose_file_is_gone_says_so(url, page, pages, make):
    made = make("a heron that flew away")
    Path(job(url, made)["output"]["outputs"][0]["path"]).unlink()
    page.goto(f"{url}/#/jobs/{made}")
    expect(page.get_by_text("or the file is gone")).to_be_visible()
    expect(page.get_by_role("button", name="Again with this seed")).to_be_visible()
    assert all("404" in each for each in pages.complaints)  # which the browser tells of
    pages.complaints.clear()
    requests.delete(f"{url}/jobs/{made}", timeout=30)


def test_all_of_it_fits_a_phone(url, pages, make):
    ids = make("narrow " * 20, seed=1), make("narrow " * 20, seed=LARGEST_SEED)
    page = pages(phone=True, color_scheme="dark")
    for path in ("workflows/txt2img", "history", f"jobs/{ids[0]}", f"compare/{ids[0]}/{ids[1]}"):
        page.goto(f"{url}/#/{path}")
        expect(page.locator("main img").first).to_be_visible()
        assert page.locator("html").evaluate("page => page.scrollWidth") == 360
        assert problems_of(page) == []


def test_the_token_is_asked_for_and_a_restart_is_outlived(playground, pages, page, tmp_path):
    port = free_port()
    token = "a-token-of-the-tests"
    server = playground(API_TOKEN=token, port=port, folder=tmp_path / "kept")
    headers = {"Authorization": f"Bearer {token}"}
    payload = SMALL | {"prompt": "kept over a restart"}
    requests.post(f"{server.url}/workflows/txt2img", json=payload, headers=headers, timeout=90).raise_for_status()
    page.goto(f"{server.url}/#/history")
    for given in ("a-wrong-one-of-them", token):
        page.get_by_label("Token", exact=True).fill(given)
        page.get_by_role("button", name="Continue").click()
        if given != token:
            expect(page.get_by_role("dialog")).to_contain_text("is not the server's")
    made = card(page, "kept over a restart")
    assert drawn(made.get_by_role("img")) == 64
    server.process.terminate()
    server.process.wait(30)
    page.get_by_label("State").select_option("Done")
    expect(page.get_by_role("alert").filter(has_text="can't be reached")).to_be_visible(timeout=15_000)
    playground(API_TOKEN=token, port=port, folder=tmp_path / "kept")
    expect(page.get_by_text("can't be reached")).to_have_count(0, timeout=15_000)
    page.reload()
    assert drawn(made.get_by_role("img")) == 64
    pages.complaints[:] = [each for each in pages.complaints if "ERR_CONNECTION" not in each]


def test_what_only_a_run_finds_out_stays_marked_until_it_is_changed(playground, pages, page):
    choices = {"CheckpointLoaderSimple.ckpt_name": ["another.safetensors"]}
    url = playground(step_seconds=0.02, choices=choices).url
    page.goto(f"{url}/#/workflows/txt2img")
    fill_in(page, "of a checkpoint that is not there")
    page.keyboard.press("Control+Enter")  # before what was typed is checked, whose answer finds nothing wrong
    expect(page.get_by_role("alert").filter(has_text="is missing").first).to_be_visible()
    with page.expect_response("**/render"):
        page.get_by_role("tab", name="Graph").click()
    checkpoint = page.get_by_label("Checkpoint name", exact=True)
    expect(checkpoint).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Steps", exact=True).fill("12")
    expect(checkpoint).not_to_have_attribute("aria-invalid", "true")
    pages.complaints[:] = [each for each in pages.complaints if "status of 503" not in each]


def test_long_words_stay_within_the_page_and_none_is_read_as_html(url, pages, make):
    made = make("<img src=x onerror=alert(1)>" + "long" * 60)
    page = pages(phone=True)
    for path in ("history", f"jobs/{made}"):
        page.goto(f"{url}/#/{path}")
        expect(card(page, "<img src=x onerror=alert(1)>").first).to_be_visible()
        assert page.locator("html").evaluate("page => page.scrollWidth") == 360
    assert page.locator("img[onerror]").count() == 0


def test_many_waiting_jobs_are_asked_about_now_and_then(slow_url, page):
    made = [queue(slow_url, prompt=f"one of many {number}", steps=LASTING) for number in range(20)]
    page.goto(f"{slow_url}/#/history")
    expect(page.locator("article[data-status=IN_QUEUE]")).to_have_count(19)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_request("**/jobs?*"):  # the history's own look, every four seconds
        pass
    assert asked
    assert len([url for url in asked if re.search(r"/jobs/[^/]+$", url)]) < 19
    assert requests.post(f"{slow_url}/purge-queue", timeout=30).json()["removed"] == 19
    expect(page.locator("article[data-status=CANCELLED]").first).to_be_visible(timeout=30_000)
    requests.post(f"{slow_url}/cancel/{made[0]}", timeout=30)
