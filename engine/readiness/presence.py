"""Which model files are missing: by the disk where ComfyUI is ours, else by what ComfyUI says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from engine.comfyui.folders import SharedFolders
from engine.model_folders import KINDS, is_for_packs, kind_of, kinds_of, model_folders, own_models, places_of
from engine.models.pack_folders import show_to_packs
from engine.readiness.listing import MOMENT_SECONDS, Listing
from engine.settings import Settings

_CONFIG = "--extra-model-paths-config"
_SHORTEST = "--extra"


class OutOfSight(NamedTuple):
    """A model that is there, and not where node packs look.

    Attributes:
        lying: where it is.
        wanted: where they look.
    """

    lying: Path
    wanted: Path


class Presence:
    """Which model files are missing. Safe to use from several threads.

    Of a ComfyUI of COMFY_HOME the disk tells. What is in none of the folders that we know may lie in others that it was
    told of by itself (`extra_model_paths.yaml`), or that a node pack adds with a kind of its own: so it is asked, and
    until it runs such a file is not called missing. What it has listed is there while it restarts. What is for node
    packs has to be in ComfyUI's own folder, where they look: it is linked there at each start, and here what came
    later.

    Args:
        settings: with COMFY_URL, ComfyUI alone tells.
        listing: what ComfyUI says.
        came: called when a file is there that was missing.
    """

    def __init__(self, settings: Settings, listing: Listing, came: Callable[[], None]) -> None:
        self._settings = settings
        self._listing = listing
        self._came = came
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, bool]] = {}
        self._folders: tuple[float, list[Path]] = (0.0, [])
        self._listed: set[str] = set()

    def lacks(self, path: str, *, anew: bool = False) -> bool:
        """Whether a model is missing for all we know.

        Args:
            path: as ComfyUI sees it, kind first.
            anew: one that was missing a moment ago is looked for again.
        """
        now = time.monotonic()
        with self._lock:
            when, before = self._known.get(path, (None, False))
        if when is not None and now - when < MOMENT_SECONDS and not (anew and before):
            return before
        # What comes while ComfyUI starts may be too late for the links that are made before: look again once it runs.
        believed = self._listing.runs or kind_of(path.partition("/")[0]) in KINDS
        lacking = self._is_missing(path, anew)
        with self._lock:
            self._known[path] = (time.monotonic() if believed else 0.0, lacking)
        if before and not lacking:
            self._came()
        return lacking

    def out_of_sight(self, path: str) -> OutOfSight | None:
        """Where a model lies that node packs do not see there, if it can't be linked to where they do.

        Args:
            path: as ComfyUI sees it, kind first.
        """
        own, home = own_models(self._settings), self._settings.comfy_home
        kind = path.partition("/")[0]
        if self._settings.comfy_url or not own or not home or kind_of(kind) in KINDS:
            return None
        if any(folder.joinpath(path).exists() for folder in (own, *self._saved())):
            return None
        if not is_for_packs(kind, kinds_of(home)):
            return None
        lying = next((place for place in places_of(path, model_folders(self._settings)) if place.exists()), None)
        if lying is None:
            return None
        show_to_packs(self._settings, only=kind)
        return None if (own / path).exists() else OutOfSight(lying, own / path)

    def forget(self) -> None:
        """Look for everything again."""
        with self._lock:
            self._known = {path: (0.0, lacking) for path, (_, lacking) in self._known.items()}

    def _is_missing(self, path: str, anew: bool) -> bool:
        if self._settings.comfy_url:
            return self._listing.has(path, anew=anew) is False
        try:
            places = list(places_of(path, self._folders_now(anew)))
            if any(place.exists() for place in places):  # some packs load a whole folder
                return self._listing.runs and self.out_of_sight(path) is not None
            leads_nowhere = any(place.is_symlink() for place in places)
        except OSError:
            return False  # a disk that does not answer tells nothing
        # A link to nothing ComfyUI lists all the same, so that it can't be asked.
        said = None if leads_nowhere else self._listing.has(path, anew=anew)
        if said is None:
            return path not in self._listed and not self._may_be_elsewhere(path)
        (self._listed.add if said else self._listed.discard)(path)
        return not said

    def _folders_now(self, anew: bool) -> list[Path]:
        now = time.monotonic()
        when, folders = self._folders
        if anew or not when or now - when >= MOMENT_SECONDS:
            folders = [*model_folders(self._settings), *self._saved()]
            self._folders = (now, folders)
        return folders

    def _saved(self) -> list[Path]:
        """Where ComfyUI finds the models again that it saved itself (0.8.0, main.py: five kinds below its output)."""
        home, args = self._settings.comfy_home, self._settings.comfy_args
        return [SharedFolders.of_process(home, args).output] if home else []

    def _may_be_elsewhere(self, path: str) -> bool:
        """Whether ComfyUI may look in folders that we know nothing of (ComfyUI 0.8.0, main.py)."""
        home, args = self._settings.comfy_home, self._settings.comfy_args
        names = [each.partition("=")[0] for each in args]
        if any(_CONFIG.startswith(name) and name.startswith(_SHORTEST) for name in names):  # as argparse takes it
            return True
        if home and (home / "extra_model_paths.yaml").is_file():
            return True
        kind = kind_of(path.partition("/")[0])
        # Where the models of its kind lie, a node pack says when it is loaded; some have them in their own folder.
        return kind == "custom_nodes" or (kind not in KINDS and not self._listing.runs)
