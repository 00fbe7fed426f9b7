"""The line before ComfyUI's queue."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.waiting import wait_until

from engine.cancellation import CancellationToken
from engine.comfyui.line import Line
from engine.errors import Cancelled
from engine.order import Coming, next_order
from engine.row import Late


class Jobs:
    """Threads that pass a line, each until it is told to go on."""

    def __init__(self, line):
        self.line = line
        self.passed = []
        self.leave = {}
        self._changed = threading.Condition()
        self._pool = ThreadPoolExecutor(16)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self.leave.values():
            each.set()
        self._pool.shutdown()

    def come(self, order, cancel=None, seconds=20.0):
        """One comes to the line."""
        self.leave[order] = threading.Event()
        return self._pool.submit(self._pass, order, cancel or CancellationToken(), seconds)

    def _pass(self, order, cancel, seconds):
        with self.line.place(order, cancel, seconds) as place:
            with self._changed:
                self.passed.append(order)
                self._changed.notify_all()
            self.leave[order].wait(20)
            place.leave()
            place.leave()  # of no further effect

    def wait_for(self, count):
        """So many have passed in all."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.passed) >= count, 20)


@given(st.permutations(range(6)))
@settings(max_examples=15)
def test_those_that_wait_pass_in_their_order_and_no_more_than_there_is_room_for(come):
    line = Line(room=1)
    with Jobs(line) as jobs:
        jobs.come(100)
        jobs.wait_for(1)
        waiting = [jobs.come(order) for order in come]
        wait_until(lambda: len(line) == len(come))
        jobs.leave[100].set()
        for count, order in enumerate(range(6), start=2):
            jobs.wait_for(count)
            assert len(jobs.passed) == count
            jobs.leave[order].set()
        for each in waiting:
            each.result(20)
    assert jobs.passed == [100, *range(6)]


def test_who_is_not_ready_keeps_nobody_back():
    with Jobs(Line(room=2)) as jobs:
        jobs.come(5)
        jobs.come(4)
        jobs.wait_for(2)  # 0 to 3 are still fetching their inputs
        jobs.come(3)
        jobs.leave[5].set()
        jobs.wait_for(3)
    assert jobs.passed[2] == 3


def test_of_those_that_were_taken_together_the_first_passes_first_whoever_is_ready_first():
    coming = Coming()
    with contextlib.ExitStack() as taken, Jobs(Line(room=1, moment_seconds=60, expected=coming)) as jobs:
        first, second, third = (taken.enter_context(coming.job()) for _ in range(3))
        jobs.come(third)
        jobs.come(second)
        wait_until(lambda: len(jobs.line) == 2)
        assert jobs.passed == []
        jobs.come(first)
        for count, order in enumerate((first, second, third), start=1):
            jobs.wait_for(count)
            jobs.leave[order].set()
    assert jobs.passed == [first, second, third]


def test_one_that_was_refused_is_not_waited_for_nor_one_that_nobody_announced():
    coming, cancel = Coming(), CancellationToken()
    line = Line(room=1, moment_seconds=60, expected=coming)
    with coming.job():
        pass  # it is over, and never came
    next_order()  # somebody's who goes to another ComfyUI
    with coming.job() as order, line.place(order, cancel, 60):
        pass


def test_one_that_takes_long_is_not_waited_for_again_once_a_later_one_has_passed():
    coming, cancel = Coming(), CancellationToken()
    line = Line(room=1, moment_seconds=0.01, expected=coming)
    with coming.job() as slow, coming.job() as second, coming.job() as third:
        with line.place(second, cancel, 60):
            pass  # after the moment
        line = Line(room=1, moment_seconds=60, expected=coming)
        for order in (third, slow, slow, second):  # one that is run again is an elder of those after it
            with line.place(order, cancel, 60):
                pass


def test_a_cancelled_one_and_a_late_one_leave_the_line_to_the_others():
    cancel = CancellationToken()
    with Jobs(Line(room=1)) as jobs:
        jobs.come(0)
        jobs.wait_for(1)
        cancelled, late, last = jobs.come(1, cancel), jobs.come(2, seconds=0.0), jobs.come(3)
        cancel.cancel()
        with pytest.raises(Cancelled):
            cancelled.result(20)
        with pytest.raises(Late):
            late.result(20)
        jobs.leave[0].set()
        jobs.wait_for(2)
        jobs.leave[3].set()
        last.result(20)
    assert jobs.passed == [0, 3]


def test_a_place_is_free_again_whatever_ends_the_block():
    line = Line(room=1)
    with pytest.raises(ZeroDivisionError), line.place(0, CancellationToken(), 0.0):
        raise ZeroDivisionError
    with line.place(1, CancellationToken(), 0.0):
        pass
