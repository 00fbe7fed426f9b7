"""Posting a job's progress, with posts that fail, hang and come late."""

import asyncio
import base64
import threading

import pytest

from engine.reporting import Reporter, progress_document
from engine.results import Progress


def at(fraction, **more):
    return Progress("3", "KSampler", round(fraction * 20), 20, fraction, **more)


class Posts:
    """Takes posts, and does with them what a test says."""

    def __init__(self, *behaviours):
        self.arrived = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.cut_off = 0
        self.behaviours = list(behaviours)

    async def __call__(self, document):
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.behaviours:
                await self.behaviours.pop(0)()
            self.arrived.append(document)
        except asyncio.CancelledError:
            self.cut_off += 1
            raise
        finally:
            self.in_flight -= 1


async def hang():
    await asyncio.Event().wait()


async def fail():
    raise TimeoutError


async def until(holds):
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what it waits for is a list of the test's
            await asyncio.sleep(0.005)


def test_progress_names_the_node_its_title_and_the_preview():
    document = progress_document(at(0.25, node_title="Sampler of faces", preview=b"\xff\xd8jpeg"))
    assert document == {
        "node": "KSampler",
        "title": "Sampler of faces",
        "step": 5,
        "steps": 20,
        "fraction": 0.25,
        "preview": "data:image/jpeg;base64," + base64.b64encode(b"\xff\xd8jpeg").decode(),
    }
    assert set(progress_document(at(0.5))) == {"node", "step", "steps", "fraction"}


def test_of_many_calls_the_latest_alone_is_posted_one_at_a_time():
    async def run():
        posts = Posts()
        reporter = Reporter(posts, 0.01)
        thread = threading.Thread(target=lambda: [reporter(at(step / 1000)) for step in range(1001)])
        thread.start()
        await asyncio.to_thread(thread.join)
        await until(lambda: posts.arrived and posts.arrived[-1]["fraction"] == 1)
        await reporter.close()
        return posts

    posts = asyncio.run(run())
    fractions = [document["fraction"] for document in posts.arrived]
    assert fractions == sorted(fractions)
    assert len(fractions) < 200
    assert posts.most_in_flight == 1


def test_a_job_that_is_run_again_does_not_go_back():
    async def run():
        posts = Posts()
        reporter = Reporter(posts, 0)
        for count, fraction in enumerate((0.1, 0.7, 0.0, 0.2, 0.9), 1):
            reporter(at(fraction))
            await until(lambda: len(posts.arrived) == count)  # noqa: B023 - it is awaited before the next round
        await reporter.close()
        return posts

    posts = asyncio.run(run())
    assert [document["fraction"] for document in posts.arrived] == [0.1, 0.7, 0.7, 0.7, 0.9]
    assert posts.arrived[3]["step"] == 4  # what runs is told as it is


def test_a_post_that_fails_or_hangs_is_given_up_and_the_next_one_goes_out():
    async def run():
        posts = Posts(fail, hang)
        reporter = Reporter(posts, 0, post_seconds=0.05)
        number = 0
        while not posts.arrived:
            number += 1
            reporter(at(min(number / 1000, 1)))
            await asyncio.sleep(0.005)
        await reporter.close()
        return posts

    assert asyncio.run(run()).cut_off == 1


def test_none_is_in_flight_after_the_end_even_if_it_hangs():
    async def run():
        posts = Posts(hang)
        reporter = Reporter(posts, last_seconds=0.05)
        reporter(at(0.5))
        await until(lambda: posts.in_flight)
        await reporter.close()
        assert posts.in_flight == 0
        reporter(at(0.6))
        await asyncio.sleep(0)
        await reporter.close()
        return posts

    assert asyncio.run(run()).arrived == []


def test_the_post_in_flight_arrives_before_the_result():
    async def run():
        gate = asyncio.Event()
        posts = Posts(gate.wait)
        reporter = Reporter(posts)
        reporter(at(0.5))
        await until(lambda: posts.in_flight)
        asyncio.get_running_loop().call_later(0.05, gate.set)
        await reporter.close()
        return posts

    assert [document["fraction"] for document in asyncio.run(run()).arrived] == [0.5]


def test_a_cancelled_job_is_heard_of_no_more():
    async def run():
        posts = Posts(hang)
        reporter = Reporter(posts)
        reporter(at(0.5))
        await until(lambda: posts.in_flight)
        reporter.stop()
        await reporter.close()
        assert posts.in_flight == 0
        reporter(at(0.6))
        await asyncio.sleep(0)
        return posts

    assert asyncio.run(run()).arrived == []


def test_two_jobs_report_beside_each_other():
    async def run():
        slow, quick = Posts(hang), Posts()
        first, second = Reporter(slow, last_seconds=0.05), Reporter(quick, 0)
        first(at(0.1))
        await until(lambda: slow.in_flight)
        second(at(0.2))
        await until(lambda: quick.arrived)
        await second.close()
        await first.close()
        return slow, quick

    slow, quick = asyncio.run(run())
    assert (slow.arrived, len(quick.arrived)) == ([], 1)


def test_progress_after_the_end_of_the_loop_fails_no_job():
    async def make():
        return Reporter(Posts())

    asyncio.run(make())(at(0.5))


@pytest.mark.parametrize("error", [OSError("no route"), TypeError("bytes"), RuntimeError("Session is closed")])
def test_whatever_a_post_raises_stays_there(error, caplog):
    async def broken():
        raise error

    async def run():
        posts = Posts(broken, broken)
        reporter = Reporter(posts, 0)
        reporter(at(0.5))
        await until(lambda: not posts.behaviours or reporter(at(0.6)))
        await until(lambda: posts.arrived or reporter(at(0.7)))
        await reporter.close()

    asyncio.run(run())
    assert len([record for record in caplog.records if "progress" in record.message]) == 1
