"""``tflite_benchmark``: a path in, pytest-benchmark's statistics and a judged budget out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, NoReturn

import pytest

import fer_opt
from fer_opt.errors import FerOptError
from fer_opt.pytest_plugin import SAID
from fer_opt.pytest_plugin.budgets import hold_to, processes_needed
from fer_opt.pytest_plugin.clock import ProcessClock
from fer_opt.pytest_plugin.marker import marked_budgets
from fer_opt.pytest_plugin.options import PluginOptions, read_options
from fer_opt.pytest_plugin.sentences import or_fail
from fer_opt.pytest_plugin.timed import Timed
from fer_opt.pytest_plugin.timing import time_model

__all__ = ["TfliteBenchmark"]

PROCESSES = 8


class TfliteBenchmark:
    """One test's timing; called once."""

    def __init__(self, node: pytest.Item, benchmark: Any, clock: ProcessClock) -> None:
        self._node, self._benchmark, self._clock = node, benchmark, clock
        self._said = node.config.stash[SAID]

    def __call__(
        self,
        path: str | os.PathLike[str],
        *,
        inputs: str | os.PathLike[str] | None = None,
        photos: str | os.PathLike[str] | None = None,
        way: Literal["thesis", "faster"] = "thesis",
    ) -> Timed:
        """Time a model and hold it to the test's budgets.

        Args:
            path: of the .tflite file.
            inputs: .npy file of shape (n, height, width, channels) with its inputs; None feeds
                random values from 0 to 1.
            photos: a photo or a folder of some; all five stages of classifying them are timed
                then, on this computer.
            way: how the stages are carried out, ``thesis`` or ``faster``.

        Returns:
            The times, whatever pytest-benchmark made of them.
        """
        options = read_options(self._node.config)
        budgets = marked_budgets(self._node)
        given = None if inputs is None else Path(inputs)
        shown = None if photos is None else Path(photos)
        timed = or_fail(lambda: self._time(Path(path), given, shown, way, options))
        if options.timing:
            hold_to(budgets, timed, options.inconclusive, self._said, self._node.nodeid)
        elif budgets:
            self._said.lines.append(
                f"{self._node.nodeid}: its budget was not judged (--benchmark-disable)."
            )
        return timed

    def _time(
        self,
        path: Path,
        inputs: Path | None,
        photos: Path | None,
        way: Literal["thesis", "faster"],
        options: PluginOptions,
    ) -> Timed:
        """Time, and tell pytest-benchmark of it."""
        try:
            if photos is not None:
                # OpenCV and all stages take a while to load.
                from fer_opt.pytest_plugin.photos import time_photos

                timed = time_photos(path, photos, way, options)
            else:
                timed = time_model(path, inputs, self._processes(options), options, self._said)
        except FerOptError as exc:
            self._note_failure(exc)
        self._hand_over(timed)
        return timed

    def _processes(self, options: PluginOptions) -> int:
        if not options.timing:
            return 1
        needed = [processes_needed(budget) for budget in marked_budgets(self._node)]
        return options.processes or max([PROCESSES, *needed])

    def _note_failure(self, exc: FerOptError) -> NoReturn:
        """Raise through pytest-benchmark, which then shows and saves nothing of this test."""

        def raise_it() -> None:
            raise exc

        self._benchmark.pedantic(raise_it)
        raise exc

    def _hand_over(self, timed: Timed) -> None:
        benchmark = self._benchmark
        benchmark.name = f"{benchmark.name} {timed.on}"
        benchmark.fullname = f"{benchmark.fullname} {timed.on}"
        benchmark.extra_info["fer_opt"] = _facts(timed)
        benchmark.pedantic(
            self._clock.playing(timed.process_ms),
            setup=self._clock.reset,
            rounds=len(timed.process_ms),
            iterations=1,
        )


def _facts(timed: Timed) -> dict[str, Any]:
    """What pytest-benchmark's JSON keeps: whose times these are, and every single one."""
    device = timed.device
    return {
        "fer_opt_version": fer_opt.__version__,
        "timed": timed.on,
        "is_phone": timed.kind == "phone",
        "kind": timed.kind,
        "device": timed.label,
        "fingerprint": device.fingerprint,
        "facts": device.facts,
        "unread": device.unread,
        "valid": not timed.invalid,
        "reasons": list(timed.reasons),
        "model": timed.model,
        "model_sha256": timed.model_sha256,
        "datum": "the median of one fresh process, in seconds",
        **timed.raw,
    }
