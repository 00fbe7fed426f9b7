"""What ComfyUI says, in words for people, and without what is nobody's business."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.comfyui.cleaning import first_line, without_paths
from engine.comfyui.complaints import execution_failure, gpu_is_unfit, process_is_broken, rejection
from engine.comfyui.outcome import outcome
from engine.errors import Cancelled, ExecutionFailed, OutOfMemory


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot open '/workspace/my models/x.png'", "cannot open 'x.png'"),
        ("cannot open /workspace/models/x.png: no such file", "cannot open x.png: no such file"),
        (r"cannot open C:\ComfyUI\models\x.png", "cannot open x.png"),
        ('File "C:/ComfyUI/models/x.png"', 'File "x.png"'),
        ("see ~/comfy/log.txt", "see log.txt"),
        ("in /workspace/models/", "in …"),
        ("fetch https://example.com/a/b.png", "fetch https://example.com/a/b.png"),
        ("either/or, 3/4, width / height", "either/or, 3/4, width / height"),
    ],
)
def test_paths_of_the_machine_are_shortened(text, shown):
    assert without_paths(text) == shown


def test_only_the_first_line_that_says_something_is_shown():
    assert first_line("\n  broken \nmore\n") == "broken"
    assert len(first_line("no " * 5000)) == 500


def error(**more):
    return {
        "node_id": "3",
        "node_type": "KSampler",
        "exception_type": "ValueError",
        "exception_message": "bad shape in '/workspace/ComfyUI/nodes.py'\nsecond line",
        "traceback": ["line 1\n", "line 2\n"],
        "current_inputs": {"api_key": ["hunter2"]},
    } | more


def test_a_failure_names_the_node_and_keeps_the_traceback_for_the_log():
    failure = execution_failure(error())

    assert failure.message == "KSampler (3) failed: bad shape in 'nodes.py'"
    assert failure.detail.startswith("line 1\nline 2\nValueError: bad shape in '/workspace/ComfyUI/nodes.py'")
    assert "hunter2" not in f"{failure.failure()} {failure.detail}"


def test_a_failure_names_the_nodes_title():
    graph = {"3": {"class_type": "KSampler", "inputs": {}, "_meta": {"title": "Second pass"}}}

    assert execution_failure(error(), graph).message == "KSampler \"Second pass\" (3) failed: bad shape in 'nodes.py'"
    assert execution_failure(error(exception_type="MemoryError"), graph).message == (
        'KSampler "Second pass" (3) ran out of memory'
    )


def test_a_failure_holds_no_secret_in_its_message_nor_in_the_log():
    url = "https://user:hunter2@models.example/x.safetensors?X-Amz-Signature=0123456789abcdef0123456789abcdef"
    failure = execution_failure(error(exception_message=f"404 for {url} with token=hunter2"))

    assert failure.message == "KSampler (3) failed: 404 for https://models.example/x.safetensors?… with token=…"
    assert "hunter2" not in failure.detail
    assert "Signature" not in failure.detail


@pytest.mark.parametrize(
    ("message", "broken"),
    [
        ("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be", True),
        ("CUDA error: device-side assert triggered", True),
        ("Error in the pack:\nCUDA error: misaligned address", True),
        ("HIP error: unspecified launch failure", True),
        ("CUDA error: uncorrectable ECC error encountered", True),
        ("CUDA error: the launch timed out and was terminated", True),
        ("CUDA error: no kernel image is available for execution on the device", False),
        ("CUDA error: out of memory", False),
        ("CUDA error: invalid argument", False),
        ("bad shape", False),
    ],
)
def test_the_errors_that_break_the_process_are_known(message, broken):
    assert process_is_broken(execution_failure(error(exception_message=message))) is broken


def test_other_errors_break_no_process():
    assert not process_is_broken(ValueError("CUDA error: device-side assert triggered"))
    assert not process_is_broken(Cancelled("device-side assert"))


def test_a_gpu_that_pytorch_does_not_support_is_said():
    message = "CUDA error: no kernel image is available for execution on the device"
    failure = execution_failure(error(exception_message=message))

    assert gpu_is_unfit(failure)
    assert "another kind of GPU" in failure.hint
    assert not gpu_is_unfit(execution_failure(error()))


JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=40) | st.lists(st.text(max_size=9), max_size=3)


@given(
    st.dictionaries(
        st.sampled_from(["node_id", "node_type", "exception_type", "exception_message", "traceback"]), JSON, max_size=5
    )
)
def test_no_execution_error_is_too_strange(data):
    failure = execution_failure(data, {"1": {"_meta": 7}})

    assert failure.message
    assert "\n" not in failure.message
    assert process_is_broken(failure) in {True, False}


def test_a_huge_execution_error_is_bounded():
    huge = {
        "node_id": "1" * 9999,
        "node_type": "c" * 99999,
        "exception_message": "word " * 999999,
        "traceback": ["x " * 999999],
    }
    failure = execution_failure(huge)

    assert len(failure.message) < 1000
    assert len(failure.detail) <= 20_000


def test_a_failure_without_a_message_is_named_by_its_type():
    failure = execution_failure(error(exception_message="", exception_type="some.pack.OddError"))

    assert failure.message == "KSampler (3) failed: OddError"


@pytest.mark.parametrize(
    "facts",
    [
        {"exception_type": "torch.OutOfMemoryError"},
        {"exception_type": "torch.cuda.OutOfMemoryError"},
        {"exception_type": "MemoryError", "exception_message": ""},
        {"exception_type": "RuntimeError", "exception_message": "CUDA error: out of memory"},
        {"exception_type": "RuntimeError", "exception_message": "DefaultCPUAllocator: can't allocate memory"},
        {"exception_message": "Allocation on device 0 would exceed allowed memory."},
    ],
)
def test_running_out_of_memory_is_told_from_other_failures(facts):
    failure = execution_failure(error(**facts))

    assert isinstance(failure, OutOfMemory)
    assert failure.message == "KSampler (3) ran out of memory"
    assert "smaller" in failure.hint


@pytest.mark.parametrize("answer", [None, [], "text", {}, {"error": "text"}, {"error": None, "node_errors": []}])
def test_an_answer_of_no_known_form_is_still_a_sentence(answer):
    assert rejection(answer, {}).message.startswith("ComfyUI refused the graph")


def test_values_are_quoted_in_part_only():
    complaint = {
        "type": "invalid_input_type",
        "message": "Failed to convert",
        "details": "",
        "extra_info": {"input_name": "width", "input_config": ["INT", {}], "received_value": "x" * 5000},
    }
    refused = rejection({"error": {}, "node_errors": {"1": {"errors": [complaint], "class_type": "A"}}}, {})

    assert refused.message.startswith('A (1).width: must be a whole number (got "xxx')
    assert len(refused.message) < 200


def ended(status, *messages, outputs=None):
    entry = {"outputs": outputs or {}, "status": {"status_str": status, "messages": [list(each) for each in messages]}}
    return outcome(entry, prompt_id="id", graph={}, node_errors={}, elapsed_seconds=5.0, queue_seconds=None)


START = ("execution_start", {"timestamp": 1_000_000})


def test_times_come_from_the_history():
    execution = ended("success", START, ("execution_success", {"timestamp": 1_002_500}), outputs={"9": {"images": []}})

    assert (execution.execute_seconds, execution.queue_seconds) == (2.5, 2.5)
    assert execution.outputs == {"9": {"images": []}}


def test_an_interruption_is_no_failure():
    with pytest.raises(Cancelled):
        ended("error", START, ("execution_interrupted", {"node_id": "3"}))


def test_an_error_without_a_reason_is_a_failure():
    with pytest.raises(ExecutionFailed):
        ended("error", START)


def test_a_branch_that_failed_in_a_success_is_a_warning():
    execution = ended("success", START, ("execution_error", error()), ("execution_success", {"timestamp": 1_000_001}))

    assert execution.warnings == ("KSampler (3) failed: bad shape in 'nodes.py'",)
