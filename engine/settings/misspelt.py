"""Variables that nobody reads, and that are spelt nearly as one of ours."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

_ALIKE = 0.88  # S3_BUKET, COMFY_HOEM and COMFYUI_HOME are above it; OUTPUT_DIR and VOLUME_NAME below
_SHORTEST = 6
# There are many of the platform, the driver and the languages, and none of them is a slip of ours.
_OTHERS = (
    *("RUNPOD_", "CUDA_", "NVIDIA_", "NV_", "NCCL_", "PYTHON", "PIP_", "UV_", "LC_", "XDG_", "GIT_", "SSH_"),
    *("GCP_", "R2_"),  # of other programs for buckets
)


def misspelt(names: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """The names that are most likely slips, each with what was meant.

    Args:
        names: of variables that are set.
        known: of all that are read.
    """
    known = list(known)
    read = {name.lower() for name in known}
    found = {}
    for name in sorted(names):
        if name.lower() in read or len(name) < _SHORTEST or name.upper().startswith(_OTHERS):
            continue
        if near := _nearest(name.upper(), known):
            found[name] = near
    return found


def _nearest(name: str, known: Iterable[str]) -> str | None:
    best, ratio = None, _ALIKE
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(name)
    for each in known:
        # The length and the letters say cheaply of most that they are not alike.
        if 2 * min(len(each), len(name)) / (len(each) + len(name)) < ratio:
            continue
        matcher.set_seq1(each)
        if matcher.quick_ratio() >= ratio and (alike := matcher.ratio()) >= ratio and (best is None or alike > ratio):
            best, ratio = each, alike
    return best
