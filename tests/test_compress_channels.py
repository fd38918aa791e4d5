from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fer_opt.backend import keras3, tf, tf_keras
from fer_opt.compress.channels.allocation import by_sensitivity, kept_count, levels_of
from fer_opt.compress.channels.dependencies import Group, trace
from fer_opt.compress.channels.gates import gate
from fer_opt.compress.channels.removal import remove
from fer_opt.compress.counting import layer_facts, multiply_accumulates, parameters
from fer_opt.compress.materials import Materials
from fer_opt.compress.prune_channels import prune_channels
from fer_opt.errors import RecipeError
from fer_opt.keras_io import from_keras, to_functional
from fer_opt.models import NAMES, build

layers = tf_keras.layers
applications = tf_keras.applications


def unsettled(network: Any, seed: int = 0) -> Any:
    """Batch normalization as training leaves it: a filter of zeros still gives a constant."""
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights(
                [
                    rng.uniform(0.5, 1.5, item.shape)
                    if "variance" in item.name or "gamma" in item.name
                    else rng.normal(0, 0.3, item.shape)
                    for item in layer.weights
                ]
            )
    return network


def materials(network: Any, count: int = 4) -> Materials:
    images = np.random.default_rng(1).random((count, *network.input_shape[1:]), np.float32)
    return Materials(images, np.arange(count) % int(network.output_shape[-1]))


def agrees_with_masking(network: Any, pruned: Any, removed: set[int], images: Any) -> None:
    gated = gate(network, trace(network))
    gated.close(removed)
    expected, found = np.asarray(gated.network(images)), np.asarray(pruned(images))
    assert np.abs(expected - found).max() <= 1e-6 * max(1.0, np.abs(expected).max())


KINDS = ("conv", "depthwise", "residual", "dense block", "excite", "reshape excite", "maximum",
         "separable", "shared")  # fmt: skip
plans = st.tuples(
    st.sampled_from([1, 3]),
    st.lists(st.tuples(st.sampled_from(KINDS), st.booleans()), min_size=1, max_size=4),
    st.booleans(),
)


def built(plan: Any) -> Any:
    """A small graph of the joints that real networks have."""
    channels, blocks, flatten = plan
    image = layers.Input((12, 12, channels))
    tensor = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    tensor = layers.MaxPooling2D(2)(tensor)
    for kind, normalize in blocks:
        tensor = joint(tensor, kind)
        if normalize:
            tensor = layers.BatchNormalization()(tensor)
    flat = (layers.Flatten if flatten else layers.GlobalAveragePooling2D)()(tensor)
    hidden = layers.Dense(8, activation="relu")(flat)
    return unsettled(tf_keras.Model(image, layers.Dense(5, activation="softmax")(hidden)))


def joint(tensor: Any, kind: str) -> Any:
    channels = int(tensor.shape[-1])

    def convolution(count: int, given: Any) -> Any:
        return layers.Conv2D(count, 3, padding="same", activation="relu")(given)

    if kind == "conv":
        return convolution(12, tensor)
    if kind == "depthwise":
        return layers.DepthwiseConv2D(3, padding="same")(tensor)
    if kind == "separable":
        return layers.SeparableConv2D(8, 3, padding="same", depth_multiplier=2)(tensor)
    if kind == "residual":
        return layers.Add()([tensor, layers.BatchNormalization()(convolution(channels, tensor))])
    if kind == "dense block":
        return layers.Concatenate()([tensor, convolution(4, tensor)])
    if kind == "maximum":
        return layers.Maximum()([tensor, convolution(channels, tensor)])
    if kind == "shared":
        shared = layers.Conv2D(channels, 3, padding="same", activation="relu")
        return shared(shared(tensor))
    gated = layers.GlobalAveragePooling2D(keepdims=kind == "excite")(tensor)
    if kind == "reshape excite":
        gated = layers.Reshape((1, 1, channels))(gated)
    gated = layers.Conv2D(4, 1, activation="relu")(gated)
    return layers.Multiply()([tensor, layers.Conv2D(channels, 1, activation="sigmoid")(gated)])


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(plans, st.integers(0, 2**32 - 1))
def test_removing_any_channels_equals_switching_them_off(plan, seed):
    tf_keras.utils.set_random_seed(seed)
    network, rng = built(plan), np.random.default_rng(seed)
    found = trace(network)
    removed = set()
    for group in found.groups():
        roots = rng.permutation(group.roots).tolist()
        removed |= set(roots[: int(rng.integers(len(roots)))])
    before = [item.copy() for item in network.get_weights()]
    smaller = remove(network, found, removed)
    agrees_with_masking(network, smaller, removed, materials(network).representative)
    assert parameters(smaller) < parameters(network) or not removed
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_architecture_loses_half_its_channels(name):
    side = 75 if name == "googlenet" else 48
    network = unsettled(build(name, input_shape=(side, side, 1), classes=8, seed=1))
    outcome = prune_channels(network, materials(network))
    assert multiply_accumulates(outcome.network) < 0.3 * multiply_accumulates(network)
    assert parameters(outcome.network) < 0.3 * parameters(network)
    assert not any("not known" in note for note in outcome.notes)
    kept = {item.name: item.channels for item in layer_facts(outcome.network)}
    for item in layer_facts(network)[:-1]:
        assert kept[item.name] == kept_count(item.channels, 0.5, 8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        applications.MobileNetV2,
        applications.MobileNetV3Small,
        applications.EfficientNetB0,
        applications.ResNet50,
        applications.DenseNet121,
    ],
)
def test_other_peoples_networks_lose_half_their_channels(make):
    network = unsettled(make(input_shape=(64, 64, 3), weights=None, classes=8))
    found = trace(network)
    outcome = prune_channels(network, materials(network))
    assert not any("not known" in note for note in outcome.notes)
    assert multiply_accumulates(outcome.network) < 0.35 * multiply_accumulates(network)
    removed = {root for group in found.groups() for root in group.roots[::2]}
    smaller = remove(network, found, removed)
    agrees_with_masking(network, smaller, removed, materials(network).representative)


def from_keras3(make: Any) -> Any:
    """What ``make(keras)`` gives, as steps take it."""
    return to_functional(from_keras(make(keras3()), source="test", format_="Keras 3", sha256="0"))


@pytest.mark.slow
def test_mobilenet_v3_of_keras3_loses_half_its_channels():
    network = unsettled(
        from_keras3(
            lambda keras: keras.applications.MobileNetV3Small(
                input_shape=(64, 64, 3), weights=None, classes=8
            )
        )
    )
    outcome = prune_channels(network, materials(network))
    assert not any("not known" in note for note in outcome.notes)
    assert multiply_accumulates(outcome.network) < 0.35 * multiply_accumulates(network)


def between(*joints: Any) -> Any:
    """A convolution of 16 channels, the joints one after the other, and one of 32."""
    tf_keras.utils.set_random_seed(6)
    image = layers.Input((12, 12, 1))
    tensor = layers.Conv2D(16, 3, padding="same", name="first")(image)
    for one in joints:
        tensor = one(tensor)
    tensor = layers.Conv2D(32, 3, activation="relu", name="second")(tensor)
    tensor = layers.GlobalAveragePooling2D()(tensor)
    return tf_keras.Model(image, layers.Dense(4, activation="softmax")(tensor))


def left_of(network: Any) -> tuple[list[int], tuple[str, ...]]:
    """The channels of each layer and the notes after half of them were removed."""
    found = trace(network)
    outcome = prune_channels(network, materials(network))
    removed = {root for group in found.groups() for root in group.roots[::2]}
    smaller = remove(network, found, removed)
    agrees_with_masking(network, smaller, removed, materials(network).representative)
    return [item.channels for item in layer_facts(outcome.network)], outcome.notes


@pytest.mark.parametrize("activation", ["hard_silu", "hard_sigmoid", "leaky_relu", "silu"])
def test_activations_of_keras3_let_channels_through(activation):
    def make(keras: Any) -> Any:
        image = keras.Input((12, 12, 1))
        tensor = keras.layers.Conv2D(16, 3, activation=activation)(image)
        tensor = keras.layers.Activation(activation)(keras.layers.Conv2D(32, 3)(tensor))
        tensor = keras.layers.GlobalAveragePooling2D()(tensor)
        return keras.Model(image, keras.layers.Dense(4, activation="softmax")(tensor))

    assert left_of(from_keras3(make))[0] == [8, 16, 4]


LET_THROUGH = {
    "rescaling": [lambda: layers.Rescaling(0.5, offset=3.0)],
    "one slope": [lambda: layers.PReLU("ones", shared_axes=[1, 2, 3])],
    "slopes": [lambda: layers.PReLU("ones", shared_axes=[1, 2])],
    "constant": [lambda: lambda tensor: tensor * np.array([2.0], "f4")],
    "clip": [lambda: lambda tensor: tf.clip_by_value(tensor, 0.0, 1.0)],
    "mean": [
        lambda: lambda tensor: tf.reduce_mean(tensor, axis=[1, 2]),
        lambda: layers.Reshape((1, 1, 16)),
        lambda: layers.UpSampling2D(6),
    ],
}
KEPT = {
    "rescaling": [lambda: layers.Rescaling(np.linspace(1, 2, 16))],
    "normalization": [
        lambda: layers.Normalization(mean=np.linspace(0, 1, 16), variance=np.linspace(1, 2, 16))
    ],
    "constant": [lambda: lambda tensor: tf.multiply(tensor, np.linspace(1, 2, 16))],
    "clip": [lambda: lambda tensor: tf.clip_by_value(tensor, 0.0, np.linspace(1, 2, 16))],
    "mean over channels": [
        lambda: layers.Conv2D(12, 1),
        lambda: lambda tensor: tf.reduce_mean(tensor, axis=-1),
        lambda: layers.Reshape((12, 12, 1)),
    ],
    "shuffle": [
        lambda: layers.Reshape((12, 12, 2, 8)),
        lambda: layers.Permute((1, 2, 4, 3)),
        lambda: layers.Reshape((12, 12, 16)),
    ],
    "rows to image": [
        lambda: layers.Flatten(),
        lambda: layers.Dense(144),
        lambda: layers.Reshape((6, 6, 4)),
    ],
}


@pytest.mark.parametrize("joints", LET_THROUGH.values(), ids=LET_THROUGH)
def test_what_works_on_each_channel_lets_them_through(joints):
    channels, notes = left_of(between(*(make() for make in joints)))
    assert channels == [8, 16, 4]
    assert not any("not known" in note for note in notes)


@pytest.mark.parametrize("joints", KEPT.values(), ids=KEPT)
def test_what_holds_a_number_for_each_channel_keeps_them(joints):
    network = between(*(make() for make in joints))
    channels, notes = left_of(network)
    beside = layer_facts(network)[-3].channels
    assert channels[-3:] == [beside, 16, 4]
    assert any(note.startswith("Channels beside") for note in notes)


def test_a_constant_of_keras3_keeps_its_channels():
    def make(keras: Any) -> Any:
        image = keras.Input((12, 12, 1))
        tensor = keras.layers.Conv2D(16, 3)(image) * np.linspace(0.5, 1.5, 16)
        tensor = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(32, 3)(tensor))
        return keras.Model(image, keras.layers.Dense(4, activation="softmax")(tensor))

    channels, notes = left_of(from_keras3(make))
    assert channels == [16, 16, 4]
    assert any("Channels beside multiply" in note for note in notes)


def test_numbers_for_each_channel_of_the_image_are_no_news():
    image = layers.Input((12, 12, 3))
    tensor = layers.Rescaling(np.array([1.0, 2.0, 3.0]))(image)
    tensor = layers.GlobalAveragePooling2D()(layers.Conv2D(16, 3)(tensor))
    network = tf_keras.Model(image, layers.Dense(4, activation="softmax")(tensor))
    channels, notes = left_of(network)
    assert channels == [8, 4]
    assert len(notes) == 1


def small(batch_norm: bool = True) -> Any:
    tf_keras.utils.set_random_seed(5)
    stack = [layers.Input((12, 12, 1)), layers.Conv2D(16, 3, activation="relu", name="first")]
    if batch_norm:
        stack.append(layers.BatchNormalization())
    stack += [
        layers.Conv2D(16, 3, activation="relu", name="second"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(4, activation="softmax"),
    ]
    return unsettled(tf_keras.Sequential(stack))


def trained() -> tuple[Any, Materials]:
    """A network that learned to tell the place of a bright bar."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 4, 512)
    images = rng.random((512, 12, 12, 1), np.float32)
    for image, label in zip(images, labels, strict=True):
        image[3 * label : 3 * label + 3] += 0.6
    network = tf_keras.Sequential(
        [
            layers.Input((12, 12, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dense(4, activation="softmax"),
        ]
    )
    network.compile(tf_keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy")
    network.fit(images[:384], labels[:384], epochs=12, verbose=0)
    held_out = tf.data.Dataset.from_tensor_slices((images[384:], labels[384:]))
    stream = lambda batch, seed: held_out.batch(batch)  # noqa: E731
    return network, Materials(images[:64], labels[:64], stream, stream)


def loss_of(network: Any, given: Materials) -> float:
    images, labels = next(iter(given.validation(999, None)))
    scores = np.asarray(network(images))
    return float(-np.log(scores[np.arange(len(labels)), np.asarray(labels)] + 1e-7).mean())


@pytest.mark.slow
def test_data_tells_which_channels_matter():
    tf_keras.utils.set_random_seed(1)
    network, given = trained()
    found = trace(network)
    gated = gate(network, found)
    scores = gated.taylor(given.representative, given.representative_labels)
    order = sorted((r for g in found.groups() for r in g.roots), key=lambda root: scores[root])
    half = len(order) // 2
    least, most = (remove(network, found, part) for part in (order[:half], order[half:]))
    assert loss_of(least, given) < loss_of(most, given) - 0.2
    scanned = prune_channels(
        network, given, allocation="sensitivity", importance="taylor", multiple=1
    )
    assert loss_of(scanned.network, given) < loss_of(most, given) - 0.2
    assert any(note.startswith("The scan removes") for note in scanned.notes)


def test_batch_norm_scales_rank_where_they_are():
    network = small()
    normalization = next(x for x in network.layers if isinstance(x, layers.BatchNormalization))
    gamma, *rest = normalization.get_weights()
    gamma[:] = 1.0
    gamma[8:] = 0.01
    normalization.set_weights([gamma, *rest])
    outcome = prune_channels(network, materials(network), importance="bn")
    kept = outcome.network.get_layer("first").get_weights()[0]
    np.testing.assert_array_equal(kept, network.get_layer("first").get_weights()[0][..., :8])
    assert any("kernel norms rank their channels" in note for note in outcome.notes)


def test_layers_may_have_shares_of_their_own():
    outcome = prune_channels(small(), materials(small()), layers="first:0, sec*:0.75", multiple=4)
    assert [item.channels for item in layer_facts(outcome.network)] == [16, 4, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [("third:0.5", "'third'.*first"), ("first", "cannot read 'first'"), ("first:2", "below 1")],
)
def test_shares_that_name_nothing_are_refused(text, message):
    with pytest.raises(RecipeError, match=message):
        prune_channels(small(), materials(small()), layers=text)


def test_a_network_without_removable_channels_is_refused():
    network = tf_keras.Sequential(
        [layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(4, activation="softmax")]
    )
    with pytest.raises(RecipeError, match="no channels to remove"):
        prune_channels(network, materials(network))
    image = layers.Input((8, 8, 1))
    tensor = layers.LayerNormalization(name="odd")(layers.Conv2D(8, 3)(image))
    network = tf_keras.Model(image, layers.Dense(4, activation="softmax")(layers.Flatten()(tensor)))
    with pytest.raises(RecipeError, match=r"layers it does not know \(odd\)"):
        prune_channels(network, materials(network))


def test_channels_beside_an_unknown_layer_are_kept_and_it_is_named():
    image = layers.Input((12, 12, 1))
    tensor = layers.Conv2D(16, 3, name="beside")(image)
    tensor = layers.LayerNormalization(name="odd")(tensor)
    tensor = layers.GlobalAveragePooling2D()(layers.Conv2D(16, 3, name="free")(tensor))
    network = tf_keras.Model(image, layers.Dense(4, activation="softmax")(tensor))
    outcome = prune_channels(network, materials(network))
    assert [item.channels for item in layer_facts(outcome.network)] == [16, 8, 4]
    assert any("odd" in note for note in outcome.notes)


@given(st.integers(1, 300), st.floats(0, 0.99), st.integers(1, 64), st.integers(0, 63))
def test_kept_channels_are_a_multiple_and_enough(present, share, multiple, spare):
    spare %= multiple
    kept = kept_count(present, share, multiple, spare)
    assert 1 <= kept <= present
    assert (kept + spare) % multiple == 0 or kept == present
    assert kept >= present * (1 - share) - spare - 1e-6


def test_the_scan_spares_what_costs_most():
    groups = [Group(("cheap",), tuple(range(8))), Group(("dear",), tuple(range(8, 16)))]
    rise = {"cheap": 0.01, "dear": 1.0}
    shares = by_sensitivity(groups, [1.0, 1.0], 0.35, lambda g, part: rise[g.layers[0]] * part)
    assert shares == [0.75, 0.0]


@given(st.integers(1, 300), st.floats(0.01, 0.99), st.integers(1, 64))
def test_the_scan_tries_what_rounding_gives(present, share, multiple):
    levels = levels_of(present, share, multiple)
    assert levels[0] == 0
    assert list(levels) == sorted(set(levels))
    for level in levels:
        kept = kept_count(present, level, multiple)
        assert kept == present - round(present * level)
        assert 1 - kept / present == level


@pytest.mark.parametrize(
    ("share", "kept", "told"),
    [
        (0.5, [8, 8, 8, 4], "The scan removes: narrow 0%, first 50%, second 0%."),
        (
            0.95,
            [8, 8, 8, 4],
            "only 29% of the channels to remove, each weighed by its work, not 95%",
        ),
    ],
)
def test_the_scan_tells_what_rounding_left(share, kept, told):
    image = layers.Input((12, 12, 1))
    tensor = layers.Conv2D(8, 3, padding="same", activation="relu", name="narrow")(image)
    tensor = layers.Conv2D(16, 3, activation="relu", name="first")(tensor)
    tensor = layers.Conv2D(8, 3, activation="relu", name="second")(tensor)
    tensor = layers.GlobalAveragePooling2D()(tensor)
    network = tf_keras.Model(image, layers.Dense(4, activation="softmax")(tensor))
    outcome = prune_channels(network, materials(network), share=share, allocation="sensitivity")
    assert [item.channels for item in layer_facts(outcome.network)] == kept
    assert any(told in note for note in outcome.notes)


def test_the_scan_reaches_a_large_share():
    network = small()
    outcome = prune_channels(
        network, materials(network), share=0.9, allocation="sensitivity", multiple=1
    )
    assert [item.channels for item in layer_facts(outcome.network)] == [2, 2, 4]
    assert any("first 88%, second 88%" in note for note in outcome.notes)


def test_multiply_accumulates_are_those_published():
    # Howard et al., "MobileNets" (2017), table 4: 569 million; He et al., "Deep residual learning"
    # (2016), table 1: 3.8 billion.
    assert multiply_accumulates(applications.MobileNet(weights=None)) == pytest.approx(
        569e6, rel=1e-3
    )
    assert multiply_accumulates(applications.ResNet50(weights=None)) == pytest.approx(
        3.8e9, rel=0.02
    )


def test_counts_of_a_network_worked_out_by_hand():
    first, second, last = layer_facts(small())
    assert (first.macs, first.weights) == (10 * 10 * 9 * 16, 9 * 16 + 16)
    assert (second.macs, second.weights) == (8 * 8 * 9 * 16 * 16, 9 * 256 + 16)
    assert (last.macs, last.weights, last.kind) == (64, 68, "Dense")
