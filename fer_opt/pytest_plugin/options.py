"""What the command line of pytest says about timing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

__all__ = ["Inconclusive", "PluginOptions", "add_options", "read_options"]

Inconclusive = Literal["skip", "pass", "fail"]


@dataclass(frozen=True, slots=True)
class PluginOptions:
    """How to time, and what an open verdict becomes.

    Attributes:
        on: ``host``, ``phone``, ``virtual``, ``tcp:HOST:PORT``, or a serial number.
        via: how a phone is reached: auto, usb, tcp or server.
        runner: a benchmark_model of the user's own; None fetches one.
        processes: fresh ones for each model; None takes as many as the budget needs, 8 or more.
        runs: counted inferences in each process; None takes 20 here and 10 on a phone.
        threads: of the interpreter.
        inconclusive: what becomes of a test whose times are not enough to say.
        timing: False runs each model once, for --benchmark-disable.
    """

    on: str
    via: str
    runner: Path | None
    processes: int | None
    runs: int | None
    threads: int
    inconclusive: Inconclusive
    timing: bool

    @property
    def here(self) -> bool:
        """Whether this computer times."""
        return self.on == "host"


def add_options(parser: pytest.Parser) -> None:
    """Add fer-opt's options to ``parser``."""
    group = parser.getgroup("fer-opt", "latency of TFLite models (fer-opt)")
    group.addoption(
        "--fer-opt-on",
        default="host",
        metavar="DEVICE",
        help="Where models are timed: host (this computer), phone (the one there is), "
        "tcp:HOST:PORT, a serial number, or virtual. Default: %(default)s.",
    )
    group.addoption(
        "--fer-opt-via",
        default="auto",
        choices=["auto", "usb", "tcp", "server"],
        help="How a phone is reached. Default: %(default)s.",
    )
    group.addoption(
        "--fer-opt-runner",
        type=Path,
        metavar="FILE",
        help="A benchmark_model of your own for the phone; by default the fetched one.",
    )
    group.addoption(
        "--fer-opt-processes",
        type=_positive,
        metavar="N",
        help="Fresh processes for each model. Default: 8, or what the test's budget needs.",
    )
    group.addoption(
        "--fer-opt-runs",
        type=_positive,
        metavar="N",
        help="Counted inferences in each process. Default: 20 here, 10 on a phone.",
    )
    group.addoption(
        "--fer-opt-threads",
        type=_positive,
        default=1,
        metavar="N",
        help="Threads of the interpreter. Default: %(default)s.",
    )
    group.addoption(
        "--fer-opt-inconclusive",
        default="skip",
        choices=["skip", "pass", "fail"],
        help="What a test becomes whose times are not enough to say: neither passed nor failed "
        "(skip), passed or failed. Default: %(default)s.",
    )


def read_options(config: pytest.Config) -> PluginOptions:
    """The options of this run."""
    disabled = config.getoption("benchmark_disable", False)
    return PluginOptions(
        on=config.getoption("fer_opt_on"),
        via=config.getoption("fer_opt_via"),
        runner=config.getoption("fer_opt_runner"),
        processes=config.getoption("fer_opt_processes"),
        runs=config.getoption("fer_opt_runs"),
        threads=config.getoption("fer_opt_threads"),
        inconclusive=config.getoption("fer_opt_inconclusive"),
        timing=not disabled or config.getoption("benchmark_enable", False),
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


_positive.__name__ = "number from 1"  # argparse names the type by it
