"""What a caller may wish of the results, from the request to what lies in the bucket."""

import base64
import io
import json
import logging

import pytest
import requests
from PIL import Image
from support.runners import asked, refused, runner_on
from support.s3 import SECRET_ACCESS_KEY, serve_s3
from support.workflows import write_workflow

from engine import Catalog

logging.getLogger("urllib3").setLevel(logging.WARNING)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    with serve_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def runner(comfy, bucket, tmp_path):
    runner = runner_on(comfy, tmp_path, default="inline", s3_prefix="base", **s3_settings(bucket))
    yield runner
    runner.close()


@pytest.fixture
def inline(comfy, tmp_path):
    runner = runner_on(comfy, tmp_path, default="inline")
    yield runner
    runner.close()


def s3_settings(bucket):
    return {f"s3_{key}": value for key, value in bucket.options().items()}


def resize(width=24, delivery=None, **more):
    payload = {"color": "#204060", "width": width}
    return {"workflow": "resize", "payload": payload, "delivery": delivery or {}, **more}


def noise():
    """A request for a picture that no format makes small."""
    buffer = io.BytesIO()
    Image.effect_noise((96, 96), 90).save(buffer, "PNG")
    payload = {"image": base64.b64encode(buffer.getvalue()).decode(), "width": 96}
    return {"workflow": "resize", "payload": payload}


def fetched(output):
    response = requests.get(output["url"], timeout=20)
    assert response.status_code == 200
    return response


def opened(content):
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def test_own_prefix_own_name_and_webp_instead_of_png(runner):
    wishes = {"prefix": "users/42", "filename": "{workflow}_{width}_{index}", "format": "webp", "quality": 70}

    [output] = asked(runner, resize(20, wishes))["outputs"]

    assert output["uri"] == "s3://results/base/users/42/resize_20_0.webp"
    assert (output["content_type"], output["width"], output["filename"][-5:]) == ("image/webp", 20, ".webp")
    response = fetched(output)
    assert response.headers["Content-Type"] == "image/webp"
    assert opened(response.content).size[0] == 20
    assert len(response.content) == output["size_bytes"]


def test_a_picture_says_what_made_it(runner, tmp_path):
    from engine.media import read_stamp

    [output] = asked(runner, resize(22))["outputs"]
    content = fetched(output).content
    (tmp_path / "made.png").write_bytes(content)

    stamp = read_stamp(tmp_path / "made.png")

    assert (stamp["workflow"], stamp["version"], stamp["values"]["width"]) == ("resize", "1.0", 22)
    assert "prompt" in opened(content).info


@pytest.mark.parametrize(("metadata", "graph", "stamped"), [("values", False, True), ("strip", False, False)])
def test_metadata_is_left_out_on_request(runner, tmp_path, metadata, graph, stamped):
    from engine.media import read_stamp

    [output] = asked(runner, resize(23, {"metadata": metadata}))["outputs"]
    content = fetched(output).content
    (tmp_path / "made.png").write_bytes(content)

    assert ("prompt" in opened(content).info) is graph
    assert (read_stamp(tmp_path / "made.png") is not None) is stamped


def test_a_thumbnail_comes_with_the_result(runner):
    [output] = asked(runner, resize(64, {"thumbnail": 16}))["outputs"]

    head, _, data = output["thumbnail"].partition(",")
    assert head == "data:image/webp;base64"
    assert max(opened(base64.b64decode(data)).size) == 16


def test_inline_on_request_although_there_is_a_bucket(runner):
    [output] = asked(runner, resize(25, {"mode": "inline"}))["outputs"]

    assert opened(base64.b64decode(output["base64"])).size[0] == 25
    assert "url" not in output


def test_a_link_may_be_left_out(runner):
    [output] = asked(runner, resize(26, {"url": "none"}))["outputs"]

    assert "url" not in output
    assert output["uri"].startswith("s3://results/base/resize/job-1/")


def test_what_is_too_large_for_the_reply_goes_to_the_bucket(comfy, bucket, tmp_path):
    runner = runner_on(comfy, tmp_path, storage="inline", response_limit_bytes=9000, **s3_settings(bucket))

    reply = asked(runner, noise())

    assert fetched(reply["outputs"][0]).status_code == 200
    assert any("bucket" in warning for warning in reply["warnings"])


def test_what_is_too_large_without_a_bucket_is_told_in_bytes(comfy, tmp_path):
    runner = runner_on(comfy, tmp_path, default="inline", response_limit_bytes=9000)

    failure = refused(runner, noise())

    assert failure["code"] == "result_too_large"
    assert "bucket" in failure["hint"]
    assert any(character.isdigit() for character in failure["message"])


@pytest.mark.parametrize(
    ("wishes", "where", "said"),
    [
        ({"mode": "s3"}, "delivery.mode", "S3_BUCKET"),
        ({"mode": "gcs"}, "delivery.mode", "GCS_BUCKET"),
        ({"mode": "directory"}, "delivery.mode", ""),
        ({"mode": "tape"}, "delivery.mode", "inline"),
        ({"formt": "webp"}, "delivery.formt", 'did you mean "format"?'),
        ({"format": "bmp"}, "delivery.format", "webp"),
        ({"quality": 0}, "delivery.quality", "1"),
        ({"filename": "{sed}"}, "delivery.filename", "seed"),
        ({"filename": "{seed.__class__}"}, "delivery.filename", ""),
    ],
)
def test_a_wish_that_can_not_be_is_refused_before_anything_runs(tmp_path, wishes, where, said):
    def start():
        raise AssertionError("a ComfyUI was started")

    runner = runner_on(start, tmp_path, default="inline")

    failure = refused(runner, resize(delivery=wishes))

    assert failure["code"] == "invalid_request"
    assert [problem["parameter"] for problem in failure["problems"]] == [where]
    assert said in failure["problems"][0]["message"]


def s3_config(bucket, **changes):
    return {
        "accessId": bucket.access_key_id,
        "accessSecret": bucket.secret_access_key,
        "bucketName": bucket.bucket,
        "endpointUrl": bucket.endpoint_url,
        **changes,
    }


def test_a_callers_own_bucket_where_the_operator_allows_it(comfy, bucket, tmp_path, caplog):
    runner = runner_on(comfy, tmp_path, default="inline", allow_s3_config=True, allow_private_urls=True)

    with caplog.at_level(logging.DEBUG):
        beside = asked(runner, resize(30), s3_config=s3_config(bucket))["outputs"][0]
        inside = asked(runner, resize(31, s3Config=s3_config(bucket)))["outputs"][0]
        wrong = refused(runner, resize(32, s3Config=s3_config(bucket, accessSecret="wrong-" * 4)))

    assert [fetched(each).status_code for each in (beside, inside)] == [200, 200]
    assert wrong["code"] == "storage_error"
    assert not wrong["retryable"]
    assert SECRET_ACCESS_KEY not in caplog.text
    assert "wrong-wrong" not in caplog.text + json.dumps(wrong)


def test_a_callers_own_bucket_is_refused_otherwise(inline, bucket):
    failure = refused(inline, resize(33, s3Config=s3_config(bucket)))

    assert "ALLOW_S3_CONFIG" in failure["hint"]
    assert SECRET_ACCESS_KEY not in json.dumps(failure)


def test_a_reply_that_is_too_long_loses_its_values_before_its_result(comfy, bucket, tmp_path):
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 1, "height": 8, "batch_size": 1, "color": 0}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "length"}},
    }
    schema = {
        "parameters": {"text": {"type": "string", "required": True}},
        "computed": {"$['1'].inputs.width": "(text | length) // 100"},
    }
    folder = write_workflow(tmp_path, "length", graph, schema)
    runner = runner_on(comfy, tmp_path, Catalog([folder]), default="inline", response_limit_bytes=3000)

    reply = asked(runner, {"workflow": "length", "payload": {"text": "x" * 5000}, "delivery": {"metadata": "strip"}})

    assert reply["outputs"][0]["width"] == 50
    assert reply["values"] == {}
    assert any("values" in warning for warning in reply["warnings"])


def two_savers(folder, **more):
    """A workflow that saves and previews a picture."""
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 8, "batch_size": 1, "color": 0}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "two"}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    parameters = {"width": {"type": "integer", "bind": "$['1'].inputs.width"}}
    return Catalog([write_workflow(folder, "two", graph, {"parameters": parameters, **more})])


@pytest.mark.parametrize("declared", [{}, {"outputs": {"image": {"node": "2"}}}])
def test_previews_come_when_they_are_asked_for(comfy, tmp_path, declared):
    runner = runner_on(comfy, tmp_path, two_savers(tmp_path, **declared), default="inline")
    saved = "image" if declared else "2"

    without = asked(runner, {"workflow": "two", "payload": {"width": 20}})
    asked_for = asked(runner, {"workflow": "two", "payload": {"width": 21}, "previews": True})

    assert [each["name"] for each in without["outputs"]] == [saved]
    assert sorted(each["name"] for each in asked_for["outputs"]) == sorted([saved, "3"])


def test_a_declared_output_that_is_empty_is_said(comfy, tmp_path):
    outputs = {"image": {"node": "2"}, "caption": {"node": "2", "kind": "text"}}
    runner = runner_on(comfy, tmp_path, two_savers(tmp_path, outputs=outputs), default="inline")

    reply = asked(runner, {"workflow": "two"})

    assert [each["name"] for each in reply["outputs"]] == ["image"]
    assert reply["warnings"] == ["the output caption is empty: its node 2 gave nothing"]


def test_thumbnails_go_before_a_result_does(comfy, bucket, tmp_path):
    runner = runner_on(comfy, tmp_path, default="inline", response_limit_bytes=3500, **s3_settings(bucket))

    reply = asked(runner, {**noise(), "delivery": {"thumbnail": 96, "mode": "s3"}})

    assert fetched(reply["outputs"][0]).status_code == 200
    assert "thumbnail" not in reply["outputs"][0]
    assert any("thumbnails are left out" in warning for warning in reply["warnings"])


def test_a_text_too_long_for_the_reply_is_a_file_in_the_bucket(comfy, bucket, tmp_path):
    text = "é\n" * 3000
    graph = {
        "1": {"class_type": "StringConcatenate", "inputs": {"string_a": "", "string_b": text, "delimiter": ""}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    catalog = Catalog([write_workflow(tmp_path, "long", graph, {"parameters": {}})])
    runner = runner_on(comfy, tmp_path, catalog, response_limit_bytes=10_000, **s3_settings(bucket))

    [output] = asked(runner, {"workflow": "long"})["outputs"]

    assert fetched(output).content.decode() == text
    assert (output["kind"], output["filename"], output["content_type"]) == ("text", "2.txt", "text/plain")
