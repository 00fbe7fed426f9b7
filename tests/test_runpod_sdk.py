"""RunPod's SDK is imported without the second that it spends on the name of the processor."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

LOADS = """
import json, sys
started = []
sys.addaudithook(lambda name, arguments: started.append(str(arguments[1])) if name == "subprocess.Popen" else None)
from engine.runpod_sdk import load_runpod
load_runpod()
import runpod, cpuinfo
from runpod.serverless.utils.rp_debugger import PROCESSOR
print(json.dumps([runpod is load_runpod(), PROCESSOR, started, hasattr(cpuinfo, "get_cpu_info_json")]))
"""


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="needs Linux")
def test_no_other_python_is_asked_it_knows_the_processor_and_leaves_the_library_as_it_is():
    told = subprocess.run([sys.executable, "-c", LOADS], check=True, capture_output=True, text=True, timeout=60).stdout
    is_it, processor, started, is_the_library = json.loads(told)
    assert is_it
    assert not [command for command in started if "cpuinfo" in command]
    assert is_the_library
    names = [line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    assert processor == (names[0] if names else "Unable to get processor info.")


def test_what_is_kept_out_of_its_import_is_still_in_it():
    # Where this fails the SDK needs one of them no longer: take it out of engine/runpod_sdk.py.
    code = "import sys, runpod; print(*({'cpuinfo', 'paramiko', 'tomlkit'} - sys.modules.keys()))"
    assert not subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_its_command_line_gets_the_libraries_once_it_uses_them():
    code = """
import sys
from engine.runpod_sdk import load_runpod
load_runpod()
assert not {"paramiko", "tomlkit"} & sys.modules.keys()
from runpod.cli.groups.config import functions as config
from runpod.cli.groups.ssh import functions as ssh
print(config.tomlkit.dumps({"key": 1}).strip(), ssh.paramiko.RSAKey.__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "key = 1 RSAKey"
