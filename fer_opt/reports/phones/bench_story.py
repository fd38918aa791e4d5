"""What a bench on phones is called, and what its reader must know of it as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from fer_opt.reports.bench_record import BenchRecord
from fer_opt.reports.names import listed, short_names
from fer_opt.reports.published import published_table
from fer_opt.reports.thesis import stages

__all__ = ["BenchStory", "bench_title", "tell_bench"]


@dataclass(frozen=True, slots=True)
class BenchStory:
    """The frame around the phones' verdicts.

    Attributes:
        unfinished: which phones have not ended; empty when all have.
        stages_caveat: that the classifier is one of five stages.
    """

    unfinished: str
    stages_caveat: str


def bench_title(record: BenchRecord) -> str:
    """Models and phones in a few words."""
    names = [*short_names(model.name for model in record.models).values()]
    models = listed(names, most=4) if names else "Nothing"
    if not names and not record.phones and record.stages:
        staged = dict.fromkeys(run.device.name for run in record.stages)
        return f"All five stages on {listed([*staged], most=3)}"
    phones = dict.fromkeys(run.device.name for run in record.phones)
    return f"{models} on {listed([*phones], most=3) if phones else 'no phone yet'}"


def tell_bench(record: BenchRecord) -> BenchStory:
    """Put the frame into sentences."""
    open_ = [run.label for run in record.phones if not run.complete]
    unfinished = ""
    if not record.complete:
        what = f" on {listed(open_)}" if open_ else ""
        unfinished = (
            f"This bench is not finished{what}; run the same command again to go on with what is "
            "missing."
        )
    return BenchStory(unfinished, _stages_caveat())


def _stages_caveat() -> str:
    found = dict(stages())
    rest = found["Total"] - found["Classifying"]
    return (
        "The classifier is one of five stages of a photo. By the thesis’s "
        f"{published_table(8).where}, the other four took its phone {rest:,.0f}\u00a0ms."
    )
