"""Writing a trained model down in the formats of the thesis's section 3.3.4, and Keras's own.

keras       model.keras
json        model.json and weights.h5: structure and weights apart
savedmodel  saved_model/, with the signature ``serving_default``
frozen      frozen_graph.pb: variables made constants, one graph of nodes and operations;
            its nodes are ``image`` and ``label``, noted in frozen_graph.json
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fer_opt.backend import tf
from fer_opt.errors import OutputError
from fer_opt.files import make_folder, write_atomically
from fer_opt.noise import quiet
from fer_opt.reports.record import TrainingEpoch

__all__ = ["FORMATS", "export", "plot_history"]


def export(model: Any, folder: Path, formats: Sequence[str] | None = None) -> tuple[Path, ...]:
    """Write ``model`` into ``folder``, without its optimizer; return what was written, in order.

    Each file or folder takes the place of an earlier one only when it is complete.

    Args:
        model: a ``tf_keras.Model`` with one input and one output.
        folder: made if missing.
        formats: of :data:`FORMATS`; all of them by default.

    Raises:
        OutputError: a format is unknown, or the folder cannot be written.
    """
    wanted = list(dict.fromkeys(FORMATS if formats is None else formats))
    for name in wanted:
        if name not in _WRITERS:
            raise OutputError(
                f"{name!r} is no format a model can be exported to; use {', '.join(FORMATS)}."
            )
    make_folder(folder)
    bare = _without_optimizer(model)
    return tuple(path for name in wanted for path in _write(_WRITERS[name], bare, folder))


def _write(writer: Callable[[Any, Path], None], model: Any, folder: Path) -> list[Path]:
    """Let ``writer`` fill a temporary folder, then move what it holds into place."""
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as temporary:
            with quiet():
                writer(model, Path(temporary))
            return [
                _replace(made, folder / made.name) for made in sorted(Path(temporary).iterdir())
            ]
    except (OSError, tf.errors.OpError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise OutputError(
            f"{folder} cannot take the exported model ({reason}); make room or choose another."
        ) from exc


def _replace(made: Path, target: Path) -> Path:
    if target.is_dir():
        shutil.rmtree(target)
    return made.replace(target)


def _without_optimizer(model: Any) -> Any:
    """The same network, not compiled: an optimizer would treble the files."""
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    return bare


def _write_keras(model: Any, folder: Path) -> None:
    model.save(str(folder / "model.keras"), save_format="keras")


def _write_json(model: Any, folder: Path) -> None:
    (folder / "model.json").write_text(model.to_json(indent=1) + "\n", "utf-8")
    model.save_weights(str(folder / "weights.h5"), save_format="h5")


def _write_savedmodel(model: Any, folder: Path) -> None:
    model.save(str(folder / "saved_model"), save_format="tf", include_optimizer=False)


def _write_frozen(model: Any, folder: Path) -> None:
    """Freeze the graph of inference: dropout gone, variables turned into constants."""
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    spec = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="image")

    def network(image: Any) -> Any:
        return tf.identity(model(image, training=False), name="label")

    traced = tf.function(network, input_signature=[spec]).get_concrete_function()
    frozen = convert_variables_to_constants_v2(traced)
    (folder / "frozen_graph.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())
    nodes = {
        "input": {"node": "image", "dtype": "float32", "shape": [None, *model.input_shape[1:]]},
        "output": {"node": "label", "dtype": "float32", "shape": [None, model.output_shape[-1]]},
    }
    (folder / "frozen_graph.json").write_text(json.dumps(nodes, indent=1) + "\n", "utf-8")


_WRITERS: dict[str, Callable[[Any, Path], None]] = {
    "keras": _write_keras,
    "json": _write_json,
    "savedmodel": _write_savedmodel,
    "frozen": _write_frozen,
}
FORMATS = tuple(_WRITERS)
"""What :func:`export` knows."""


def plot_history(history: Sequence[TrainingEpoch], path: Path) -> None:
    """Draw accuracy and loss over the epochs, training (dashed) beside validation.

    Args:
        history: at least one epoch.
        path: ends in ``.svg`` or ``.png``.

    Raises:
        OutputError: another ending, nothing to draw, or the file cannot be written.
    """
    if path.suffix not in (".svg", ".png"):
        raise OutputError(f"{path} cannot be drawn; let its name end in .svg or .png.")
    if not history:
        raise OutputError(f"{path} cannot be drawn without a single epoch; train first.")
    import vl_convert

    specification = _history_chart(history)
    if path.suffix == ".svg":
        write_atomically(path, vl_convert.vegalite_to_svg(specification))
    else:
        write_atomically(path, vl_convert.vegalite_to_png(specification, scale=2))


def _history_chart(history: Sequence[TrainingEpoch]) -> dict[str, Any]:
    """Two panels as a Vega-Lite specification; lines are told apart by dash and name too."""
    rows = [
        {"epoch": epoch.epoch, "set": name, "accuracy": accuracy, "loss": loss}
        for epoch in history
        for name, accuracy, loss in (
            ("training", epoch.accuracy, epoch.loss),
            ("validation", epoch.validation_accuracy, epoch.validation_loss),
        )
    ]
    import altair

    sets = ["validation", "training"]
    base = altair.Chart(altair.InlineData(values=rows), width=320, height=220).encode(
        x=altair.X("epoch:Q", axis=altair.Axis(tickMinStep=1, format="d")),
        color=altair.Color("set:N", sort=sets, legend=None),
    )
    panels = []
    for figure, title in (("accuracy", "accuracy"), ("loss", "categorical cross-entropy")):
        line = base.mark_line(point=True).encode(
            y=altair.Y(f"{figure}:Q", title=title, scale=altair.Scale(zero=True)),
            strokeDash=altair.StrokeDash("set:N", sort=sets, legend=None),
        )
        name = (
            base.transform_filter(f"datum.epoch == {history[-1].epoch}")
            .mark_text(align="left", dx=8)
            .encode(y=f"{figure}:Q", text="set:N")
        )
        panels.append(line + name)
    chart: dict[str, Any] = altair.hconcat(*panels).to_dict()
    return chart
