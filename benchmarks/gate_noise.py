"""Sessions of pairs of processes under eight kinds of noise, by seeded chance.

A session is 24 pairs of processes of 10 inferences each, in the order the gate plans. The speed of
the machine at a moment, the luck of a process and that of an inference multiply. All three are the
same for both models, so a candidate that is as fast as the baseline differs by noise alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fer_opt.reports.gate.decision import GateSettings, plan_pairs

Floats = npt.NDArray[np.float64]

PAIRS = 24
RUNS = 10
PROCESSES = 2 * PAIRS
BASE_MS = 40.0


@dataclass(frozen=True, slots=True)
class Sessions:
    """Times of many sessions: (sessions, pairs, inferences) in ms."""

    baseline_ms: Floats
    candidate_ms: Floats


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of noise.

    Attributes:
        name: of the row.
        what: in words.
        within: standard deviation of the logarithm of inferences within a process.
        between: of processes.
        disturb: factors on top, (sessions, processes, inferences), processes in the order they run.
    """

    name: str
    what: str
    within: float
    between: float
    disturb: Callable[[np.random.Generator, int], Floats]


def simulate(family: Family, effect: float, sessions: int, seed: int) -> Sessions:
    """Sessions in which the candidate takes ``effect`` times as long as the baseline."""
    random = np.random.default_rng(seed)
    shape = (sessions, PROCESSES)
    logs = random.normal(0, family.between, (*shape, 1))
    logs = logs + random.normal(0, family.within, (*shape, RUNS))
    times = BASE_MS * np.exp(logs) * family.disturb(random, sessions)
    paired = times.reshape(sessions, PAIRS, 2, RUNS)
    orders = np.array([_places(seed + index) for index in range(sessions)])
    rows = np.arange(sessions)[:, np.newaxis], np.arange(PAIRS)[np.newaxis]
    return Sessions(paired[(*rows, orders)], effect * paired[(*rows, 1 - orders)])


def _places(seed: int) -> list[int]:
    """In each pair, the place of the baseline's process: 0 first, 1 second."""
    return [int(order == "BA") for order in plan_pairs(GateSettings(seed=seed), PAIRS)]


def _calm(random: np.random.Generator, sessions: int) -> Floats:
    return np.ones((sessions, 1, 1))


def _two_speeds(random: np.random.Generator, sessions: int) -> Floats:
    """Each process lands on a slow core, 15 to 40 % slower, with a chance of 10 to 50 %."""
    slower = random.uniform(1.15, 1.40, (sessions, 1))
    chance = random.uniform(0.1, 0.5, (sessions, 1))
    slow = random.random((sessions, PROCESSES)) < chance
    return np.where(slow, slower, 1.0)[:, :, np.newaxis]


def _step(random: np.random.Generator, sessions: int) -> Floats:
    """At some inference the clock falls for good: 15 to 60 % slower from then on."""
    slower = random.uniform(1.15, 1.60, (sessions, 1))
    begin = random.uniform(0, PROCESSES * RUNS, (sessions, 1))
    moments = np.arange(PROCESSES * RUNS)[np.newaxis]
    return np.where(moments >= begin, slower, 1.0).reshape(sessions, PROCESSES, RUNS)


def _sawtooth(random: np.random.Generator, sessions: int) -> Floats:
    """Heat builds up over 2 to 16 processes, up to 10 to 40 % slower, then the clock recovers."""
    period = random.uniform(2, 16, (sessions, 1)) * RUNS
    # A period of exactly four or eight processes beats with a fixed ABBA order.
    period[::4] = RUNS * random.choice([2.0, 4.0, 8.0], (len(period[::4]), 1))
    height = random.uniform(0.10, 0.40, (sessions, 1))
    phase = random.uniform(0, 1, (sessions, 1))
    moments = np.arange(PROCESSES * RUNS)[np.newaxis]
    rise = (moments / period + phase) % 1
    return (1 + height * rise).reshape(sessions, PROCESSES, RUNS)


def _slow_inferences(random: np.random.Generator, sessions: int) -> Floats:
    """10 to 40 % of a session's inferences take up to three times as long."""
    share = random.uniform(0.10, 0.40, (sessions, 1, 1))
    shape = (sessions, PROCESSES, RUNS)
    return np.where(random.random(shape) < share, random.uniform(1.2, 3.0, shape), 1.0)


def _slow_processes(random: np.random.Generator, sessions: int) -> Floats:
    """5 to 25 % of a session's processes take up to twice as long from beginning to end."""
    share = random.uniform(0.05, 0.25, (sessions, 1))
    shape = (sessions, PROCESSES)
    return np.where(random.random(shape) < share, random.uniform(1.2, 2.0, shape), 1.0)[
        :, :, np.newaxis
    ]


def _drift(random: np.random.Generator, sessions: int) -> Floats:
    """The machine becomes slower, or faster, by up to 15 % from beginning to end."""
    change = random.uniform(-0.15, 0.15, (sessions, 1))
    moments = np.linspace(0, 1, PROCESSES * RUNS)[np.newaxis]
    return (1 + change * moments).reshape(sessions, PROCESSES, RUNS)


FAMILIES = (
    Family("calm", "inferences spread by 3 %, processes by 2 %", 0.03, 0.02, _calm),
    Family("twice the noise", "inferences 6 %, processes 4 %", 0.06, 0.04, _calm),
    Family("two speeds", "a process in 2 to 10 is 15–40 % slower", 0.03, 0.02, _two_speeds),
    Family("throttling, step", "15–60 % slower from some moment on", 0.03, 0.02, _step),
    Family("throttling, sawtooth", "up to 10–40 %, again and again", 0.03, 0.02, _sawtooth),
    Family("slow inferences", "10–40 % of them, up to 3 times", 0.03, 0.02, _slow_inferences),
    Family("slow processes", "5–25 % of them, up to 2 times", 0.03, 0.02, _slow_processes),
    Family("drift", "up to 15 % either way", 0.03, 0.02, _drift),
)
"""The first is the one in which a regression of 10 % must be caught."""
