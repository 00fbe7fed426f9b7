"""The workflows that come with ComfyUI's editor: 759 graphs in UI format, and what becomes of them.

They are in two packages of data (the group `test`). A conversion takes most of a second, so their outcomes are kept in
a temporary folder, by the versions of all that takes part in them.
"""

import concurrent.futures
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import pickle
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.authoring.draft import Export
from engine.authoring.exports import read_export
from engine.errors import EngineError
from engine.nodes import BUNDLED

PACKAGES = {
    "comfyui_workflow_templates_json": "templates",
    "comfyui_subgraph_blueprints": "blueprints",
}
ENGINE = Path(__file__).resolve().parent.parent.parent / "engine"


@functools.cache
def official_workflows() -> dict[str, Path]:
    """The files that are graphs, by their names without the suffix, in the order of these."""
    found: dict[str, Path] = {}
    for package, folder in PACKAGES.items():
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            continue
        for path in sorted((Path(spec.submodule_search_locations[0]) / folder).glob("*.json")):
            document = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(document, dict) and isinstance(document.get("nodes"), list):
                found[path.stem] = path
    return dict(sorted(found.items()))


def converted(names: Iterable[str] | None = None) -> Iterator[tuple[str, Export | EngineError]]:
    """What reading each of them gives, in the order of the names; converted on all cores.

    Args:
        names: of the wanted ones; all by default.
    """
    workflows = official_workflows()
    wanted = list(workflows if names is None else names)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from zip(wanted, pool.map(lambda name: _read(workflows[name]), wanted), strict=True)


def _read(path: Path) -> Export | EngineError:
    data = path.read_bytes()
    kept = _folder() / f"{path.stem}-{hashlib.sha256(data).hexdigest()[:16]}.pickle"
    if kept.is_file():
        return pickle.loads(kept.read_bytes())
    try:
        outcome: Export | EngineError = read_export(data, name=path.name)
    except EngineError as error:
        outcome = error
    # Beside, under a name of its own, then renamed: another thread or process may convert the same one.
    with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as written:
        written.write(pickle.dumps(outcome))
    Path(written.name).replace(kept)
    return outcome


@functools.cache
def _folder() -> Path:
    """Where outcomes are kept: another one as soon as something changes that decides them."""
    digest = hashlib.sha256(importlib.metadata.version("comfy-cli").encode())
    reading = [ENGINE / "authoring" / f"{name}.py" for name in ("app_mode", "draft", "exports")]
    lower = [ENGINE / f"{name}.py" for name in ("documents", "errors", "graph", "names", "nodes")]
    sources = [*(ENGINE / "ui_format").glob("*.py"), *reading, *lower, BUNDLED]
    for path in sorted(sources):
        digest.update(path.read_bytes())
    folder = Path(tempfile.gettempdir()) / f"official-workflows-{os.getuid()}-{digest.hexdigest()[:16]}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():  # someone else's is not unpickled
        raise PermissionError(f"{folder} belongs to another user")
    return folder
