"""Carrying out the steps of recipes before conversion: each once, kept, and looked at."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.accuracy import wilson_interval
from fer_opt.backend import tf, tf_keras
from fer_opt.compress import fake_quant  # noqa: F401  (registers the layers a stored network may hold)
from fer_opt.compress.counting import layer_facts, multiply_accumulates, parameters
from fer_opt.compress.materials import Materials, Outcome
from fer_opt.compress.steps import apply_step
from fer_opt.convention import InputConvention
from fer_opt.data import Dataset, split_dataset, to_tf_data
from fer_opt.errors import FerOptError, RecipeError, first_line
from fer_opt.experiment.store import Entry, StepStore, key_of, made_by
from fer_opt.keras_io import TrainedModel, from_keras, to_functional
from fer_opt.noise import quiet
from fer_opt.progress import Progress
from fer_opt.recipe import Recipe, Step
from fer_opt.reports.record import StepResult

__all__ = ["STEP_SAMPLES", "VALIDATION_FRACTION", "Compressed", "Workshop", "open_workshop"]

STEP_SAMPLES = 2000
"""Most images on which a network is tried after each step; a file is evaluated on all of them."""

VALIDATION_FRACTION = 0.1
"""Share of the training images held out for early stopping and sensitivity scans."""

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Compressed:
    """A network some steps into a recipe.

    Attributes:
        key: hash of everything it depends on.
        network: flat functional ``tf_keras.Model``.
        result: what the last step made of it.
    """

    key: str
    network: Any
    result: StepResult


@dataclass(slots=True)
class Workshop:
    """Where recipes are carried out; what they have in common is done once.

    Attributes:
        model: the trained model every recipe begins with.
        materials: what steps may draw on.
        facts: what tells these materials from others, for the keys of results.
        images: float32 (n, height, width, channels), on which every network is looked at.
        truth: (n,) their labels.
        store: results of earlier runs.
        progress: is told how it goes.
    """

    model: TrainedModel
    materials: Materials
    facts: dict[str, object]
    images: Floats
    truth: Labels
    store: StepStore
    progress: Progress
    _done: dict[str, Compressed] = field(default_factory=dict)

    def trained(self) -> Compressed:
        """The trained network before any step."""
        network = self.materials.teacher
        key = key_of({"network": _digest(network), "materials": self.facts})
        if key not in self._done:
            result = self._look(network, step="", title="trained network", took_s=0.0, notes=())
            self._done[key] = Compressed(key, network, result)
        return self._done[key]

    def carry_out(self, recipe: Recipe) -> tuple[TrainedModel, tuple[StepResult, ...]]:
        """The network a recipe's steps make, as a model to convert, and what each step did.

        Raises:
            RecipeError: a step cannot be carried out on this network.
            DatasetError: an image cannot be read.
            OutputError: the store cannot be written.
        """
        if not recipe.network_steps:
            return self.model, ()
        current = self.trained()
        results = []
        for number, step in enumerate(recipe.network_steps):
            current = self._one_step(current, step, recipe.network_steps[: number + 1])
            results.append(current.result)
        model = from_keras(
            current.network,
            source=self.model.source,
            format_=self.model.format,
            sha256=current.key,
            name=self.model.name,
        )
        return model, tuple(results)

    def _one_step(self, before: Compressed, step: Step, so_far: Sequence[Step]) -> Compressed:
        key = key_of({"before": before.key, "step": str(step), "made_by": made_by()})
        if key in self._done:
            return self._done[key]
        text = " > ".join(map(str, so_far))
        entry = self.store.find(key)
        network = None if entry is None else _load(self.store.network_path(key))
        if entry is None or network is None:
            entry, network = self._work(key, before.network, step, text)
        else:
            self.progress.say(f"{text}: taken from the cache.")
        result = self._look(network, str(step), step.title, entry.took_s, entry.notes)
        self._done[key] = Compressed(key, network, result)
        return self._done[key]

    def _work(self, key: str, network: Any, step: Step, text: str) -> tuple[Entry, Any]:
        """Carry out a step and store what it made."""
        self.progress.say(f"{text} ...")
        tf_keras.utils.set_random_seed(self.materials.seed)
        started = time.perf_counter()
        outcome = self._apply(step, network)
        entry = Entry(
            key=key,
            model=self.model.source,
            recipe=text,
            created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            took_s=time.perf_counter() - started,
            notes=outcome.notes,
        )
        with quiet():
            self.store.add(entry, lambda path: outcome.network.save(str(path)))
        return entry, outcome.network

    def _apply(self, step: Step, network: Any) -> Outcome:
        try:
            return apply_step(step, network, self.materials)
        except FerOptError:
            raise
        except Exception as exc:
            cause = first_line(exc)[:200]
            raise RecipeError(
                f"{step} cannot be carried out on {self.model.source} ({cause}); leave the step "
                "out, or put another in its place."
            ) from exc

    def _look(
        self, network: Any, step: str, title: str, took_s: float, notes: tuple[str, ...]
    ) -> StepResult:
        predicted = _predict(network, self.images).argmax(axis=1)
        right = int(np.sum(predicted == self.truth))
        low, high = wilson_interval(right, len(self.truth))
        return StepResult(
            step=step,
            title=title,
            parameters=parameters(network),
            macs=multiply_accumulates(network),
            samples=len(self.truth),
            accuracy=right / len(self.truth),
            low=low,
            high=high,
            took_s=took_s,
            layers=layer_facts(network),
            notes=notes,
        )


def open_workshop(
    model: TrainedModel,
    convention: InputConvention,
    looked_at: tuple[Floats, Labels],
    training: Dataset | None,
    representative: tuple[Floats, Labels],
    store: StepStore,
    progress: Progress,
    *,
    batch: int,
    seed: int,
) -> Workshop:
    """Prepare everything the steps of any recipe may want.

    Args:
        model: the trained model.
        convention: what its input holds.
        looked_at: images (n, height, width, channels) and labels (n,) on which every network is
            tried after each step.
        training: images to learn from; None where no recipe does.
        representative: images (n, height, width, channels) and labels (n,).
        store: of results.
        progress: is told how it goes.
        batch: images in one training step.
        seed: of everything random.

    Raises:
        ModelError: the model cannot be taken apart: a SavedModel, or a layer tf_keras lacks.
    """
    network = to_functional(model, size=(convention.height, convention.width))
    streams: dict[str, Any] = {}
    if training is not None:
        kept, held_out = split_dataset(training, VALIDATION_FRACTION, seed)
        streams = {
            "training": _stream(kept, convention),
            "validation": _stream(held_out, convention),
        }
    return Workshop(
        model=model,
        materials=Materials(
            *representative, **streams, teacher=network, batch=batch, seed=seed, progress=progress
        ),
        facts={
            "convention": dataclasses.asdict(convention),
            "representative": [
                hashlib.sha256(part.tobytes()).hexdigest() for part in representative
            ],
            "training": training and [training.facts().fingerprint, training.content_digest()],
            "batch": batch,
            "seed": seed,
        },
        images=looked_at[0],
        truth=looked_at[1],
        store=store,
        progress=progress,
    )


def _stream(dataset: Dataset, convention: InputConvention) -> Any:
    def stream(batch: int, seed: int | None) -> Any:
        # A new one each time: one that was used before would go on with its next order.
        return to_tf_data(dataset, convention, batch_size=batch, shuffle_seed=seed)

    return stream


def _predict(network: Any, images: Floats, batch: int = 64) -> Floats:
    call = tf.function(lambda part: network(part, training=False), reduce_retracing=True)
    parts = [
        np.asarray(call(tf.constant(images[start : start + batch])))
        for start in range(0, len(images), batch)
    ]
    return np.concatenate(parts)


def _digest(network: Any) -> str:
    """A hash of a network's structure and weights, wherever it was loaded from."""
    digest = hashlib.sha256(network.to_json().encode())
    for weights in network.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())
    return digest.hexdigest()


def _load(path: Path) -> Any:
    """A stored network; None where it cannot be read any more."""
    try:
        with quiet():
            return tf_keras.models.load_model(str(path), compile=False)
    except Exception:  # noqa: BLE001  whatever is wrong with it, the step can be carried out again
        return None
