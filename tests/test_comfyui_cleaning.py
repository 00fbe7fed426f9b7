"""What is taken out of messages before anybody reads them."""

import base64
import random
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.comfyui.cleaning import as_json_says, cleaned, without_secrets

WORDS = st.text(string.ascii_lowercase, min_size=3, max_size=10)
BEFORE = st.sampled_from(["", "cannot open ", "path=", "path:", "(", "'", '"', "`", "[Errno 2] x: '", "file://", "a, "])
AFTER = st.sampled_from(["", " not found", ")", "'", '"', "`", ":12", ", b", "\n"])


@given(BEFORE, st.lists(WORDS, min_size=2, max_size=6, unique=True), AFTER, st.sampled_from(["/", "C:\\", "//", "~/"]))
def test_no_folder_of_the_machine_is_left(before, parts, after, root):
    assume((before, root) != ("path:", "//"))  # that is a URL
    parts = [f"{part}Q{number}" for number, part in enumerate(parts)]
    separator = "\\" if root == "C:\\" else "/"

    said = cleaned(f"{before}{root}{separator.join(parts)}{after}")

    assert not any(part in said for part in parts[:-1])
    assert parts[-1] in said


@given(st.integers(0, 2**32), st.integers(60, 400), BEFORE, AFTER)
def test_base64_is_not_said_back(seed, size, before, after):
    data = random.Random(seed).randbytes(size)
    encoded = base64.b64encode(data).decode()
    for text in (encoded, f"data:image/png;base64,{encoded}", base64.urlsafe_b64encode(data).decode()):
        said = cleaned(f"{before}{text}{after}")
        runs = [text[start : start + 24] for start in range(0, len(text) - 24, 8)]
        assert not any(run in said for run in runs)


TOKEN = st.text(string.ascii_letters + string.digits, min_size=24, max_size=60).filter(
    lambda text: any(map(str.isdigit, text))
)


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("Max retries exceeded with url: /b/k.png?se=2026&sig=5d67cafe (Caused by x)", "5d67cafe"),
        ("https://someone:pa55/w?ord@comfy.example.org/prompt", "pa55"),
        ("[(b'authorization', b'Bearer 5d67cafe')]", "5d67cafe"),
        ("Cookie: session=5d67cafe; other=babe", "babe"),
        ("api_key_comfy_org: comfyui-5d67cafe", "5d67cafe"),
    ],
)
def test_what_no_log_may_hold_no_caller_gets(text, gone):
    assert gone not in cleaned(text)


@given(TOKEN, BEFORE)
def test_secrets_are_not_said_back(token, before):
    for text in (
        f"https://models.example/a.safetensors?X-Amz-Signature={token}&X-Amz-Expires=600",
        f"https://models.example/a.safetensors#{token}",
        f"https://{token}@models.example/a",
        f"https://user:{token}@models.example/a",
        f"Authorization: Bearer {token}",
        f"{{'Authorization': 'Bearer {token}'}}",
        f"api_key={token}",
        f'"comfy_api_key": "{token}"',
        f"hf_{token}",
        f"sk-proj-{token}",
        f"password: {token}",
        f"S3_SECRET_ACCESS_KEY={token}",
    ):
        assert token not in cleaned(before + text), text
        assert token not in without_secrets(before + text), text


@pytest.mark.parametrize(
    "text",
    [
        "cannot identify image file 'cat.png'",
        "Given groups=1, weight of size [320, 4, 3, 3], expected input[2, 16, 64, 64] to have 4 channels",
        "Error(s) in loading state_dict for CLIPTextModel: size mismatch for text_model.embeddings.weight",
        "Token indices sequence length is longer than the specified maximum (77)",
        "https://example.com/a/b.png could not be fetched: 404",
        "expected 3, got 1/2 of it: either/or",
        "sd_xl_base_1.0_0.9vae.safetensors is no checkpoint",
        "skip_connection_blocks_of_the_network is not supported with basic operations1",
    ],
)
def test_what_people_need_stays(text):
    assert cleaned(text) == text


@given(st.text(max_size=300))
def test_no_text_is_too_strange(text):
    assert len(cleaned(text)) <= 500
    as_json_says(text).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    "unit", ["/", "'/a", "a/", "sk-", "a:", "https://", "\\", "token=", "'", "A1", "data:", " ", "~/"]
)
def test_a_hostile_text_takes_no_long_time(unit):
    assert len(cleaned(unit * 200_000)) <= 500


@pytest.mark.parametrize(
    ("python", "json"),
    [
        ("got 'x'", 'got "x"'),
        ("flag: True, other: None", "flag: true, other: null"),
        ("can't and won't", "can't and won't"),
        ("None of them", "None of them"),
    ],
)
def test_values_are_said_as_json_does(python, json):
    assert as_json_says(python) == json
