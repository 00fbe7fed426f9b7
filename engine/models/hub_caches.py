"""Where caches of Hugging Face's hub are: the user's own, and the one that RunPod fills before a worker starts.

RunPod keeps the models that an endpoint names in such a cache, at `/runpod-volume/huggingface-cache/hub`, under a
repository's name as it was typed there, be it all lower case
(https://docs.runpod.io/serverless/endpoints/model-caching).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

_RUNPOD_CACHE = Path("huggingface-cache/hub")


def runpod_cache(volume: Path) -> Path | None:
    """RunPod's cache; None where there is none.

    Args:
        volume: where RunPod mounts what it keeps for a worker.
    """
    cache = volume / _RUNPOD_CACHE
    return cache if cache.is_dir() else None


def own_cache(environment: Mapping[str, str]) -> Path:
    """Where huggingface_hub looks, in this process and in ComfyUI; it need not be there.

    Args:
        environment: HF_HUB_CACHE (or HUGGINGFACE_HUB_CACHE), HF_HOME, XDG_CACHE_HOME and HOME, in this order
            (https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables).
    """
    return next(_named(environment), _usual(environment))


def hub_caches(environment: Mapping[str, str], volume: Path) -> list[Path]:
    """The caches that are there, the one to look in first at the front.

    Args:
        environment: as for `own_cache`; every place that it names is looked at, and last the usual one.
        volume: where RunPod mounts its own.
    """
    found = (*_named(environment), volume / _RUNPOD_CACHE, _usual(environment))
    return [folder for folder in dict.fromkeys(found) if folder.is_dir()]


def _named(environment: Mapping[str, str]) -> Iterator[Path]:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if path := environment.get(name):
            yield Path(path)
    if home := environment.get("HF_HOME"):
        yield Path(home) / "hub"


def _usual(environment: Mapping[str, str]) -> Path:
    cache = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or "~").expanduser() / ".cache"
    return Path(cache) / "huggingface" / "hub"


def link_repositories(cache: Path, own: Path) -> list[str]:
    """Have what is in RunPod's cache found in the own one, which stays the place for what is fetched later.

    Args:
        cache: RunPod's.
        own: made where it is missing. What it has already stays.

    Returns:
        The names of the repositories that are linked, as `org/name`.

    Raises:
        OSError: the own one can't be written to.
    """
    linked: list[str] = []
    if cache.resolve() == own.resolve():
        return linked
    own.mkdir(parents=True, exist_ok=True)
    for repository in sorted(cache.glob("models--*")):
        place = own / repository.name
        if place.is_symlink() and not place.exists():
            place.unlink()  # of a volume that was there before
        if not os.path.lexists(place):
            place.symlink_to(repository, target_is_directory=True)
        if place.resolve() == repository.resolve():
            linked.append(repository.name.removeprefix("models--").replace("--", "/"))
    return linked
