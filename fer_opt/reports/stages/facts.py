"""Everything needed to judge a run of the stages and to repeat it, gathered under headings."""

from __future__ import annotations

from fer_opt.reports.formats import count
from fer_opt.reports.stages.summary import StagesSummary

__all__ = ["about", "stage_facts"]

Facts = dict[str, str]


def about(summary: StagesSummary) -> tuple[str, ...]:
    """Which photos, and when, in a few words each."""
    run = summary.run
    photos = f"{count(run.photos.count)} photo{'s' if run.photos.count != 1 else ''}"
    return tuple(filter(None, (photos, run.photos.source, run.started_at[:10])))


def stage_facts(summary: StagesSummary) -> tuple[tuple[str, Facts], ...]:
    """Name and value under each heading; a heading without any facts is left out."""
    run = summary.run
    models = {
        f"classifier of {one.title}": f"{one.pipeline.model}, SHA-256 {one.pipeline.model_sha256}"
        for one in summary.pipelines
    }
    timed = {
        "photos": f"{run.photos.source}, fingerprint {run.photos.fingerprint}",
        **models,
        "threads": count(run.threads),
        "seed of the order": str(run.seed),
        "session": run.session,
        "started": run.started_at,
    }
    found = (
        ("How the stages were timed", {name: value for name, value in timed.items() if value}),
        ("The device", run.device.facts | {"fingerprint": run.device.fingerprint}),
        ("What the device would not say", run.device.unread),
    )
    return tuple((heading, facts) for heading, facts in found if facts)
