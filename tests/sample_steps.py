"""Steps of recipes for the sample record: one network, narrowed and thinned by plain arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scipy.stats import binomtest

from fer_opt.reports.record import LayerFacts, RefusedRecipe, StepResult

CONVOLUTIONS = (
    # channels, side of the output
    (32, 112), (32, 112), (64, 56), (64, 56), (128, 28), (128, 28), (128, 28), (256, 14),
    (256, 14), (256, 14), (256, 7), (256, 7), (256, 7), (256, 7),
)  # fmt: skip
UNITS = 216
KERNEL = 9

COMPRESSED = {
    # recipe: bytes of the file for each weight, share gzip leaves of it, median ms, share of right
    # answers that go wrong, accuracy after each step against the trained network's
    "prune_channels(0.5) > fine_tune(4, distill=0.5) > int8":
        (1.01, 0.88, 1.71, 0.010, (-0.31, -0.009)),
    "prune_channels(0.5) > fine_tune(3, distill=0.5) > prune_channels(0.5) > "
    "fine_tune(6, distill=0.5) > int8":
        (1.01, 0.88, 0.66, 0.030, (-0.31, -0.012, -0.42, -0.028)),
    "prune_channels(0.5, importance=taylor, allocation=sensitivity) > fine_tune(4, distill=0.5) "
    "> quantize_aware(2) > int8":
        (1.01, 0.88, 1.83, 0.006, (-0.22, -0.006, -0.004)),
    "prune_magnitude(0.5) > cluster(16) > quantize_aware(2) > int8":
        (1.016, 0.41, 5.41, 0.008, (-0.012, -0.017, -0.006)),
    "low_rank(0.9, kernels=dense) > fine_tune(2) > int8":
        (1.012, 0.90, 4.61, 0.007, (-0.05, -0.003)),
    "prune_2_4 > int8(io=float)":
        (1.016, 0.66, 5.22, 0.012, (-0.02,)),
    "fine_tune(2) > float32":
        (3.99, 0.91, 8.65, 0.002, (0.001,)),
}  # fmt: skip
"""Three are faster than the plain int8, two only smaller, one neither, one has no plain equal."""

TITLES = {
    "prune_channels": "50% of the channels removed",
    "fine_tune": "fine-tuned",
    "prune_magnitude": "50% of the weights set to zero",
    "cluster": "weights clustered to 16 values",
    "quantize_aware": "trained for 8 bit for 2 epochs",
    "prune_2_4": "two of four weights set to zero",
    "low_rank": "kernels split in two, 90% of their energy kept",
}

NOTES = {
    "prune_channels": "4 layers keep all their channels, because they are added to others.",
    "prune_2_4": "The stem has one input channel and is left as it is.",
    "prune_magnitude": "Kernels under 1,000 weights are left as they are.",
}

REFUSED = (
    RefusedRecipe(
        "prune_channels(0.999) > fine_tune(4, distill=0.5) > int8",
        "prune_channels would leave no channel of conv_1; remove a smaller share.",
    ),
)


@dataclass(frozen=True, slots=True)
class Network:
    """What a step changes: channels of the convolutions, units, rank, zeros and values."""

    channels: tuple[int, ...]
    units: int = UNITS
    rank: int | None = None
    sparsity: float = 0.0
    distinct: int | None = None


def trained_network() -> Network:
    """The network before any step."""
    return Network(tuple(channels for channels, _ in CONVOLUTIONS))


def after(step: str, network: Network) -> Network:
    """The network a step makes."""
    match step.split("(")[0]:
        case "prune_channels":
            return replace(
                network,
                channels=tuple(-(-n // 16) * 8 for n in network.channels),
                units=-(-network.units // 16) * 8,
            )
        case "prune_magnitude" | "prune_2_4":
            return replace(network, sparsity=0.5)
        case "cluster":
            return replace(network, distinct=16)
        case "low_rank":
            return replace(network, rank=network.units // 4)
        case _:
            return network


def layers_of(network: Network, labels: int) -> tuple[LayerFacts, ...]:
    """Every layer with a kernel, in order."""
    found = []
    inputs = 1
    for number, (channels, (_, side)) in enumerate(
        zip(network.channels, CONVOLUTIONS, strict=True), start=1
    ):
        kernel = KERNEL * inputs * channels
        found.append(
            _layer(f"conv_{number}", "Conv2D", channels, kernel, kernel * side**2, network)
        )
        inputs = channels
    inputs *= CONVOLUTIONS[-1][1] ** 2
    dense = (
        (("dense", network.units),)
        if network.rank is None
        else (("dense_u", network.rank), ("dense_v", network.units))
    )
    for name, units in (*dense, ("labels", labels)):
        found.append(_layer(name, "Dense", units, inputs * units, inputs * units, network))
        inputs = units
    return tuple(found)


def _layer(
    name: str, kind: str, channels: int, kernel: int, macs: int, network: Network
) -> LayerFacts:
    thin = name not in ("conv_1", "labels")
    sparsity = network.sparsity if thin else 0.0
    return LayerFacts(
        name=name,
        kind=kind,
        channels=channels,
        weights=kernel + channels,
        macs=macs,
        sparsity=sparsity,
        distinct=min(network.distinct or kernel, round(kernel * (1 - sparsity)) + bool(sparsity)),
    )


def parameters_of(network: Network, labels: int) -> int:
    """Weights of all layers, batch normalization's four for each convolution's channel included."""
    layers = layers_of(network, labels)
    return sum(layer.weights for layer in layers) + 4 * sum(network.channels)


def result_of(
    step: str,
    network: Network,
    labels: int,
    samples: int,
    right: int,
    took_s: float = 0.0,
    notes: tuple[str, ...] = (),
) -> StepResult:
    """What the record says of a network."""
    layers = layers_of(network, labels)
    interval = binomtest(right, samples).proportion_ci(0.95, method="wilson")
    return StepResult(
        step=step,
        title=TITLES[step.split("(")[0]] if step else "trained network",
        parameters=parameters_of(network, labels),
        macs=sum(layer.macs for layer in layers),
        samples=samples,
        accuracy=right / samples,
        low=float(interval.low),
        high=float(interval.high),
        took_s=took_s,
        layers=layers,
        notes=notes,
    )


def steps_of(recipe: str, labels: int, samples: int, right: int) -> tuple[StepResult, ...]:
    """What each step of a recipe of ``COMPRESSED`` did to a network that got ``right`` right."""
    if recipe not in COMPRESSED:
        return ()
    network, results = trained_network(), []
    for step, change in zip(recipe.split(" > ")[:-1], COMPRESSED[recipe][4], strict=True):
        network = after(step, network)
        name = step.split("(")[0]
        epochs = {"fine_tune": 4, "quantize_aware": 2}.get(name, 0)
        results.append(
            result_of(
                step,
                network,
                labels,
                samples,
                max(0, right + round(change * samples)),
                took_s=41.7 * epochs + 2.4,
                notes=(NOTES[name],) if name in NOTES else (),
            )
        )
    return tuple(results)


def file_of(recipe: str, labels: int) -> tuple[str, int, int, float, float, str]:
    """Title, bytes, bytes with gzip, median ms, damage and input type of a compressed file."""
    bytes_per_weight, zipped, median, damage, _ = COMPRESSED[recipe]
    network = trained_network()
    *steps, last = recipe.split(" > ")
    for step in steps:
        network = after(step, network)
    size = round(bytes_per_weight * parameters_of(network, labels)) + 31_000
    title = ", then ".join([*(TITLES[step.split("(")[0]] for step in steps), _FORMATS[last]])
    return (
        title,
        size,
        round(zipped * size),
        median,
        damage,
        "int8" if last == "int8" else "float32",
    )


_FORMATS = {
    "int8": "full integer, 8 bit",
    "int8(io=float)": "full integer, 8 bit, float input and output",
    "float32": "32-bit float",
}
