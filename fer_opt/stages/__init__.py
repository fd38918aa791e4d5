"""Classifying a photo in five stages, as the thesis's app does, with replaceable parts."""

from __future__ import annotations

from fer_opt.stages.pipeline import Pipeline, open_pipeline
from fer_opt.stages.result import Outcome, PhotoResult
from fer_opt.stages.ways import FASTER, THESIS, PipelineWays

__all__ = [
    "FASTER",
    "THESIS",
    "Outcome",
    "PhotoResult",
    "Pipeline",
    "PipelineWays",
    "open_pipeline",
]
