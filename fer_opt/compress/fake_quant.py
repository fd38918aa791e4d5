"""Layers that round to 8 bits as TensorFlow Lite will, so that a network can train with it.

Activations: one scale and zero point a tensor. Weights: symmetric about zero, -127 to 127, one
scale an output channel of a convolution, one for the whole kernel of a dense layer.
Biases stay float; TensorFlow Lite holds them in 32 bits. The scheme is TensorFlow Lite's 8-bit
quantization specification, and gradients pass straight through the rounding (Jacob et al.,
"Quantization and training of neural networks for efficient integer-arithmetic-only inference",
2018).
"""

from __future__ import annotations

from typing import Any

from fer_opt.backend import tf, tf_keras

__all__ = [
    "FakeQuant",
    "QuantizedConv2D",
    "QuantizedDense",
    "QuantizedDepthwiseConv2D",
    "is_quantize_aware",
]

_PACKAGE = "fer_opt"
_SMALLEST_RANGE = 1e-6
_SMALLEST_CHANNEL = 1e-3
"""Of a kernel's largest weight. A channel of zeros would get a scale so small that its bias, held
in 32 bits at the scale of input times weight, overflowed."""


def is_quantize_aware(network: Any) -> bool:
    """Whether a Keras model holds ranges that quantization-aware training made."""
    return any(isinstance(layer, FakeQuant) for layer in getattr(network, "layers", ()))


@tf_keras.utils.register_keras_serializable(_PACKAGE)
class FakeQuant(tf_keras.layers.Layer):  # type: ignore[misc]
    """Rounds a tensor of any shape to 256 steps between the ends of a range it learns.

    In training the range follows the mean of each batch's smallest and largest value, at first a
    plain one, then an exponential one. A layer called on several tensors gives all of them one
    range, the widest.

    Args:
        slots: number of tensors that share the range; each call names its own with ``slot``.
        fixed: low and high end where the range is not learnt.
        hull: never let go of a value once seen, instead of following the mean.
        decay: of the exponential mean.
    """

    def __init__(
        self,
        slots: int = 1,
        fixed: tuple[float, float] | None = None,
        hull: bool = False,
        decay: float = 0.99,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        self.slots, self.fixed, self.hull, self.decay = slots, fixed, hull, decay

    def build(self, input_shape: Any) -> None:
        """Make the range, which training sees but the optimizer does not."""

        def state(name: str, value: float) -> Any:
            initial = tf_keras.initializers.Constant(value)
            return self.add_weight(
                name=name, shape=(self.slots,), initializer=initial, trainable=False
            )

        low, high = self.fixed or (0.0, 0.0)
        self.low, self.high, self.seen = state("low", low), state("high", high), state("seen", 0.0)
        super().build(input_shape)

    def call(self, inputs: Any, slot: int = 0, training: Any = None) -> Any:
        """The same shape, rounded."""
        if training and self.fixed is None:
            self._observe(inputs, slot)
        low = tf.reduce_min(self.low)
        high = tf.maximum(tf.reduce_max(self.high), low + _SMALLEST_RANGE)
        return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high, num_bits=8)

    def _observe(self, inputs: Any, slot: int) -> None:
        mine = tf.constant([index == slot for index in range(self.slots)])
        kept = tf.minimum(self.decay, self.seen / (self.seen + 1.0))

        def follow(variable: Any, value: Any, widest: Any) -> None:
            mean = kept * variable + (1.0 - kept) * value
            variable.assign(
                tf.where(mine, widest(variable, value) if self.hull else mean, variable)
            )

        # Zero, the value of padding, must be one of the steps.
        follow(self.low, tf.minimum(tf.reduce_min(inputs), 0.0), tf.minimum)
        follow(self.high, tf.maximum(tf.reduce_max(inputs), 0.0), tf.maximum)
        self.seen.assign(tf.where(mine, self.seen + 1.0, self.seen))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What makes the same layer again, without its range."""
        own = {"slots": self.slots, "fixed": self.fixed, "hull": self.hull, "decay": self.decay}
        return {**super().get_config(), **own}


def _rounded(kernel: Any, gain: Any = None) -> Any:
    """A kernel rounded to -127..127 steps, one scale for each channel, its last axis.

    With a ``gain`` (channels,), the kernel is rounded with one scale for the whole, then scaled:
    every channel then has the same few steps, and the scales differ by the gain.
    """
    size = tf.abs(tf.stop_gradient(kernel))
    largest = tf.maximum(tf.reduce_max(size), _SMALLEST_RANGE)
    if gain is None:
        ends = tf.reduce_max(size, axis=list(range(len(kernel.shape) - 1)))
    else:
        step = largest / 127.0
        kernel += tf.stop_gradient(tf.round(kernel / step) * step - kernel)
        kernel, ends = kernel * gain, largest * tf.abs(gain)
        largest = tf.reduce_max(ends)
    ends = tf.maximum(ends, largest * _SMALLEST_CHANNEL)
    return tf.quantization.fake_quant_with_min_max_vars_per_channel(
        kernel, -ends, ends, num_bits=8, narrow_range=True
    )


class _QuantizedConvolution:
    """What convolutions with rounded kernels have in common.

    Args:
        clustered: whether the kernel has few distinct values to keep, and a gain for each channel
            besides.
    """

    def __init__(self, *values: Any, clustered: bool = False, **keywords: Any) -> None:
        super().__init__(*values, **keywords)
        self.clustered = clustered
        self.gain: Any = None

    def build(self, input_shape: Any) -> None:
        """Make the weights; the gain comes last and is not trained."""
        super().build(input_shape)  # type: ignore[misc]
        if self.clustered:
            channels = self.compute_output_shape(input_shape)[-1]  # type: ignore[attr-defined]
            self.gain = self.add_weight(  # type: ignore[attr-defined]
                name="gain", shape=(channels,), initializer="ones", trainable=False
            )

    def get_config(self) -> dict[str, Any]:
        """What makes the same layer again, without its weights."""
        return {**super().get_config(), "clustered": self.clustered}  # type: ignore[misc]


@tf_keras.utils.register_keras_serializable(_PACKAGE)
class QuantizedConv2D(_QuantizedConvolution, tf_keras.layers.Conv2D):  # type: ignore[misc]
    """``Conv2D`` whose kernel is rounded."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """The convolution with the rounded kernel."""
        return super().convolution_op(inputs, _rounded(tf.convert_to_tensor(kernel), self.gain))


@tf_keras.utils.register_keras_serializable(_PACKAGE)
class QuantizedDepthwiseConv2D(_QuantizedConvolution, tf_keras.layers.DepthwiseConv2D):  # type: ignore[misc]
    """``DepthwiseConv2D`` whose kernel is rounded."""

    def call(self, inputs: Any) -> Any:
        """The convolution with the rounded kernel."""
        kernel = tf.convert_to_tensor(self.depthwise_kernel)
        height, width, channels, multiplier = kernel.shape
        flat = tf.reshape(kernel, (height, width, 1, channels * multiplier))
        outputs = tf_keras.backend.depthwise_conv2d(
            inputs,
            tf.reshape(_rounded(flat, self.gain), kernel.shape),
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, self.bias)
        return self.activation(outputs)


@tf_keras.utils.register_keras_serializable(_PACKAGE)
class QuantizedDense(tf_keras.layers.Dense):  # type: ignore[misc]
    """``Dense`` on (n, features) whose kernel is rounded, with one scale for the whole.

    The converter transposes the kernel and does not follow scales of channels through that.
    """

    def call(self, inputs: Any) -> Any:
        """The product with the rounded kernel."""
        kernel = tf.convert_to_tensor(self.kernel)
        end = tf.maximum(tf.reduce_max(tf.abs(tf.stop_gradient(kernel))), _SMALLEST_RANGE)
        kernel = tf.quantization.fake_quant_with_min_max_vars(
            kernel, -end, end, num_bits=8, narrow_range=True
        )
        outputs = tf.matmul(inputs, kernel)
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, self.bias)
        return self.activation(outputs)
