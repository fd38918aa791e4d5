from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import trained_toy as toy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fer_opt.backend import tf, tf_keras
from fer_opt.compress.structure import projection, structure_of
from fer_opt.compress.tuning import Tuning, copied, gives_probabilities, tune
from fer_opt.convention import InputConvention
from fer_opt.data import Dataset, to_tf_data
from fer_opt.data.dataset import BadSampleError, Sample
from fer_opt.errors import DatasetError, RecipeError
from fer_opt.progress import Advance

layers = tf_keras.layers


def weights_equal(one: Any, other: Any) -> bool:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def linear(ending: str = "softmax", scale: float = 1.0) -> Any:
    """One dense layer, so that what training does to it can be foretold."""
    tf_keras.utils.set_random_seed(8)
    image = layers.Input((toy.SIDE, toy.SIDE, 1))
    x = layers.Dense(toy.CLASSES, name="logits")(layers.Flatten()(image))
    if ending == "softmax":
        x = layers.Activation("softmax")(x)
    network = tf_keras.Model(image, x)
    kernel, bias = network.get_layer("logits").get_weights()
    network.get_layer("logits").set_weights([kernel * scale, bias])
    return network


def test_equal_seeds_give_equal_weights():
    tuned = []
    for seed in (1, 1, 2):
        network = copied(toy.trained())
        np.random.default_rng().normal()
        tf.random.normal([3])  # neither moves what the seed decides
        tune(network, dataclasses.replace(toy.materials(), seed=seed), "x", Tuning(1, 1e-3))
        tuned.append(network)
    assert weights_equal(tuned[0], tuned[1])
    assert not weights_equal(tuned[0], tuned[2])


def test_training_leaves_teacher_and_compilation_alone():
    network, before = copied(toy.trained()), copied(toy.trained())
    tuning = Tuning(1, 1e-3, distill=0.5, keep_best=False)
    notes = tune(network, toy.materials(), "x", tuning)
    assert not network._is_compiled
    assert network.optimizer is None
    assert weights_equal(toy.trained(), before)
    assert not weights_equal(network, before)
    assert len(notes) == 1
    assert notes[0].startswith("x trained 1 epoch; the weights are those of epoch 1, right on ")


def test_no_epochs_want_no_images():
    network = copied(toy.trained())
    assert tune(network, toy.without_images(), "x", Tuning(0, 1e-3)) == ()
    assert weights_equal(network, toy.trained())


def test_what_training_only_worsens_is_kept_as_it_was():
    network = copied(toy.trained())
    (note,) = tune(network, toy.materials(), "x", Tuning(2, 0.5))
    assert weights_equal(network, toy.trained())
    assert "without lowering the validation loss; the weights are those before it" in note


def test_the_last_epoch_stays_where_the_best_is_not_wanted():
    network = copied(toy.trained())
    (note,) = tune(network, toy.materials(), "x", Tuning(2, 0.5, keep_best=False))
    assert toy.loss(network) > toy.loss(toy.trained())
    assert "the weights are those of epoch 2" in note


def test_patience_ends_training():
    network = copied(toy.trained())
    (note,) = tune(network, toy.materials(), "x", Tuning(50, 0.5, patience=2))
    assert note.startswith("x trained 2 epochs without lowering")


def broken_images() -> Any:
    given, labels = toy.images("training")
    return toy.stream(np.full_like(given, np.nan), labels)


def small_images() -> Any:
    given, labels = toy.images("training")
    return toy.stream(given[:, :-1], labels)


def foreign_labels() -> Any:
    given, labels = toy.images("training")
    return toy.stream(given, labels + 1)


def nothing() -> Any:
    given, labels = toy.images("training")
    return toy.stream(given[:0], labels[:0])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"training": None}, "there are no images to train on"),
        ({"validation": None}, "there are no images to train on"),
        ({"teacher": None}, "there is no original network to learn from"),
        ({"teacher": "of 4 labels"}, "a network of 4 labels into one of 6"),
        ({"training": broken_images()}, "no number any more; lower its learning_rate"),
        ({"training": small_images()}, r"of shape \(15, 16, 1\).* takes \(16, 16, 1\)"),
        (
            {"validation": foreign_labels()},
            "a label the network has no output for.* TensorFlow says: .*Condition x < y did not",
        ),
        ({"training": nothing()}, "the training set is empty"),
        ({"validation": nothing()}, "the validation set is empty"),
    ],
)
def test_what_cannot_be_trained_is_refused(changes, reason):
    if changes.get("teacher"):
        image = layers.Input((toy.SIDE, toy.SIDE, 1))
        changes = {"teacher": tf_keras.Model(image, layers.Dense(4)(layers.Flatten()(image)))}
    given = dataclasses.replace(toy.materials(), **changes)
    with pytest.raises(RecipeError, match=reason):
        tune(linear(), given, "x", Tuning(1, 1e-3, distill=0.5))


def test_loss_that_is_no_number_ends_training_at_once():
    seen = []
    callback = tf_keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_: seen.append(1))
    given = dataclasses.replace(toy.materials(), training=broken_images())
    with pytest.raises(RecipeError, match="no number any more"):
        tune(linear(), given, "x", Tuning(3, 1e-3), callbacks=[callback])
    assert len(seen) == 1


def test_nothing_trainable_is_refused():
    network = copied(toy.trained())
    network.trainable = False
    with pytest.raises(RecipeError, match="x has nothing to train"):
        tune(network, toy.materials(), "x", Tuning(1, 1e-3))


def test_unreadable_image_is_the_datasets_fault():
    def read(sample: Sample) -> Any:
        raise BadSampleError(sample.source, "is no image")

    labels = tuple(map(str, range(toy.CLASSES)))
    samples = tuple(Sample(f"{number}.png", number % 6) for number in range(8))
    data = Dataset("faces", "faces/", labels, samples, (), read)
    convention = InputConvention(toy.SIDE, toy.SIDE, 1, 0.0, 1.0, labels)

    def stream(batch: int, seed: int | None) -> Any:
        return to_tf_data(data, convention, batch_size=batch, shuffle_seed=seed)

    given = dataclasses.replace(toy.materials(), training=stream)
    with pytest.raises(DatasetError, match=r"^\d\.png is no image"):
        tune(linear(), given, "x", Tuning(1, 1e-3))


class Counting:
    """A progress that counts, and draws as the command line does."""

    def __init__(self) -> None:
        self.title, self.total, self.done = "", 0, 0

    @contextlib.contextmanager
    def stage(self, title: str, total: int) -> Iterator[Advance]:
        self.title, self.total = title, total

        def advance(units: int) -> None:
            self.done += units
            sys.stderr.write("tick\n")
            sys.stderr.flush()

        yield advance

    def say(self, sentence: str) -> None:
        raise AssertionError(sentence)


def endless_count(stream: Any) -> Any:
    """The same batches, of which nobody knows how many there are."""
    return lambda batch, seed: stream(batch, seed).filter(lambda *_: True)


@pytest.mark.parametrize("known", [True, False])
def test_progress_is_seen_while_training(known, capfd):
    progress = Counting()
    given = dataclasses.replace(toy.materials(), progress=progress)
    if not known:
        given = dataclasses.replace(given, training=endless_count(given.training))
    tune(linear(), given, "x", Tuning(2, 1e-3))
    assert progress.title == "x: training"
    assert progress.total == progress.done == (2 * 15 if known else 2)
    shown = capfd.readouterr()
    assert shown.err == "tick\n" * progress.done
    assert shown.out == ""


def test_logits_and_probabilities_train_alike():
    one, other = linear("softmax"), linear("logits")
    for network in (one, other):
        tune(network, toy.materials(), "x", Tuning(1, 1e-3, distill=0.3, temperature=2.0))
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_confident_mistakes_can_be_unlearnt():
    """A probability that is wrong and rounds to zero must not stop the gradient."""
    network = linear(scale=50.0)
    before = toy.accuracy(network)
    tune(network, toy.materials(), "x", Tuning(8, 0.05))
    assert toy.accuracy(network) > before + 0.2


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("temperature", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_loss_is_the_one_the_docstring_gives(share, temperature):
    teacher, network = linear(scale=9.0), linear("logits", scale=3.0)
    figures = []
    callback = tf_keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: figures.append(logs))
    given = dataclasses.replace(toy.materials(), teacher=teacher)
    tuning = Tuning(1, 1e-12, distill=share, temperature=temperature)  # does not move
    tune(network, given, "x", tuning, callbacks=[callback])

    images, labels = toy.images("validation")
    given_logits = network.predict(images, verbose=0)
    supervised = -log_softmax(given_logits)[np.arange(len(labels)), labels]
    wanted = log_softmax(log_softmax(given_logits * 3) / temperature)
    divergence = np.sum(np.exp(wanted) * (wanted - log_softmax(given_logits / temperature)), axis=1)
    expected = np.mean((1 - share) * supervised + share * temperature**2 * divergence)
    assert figures[0]["val_loss"] == pytest.approx(expected, rel=1e-4)


def ends(*after: Any) -> Any:
    image = layers.Input((4, 4, 1))
    x = layers.Flatten()(image)
    for layer in after:
        x = layer(x)
    return tf_keras.Model(image, x)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (lambda: ends(layers.Dense(3, activation="softmax")), True),
        (lambda: ends(layers.Dense(3), layers.Activation("softmax")), True),
        (lambda: ends(layers.Dense(3), layers.Softmax()), True),
        (lambda: ends(layers.Dense(3), tf.nn.softmax), True),
        (lambda: ends(layers.Dense(3), layers.Softmax(), layers.Reshape((3,))), True),
        (lambda: ends(layers.Dense(3), layers.Softmax(), layers.Activation("linear")), True),
        (lambda: ends(layers.Dense(3)), False),
        (lambda: ends(layers.Dense(3), layers.BatchNormalization()), False),
        (lambda: ends(layers.Dense(3, activation="sigmoid")), False),
        (lambda: ends(layers.Dense(3, activation="softmax"), layers.Dense(3)), False),
        (lambda: ends(), False),
    ],
)
def test_probabilities_are_told_from_logits(network, expected):
    assert gives_probabilities(network()) is expected


def mean_of_softmaxes() -> Any:
    tf_keras.utils.set_random_seed(4)
    image = layers.Input((toy.SIDE, toy.SIDE, 1))
    x = layers.Flatten()(image)
    ends = [layers.Dense(toy.CLASSES, activation="softmax")(x) for _ in range(2)]
    return tf_keras.Model(image, layers.Average()(ends))


def test_probabilities_are_told_by_what_a_network_gives():
    given = toy.materials().representative[:16]
    assert gives_probabilities(mean_of_softmaxes(), given)
    assert not gives_probabilities(linear("logits"), given)
    assert not gives_probabilities(mean_of_softmaxes())


def test_a_mean_of_softmaxes_learns_by_its_cross_entropy():
    network, given = mean_of_softmaxes(), toy.materials()
    figures = []
    callback = tf_keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: figures.append(logs))
    tune(network, given, "x", Tuning(1, 1e-12), callbacks=[callback])  # does not move
    images, labels = toy.images("validation")
    scores = network.predict(images, verbose=0)[np.arange(len(labels)), labels]
    assert figures[0]["val_loss"] == pytest.approx(-np.log(scores).mean(), rel=1e-4)


@pytest.mark.parametrize("end", [layers.Activation("sigmoid"), tf.sigmoid])
def test_a_network_that_ends_in_a_sigmoid_is_refused(end):
    logits = linear("logits")
    network = tf_keras.Model(logits.input, layers.Reshape((toy.CLASSES,))(end(logits.output)))
    with pytest.raises(RecipeError, match=r"^x cannot train a network that ends in a sigmoid"):
        tune(network, toy.materials(), "x", Tuning(1, 1e-3))


def test_probabilities_are_told_behind_a_wrapper_and_a_shared_layer():
    from fer_opt.compress.tfmot import tfmot

    wrap = tfmot().sparsity.keras.prune_low_magnitude
    assert gives_probabilities(ends(wrap(layers.Dense(3, activation="softmax"))))
    assert not gives_probabilities(ends(wrap(layers.Dense(3))))
    network = ends(layers.Dense(3, activation="softmax"), layers.Reshape((3,)))
    network(layers.Input((4, 4, 1)))  # its layers now have two calls
    assert gives_probabilities(network)


@settings(deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=4, max_side=6),
        elements=st.sampled_from([0.0, -1.0, 0.5, 2.0]),
    )
)
def test_structure_describes_the_kernel(kernel):
    found = structure_of(kernel)
    values = np.unique(kernel)
    assert found.distinct == len(values)
    assert found.sparsity == pytest.approx((kernel == 0).mean())
    if found.mask is not None:
        np.testing.assert_array_equal(found.mask, kernel != 0)
    if found.cluster is not None:
        np.testing.assert_array_equal(values[found.cluster], kernel)
        assert 2 <= found.distinct <= kernel.size // 4


def test_structure_is_seen_only_where_a_step_made_it():
    random = np.random.default_rng(0)
    kernel = random.normal(size=(20, 20)).astype(np.float32)
    assert structure_of(kernel).mask is None
    assert structure_of(kernel).cluster is None
    kernel[:1, :5] = 0  # 1.25 %
    assert structure_of(kernel).mask is not None
    for constant in (0.0, 1.0):  # an initial value, still to be trained
        found = structure_of(np.full((20, 20), constant, np.float32))
        assert found.mask is None
        assert found.cluster is None
    small = np.array([[1.0, 2.0], [1.0, 2.0]], np.float32)
    assert structure_of(small).cluster is None


def one_kernel(kernel: np.ndarray) -> Any:
    layer = layers.Dense(kernel.shape[1], use_bias=False)
    image = layers.Input(kernel.shape[:1])
    network = tf_keras.Model(image, layer(image))
    layer.kernel.assign(kernel)
    return network


def test_projection_puts_zeros_and_clusters_back():
    random = np.random.default_rng(0)
    kernel = random.choice(np.array([0.0, -1.0, 0.5], np.float32), size=(12, 10))
    network = one_kernel(kernel)
    project = projection(network)
    moved = kernel + random.normal(scale=0.1, size=kernel.shape).astype(np.float32)
    network.layers[-1].kernel.assign(moved)
    project()
    result = network.layers[-1].kernel.numpy()
    np.testing.assert_array_equal(result == 0, kernel == 0)
    for value in (-1.0, 0.5):
        members = kernel == value
        np.testing.assert_allclose(result[members], moved[members].mean(), rtol=1e-6)


def test_nothing_to_project():
    assert projection(toy.trained()) is None


def test_large_clusters_do_not_drift():
    """The mean of a million equal values is that value, which a sum in float32 misses."""
    kernel = np.full((1000, 1000), 0.1, np.float32)
    kernel[:, ::2] = -0.3
    network = one_kernel(kernel)
    projection(network)()
    np.testing.assert_array_equal(network.layers[-1].kernel.numpy(), kernel)
