"""Reads logs captured from a genuine build, where FER_OPT_CAPTURES names their folder.

Each run there is NAME.cmd, NAME.rc, NAME.stdout and NAME.stderr, and the profile it wrote, if any,
NAME.csv or NAME.txt.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from sample_benchmark_model import interleaved

from fer_opt.device.benchmark_model import (
    BenchmarkFailedError,
    BenchmarkLog,
    Cause,
    parse_log,
    parse_profile,
)
from fer_opt.errors import MeasurementError

FOLDER = Path(os.environ.get("FER_OPT_CAPTURES", ""))

pytestmark = pytest.mark.skipif(
    not os.environ.get("FER_OPT_CAPTURES"), reason="FER_OPT_CAPTURES names no folder of captures"
)

FAILURES = {
    "badsig_fp32": Cause.SIGNATURE,
    "bareflag_bool": Cause.UNKNOWN_FLAGS,
    "dryrun_fp32": Cause.NO_RUNS,
    "fail_bitflip": Cause.MODEL_DAMAGED,
    "fail_custom": Cause.CUSTOM_OPERATOR,
    "fail_dir": Cause.MODEL_UNREADABLE,
    "fail_empty": Cause.MODEL_EMPTY,
    "fail_flex": Cause.FLEX_OPERATOR,
    "fail_flex_nox": Cause.FLEX_OPERATOR,
    "fail_flex_x": Cause.FLEX_OPERATOR,
    "fail_missing": Cause.MODEL_MISSING,
    "fail_nograph": Cause.NO_GRAPH,
    "fail_random": Cause.MODEL_DAMAGED,
    "fail_text": Cause.MODEL_DAMAGED,
    "fail_truncated": Cause.MODEL_DAMAGED,
    "fail_unknownop": Cause.UNKNOWN_OPERATOR,
    "input_badshape": Cause.INPUT_SHAPE,
    "input_missingfile": Cause.INPUT_FILE_MISSING,
    "input_noshape": Cause.INPUT_LAYERS,
    "input_unescaped": Cause.INPUT_LAYERS,
    "input_wrongrank": Cause.INPUT_SHAPE,
    "listsig_fp32": Cause.OTHER,
    "opprof_badmode": Cause.FLAG_VALUE,
    "spaceflag": Cause.UNKNOWN_FLAGS,
    "threads_neg": Cause.FLAG_VALUE,
    "tiny_5": Cause.TOO_FAST,
    "tiny_default": Cause.TOO_FAST,
    "twosig_none": Cause.SIGNATURE,
    "unknown_flag": Cause.UNKNOWN_FLAGS,
    "zeroruns_fp32": Cause.NO_RUNS,
}


@dataclass(frozen=True)
class Capture:
    name: str
    command: str
    status: int
    output: str
    errors: str

    def texts(self) -> list[str]:
        """Both streams, one after the other or mixed, with either end of line."""
        output, errors = self.output.split("\n")[:-1], self.errors.split("\n")[:-1]
        mixed = [
            interleaved(output, errors, seed, ending=ending)
            for seed in range(3)
            for ending in ("\n", "\r\n")
        ]
        return [self.output + self.errors, self.errors + self.output, *mixed]


def captures() -> list[Capture]:
    found = []
    for path in sorted(FOLDER.glob("*.cmd")):
        texts = {
            ending: path.with_suffix(ending).read_bytes().decode()
            for ending in (".cmd", ".rc", ".stdout", ".stderr")
        }
        found.append(
            Capture(
                path.stem, texts[".cmd"].strip(), int(texts[".rc"]), texts[".stdout"],
                texts[".stderr"],
            )
        )  # fmt: skip
    assert len(found) > 60, f"{FOLDER} does not hold the captures"
    return found


def test_every_capture_has_the_right_end() -> None:
    ends: dict[str, set[str]] = {}
    for one in captures():
        for text in one.texts():
            try:
                log = parse_log(text, one.status)
            except BenchmarkFailedError as exc:
                ends.setdefault(one.name, set()).add(exc.failure.cause)
            else:
                ends.setdefault(one.name, set()).add("")
                check_values(one, log)
    assert {name: end for name, end in ends.items() if end != {""}} == {
        name: {cause} for name, cause in FAILURES.items()
    }


def check_values(one: Capture, log: BenchmarkLog) -> None:
    """Compare with what simple patterns find."""

    def last(pattern: str, text: str = one.output) -> float:
        return float(re.findall(pattern, text)[-1])

    # In the profiles of operators there are such lines too, but without percentiles.
    warm_up, counted = re.findall(r"^INFO: (count=.* p5=.*)$", one.output, re.MULTILINE)
    assert log.counted.count == last(r"count=(\d+)", counted)
    assert log.counted.median_ms == last(r"median=(\d+)", counted) / 1000
    assert log.counted.p5_ms == last(r"p5=(\d+)", counted) / 1000
    assert log.counted.p95_ms == last(r"p95=(\d+)", counted) / 1000
    for name, value_ms in (
        ("min", log.counted.min_ms),
        ("max", log.counted.max_ms),
        ("avg", log.counted.mean_ms),
        ("std", log.counted.sd_ms),
    ):
        assert value_ms == last(rf"{name}=(\S+)", counted) / 1000
    count = int(last(r"count=(\d+)", warm_up))
    assert (0 if log.warm_up is None else log.warm_up.count) == count
    first = last(r"First inference: (\d+)") / 1000
    assert log.first_inference_ms == (first if count else None)
    assert log.initialisation_ms == last(r"Init: (\d+)") / 1000
    assert log.asked.runs == last(r"at least (\d+) iterations")
    assert log.asked.min_s == last(r"at least (\S+) seconds")
    assert log.memory.overall_bytes == round(last(r"overall=(\S+)") * 2**20)
    watched = "report_peak_memory_footprint=true" in one.command
    assert (log.memory.peak_bytes is not None) == watched
    threads = re.search(r"--num_threads=(\d+)", one.command)
    assert log.threads == (None if threads is None else int(threads[1]))
    assert log.parameters["Graph"] in one.command
    assert log.model_bytes == round(last(r"size \(MB\): (\S+)") * 1e6)
    asked = re.search(r"--use_xnnpack=(\w+)", one.command)
    expected = {"true": ("XNNPACK", "complete"), "false": ("", "none"), "": ("XNNPACK", "unknown")}
    assert (log.delegate.name, log.delegate.extent) == expected["" if asked is None else asked[1]]
    assert len(log.warnings) == one.output.count("WARN: ") + one.name.startswith("tiny")


def test_every_profile_is_read() -> None:
    read = 0
    for one in captures():
        if "enable_op_profiling=true" not in one.command or one.name in FAILURES:
            continue
        written = [FOLDER / f"{one.name}{ending}" for ending in (".csv", ".txt")]
        texts = [path.read_text("utf-8") for path in written if path.exists()]
        if not texts and "=proto" not in one.command:
            texts = one.texts()
        elif not texts:
            with pytest.raises(MeasurementError, match="there is none"):
                parse_profile(one.output)
        for text in texts:
            check_profile(text)
        read += bool(texts)
    assert read >= 12


def check_profile(text: str) -> None:
    profile = parse_profile(text)
    names = re.findall(r"^(?:\t.*\t|.*, )(\S.*:\d+)\r?$", text, re.MULTILINE)
    listed = [name.replace("\t", ",") for name in names]
    rows = profile.regular.rows
    # Below the rows in run order stand up to ten of them once more.
    assert sorted(listed) == sorted(
        [row.name for row in rows] + [row.name for row in profile.regular.top]
    )
    assert len(profile.regular.top) == min(10, len(rows))
    assert int(re.findall(r"^(\d+) nodes observed", text, re.MULTILINE)[-1]) == len(rows)
    shares = [row.share for row in rows]
    if None in shares:
        assert all(row.mean_ms == 0 for row in rows)
    else:
        assert sum(share or 0 for share in shares) == pytest.approx(1, abs=1e-3)
    assert profile.regular.timings is not None
    total_ms = sum(row.mean_ms for row in rows)
    assert total_ms == pytest.approx(profile.regular.timings.mean_ms, abs=0.02)
    assert profile.initialisation is not None
    assert profile.initialisation.rows[-1].kind == "AllocateTensors"
