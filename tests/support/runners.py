"""A runner in this process, for what a caller notices of a job."""

from support.workflows import ROOT

from engine import Catalog
from engine.envelope import answer
from engine.jobs import Runner
from engine.settings import Settings
from engine.storage import Storages


def runner_on(comfy, folder, catalog=None, *, default="directory", **settings):
    """A runner on that ComfyUI (or on what a function gives); results go below the folder, if not set otherwise."""
    chosen = Settings(**{"output_folder": folder / "out", **settings})
    return Runner(
        catalog or Catalog([ROOT]),
        comfy if callable(comfy) else lambda: comfy,
        Storages(chosen, default=default),
        chosen,
    )


def asked(runner, document, job_id="job-1", **options):
    """The reply to a job's input, which is to be a result."""
    reply = answer(document, runner, job_id=job_id, **options)
    assert "error" not in reply, reply["error"]
    return reply


def refused(runner, document, **options):
    """The failure that a job's input gets."""
    reply = answer(document, runner, job_id="job-1", **options)
    assert reply["error"].startswith(f"{reply['failure']['code']}: ")
    return reply["failure"]
