"""Tables of what phones timed: all at a glance, one phone's models, their slowest operators."""

from __future__ import annotations

from collections.abc import Sequence

from fer_opt.device.phone.results import OperatorTime
from fer_opt.reports.formats import megabytes, milliseconds, percent, significant
from fer_opt.reports.phones.story import kind_badge, trust_badge
from fer_opt.reports.phones.summary import PhoneModel, PhoneSummary
from fer_opt.reports.tables import (
    Cell,
    Column,
    Table,
    Tone,
    latency_cell,
    ratio_cell,
    shared_confidence,
)

__all__ = ["models_table", "operators_table", "overview_table"]

TOP_OPERATORS = 8


def overview_table(phones: Sequence[PhoneSummary]) -> Table | None:
    """A row for each phone and model; None for fewer than two phones."""
    if len(phones) < 2:
        return None
    columns = (
        Column("Phone"),
        Column("Model"),
        Column("Time of one image", True),
        Column(f"Against {significant(phones[0].target_ms)}\u00a0ms"),
        Column("Time / reference", True),
        Column("Outputs here and there"),
    )
    body = tuple(
        (
            Cell(phone.run.label, badges=_badges(phone, first=row is phone.rows[0])),
            Cell(row.short),
            _time_cell(phone, row),
            _budget_cell(phone, row),
            ratio_cell(row, phone.reference, None),
            _outputs_cell(row),
        )
        for phone in phones
        for row in phone.rows
    )
    names = sorted({phone.short_reference for phone in phones if phone.short_reference})
    notes = (f"The reference is {', '.join(names)}, timed on the same phone.",) if names else ()
    return Table("phones-overview", "All phones at a glance", columns, (("", body),), notes)


def models_table(phone: PhoneSummary) -> Table:
    """What each model costs on one phone; an emulator’s have no columns of time and memory."""
    shared = shared_confidence(phone.rows)
    timed: tuple[Column, ...] = (
        Column("Time of one image", True),
        Column(f"Against {significant(phone.target_ms)}\u00a0ms"),
        Column(f"Time / {phone.short_reference or 'reference'}", True),
        Column("Slowest", True),
        Column("To load", True),
        Column("Memory added", True),
    )
    columns = (
        Column("Model"),
        *(() if phone.emulated else timed),
        Column("File", True),
        Column("Outputs here and there"),
    )

    def cells(row: PhoneModel) -> tuple[Cell, ...]:
        latency = row.latency
        times = (
            _time_cell(phone, row, shared),
            _budget_cell(phone, row),
            ratio_cell(row, phone.reference, shared),
            Cell(milliseconds(latency.max_ms if latency else None)),
            Cell(milliseconds(latency.initialisation_ms if latency else None)),
            Cell(megabytes(latency.peak_memory_bytes if latency else None)),
        )
        return (
            Cell(
                row.recipe,
                badges=(("✗ failed", "bad"),) if row.failure else (),
                key=row.key,
            ),
            *(() if phone.emulated else times),
            Cell(megabytes(row.model.size_bytes)),
            _outputs_cell(row),
        )

    return Table(
        f"phone-{phone.number}-models",
        f"The models on {phone.run.label}",
        columns,
        (("", tuple(cells(row) for row in phone.rows)),),
        _notes(phone, shared),
    )


def operators_table(phone: PhoneSummary, most: int = TOP_OPERATORS) -> Table | None:
    """Where each model spends its time, by kind of operator; None where nobody asked."""
    groups = []
    for row in phone.rows:
        if not row.operators:
            continue
        kinds: dict[str, list[OperatorTime]] = {}
        for one in row.operators:
            kinds.setdefault(one.kind, []).append(one)
        ranked = sorted(kinds.items(), key=lambda item: -sum(one.mean_ms for one in item[1]))
        body = tuple(
            (
                Cell(kind),
                Cell(f"{len(nodes):,}"),
                Cell(milliseconds(sum(one.mean_ms for one in nodes))),
                Cell(_share_of(nodes)),
            )
            for kind, nodes in ranked[:most]
        )
        rest = ranked[most:]
        heading = f"{row.recipe}, the {most} slowest of {len(ranked)} kinds" if rest else row.recipe
        groups.append((heading, body))
    if not groups:
        return None
    columns = (Column("Operator"), Column("Nodes", True), Column("Time", True),
               Column("of the whole", True))  # fmt: skip
    notes = (
        "From one more process for each model, which the profiling slows down a little; compare "
        "shares, not times.",
    )
    return Table(
        f"phone-{phone.number}-operators",
        "Where the time goes",
        columns,
        tuple(groups),
        notes,
    )


def _share_of(nodes: Sequence[OperatorTime]) -> str:
    """Of the whole; the runner cannot tell any where the whole took it no time."""
    shares = [one.share for one in nodes if one.share is not None]
    return percent(sum(shares) if len(shares) == len(nodes) else None)


def _badges(phone: PhoneSummary, *, first: bool) -> tuple[tuple[str, Tone], ...]:
    """That it is no real phone, in every row; whether to believe it, in the first of a good one."""
    trust = trust_badge(phone) if first or not phone.run.trust.trusted else None
    return tuple(badge for badge in (kind_badge(phone), trust) if badge is not None)


def _time_cell(phone: PhoneSummary, row: PhoneModel, shared: float | None = None) -> Cell:
    if row.failure is not None:
        return Cell("failed", tone="bad")
    if phone.emulated:
        return Cell("no latency", "emulated", tone="muted")
    return latency_cell(row.latency, shared)


def _budget_cell(phone: PhoneSummary, row: PhoneModel) -> Cell:
    if row.latency is None:
        return Cell("–", tone="muted")
    if not phone.real:
        return Cell("not judged", "a computer’s time", "muted")
    share = f"{100 * row.latency.median_ms / phone.target_ms:.0f}\u00a0% of it"
    cell = {
        "within": Cell("✓ within", share, "good"),
        "beyond": Cell("✗ beyond", share, "bad"),
    }.get(row.budget, Cell("too close to call", share, "warn"))
    if phone.run.trust.trusted:
        return cell
    return Cell(f"{cell.text}?", share, "muted")


def _outputs_cell(row: PhoneModel) -> Cell:
    found = row.outputs
    if found is None:
        return Cell("not compared", tone="muted")
    of = f"of {found.samples:,} samples"
    if found.label_flips:
        plural = "s" if found.label_flips > 1 else ""
        return Cell(f"{found.label_flips:,} other label{plural}", of, "bad")
    if not found.max_abs_difference:
        return Cell("equal", of)
    return Cell("same labels", f"{of}; differ by {found.max_abs_difference:.2g} at most")


def _notes(phone: PhoneSummary, shared: float | None) -> tuple[str, ...]:
    notes = []
    if phone.timed:
        stated = (
            f"{percent(shared, 0)} interval"
            if shared
            else "interval and, in brackets, the confidence that it really has"
        )
        notes.append(
            f"Time: median over fresh processes of each one’s median, with its {stated}; the ratio "
            "is of pairs from the same round. To load: reading the file and preparing its tensors. "
            "Memory added: by how much loading and running the model raised the process’s peak."
        )
    if any(row.outputs for row in phone.rows):
        notes.append(
            "Outputs here and there: what the phone computed for the same inputs as this computer, "
            "from the same file."
        )
    return (*notes, "Sizes in units of 1000.")
