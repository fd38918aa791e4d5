"""What a bench on one phone hands back: everything needed to judge its numbers."""

from __future__ import annotations

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fer_opt.device.measurement import DeviceFacts, Measurement

__all__ = [
    "CanaryCheck",
    "ModelFailure",
    "OperatorTime",
    "OutputComparison",
    "PhoneRun",
    "PhoneSettings",
    "RunnerFacts",
    "TimedModel",
    "Trust",
]

STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, config=STRICT)
class PhoneSettings:
    """How every model is timed on a phone.

    Attributes:
        rounds: fresh processes for each model.
        runs: counted inferences in each process.
        warm_up_runs: inferences before them.
        threads: of the interpreter.
        cpus: pinned to; empty means the phone's fastest cores, all of them where they are alike.
        xnnpack: whether the XNNPACK delegate is asked for; None leaves it to the runner.
        operator_profile: whether one more process per model tells the time of each operator.
        outputs: samples whose outputs are compared with this computer's; 0 compares none.
        seed: of the random order.
        max_s: after which the runner ends a process early, in seconds; such a process is refused.
        canary_limit: ratio of the canary's time to its baseline above which a phone is throttled.
        cool_down_s: pause after throttling, in seconds.
        tries: of a block before its times are called untrusted.
        least_battery_percent: below which nothing is timed.
        inputs: where the input tensors come from, in words.
    """

    rounds: int = 8
    runs: int = 10
    warm_up_runs: int = 3
    threads: int = 1
    cpus: tuple[int, ...] = ()
    xnnpack: bool | None = None
    operator_profile: bool = False
    outputs: int = 8
    seed: int = 0
    max_s: float = 150.0
    canary_limit: float = 1.10
    cool_down_s: float = 90.0
    tries: int = 3
    least_battery_percent: int = 25
    inputs: str = "random values"


@dataclass(frozen=True, slots=True, config=STRICT)
class RunnerFacts:
    """The program that timed the models on the phone.

    Attributes:
        name: ``benchmark_model``, or ``fer-opt's own runner`` (over this computer's LiteRT; on
            virtual phones only).
        source: its address, or the path it was given by.
        fetched_at: when it was downloaded, ISO 8601, UTC; empty for a local file.
        sha256: of the file.
        size_bytes: of the file.
        abi: it is made for, e.g. ``armeabi-v7a``; ``any`` for a script.
        flags: those it knows, as its ``--help`` lists them.
    """

    name: str
    source: str
    fetched_at: str
    sha256: str
    size_bytes: int
    abi: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True, config=STRICT)
class TimedModel:
    """A model that was to be timed: its name in measurements, its file and what that is."""

    name: str
    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, config=STRICT)
class CanaryCheck:
    """A small fixed model timed around a block, which tells whether the phone held its speed.

    Attributes:
        round_index: of the block.
        attempt: of the block, counted from 0.
        baseline_ms: the canary's time when the session began.
        before_ms: its time just before the block.
        after_ms: its time just after the block.
        throttled: whether either exceeds the baseline by more than the limit.
    """

    round_index: int
    attempt: int
    baseline_ms: float
    before_ms: float
    after_ms: float
    throttled: bool


@dataclass(frozen=True, slots=True, config=STRICT)
class OutputComparison:
    """A model's outputs on the phone against those of the same file on this computer.

    Attributes:
        model: its name.
        samples: inputs run through both.
        max_abs_difference: largest difference of any output value, in real units (dequantized).
        label_flips: samples whose most likely label differs.
    """

    model: str
    samples: int
    max_abs_difference: float
    label_flips: int


@dataclass(frozen=True, slots=True, config=STRICT)
class OperatorTime:
    """One row of a model's operator profile.

    Attributes:
        model: its name.
        place: in run order, counted from 0.
        kind: node type, e.g. ``CONV_2D`` or ``Convolution (NHWC, F32) IGEMM``.
        name: of the node.
        mean_ms: of its time in one inference.
        share: of the inference's time, 0 to 1; None where the runner could not tell.
    """

    model: str
    place: int
    kind: str
    name: str
    mean_ms: float
    share: float | None


@dataclass(frozen=True, slots=True, config=STRICT)
class ModelFailure:
    """A model that could not be timed on this phone, and why, in a sentence."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True, config=STRICT)
class Trust:
    """Whether a run's times may be believed, and every reason against it, a sentence each."""

    trusted: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, config=STRICT)
class PhoneRun:
    """Everything one phone was asked and answered.

    Attributes:
        phone: a name for this phone that does not tell its serial number: the first 12 digits of
            the serial's SHA-256.
        label: what a person would call it, e.g. ``Samsung SM-J330F (…e91c)``.
        route: how it was reached: usb, tcp or server.
        device: its facts.
        profile: name of the known phone it claims to be; empty for none.
        warnings: how it differs from that profile and other cautions, a sentence each.
        settings: how models were timed.
        runner: that timed them; None before it was looked at.
        models: those to be timed.
        measurements: in the order they were made; of blocks measured again only the last attempt.
        checks: of the canary, one for each attempt of each block.
        outputs: compared with this computer's.
        operators: profile of each model, where asked for.
        failures: models that could not be timed.
        pushed_bytes: in the last session; 0 when the phone had everything already.
        kept_bytes: of files that were already on the phone.
        reconnections: how often the connection broke and came back.
        changed_settings: what was changed on the phone for the time of the bench.
        started_at: ISO 8601, UTC.
        ended_at: ISO 8601, UTC; empty while it goes on.
        trust: whether the times may be believed.
        complete: whether every model has all its rounds or a failure.
        error: why the bench ended early, a sentence; empty where it did not.
        cautions: what spoke against the phone's state in the sessions that timed, a sentence each.
    """

    phone: str
    label: str
    route: str
    device: DeviceFacts
    profile: str
    warnings: tuple[str, ...]
    settings: PhoneSettings
    runner: RunnerFacts | None
    models: tuple[TimedModel, ...]
    measurements: tuple[Measurement, ...] = ()
    checks: tuple[CanaryCheck, ...] = ()
    outputs: tuple[OutputComparison, ...] = ()
    operators: tuple[OperatorTime, ...] = ()
    failures: tuple[ModelFailure, ...] = ()
    pushed_bytes: int = 0
    kept_bytes: int = 0
    reconnections: int = 0
    changed_settings: tuple[str, ...] = ()
    started_at: str = ""
    ended_at: str = ""
    trust: Trust = Trust(trusted=False, reasons=("The bench has not ended.",))
    complete: bool = False
    error: str = ""
    cautions: tuple[str, ...] = ()
