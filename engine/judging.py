"""Scores for the pictures of a result, by the quality gates of its workflow."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from engine.cancellation import CancellationToken, unless_cancelled
from engine.gates import Gate
from engine.logs import event
from engine.media import look_at
from engine.results import InputFile, OutputFile
from engine.verdicts import Score

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)


def judge(
    gates: Sequence[Gate],
    outputs: Sequence[OutputFile],
    inputs: Mapping[str, InputFile],
    cancel: CancellationToken,
) -> tuple[Score, ...]:
    """The scores of a result: of each gate in its order, those of all pictures of its output.

    A picture that can't be read gets no score, which does not pass; nor does an output without a picture, nor one that
    a check fails on: a result is worth more than what is thought of it.

    Args:
        gates: those that apply.
        outputs: of one try.
        inputs: the caller's files, by where they stand in the payload.
        cancel: looked at between the pictures, and does not wait for one that takes long.

    Raises:
        Cancelled: the job was cancelled.
    """
    compared = {gate.input for gate in gates if gate.input in inputs}
    given = {
        name: unless_cancelled(functools.partial(look_at, inputs[name].path, cancel, as_loaded=True), cancel)
        for name in compared
        if name
    }
    scores: dict[Gate, list[Score]] = {gate: [] for gate in gates}
    for output in outputs:
        asked = [gate for gate in gates if gate.output == output.name]
        if asked and _is_picture(output):
            cancel.raise_if_cancelled()
            found = unless_cancelled(functools.partial(_scores, asked, output, given, cancel), cancel)
            for gate, score in zip(asked, found, strict=True):
                scores[gate].append(score)
    return tuple(score for gate in gates for score in scores[gate] or [gate.score(0, None)])


def _is_picture(output: OutputFile) -> bool:
    return output.path is not None and (output.kind == "image" or output.content_type.startswith("image/"))


def _scores(
    gates: Sequence[Gate], output: OutputFile, given: Mapping[str, Image | None], cancel: CancellationToken
) -> list[Score]:
    picture = look_at(output.path, cancel) if output.path else None
    return [gate.score(output.index, _score(gate, picture, given)) for gate in gates]


def _score(gate: Gate, picture: Image | None, given: Mapping[str, Image | None]) -> float | None:
    against = given.get(gate.input) if gate.input else None
    if picture is None or (gate.check.compares and against is None):
        return None
    try:
        score = gate.check.score(picture, against)
    except Exception as error:  # noqa: BLE001 - checks are written by many; none may cost a result
        event(log, logging.ERROR, "a check failed", check=gate.check.name, reason=repr(error))
        return None
    return score if math.isfinite(score) else None
