"""A queue on this machine's disk, and the workers that empty it: what the local server has in place of RunPod's.

SQLite of the standard library, since what there is of embedded queues for Python (huey, persist-queue, litequeue) can
either not cancel a job that runs, or not say how far it is, and keeps no history.

```
queue.py      LocalQueue: what the server calls
state.py      what they all share: the lock, the tables, the jobs that run; how a job ends
workers.py    a thread for each ComfyUI, which takes the next job
clock.py      gives up jobs that take too long
watching.py   tells those who watch a job
webhooks.py   posts what has ended
store.py      the jobs' table; posts.py that of the webhooks; database.py the file; shown.py what is kept of a request
answering.py  a runner as what does the work; lanes.py one runner for each ComfyUI
```
"""

from engine.local_queue.answers import Answer
from engine.local_queue.queue import LocalQueue
from engine.local_queue.records import Counts, JobRecord, JobState, StoredFile, Submission

__all__ = ["Answer", "Counts", "JobRecord", "JobState", "LocalQueue", "StoredFile", "Submission"]
