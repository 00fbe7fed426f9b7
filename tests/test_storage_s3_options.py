from __future__ import annotations

import pytest

from engine.errors import SettingsError
from engine.s3 import build_client
from engine.s3.options import region_of_endpoint
from engine.s3.words import AMAZONS_CLASSES, CANNED_ACLS
from engine.storage import S3Options


def refused(**values):
    with pytest.raises(SettingsError) as caught:
        S3Options.from_values(values)
    return {problem.where: problem.message for problem in caught.value.problems}


def test_all_missing_values_are_named_at_once():
    assert set(refused(secret_access_key="s", bucket=None)) == {"bucket", "access_key_id"}
    assert set(refused(session_token="t")) == {"bucket", "access_key_id", "secret_access_key"}
    assert set(refused(bucket="b", access_key_id="k", secret_access_key="")) == {"secret_access_key"}


def test_missing_values_are_called_what_the_operator_calls_them():
    with pytest.raises(SettingsError, match=r"S3_BUCKET: is missing.*S3_SECRET_ACCESS_KEY: is missing"):
        S3Options.from_values(
            {"access_key_id": "k"}, {"bucket": "S3_BUCKET", "secret_access_key": "S3_SECRET_ACCESS_KEY"}
        )


def test_absent_values_leave_the_defaults():
    options = S3Options.from_values({"bucket": "b", "prefix": None, "region": "", "endpoint_url": None})
    assert options == S3Options("b")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("endpoint_url", "s3.example.com", "must be a URL such as"),
        ("endpoint_url", "https://s3.example.com:port", "is not a URL"),
        ("endpoint_url", "https://s3.example.com/results", "without a path"),
        ("endpoint_url", "https://b.s3.example.com", "must not start with the bucket's name"),
        ("endpoint_url", "https://key:secret@s3.example.com", "neither credentials nor a query"),
        ("public_base_url", "ftp://cdn.example.com", "must be a URL such as"),
        ("url_expires_seconds", 0, "must be 1 to 604800 seconds (got 0)"),
        ("url_expires_seconds", 604_801, "must be 1 to 604800 seconds"),
        ("addressing_style", "host", "must be auto, path or virtual"),
        ("endpoint_url", "https://[s3.example.com", "is not a URL"),
        ("prefix", "x/" * 600, "is too long"),
    ],
)
def test_options_that_can_not_be_right(name, value, said):
    problems = refused(**{"bucket": "b", name: value})
    assert set(problems) == {name}
    assert said in problems[name]
    assert "secret" not in problems[name]


def test_options_made_directly_are_checked_too():
    with pytest.raises(SettingsError, match="url_expires_seconds"):
        S3Options("b", url_expires_seconds=-1)


def test_secrets_are_not_in_the_repr():
    shown = repr(S3Options("b", access_key_id="key-id", secret_access_key="the-secret", session_token="the-token"))
    assert not any(secret in shown for secret in ("key-id", "the-secret", "the-token"))


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("https://s3.us-west-004.backblazeb2.com", "us-west-004"),
        ("https://s3.eu-central-1.amazonaws.com/", "eu-central-1"),
        ("https://s3.dualstack.eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://s3.ap-northeast-1.wasabisys.com", "ap-northeast-1"),
        ("https://fra1.digitaloceanspaces.com", "fra1"),
        ("https://0123abc.r2.cloudflarestorage.com", "auto"),
        ("https://0123abc.eu.r2.cloudflarestorage.com", "auto"),
        ("https://storage.googleapis.com", "us-east-1"),
        ("https://s3.amazonaws.com", "us-east-1"),
        ("http://127.0.0.1:9000", "us-east-1"),
        ("https://s3.example.com", "us-east-1"),
        ("https://s3.my-company.com", "us-east-1"),
    ],
)
def test_the_region_an_endpoint_tells(endpoint, region):
    assert region_of_endpoint(endpoint) == region
    assert S3Options("b", endpoint_url=endpoint).effective_region == region
    assert S3Options("b", endpoint_url=endpoint, region="mine").effective_region == "mine"


@pytest.mark.parametrize(
    ("values", "style"),
    [
        ({}, "virtual"),
        ({"bucket": "re.sults"}, "path"),
        ({"endpoint_url": "https://0123abc.r2.cloudflarestorage.com"}, "path"),
        ({"endpoint_url": "https://s3.example.com", "addressing_style": "virtual"}, "virtual"),
        ({"addressing_style": "path"}, "path"),
    ],
)
def test_the_addressing_style_that_is_chosen(values, style):
    assert S3Options.from_values({"bucket": "results", **values}).effective_addressing_style == style


def test_every_word_that_boto3_knows_of_amazon_is_known(monkeypatch):
    """Amazon adds storage classes; a newer boto3 tells."""
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    client = build_client(S3Options("b", region="eu-west-1", access_key_id="k", secret_access_key="s"))
    model = client.meta.service_model
    client.close()
    assert set(model.shape_for("ObjectCannedACL").enum) == set(CANNED_ACLS)
    assert set(model.shape_for("StorageClass").enum) <= set(AMAZONS_CLASSES)
