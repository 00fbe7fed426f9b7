"""How long the checks of pictures take, for a picture of 1024 by 1024 pixels and one of 4096 by 4096."""

import argparse
import statistics
import timeit

from reporting import Report, exit_with, options_of

ROUNDS = 7


def main():
    options = options_of(argparse.ArgumentParser(description=__doc__)).parse_args()
    from PIL import Image

    from engine.quality import CHECKS
    from engine.simulator.drawing import picture

    report = Report("checks", "Checks of pictures", "One check of one picture; the median of several.", options.report)
    small = picture((1024, 1024), {"prompt": "a portrait", "seed": 7})
    large = small.resize((4096, 4096), Image.Resampling.BICUBIC)
    rows = []
    for name, check in CHECKS.items():
        taken = [
            statistics.median(
                timeit.repeat(lambda each=each, check=check: check.score(each, each), number=1, repeat=ROUNDS)
            )
            for each in (small, large)
        ]
        rows.append([f"`{name}`", *(f"{seconds * 1e3:.1f} ms" for seconds in taken)])
    report.table(["check", "1024 x 1024", "4096 x 4096"], rows)
    return report.end()


if __name__ == "__main__":
    exit_with(main)
