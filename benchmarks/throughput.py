"""Jobs per second through RunPod's SDK and a local queue, against ComfyUI alone; and how busy ComfyUI is meanwhile.

The queue is a round trip away, the bucket a delay. A job sleeps on ComfyUI, so that it and the worker don't fight for
the same cores. For each length the same jobs go, one block after the other, straight into ComfyUI, through this worker,
through the common worker (plain_worker.py) and any that `--peer` names, and straight into ComfyUI again.

`--peer 'COMMAND'` puts any other worker beside ours: COMMAND starts it, and may hold {comfy_host}, {comfy_port} and
{comfy_url}. It finds RUNPOD_… in its environment as a pod does, COMFY_URL, COMFY_HOST (host:port), COMFY_PORT, and the
bucket in BUCKET_ENDPOINT_URL, BUCKET_ACCESS_KEY_ID, BUCKET_SECRET_ACCESS_KEY and BUCKET_NAME; more with
`env NAME=VALUE COMMAND`. One that always asks 127.0.0.1:8188 wants `--comfy-port 8188`; one whose jobs' input is not
{"workflow": GRAPH} wants `--peer-input FILE`.
"""

import argparse
import contextlib
import itertools
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from reporting import Report, bounded, exit_with, options_of
from runs import FIRST, Blocks, alone, through_queue

# Longer jobs are run by two workers, to see how they share them: what could be lost between two is little by then.
LONG_SECONDS = 5.0
TRIVIAL_SECONDS = 0.05


def main():
    options = arguments()
    from pods import ours, plain
    from support.runpod_queue import serve_runpod_queue
    from under_test import can_be_two, comfyuis_under_test

    bucket_words = f"a bucket {1000 * options.bucket_delay:g} ms away" if options.bucket else "results in the replies"
    report = Report(
        "throughput",
        "Jobs through the queue",
        "Jobs that sleep, through RunPod's SDK and a local queue with a round trip of "
        f"{1000 * options.round_trip:g} ms, with {bucket_words}; all jobs wait in the queue from the start. "
        "`Once begun` leaves out the time up to the third result, by which a worker knows how long its jobs are. "
        "`Busy` is the share of the time in which the node slept: in which a GPU would have worked.",
        options.report,
    )
    long_ones = [seconds for seconds in options.lengths if seconds >= LONG_SECONDS]
    workers = 2 if long_ones and can_be_two() else 1
    with tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        contenders = [ours(folder), *([plain()] if options.plain else []), *options.peers]
        with contextlib.ExitStack() as stack:
            comfys = stack.enter_context(comfyuis_under_test(workers, options.comfy_port))
            bucket = stack.enter_context(_bucket(folder, options)) if options.bucket else None
            report.say(f"On {comfys[0].words}, with {contenders[0].name} and ComfyUI on one machine.")
            if comfys[0].why_not:
                report.say(f"Skipped: {comfys[0].why_not}.")
                return report.end()

            def run(contender, seconds, jobs, comfys):
                with serve_runpod_queue(delay_seconds=options.round_trip) as queue:
                    return through_queue(contender, seconds, jobs, comfys, queue, bucket, folder)

            shown = []
            for seconds in options.lengths:
                if seconds < LONG_SECONDS:
                    shown.append((seconds, compare(report, options, contenders, seconds, comfys[:1], run)))
                elif workers == 2:
                    share(report, options, contenders[0], seconds, comfys, run)
                else:
                    report.say(f"Jobs of {seconds:g} s are skipped: they want two ComfyUIs, and COMFY_URL names one.")
    draw(report, shown)
    return report.end()


def arguments():
    parser = options_of(
        argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    )
    parser.add_argument(
        "--round-trip", type=bounded(float, 0), default=0.05, metavar="SECONDS", help="to the queue and back"
    )
    parser.add_argument(
        "--bucket-delay", type=bounded(float, 0), default=0.08, metavar="SECONDS", help="of each request to it"
    )
    parser.add_argument("--inline", dest="bucket", action="store_false", help="no bucket: results go into the replies")
    parser.add_argument(
        "--lengths",
        type=lambda text: [bounded(float, 0)(each) for each in text.split(",")],
        default=[0.005, 0.4, 2.0, 10.0],
        metavar="SECONDS,…",
        help=f"of the jobs (0.005,0.4,2,10); from {LONG_SECONDS:g} s on they are shared by two workers",
    )
    parser.add_argument(
        "--jobs", type=bounded(int, 2), help="of each length; by default as many as take some twelve seconds"
    )
    parser.add_argument("--peer", action="append", default=[], metavar="COMMAND", help="starts another worker")
    parser.add_argument("--peer-name", action="append", default=[], metavar="NAME", help="of the peer in its place")
    parser.add_argument("--peer-input", type=Path, metavar="FILE", help='JSON of its input, "{graph}" for the graph')
    parser.add_argument("--no-plain", dest="plain", action="store_false", help="leave the common worker out")
    parser.add_argument("--comfy-port", type=bounded(int, 1), help="of the ComfyUI that is started for this")
    options = parser.parse_args()
    if len(options.peer_name) > len(options.peer):
        parser.error("--peer-name without a --peer")
    from pods import peer

    try:
        template = options.peer_input.read_text() if options.peer_input else None
        named = itertools.zip_longest(options.peer, options.peer_name)
        options.peers = [
            peer(name or f"peer {index}", command, template) for index, (command, name) in enumerate(named, 1)
        ]
    except (OSError, ValueError) as error:
        parser.error(f"--peer: {error}")
    return options


def _bucket(folder, options):
    from slow_bucket import serve_slow_bucket

    return serve_slow_bucket(folder / "bucket", options.bucket_delay)


def compare(report, options, contenders, seconds, comfys, run):
    """One length: everybody's rate, and the bounds; gives the runs by name."""
    ample = options.jobs or max(10, min(120, round(12 / max(seconds, 0.01))))
    runs = {}
    blocks = Blocks([alone(comfys[0], seconds, max(2, ample // 2))])
    for contender in contenders:
        # A second goes by between two jobs of a plain worker: fewer show it as well.
        jobs = ample if contender is contenders[0] else options.jobs or max(FIRST + 2, round(10 / (seconds + 1.1)))
        runs[contender.name] = run(contender, seconds, jobs, comfys)
    blocks.append(alone(comfys[0], seconds, max(2, ample // 2)))

    last = blocks[-1]
    words = f"{1000 * seconds:g} ms" if seconds < TRIVIAL_SECONDS else f"{seconds:g} s"
    counts = sum(len(each.ends) for each in blocks)
    rows = [
        ["ComfyUI alone", str(counts), f"{blocks.rate:.2f}", f"{blocks.rate_begun:.2f}", "1.00", last.busy(last.start)]
    ]
    rows += [
        [
            name,
            str(len(each.ends)),
            f"{each.rate:.2f}",
            f"{each.rate_begun:.2f}",
            f"{each.rate_begun / blocks.rate_begun:.2f}",
            each.busy(each.begun),
        ]
        for name, each in runs.items()
    ]
    report.table(
        [f"jobs of {words}", "jobs", "jobs/s, all", "once begun", "of ComfyUI alone", "busy, once begun"], rows
    )
    mine = runs[contenders[0].name]
    # Further away than the bounds were set for, nothing is held to them.
    near = options.round_trip <= 0.05 and options.bucket_delay <= 0.08
    if seconds < TRIVIAL_SECONDS:
        bound = 20.0 if near else None
        report.figure(
            f"jobs of {words} through the queue, once begun", mine.rate_begun, "a second", at_least=bound, digits=1
        )
    else:
        bound = (0.97 if seconds >= 2 else 0.95 if seconds >= 0.4 else None) if near else None
        share = mine.rate_begun / blocks.rate_begun
        report.figure(f"jobs of {words} through the queue, of ComfyUI alone, once begun", share, at_least=bound)
    report.figure(
        f"the first {FIRST} jobs of {words}, from the first take to the {FIRST}rd result", mine.begun - mine.start, "s"
    )
    print()
    return {"ComfyUI alone": blocks, **runs}


def share(report, options, contender, seconds, comfys, run):
    """Long jobs on two workers: each is to have its half."""
    jobs = options.jobs or 4
    jobs += jobs % 2
    shared = run(contender, seconds, jobs, comfys)
    counts = [sum(pod == f"pod-{number}" for pod, *_ in shared.spans) for number in (1, 2)]
    report.table(
        [f"jobs of {seconds:g} s on two workers", "seconds", "ComfyUI alone", "busy"],
        [
            [
                f"{counts[0]} and {counts[1]} jobs",
                f"{shared.ends[-1] - shared.start:.1f}",
                f"{jobs / 2 * seconds:.1f}",
                shared.busy(shared.start),
            ]
        ],
    )
    words = f"jobs of {seconds:g} s that one of two workers had more than the other"
    report.figure(words, abs(counts[0] - counts[1]), at_most=1, digits=0)
    print()


def draw(report, shown):
    """Rates by length, and one timeline."""
    if not shown:
        return

    def rates(axes):
        names = list(shown[0][1])
        width = 0.8 / len(names)
        for position, name in enumerate(names):
            heights = [runs[name].rate_begun / runs["ComfyUI alone"].rate_begun for _, runs in shown]
            places = [index + position * width for index in range(len(shown))]
            for place, height in zip(places, heights, strict=True):
                axes.text(place, height + 0.01, f"{height:.2f}", ha="center", fontsize=8)
            axes.bar(places, heights, width, label=name)
        axes.set_xticks(
            [index + 0.4 - width / 2 for index in range(len(shown))], [f"{seconds:g} s" for seconds, _ in shown]
        )
        axes.set_ylim(0, 1.3)
        axes.set_xlabel("length of a job on ComfyUI")
        axes.set_ylabel("jobs per second, of ComfyUI alone")
        axes.legend(ncols=len(names), loc="upper center", frameon=False, fontsize=8)

    report.plot("throughput", "Jobs per second by the length of a job, as a share of what ComfyUI does alone.", rates)
    seconds, runs = min(shown, key=lambda each: abs(each[0] - 0.4))
    flat = {name: each[-1] if isinstance(each, Blocks) else each for name, each in runs.items()}
    if any(each.slept is None for each in flat.values()):
        return

    def timeline(axes):
        for row, each in enumerate(flat.values()):
            axes.broken_barh(
                [(begin - each.start, end - begin) for begin, end in each.slept],
                (row - 0.35, 0.7),
                color=f"C{row}",
                edgecolor="white",
                linewidth=0.8,
            )
        axes.set_yticks(range(len(flat)), list(flat))
        axes.invert_yaxis()
        axes.set_xlim(0, max(min(each.ends[-1] - each.start for each in flat.values()), 16 * seconds))
        axes.set_xlabel("seconds since the first job was taken")

    report.plot(
        "timeline",
        f"When ComfyUI worked, on jobs of {seconds:g} s: every bar is a job, every gap is paid for.",
        timeline,
    )


if __name__ == "__main__":
    exit_with(main)
