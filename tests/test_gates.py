"""Quality gates by themselves: what a map's checks come to, and which of several tries is the best."""

import io
import math

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import validate
from PIL import Image
from support.command import run_engine
from support.media import picture
from support.workflows import make_workflow, sampler_graph, write_workflow

from engine.authoring.openapi import openapi_document
from engine.cancellation import CancellationToken
from engine.errors import InvalidPayload
from engine.gates import Gate
from engine.judging import judge
from engine.media import look_at
from engine.quality import CHECKS, Check
from engine.reporting import progress_document
from engine.results import OutputFile, Progress
from engine.verdicts import JudgedTry, QualityReport, Score, allowed_range, in_words

numbers = st.floats(-10, 10, allow_nan=False) | st.integers(-10, 10)
bounds = st.none() | numbers
scores = st.builds(
    Score,
    check=st.sampled_from(["a", "b"]),
    output=st.just("image"),
    index=st.integers(0, 3),
    score=bounds,
    minimum=bounds,
    maximum=bounds,
)


def score(value, minimum=None, maximum=None, index=0, message=None):
    return Score("c", "image", index, value, minimum, maximum, message)


def gated_map(**more):
    return {
        "parameters": {
            "prompt": {"type": "string", "default": "x", "bind": "$['6'].inputs.text"},
            "seed": {"type": "seed", "bind": "$['3'].inputs.seed"},
        },
        "outputs": {"image": {"node": "9", "kind": "image"}},
        "accept": [{"check": "not_black"}],
        **more,
    }


@given(value=numbers, minimum=bounds, maximum=bounds)
def test_a_score_passes_within_its_bounds_alone(value, minimum, maximum):
    within = (minimum is None or value >= minimum) and (maximum is None or value <= maximum)
    found = score(value, minimum, maximum)
    assert found.passed == within
    assert (found.shortfall == 0) == within
    assert found.as_dict()["passed"] == within


def test_no_score_never_passes():
    assert not score(None).passed
    assert score(None).shortfall == math.inf


@given(st.lists(scores, min_size=1, max_size=6))
def test_a_try_is_accepted_where_all_of_it_passes(found):
    judged = JudgedTry(1, {"seed": 1}, found)
    assert judged.accepted == all(each.passed for each in found)
    assert judged.as_dict()["accepted"] == judged.accepted
    assert len(judged.as_dict()["scores"]) == len(found)


@given(st.lists(st.lists(scores, min_size=1, max_size=4), min_size=1, max_size=5))
def test_the_best_try_is_accepted_or_fails_the_fewest_checks(all_scores):
    tries = [JudgedTry(number, {}, found) for number, found in enumerate(all_scores, 1)]
    best = min(tries, key=lambda each: each.rank)
    assert len(best.failed) == min(len(each.failed) for each in tries)
    assert best.accepted == any(each.accepted for each in tries)


def test_of_tries_that_fail_as_many_checks_the_nearest_is_the_best_and_of_the_same_the_first():
    far, near = score(0.01, minimum=0.1), score(0.09, minimum=0.1)
    tries = [JudgedTry(number, {}, [each]) for number, each in enumerate((far, near, near), 1)]
    assert min(tries, key=lambda each: each.rank).number == 2
    # A bound of 1000 that is missed by 1 is missed by less than one of 0.1 by 0.05.
    tries = [JudgedTry(1, {}, [score(0.05, minimum=0.1)]), JudgedTry(2, {}, [score(1001, maximum=1000)])]
    assert min(tries, key=lambda each: each.rank).number == 2
    unreadable = JudgedTry(1, {}, [score(None, minimum=0.1)])
    assert min([unreadable, JudgedTry(2, {}, [far])], key=lambda each: each.rank).number == 2


def test_scores_are_told_in_words():
    assert str(score(0.003, 0.02, 0.9)) == "c of image is 0.003, must be from 0.02 to 0.9"
    assert str(score(2, maximum=1, index=1)) == "c of image[1] is 2, must be at most 1"
    assert str(score(0.5, minimum=0.1)) == "c of image is 0.5"
    assert str(score(None, minimum=0.1)) == "c of image could not be judged, must be at least 0.1"


def test_a_score_that_does_not_pass_is_told_in_the_maps_own_words():
    assert (
        str(score(0, minimum=1, message="nobody is there")) == "nobody is there (c of image is 0, must be at least 1)"
    )
    assert str(score(1, minimum=1, message="nobody is there")) == "c of image is 1"
    # What could not be looked at may well show somebody.
    assert (
        str(score(None, minimum=1, message="nobody is there")) == "c of image could not be judged, must be at least 1"
    )


def test_what_is_said_to_many_pictures_is_said_once():
    batch = [score(0, minimum=1, index=index, message="nobody is there") for index in range(2)]
    assert in_words([*batch, score(None, minimum=1, index=2, message="nobody is there"), score(3, maximum=2)]) == (
        "nobody is there (c of image is 0, must be at least 1, c of image[1] is 0, must be at least 1); "
        "c of image[2] could not be judged, must be at least 1, c of image is 3, must be at most 2"
    )
    assert allowed_range(None, None) == "anything"


def test_a_report_shows_every_try():
    tries = [JudgedTry(1, {"seed": 7}, [score(0.5, minimum=1)]), JudgedTry(2, {"seed": 8}, [score(1, minimum=1)])]
    assert QualityReport(tries[1], tries).as_dict() == {
        "accepted": True,
        "try": 2,
        "tries": [
            {
                "try": number,
                "accepted": number == 2,
                "values": {"seed": 6 + number},
                "scores": [
                    {
                        "check": "c",
                        "output": "image",
                        "index": 0,
                        "score": number / 2,
                        "min": 1,
                        "max": None,
                        "passed": number == 2,
                    }
                ],
            }
            for number in (1, 2)
        ],
    }


def test_what_a_map_leaves_out(tmp_path):
    workflow = make_workflow(tmp_path, gated_map())
    (gate,) = workflow.gates.entries
    check = CHECKS["not_black"]
    assert (gate.output, gate.minimum, gate.maximum) == ("image", check.minimum, check.maximum)
    assert (workflow.gates.retries, workflow.gates.otherwise, workflow.gates.seeds) == (3, "best", ("seed",))
    document = gated_map(accept=[{"check": "not_black", "min": 0.5}], retries=1, otherwise="fail")
    del document["parameters"]["seed"]
    del document["retries"]
    workflow = make_workflow(tmp_path, document, name="seedless")
    assert (workflow.gates.entries[0].minimum, workflow.gates.retries, workflow.gates.seeds) == (0.5, 0, ())
    without = make_workflow(tmp_path, {"parameters": {}, "outputs": {"image": {"node": "9"}}}, name="without")
    assert not without.gates
    assert without.describe()["quality"] is None


def test_a_seed_that_is_written_nowhere_is_none_to_draw(tmp_path):
    """One that only decides whether a check applies changes no picture."""
    document = gated_map(accept=[{"check": "not_black", "when": "seed > 3"}])
    del document["parameters"]["seed"]["bind"]
    assert make_workflow(tmp_path, document).gates.retries == 0


def test_an_output_without_a_name_is_judged_under_its_node(tmp_path):
    document = gated_map()
    del document["outputs"]
    assert make_workflow(tmp_path, document).gates.entries[0].output == "9"


@pytest.mark.parametrize(
    ("parameters", "named", "expected"),
    [
        ({"image": "image"}, None, "image"),
        ({"image": "image", "mask": "mask"}, None, "image"),
        ({"image": "image", "mask": "mask"}, "mask", "mask"),
        ({"image": "image", "control_image": "image"}, "control_image", "control_image"),
    ],
)
def test_a_check_that_compares_finds_its_picture(tmp_path, parameters, named, expected):
    document = gated_map(accept=[{"check": "not_identical_to_input", **({"input": named} if named else {})}])
    graph = sampler_graph()
    for index, (name, kind) in enumerate(parameters.items()):
        node = str(20 + index)
        graph[node] = {"class_type": "LoadImage", "inputs": {"image": "x.png"}}
        document["parameters"][name] = {"type": kind, "bind": f"$['{node}'].inputs.image"}
    workflow = make_workflow(tmp_path, document, graph)
    assert workflow.gates.entries[0].input == expected
    assert workflow.applying_gates(workflow.validate({})) == ()  # where none was sent there is nothing to compare
    sent = workflow.validate({expected: "https://example.com/a.png"})
    assert workflow.applying_gates(sent) == workflow.gates.entries


def test_only_the_seeds_that_are_named_are_drawn_anew_and_rules_still_hold(tmp_path):
    document = gated_map(rules=[{"that": "seed < 2", "message": "a small seed"}])
    document["parameters"]["seed"]["maximum"] = 3
    document["parameters"]["other"] = {"type": "seed", "default": 9}
    document["computed"] = {"$['3'].inputs.steps": "1 + other % 3"}
    workflow = make_workflow(tmp_path, document)
    values = workflow.validate({"seed": 0})
    drawn = {workflow.with_seeds_drawn(values, ["other"])["other"] for _ in range(20)}
    assert len(drawn) > 1
    assert workflow.with_seeds_drawn(values, ["other"])["seed"] == 0
    refused = 0
    for _ in range(100):
        try:
            assert workflow.with_seeds_drawn(values, ["seed"])["seed"] < 2
        except InvalidPayload:
            refused += 1
    assert 0 < refused < 100


def test_progress_tells_the_try_from_the_second_on():
    assert "try" not in progress_document(Progress("3", "KSampler", 1, 2, 0.5))
    assert progress_document(Progress("3", "KSampler", 1, 2, 0.5, attempt=2))["try"] == 2


def seen(tmp_path, content, **how):
    path = tmp_path / "picture"
    path.write_bytes(content)
    return look_at(path, CancellationToken(), **how)


def saved(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def test_pictures_are_judged_as_people_see_them(tmp_path):
    upright = seen(tmp_path, picture((6, 4), "JPEG", orientation=6))
    assert (upright.mode, upright.size) == ("RGB", (4, 6))
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert seen(tmp_path, saved(clear)).getpixel((1, 1)) == (255, 255, 255)
    assert seen(tmp_path, picture(frames=3, form="GIF")).getpixel((1, 1))[0] < 30  # the first frame's red is 0
    sixteen = Image.new("I;16", (8, 8), 0x8000)
    assert seen(tmp_path, saved(sixteen)).getpixel((1, 1)) == (128, 128, 128)


def test_the_callers_pictures_are_compared_as_graphs_get_them(tmp_path):
    clear = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    assert seen(tmp_path, saved(clear), as_loaded=True).getpixel((1, 1)) == (200, 0, 0)
    upright = seen(tmp_path, picture((6, 4), "JPEG", orientation=6), as_loaded=True)
    assert (upright.mode, upright.size) == ("RGB", (4, 6))
    sixteen = Image.new("I;16", (8, 8), 0x8000)
    assert seen(tmp_path, saved(sixteen), as_loaded=True).getpixel((1, 1)) == (128, 128, 128)


def test_a_check_that_fails_costs_no_result(tmp_path, caplog):
    def broken(_, against):
        raise ZeroDivisionError

    path = tmp_path / "picture.png"
    path.write_bytes(picture())
    output = OutputFile("image", 0, "image", "9", "picture.png", path, "image/png", 1, "")
    gate = Gate("accept[0]", Check("broken", "nothing", broken, minimum=0), "image", 0)
    (found,) = judge([gate], [output], {}, CancellationToken())
    assert (found.score, found.passed) == (None, False)
    assert "a check failed" in caplog.text


@pytest.mark.parametrize(
    "content", [b"", b"no picture", picture()[:40], picture((90, 90))[:-40]], ids=["empty", "text", "header", "half"]
)
def test_what_can_not_be_read_is_no_picture(tmp_path, content):
    assert seen(tmp_path, content) is None


def test_a_caller_learns_what_a_result_must_be_like(tmp_path):
    document = gated_map(
        accept=[
            {"check": "not_black", "min": 0.1, "message": "it is night"},
            {"check": "sharpness", "when": "prompt != ''"},
        ],
        retries=2,
    )
    workflow = make_workflow(tmp_path, document)
    described = workflow.describe()["quality"]
    assert described["accept"][0] == {
        "check": "not_black",
        "measures": CHECKS["not_black"].measures,
        "output": "image",
        "min": 0.1,
        "message": "it is night",
    }
    assert (described["accept"][1]["when"], described["retries"], described["otherwise"]) == ("prompt != ''", 2, "best")
    printed = " ".join(run_engine(tmp_path, "describe", "made", WORKFLOWS_PATH=".").stdout.split())
    assert f"Must pass not_black of image at least 0.1: {CHECKS['not_black'].measures}. If not: it is night" in printed
    assert "a seed of the caller's own is kept, unless the request has `retries`" in printed
    assert "a result that does not is made anew with another seed, up to 2 times; if none passes, the best" in printed


def test_the_openapi_document_has_the_verdict_and_the_tries(tmp_path):
    gated, plain = (
        make_workflow(tmp_path, gated_map()),
        make_workflow(tmp_path, {**gated_map(), "accept": []}, name="p"),
    )
    document = openapi_document([gated, plain], delivery={"type": "object"})
    validate(document)
    schemas = document["components"]["schemas"]
    assert "retries" in schemas["MadeInput"]["properties"]
    assert "retries" not in schemas["PInput"]["properties"]
    assert "quality" in schemas["MadeResult"]["properties"]
    assert "quality" not in schemas["PResult"]["properties"]
    report = QualityReport(JudgedTry(1, {"seed": 2**60}, [score(None, 0.1)]), [JudgedTry(1, {}, [])]).as_dict()
    jsonschema.validate(report, {**schemas["Quality"], "components": document["components"]})


COLOUR = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 0}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "made"}},
}


def test_the_command_line_tells_the_tries(tmp_path, comfy_url):
    document = {
        "parameters": {"seed": {"type": "seed"}},
        "computed": {"$['1'].inputs.color": "0 if seed == 0 else 16777215"},
        "outputs": {"image": {"node": "9", "kind": "image"}},
        "accept": [{"check": "not_black"}],
    }
    write_workflow(tmp_path, "made", COLOUR, document)
    here = {"WORKFLOWS_PATH": ".", "COMFY_URL": comfy_url}
    done = run_engine(tmp_path, "run", "made", "-p", "seed=0", **here)
    assert "warning: the result did not pass the quality checks: not_black of image is 0" in done.stderr
    done = run_engine(tmp_path, "run", "made", "-p", "seed=0", "--retries", "2", **here)
    assert "try 1 (seed 0): not_black of image is 0, must be at least" in done.stderr
    assert "try 2 (seed " in done.stderr
    assert "): accepted" in done.stderr
    assert len(done.stdout.splitlines()) == 1
    done = run_engine(tmp_path, "run", "made", "--retries", "11", status=2, **here)
    assert "--retries" in done.stderr
