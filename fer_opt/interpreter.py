"""Running a .tflite file through LiteRT: float images in, float outputs out, whatever it stores."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.device.host_worker import quantize
from fer_opt.errors import ModelError, first_line
from fer_opt.flatbuffer import read_convention, read_tflite
from fer_opt.noise import quiet

__all__ = ["Classifier", "dequantize", "open_interpreter", "probabilities_of"]

Floats = npt.NDArray[np.float32]


def open_interpreter(
    path: Path, content: bytes, *, threads: int, advice: str, batch: int = 1
) -> Any:
    """A LiteRT interpreter with its tensors allocated.

    Args:
        path: of the file, for messages.
        content: of the file.
        threads: of the interpreter.
        advice: what to do about a file that cannot be run.
        batch: images at once; more than 1 resizes the first input.

    Raises:
        ModelError: LiteRT cannot run it.
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        with quiet():
            interpreter = Interpreter(model_content=content, num_threads=threads)
            if batch > 1:
                detail = interpreter.get_input_details()[0]
                interpreter.resize_tensor_input(
                    detail["index"], [batch, *map(int, detail["shape"][1:])], strict=False
                )
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as exc:
        raise ModelError(
            f"{path} cannot be run by LiteRT ({first_line(exc)[:200]}); {advice}."
        ) from exc
    return interpreter


class Classifier:
    """A .tflite image classifier, ready to run.

    Attributes:
        path: of the file.
        input_shape: height, width, channels of the images to give.
        convention: what a file made by fer-opt says of its input. One that takes crops is fed
            what the images were before they became values: 8-bit RGB.
        classes: number of outputs.
        batch: how many images go through at once.
    """

    def __init__(self, path: Path, *, batch: int = 1, threads: int | None = None) -> None:
        """Load ``path``; ``batch`` is taken down to 1 where the graph has it fixed.

        Raises:
            ModelError: no TFLite model, damaged, with operators LiteRT lacks, or no classifier.
        """
        self.path = path
        self._content = read_tflite(path)
        self._threads = threads or os.cpu_count() or 1
        self.convention = read_convention(path)
        self._interpreter = self._load(1)
        details, results = self._details()
        if len(details) != 1 or len(results) != 1 or len(details[0]["shape"]) != 4:
            raise ModelError(
                f"{path} has {len(details)} inputs and {len(results)} outputs, the first of shape "
                f"{tuple(map(int, details[0]['shape']))}, so it is no image classifier; fer-opt "
                "takes (1, height, width, channels) in and (1, labels) out."
            )
        shape: tuple[int, int, int] = tuple(map(int, details[0]["shape"][1:]))  # type: ignore[assignment]
        if self.convention is not None and self.takes_crops:
            shape = self.convention.input_shape
        self.input_shape = shape
        self.classes = int(results[0]["shape"][-1])
        if len(results[0]["shape"]) != 2 or self.classes < 2:
            raise ModelError(
                f"{path} gives an output of shape {tuple(map(int, results[0]['shape']))}, which is "
                "no row of label scores; fer-opt takes image classifiers only."
            )
        dtype = np.dtype(details[0]["dtype"])
        if dtype.kind != "f" and not details[0]["quantization"][0]:
            raise ModelError(
                f"{path} takes {dtype} without a scale, so fer-opt cannot tell what its values "
                "mean; convert it with a float or quantized input."
            )
        self.batch = 1
        if batch > 1 and (batched := self._batched(batch)) is not None:
            self._interpreter, self.batch = batched, batch

    @property
    def source(self) -> str:
        """The file's name, for messages."""
        return self.path.name

    @property
    def takes_crops(self) -> bool:
        """Whether the file takes 8-bit pixels of a face and preprocesses them itself."""
        return self.convention is not None and self.convention.input == "crop"

    def predict(self, images: Floats, on_progress: Callable[[int], None] | None = None) -> Floats:
        """Outputs (n, classes), dequantized, for ``images`` (n, height, width, channels)."""
        outputs = np.empty((len(images), self.classes), np.float32)
        for start in range(0, len(images), self.batch):
            chunk = images[start : start + self.batch]
            missing = self.batch - len(chunk)
            padded = np.concatenate([chunk, np.repeat(chunk[-1:], missing, axis=0)])
            outputs[start : start + len(chunk)] = self._run(self._interpreter, padded)[: len(chunk)]
            if on_progress is not None:
                on_progress(len(chunk))
        return outputs

    def _load(self, batch: int) -> Any:
        return open_interpreter(
            self.path,
            self._content,
            threads=self._threads,
            batch=batch,
            advice="convert it again with builtin operators only",
        )

    def _details(self) -> tuple[list[Any], list[Any]]:
        return self._interpreter.get_input_details(), self._interpreter.get_output_details()

    def _batched(self, batch: int) -> Any | None:
        """An interpreter for ``batch`` images, if it gives what one image at a time gives.

        Converting at batch 1 freezes shapes inside the graph; some survive a resize, some fail,
        and some would mix images, so the outputs are compared.
        """
        try:
            interpreter = self._load(batch)
            if tuple(interpreter.get_output_details()[0]["shape"]) != (batch, self.classes):
                return None
            probe = np.random.default_rng(0).random((batch, *self.input_shape), np.float32)
            together = self._run(interpreter, probe)
        except (ModelError, ValueError, RuntimeError):
            return None
        alone = [self._run(self._interpreter, probe[i : i + 1])[0] for i in (0, batch - 1)]
        same = np.allclose(together[[0, batch - 1]], alone, rtol=1e-5, atol=1e-6)
        return interpreter if same else None

    def _run(self, interpreter: Any, images: Floats) -> Floats:
        detail, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        interpreter.set_tensor(detail["index"], self._values(images, detail))
        interpreter.invoke()
        return dequantize(interpreter.get_tensor(result["index"]), result)

    def _values(self, images: Floats, detail: dict[str, Any]) -> npt.NDArray[Any]:
        """What the input tensor is to hold."""
        if self.convention is None or not self.takes_crops:
            return quantize(images, detail)  # type: ignore[no-any-return]
        return self.convention.crops(images)


def probabilities_of(outputs: Floats) -> Floats:
    """A model's outputs as probabilities: normalised if they nearly are, else through a softmax.

    Quantized softmax outputs sum to one only within their scale (1/256 for each label), hence the
    tolerance.
    """
    sums = outputs.sum(axis=1, keepdims=True)
    tolerance = max(0.05, outputs.shape[1] / 256)
    if outputs.min() >= -1e-6 and np.all(np.abs(sums - 1) <= tolerance):
        return np.asarray(outputs / sums, np.float32)
    shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)


def dequantize(values: npt.NDArray[Any], detail: dict[str, Any]) -> Floats:
    """What an output tensor holds, as floats; ``detail`` is LiteRT's of the tensor."""
    scale, zero_point = detail["quantization"]
    if values.dtype.kind == "f" or not scale:
        return values.astype(np.float32)
    return (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
