"""Whatever is done to the queue, in whatever order, it stands as a list on paper would."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.local_queue import Desk, ended, job, queue_of

from engine.local_queue import JobState
from engine.local_queue.problems import JobNotOver, QueueFull

MOST_WAITING, MOST_KEPT = 4, 5


class OnPaper(RuleBasedStateMachine):
    """One worker; `order` holds those that wait, `runs` the one that runs, `over` those that ended, in that order."""

    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory()
        self.ids, self.order, self.over = {}, [], {}
        self.runs, self.taken = None, 0
        self.open()

    def open(self):
        self.desk = Desk()
        self.jobs = queue_of(Path(self.folder.name), self.desk, most_waiting=MOST_WAITING, most_kept=MOST_KEPT)
        self.next()

    def next(self):
        """The next of those that wait is begun."""
        if self.runs is None and self.order:
            self.runs = self.order.pop(0)
            assert self.desk.begun() == self.runs

    def end_on_paper(self, name, state):
        self.over[name] = state
        while len(self.over) > MOST_KEPT:
            forgotten = next(iter(self.over))
            del self.over[forgotten], self.ids[forgotten]

    @rule()
    def submit(self):
        self.taken += 1
        name = f"job {self.taken}"
        if len(self.order) == MOST_WAITING:
            try:
                self.jobs.submit(job(name))
            except QueueFull:
                return
            raise AssertionError("one more was taken than may wait")
        self.ids[name] = self.jobs.submit(job(name)).id
        self.order.append(name)
        self.next()

    @precondition(lambda self: self.runs)
    @rule(well=st.booleans())
    def end(self, well):
        name, self.runs = self.runs, None
        self.desk.end(None if well else {"error": "no", "failure": {"code": "execution_failed"}})
        ended(self.jobs, self.ids[name])
        self.end_on_paper(name, JobState.COMPLETED if well else JobState.FAILED)
        self.next()

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def cancel(self, data):
        name = data.draw(st.sampled_from(list(self.ids)))
        state = self.jobs.cancel(self.ids[name]).state
        assert state is self.over.get(name, JobState.CANCELLED)
        if name in self.over:
            return
        if name == self.runs:
            self.runs = None
        else:
            self.order.remove(name)
        self.end_on_paper(name, JobState.CANCELLED)
        self.next()

    @rule()
    def purge(self):
        assert self.jobs.purge() == len(self.order)
        for name in self.order:
            self.end_on_paper(name, JobState.CANCELLED)
        self.order = []

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def forget(self, data):
        name = data.draw(st.sampled_from(list(self.ids)))
        try:
            self.jobs.forget(self.ids[name])
        except JobNotOver:
            assert name not in self.over
        else:
            del self.over[name], self.ids[name]

    @rule()
    def restart(self):
        self.jobs.close()
        if self.runs:
            self.order.insert(0, self.runs)
            self.runs = None
        self.open()

    @invariant()
    def stands_as_on_paper(self):
        states = {name: (JobState.IN_QUEUE, index) for index, name in enumerate(self.order)}
        states |= {name: (state, None) for name, state in self.over.items()}
        if self.runs:
            states[self.runs] = (JobState.IN_PROGRESS, None)
        records = self.jobs.history()[0]
        assert {each.input["name"]: (each.state, each.position) for each in records} == states
        assert [each.input["name"] for each in records] == list(self.ids)[::-1]
        assert (self.jobs.counts().waiting, self.jobs.counts().running) == (len(self.order), bool(self.runs))
        assert self.desk.idle()

    def teardown(self):
        self.jobs.close()
        self.folder.cleanup()


OnPaper.TestCase.settings = settings(max_examples=12, stateful_step_count=25, suppress_health_check=list(HealthCheck))
TestTheQueue = OnPaper.TestCase
