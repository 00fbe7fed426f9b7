"""How many jobs a worker has at once: by what the last ones took."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.runners import asked, refused, runner_on

from engine.intake import LOOK_SECONDS, POLL_SECONDS, Bounds, Intake, Ran, choose

SECONDS = st.floats(0, 10_000, allow_nan=False)
RAN = st.lists(st.builds(Ran, SECONDS, st.none() | SECONDS), max_size=16)
BOUNDS = st.builds(Bounds, st.integers(1, 64), st.floats(0, 600, allow_nan=False))
PRESENT = st.integers(1, 64)
BESIDE = LOOK_SECONDS + POLL_SECONDS
WIDE = Bounds(32, 30.0)


def jobs(*arguments):
    return choose(*arguments).jobs


def of(execute, besides=0.1, count=4):
    return [Ran(execute, besides)] * count


@pytest.mark.parametrize(
    ("execute", "expected"),
    [(0.0, 32), (0.01, 32), (0.1, 18), (0.4, 6), (2.0, 2), (5.0, 2), (6.7, 1), (10.0, 1), (600.0, 1)],
)
def test_short_jobs_come_together_and_long_ones_alone(execute, expected):
    assert jobs(1, of(execute), [], 0.05, WIDE) == expected


def test_a_new_worker_takes_one():
    assert choose(1, [], [], 0.0, WIDE).reason == "it is not known yet how long its jobs take"
    assert jobs(1, [], [], 0.0, WIDE) == jobs(6, [Ran(0.4)], [], 0.0, WIDE) == 1


def test_long_ones_that_take_long_to_store_are_worth_a_second_job():
    assert jobs(1, of(10.0, besides=5.0), [], 0.05, WIDE) == 2


@given(PRESENT, RAN, st.lists(SECONDS, max_size=4), SECONDS, BOUNDS)
def test_it_never_passes_its_bounds(present, ran, executing, round_trip, bounds):
    number = jobs(present, ran, executing, round_trip, bounds)
    longest = max([*(each.execute_seconds for each in ran), *executing], default=0.0)
    assert 1 <= number <= bounds.most
    assert (number - 1) * longest <= bounds.hold_seconds * (1 + 1e-9)


@given(PRESENT, RAN, st.floats(0, 100), BOUNDS, st.data())
def test_one_long_job_is_enough_for_one_at_a_time(present, ran, round_trip, bounds, data):
    most_lost = max((each.besides_seconds or 0.0 for each in ran), default=0.0) + 2 * round_trip + BESIDE
    long = data.draw(st.floats(6 * most_lost, 1e6))
    place = data.draw(st.integers(0, len(ran)))
    assert jobs(present, [*ran[:place], Ran(long), *ran[place:]], [], round_trip, bounds) == 1
    assert jobs(present, ran, [long], round_trip, bounds) == 1


@given(PRESENT, RAN, st.lists(SECONDS, max_size=4), SECONDS, BOUNDS, st.floats(1, 10))
def test_longer_executions_never_mean_more_jobs(present, ran, executing, round_trip, bounds, times):
    longer = [Ran(each.execute_seconds * times, each.besides_seconds) for each in ran]
    assert jobs(present, longer, executing, round_trip, bounds) <= jobs(present, ran, executing, round_trip, bounds)


@given(PRESENT, RAN, st.lists(SECONDS, max_size=4), SECONDS, SECONDS, BOUNDS)
def test_what_is_lost_never_means_fewer_jobs(present, ran, executing, round_trip, more, bounds):
    fewer = jobs(present, ran, executing, round_trip, bounds)
    assert jobs(present, ran, executing, round_trip + more, bounds) >= fewer


@given(PRESENT, RAN, st.lists(SECONDS, max_size=4), SECONDS, BOUNDS)
def test_a_number_that_was_chosen_stays(present, ran, executing, round_trip, bounds):
    chosen = jobs(present, ran, executing, round_trip, bounds)
    assert jobs(chosen, ran, executing, round_trip, bounds) == chosen


@given(st.floats(0.03, 5), st.floats(0.95, 1.05))
def test_it_is_not_changed_for_a_small_difference(execute, times):
    """It would empty the worker each time."""
    chosen = jobs(1, of(execute), [], 0.05, Bounds(64, math.inf))
    assert jobs(chosen, of(execute * times), [], 0.05, Bounds(64, math.inf)) == chosen


@pytest.mark.parametrize("seed", range(3))
def test_mixed_lengths_leave_it_as_it_is(seed):
    """Which of two lengths the most of the last jobs had, changes all the time."""
    draw = random.Random(seed)
    intake, at_once = Intake(WIDE), [1]
    for number in range(500):
        intake.ended(number, Ran(draw.choice([0.4, 2.0]), 0.1))
        at_once.append(intake.choose(at_once[-1]).jobs)
    assert sum(before != after for before, after in itertools.pairwise(at_once)) <= 5


def test_one_trivial_job_does_not_have_all_those_taken_that_may_follow():
    assert [jobs(1, of(0.005, count=count), [], 0.05, WIDE) for count in (1, 2, 4)] == [8, 16, 32]


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_first_job_counts_where_it_was_short_until_another_has_run():
    intake = Intake(WIDE)
    intake.ended("a", Ran(0.4, 3.0))  # it opened connections: what it took besides is no measure
    assert intake.choose(1).jobs == 5
    intake.ended("b", Ran(2.0, 0.1))
    assert intake.choose(1).jobs == 2


def test_a_first_job_that_loads_models_says_nothing_and_one_that_executes_for_long_says_it_while_it_does():
    clock = Clock()
    intake = Intake(WIDE, clock)
    intake.ended("a", Ran(20.0, 5.0))
    assert intake.choose(1).jobs == 1
    intake.ended("b", Ran(0.4, 0.1))
    assert intake.choose(1).jobs == 5
    intake.executes("c")
    clock.now = 3
    intake.executes("c")
    assert intake.choose(5).jobs == 5
    clock.now = 7
    assert intake.choose(5).jobs == 1
    intake.ended("c", None)
    assert intake.choose(5).jobs == 5


def test_a_queue_far_away_means_more_jobs():
    intake = Intake(WIDE)
    for name in ("a", "b", "c"):
        intake.ended(name, Ran(0.4, 0.1))
    intake.posted(1.0)
    assert intake.choose(1).jobs == 11


def test_only_jobs_that_ran_count(comfy, tmp_path):
    runner = runner_on(comfy, tmp_path)
    for _ in range(3):
        refused(runner, {"workflow": "resize", "payload": {"width": -1}})
        asked(runner, {"action": "list"})
    assert runner.intake.choose(1).jobs == 1
    asked(runner, {"workflow": "resize", "payload": {"width": 16}})
    assert runner.intake.choose(1).jobs > 1


def test_a_worker_that_is_replaced_after_each_job_takes_one(comfy, tmp_path):
    runner = runner_on(comfy, tmp_path, refresh_worker=True)
    for width in (16, 17, 18):
        asked(runner, {"workflow": "resize", "payload": {"width": width}})
    assert runner.intake.choose(1).jobs == 1
