"""Makes docs/performance.md of what the benchmarks left in a folder (`--report`); `make bench` does it in the end.

What the page is made of is kept beside the plots, in docs/plots: the page can be made again from that, and looked over.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
KEPT = ROOT / "docs" / "plots"
MACHINE = "machine.json"
# In this order, others after them by name.
ORDER = ("overhead", "throughput", "startup", "render", "scale", "memory", "checks")

HEAD = """# Performance

`make bench` wrote this page: what it measured, and the bounds that it holds the engine to. Times depend on the
machine, so most numbers are ratios, each of rounds that alternate in one run. [Measuring](benchmarks.md) tells how to
make this page on a machine of yours, and how to put another worker beside this one.
"""


def documents(folder):
    """What the benchmarks left there, in the order of the page.

    Args:
        folder: of the JSON files.

    Raises:
        FileNotFoundError: there is nothing.
    """
    read = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    found = {document["name"]: document for document in read if "parts" in document}
    if not found:
        raise FileNotFoundError(f"{folder} has nothing that a benchmark left with --report")
    ordered = [name for name in ORDER if name in found]
    return [found[name] for name in (*ordered, *(name for name in found if name not in ordered))]


def page(reports, machine, plots="plots"):
    """The page.

    Args:
        reports: as `reporting.Report` keeps them.
        machine: label to text: what they were measured on.
        plots: where the pictures are, from the page.
    """
    held = [part for report in reports for part in report["parts"] if part.get("bound")]
    broken = [part for part in held if not part["kept"]]
    verdict = f"{len(held)} bounds, all kept." if not broken else f"{len(held)} bounds, {len(broken)} not kept:"
    lines = [HEAD, _table(["measured on", ""], [[label, text] for label, text in machine.items()]), "", verdict]
    lines += [f"- {_cell(part['what'])}: {_value(part)} ({part['bound']})" for part in broken]
    for report in reports:
        lines += ["", f"## {report['title']}", "", report["about"], "", f"`python benchmarks/{report['name']}.py`", ""]
        lines += _parts(report["parts"], plots)
    return "\n".join(lines) + "\n"


def _parts(parts, plots):
    """The lines of one report; figures that follow each other are one table."""
    lines, figures = [], []
    for part in [*parts, None]:
        if part and "what" in part:
            bound = part["bound"] if part["kept"] else f"**{part['bound']}: not kept**"
            figures.append([part["what"], _value(part), bound])
            continue
        if figures:
            lines += [_table(["", "measured", "bound"], figures), ""]
            figures = []
        if part is None:
            break
        if "say" in part:
            lines += [part["say"], ""]
        elif "header" in part:
            lines += [_table(part["header"], part["rows"]), ""]
        elif "plot" in part:
            lines += [f"![{part['caption']}]({plots}/{part['plot']})", "", f"*{part['caption']}*", ""]
    return lines[:-1]


def _value(part):
    return f"{part['value']:.{part['digits']}f} {part['unit']}".rstrip()


def _table(header, rows):
    lines = [_row(header), "|" + "---|" * len(header), *(_row(row) for row in rows)]
    return "\n".join(lines)


def _row(cells):
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def keep(folder, kept):
    """Puts what the page is made of where it is kept.

    Args:
        folder: that the benchmarks filled.
        kept: takes the JSON and the plots, in place of those of the time before.
    """
    reports = documents(folder)
    kept.mkdir(parents=True, exist_ok=True)
    for old in (*kept.glob("*.json"), *kept.glob("*.svg")):
        old.unlink()
    plots = [part["plot"] for report in reports for part in report["parts"] if "plot" in part]
    for name in (MACHINE, *(f"{report['name']}.json" for report in reports), *plots):
        shutil.copyfile(folder / name, kept / name)


def make(kept, target):
    """Writes the page from what is kept."""
    target.write_text(page(documents(kept), json.loads((kept / MACHINE).read_text())))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="what the benchmarks left; else what is kept")
    options = parser.parse_args(arguments)
    if options.report:
        try:
            keep(options.report, KEPT)
        except OSError as error:
            print(f"no page: {error}", file=sys.stderr)
            return 2
    make(KEPT, PAGE)
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
