"""What `/stream` gives of a job: what has come since the last question."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import Any

from engine.local_queue import JobRecord

_MOST_KEPT = 1000
_RESULT = "result"


class Streams:
    """Remembers how far each job was streamed.

    On the platform a handler that is no generator streams nothing. Here each progress document that is new comes as a
    chunk of its own, and last the result, once: a client that asks until a finished job has nothing more comes to an
    end (runpod 1.12, endpoint/runner.py, `Job.stream`).
    """

    def __init__(self) -> None:
        self._told: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def since(self, record: JobRecord, document: dict[str, Any]) -> dict[str, Any]:
        """The answer to `/stream`: `status`, and `stream`, each chunk as `{"output": …}`.

        Args:
            record: the job.
            document: the same in RunPod's shape.
        """
        output = document.get("output")
        answer: dict[str, Any] = {"id": record.id, "status": document["status"], "stream": []}
        if "error" in document:
            answer["error"] = document["error"]
        if output is None:
            return answer
        mark = _RESULT if record.state.final else json.dumps(output)
        with self._lock:
            told = self._told.pop(record.id, None)
            self._told[record.id] = mark
            while len(self._told) > _MOST_KEPT:
                self._told.popitem(last=False)
        if told != mark:
            answer["stream"] = [{"output": output}]
        return answer
