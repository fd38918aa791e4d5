"""Whether a model gives on the phone what it gives on this computer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from fer_opt.device.benchmark_model import read_outputs, real_values
from fer_opt.device.phone.device import PhoneDevice, PlacedModel
from fer_opt.device.phone.folder import path_on_phone
from fer_opt.device.phone.results import OutputComparison
from fer_opt.errors import MeasurementError
from fer_opt.flatbuffer import TensorFacts

__all__ = ["NO_FLAG", "can_compare", "compare_bytes", "compare_outputs"]

FOLDER_OF_OUTPUTS = "outputs"

NO_FLAG = (
    "Outputs were not compared with this computer's: this build of the runner cannot write them "
    "(it lacks --output_filepath); take a newer one."
)


def can_compare(device: PhoneDevice) -> bool:
    """Whether this build of the runner writes outputs."""
    return "output_filepath" in device.flags


def compare_outputs(
    device: PhoneDevice,
    placed: PlacedModel,
    attend: Callable[[Callable[[], bytes]], bytes] = lambda run: run(),
) -> OutputComparison:
    """Run the first samples on the phone, each once, and compare what comes back.

    Args:
        device: the phone.
        placed: the model.
        attend: runs a sample, with whatever is due before and after it.

    Raises:
        MeasurementError: the runner failed, or wrote something else than the model's outputs.
        PhoneError: the phone is gone or cannot be used.
    """
    prepared = placed.prepared
    expected = [path.read_bytes() for path in prepared.expected.values()]
    found = [
        attend(partial(device.steady.run, partial(_outputs_of, device, placed, place)))
        for place in prepared.expected
    ]
    return compare_bytes(prepared.job.model, found, expected, prepared.outputs)


def compare_bytes(
    model: str, found: Sequence[bytes], expected: Sequence[bytes], outputs: Sequence[TensorFacts]
) -> OutputComparison:
    """Compare outputs in real units, sample by sample.

    Args:
        model: its name.
        found: for each sample the phone's output tensors in a row.
        expected: the same of this computer.
        outputs: type, shape and quantization of the tensors.

    Raises:
        MeasurementError: the bytes are not those of such tensors, or hold no numbers.
    """
    largest, flips = 0.0, 0
    for here, there in zip(expected, found, strict=True):
        pairs = [
            (real_values(mine, facts).ravel(), real_values(theirs, facts).ravel())
            for mine, theirs, facts in zip(
                read_outputs(here, outputs), read_outputs(there, outputs), outputs, strict=True
            )
        ]
        for number, (mine, theirs) in enumerate(pairs):
            if not (np.isfinite(theirs).all() and np.isfinite(mine).all()):
                where = "on the phone" if np.isfinite(mine).all() else "on this computer"
                raise MeasurementError(
                    f"{model} gives values {where} that are not finite in output {number}; "
                    "convert the model again."
                )
            largest = max(largest, float(np.abs(mine - theirs).max(initial=0.0)))
        flips += int(pairs[0][0].argmax() != pairs[0][1].argmax())
    return OutputComparison(model, len(expected), largest, flips)


def _outputs_of(device: PhoneDevice, placed: PlacedModel, sample: int) -> bytes:
    link = device.steady.link
    path = path_on_phone(f"{FOLDER_OF_OUTPUTS}/{sample}.raw")
    # A file that an earlier process left must not pass for this one's.
    link.script('mkdir -p "$1" && rm -f "$2"', [path.rpartition("/")[0], path])
    device.run(device.request(placed, sample, runs=1, warm_up_runs=0, output_path=path))
    if link.stat(path) is None:
        raise MeasurementError(
            f"the runner wrote no outputs of {placed.prepared.job.model}; take another runner."
        )
    found = link.pull(path)
    link.shell(["rm", "-f", path])
    return found
