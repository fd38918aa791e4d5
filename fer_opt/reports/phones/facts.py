"""Everything needed to judge a phone's run and to repeat it, gathered under headings."""

from __future__ import annotations

from collections.abc import Sequence

from fer_opt.device.measurement import Conditions, Measurement
from fer_opt.device.phone.results import PhoneRun
from fer_opt.reports.formats import count, megabytes, significant
from fer_opt.reports.phones.summary import PhoneSummary
from fer_opt.reports.repeat import order_of

__all__ = ["about", "phone_facts", "phone_order"]

Facts = dict[str, str]


def about(summary: PhoneSummary) -> tuple[str, ...]:
    """The phone in a line: what it is, and its state at start and end."""
    run = summary.run
    facts, made = run.device.facts, run.measurements
    android, cores = facts.get("android", ""), facts.get("cores", "")
    memory = facts.get("memory_bytes", "")
    return tuple(
        part
        for part in (
            f"Android {android}" if android else "",
            facts.get("soc", ""),
            f"{cores} cores {facts.get('core_designs', '')}".strip() if cores else "",
            facts.get("clusters", ""),
            f"{int(memory) / 1e9:.1f}\u00a0GB of memory" if memory.isdigit() else "",
            _from_to(made, "battery_percent", "battery", "%"),
            _from_to(made, "battery_c", "battery", "°C"),
            "" if summary.emulated else _from_to(made, "cpu_mhz", "clock", "MHz"),
        )
        if part
    )


def phone_facts(summary: PhoneSummary) -> tuple[tuple[str, Facts], ...]:
    """Name and value under each heading; a heading without any facts is left out."""
    run = summary.run
    found = (
        ("The bench", _bench(run)),
        ("How models were timed", _settings(run)),
        ("The runner", _runner(run)),
        ("State of the phone, start and end", _state(run.measurements)),
        ("The phone", _readable(run.device.facts) | {"fingerprint": run.device.fingerprint}),
        ("What the phone would not say", run.device.unread),
        ("Files", {model.name: f"{model.path}, SHA-256 {model.sha256}" for model in run.models}),
    )
    return tuple((heading, facts) for heading, facts in found if facts)


def phone_order(summary: PhoneSummary) -> tuple[str, ...]:
    """The models' names in the order their processes ran, one line for each round."""
    return order_of(summary.run.measurements, {row.recipe: row.short for row in summary.rows})


UNITS = {"_percent": "%", "_c": "°C", "_s": "s"}


def _readable(facts: Facts) -> Facts:
    """Facts with words for names and units for values."""
    found = {}
    for name, value in facts.items():
        if name.endswith("_bytes") and value.isdigit():
            found[name.removesuffix("_bytes").replace("_", " ")] = megabytes(int(value))
            continue
        unit = next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
        found[name.replace("_", " ")] = f"{value}\u00a0{unit}" if unit else value
    return found


def _bench(run: PhoneRun) -> Facts:
    changed = "; ".join(run.changed_settings)
    sessions = dict.fromkeys(one.session for one in run.measurements)
    facts = {
        "phone": f"{run.label}, id {run.phone}",
        "reached by": {"usb": "USB", "tcp": "TCP (Wi-Fi or a virtual phone)"}.get(
            run.route, "a running adb server"
        ),
        "profile": run.profile or "of no known phone",
        "started": run.started_at,
        "ended": run.ended_at or "not yet",
        "sessions": f"{len(sessions)} ({', '.join(sessions)})" if sessions else "none yet",
        "connection broke and came back": f"{run.reconnections:,} times",
        "pushed to the phone": megabytes(run.pushed_bytes),
        "already there": megabytes(run.kept_bytes),
        "changed on the phone for the bench": changed or "nothing",
    }
    return facts | {"to be believed": "yes" if run.trust.trusted else "no"}


def _settings(run: PhoneRun) -> Facts:
    settings, made = run.settings, run.measurements
    xnnpack = {True: "asked for", False: "switched off", None: "left to the runner"}
    cpus = sorted({one.cpus for one in made})
    pinned = "; ".join(", ".join(map(str, group)) or "not pinned" for group in cpus)
    facts = {
        "fresh processes for each model": count(settings.rounds),
        "counted inferences in each process": count(settings.runs),
        "inferences to warm up": count(settings.warm_up_runs),
        "threads": count(settings.threads),
        "pinned to CPUs": pinned or "nothing timed yet",
        "CPU mask": "; ".join(_mask(group) for group in cpus) or "none yet",
        "XNNPACK": xnnpack[settings.xnnpack],
        "delegate": ", ".join(sorted({one.delegate for one in made})) or "unknown",
        "inputs": settings.inputs,
        "samples whose outputs are compared": count(settings.outputs),
        "seed of the order": str(settings.seed),
        "longest process": f"{settings.max_s:g} s",
        "throttled when the canary exceeds": f"{settings.canary_limit:g} of its baseline",
        "pause after throttling": f"{settings.cool_down_s:g} s",
        "tries of a block": count(settings.tries),
        "least charge of the battery": f"{settings.least_battery_percent} %",
    }
    again = sum(one.attempt > 0 for one in made)
    return facts | {"processes of blocks that were measured again": f"{again:,} of {len(made):,}"}


def _mask(cpus: Sequence[int]) -> str:
    return f"{sum(1 << cpu for cpu in cpus):x}" if cpus else "none"


def _runner(run: PhoneRun) -> Facts:
    runner = run.runner
    if runner is None:
        return {}
    return {
        "name": runner.name,
        "from": runner.source,
        "downloaded": runner.fetched_at or "a local file",
        "SHA-256": runner.sha256,
        "bytes": count(runner.size_bytes),
        "made for": runner.abi,
        "flags it knows": ", ".join(runner.flags) or "it lists none",
    }


STATE = {
    "battery_percent": ("battery's charge", "%"),
    "battery_c": ("battery's temperature", "°C"),
    "temperature_c": ("hottest sensor", "°C"),
    "cpu_mhz": ("clock of the CPUs used", "MHz"),
    "limit_mhz": ("clock they may reach", "MHz"),
    "load_1m": ("load over a minute", ""),
}


def _state(made: Sequence[Measurement]) -> Facts:
    if not made:
        return {}
    facts = {
        name: _from_to(made, field, "", unit) or "could not be read"
        for field, (name, unit) in STATE.items()
    }
    clocks: dict[str, float] = {}
    for one in made:
        for mhz, seconds in one.clock_s.items():
            clocks[mhz] = clocks.get(mhz, 0.0) + seconds
    total = sum(clocks.values())
    if total > 0:
        ranked = sorted(clocks.items(), key=lambda item: -float(item[0]))
        shares = [f"{100 * s / total:.0f} % at {mhz} MHz" for mhz, s in ranked if s >= total / 200]
        facts["time at each clock"] = ", ".join(shares)
    return facts


def _from_to(made: Sequence[Measurement], field: str, name: str, unit: str) -> str:
    """A condition at the first process and after the last, as far as it was read."""
    states: list[Conditions] = [one.before for one in made] + [one.after for one in made[-1:]]
    values = [value for state in states if (value := getattr(state, field)) is not None]
    if not values:
        return ""
    first, last = (
        str(value) if isinstance(value, int) else significant(value)
        for value in (values[0], values[-1])
    )
    space = f"\u00a0{unit}" if unit else ""
    said = f"{first}{space}" if first == last else f"{first} to {last}{space}"
    return f"{name} {said}".strip()
