"""The environment: names, aliases, what is empty, what is wrong."""

import os
from pathlib import Path

import pytest

from engine.errors import SettingsError
from engine.settings import load_settings
from engine.storage import Storages


@pytest.fixture
def read(monkeypatch):
    def read(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return load_settings()

    return read


def test_an_empty_variable_is_as_good_as_none(read):
    assert read(COMFY_URL="", TIMEOUT_SECONDS="", STORAGE="").timeout_seconds == 600


def test_paths_and_arguments_are_split(read):
    settings = read(WORKFLOWS_PATH=f"/a{os.pathsep}/b", COMFY_ARGS="--cpu --extra 'a b'")
    assert settings.workflows_path == (Path("/a"), Path("/b"))
    assert settings.comfy_args == ("--cpu", "--extra", "a b")


def test_names_that_people_already_set_are_understood(read):
    settings = read(BUCKET_ENDPOINT_URL="https://s3.example.org/", BUCKET_ACCESS_KEY_ID="k", BUCKET_NAME="b")
    assert (settings.s3_endpoint_url, settings.s3_access_key_id) == ("https://s3.example.org", "k")
    assert settings.s3_bucket == "b"


def test_everything_that_is_wrong_is_told_at_once(read):
    with pytest.raises(SettingsError) as caught:
        read(COMFY_URL="localhost:8188", TIMEOUT_SECONDS="-1", STORAGE="tape", COMFY_HOME="/nowhere")
    assert {problem.where for problem in caught.value.problems} == {
        "COMFY_URL",
        "TIMEOUT_SECONDS",
        "STORAGE",
        "COMFY_HOME",
    }


def test_secrets_are_in_no_text(read):
    settings = read(S3_SECRET_ACCESS_KEY="hush", S3_SESSION_TOKEN="hush")
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("environment", "default", "mode"),
    [
        ({}, "inline", "inline"),
        ({}, "directory", "directory"),
        ({"S3_BUCKET": "b"}, "inline", "s3"),
        ({"GCS_BUCKET": "b"}, "directory", "gcs"),
        ({"S3_BUCKET": "b", "GCS_BUCKET": "b"}, "inline", "s3"),
        ({"S3_BUCKET": "b", "GCS_BUCKET": "b", "STORAGE": "gcs"}, "inline", "gcs"),
        ({"S3_BUCKET": "b", "STORAGE": "inline"}, "directory", "inline"),
    ],
)
def test_where_results_go_is_said_or_a_bucket_or_the_default(read, environment, default, mode):
    assert Storages(read(**environment), default=default).default_mode == mode


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({"S3_BUCKET": "b", "S3_ACCESS_KEY_ID": "k"}, {"S3_SECRET_ACCESS_KEY"}),
        ({"S3_BUCKET": "b", "S3_SECRET_ACCESS_KEY": "s"}, {"S3_ACCESS_KEY_ID"}),
        ({"S3_ACCESS_KEY_ID": "k", "S3_SECRET_ACCESS_KEY": "s"}, {"S3_BUCKET"}),
        ({"STORAGE": "s3"}, {"S3_BUCKET"}),
        ({"STORAGE": "gcs"}, {"GCS_BUCKET"}),
        ({"S3_BUCKET": "b", "URL_KIND": "public"}, {"S3_PUBLIC_BASE_URL"}),
        ({"GCS_BUCKET": "b", "URL_KIND": "public"}, {"GCS_PUBLIC"}),
        ({"GCS_BUCKET": "b", "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere.json"}, {"GOOGLE_APPLICATION_CREDENTIALS"}),
        ({"FILENAME_TEMPLATE": "{workflow}/{seed"}, {"FILENAME_TEMPLATE"}),
        ({"S3_BUCKET": "b", "S3_PREFIX": "x" * 200, "FILENAME_TEMPLATE": "{a}/{b}/{c}/{d}/x"}, {"FILENAME_TEMPLATE"}),
        ({"OUTPUT_FORMAT": "jpeg", "OUTPUT_LOSSLESS": "1"}, {"OUTPUT_LOSSLESS"}),
        (
            {"STORAGE": "gcs", "S3_ACCESS_KEY_ID": "k", "FILENAME_TEMPLATE": "{seed!r}"},
            {"GCS_BUCKET", "S3_BUCKET", "S3_SECRET_ACCESS_KEY", "FILENAME_TEMPLATE"},
        ),
    ],
)
def test_what_is_wrong_or_missing_for_delivery_is_named_all_at_once(read, environment, missing):
    with pytest.raises(SettingsError) as caught:
        Storages(read(**environment), default="inline")
    assert {problem.where for problem in caught.value.problems} == missing
