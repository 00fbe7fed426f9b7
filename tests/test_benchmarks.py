"""The benchmarks run, and docs/performance.md is what they found."""

import json
import os
import re
import subprocess
import sys

import pytest
from support.workflows import ROOT

BENCHMARKS = ROOT / "benchmarks"
PROGRAMS = sorted(path.name for path in BENCHMARKS.glob("*.py") if "__main__" in path.read_text())
# What a pod runs, or a ComfyUI: not for people.
NOT_FOR_PEOPLE = {"plain_worker.py"}
KEPT = ROOT / "docs" / "plots"


def run(program, *arguments, **options):
    return subprocess.run(
        [sys.executable, BENCHMARKS / program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )


def imported(name):
    """A module of the benchmarks, which are programs and no package."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.mark.parametrize("program", [name for name in PROGRAMS if name not in NOT_FOR_PEOPLE])
def test_every_program_says_what_it_does_and_takes(program):
    done = run(program, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
    assert len(done.stdout.split("\n\n")[1]) > 40  # the sentences about it


def test_make_bench_runs_programs_that_exist_and_that_the_page_about_them_names():
    programs = imported("all").PROGRAMS
    told = set(re.findall(r"^\| `(\w+)\.py` \|", (ROOT / "docs" / "benchmarks.md").read_text(), re.MULTILINE))
    assert told == set(programs)
    assert not [name for name in programs if not (BENCHMARKS / f"{name}.py").is_file()]


def test_the_page_has_every_number_its_bound_and_every_plot(tmp_path):
    page, report = imported("page"), imported("reporting").Report("made", "A title", "What it is.", tmp_path)
    report.say("On a machine.")
    report.figure("a job, against another", 1.234, "times", at_most=1.25)
    report.figure("jobs|a second", 19.0, at_least=20, digits=1)
    report.table(["who", "jobs"], [["we", "7"]])
    report.plot("curve", "A curve that rises.", lambda axes: axes.plot([1, 2, 3]))
    assert report.end() == 1  # one bound is not kept
    (tmp_path / "machine.json").write_text(json.dumps({"cores": "2"}))
    (tmp_path / "of-the-reader.json").write_text("[]")
    page.keep(tmp_path, tmp_path / "kept")
    page.make(tmp_path / "kept", tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert "| a job, against another | 1.23 times | at most 1.25 |" in text
    assert "| jobs\\|a second | 19.0 | **at least 20: not kept** |" in text
    assert "2 bounds, 1 not kept:" in text
    assert "| we | 7 |" in text
    assert "![A curve that rises.](plots/curve.svg)" in text
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["curve.svg", "machine.json", "made.json"]
    again = imported("reporting").Report("made", "A title", "What it is.", tmp_path / "again")
    again.plot("curve", "A curve that rises.", lambda axes: axes.plot([1, 2, 3]))
    drawn = [(folder / "curve.svg").read_bytes() for folder in (tmp_path, tmp_path / "again")]
    assert drawn[0] == drawn[1]  # the same numbers, the same file


def test_docs_performance_is_what_the_kept_numbers_give(tmp_path):
    page = imported("page")
    page.make(KEPT, tmp_path / "page.md")
    text = (ROOT / "docs" / "performance.md").read_text()
    assert text == (tmp_path / "page.md").read_text(), "make it again: python benchmarks/page.py"
    assert {path.name for path in KEPT.glob("*.svg")} == set(re.findall(r"\(plots/(.+?\.svg)\)", text))
    kept = "".join(path.read_text() for path in KEPT.iterdir()) + text
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|Users)/", kept)  # nothing of the machine but what it is


def test_the_readme_has_its_numbers_from_the_page():
    readme, page = ((ROOT / name).read_text() for name in ("README.md", "docs/performance.md"))
    measured = readme.split("## Measured")[1].split("## ")[0].split("`make authoring`")[0]
    bullets = "".join(line for line in measured.splitlines() if line.startswith(("-", " ")))
    numbers = set(re.findall(r"\d[\d,.]*\d|\d", bullets))
    assert numbers
    assert not [each for each in numbers if not re.search(rf"(?<![\d.]){re.escape(each)}(?![\d.]*\d)", page)]


def test_jobs_go_through_the_queue_beside_those_of_any_other_worker(tmp_path):
    template = tmp_path / "input.json"
    template.write_text('{"workflow": "{graph}", "more": [1]}')
    own = f"env THEIRS={{comfy_host}}:{{comfy_port}} {sys.executable} {BENCHMARKS / 'plain_worker.py'}"
    done = run(
        *(
            "throughput.py",
            "--lengths",
            "0.01",
            "--jobs",
            "2",
            "--round-trip",
            "0",
            "--bucket-delay",
            "0.01",
            "--no-plain",
        ),
        *("--peer", own, "--peer-name", "theirs", "--peer-input", template, "--report", tmp_path / "report"),
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
    )
    assert done.returncode in (0, 1), done.stderr  # 1: a bound that two jobs don't reach
    assert "Traceback" not in done.stderr
    (table, *_) = [
        part["rows"]
        for part in json.loads((tmp_path / "report" / "throughput.json").read_text())["parts"]
        if "rows" in part
    ]
    assert [row[0] for row in table] == ["ComfyUI alone", "this worker", "theirs"]
    assert all(float(row[2]) > 0 for row in table)
    assert (tmp_path / "report" / "timeline.svg").is_file()


@pytest.mark.parametrize(
    ("peer", "told"),
    [
        ("/nowhere/worker", "can't be started"),
        ("sh -c 'echo the reason >&2; exit 3'", "ended by itself, with status 3; its log ends with:\nthe reason"),
    ],
)
def test_a_worker_that_does_not_start_is_told_at_once_in_its_own_words(peer, told):
    arguments = ["--lengths", "0.01", "--jobs", "2", "--round-trip", "0", "--inline", "--no-plain"]
    done = run("throughput.py", *arguments, "--peer", peer, "--peer-name", "the/irs")
    assert done.returncode == 2
    assert told in done.stderr
    assert "the/irs" in done.stderr
    assert "job taken" not in done.stderr  # of the log of another worker
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("throughput.py", ["--lengths", "-1"]),
        ("throughput.py", ["--lengths", "0.4,"]),
        ("throughput.py", ["--lengths", "nan"]),
        ("throughput.py", ["--jobs", "0"]),
        ("throughput.py", ["--round-trip", "-1"]),
        ("throughput.py", ["--peer", "x", "--peer-input", "/nowhere"]),
        ("throughput.py", ["--peer", "'x"]),
        ("throughput.py", ["--peer-name", "x"]),
        ("overhead.py", ["--rounds", "1"]),
        ("render.py", ["--rounds", "0"]),
        ("scale.py", ["--most-nodes", "x"]),
        ("page.py", ["--report", "/nowhere"]),
    ],
)
def test_what_can_not_be_measured_is_wrong_usage(program, arguments):
    done = run(program, *(f"{arguments[0]}={arguments[1]}", *arguments[2:]))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr


def test_a_comfyui_that_does_not_start_is_told_with_what_it_wrote(tmp_path):
    (tmp_path / "main.py").write_text("raise SystemExit('No module named torch')")
    environment = {"PATH": os.environ["PATH"], "COMFY_HOME": str(tmp_path), "COMFY_PYTHON": sys.executable}
    done = run("overhead.py", env=environment)
    assert done.returncode == 2
    assert "could not measure: ComfyUI was started and ended at once with status 1" in done.stderr
    assert "No module named torch" in done.stderr
    assert "Traceback" not in done.stderr
