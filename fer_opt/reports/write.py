"""All reports of a record, written beside it."""

from __future__ import annotations

from pathlib import Path

from fer_opt.files import make_folder, write_atomically
from fer_opt.reports.bench_record import BenchRecord
from fer_opt.reports.compression import steps_of
from fer_opt.reports.csv_tables import (
    labels_csv,
    layers_csv,
    measurements_csv,
    steps_csv,
    variants_csv,
)
from fer_opt.reports.html import render_bench_html, render_html
from fer_opt.reports.markdown import render_bench_markdown, render_markdown
from fer_opt.reports.phones.csv_tables import phone_csvs
from fer_opt.reports.phones.summary import summarise_phones
from fer_opt.reports.record import RunRecord
from fer_opt.reports.stages.csv_tables import stages_csvs
from fer_opt.reports.stages.summary import summarise_stages

__all__ = ["write_bench_reports", "write_reports"]


def write_reports(record: RunRecord, folder: Path) -> tuple[Path, ...]:
    """Write every report of ``record`` into ``folder``, each atomically, and return their paths.

    They are ``report.html`` (first), ``report.md``, ``variants.csv``, ``labels.csv`` and
    ``measurements.csv``, and ``steps.csv`` and ``layers.csv`` where a recipe has steps, and
    ``phones.csv`` and its like where phones took part, and ``stages.csv`` where all five stages
    were timed. All are rendered before the first is written.

    Raises:
        MeasurementError: measurements of one variant are unlike and cannot be pooled.
        OutputError: the folder cannot be made, or a file not written.
    """
    contents = {
        "report.html": render_html(record),
        "report.md": render_markdown(record),
        "variants.csv": variants_csv(record),
        "labels.csv": labels_csv(record),
        "measurements.csv": measurements_csv(record),
    }
    if steps_of(record):
        contents |= {"steps.csv": steps_csv(record), "layers.csv": layers_csv(record)}
    contents |= phone_csvs(summarise_phones(record.phones, record.target_ms))
    contents |= stages_csvs(summarise_stages(record.stages, record.target_ms))
    return _write(contents, folder)


def write_bench_reports(record: BenchRecord, folder: Path) -> tuple[Path, ...]:
    """Write every report of a bench on phones into ``folder``, see :func:`write_reports`.

    They are ``report.html`` (first), ``report.md``, and the CSV files of
    :func:`fer_opt.reports.phones.csv_tables.phone_csvs` and
    :func:`fer_opt.reports.stages.csv_tables.stages_csvs`.
    """
    contents = {
        "report.html": render_bench_html(record),
        "report.md": render_bench_markdown(record),
        **phone_csvs(summarise_phones(record.phones, record.target_ms)),
        **stages_csvs(summarise_stages(record.stages, record.target_ms)),
    }
    return _write(contents, folder)


def _write(contents: dict[str, str], folder: Path) -> tuple[Path, ...]:
    make_folder(folder)
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return tuple(folder / name for name in contents)
