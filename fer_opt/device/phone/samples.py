"""What this computer prepares for the models to be timed: raw inputs, and the outputs they give."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from fer_opt.device.phone.results import ModelFailure
from fer_opt.device.phone.sample_worker import NamedTensor, SampleAnswer, SampleJob
from fer_opt.device.protocol import TimingJob
from fer_opt.errors import MeasurementError
from fer_opt.files import sha256_of
from fer_opt.flatbuffer import TensorFacts

__all__ = ["Prepared", "prepare_models"]

RANDOM_SEED = 0
"""Of random inputs: always the same, so that they are pushed once."""

MOST_INPUTS = 8
"""Different samples of a model that are pushed; later rounds begin again with the first."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model and what is fed to it.

    Attributes:
        job: the model.
        inputs: name and shape of its input tensors.
        outputs: its output tensors.
        samples: for each sample the raw file of each input, in the tensors' own types.
        expected: for the different ones among the first samples, by place, a file with the outputs
            this computer's LiteRT gives: the bytes of all output tensors in a row.
    """

    job: TimingJob
    inputs: tuple[tuple[str, tuple[int, ...]], ...]
    outputs: tuple[TensorFacts, ...]
    samples: tuple[tuple[Path, ...], ...]
    expected: Mapping[int, Path]

    def sample(self, round_index: int) -> tuple[Path, ...]:
        """The input files of a round: every model of a round is fed the same sample."""
        return self.samples[round_index % len(self.samples)]


def prepare_models(
    jobs: Sequence[TimingJob], folder: Path, *, rounds: int, outputs: int
) -> tuple[tuple[Prepared, ...], tuple[ModelFailure, ...]]:
    """Write inputs and expected outputs of ``jobs`` into ``folder``.

    Args:
        jobs: the models; one without inputs is fed random values from 0 to 1.
        folder: for the files.
        rounds: to be fed, each another sample as far as there are that many.
        outputs: samples whose outputs are wanted.

    Returns:
        The models that can be timed, and those that cannot, with the reasons.

    Raises:
        MeasurementError: no process can be started on this computer.
    """
    prepared, failures = [], []
    with _Worker() as worker:
        for place, job in enumerate(jobs):
            try:
                _check_file(job)
                request: SampleJob = {
                    "path": str(job.path),
                    "inputs": None if job.inputs is None else str(job.inputs),
                    "seed": RANDOM_SEED,
                    "inputs_wanted": max(outputs, min(rounds, MOST_INPUTS)),
                    "outputs_wanted": outputs,
                    "folder": str(folder),
                    "outputs": str(folder / f"outputs{place}"),
                }
                answer = worker.ask(request, job)
            except _FailedError as exc:
                failures.append(ModelFailure(job.model, str(exc)))
            else:
                prepared.append(_prepared(job, request, answer))
    return tuple(prepared), tuple(failures)


class _FailedError(MeasurementError):
    """A model that cannot be timed, where the others may."""


def _check_file(job: TimingJob) -> None:
    """Refuse a file other than the job's."""
    try:
        found = sha256_of(job.path)
    except OSError as exc:
        raise _FailedError(
            f"{job.path} cannot be read ({exc.strerror or exc}); give an existing .tflite file."
        ) from exc
    if found != job.sha256:
        raise _FailedError(
            f"{job.path} is not the file that was to be timed (SHA-256 {found[:12]} instead of "
            f"{job.sha256[:12]}); it changed meanwhile, convert it again."
        )


def _prepared(job: TimingJob, request: SampleJob, answer: SampleAnswer) -> Prepared:
    wanted = answer["files"][: request["outputs_wanted"]]
    # Where there are fewer samples than wanted, they come again and would be counted again.
    first = {tuple(files): place for place, files in reversed(list(enumerate(wanted)))}
    return Prepared(
        job,
        tuple((one["name"], tuple(one["shape"])) for one in answer["inputs"]),
        tuple(_facts(one) for one in answer["outputs"]),
        tuple(tuple(map(Path, files)) for files in answer["files"]),
        {place: Path(f"{request['outputs']}.{place}") for place in sorted(first.values())},
    )


def _facts(tensor: NamedTensor) -> TensorFacts:
    return TensorFacts(
        tensor["dtype"], tuple(tensor["shape"]), tensor["scale"], tensor["zero_point"]
    )


class _Worker:
    """The process that prepares; started when first asked, and again after a crash."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._end(self._process)

    def ask(self, request: SampleJob, job: TimingJob) -> SampleAnswer:
        """The answer to ``request``.

        Raises:
            MeasurementError: the model cannot be prepared, or crashed LiteRT.
        """
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):  # it is dead; the missing answer says so
            process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if not line.endswith(b"\n"):
            self._process = None
            raise _FailedError(f"{job.path} was not timed: {_how_it_ended(self._end(process))}")
        answer: SampleAnswer = json.loads(line)
        if answer["cause"]:
            raise _FailedError(f"{job.path} was not timed: {answer['cause']}; {answer['way_out']}.")
        return answer

    @staticmethod
    def _start() -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "fer_opt.device.phone.sample_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as exc:
            raise MeasurementError(
                f"no process could be started ({exc.strerror or exc}); close other programs and "
                "try again."
            ) from exc

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> int:
        """Its exit status; it has ended when this returns."""
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            return process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
        finally:
            process.stdout.close()


def _how_it_ended(status: int) -> str:
    if status < 0 and -status == getattr(signal, "SIGKILL", None):
        return (
            "LiteRT was killed while loading it on this computer, most likely because memory ran "
            "out; close other programs."
        )
    return (
        f"it crashed LiteRT on this computer ({_signal_name(status)}); the file may be damaged, "
        "convert the model again."
    )


def _signal_name(status: int) -> str:
    return (signal.strsignal(-status) if status < 0 else None) or f"status {status}"
