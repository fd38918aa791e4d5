"""Everything needed to repeat a run, gathered under headings."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from fer_opt.device.measurement import Conditions, Measurement
from fer_opt.reports.formats import count, significant
from fer_opt.reports.record import RunRecord

__all__ = ["facts_of", "order_of"]

Facts = dict[str, str]


def facts_of(record: RunRecord) -> tuple[tuple[str, Facts], ...]:
    """Name and value under each heading; a heading without any facts is left out."""
    found = (
        ("The run", _run(record)),
        ("The model", _model(record)),
        ("The input", _convention(record)),
        ("The dataset", _dataset(record)),
        ("The representative set", _representative(record)),
        ("How variants were timed", _timing(record)),
        ("Conditions while timing", _conditions(record.measurements)),
        ("The device", record.device.facts if record.device else {}),
        ("What the device would not say", record.device.unread if record.device else {}),
        ("Packages", dict(sorted(record.packages.items()))),
    )
    return tuple((heading, facts) for heading, facts in found if facts)


def order_of(
    measurements: Sequence[Measurement], names: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, ...]:
    """The models' names in the order their processes ran, one line for each round.

    Args:
        measurements: in any order.
        names: what to call a model instead of its name.
    """
    rounds: dict[int, list[str]] = {}
    for one in sorted(measurements, key=lambda one: one.order_index):
        rounds.setdefault(one.round_index, []).append(names.get(one.model, one.model))
    return tuple(f"{index + 1}: {', '.join(names)}" for index, names in rounds.items())


def _run(record: RunRecord) -> Facts:
    return {
        "started": record.created_at,
        "complete": "yes" if record.complete else "no",
        "fer-opt": record.fer_opt_version,
        "fingerprint of all inputs": record.experiment_fingerprint,
        "target": f"{significant(record.target_ms)} ms an image",
    }


def _model(record: RunRecord) -> Facts:
    model = record.model
    return {
        "name": model.name,
        "source": model.source,
        "format": model.format,
        "parameters": count(model.parameters),
        "input": "×".join(str(side) for side in model.input_shape),
        "outputs": count(model.classes),
        "SHA-256": model.sha256,
    }


def _convention(record: RunRecord) -> Facts:
    convention = record.convention
    stated = {
        "height": f"{convention.height} px",
        "width": f"{convention.width} px",
        "channels": "1 (grey)" if convention.channels == 1 else "3 (RGB)",
        "low": f"black becomes {convention.low:g}",
        "high": f"white becomes {convention.high:g}",
        "interpolation": convention.interpolation,
        "preprocessing": ", ".join(convention.preprocessing) or "none",
        "labels": ", ".join(convention.labels),
    }
    return {
        name: f"{value} (guessed)" if name in convention.guessed else value
        for name, value in stated.items()
    }


def _dataset(record: RunRecord) -> Facts:
    dataset = record.dataset
    return {
        "name": dataset.name,
        "source": dataset.source,
        "samples": count(dataset.size),
        "left out": count(len(dataset.skipped)),
        "fingerprint": dataset.fingerprint,
    }


def _representative(record: RunRecord) -> Facts:
    drawn = record.representative
    if drawn is None:
        return {}
    return {
        "drawn from": drawn.source,
        "samples": count(drawn.size),
        "seed": str(drawn.seed),
        "range fed to the converter": f"{drawn.low:g} to {drawn.high:g}",
        "SHA-256": drawn.sha256,
    }


def _timing(record: RunRecord) -> Facts:
    settings, made = record.latency, record.measurements
    if settings is None:
        return {}
    facts = {
        "fresh processes for each variant": count(settings.processes),
        "inferences in each process": count(settings.runs),
        "threads": count(settings.threads),
        "pinned to CPUs": ", ".join(map(str, settings.cpus)) or "not pinned",
        "seed of the order": str(settings.seed),
        "inputs": settings.inputs,
        "processes made": count(len(made)),
    }
    if record.device:
        facts["device"] = f"{record.device.name} ({record.device.kind})"
        facts["device's fingerprint"] = record.device.fingerprint
    if made:
        first = dict.fromkeys(one.session for one in made)
        facts["sessions"] = f"{len(first)} ({', '.join(first)})"
        facts["delegate"] = ", ".join(sorted({one.delegate for one in made}))
        facts["first process"] = min(one.started_at for one in made)
        facts["last process"] = max(one.started_at for one in made)
        warm = [float(len(one.warm_up_ms)) for one in made if one.warm_up_ms]
        facts["warm-up inferences"] = _range(warm, "") if warm else "not told one by one"
        unsteady = sum(not one.steady for one in made)
        facts["processes that never became steady"] = f"{unsteady:,} of {len(made):,}"
    return facts


def _conditions(measurements: Sequence[Measurement]) -> Facts:
    if not measurements:
        return {}
    facts = {}
    for moment, states in (
        ("before", [one.before for one in measurements]),
        ("after", [one.after for one in measurements]),
    ):
        facts.update(
            {
                f"load, {moment}": _known(states, "load_1m", ""),
                f"clock, {moment}": _known(states, "cpu_mhz", "MHz"),
                f"temperature, {moment}": _known(states, "temperature_c", "°C"),
            }
        )
    return facts


def _known(states: Iterable[Conditions], field: str, unit: str) -> str:
    values = [value for state in states if (value := getattr(state, field)) is not None]
    return _range(values, unit) if values else "could not be read"


def _range(values: Sequence[float], unit: str) -> str:
    low, middle, high = (
        significant(value) for value in (min(values), statistics.median(values), max(values))
    )
    space = f"\u00a0{unit}" if unit else ""
    return f"{low} to {high}{space}, median {middle}{space}" if low != high else f"{low}{space}"
