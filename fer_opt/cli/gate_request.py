"""What the words of ``fer-opt gate`` ask for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_opt.cli.bench import parse_cpus
from fer_opt.cli.console import Terminal, say
from fer_opt.cli.options import data_section, input_section, short_names
from fer_opt.errors import GateError, NoBaselineError

__all__ = ["Asked", "ask"]


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of ``fer-opt gate``, as they were typed; see its ``--help``."""

    candidates: tuple[str, ...]
    baseline: Path | None
    on: str
    tolerance_percent: float
    budgets: tuple[str, ...]
    percentile: float
    max_size: str | None
    max_drop_points: float | None
    looks: str
    runs: int | None
    threads: int
    cpus: str | None
    seed: int
    serial: str | None
    via: str
    runner: Path | None
    xnnpack: bool | None
    cool_down_s: float
    data: tuple[Path | None, str | None, str | None]
    stated: tuple[Any, ...]
    against: Path | None
    baseline_name: str | None
    machine: str | None
    pipeline: str
    stored_may_fail: bool
    out: Path | None
    fresh: bool


def ask(asked: Asked, terminal: Terminal) -> tuple[Any, Path]:
    """The judged record and where it is.

    Raises:
        FerOptError: see :func:`fer_opt.experiment.gating.gate`.
    """
    if asked.against is not None:
        from fer_opt.cli.gate_stored import ask_stored

        return ask_stored(asked, terminal)
    return _ask_measured(asked, terminal)


def _ask_measured(asked: Asked, terminal: Terminal) -> tuple[Any, Path]:
    import shlex
    import sys

    from fer_opt.experiment.gating import DEFAULT_FOLDER, gate

    request = measured_request(asked)
    if request.baseline is None and not request.budgets:
        raise NoBaselineError(
            "there is nothing to compare with; give --baseline MODEL.tflite (the one of your main "
            "branch), or --budget or --max-size to judge the candidate alone."
        )
    folder = asked.out or DEFAULT_FOLDER
    record = gate(
        request,
        folder,
        command=shlex.join(["fer-opt", *sys.argv[1:]]),
        fresh=asked.fresh,
        accuracy=_accuracy(asked, request, terminal),
        progress=terminal,
    )
    return record, folder / "record.json"


def measured_request(asked: Asked) -> Any:
    """What is to be measured.

    Raises:
        GateError: it contradicts itself.
        ModelError: a file is no model.
        NoBaselineError: the baseline's file is missing.
    """
    from fer_opt.device.phone.results import PhoneSettings
    from fer_opt.device.protocol import TimingSettings
    from fer_opt.experiment.gate_request import HOST, GateRequest, gate_jobs

    _refuse_other_place(asked)
    files = [Path(text) for text in asked.candidates]
    if not files:
        raise GateError("no candidate is named; give --candidate MODEL.tflite.")
    baseline, candidates = gate_jobs(asked.baseline, files, short_names(files))
    pinned = parse_cpus(asked.cpus)
    settings = gate_settings(asked)
    return GateRequest(
        candidates=candidates,
        baseline=baseline,
        on=asked.on,
        settings=settings,
        host=TimingSettings(runs=asked.runs or 30, threads=asked.threads, cpus=pinned)
        if asked.on == HOST
        else TimingSettings(),
        phone=PhoneSettings(
            rounds=settings.looks[-1],
            runs=asked.runs or 10,
            threads=asked.threads,
            cpus=pinned,
            xnnpack=asked.xnnpack,
            seed=asked.seed,
            outputs=0,
            cool_down_s=asked.cool_down_s,
        ),
        serial=asked.serial,
        via=asked.via,
        runner=asked.runner,
        budgets=budgets_of(asked),
    )


def gate_settings(asked: Asked) -> Any:
    """How it decides.

    Raises:
        GateError: nothing can be decided so.
    """
    from fer_opt.reports.gate.decision import GateSettings

    try:
        looks = tuple(int(part) for part in asked.looks.split(","))
    except ValueError:
        raise GateError(
            f"--looks {asked.looks} are no numbers of pairs; write such as 8,12,16,24."
        ) from None
    return GateSettings(tolerance=asked.tolerance_percent / 100, looks=looks, seed=asked.seed)


def budgets_of(asked: Asked) -> tuple[Any, ...]:
    """Every budget that is stated.

    Raises:
        GateError: one is none.
    """
    from fer_opt.reports.gate.budget_words import parse_budget

    words = [*asked.budgets, *([f"size={asked.max_size}"] if asked.max_size else [])]
    return tuple(parse_budget(text, asked.percentile) for text in words)


def _refuse_other_place(asked: Asked) -> None:
    """Options that mean nothing where it is measured are refused, not overlooked."""
    given = {
        "--serial": asked.serial is not None,
        "--runner": asked.runner is not None,
        "--xnnpack" if asked.xnnpack else "--no-xnnpack": asked.xnnpack is not None,
    }
    for option, used in given.items():
        if used and asked.on == "host":
            raise GateError(f"{option} is for phones; say which with --on, or leave it out.")
    if asked.serial is not None and asked.on != "phone":
        raise GateError(
            f"--serial {asked.serial} says which phone --on phone means; write --on phone, or "
            "leave it out."
        )
    stored = {
        "--baseline-name": asked.baseline_name is not None,
        "--machine": asked.machine is not None,
        "--stored-may-fail": asked.stored_may_fail,
    }
    for option, used in stored.items():
        if used and asked.against is None:
            raise GateError(f"{option} is of a record; say which with --against, or leave it out.")


def _accuracy(asked: Asked, request: Any, terminal: Terminal) -> Any:
    """What judges a candidate's accuracy; None where it is not asked for."""
    if asked.max_drop_points is None:
        return None
    if request.baseline is None:
        raise NoBaselineError(
            "--max-accuracy-drop compares with a baseline; give --baseline MODEL.tflite."
        )
    where = data_section(*asked.data)
    stated = input_section(*asked.stated)
    drop = asked.max_drop_points / 100

    known: Any = None

    def judge(job: Any) -> Any:
        from fer_opt.experiment.gating_accuracy import answers_on, opened_data
        from fer_opt.reports.gate.non_inferiority import judge_accuracy

        nonlocal known
        if known is None:
            say("Accuracy comes after all latency.")
            dataset = opened_data(where, terminal)
            known = dataset, answers_on(request.baseline.path, stated, dataset, terminal)
        dataset, base = known
        mine = answers_on(job.path, stated, dataset, terminal)
        return judge_accuracy(base.paired_with(mine), drop)

    return judge
