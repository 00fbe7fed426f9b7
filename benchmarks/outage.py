"""What becomes of results while their bucket is away.

Fifty jobs run, a few at once, on the simulator; the bucket is a real S3 server, which is stopped after the fifth and
started again after a minute. Half of the jobs make more than their reply takes. In the end every object is looked at.
"""

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))


def main(options):
    from support.outage import through_an_outage
    from support.s3 import serve_s3_with_outages

    from engine.comfyui import ComfyUI
    from engine.simulator import Simulator

    with (
        tempfile.TemporaryDirectory() as folder,
        serve_s3_with_outages(Path(folder) / "s3") as outages,
        Simulator() as simulator,
        ComfyUI(simulator.url) as comfy,
    ):
        seen = through_an_outage(
            comfy,
            outages,
            Path(folder),
            jobs=options.jobs,
            at_once=options.at_once,
            away=lambda: time.sleep(options.seconds),
            upload_retry_seconds=options.retry_seconds,
        )
    print(f"{options.jobs} jobs, {options.at_once} at once; the bucket away for {options.seconds:g} s")
    print(f"  {seen.in_bucket} in the bucket at once, {seen.in_reply} in the reply, {seen.kept} named and kept")
    print(f"  {len(seen.failed)} failed otherwise", *seen.failed, sep="\n    ")
    print(f"  {seen.right} objects with the right bytes in the end, {seen.seconds:.1f} s after the bucket came back")
    assert seen.right == options.jobs
    assert not seen.failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument(
        "--retry-seconds", type=float, default=5, help="that a job may lose; the engine's default is 20"
    )
    logging.basicConfig(level=logging.CRITICAL)  # each job says for itself that its bucket is away
    main(parser.parse_args())
