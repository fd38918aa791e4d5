"""The model by which a phone is known to be throttled; ``device/make_canary.py`` made it."""

from __future__ import annotations

from pathlib import Path

from fer_opt.device.protocol import TimingJob

__all__ = ["CANARY", "CANARY_NAME", "CANARY_RUNS", "CANARY_SHA256", "CANARY_WARM_UP_RUNS"]

CANARY_NAME = "fer-opt's canary"
CANARY_SHA256 = "f05104cca763d42f1aed5f0a398f6b2d635d002d84407403a1c7fc5db0554ac3"
CANARY_RUNS = 20
"""Counted inferences: some 0.4 s on a Cortex-A53, long enough for a median, too short to heat."""
CANARY_WARM_UP_RUNS = 5

CANARY = TimingJob(CANARY_NAME, Path(__file__).with_name("canary.tflite"), CANARY_SHA256)
