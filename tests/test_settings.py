"""The environment: names, aliases, what is empty, what is wrong."""

import os
from pathlib import Path

import pytest

from engine.errors import SettingsError
from engine.settings import load_settings
from engine.storage import DirectoryStorage, InlineStorage, S3Storage, make_storage


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


def test_a_bucket_comes_first_then_the_default(read):
    assert isinstance(make_storage(read(), default="inline"), InlineStorage)
    assert isinstance(make_storage(read(), default="directory"), DirectoryStorage)
    assert isinstance(make_storage(read(S3_BUCKET="b"), default="inline"), S3Storage)
    assert isinstance(make_storage(read(STORAGE="inline"), default="directory"), InlineStorage)


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({"S3_BUCKET": "b", "S3_ACCESS_KEY_ID": "k"}, "S3_SECRET_ACCESS_KEY"),
        ({"S3_BUCKET": "b", "S3_SECRET_ACCESS_KEY": "s"}, "S3_ACCESS_KEY_ID"),
        ({"S3_ACCESS_KEY_ID": "k", "S3_SECRET_ACCESS_KEY": "s"}, "S3_BUCKET"),
        ({"STORAGE": "s3"}, "S3_BUCKET"),
    ],
)
def test_what_is_missing_of_a_bucket_is_named(read, environment, missing):
    with pytest.raises(SettingsError) as caught:
        make_storage(read(**environment), default="inline")
    assert missing in str(caught.value)
