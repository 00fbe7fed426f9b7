"""What the benchmarks have in common: how a number is printed, kept for the page, held to its bound, and drawn.

Each benchmark is a program that prints what it measures, and with `--report FOLDER` leaves it there for
`benchmarks/page.py`, which makes docs/performance.md of all of them.
"""

from __future__ import annotations

import json
import math
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

_WIDTH = 120


def options_of(parser: ArgumentParser) -> ArgumentParser:
    """Adds what every benchmark takes."""
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="leave the numbers and plots there, for the page")
    return parser


class Failed(Exception):
    """It can't be measured; the text says why."""


def exit_with(main: Callable[[], int]) -> NoReturn:
    """Runs a benchmark and ends with its status: 2 where there is nothing to measure, 130 where it was interrupted."""
    # What was started in sessions of its own would outlive this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    from requests import RequestException

    from engine.errors import EngineError

    try:
        sys.exit(main())
    except (Failed, EngineError, RequestException) as error:
        print(f"could not measure: {error}", file=sys.stderr)
        if detail := getattr(error, "detail", None):  # the log of a ComfyUI that was started here is gone by now
            print(detail, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def bounded(kind: type[int | float], least: float) -> Callable[[str], float]:
    """Reads a number of the command line, as argparse's `type`.

    Args:
        kind: of number.
        least: it must be that at least.
    """

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not math.isfinite(value) or value < least:
            words = "a whole number" if kind is int else "a number"
            raise ArgumentTypeError(f"it takes {words} of at least {least:g}, not {text!r}")
        return value

    return read


class Report:
    """What one benchmark says, printed as it comes.

    Args:
        name: of its program: `overhead`.
        title: a heading.
        about: what is measured, and how; sentences.
        folder: takes NAME.json and the plots; None keeps nothing.
    """

    def __init__(self, name: str, title: str, about: str, folder: Path | None = None) -> None:
        self._name = name
        self._folder = folder
        self._parts: list[dict[str, Any]] = []
        self._document = {"name": name, "title": title, "about": about, "parts": self._parts}
        self._broken: list[str] = []
        print(f"{title}\n{about}\n")

    def say(self, text: str) -> None:
        """A sentence between the numbers."""
        self._parts.append({"say": text})
        print(text)

    def figure(
        self,
        what: str,
        value: float,
        unit: str = "",
        *,
        at_most: float | None = None,
        at_least: float | None = None,
        digits: int = 2,
    ) -> None:
        """One number, with the bound that it is held to, if any.

        Args:
            what: it is, with its conditions: "a trivial job over HTTP, against ComfyUI alone".
            value: measured.
            unit: `ms`, `MiB`, "times"; nothing for a share.
            at_most: it must not be above.
            at_least: it must not be below.
            digits: behind the point, where it is printed.
        """
        kept = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
        bound = "" if at_most is None else f"at most {at_most:g}"
        bound = bound if at_least is None else f"at least {at_least:g}"
        self._parts.append({"what": what, "value": value, "unit": unit, "bound": bound, "kept": kept, "digits": digits})
        if not kept:
            self._broken.append(what)
        verdict = f" ({bound}{'' if kept else ': NOT KEPT'})" if bound else ""
        print(f"{what}: {value:.{digits}f}{f' {unit}' if unit else ''}{verdict}")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Numbers in rows, as they are to be read."""
        kept = [list(row) for row in rows]
        self._parts.append({"header": list(header), "rows": kept})
        widths = [max(len(row[column]) for row in [list(header), *kept]) for column in range(len(header))]
        for row in [list(header), *kept]:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()[:_WIDTH])

    def plot(self, name: str, caption: str, draw: Callable[[Any], None]) -> None:
        """A picture, kept as NAME.svg where anything is.

        Args:
            name: of the file, without its suffix.
            caption: says what is to be seen.
            draw: gets matplotlib's Axes, and draws; titles and legends included.
        """
        if self._folder is None:
            return
        import matplotlib as mpl

        mpl.use("svg")
        # The same numbers give the same file; and text stays text.
        mpl.rcParams |= {"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.size": 10}
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 3.6), layout="constrained")
        draw(figure.subplots())
        self._folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(self._folder / f"{name}.svg", metadata={"Date": None})
        self._parts.append({"plot": f"{name}.svg", "caption": caption})

    def end(self) -> int:
        """Keeps what was said; gives the status to exit with, 1 where a bound was not kept."""
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / f"{self._name}.json").write_text(json.dumps(self._document, indent=1) + "\n")
        for what in self._broken:
            print(f"not kept: {what}", file=sys.stderr)
        print()
        return 1 if self._broken else 0
