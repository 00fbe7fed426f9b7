"""The log: one line for each event, about its job, and never a secret, a blob or a signed query in it."""

import base64
import io
import json
import logging
import re
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from engine.logs import Lines, Redactor, about, carrying, event, hiding
from engine.logs.setup import LogFile, secrets_of
from engine.settings import Settings

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TEXT, JSON = "text", "json"


class Log:
    """A logger of the test's own, with what it wrote."""

    def __init__(self, name="engine.trial", form=TEXT, secrets=()):
        self.logger = logging.Logger(name)  # noqa: LOG001 - one that nobody else has
        self._stream = io.StringIO()
        handler = logging.StreamHandler(self._stream)
        handler.setFormatter(Lines(Redactor(secrets), as_json=form == JSON))
        self.logger.addHandler(handler)

    @property
    def text(self):
        return self._stream.getvalue()

    @property
    def lines(self):
        return self.text.splitlines()

    def only(self):
        (line,) = self.lines
        return line


@pytest.fixture(params=[TEXT, JSON])
def form(request):
    return request.param


def test_a_line_says_when_how_bad_what_and_the_facts():
    log = Log()
    with about(job_id="job-1", workflow="txt2img"):
        event(log.logger, logging.INFO, "job done", seconds=4.25, outputs=2, node=None, note="two words")
    when, rest = log.only().split(" ", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", when)
    assert rest == 'INFO job done job_id=job-1 workflow=txt2img seconds=4.25 outputs=2 note="two words"'


def test_a_line_as_json_is_one_object():
    log = Log(form=JSON)
    with about(job_id="job-1"):
        event(log.logger, logging.WARNING, "job failed", code="invalid_payload", seconds=0.1234567, retryable=False)
    line = json.loads(log.only())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "WARNING",
        "logger": "engine.trial",
        "message": "job failed",
        "job_id": "job-1",
        "code": "invalid_payload",
        "seconds": 0.123,
        "retryable": False,
    }


def test_what_any_module_writes_carries_the_job(form):
    log = Log("urllib3.connectionpool", form)
    with about(job_id="job-1"):
        log.logger.warning("Retrying (%s)", "total=2")
    log.logger.warning("outside")
    inside, outside = log.lines
    assert "job-1" in inside
    assert "Retrying (total=2)" in inside
    assert "urllib3.connectionpool" in inside
    assert "job-1" not in outside


def test_threads_of_a_pool_carry_the_job_they_work_for():
    log = Log()
    with ThreadPoolExecutor(4) as pool:
        for number in range(20):
            with about(job_id=f"job-{number}"):
                pool.submit(carrying(log.logger.info), "work %d", number)
        pool.submit(log.logger.info, "of nobody")
    found = {line.partition(" INFO ")[2] for line in log.lines}
    assert found == {f"work {number} job_id=job-{number}" for number in range(20)} | {"of nobody"}


def test_a_traceback_stays_in_the_line_of_its_job(form):
    log = Log(form=form)
    with about(job_id="job-1"):
        try:
            raise ValueError("no such thing")
        except ValueError:
            event(log.logger, logging.ERROR, "job failed", exc_info=True, detail="Traceback of ComfyUI\n  File x")
    line = log.only()
    assert "job-1" in line
    assert "Traceback of ComfyUI\\n  File x\\nTraceback (most recent call last)" in line
    assert "ValueError: no such thing" in line


@given(st.text(), st.text(), st.sampled_from([TEXT, JSON]))
def test_one_event_is_one_line_whatever_it_holds(message, value, form):
    log = Log(form=form)
    with about(job_id=value or None):
        event(log.logger, logging.INFO, message, value=value, detail=value)
    assert log.text.count("\n") == 1
    log.text.encode()
    (line,) = log.text.split("\n")[:1]
    assert len(line.splitlines()) <= 1
    assert "\x1b" not in line
    if form == JSON:
        assert json.loads(line)["level"] == "INFO"


def test_a_line_is_bounded(form):
    log = Log(form=form)
    words = "many words " * 1_000_000
    event(log.logger, logging.INFO, words, detail=words, **{f"field{number}": words for number in range(100)})
    assert len(log.only()) < 40_000


class Awkward:
    def __str__(self):
        raise RuntimeError("no")

    __repr__ = __str__


def test_nothing_that_is_logged_raises_or_is_lost(form):
    log = Log(form=form)
    log.logger.info("%d of %d", 1)  # noqa: PLE1206 - that is the point
    log.logger.info("%s", Awkward())
    event(log.logger, logging.INFO, "fields", awkward=Awkward(), huge=10**5000, nan=float("nan"), none=None)
    deep = []
    for _ in range(100_000):
        deep = [deep]
    event(log.logger, logging.INFO, "deep", value=deep)
    assert len(log.lines) == 4
    assert "%d of %d" in log.lines[0]
    while deep:  # taken apart by hand: Python's own clean-up would go as deep
        (deep,) = deep


AMAZON = "https://results.s3.eu-west-1.amazonaws.com/txt2img/a%20b.png"
SIGNED = f"{AMAZON}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA&X-Amz-Signature=5d67cafe&X-Amz-Expires=60"

words = st.text("abcdefghij klmnop,.;:()[]{}<>=?&/\"'\n", max_size=30)
ascii_secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60)
unicode_secrets = st.text(min_size=8, max_size=30).filter(lambda text: len(text.strip()) >= 8)
random_bytes = st.binary(min_size=60, max_size=400).filter(lambda raw: len(set(raw)) > 20)


def written(form, text, place, secrets=()):
    """A line with the text somewhere in it."""
    log = Log(form=form, secrets=secrets)
    if place == "message":
        log.logger.error(text)
    elif place == "argument":
        log.logger.error("it says %s", text)
    elif place == "repr":
        log.logger.error("it says %r", [text])
    elif place == "field":
        event(log.logger, logging.ERROR, "it", says=text)
    elif place == "nested":
        event(log.logger, logging.ERROR, "it", says={"list": [text]})
    elif place == "detail":
        event(log.logger, logging.ERROR, "it", detail=f"Traceback\n  {text}")
    elif place == "about":
        with about(job_id=text):
            log.logger.error("it")
    else:
        try:
            raise ValueError(text)
        except ValueError:
            log.logger.exception("it")
    return log.text


PLACES = ["message", "argument", "repr", "field", "nested", "detail", "about", "exception"]
places = st.sampled_from(PLACES)
forms = st.sampled_from([TEXT, JSON])


def unquoted(line):
    """The line as it is, and with what its form quotes taken apart."""
    plain = line
    if line.startswith("{"):
        plain = " ".join(map(str, json.loads(line).values()))
    return line + plain + plain.replace("\\\\", "\\").replace('\\"', '"')


@bounded(max_examples=300)
@given(words, st.one_of(ascii_secrets, unicode_secrets), words, places, forms)
def test_no_line_holds_a_secret(before, secret, after, place, form):
    # What our own lines say is no secret, and neither is what a line in the log is drawn with.
    if secret in f"{before} {after}" or set(secret) & set("*\n") or secret in "Traceback (most recent call last)":
        return
    line = written(form, f"{before}{secret}{after}", place, [secret])
    assert secret not in unquoted(line)


@bounded(max_examples=300)
@given(words, random_bytes, st.booleans(), words, places, forms)
def test_no_line_holds_base64(before, raw, for_urls, after, place, form):
    blob = (base64.urlsafe_b64encode if for_urls else base64.b64encode)(raw).decode()
    line = written(form, f"{before} {blob} {after}", place)
    assert blob not in unquoted(line)
    assert blob.rstrip("=") not in unquoted(line)


@given(st.binary(min_size=150, max_size=3000), places, forms)
def test_no_line_holds_base64_of_what_is_no_noise(raw, place, form):
    blob = base64.b64encode(raw).decode()
    assert blob not in unquoted(written(form, f"image: {blob}", place))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("text", "gone"),
    [
        (SIGNED, ["Signature", "5d67cafe", "AKIA"]),
        (f"see ({SIGNED}), please", ["5d67cafe"]),
        ("Max retries exceeded with url: /b/k.png?X-Amz-Signature=5d67cafe (Caused by x)", ["5d67cafe"]),
        ("Max retries exceeded with url: /b/k.png?se=2026&sig=5d67cafe (Caused by x)", ["5d67cafe"]),
        ("https://x.org/#access_token=5d67cafe", ["5d67cafe"]),
        ("https://someone:pa55word@comfy.example.org:8188/prompt", ["someone", "pa55word"]),
        ("https://someone:pa55/w?ord@comfy.example.org/prompt", ["pa55", "ord@"]),
        ("redis://:pa55word@10.0.0.1/0", ["pa55word"]),
        ("Authorization: Bearer 5d67cafe.babe", ["5d67cafe"]),
        ("{'Authorization': 'Basic c29tZW9uZTpwYTU1'}", ["c29tZW9uZTpwYTU1"]),
        ("[(b'authorization', b'Bearer 5d67cafe')]", ["5d67cafe"]),
        ('{"headers": {"X-Api-Key": "5d67 cafe"}}', ["5d67", "cafe"]),
        ("Cookie: session=5d67cafe; other=babe", ["5d67cafe", "babe"]),
        ("aws_secret_access_key=5d67cafe region=x", ["5d67cafe"]),
        ('{"accessSecret": "5d67cafe", "bucketName": "b"}', ["5d67cafe"]),
        ("api_key_comfy_org: comfyui-5d67cafe", ["5d67cafe"]),
        ("sent as Bearer 5d67cafe", ["5d67cafe"]),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.5d67cafe", ["eyJzdWIi", "5d67cafe"]),
        ("Incorrect API key provided: sk-proj-5d67cafe5d67cafe", ["5d67cafe"]),
        ("login failed for hf_5d67cafe5d67cafeAA", ["5d67cafe"]),
        ("HF_TOKEN: 5d67cafe5d67cafe", ["5d67cafe"]),
        ("sent as Basic c29tZW9uZTpwYTU1", ["c29tZW9u"]),
        ("data:image/png;base64,iVBORw0KGgo=", ["iVBORw0KGgo"]),
        ("data:text/plain,my%20words", ["my%20words"]),
    ],
)
def test_no_line_holds_what_opens_a_door(text, gone, place, form):
    line = written(form, text, place)
    for each in gone:
        assert each not in line


def test_of_a_signed_url_where_it_leads_stays():
    assert AMAZON in written(TEXT, SIGNED, "message")
    assert "https://***@comfy.example.org:8188/prompt" in written(
        TEXT, "https://someone:pa55word@comfy.example.org:8188/prompt", "message"
    )


def test_a_field_is_hidden_by_its_name(form):
    log = Log(form=form)
    event(log.logger, logging.INFO, "it", password="short", api_key="k-1", Authorization="Digest x", tokens=77)
    for each in ("short", "k-1", "Digest"):
        assert each not in log.only()
    assert "77" in log.only()


def test_what_came_with_a_request_is_hidden_while_it_is_answered(form):
    log = Log(form=form)
    with hiding("callers-own-secret"):
        log.logger.info("it is callers-own-secret")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(carrying(log.logger.info), "it is callers-own-secret")
    assert "callers-own-secret" not in log.text


@pytest.mark.parametrize(
    "text",
    [
        "prompt 3f2a9b1c-0d4e-4f6a-8b7c-1234567890ab could not be stopped",
        f"sha256 {'ab12' * 16} of txt2img_00001_.png",
        f"sha512 {'ab12' * 32}",
        "/runpod-volume/comfyui-workflow-engine/journal/models/checkpoints/sd_xl_base_1.0.safetensors is missing",
        "/workspace/ComfyUI/custom_nodes/comfyui-impact-pack/modules/impact/segs_nodes_with_a_long_name/core",
        "3f2a9b1c-0d4e-4f6a-8b7c-1234567890ab/3f2a9b1c-0d4e-4f6a-8b7c-1234567890ab/result",
        "a lighthouse at dusk, oil painting, (masterpiece:1.2), is it? yes: 50% of it = good",
        'File "/usr/lib/python3.11/site-packages/torch/nn/modules/module.py", line 1511, in _wrapped_call_impl',
        "-" * 100,
        "S3_SECRET_ACCESS_KEY: is missing",
        "a bearer token was sent; basic things fail; the token count is 77",
        "ComfyUI at http://127.0.0.1:8188/prompt did not answer",
    ],
)
def test_what_is_harmless_stays_readable(text):
    assert Redactor([SECRET])(text) == text


HOSTILE = [
    "://" * 20_000,
    "a://b:c" * 10_000,
    "?a" * 30_000,
    "secret" * 10_000,
    "token=" * 10_000,
    "authorization:" * 5_000,
    "data:" * 12_000,
    "data:a/b;" * 8_000,
    "eyJ" * 20_000,
    "bearer " * 9_000,
    "x-" * 30_000,
    "A" * 60_000 + "!",
    "\\'" * 30_000,
    "a.b?c" * 12_000 + "@",
]


@pytest.mark.timeout(20)  # where one of them is quadratic it takes minutes
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:10])
def test_no_text_takes_long(text):
    Redactor([SECRET])(text * 50)


def test_secrets_are_those_of_the_settings_and_of_the_environment():
    settings = Settings(
        s3_secret_access_key=SECRET, comfy_org_api_key="comfyui-1", comfy_url="http://someone:pa%2F55@127.0.0.1:1"
    )
    environment = {
        "HF_TOKEN": "hf_12345678",
        "RUNPOD_AI_API_KEY": "rpa_12345678",
        "PATH": "/bin:/usr/bin",
        "TOKEN": "x",
    }
    assert secrets_of(settings, environment) == {SECRET, "comfyui-1", "pa%2F55", "pa/55", "hf_12345678", "rpa_12345678"}


def file_log(path, longest_bytes=10_000):
    handler = LogFile(path, longest_bytes)
    handler.setFormatter(Lines(Redactor([SECRET]), constant={"worker": "pod-1"}))
    logger = logging.Logger("engine.trial")  # noqa: LOG001 - one that nobody else has
    logger.addHandler(handler)
    return logger, handler


def test_the_file_holds_the_lines_and_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "logs" / "worker.log"
    logger, handler = file_log(path)
    logger.info("with %s in it", SECRET)
    handler.close()
    assert path.read_text().endswith(" INFO with *** in it worker=pod-1\n")
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_file_is_bounded(tmp_path):
    logger, handler = file_log(tmp_path / "log")
    for number in range(2000):
        logger.info("line %d", number)
    handler.close()
    files = sorted(tmp_path.iterdir())
    assert [each.name for each in files] == ["log", "log.1", "log.2", "log.3"]
    assert all(each.stat().st_size <= 10_000 for each in files)
    assert "line 1999 " in files[0].read_text()


def test_a_file_that_another_worker_moved_away_is_begun_anew(tmp_path):
    path = tmp_path / "log"
    logger, handler = file_log(path)
    logger.info("first")
    path.rename(tmp_path / "log.1")
    logger.info("second")
    handler.close()
    assert "second" in path.read_text()
    assert "second" not in (tmp_path / "log.1").read_text()


def test_a_file_that_can_not_be_written_is_complained_of_once_and_costs_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    logger, handler = file_log(tmp_path / "file" / "log")
    with redirect_stderr(io.StringIO()) as stderr:
        for number in range(5):
            logger.info("line %d %s", number, SECRET)
    handler.close()
    (complaint,) = stderr.getvalue().splitlines()
    assert complaint.startswith("warning: the log file ")
    assert SECRET not in complaint


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_is_complained_of_and_costs_nothing(tmp_path):
    full = tmp_path / "log"
    full.symlink_to("/dev/full")
    logger, handler = file_log(full)
    with redirect_stderr(io.StringIO()) as stderr:
        logger.info("lost")
        full.unlink()
        logger.info("kept")
    handler.close()
    assert "No space left on device" in stderr.getvalue()
    assert "kept" in full.read_text()


def test_the_text_form_can_be_taken_apart_again():
    log = Log()
    event(log.logger, logging.INFO, "it", one='say "x"', two="a=b", three="back\\slash", four="")
    fields = dict(part.split("=", 1) for part in shlex.split(log.only().partition(" it ")[2]))
    assert fields == {"one": 'say "x"', "two": "a=b", "three": "back\\slash", "four": ""}
