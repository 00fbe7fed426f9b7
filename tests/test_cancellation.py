"""Steps that can be left: what they give, what they raise, and what becomes of them when the job is cancelled."""

import contextvars
import gc
import threading
import weakref

import pytest

from engine.cancellation import CancellationToken, unless_cancelled
from engine.errors import Cancelled

WHERE = contextvars.ContextVar("where", default="nowhere")


def test_a_step_gives_what_it_gives_and_raises_what_it_raises():
    cancel = CancellationToken()
    assert unless_cancelled(lambda: 7, cancel) == 7
    assert unless_cancelled(lambda: None, cancel) is None
    with pytest.raises(ZeroDivisionError):
        unless_cancelled(lambda: 1 // 0, cancel)
    with pytest.raises(SystemExit):
        unless_cancelled(lambda: exit(3), cancel)


def test_what_a_failed_step_held_goes_with_its_error(wait_until):
    class Held:
        """Such as an open file, or a large answer."""

    held = []

    def fail():
        mine = Held()
        held.append(weakref.ref(mine))
        raise ZeroDivisionError

    gc.collect()
    gc.disable()
    try:
        with pytest.raises(ZeroDivisionError) as caught:
            unless_cancelled(fail, CancellationToken())
        del caught
        wait_until(lambda: held[0]() is None)  # its thread may still be at the line that handed the error over
    finally:
        gc.enable()


def test_a_step_knows_whose_it_is_and_the_next_in_its_thread_does_not():
    cancel = CancellationToken()
    token = WHERE.set("job-1")
    assert unless_cancelled(WHERE.get, cancel) == "job-1"
    WHERE.reset(token)
    assert unless_cancelled(WHERE.get, cancel) == "nowhere"


def test_threads_are_used_again():
    cancel = CancellationToken()
    threads = {unless_cancelled(threading.get_ident, cancel) for _ in range(50)}
    assert len(threads) < 10


def test_a_step_that_does_not_end_is_left_and_holds_up_no_other():
    cancels = [CancellationToken() for _ in range(20)]
    begun, ends = threading.Semaphore(0), threading.Event()
    left = []

    def leave(cancel):
        try:
            unless_cancelled(lambda: (begun.release(), ends.wait(20)), cancel)
        except Cancelled:
            left.append(cancel)

    jobs = [threading.Thread(target=leave, args=(cancel,)) for cancel in cancels]
    for each in jobs:
        each.start()
    for _ in jobs:
        assert begun.acquire(timeout=20)  # all at once
    assert unless_cancelled(lambda: "through", CancellationToken()) == "through"
    for each in cancels:
        each.cancel()
    for each in jobs:
        each.join(20)
    assert len(left) == 20
    ends.set()


def test_a_cancelled_job_begins_no_step():
    cancel = CancellationToken()
    cancel.cancel()
    begun = []
    with pytest.raises(Cancelled):
        unless_cancelled(lambda: begun.append(1), cancel)
    assert not begun
