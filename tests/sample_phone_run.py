"""Realistic runs on phones, built from seeded noise, for tests of what is made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from fer_opt.device.measurement import Conditions, DeviceFacts, InferenceSummary, Measurement
from fer_opt.device.phone.results import (
    CanaryCheck,
    ModelFailure,
    OperatorTime,
    OutputComparison,
    PhoneRun,
    PhoneSettings,
    RunnerFacts,
    TimedModel,
    Trust,
)
from fer_opt.reports.bench_record import BENCH_KIND, BenchRecord
from fer_opt.reports.record import SCHEMA_VERSION

MODELS = {
    # name: median ms on the phone, bytes
    "float32": (612.0, 27_893_760),
    "int8": (343.0, 7_116_800),
}

FACTS = {
    "model": "SM-J330F",
    "brand": "samsung",
    "device": "j3y17lte",
    "android": "9",
    "sdk": "28",
    "build": "samsung/j3y17ltexx/j3y17lte:9/PPR1.180610.011/J330FXXS4CUE1:user/release-keys",
    "kernel": "Linux 3.18.91",
    "soc": "exynos7570",
    "abis": "armeabi-v7a, armeabi",
    "cores": "4",
    "core_designs": "Cortex-A53",
    "clusters": "4 × 449-1430 MHz",
    "governor": "interactive",
    "memory_bytes": "1929379840",
    "free_bytes": "3865470566",
    "battery_percent": "81",
    "screen": "off",
    "low_power": "off",
}
VIRTUAL = {"virtual": "x86_64"}


def sample_phone_run(
    *,
    models: Mapping[str, tuple[float, int]] = MODELS,
    kind: str = "phone",
    label: str = "Samsung SM-J330F (…e91c)",
    rounds: int = 8,
    runs: int = 10,
    throttled: bool = True,
    trusted: bool = True,
    operators: bool = True,
    told: str = "percentiles",
    failures: Sequence[str] = (),
    seed: int = 3,
) -> PhoneRun:
    """A finished run.

    Args:
        models: name, median in milliseconds and bytes of each.
        kind: phone, virtual or emulated.
        label: of the phone.
        rounds: processes of each model.
        runs: inferences of each process.
        throttled: whether the phone was too hot in the third round and had to repeat it.
        trusted: whether its times may be believed.
        operators: whether there is a profile of each model.
        told: what the runner tells: ``percentiles``, ``old`` (none) or ``times`` (each inference).
        failures: models that could not be timed.
        seed: of every draw.
    """
    rng = np.random.default_rng(seed)
    fit = {name: facts for name, facts in models.items() if name not in failures}
    reasons = () if trusted else (
        "Round 3 was still throttled after 3 tries: the canary took up to 1.31 of its baseline.",
        "The battery was at 12 %, below the 25 % asked for.",
    )  # fmt: skip
    return PhoneRun(
        phone=_sha(label)[:12],
        label=label,
        route="usb",
        device=DeviceFacts(
            kind=kind,
            name=f"{'' if kind == 'phone' else 'virtual '}Samsung SM-J330F (exynos7570)",
            fingerprint=_sha("phone"),
            facts=FACTS if kind == "phone" else FACTS | VIRTUAL,
            unread={"thermal zones": "permission denied to the shell user"},
        ),
        profile="galaxy-j3",
        warnings=("The phone says Android 10, the profile galaxy-j3 knows 7.0, 8.0.0 and 9.",),
        settings=PhoneSettings(rounds=rounds, runs=runs, operator_profile=operators),
        runner=RunnerFacts(
            name="benchmark_model",
            source="https://runner.example/android_arm_benchmark_model",
            fetched_at="2026-03-14T08:00:11Z",
            sha256=_sha("runner"),
            size_bytes=5_232_128,
            abi="armeabi-v7a",
            flags=("graph", "num_runs", "num_threads", "use_xnnpack"),
        ),
        models=tuple(
            TimedModel(name, f"models/{name}.tflite", _sha(name), size)
            for name, (_, size) in models.items()
        ),
        measurements=_measurements(rng, fit, rounds, runs, told, throttled),
        checks=_checks(rng, rounds, throttled),
        outputs=tuple(
            OutputComparison(name, 8, 3e-7 if name == "float32" else 0.0039, int(name != "float32"))
            for name in fit
        ),
        operators=_operators(fit) if operators else (),
        failures=tuple(
            ModelFailure(name, f"{name}.tflite was killed on the phone: memory ran out (signal 9).")
            for name in failures
        ),
        pushed_bytes=sum(size for _, size in models.values()),
        kept_bytes=5_232_128,
        reconnections=1,
        changed_settings=("svc power stayon usb (was: off)",),
        started_at="2026-03-14T09:00:00Z",
        ended_at="2026-03-14T09:31:12Z",
        trust=Trust(trusted=trusted, reasons=reasons),
        complete=True,
    )


def sample_bench(*phones: PhoneRun, **changes: Any) -> BenchRecord:
    """A bench of those phones, by default of one."""
    runs = phones or (sample_phone_run(),)
    record = BenchRecord(
        schema_version=SCHEMA_VERSION,
        kind=BENCH_KIND,
        created_at="2026-03-14T09:00:00+00:00",
        fer_opt_version="0.1.0",
        command="fer-opt bench float32.tflite int8.tflite --on phone",
        fingerprint=_sha("bench"),
        target_ms=500.0,
        models=runs[0].models,
        phones=runs,
        complete=all(run.complete for run in runs),
    )
    return replace(record, **changes)


def hostile_run(payload: str) -> PhoneRun:
    """A run in which everything a phone or a file's name may say carries ``payload``."""
    adapter = TypeAdapter(PhoneRun)
    kept = {"kind", "started_at", "ended_at", "session", "phone"}

    def spoil(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: spoil(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [spoil(item, key) for item in value]
        spoils = isinstance(value, str) and key not in kept and "sha256" not in key
        return f"{value}{payload}" if spoils else value

    return adapter.validate_python(spoil(adapter.dump_python(sample_phone_run(), mode="json")))


def _measurements(
    rng: np.random.Generator,
    models: Mapping[str, tuple[float, int]],
    rounds: int,
    runs: int,
    told: str,
    throttled: bool,
) -> tuple[Measurement, ...]:
    made: list[Measurement] = []
    names = [*models]
    for round_index in range(rounds):
        for position in rng.permutation(len(names)):
            name = names[position]
            median, size = models[name]
            times = median * float(rng.lognormal(0, 0.01)) * rng.lognormal(0, 0.012, runs)
            order = len(made)
            heat = 31.0 + 0.35 * order
            made.append(
                Measurement(
                    model=name,
                    model_sha256=_sha(name),
                    order_index=order,
                    round_index=round_index,
                    session="a1b2",
                    started_at=f"2026-03-14T09:{order:02d}:00+00:00",
                    initialisation_ms=float(41 + rng.random()),
                    warm_up_ms=(),
                    inference_ms=tuple(map(float, times)) if told == "times" else (),
                    steady=True,
                    threads=1,
                    cpus=(0, 1, 2, 3),
                    delegate="XNNPACK",
                    peak_memory_bytes=int(24e6 + 1.4 * size),
                    before=Conditions(1.2, 1430.0, heat, 1430.0, 81 - order // 4, heat - 3),
                    after=Conditions(1.9, 1430.0, heat + 0.4, 1430.0, 81 - order // 4, heat - 2.8),
                    summary=None if told == "times" else _summary(times, old=told == "old"),
                    clock_s={"1430": 9.1, "1144": 0.2},
                    attempt=int(throttled and round_index == 2),
                )
            )
    return tuple(made)


def _summary(times: np.ndarray, *, old: bool) -> InferenceSummary:
    p5, p95 = np.percentile(times, (5, 95))
    return InferenceSummary(
        count=len(times),
        mean_ms=float(times.mean()),
        min_ms=float(times.min()),
        max_ms=float(times.max()),
        sd_ms=float(times.std()),
        median_ms=None if old else float(np.median(times)),
        p5_ms=None if old else float(p5),
        p95_ms=None if old else float(p95),
    )


def _checks(rng: np.random.Generator, rounds: int, throttled: bool) -> tuple[CanaryCheck, ...]:
    checks = []
    for round_index in range(rounds):
        attempts = 2 if throttled and round_index == 2 else 1
        for attempt in range(attempts):
            hot = attempts == 2 and attempt == 0
            before, after = 18.1 * rng.lognormal(0, 0.01, 2) * (1.0, 1.27 if hot else 1.0)
            checks.append(CanaryCheck(round_index, attempt, 18.1, float(before), float(after), hot))
    return tuple(checks)


def _operators(models: Mapping[str, tuple[float, int]]) -> tuple[OperatorTime, ...]:
    shares = {"CONV_2D": 0.52, "FULLY_CONNECTED": 0.31, "MAX_POOL_2D": 0.09, "ADD": 0.05,
              "MUL": 0.02, "SOFTMAX": 0.01}  # fmt: skip
    return tuple(
        OperatorTime(name, place, kind, f"[{kind.lower()}]:{place}", share * median, share)
        for name, (median, _) in models.items()
        for place, (kind, share) in enumerate(shares.items())
    )


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
