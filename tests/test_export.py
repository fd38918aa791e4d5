"""Exports read back give the same outputs; the history becomes a chart."""

from __future__ import annotations

import json

import numpy as np
import pytest
from settled import settled

from fer_opt.backend import tf, tf_keras
from fer_opt.errors import OutputError
from fer_opt.export import FORMATS, export, plot_history
from fer_opt.keras_io import load_model
from fer_opt.models import build
from fer_opt.reports.record import TrainingEpoch

HISTORY = tuple(
    TrainingEpoch(n, 0.1 * n, 2 - 0.1 * n, 0.09 * n, 2.1 - 0.1 * n) for n in range(1, 6)
)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((6, 32, 32, 1), dtype=np.float32)


@pytest.fixture(scope="module")
def model(images):
    """Trained for a step, so that it has an optimizer with a state."""
    model = build("xcao", input_shape=(32, 32, 1), classes=7, seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.train_on_batch(images, np.arange(6))
    return settled(model, images)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "made" / "on demand"
    export(model, folder)
    return folder


def run_frozen(folder, images):
    """The frozen graph through TensorFlow 1's import, by the nodes its JSON names."""
    nodes = json.loads((folder / "frozen_graph.json").read_text())
    graph = tf.compat.v1.GraphDef.FromString((folder / "frozen_graph.pb").read_bytes())
    wrapped = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    run = wrapped.prune(f"{nodes['input']['node']}:0", f"{nodes['output']['node']}:0")
    return run(tf.constant(images)).numpy()


READERS = {
    "keras": lambda folder, images: load_model(folder / "model.keras").predict(images),
    "json": lambda folder, images: load_model(folder / "model.json").predict(images),
    "savedmodel": lambda folder, images: load_model(folder / "saved_model").predict(images),
    "frozen": run_frozen,
}


def test_every_format_has_a_reader_here():
    assert set(READERS) == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_outputs_survive_the_round_trip(name, model, folder, images):
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(READERS[name](folder, images), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["mobilenet", "fractal"])
def test_other_architectures_freeze_too(name, tmp_path):
    images = np.random.default_rng(0).random((16, 64, 64, 1), dtype=np.float32)
    model = settled(build(name, input_shape=(64, 64, 1), classes=7, seed=0), images)
    export(model, tmp_path, ["frozen"])
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(run_frozen(tmp_path, images), expected, atol=1e-5)


def test_what_is_written(model, folder, tmp_path):
    assert sorted(path.name for path in folder.iterdir()) == [
        "frozen_graph.json", "frozen_graph.pb", "model.json", "model.keras", "saved_model",
        "weights.h5",
    ]  # fmt: skip
    written = export(model, tmp_path, ["json", "keras", "json"])
    assert [path.name for path in written] == ["model.json", "weights.h5", "model.keras"]
    assert all(path.is_file() for path in written)


def test_the_frozen_graph_holds_no_variables_and_no_dropout(folder):
    graph = tf.compat.v1.GraphDef.FromString((folder / "frozen_graph.pb").read_bytes())
    kinds = {node.op for node in graph.node}
    assert "Const" in kinds
    assert not kinds & {"VarHandleOp", "ReadVariableOp", "RandomUniform", "PartitionedCall"}


def test_the_optimizer_stays_behind(model, folder):
    weights = 4 * model.count_params()
    assert (folder / "model.keras").stat().st_size < 1.3 * weights
    loaded = tf_keras.models.load_model(folder / "model.keras")
    assert loaded.optimizer is None
    assert model.optimizer is not None


def test_an_earlier_export_is_replaced(tmp_path, images):
    for seed in (0, 1):
        model = build("baseline", input_shape=(32, 32, 1), classes=7, seed=seed)
        export(model, tmp_path, ["savedmodel", "keras"])
    expected = model.predict(images, verbose=0)
    for name in ("savedmodel", "keras"):
        np.testing.assert_allclose(READERS[name](tmp_path, images), expected, atol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.keras", "saved_model"]


def test_an_unknown_format_is_refused_before_anything_is_written(model, tmp_path):
    with pytest.raises(
        OutputError, match=r"'onnx' is no format .* keras, json, savedmodel, frozen"
    ):
        export(model, tmp_path / "new", ["keras", "onnx"])
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_a_file_is_refused(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file cannot be used as an output folder"):
        export(model, tmp_path / "file")


def test_the_history_becomes_a_chart(tmp_path):
    plot_history(HISTORY, tmp_path / "history.svg")
    plot_history(HISTORY, tmp_path / "history.png")
    drawn = (tmp_path / "history.svg").read_text()
    assert all(word in drawn for word in ("training", "validation", "cross-entropy", "epoch"))
    plot_history(HISTORY[:1], tmp_path / "short.svg")
    assert (tmp_path / "short.svg").read_text() != drawn
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("history", "name", "named"),
    [(HISTORY, "history.pdf", r"\.svg or \.png"), ((), "history.svg", "single epoch")],
)
def test_a_chart_that_cannot_be_drawn_is_refused(tmp_path, history, name, named):
    with pytest.raises(OutputError, match=named):
        plot_history(history, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
