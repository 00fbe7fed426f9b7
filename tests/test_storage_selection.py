"""Which place results go to: the operator's settings, the request's wishes, and a caller's own bucket."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from pydantic import ValidationError
from support.gcs import serve_gcs
from support.outputs import of_job, output_file
from support.s3 import ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, serve_s3

from engine.delivery import Delivery
from engine.errors import InvalidRequest, ResultTooLarge, SettingsError, StorageError
from engine.settings import load_settings
from engine.storage import DeliveryRequest, Storages

CALLERS = [f"caller-{number}" for number in range(12)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serve_s3(tmp_path_factory.mktemp("s3")) as running:
        for name in ("callers", *CALLERS):  # before the first request: rclone keeps what it saw
            (running.folder / name).mkdir()
        yield running


@pytest.fixture
def storages(monkeypatch):
    """Storages by an environment."""
    made = []

    def make(default="inline", **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        made.append(Storages(load_settings(), default=default))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def bucket(server):
    """The environment of an operator with a bucket."""
    return {
        "S3_BUCKET": BUCKET,
        "S3_ENDPOINT_URL": server.endpoint_url,
        "S3_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "S3_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "S3_PREFIX": "made",
    }


@pytest.fixture
def config(server):
    """A caller's own bucket, as RunPod writes it."""
    return {
        "accessId": ACCESS_KEY_ID,
        "accessSecret": SECRET_ACCESS_KEY,
        "bucketName": "callers",
        "endpointUrl": server.endpoint_url,
    }


OPEN = {"ALLOW_S3_CONFIG": "1", "ALLOW_PRIVATE_URLS": "1"}


def put(storages, outputs, delivery, s3_config=None, **naming):
    return storages.put(outputs, naming=of_job(**naming)["naming"], delivery=delivery, s3_config=s3_config)


def problems_of(storages, asked=None, **more):
    with pytest.raises(InvalidRequest) as caught:
        storages.delivery(DeliveryRequest(**(asked or {})), **more)
    return {problem.where: problem.message for problem in caught.value.problems}


def test_without_wishes_the_operators_word_counts(storages):
    environment = {
        "FILENAME_TEMPLATE": "{workflow}_{seed}",
        "OUTPUT_FORMAT": "webp",
        "OUTPUT_QUALITY": "70",
        "OUTPUT_LOSSLESS": "1",
        "OUTPUT_METADATA": "strip",
        "THUMBNAIL_PIXELS": "128",
    }
    assert storages(**environment).delivery(None) == Delivery(
        "inline",
        filename="{workflow}_{seed}",
        format="webp",
        quality=70,
        lossless=True,
        metadata="strip",
        thumbnail=128,
    )


def test_a_wish_counts_more(storages, bucket):
    wishes = {
        "mode": "inline",
        "prefix": "shop/7",
        "filename": "{seed}_{style}",
        "format": "avif",
        "quality": 50,
        "lossless": False,
        "metadata": "values",
        "url": "none",
        "expires_in": 60,
        "acl": "public-read",
        "storage_class": "STANDARD_IA",
        "cache_control": "max-age=60",
        "thumbnail": 0,
    }
    storages = storages(OUTPUT_FORMAT="webp", OUTPUT_LOSSLESS="1", THUMBNAIL_PIXELS="128", **bucket)
    assert storages.delivery(DeliveryRequest(**wishes), parameters=["style"]) == Delivery(**wishes)


def test_jpg_is_jpeg_and_loses_whatever_the_operators_default_is(storages):
    delivery = storages(OUTPUT_FORMAT="webp", OUTPUT_LOSSLESS="1").delivery(DeliveryRequest(format="jpg"))
    assert (delivery.format, delivery.lossless) == ("jpeg", False)


@pytest.mark.parametrize(
    "wish",
    [
        {"mode": "tape"},
        {"quality": 0},
        {"quality": 101},
        {"quality": "90"},
        {"expires_in": 604_801},
        {"thumbnail": 513},
        {"format": "gif"},
        {"cache_control": "x\r\nX-Other: 1"},
        {"acl": "public read"},
        {"filename": ""},
        {"filenam": "x"},
    ],
)
def test_a_wish_of_the_wrong_form(wish):
    with pytest.raises(ValidationError):
        DeliveryRequest(**wish)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"mode": "s3"}, {"delivery.mode": "S3_BUCKET"}),
        ({"mode": "gcs"}, {"delivery.mode": "GCS_BUCKET"}),
        ({"mode": "directory"}, {"delivery.mode": "which no caller can read"}),
        ({"filename": "{stile}"}, {"delivery.filename": 'did you mean "style"?'}),
        ({"prefix": "{date}"}, {"delivery.prefix": "write them into delivery.filename"}),
        ({"format": "jpg", "lossless": True}, {"delivery.lossless": "JPEG always loses"}),
        (
            {"mode": "s3", "filename": "{seed!r}", "format": "jpeg", "lossless": True},
            {"delivery.mode": "S3_BUCKET", "delivery.filename": "more than a name", "delivery.lossless": "JPEG"},
        ),
    ],
)
def test_what_can_not_be_had_is_told_before_the_job_runs(storages, wish, said):
    problems = problems_of(storages(), wish, parameters=["style"])
    assert set(problems) == set(said)
    assert all(words in problems[where] for where, words in said.items())


def test_a_prefix_must_leave_room_for_the_names(storages, bucket):
    environment = {**bucket, "S3_PREFIX": "made/" * 80}
    for mode in ("s3", "inline"):  # what is too large for the reply goes to the bucket
        problems = problems_of(storages(**environment), {"mode": mode, "prefix": "a/" * 200})
        assert "too long" in problems["delivery.prefix"]


AMAZON = {"S3_BUCKET": "b", "S3_ENDPOINT_URL": ""}
GOOGLE = {"GCS_BUCKET": "b"}
GOOGLE_BY_S3 = {"S3_BUCKET": "b", "S3_ENDPOINT_URL": "https://storage.googleapis.com"}


@pytest.mark.parametrize(
    ("environment", "wish", "said"),
    [
        (
            AMAZON,
            {"acl": "public-raed"},
            'acl: "public-raed" is unknown (did you mean "public-read"?); there are: private,',
        ),
        (AMAZON, {"acl": "publicRead"}, "acl: "),
        (AMAZON, {"storage_class": "STANDRAD"}, 'storage_class: "STANDRAD" is unknown (did you mean "STANDARD"?)'),
        (AMAZON, {"storage_class": "NEARLINE"}, "storage_class: "),
        (AMAZON, {"mode": "inline", "acl": "public-raed"}, "acl: "),  # what is too large goes to the bucket
        (GOOGLE, {"acl": "public-raed"}, '(did you mean "public-read"?)'),
        (GOOGLE, {"acl": "public-read-write"}, "acl: "),
        (GOOGLE, {"storage_class": "NEARLIN"}, '(did you mean "NEARLINE"?)'),
        (GOOGLE, {"storage_class": "STANDARD_IA"}, "storage_class: "),
        (GOOGLE_BY_S3, {"storage_class": "GLACIER"}, "storage_class: "),
        (
            {**AMAZON, "S3_ENDPOINT_URL": "https://s3.eu-west-1.amazonaws.com"},
            {"storage_class": "X"},
            "storage_class: ",
        ),
        ({**AMAZON, "S3_ENDPOINT_URL": "https://s3.example.com"}, {"acl": "public-raed"}, "acl: "),
    ],
)
def test_an_acl_or_a_class_that_no_server_knows_is_told_before_the_job_runs(storages, environment, wish, said):
    [(where, message)] = problems_of(storages(**environment), wish).items()
    assert f"delivery.{said}" in f"{where}: {message}" or (said.startswith("(") and said in message)


@pytest.mark.parametrize(
    ("environment", "wish"),
    [
        (AMAZON, {"acl": "bucket-owner-full-control", "storage_class": "DEEP_ARCHIVE"}),
        (GOOGLE, {"acl": "publicRead", "storage_class": "COLDLINE"}),
        (GOOGLE, {"acl": "project-private"}),
        (GOOGLE_BY_S3, {"acl": "project-private", "storage_class": "NEARLINE"}),
        ({**AMAZON, "S3_ENDPOINT_URL": "https://s3.example.com"}, {"storage_class": "OURS"}),
        ({**AMAZON, "AWS_ENDPOINT_URL": "https://s3.example.com"}, {"storage_class": "OURS"}),
        ({**AMAZON, "S3_ENDPOINT_URL": "https://notamazonaws.com"}, {"storage_class": "OURS"}),
    ],
)
def test_an_acl_and_a_class_that_the_server_may_know(storages, environment, wish):
    delivery = storages(**environment).delivery(DeliveryRequest(**wish))
    assert {name: getattr(delivery, name) for name in wish} == wish


def test_the_acl_of_a_callers_bucket_is_looked_at_as_well(storages, config):
    problems = problems_of(storages(**OPEN), {"acl": "public-raed", "storage_class": "OURS"}, s3_config=config)
    assert set(problems) == {"delivery.acl"}
    amazons = {**config, "endpointUrl": "https://s3.eu-west-1.amazonaws.com"}
    problems = problems_of(storages(**OPEN), {"storage_class": "OURS"}, s3_config=amazons)
    assert set(problems) == {"delivery.storage_class"}


def test_an_acl_of_the_operators_that_is_none_stops_the_worker(storages):
    with pytest.raises(SettingsError) as caught:
        storages(**AMAZON, S3_ACL="public-raed", S3_STORAGE_CLASS="STANDRAD")
    assert 'S3_ACL: "public-raed" is unknown (did you mean "public-read"?)' in caught.value.message
    assert 'S3_STORAGE_CLASS: "STANDRAD" is unknown (did you mean "STANDARD"?)' in caught.value.message


def test_public_links_need_a_public_address(storages, bucket):
    assert "S3_PUBLIC_BASE_URL" in problems_of(storages(**bucket), {"url": "public"})["delivery.url"]
    assert "S3_PUBLIC_BASE_URL" in problems_of(storages(STORAGE="inline"), {"url": "public"})["delivery.url"]
    assert "GCS_PUBLIC" in problems_of(storages(GCS_BUCKET="b"), {"mode": "gcs", "url": "public"})["delivery.url"]
    assert storages(S3_PUBLIC_BASE_URL="https://cdn.example.com").delivery(DeliveryRequest(mode="s3", url="public"))


def test_a_folder_is_for_who_can_read_it(storages, tmp_path):
    storages = storages(OUTPUT_FOLDER=str(tmp_path / "outputs"))
    asked = DeliveryRequest(mode="directory", prefix="shop", filename="{seed}/photo")
    delivery = storages.delivery(asked, allow_folder=True)
    [stored], warnings = put(storages, [output_file(tmp_path)], delivery, values={"seed": 7})
    assert Path(stored.path) == tmp_path / "outputs" / "shop" / "7" / "photo.png"
    assert warnings == []


def test_results_go_to_the_operators_bucket_under_the_name_asked_for(storages, bucket, server, tmp_path):
    storages = storages(**bucket)
    storages.warm()
    delivery = storages.delivery(DeliveryRequest(prefix="shop", filename="{workflow}-{seed}"))
    [stored], warnings = put(storages, [output_file(tmp_path)], delivery, values={"seed": 7})
    assert stored.uri == "s3://results/made/shop/txt2img-7.png"
    assert requests.get(stored.url, timeout=10).content == b"not really a picture"
    assert warnings == []


def test_what_is_too_large_for_the_reply_goes_to_the_bucket_with_a_warning(storages, bucket, tmp_path):
    storages = storages(STORAGE="inline", RESPONSE_LIMIT_BYTES="2000", **bucket)
    small, large = output_file(tmp_path, "s.png"), output_file(tmp_path, "l.png", bytes(1500))
    [in_reply], none = put(storages, [small], storages.delivery(None))
    assert in_reply.base64
    assert none == []
    [stored], [warning] = put(storages, [large], storages.delivery(None))
    assert stored.base64 is None
    assert requests.get(stored.url, timeout=10).content == bytes(1500)
    assert warning == (
        "the result takes 2000 bytes in the reply, and at most 1800 fit; the results are in the bucket instead"
    )


def test_of_two_buckets_the_one_that_the_operator_names_takes_what_is_too_large(
    storages, bucket, tmp_path, monkeypatch
):
    with serve_gcs() as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        both = storages(STORAGE="gcs", GCS_BUCKET="results", RESPONSE_LIMIT_BYTES="2000", **bucket)
        large, delivery = output_file(tmp_path, content=bytes(1500)), DeliveryRequest(mode="inline", url="none")
        [stored], [_] = put(both, [large], both.delivery(delivery))
        assert stored.uri == "gs://results/txt2img/job-1/ComfyUI_00001_.png"
        both.close()


def test_what_is_too_large_and_has_no_bucket_fails_with_what_to_do(storages, tmp_path):
    storages = storages(RESPONSE_LIMIT_BYTES="2000")
    with pytest.raises(ResultTooLarge) as caught:
        put(storages, [output_file(tmp_path, content=bytes(1500))], storages.delivery(None))
    assert "2000 bytes" in caught.value.message
    assert "S3_BUCKET" in caught.value.hint


def test_google_is_asked_at_the_start_where_the_operator_wants_it(storages, monkeypatch):
    with serve_gcs() as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        storages(GCS_BUCKET="nowhere").check()
        with pytest.raises(StorageError, match="`nowhere` does not exist"):
            storages(GCS_VALIDATE="1").check()


def test_a_caller_brings_a_bucket(storages, bucket, config, server, tmp_path, caplog):
    caplog.set_level(logging.DEBUG, logger="engine")
    public = {"S3_PUBLIC_BASE_URL": "https://cdn.example.com", "S3_ACL": "public-read"}
    storages = storages(**bucket, **public, **OPEN)
    delivery = storages.delivery(DeliveryRequest(prefix="mine", expires_in=60), s3_config=config)
    [stored], warnings = put(storages, [output_file(tmp_path)], delivery, config)
    assert delivery.mode == "s3"
    assert stored.uri == "s3://callers/mine/txt2img/job-1/ComfyUI_00001_.png"
    assert stored.url.startswith(f"{server.endpoint_url}/callers/mine/")
    assert requests.get(stored.url, timeout=10).content == b"not really a picture"
    assert (server.folder / "callers" / "mine" / "txt2img" / "job-1" / "ComfyUI_00001_.png").is_file()
    assert warnings == []
    assert SECRET_ACCESS_KEY not in caplog.text


def test_the_operator_need_have_no_bucket(storages, config, tmp_path):
    storages = storages(**OPEN)
    delivery = storages.delivery(None, s3_config=config)
    [stored], _ = put(storages, [output_file(tmp_path)], delivery, config)
    assert stored.uri.startswith("s3://callers/")


def test_more_callers_than_clients_are_kept(storages, config, tmp_path):
    storages = storages(**OPEN)

    def job(name):
        own = {**config, "bucketName": name}
        delivery = storages.delivery(None, s3_config=own)
        [stored], _ = put(storages, [output_file(tmp_path / name, content=name.encode())], delivery, own)
        return requests.get(stored.url, timeout=30).text

    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):  # one after the other: both have the same keys, and the server empties what is written anew
            assert list(pool.map(job, CALLERS)) == CALLERS


def test_a_callers_wrong_secret_is_said_and_not_shown(storages, config, tmp_path):
    storages = storages(**OPEN)
    wrong = {**config, "accessSecret": "a-wrong-secret"}
    with pytest.raises(StorageError) as caught:
        put(storages, [output_file(tmp_path)], storages.delivery(None, s3_config=wrong), wrong)
    assert "wrong secret key" in caught.value.message
    assert caught.value.failure()["retryable"] is False
    assert "a-wrong-secret" not in f"{caught.value} {caught.value.hint} {caught.value.detail}"


def test_a_bucket_of_ones_own_must_be_allowed(storages, config, bucket):
    with pytest.raises(InvalidRequest, match="s3Config: is not allowed here") as caught:
        storages(**bucket).delivery(None, s3_config=config)
    assert "ALLOW_S3_CONFIG=1" in caught.value.hint


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:9000",
        "http://localhost",
        "https://169.254.169.254",
        "https://[::1]",
        "https://[::ffff:10.0.0.1]",
        "http://2130706433",
        "http://0x7f.1",
        "https://b.127.0.0.1:9000",
    ],
)
def test_a_bucket_of_ones_own_is_not_inside_the_workers_network(storages, config, endpoint):
    storages = storages(ALLOW_S3_CONFIG="1")
    with pytest.raises(InvalidRequest, match=r"s3Config\.endpointUrl: (leads into|has a host whose address)") as caught:
        storages.delivery(None, s3_config={**config, "bucketName": "bbb", "endpointUrl": endpoint})
    assert "127.0.0.1" not in caught.value.message


@pytest.mark.parametrize(
    ("changes", "where", "said"),
    [
        ({"accessId": None}, "s3Config.accessId", "is missing"),
        ({"accessSecret": ""}, "s3Config.accessSecret", "is missing"),
        ({"bucketName": 7}, "s3Config.bucketName", "must be a string (got a number)"),
        ({"bucketName": "arn:aws:s3:eu-west-1:1:accesspoint/x"}, "s3Config.bucketName", "is not a name"),
        ({"endpointUrl": "ftp://s3.example.com"}, "s3Config.endpointUrl", "must be a URL"),
        ({"endpointUrl": "https://[s3.example.com"}, "s3Config.endpointUrl", "is not a URL"),
        ({"endpointUrl": "https://u:p@s3.example.com"}, "s3Config.endpointUrl", "neither credentials"),
        ({"endpoint": "x"}, "s3Config.endpoint", 'unknown key (did you mean "endpointUrl"?)'),
    ],
)
def test_a_bucket_of_ones_own_that_can_not_be_right(storages, config, changes, where, said):
    with pytest.raises(InvalidRequest) as caught:
        storages(**OPEN).delivery(None, s3_config={**config, **changes})
    assert {problem.where for problem in caught.value.problems} == {where}
    assert said in caught.value.message
    assert SECRET_ACCESS_KEY not in caught.value.message
    assert ACCESS_KEY_ID not in caught.value.message


def test_a_bucket_of_ones_own_is_an_object_and_s3(storages, config):
    with pytest.raises(InvalidRequest, match=r"s3Config: must be an object \(got an array\)"):
        storages(**OPEN).delivery(None, s3_config=[])
    assert "must be s3" in problems_of(storages(), {"mode": "inline"}, s3_config=config)["delivery.mode"]
    assert "no public address" in problems_of(storages(), {"url": "public"}, s3_config=config)["delivery.url"]


@pytest.mark.parametrize("form", ["http://callers.{host}", "http://{host}/callers", "http://{host}/callers/"])
def test_an_endpoint_that_names_the_bucket_as_well(storages, config, server, tmp_path, form):
    own = {**config, "endpointUrl": form.format(host=server.endpoint_url.removeprefix("http://"))}
    storages = storages(**OPEN)
    [stored], _ = put(storages, [output_file(tmp_path)], storages.delivery(None, s3_config=own), own)
    assert stored.url.startswith(f"{server.endpoint_url}/callers/txt2img/")
