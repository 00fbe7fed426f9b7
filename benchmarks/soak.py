"""Jobs by the hundred through the RunPod SDK under random faults and cancels: see tests/support/soak.py."""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.soak import soak


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="keep the logs there (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as temporary:
        folder = options.folder or Path(temporary)
        summary = soak(folder, seed=options.seed, jobs=options.jobs, workers=options.workers)
    print(f"seed {options.seed}: " + "\n".join(summary.lines()))
    return 1 if summary.violations else 0


if __name__ == "__main__":
    sys.exit(main())
