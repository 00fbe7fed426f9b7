"""Which names and origins a server answers to, and how often an address may ask."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.server.names import host_name
from engine.server.rates import Rate


@given(st.sampled_from(["localhost", "127.0.0.1", "::1", "pod-8000.proxy.example.com"]), st.none() | st.integers(1, 9))
def test_the_name_of_a_host_is_told_from_its_port(name, port):
    written = f"[{name}]" if ":" in name else name
    assert host_name(written.upper() + ("" if port is None else f":{port}")) == name


@given(st.text(max_size=40))
def test_no_other_host_passes_for_this_machine(text):
    name = host_name(text)
    if name in {"localhost", "127.0.0.1", "::1"}:
        rest = text.strip().lower().replace("[", "").replace("]", "")
        assert rest.startswith(name)
        assert rest[len(name) :].split(":")[0].strip(".") == "" or text.strip().startswith("[")


def test_an_address_may_ask_so_often_a_minute_and_others_all_the_same():
    clock = [0.0]
    rate = Rate(3, lambda: clock[0])
    assert [rate.wait("a") for _ in range(3)] == [0, 0, 0]
    assert rate.wait("a") == 20
    assert rate.wait("b") == 0
    clock[0] += 19
    assert rate.wait("a") == pytest.approx(1)
    clock[0] += 1.5
    assert rate.wait("a") == 0
    assert rate.wait("a") > 10


@given(st.lists(st.floats(0, 30), max_size=50))
def test_nobody_gets_more_than_a_minute_has_room_for(pauses):
    clock = [0.0]
    rate = Rate(5, lambda: clock[0])
    let_in = []
    for pause in pauses:
        clock[0] += pause
        if rate.wait("a") == 0:
            let_in.append(clock[0])
    for begin in let_in:  # a minute's worth at once, and a minute's worth while it passes
        assert sum(begin <= when < begin + 60 for when in let_in) <= 10
