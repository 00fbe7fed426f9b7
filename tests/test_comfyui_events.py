"""One websocket, jobs found by their prompt id."""

import threading

import pytest
from support.graphs import picture

from engine.comfyui import ComfyClient, new_prompt_id
from engine.comfyui.events import RECONNECTED, EventStream

LONG = 30.0


@pytest.fixture
def stream(comfy_url):
    stream = EventStream(comfy_url)
    stream.start()
    yield stream
    stream.close()


def until(subscription, wanted):
    """The events up to the first that is wanted."""
    events = []
    while not (events and wanted(events[-1])):
        event = subscription.next(LONG)
        assert event is not None, f"only these came: {events}"
        events.append(event)
    return events


def test_a_prompt_is_heard_from_its_start_to_its_end(stream, comfy):
    prompt_id = new_prompt_id()
    with stream.subscribe(prompt_id) as subscription:
        comfy.client.queue_prompt(picture(), prompt_id, stream.client_id)
        events = until(subscription, lambda event: event.is_end)

    types = [event.type for event in events]
    assert types[0] == "execution_start"
    assert "execution_success" in types
    assert {event.data["prompt_id"] for event in events} == {prompt_id}
    assert comfy.client.history(prompt_id) is not None


def test_two_prompts_are_told_apart(stream, comfy):
    first, second = new_prompt_id(), new_prompt_id()
    with stream.subscribe(first) as one, stream.subscribe(second) as two:
        for prompt_id in (first, second):
            comfy.client.queue_prompt(picture(), prompt_id, stream.client_id)
        for prompt_id, subscription in ((first, one), (second, two)):
            events = until(subscription, lambda event: event.is_end)
            assert {event.data["prompt_id"] for event in events} == {prompt_id}


def test_after_a_cut_it_listens_again_under_a_new_id_and_says_so(proxy):
    stream = EventStream(proxy.url)
    stream.start()
    client = ComfyClient(proxy.url)
    try:
        before = stream.client_id
        with stream.subscribe("a job that waits") as waiting:
            proxy.cut_websockets()
            until(waiting, lambda event: event.type == RECONNECTED)
        assert stream.client_id not in {None, before}

        prompt_id = new_prompt_id()
        with stream.subscribe(prompt_id) as subscription:
            client.queue_prompt(picture(), prompt_id, stream.client_id)
            until(subscription, lambda event: event.is_end)
    finally:
        stream.close()
        client.close()


def test_without_a_server_there_is_no_id_and_no_wait(unused_port):
    stream = EventStream(f"http://127.0.0.1:{unused_port}")
    stream.start()

    assert stream.client_id is None
    stream.close()


def test_closing_ends_the_thread(comfy_url):
    stream = EventStream(comfy_url)
    stream.start()
    assert "comfyui-events" in [thread.name for thread in threading.enumerate()]

    stream.close()

    assert "comfyui-events" not in [thread.name for thread in threading.enumerate()]
