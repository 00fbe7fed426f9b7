"""RunPod's entry point: the same as `engine worker`."""

import sys

from engine.cli import worker

if __name__ == "__main__":
    worker(sys.argv[1:])
