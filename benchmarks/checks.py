"""How long the checks of pictures take, for a picture of 1024 by 1024 pixels and one of 4096 by 4096."""

import statistics
import timeit

from PIL import Image

from engine.quality import CHECKS
from engine.simulator.drawing import picture

ROUNDS = 7


def main():
    small = picture((1024, 1024), {"prompt": "a portrait", "seed": 7})
    large = small.resize((4096, 4096), Image.Resampling.BICUBIC)
    for name, check in CHECKS.items():
        taken = [
            statistics.median(
                timeit.repeat(lambda each=each, check=check: check.score(each, each), number=1, repeat=ROUNDS)
            )
            for each in (small, large)
        ]
        print(f"{name}: {taken[0] * 1e3:.1f} ms for 1024 x 1024, {taken[1] * 1e3:.1f} ms for 4096 x 4096")


if __name__ == "__main__":
    main()
