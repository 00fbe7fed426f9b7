"""How a conversion fails. Whoever asked for it says whose file it is."""

from __future__ import annotations

EXPORT_API = "in ComfyUI choose Workflow > Export (API), and take that file"
"""What helps where a conversion fails, whatever the reason."""


class NotConverted(Exception):
    """A graph in UI format could not be converted.

    Args:
        message: why, for people.
        hint: what to do about it.
        detail: for the log alone: what the program wrote.
    """

    def __init__(self, message: str, *, hint: str = EXPORT_API, detail: str = "") -> None:
        self.message = message
        self.hint = hint
        self.detail = detail
        super().__init__(message)


class ConverterMissing(NotConverted):
    """The program that converts is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "this is an export in UI format, and comfy-cli, which converts those, is not installed",
            hint=f"pip install 'comfy-cli>=1.23' beside the engine (some 300 MB); or {EXPORT_API}",
        )
