"""Named ComfyUI workflows with typed parameters.

```python
from engine import Catalog

workflow = Catalog(["."])["txt2img"]
values = workflow.validate({"prompt": "a lighthouse at dusk"})
graph = workflow.render(values)
```
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.catalog import Catalog
    from engine.workflow import Workflow

__all__ = ["Catalog", "Workflow", "bundled_workflows", "in_capitals", "is_true"]


def bundled_workflows() -> Path:
    """The folder with the workflows that come with the engine, where WORKFLOWS_PATH names no other.

    An image has those that were chosen in `workflows/`, beside the engine; a clone has all beside it.
    """
    above = Path(__file__).resolve().parent.parent
    return above / "workflows" if (above / "workflows" / "schemas").is_dir() else above


def in_capitals(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables by their names in capitals, for what is looked at before the settings, which take any case.

    Args:
        environment: the variables. One that is spelt in capitals comes before others; an empty one counts as not set.
    """
    spelt = sorted(environment.items(), key=lambda each: each[0].isupper())
    return {name.upper(): text for name, text in spelt if text}


def is_true(text: str | None) -> bool:
    """Whether a variable that is looked at before the settings are read says yes, in the words they take."""
    return (text or "").strip().lower() in ("1", "true", "t", "yes", "y", "on")


def __getattr__(name: str) -> Any:
    # Imported on first use: `import engine` (which every submodule's import runs) stays light.
    if name == "Catalog":
        from engine.catalog import Catalog

        return Catalog
    if name == "Workflow":
        from engine.workflow import Workflow

        return Workflow
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
