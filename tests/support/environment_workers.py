"""A worker in a process of its own, on a volume with environments, that is asked one thing after another."""

import contextlib
import re

from support.worker import running_worker, worker_environment

RESIZE = {"workflow": "resize", "payload": {"width": 16}}
HEALTH = {"action": "health"}


def environment_of(volume, queue=None, **more):
    own = {
        "VOLUME_PATH": str(volume),
        "VOLUME_WAIT_SECONDS": "0",
        "COMFY_LOG": str(volume / "comfyui.log"),
        **(queue.environment() if queue else {}),
    }
    return worker_environment("", **own, **more)


@contextlib.contextmanager
def worker_on_volume(volume, queue, log, **more):
    """Have a worker run on that volume and queue."""
    with running_worker(environment_of(volume, queue, **more), log):
        yield Asked(queue, log)


class Asked:
    """A worker on a queue, asked one thing after another."""

    def __init__(self, queue, log):
        self.queue = queue
        self.log = log

    def submit(self, version_id=None, payload=None, **more):
        request = {**({} if "workflow" in more else RESIZE), **({"payload": payload} if payload else {}), **more}
        return self.queue.submit(request | ({"version_id": version_id} if version_id else {}))

    def run(self, version_id=None, **more):
        """The result of a job, which is to go well."""
        posted = self.queue.wait(self.submit(version_id, **more), 90)
        assert "error" not in posted, posted["error"]
        return posted["output"]

    def refused(self, version_id=None, **more):
        return self.queue.wait(self.submit(version_id, **more), 90)["output"]["failure"]

    def listed(self):
        """Each workflow's name and status."""
        told = self.queue.wait(self.queue.submit({"action": "list"}), 60)["output"]["workflows"]
        return {each["name"]: each["status"] for each in told}

    def described(self, workflow, version_id):
        """What `describe` answers."""
        named = {"version_id": version_id} if version_id else {}
        return self.queue.wait(self.queue.submit({"action": "describe", "workflow": workflow} | named), 60)["output"]

    def health(self):
        return self.queue.wait(self.queue.submit(HEALTH), 60)["output"]

    def where(self):
        """The environment that health names, and the version of the ComfyUI that answers."""
        told = self.health()
        return told["environment"], told["comfyui"].get("version")

    def done(self):
        """The environments in which the jobs ran that are done, in order."""
        done = [re.search(r" outputs=.* environment=(\S+)", line) for line in self.lines(" job done ")]
        return [each[1] for each in done if each]

    def lines(self, text):
        return [line for line in self.log.read_text().splitlines() if text in line]
