"""What a compression step is given besides the network, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.errors import RecipeError
from fer_opt.progress import SILENT, Progress

__all__ = ["Materials", "Outcome", "Stream"]

Stream = Callable[[int, int | None], Any]
"""``stream(batch_size, shuffle_seed)``: a ``tf.data.Dataset`` of (images float32 (n, height, width,
channels), labels int64 (n,)); each pass has a new order, none where the seed is None."""


@dataclass(frozen=True, slots=True)
class Materials:
    """What a step may draw on.

    Attributes:
        representative: float32 (n, height, width, channels), for calibration and scores.
        representative_labels: int64 (n,), their true labels.
        training: labelled images to train on; None where the user has none to give.
        validation: held out of the training images, for early stopping and scans.
        teacher: the original network, for distillation: images in, what ``network`` gives out.
        batch: images in one training step.
        seed: of shuffles, dropout and initial centroids.
        progress: is told how it goes.
    """

    representative: npt.NDArray[np.float32]
    representative_labels: npt.NDArray[np.int64]
    training: Stream | None = None
    validation: Stream | None = None
    teacher: Any = None
    batch: int = 32
    seed: int = 0
    progress: Progress = SILENT

    def streams(self, step: str) -> tuple[Stream, Stream]:
        """Training and validation images.

        Raises:
            RecipeError: there are none.
        """
        if self.training is None or self.validation is None:
            raise RecipeError(
                f"{step} trains the network, and there are no images to train on; name a training "
                "split of [data], or leave that step out."
            )
        return self.training, self.validation


@dataclass(frozen=True, slots=True)
class Outcome:
    """A step's result.

    Attributes:
        network: a new flat functional ``tf_keras.Model``; the one given is left as it was.
        notes: what the reader should know, a sentence each: layers skipped and why, and the like.
    """

    network: Any
    notes: tuple[str, ...] = ()
