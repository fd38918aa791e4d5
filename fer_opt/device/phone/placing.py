"""Bringing runner, models and inputs to a phone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_opt.device.phone.device import PlacedModel
from fer_opt.device.phone.files import (
    checked_name,
    model_name,
    path_on_phone,
    push_changed,
    runner_name,
)
from fer_opt.device.phone.reconnect import Steady
from fer_opt.device.phone.samples import Prepared
from fer_opt.device.runner import Runner
from fer_opt.progress import Advance, Progress

__all__ = ["Placed", "place"]


@dataclass(frozen=True, slots=True)
class Placed:
    """What is on the phone now.

    Attributes:
        runner: its path there.
        models: there, by the name of their job.
        pushed_bytes: sent in this session.
        kept_bytes: of files that were there already.
    """

    runner: str
    models: dict[str, PlacedModel]
    pushed_bytes: int
    kept_bytes: int


def place(
    steady: Steady, runner: Runner, prepared: Sequence[Prepared], progress: Progress
) -> Placed:
    """Push what the phone lacks of a runner, models and their inputs.

    Raises:
        MeasurementError: a file cannot be read here.
        PhoneError: the phone is full, or a file arrived damaged twice.
        LinkLostError: the phone is gone and did not come back.
    """
    program = runner_name(runner.sha256)
    files: dict[str, Path | bytes] = {program: runner.path}
    for model in prepared:
        files[model_name(model.job.sha256)] = model.job.path
        files |= {_input_name(path): path for sample in model.samples for path in sample}
    counting = _Counting(progress)
    pushed = steady.run(lambda: push_changed(steady.link, files, counting, executable=[program]))
    return Placed(
        runner=path_on_phone(program),
        models={model.job.model: _placed(model) for model in prepared},
        pushed_bytes=counting.sent_bytes,
        kept_bytes=max(0, pushed.pushed_bytes + pushed.kept_bytes - counting.sent_bytes),
    )


def _placed(model: Prepared) -> PlacedModel:
    return PlacedModel(
        model,
        path_on_phone(model_name(model.job.sha256)),
        tuple(
            tuple(path_on_phone(_input_name(path)) for path in sample) for sample in model.samples
        ),
    )


def _input_name(path: Path) -> str:
    """Inputs are named by their content already."""
    return checked_name(f"inputs/{path.name}")


class _Counting:
    """A :class:`Progress` that adds up, over pushes that were interrupted as well."""

    def __init__(self, progress: Progress) -> None:
        self.sent_bytes = 0
        self._progress = progress

    @contextlib.contextmanager
    def stage(self, title: str, total: int) -> Iterator[Advance]:
        """Pass on, and count."""
        with self._progress.stage(title, total) as advance:
            yield self._counted(advance)

    def say(self, sentence: str) -> None:
        """Pass on."""
        self._progress.say(sentence)

    def _counted(self, advance: Advance) -> Callable[[int], None]:
        def count(sent_bytes: int) -> None:
            self.sent_bytes += sent_bytes
            advance(sent_bytes)

        return count
