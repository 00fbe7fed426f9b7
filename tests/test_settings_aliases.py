"""The names that settings have elsewhere: each is read, those that contradict each other are named."""

import importlib.util
import itertools
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.outputs import of_job, output_file
from support.s3 import ACCESS_KEY_ID, SECRET_ACCESS_KEY, serve_s3
from support.workflows import ROOT

from engine.errors import SettingsError
from engine.settings import Found, Source, load_settings, variables
from engine.settings.amazon import split_endpoint
from engine.settings.misspelt import misspelt
from engine.storage import Storages
from engine.storage.configured import buckets

PAGE = ROOT / "docs" / "settings.md"
FIELDS = {variable.names[0]: variable for variable in variables()}

# Values that each setting takes; two, that they may differ.
VALUES = {
    "STORAGE": ("s3", "gcs"),
    "RESPONSE_LIMIT_BYTES": ("1000", "2000"),
    "S3_ENDPOINT_URL": ("https://s3.example.com", "https://s3.example.org"),
}
OTHERWISE = ("first-value", "other-value")
# What else Amazon's general names need, to be meant for us.
WITH_A_BUCKET = {"S3_BUCKET": "results"}
PAIR = {"AWS_ACCESS_KEY_ID": OTHERWISE[0], "AWS_SECRET_ACCESS_KEY": OTHERWISE[0]}


def rows():
    """The table of the page: a setting, the names that are as good, and those that yield."""
    table = PAGE.read_text().partition("<!-- generated: other_names -->")[2].partition("<!-- end -->")[0]
    for line in table.strip().splitlines()[2:]:
        setting, same, yielding = (re.findall(r"`(\w+)`", cell) for cell in line.strip("|").split("|"))
        yield setting[0], same, yielding


ROWS = list(rows())
SAME = [(setting, name) for setting, same, yielding in ROWS for name in same if name not in yielding]
YIELDING = [(setting, name) for setting, _, yielding in ROWS for name in yielding]
CONFLICTS = [
    (setting, first, second)
    for setting, same, yielding in ROWS
    for first, second in itertools.combinations([name for name in (setting, *same) if name not in yielding], 2)
]


@pytest.fixture
def read(monkeypatch):
    for name in list(os.environ):
        if name.upper() in {each for variable in variables() for each in variable.names}:
            monkeypatch.delenv(name)

    def read(environment, found=None):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return load_settings(found)

    return read


def value_of(settings, setting):
    return str(getattr(settings, FIELDS[setting].field))


def values_of(setting):
    return VALUES.get(setting, OTHERWISE)


def beside(setting, name):
    """What must be set beside a general name of Amazon's, and is none of the setting itself."""
    more = {} if setting == "S3_BUCKET" or not name.startswith("AWS_") else WITH_A_BUCKET
    return more | (PAIR if setting.startswith(("S3_SESSION", "S3_ACCESS", "S3_SECRET")) and more else {})


def test_the_page_is_current():
    specification = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(generate)
    assert generate.settings_page(PAGE.read_text()) == PAGE.read_text(), "make generated"


def test_the_page_tells_of_every_name():
    told = {setting: {setting, *same, *yielding} for setting, same, yielding in ROWS}
    assert told == {name: set(each.names) for name, each in FIELDS.items() if len(each.names) > 1}


@pytest.mark.parametrize(("setting", "name"), [*SAME, *YIELDING])
def test_every_name_is_read(read, setting, name):
    value = values_of(setting)[0]
    settings = read({**beside(setting, name), name: value})
    assert value_of(settings, setting) == value
    assert settings.source_of(FIELDS[setting].field) == Source(variable=name)
    assert settings.warnings() == []


@pytest.mark.parametrize(("setting", "first", "second"), CONFLICTS)
def test_every_conflict_is_named(read, setting, first, second):
    values = dict(zip((first, second), values_of(setting), strict=True))
    with pytest.raises(SettingsError) as caught:
        read(values)
    (problem,) = caught.value.problems
    assert problem.where == first
    assert f"remove {second}" in problem.message
    told = [value in str(caught.value) for value in values.values()]
    assert told == ([False, False] if FIELDS[setting].secret else [True, True])


@pytest.mark.parametrize(("setting", "first", "second"), CONFLICTS)
def test_the_same_value_twice_is_none(read, setting, first, second):
    value = values_of(setting)[0]
    settings = read({first: value, second: value})
    assert value_of(settings, setting) == value
    assert settings.warnings() == []


@pytest.mark.parametrize(("setting", "name"), YIELDING)
def test_a_general_name_yields_and_a_warning_says_so(read, setting, name):
    same = next(same for each, same, _ in ROWS if each == setting)
    (first, *_) = [each for each in (setting, *same) if each not in FIELDS[setting].generic]
    ours, theirs = values_of(setting)
    more = WITH_A_BUCKET if setting != "S3_BUCKET" else {}
    general = dict.fromkeys(PAIR, theirs) if "AWS_SESSION" in name else {}
    settings = read({**more, **general, first: ours, name: theirs})
    assert value_of(settings, setting) == ours
    (warning,) = [each for each in settings.warnings() if each.startswith(name)]
    assert first in warning
    assert ours not in warning
    assert theirs not in warning


@pytest.mark.parametrize(
    "environment",
    [
        {"STORAGE": "inline", "OUTPUT_MODE": "base64"},
        {"S3_ENDPOINT_URL": "https://s3.example.com", "BUCKET_ENDPOINT_URL": "https://s3.example.com/"},
        {
            "S3_ENDPOINT_URL": "https://s3.eu-west-1.amazonaws.com",
            "BUCKET_ENDPOINT_URL": "https://made.s3.eu-west-1.amazonaws.com",
            "S3_BUCKET": "made",
        },
        {"RESPONSE_LIMIT_BYTES": "1_000", "INLINE_LIMIT_BYTES": "1000"},
    ],
)
def test_what_means_the_same_is_no_conflict(read, environment):
    assert read(environment).warnings() == []


def test_all_that_is_wrong_is_told_at_once(read):
    with pytest.raises(SettingsError) as caught:
        read(
            {
                "S3_BUCKET": "a",
                "BUCKET_NAME": "b",
                "COMFYS3_S3_BUCKET_NAME": "c",
                "STORAGE": "s3",
                "OUTPUT_MODE": "gcs",
                "INLINE_LIMIT_BYTES": "many",
            }
        )
    told = {problem.where: problem.message for problem in caught.value.problems}
    assert set(told) == {"S3_BUCKET", "STORAGE", "INLINE_LIMIT_BYTES"}
    assert "remove BUCKET_NAME and COMFYS3_S3_BUCKET_NAME" in told["S3_BUCKET"]


def test_a_password_in_a_url_is_not_told(read):
    with pytest.raises(SettingsError) as caught:
        read({"S3_ENDPOINT_URL": "ftp://bob:hush@a", "BUCKET_ENDPOINT_URL": "https://bob:hush@b"})
    assert len(caught.value.problems) == 2
    assert "hush" not in str(caught.value)


def test_a_secret_is_not_told_even_where_it_is_wrong(read):
    with pytest.raises(SettingsError) as caught:
        read({"api_token": "hush"})
    assert [problem.where for problem in caught.value.problems] == ["api_token"]
    assert "hush" not in str(caught.value)


def test_a_name_is_read_in_any_case_and_its_own_comes_first(read):
    assert read({"civitai_token": "small"}).civitai_token == "small"
    with pytest.raises(SettingsError, match="remove civitai_token"):
        read({"CIVITAI_TOKEN": "capital"})
    assert read({"civitai_token": "capital"}).source_of("civitai_token") == Source(variable="CIVITAI_TOKEN")


def test_what_the_start_finds_counts_where_no_name_is_set(read):
    found = {"S3_REGION": Found("found", "the machine")}
    settings = read({}, found)
    assert (settings.s3_region, settings.source_of("s3_region")) == ("found", Source(found="the machine"))
    settings = read({"BUCKET_REGION": "set"}, found)
    assert (settings.s3_region, settings.source_of("s3_region")) == ("set", Source(variable="BUCKET_REGION"))
    assert settings.source_of("s3_bucket") == Source()


GENERAL = {
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "AWS_REGION": "eu-west-1",
    "AWS_ENDPOINT_URL": "https://sqs.example.com",
}


def test_credentials_for_something_else_lead_no_results_to_a_bucket(read):
    settings = read(GENERAL)
    assert Storages(settings, default="inline").default_mode == "inline"
    assert (settings.s3_access_key_id, settings.s3_session_token, settings.s3_endpoint_url) == (None, None, None)


@pytest.mark.parametrize(
    "environment",
    [
        {"S3_BUCKET": "results"},
        {"AWS_BUCKET_NAME": "results"},
        {"OUTPUT_MODE": "S3", "S3_BUCKET": "results"},
        {"S3_PREFIX": "made", "AWS_S3_BUCKET": "results"},
    ],
)
def test_with_a_bucket_they_are_its(read, environment):
    settings = read(GENERAL | environment)
    options, _ = buckets(settings)
    assert (options.bucket, options.access_key_id, options.secret_access_key) == ("results", "id", "secret")
    assert (options.session_token, options.region) == ("token", "eu-west-1")
    assert options.endpoint_url == "https://sqs.example.com"  # as boto3 itself would have it


def test_a_general_region_is_not_put_upon_an_endpoint(read):
    options, _ = buckets(read(GENERAL | {"BUCKET_ENDPOINT_URL": "https://results.s3.eu-central-1.amazonaws.com"}))
    assert (options.bucket, options.access_key_id) == ("results", "id")
    assert options.effective_region == "eu-central-1"


def test_a_general_bucket_keeps_no_results_from_google(read):
    pytest.importorskip("google.cloud.storage")
    settings = read(GENERAL | {"AWS_BUCKET_NAME": "somebody-elses", "GCS_BUCKET": "results"})
    assert settings.s3_bucket is None
    assert Storages(settings, default="inline").default_mode == "gcs"


def test_what_is_wrong_is_named_as_the_operator_named_it(read):
    with pytest.raises(SettingsError) as caught:
        buckets(read({"BUCKET_ENDPOINT_URL": "https://example.com/a/path", "BUCKET_NAME": "made"}))
    assert [problem.where for problem in caught.value.problems] == ["BUCKET_ENDPOINT_URL"]


@pytest.mark.parametrize(
    "own",
    [
        {"S3_ACCESS_KEY_ID": "mine", "S3_SECRET_ACCESS_KEY": "hidden"},
        {"BUCKET_ACCESS_KEY_ID": "mine", "COMFYS3_S3_SECRET_KEY": "hidden"},
    ],
)
def test_credentials_of_two_places_are_not_mixed(read, own):
    settings = read(GENERAL | own | {"S3_BUCKET": "results"})
    assert (settings.s3_access_key_id, settings.s3_secret_access_key) == ("mine", "hidden")
    assert settings.s3_session_token is None


def test_half_of_a_pair_is_not_completed_with_somebody_elses(read):
    with pytest.raises(SettingsError) as caught:
        buckets(read(GENERAL | {"S3_BUCKET": "results", "S3_ACCESS_KEY_ID": "mine"}))
    assert [problem.where for problem in caught.value.problems] == ["S3_SECRET_ACCESS_KEY"]


def test_an_id_without_its_secret_is_left_to_amazons_own_search(read):
    settings = read({"S3_BUCKET": "results", "AWS_ACCESS_KEY_ID": "id"})
    assert settings.s3_access_key_id is None


@pytest.mark.parametrize(
    ("url", "server", "bucket"),
    [
        ("https://made.s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com", "made"),
        ("https://made.s3.amazonaws.com/", "https://s3.amazonaws.com", "made"),
        ("https://my.own.s3-eu-west-1.amazonaws.com", "https://s3-eu-west-1.amazonaws.com", "my.own"),
        (
            "https://made.s3.dualstack.eu-west-1.amazonaws.com",
            "https://s3.dualstack.eu-west-1.amazonaws.com",
            "made",
        ),
        ("https://made.s3.us-west-002.backblazeb2.com", "https://s3.us-west-002.backblazeb2.com", "made"),
        (f"https://made.{'0a' * 16}.r2.cloudflarestorage.com", f"https://{'0a' * 16}.r2.cloudflarestorage.com", "made"),
        (f"https://{'0a' * 16}.r2.cloudflarestorage.com/made", f"https://{'0a' * 16}.r2.cloudflarestorage.com", "made"),
        ("https://made.ams3.digitaloceanspaces.com", "https://ams3.digitaloceanspaces.com", "made"),
        ("https://made.storage.googleapis.com", "https://storage.googleapis.com", "made"),
        ("http://127.0.0.1:9000/made/", "http://127.0.0.1:9000", "made"),
        # Nothing says that these hold one.
        ("https://s3.eu-west-1.amazonaws.com", None, None),
        ("https://s3.dualstack.eu-west-1.amazonaws.com", None, None),
        (f"https://{'0a' * 16}.eu.r2.cloudflarestorage.com", None, None),
        ("https://ams3.digitaloceanspaces.com", None, None),
        ("https://minio.s3.svc.cluster.local", None, None),
        ("https://made.s3-accelerate.amazonaws.com", None, None),
        ("https://made.example.com", None, None),
        ("https://example.com/storage/v1/s3", None, None),
        ("https://bob:hush@made.s3.amazonaws.com", None, None),
        ("https://[made", None, None),
    ],
)
def test_the_bucket_in_an_endpoint(url, server, bucket):
    assert split_endpoint(url) == (server or url, bucket)


def test_a_path_that_is_not_the_bucket_is_left():
    assert split_endpoint("https://example.com/minio", "made") == ("https://example.com/minio", None)


def test_two_buckets_are_named(read):
    with pytest.raises(SettingsError) as caught:
        read({"BUCKET_ENDPOINT_URL": "https://made.s3.amazonaws.com", "BUCKET_NAME": "other"})
    (problem,) = caught.value.problems
    assert problem.where == "BUCKET_ENDPOINT_URL"
    assert 'the bucket "made", and BUCKET_NAME the bucket "other"' in problem.message


def test_results_go_to_the_bucket_that_stands_in_the_endpoint(read, tmp_path):
    (tmp_path / "s3" / "made").mkdir(parents=True)
    with serve_s3(tmp_path / "s3") as server:
        settings = read(
            {
                "BUCKET_ENDPOINT_URL": f"{server.endpoint_url}/made",
                "BUCKET_ACCESS_KEY_ID": ACCESS_KEY_ID,
                "BUCKET_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            }
        )
        storages = Storages(settings, default="inline")
        try:
            job = of_job()
            storages.put([output_file(tmp_path, content=b"pixels")], naming=job["naming"], delivery=job["delivery"])
        finally:
            storages.close()
        (file,) = [path for path in (tmp_path / "s3" / "made").rglob("*") if path.is_file()]
        assert file.read_bytes() == b"pixels"


def test_other_workers_word_for_no_signed_url(read):
    pytest.importorskip("google.cloud.storage")
    settings = read({"GCS_BUCKET": "results", "GCS_SIGNED_URL_TTL": "0"})
    assert buckets(settings)[1].url_kind == "none"
    assert buckets(read({"GCS_PUBLIC": "true"}))[1].url_kind == "public"


def test_comfy_home_may_be_the_folder_above(read, tmp_path):
    home = tmp_path / "comfy" / "ComfyUI"
    home.mkdir(parents=True)
    (home / "main.py").write_text("")
    assert read({"COMFY_HOME": str(home)}).comfy_home == home
    assert read({"COMFY_HOME": str(home.parent)}).comfy_home == home


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("S3_BUKET", "S3_BUCKET"),
        ("COMFY_HOEM", "COMFY_HOME"),
        ("COMFYUI_HOME", "COMFY_HOME"),
        ("WORKFLOW_PATH", "WORKFLOWS_PATH"),
        ("workflow", "WORKFLOWS"),
        ("REFRESH_WORKERS", "REFRESH_WORKER"),
        ("CIVITAI_TOKENS", "CIVITAI_TOKEN"),
    ],
)
def test_a_slip_is_told_with_the_nearest_name(read, name, meant):
    assert read({name: "x"}).warnings() == [f"{name} is no setting; {meant} is"]


# Of a worker on RunPod, of the images that people build on, and of what they set beside ours for other programs.
USUAL = """
PATH HOME HOSTNAME PWD OLDPWD SHLVL TERM LANG LANGUAGE LC_ALL LD_LIBRARY_PATH LD_PRELOAD LIBRARY_PATH USER SHELL TZ
TMPDIR DEBIAN_FRONTEND RUNPOD_POD_ID RUNPOD_POD_HOSTNAME RUNPOD_ENDPOINT_ID RUNPOD_ENDPOINT_SECRET RUNPOD_API_KEY
RUNPOD_AI_API_KEY RUNPOD_CPU_COUNT RUNPOD_DC_ID RUNPOD_DEBUG_LEVEL RUNPOD_GPU_COUNT RUNPOD_GPU_NAME RUNPOD_GPU_SIZE
RUNPOD_MEM_GB RUNPOD_NETWORK_VOLUME_ID RUNPOD_PING_INTERVAL RUNPOD_PROJECT_ID RUNPOD_PUBLIC_IP RUNPOD_SERVERLESS
RUNPOD_TCP_PORT_22 RUNPOD_VOLUME_ID RUNPOD_WEBHOOK_GET_JOB RUNPOD_WEBHOOK_PING RUNPOD_WEBHOOK_POST_OUTPUT
RUNPOD_WEBHOOK_POST_STREAM RUNPOD_INIT_TIMEOUT RUNPOD_LOG_LEVEL RUNPOD_TEMPLATE_ID PUBLIC_KEY JUPYTER_PASSWORD
JUPYTER_TOKEN SERVE_API_LOCALLY CUDA_VERSION CUDA_HOME CUDA_VISIBLE_DEVICES CUDA_MODULE_LOADING NVARCH
NV_CUDA_LIB_VERSION NV_LIBCUBLAS_VERSION NV_NVTX_VERSION NVIDIA_VISIBLE_DEVICES NVIDIA_DRIVER_CAPABILITIES
NVIDIA_REQUIRE_CUDA NVIDIA_PRODUCT_NAME NCCL_VERSION CUBLAS_WORKSPACE_CONFIG PYTHONUNBUFFERED PYTHONPATH
PYTHONDONTWRITEBYTECODE PYTHON_VERSION PIP_NO_INPUT PIP_PREFER_BINARY UV_CACHE_DIR VIRTUAL_ENV CONDA_PREFIX
PYTORCH_CUDA_ALLOC_CONF MALLOC_ARENA_MAX CMAKE_BUILD_PARALLEL_LEVEL OMP_NUM_THREADS TORCH_HOME XFORMERS_VERSION
TRITON_CACHE_DIR HF_HOME HF_HUB_OFFLINE HF_HUB_CACHE HF_HUB_ENABLE_HF_TRANSFER TRANSFORMERS_OFFLINE TRANSFORMERS_CACHE
HUGGINGFACE_HUB_CACHE WANDB_API_KEY AWS_PROFILE AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE AWS_EXECUTION_ENV
AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_LAMBDA_FUNCTION_NAME GOOGLE_API_KEY GOOGLE_CLOUD_REGION GCP_PROJECT
OPENAI_API_KEY ANTHROPIC_API_KEY REPLICATE_API_TOKEN GITHUB_TOKEN KUBERNETES_SERVICE_HOST WEBSOCKET_RECONNECT_ATTEMPTS
WEBSOCKET_RECONNECT_DELAY_S WEBSOCKET_TRACE NETWORK_VOLUME_DEBUG COMFY_API_AVAILABLE_MAX_RETRIES COMFY_HOST
COMFY_VERSION_NAME COMFYUI_VERSION COMFYUI_PATH LOCK_PATH R2_ACCOUNT_ID R2_BUCKET_NAME R2_ACCESS_KEY_ID
R2_SECRET_ACCESS_KEY MODEL_TYPE JOURNAL_STREAM INVOCATION_ID SYSTEMD_EXEC_PID DBUS_SESSION_BUS_ADDRESS SSH_CONNECTION
SSH_AUTH_SOCK XDG_CACHE_HOME XDG_RUNTIME_DIR DISPLAY HTTP_PROXY HTTPS_PROXY NO_PROXY SSL_CERT_FILE REQUESTS_CA_BUNDLE
NODE_VERSION YARN_VERSION GIT_SSH_COMMAND EDITOR PAGER LOGNAME MAIL CI DOCKER_HOST VOLUME_NAME OUTPUT_DIR INPUT_DIR
TEMP_DIR DATA_DIR LOG_DIR PORT HOST API_KEY API_URL TOKEN SECRET DEBUG WORKERS TIMEOUT STAGE
"""


def test_a_usual_environment_is_no_row_of_slips():
    known = [name for variable in variables() for name in variable.names]
    assert misspelt(USUAL.split(), known) == {}


@given(st.sampled_from([name for variable in variables() for name in variable.names]), st.data())
def test_no_name_of_ours_is_a_slip_and_two_letters_changed_about_is_one(name, data):
    known = [each for variable in variables() for each in variable.names]
    assert misspelt([name, name.lower()], known) == {}
    if len(name) >= 10 and not name.startswith("RUNPOD_"):
        at = data.draw(st.integers(0, len(name) - 2))
        turned = name[:at] + name[at + 1] + name[at] + name[at + 2 :]
        assert turned in known or misspelt([turned], known)
