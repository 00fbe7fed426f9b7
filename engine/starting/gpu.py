"""Whether this machine has a GPU that works, asked of the driver itself, before ComfyUI loads PyTorch to find out."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from engine.errors import ComfyUnavailable

_LONGEST_SECONDS = 60.0
_AMD = Path("/dev/kfd")  # what ROCm's PyTorch computes through; it shows up under the name of CUDA there
# In a process of its own: a driver that hangs or crashes then costs no worker. The functions and the status 100 (no
# device) are those of CUDA's driver interface, "Initialization" and "Device Management".
_ASK = """
import ctypes, json, sys
def end(**answer):
    print(json.dumps(answer))
    sys.exit()
try:
    cuda = ctypes.CDLL("libcuda.so.1")
except OSError:
    end(problem="there is no NVIDIA driver (libcuda.so.1)")
def ask(name, *arguments):
    status = getattr(cuda, name)(*arguments)
    if status:
        text = ctypes.c_char_p()
        cuda.cuGetErrorString(status, ctypes.byref(text))
        said = (text.value or b"").decode("utf-8", "replace")
        end(problem="the NVIDIA driver says: %s (%s, status %d)" % (said or "no text", name, status))
ask("cuInit", 0)
count, version = ctypes.c_int(), ctypes.c_int()
ask("cuDeviceGetCount", ctypes.byref(count))
ask("cuDriverGetVersion", ctypes.byref(version))
gpus = []
for index in range(count.value):
    device, name, size = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_size_t()
    ask("cuDeviceGet", ctypes.byref(device), index)
    ask("cuDeviceGetName", name, 256, device)
    ask("cuDeviceTotalMem_v2", ctypes.byref(size), device)
    gpus.append([name.value.decode("utf-8", "replace"), size.value])
end(gpus=gpus, version=version.value)
"""


class Gpu(NamedTuple):
    """A GPU.

    Attributes:
        name: as its driver calls it.
        memory_bytes: all that it has.
    """

    name: str
    memory_bytes: int


class Gpus(NamedTuple):
    """What the driver says.

    Attributes:
        gpus: those that this process may use (`CUDA_VISIBLE_DEVICES`).
        cuda: the newest version of CUDA that the driver knows, as "12.8".
    """

    gpus: list[Gpu]
    cuda: str


class Probe:
    """Asks the driver, beside whatever else is done; begun when made."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own Python and our own text
            [sys.executable, "-I", "-c", _ASK], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def result(self, seconds: float = _LONGEST_SECONDS) -> Gpus | None:
        """Wait for the answer.

        Args:
            seconds: that the driver may take.

        Returns:
            The GPUs; None on a machine of AMD's, of which ComfyUI is asked once it runs.

        Raises:
            ComfyUnavailable: there is none that works.
        """
        try:
            said, _ = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.close()
            raise _none(f"the driver has not answered within {seconds:g} s") from None
        try:
            answer = json.loads(said)
        except ValueError:
            raise _none(f"the driver crashed when it was asked (status {self._process.returncode})") from None
        if problem := answer.get("problem"):
            if _AMD.exists():
                return None
            raise _none(problem)
        if not answer["gpus"]:
            raise _none("the driver works, and shows no GPU to this container")
        version = int(answer["version"])
        return Gpus([Gpu(*each) for each in answer["gpus"]], f"{version // 1000}.{version % 1000 // 10}")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        if self._process.stdout:
            self._process.stdout.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)  # one that waits for a broken driver can't be killed, and is left


def _none(problem: str) -> ComfyUnavailable:
    return ComfyUnavailable(
        f"there is no GPU that works: {problem}",
        hint="run the container on a machine with one (docker run --gpus all; on RunPod, choose a GPU type, and stop a "
        "worker whose GPU is broken); COMFY_ARGS=--cpu runs ComfyUI on the CPU, COMFY_SIMULATE=1 the simulator, "
        "RUNPOD_SKIP_GPU_CHECK=true skips this check",
    )
