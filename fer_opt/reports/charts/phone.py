"""What a phone did while it timed: its processes, its canary, its clock and its heat."""

from __future__ import annotations

import altair as alt

from fer_opt.device.measurement import Measurement
from fer_opt.reports.charts.drawing import Chart, Row, compiled, layer, series, tooltip
from fer_opt.reports.charts.latency import latency_strips
from fer_opt.reports.formats import milliseconds, percent, significant
from fer_opt.reports.phones.summary import PhoneSummary

__all__ = ["phone_charts"]


def phone_charts(phone: PhoneSummary) -> dict[str, Chart]:
    """Every chart there is data for, by its part of the name; none of an emulated phone.

    The parts are ``latency``, ``canary``, ``clock`` and ``heat``; a chart's own name begins with
    ``phone-`` and the phone's number.
    """
    if phone.emulated:
        return {}
    key = tuple((row.key, row.recipe) for row in phone.rows if row.key)
    strips = latency_strips(phone.rows, f"phone-{phone.number}-latency", "model", key)
    made = {
        "latency": strips,
        "canary": _canary_chart(phone),
        "clock": _clock_chart(phone),
        "heat": _heat_chart(phone),
    }
    return {part: chart for part, chart in made.items() if chart is not None}


def _canary_chart(phone: PhoneSummary) -> Chart | None:
    """The canary's time around every attempt of a block, against its baseline."""
    checks = phone.run.checks
    if not checks:
        return None
    limit = phone.run.settings.canary_limit - 1
    moments = ("before the block", "after the block")
    points: list[Row] = []
    for place, check in enumerate(checks):
        again = f", attempt {check.attempt + 1}" if check.attempt else ""
        for moment, ms in zip(moments, (check.before_ms, check.after_ms), strict=True):
            points.append(
                {
                    "place": place + 1,
                    "series": moment,
                    "change": ms / check.baseline_ms - 1,
                    "text": f"{milliseconds(ms)}, at first {milliseconds(check.baseline_ms)}",
                    "block": f"round {check.round_index + 1}{again}",
                    "found": "throttled" if check.throttled else "held its speed",
                }
            )
    hot = [{"place": place + 1} for place, check in enumerate(checks) if check.throttled]
    extent = 1.15 * max(limit, *(abs(point["change"]) for point in points))
    x = _order_axis(len(checks), "block, every attempt, in the order they ran")
    y = alt.Y(
        "change:Q",
        title="canary against its baseline",
        scale=alt.Scale(domain=[-extent, extent], nice=False),
        axis=alt.Axis(format="+.1~%", tickCount=5),
    )
    fields = {"text": "canary", "series": "taken", "block": "block", "found": "the phone"}
    chart = alt.layer(
        layer([{"change": 0}], "zero").mark_rule(color="var(--muted)").encode(y=y),
        layer([{"change": limit}], "limit")
        .mark_rule(color="var(--bad)", strokeDash=[5, 3])
        .encode(y=y),
        layer(hot, "hot").mark_rule(color="var(--bad)", opacity=0.25, strokeWidth=10).encode(x=x),
        layer(points, "points")
        .mark_point(filled=True, opacity=0.9, size=55)
        .encode(x=x, y=y, tooltip=tooltip(fields), **series(moments)),
    )
    return Chart(
        name=f"phone-{phone.number}-canary",
        title="Did the phone hold its speed?",
        caption=(
            "A small fixed model, timed before and after each block: whatever it takes longer than "
            f"at the start is the phone’s doing. Above the dashed line ({percent(limit, 0)}) the "
            "phone is throttled; such a block, shaded, is measured again after a pause."
        ),
        description=f"Canary in {len(checks)} blocks, {len(hot)} of them throttled.",
        spec=compiled(chart, height=190),
    )


def _clock_chart(phone: PhoneSummary) -> Chart | None:
    """The clock in each process, and the clock the phone allowed."""
    names = ("while it ran", "allowed")
    points: list[Row] = []
    for one in phone.run.measurements:
        for name, mhz in zip(names, (_mean_clock(one), one.after.limit_mhz), strict=True):
            if mhz is not None:
                points.append(_point(one, name, mhz, f"{significant(mhz, 4)}\u00a0MHz"))
    return _over_time(
        phone, points, names, "clock", "clock of the CPUs used, MHz", "Its clock",
        "The mean clock of the CPUs used in each process, and the clock they were allowed: heat or "
        "a power mode lowers it.",
    )  # fmt: skip


def _heat_chart(phone: PhoneSummary) -> Chart | None:
    """The hottest sensor and the battery after each process."""
    names = ("hottest sensor", "battery")
    points: list[Row] = []
    for one in phone.run.measurements:
        for name, degrees in zip(
            names, (one.after.temperature_c, one.after.battery_c), strict=True
        ):
            if degrees is not None:
                points.append(_point(one, name, degrees, f"{significant(degrees)}\u00a0°C"))
    return _over_time(
        phone, points, names, "heat", "temperature, °C", "Its heat",
        "Temperatures just after each process, as far as the phone tells them.",
    )  # fmt: skip


def _mean_clock(one: Measurement) -> float | None:
    """In MHz: over the time spent at each clock where that is known, else just after."""
    total = sum(one.clock_s.values())
    if total > 0:
        return sum(float(mhz) * seconds for mhz, seconds in one.clock_s.items()) / total
    return one.after.cpu_mhz


def _point(one: Measurement, name: str, value: float, text: str) -> Row:
    return {
        "order": one.order_index + 1,
        "series": name,
        "value": value,
        "text": text,
        "model": one.model,
        "started": one.started_at,
    }


def _over_time(
    phone: PhoneSummary,
    points: list[Row],
    names: tuple[str, ...],
    part: str,
    axis: str,
    title: str,
    caption: str,
) -> Chart | None:
    if not points:
        return None
    found = [name for name in names if any(point["series"] == name for point in points)]
    x = _order_axis(max(point["order"] for point in points), "process, in the order they ran",
                    "order")  # fmt: skip
    y = alt.Y(
        "value:Q",
        title=axis,
        scale=alt.Scale(zero=part == "clock", padding=10),
        axis=alt.Axis(tickCount=5),
    )
    fields = {"text": axis.partition(",")[0], "series": "of", "order": "place in the order",
              "model": "model", "started": "started"}  # fmt: skip
    chart = alt.layer(
        layer(points, "line")
        .mark_line(opacity=0.5, strokeWidth=1.5)
        .encode(x=x, y=y, color=series(found)["color"]),
        layer(points, "points")
        .mark_point(filled=True, opacity=0.9, size=40)
        .encode(x=x, y=y, tooltip=tooltip(fields), **series(found)),
    )
    return Chart(
        name=f"phone-{phone.number}-{part}",
        title=title,
        caption=caption,
        description=f"{axis} of {len(points)} readings in the order of the processes.",
        spec=compiled(chart, height=170),
    )


def _order_axis(last: int, title: str, field: str = "place") -> alt.X:
    return alt.X(
        f"{field}:Q",
        title=title,
        scale=alt.Scale(domain=[0, last + 1], nice=False),
        axis=alt.Axis(grid=False, format="d", tickMinStep=1, labelOverlap=True),
    )
