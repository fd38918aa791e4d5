"""Training: it learns, survives kills bit for bit, and refuses what does not fit."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fer_opt.backend import tf, tf_keras
from fer_opt.convention import InputConvention
from fer_opt.data import BadSampleError, Dataset, Sample, to_tf_data
from fer_opt.errors import ConventionError, DatasetError, ExperimentError
from fer_opt.training import TrainingSettings, read_history, train, validation_set

SETTINGS = TrainingSettings(epochs=3, batch_size=16, learning_rate=0.01, data="bars")
CONVENTION = InputConvention(12, 12, 1, 0.0, 1.0, ("left", "middle", "right"))


def small_model(seed=0, classes=3):
    """Convolution, batch normalization and dropout: all that has a state in training."""
    tf_keras.utils.set_random_seed(seed)
    layers = tf_keras.layers
    return tf_keras.Sequential(
        [
            layers.Input((12, 12, 1), name="image"),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.BatchNormalization(momentum=0.9),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax", name="label"),
        ],
        name="small",
    )


def bar(sample):
    """A noisy image with a bright bar at the place its label names."""
    random = np.random.default_rng(int(sample.source))
    image = random.integers(0, 160, (12, 12), dtype=np.uint8)
    image[:, 4 * sample.label : 4 * sample.label + 4] += 60
    return image


def bars(count=96, start=0):
    samples = tuple(Sample(source=str(i), label=i % 3) for i in range(start, start + count))
    return Dataset("bars", "made here", CONVENTION.labels, samples, (), bar)


def training_stream():
    return to_tf_data(bars(), CONVENTION, batch_size=SETTINGS.batch_size, shuffle_seed=5)


def validation_stream():
    return to_tf_data(bars(30, start=1000), CONVENTION, batch_size=16)


def run(folder, *, model=None, settings=SETTINGS, **callbacks):
    model = model or small_model()
    history = train(model, training_stream(), validation_stream(), settings, folder, **callbacks)
    return model, history


def assert_same_weights(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return run(tmp_path_factory.mktemp("uninterrupted"))


class KilledError(Exception):
    """Stands for a kill where a real one would only be slower."""


def run_until(folder, images):
    """Train until ``images`` have been seen, then die."""
    seen = 0

    def count(number):
        nonlocal seen
        seen += number
        if seen >= images:
            raise KilledError

    with pytest.raises(KilledError):
        run(folder, on_batch=count)


@pytest.fixture(scope="module")
def half_done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("half_done")
    run_until(folder, 100)
    return folder


@pytest.fixture
def folder(half_done, tmp_path):
    """A run that was killed in its second epoch."""
    return shutil.copytree(half_done, tmp_path / "run")


def test_it_learns(tmp_path):
    settings = replace(SETTINGS, epochs=8)
    model, history = run(tmp_path, settings=settings)
    assert [epoch.epoch for epoch in history] == list(range(1, 9))
    assert history[-1].loss < history[0].loss
    assert history[-1].validation_accuracy > 0.9
    images = np.stack([bar(Sample(str(i), i % 3)) for i in range(2000, 2030)])[..., None]
    predicted = model.predict(CONVENTION.scale(images), verbose=0).argmax(1)
    assert np.mean(predicted == np.arange(2000, 2030) % 3) > 0.9


def test_validation_figures_are_those_of_the_final_weights(uninterrupted):
    model, history = uninterrupted
    probabilities, truth = [], []
    for images, labels in validation_stream():
        probabilities.append(model(images, training=False).numpy())
        truth.append(labels.numpy())
    probabilities, truth = np.concatenate(probabilities), np.concatenate(truth)
    assert history[-1].validation_accuracy == pytest.approx(
        np.mean(probabilities.argmax(1) == truth)
    )
    one_hot = np.eye(3)[truth]
    categorical_cross_entropy = -np.sum(one_hot * np.log(probabilities), axis=1).mean()
    assert history[-1].validation_loss == pytest.approx(categorical_cross_entropy, rel=1e-4)


def test_callbacks_hear_of_every_image_and_every_epoch(tmp_path):
    images, epochs = [], []
    _, history = run(tmp_path, on_batch=images.append, on_epoch=epochs.append)
    assert sum(images) == SETTINGS.epochs * 96
    assert tuple(epochs) == history


def test_the_same_seed_gives_the_same_run(uninterrupted, tmp_path):
    model, history = run(tmp_path)
    assert history == uninterrupted[1]
    assert_same_weights(model, uninterrupted[0])


def test_another_seed_gives_another_run(uninterrupted, tmp_path):
    _, history = run(tmp_path, model=small_model(seed=1), settings=replace(SETTINGS, seed=1))
    assert history != uninterrupted[1]


@pytest.mark.parametrize("images", [16, 96, 208])
def test_a_resumed_run_ends_like_one_that_was_never_interrupted(uninterrupted, tmp_path, images):
    run_until(tmp_path, images)
    done = len(read_history(tmp_path))
    assert done == (images - 1) // 96
    epochs = []
    model, history = run(tmp_path, on_epoch=epochs.append)
    assert history == uninterrupted[1]
    assert [epoch.epoch for epoch in epochs] == list(range(done + 1, 4))
    assert_same_weights(model, uninterrupted[0])


@pytest.mark.slow
def test_a_run_may_be_interrupted_twice(uninterrupted, tmp_path):
    run_until(tmp_path, 100)
    run_until(tmp_path, 100)
    assert len(read_history(tmp_path)) == 2
    model, history = run(tmp_path)
    assert history == uninterrupted[1]
    assert_same_weights(model, uninterrupted[0])


@pytest.mark.slow
def test_a_process_killed_by_the_system_resumes(uninterrupted, tmp_path):
    code = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
import test_training
def wait(epoch):
    if epoch.epoch == 2:
        print("now", flush=True)
        time.sleep(60)
test_training.run(Path({str(tmp_path)!r}), on_epoch=wait)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"now\n"
        process.send_signal(signal.SIGKILL)
    assert len(read_history(tmp_path)) == 2
    model, history = run(tmp_path)
    assert history == uninterrupted[1]
    assert_same_weights(model, uninterrupted[0])


def test_a_kill_between_history_and_weights_repeats_the_epoch(uninterrupted, folder):
    path = folder / "history.json"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([*rows, {**rows[0], "epoch": 2}]))
    assert read_history(folder) == uninterrupted[1][:1]
    _, history = run(folder)
    assert history == uninterrupted[1]


def test_finished_training_is_not_repeated(uninterrupted, folder):
    trained, _ = run(folder)
    fresh = small_model(seed=9)
    heard = []
    _, history = run(folder, model=fresh, on_batch=heard.append, on_epoch=heard.append)
    assert heard == []
    assert history == uninterrupted[1]
    assert_same_weights(fresh, trained)


def test_only_the_last_checkpoint_is_kept(folder):
    run(folder)
    assert {p.name for p in (folder / "checkpoints").iterdir()} == {
        "checkpoint", "epoch-3.index", "epoch-3.data-00000-of-00001",
    }  # fmt: skip


def test_a_run_folder_may_be_moved(uninterrupted, folder, tmp_path):
    shutil.move(folder, tmp_path / "there")
    _, history = run(tmp_path / "there")
    assert history == uninterrupted[1]


def test_an_untouched_folder_has_no_history(tmp_path):
    assert read_history(tmp_path) == ()
    assert read_history(tmp_path / "missing") == ()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"learning_rate": 0.02}, "learning_rate 0.01 there, 0.02 here"),
        ({"epochs": 5}, "epochs 3 there, 5 here"),
        ({"data": "others"}, "data 'bars' there, 'others' here"),
        ({"seed": 2, "batch_size": 8}, "batch_size 16 there, 8 here; seed 0 there, 2 here"),
    ],
)
def test_other_settings_in_the_same_folder_are_refused(folder, change, named):
    with pytest.raises(ExperimentError, match=named):
        run(folder, settings=replace(SETTINGS, **change))


def test_another_model_in_the_same_folder_is_refused(folder):
    with pytest.raises(ExperimentError, match="layers"):
        run(folder, model=small_model(classes=4))


@pytest.mark.parametrize("content", [b"", b"[", b"[]", b'[{"epoch": 1}]', b"\xff"])
def test_a_damaged_history_is_refused(folder, content):
    (folder / "history.json").write_bytes(content)
    with pytest.raises(ExperimentError, match=r"history\.json is damaged"):
        run(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff"])
def test_damaged_settings_are_refused(folder, content):
    (folder / "training.json").write_bytes(content)
    with pytest.raises(ExperimentError, match=r"training\.json is damaged"):
        run(folder)


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_a_damaged_checkpoint_is_refused(folder, suffix, content):
    path = folder / "checkpoints" / f"epoch-1.{suffix}"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(ExperimentError, match="epoch-1 is damaged"):
        run(folder)


def test_a_damaged_list_of_checkpoints_is_refused(folder):
    (folder / "checkpoints" / "checkpoint").write_bytes(b"\xffnonsense")
    with pytest.raises(ExperimentError, match="damaged"):
        run(folder)


@pytest.mark.parametrize("field", ["epochs", "batch_size", "learning_rate"])
def test_settings_that_cannot_train_are_refused(field):
    with pytest.raises(ExperimentError, match="must be above 0"):
        TrainingSettings(**{field: 0})


def stream_of(images, labels, batch=8):
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch)


IMAGES = np.zeros((8, 12, 12, 1), np.float32)
LABELS = np.arange(8) % 3


@pytest.mark.parametrize(
    ("training", "error", "named"),
    [
        (stream_of(IMAGES[:, :10], LABELS), ConventionError, "training images are of shape"),
        (stream_of(IMAGES, np.eye(3)[LABELS]), ConventionError, "one-hot"),
        (stream_of(IMAGES, LABELS + 1), ConventionError, "a label the model has no output for"),
        (stream_of(IMAGES, LABELS).take(0), DatasetError, "training set is empty"),
        (stream_of(IMAGES, LABELS).filter(lambda *_: False), DatasetError, "training set is empty"),
        (stream_of(IMAGES * np.nan, LABELS), ExperimentError, "no number any more in epoch 1"),
    ],
)
def test_data_that_does_not_fit_is_refused(tmp_path, training, error, named):
    with pytest.raises(error, match=named):
        train(small_model(), training, validation_stream(), SETTINGS, tmp_path)
    assert read_history(tmp_path) == ()


@pytest.mark.parametrize("empty", [lambda s: s.take(0), lambda s: s.filter(lambda *_: False)])
def test_an_empty_validation_set_is_refused(tmp_path, empty):
    with pytest.raises(DatasetError, match="validation set is empty"):
        train(small_model(), training_stream(), empty(validation_stream()), SETTINGS, tmp_path)


def test_an_unreadable_sample_is_named(tmp_path):
    def reader(sample):
        if sample.source == "40":
            raise BadSampleError("40.png", "is no image")
        return bar(sample)

    stream = to_tf_data(replace(bars(), reader=reader), CONVENTION, batch_size=16)
    with pytest.raises(DatasetError, match=r"40\.png is no image"):
        train(small_model(), stream, validation_stream(), SETTINGS, tmp_path)


def test_the_validation_set_is_a_stratified_tenth_of_the_test_set():
    test = bars(300)
    chosen = validation_set(test)
    assert np.bincount(chosen.label_indices()).tolist() == [10, 10, 10]
    assert set(chosen.samples) < set(test.samples)
    assert validation_set(test).samples == chosen.samples
    assert validation_set(test, seed=1).samples != chosen.samples
