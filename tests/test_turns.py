"""Turns: who shares one, who waits, in which order."""

import threading

import pytest
from support.tokens import Watched

from engine.cancellation import CancellationToken
from engine.errors import Cancelled
from engine.order import Coming, next_order
from engine.row import Late
from engine.turns import Turns


class Told:
    """Turns that write down what begins and ends."""

    def __init__(self, **options):
        self.told = []
        self.turns = Turns(self.told.append, lambda: self.told.append("end"), **options)

    def hold(self, wanted, cancel=None, seconds=30, order=None):
        return self.turns.hold(wanted, cancel or CancellationToken(), seconds, order)


class Inside(threading.Thread):
    """Holds a turn until it is let go."""

    def __init__(self, told, wanted, order=None):
        super().__init__(daemon=True)
        self.told, self.wanted, self.order = told, wanted, order
        self.inside, self.go = threading.Event(), threading.Event()
        self.cancel = Watched()
        self.start()

    def run(self):
        with self.told.hold(self.wanted, self.cancel, order=self.order):
            self.told.told.append(f"in {self.wanted}")
            self.inside.set()
            self.go.wait(30)

    def let_go(self):
        self.go.set()
        self.join(30)


@pytest.fixture
def told():
    return Told()


def test_who_was_taken_before_goes_first_even_where_its_thread_comes_later(told):
    first, second, third = (next_order() for _ in range(3))
    with told.hold("a", order=first):
        waits = Inside(told, "b", order=third)
        assert waits.cancel.looked.wait(30)
        with told.hold("a", seconds=0.1, order=second):  # else it would come after b, with a switch each way
            assert not waits.inside.is_set()
    assert waits.inside.wait(30)
    waits.let_go()
    assert told.told == ["a", "end", "b", "in b", "end"]


def test_of_those_that_were_taken_together_the_first_has_the_first_turn_whoever_asks_first():
    expected = Coming()
    told = Told(moment_seconds=60, expected=expected)
    with expected.job() as first, expected.job() as second, expected.job() as third:
        last = Inside(told, "a", order=third)
        assert last.cancel.looked.wait(30)
        middle = Inside(told, "b", order=second)
        assert middle.cancel.looked.wait(30)
        assert told.told == []
        with told.hold("a", order=first):
            pass
        assert middle.inside.wait(30)
        middle.let_go()
        last.let_go()
    assert told.told == ["a", "end", "b", "in b", "end", "a", "in a", "end"]


def test_one_that_does_not_ask_is_waited_for_once():
    expected = Coming()
    with expected.job():
        pass  # it was refused
    with expected.job(), expected.job() as second, expected.job() as third:
        with Told(moment_seconds=0.01, expected=expected).hold("a", seconds=60, order=second):
            pass  # after the moment
        with Told(moment_seconds=60, expected=expected).hold("a", seconds=60, order=third):
            pass  # at once


def test_who_wants_the_same_shares_a_turn(told):
    with told.hold("a"), told.hold("a"):
        assert told.told == ["a"]
    with told.hold("b"):
        pass
    assert told.told == ["a", "end", "b", "end"]


def test_who_wants_something_else_waits_and_nobody_overtakes(told):
    first = Inside(told, "a")
    assert first.inside.wait(30)
    other = Inside(told, "b")
    assert other.cancel.looked.wait(30)
    late = Inside(told, "a")
    assert late.cancel.looked.wait(30)
    assert not late.inside.is_set()
    for each in (first, other, late):
        each.let_go()
    assert told.told == ["a", "in a", "end", "b", "in b", "end", "a", "in a", "end"]


def test_who_is_cancelled_waits_no_longer_and_is_in_nobodys_way(told, wait_until):
    cancel = CancellationToken()
    cancel.cancel()
    with told.hold("a"):
        with pytest.raises(Cancelled), told.hold("b", cancel):
            pass
        with told.hold("a"):
            pass
    assert told.told == ["a", "end"]


def test_the_wait_has_a_bound(told):
    with told.hold("a"), pytest.raises(Late), told.hold("b", seconds=0.1):
        pass
    with told.hold("b"):
        pass


def test_a_turn_that_can_not_begin_is_none(told):
    def begin(wanted):
        if wanted == "bad":
            raise ValueError(wanted)

    turns = Turns(begin, lambda: told.told.append("end"))
    with pytest.raises(ValueError, match="bad"), turns.hold("bad", CancellationToken(), 1):
        pass
    with turns.hold("good", CancellationToken(), 1):
        assert told.told == []
    assert told.told == ["end"]
