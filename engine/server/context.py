"""What the routes of the local server share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from engine.catalog import Catalog
from engine.jobs import Runner
from engine.local_queue import LocalQueue
from engine.settings import Settings


@dataclass(frozen=True, slots=True)
class ServerContext:
    """What the routes of the local server share.

    Attributes:
        settings: the operator's.
        catalog: the workflows.
        runner: of the first ComfyUI: what is ready, which choices there are. Jobs go through the queue alone.
        queue: takes jobs.
        secret: signs the links to results; the same after a restart.
        simulated: whether the pictures are the simulator's.
        ending: set once the server ends: whoever waits for a job is answered with how it stands.
    """

    settings: Settings
    catalog: Catalog
    runner: Runner
    queue: LocalQueue
    secret: bytes
    simulated: bool
    ending: asyncio.Event = field(default_factory=asyncio.Event)
