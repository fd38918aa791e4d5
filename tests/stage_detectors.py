"""Small real TFLite detectors whose outputs are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fer_opt.backend import tf


def detector_file(
    path: Path, side: int, outputs: Callable[[Any], tuple[Any, ...]], dtype: Any = tf.float32
) -> Path:
    """A .tflite of (1, side, side, 3) that gives ``outputs`` of the image, in their order."""

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, side, side, 3), dtype)])
        def run(self, image: Any) -> dict[str, Any]:
            return {f"{place}": value for place, value in enumerate(outputs(image))}

    module = Module()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.run.get_concrete_function()], module
    )
    converter.allow_custom_ops = True
    path.write_bytes(converter.convert())
    return path


def constants(*values: Any) -> Callable[[Any], tuple[Any, ...]]:
    """Outputs that are the same for every image."""

    def outputs(image: Any) -> tuple[Any, ...]:
        nothing = tf.reduce_sum(tf.cast(image, tf.float32)) * 0.0  # keeps the input in the graph
        return tuple(tf.constant(np.asarray(value, np.float32)) + nothing for value in values)

    return outputs


def blazeface_raw(
    anchors: int, faces: dict[int, tuple[float, float, float, float, float]]
) -> tuple[np.ndarray, np.ndarray]:
    """Regressors and classificators where these anchors see a face: dx, dy, width, height, score.

    Offsets and sizes in pixels of the input, the score before the logistic function.
    """
    regressors = np.zeros((1, anchors, 16), np.float32)
    classificators = np.full((1, anchors, 1), -200.0, np.float32)
    for anchor, (*box, score) in faces.items():
        regressors[0, anchor, :4] = box
        classificators[0, anchor, 0] = score
    return regressors, classificators


def post_processed_file(
    path: Path, side: int, boxes: list[list[float]], scores: list[list[float]]
) -> Path:
    """A .tflite that ends in ``TFLite_Detection_PostProcess``, as TensorFlow's exporter makes it.

    Args:
        path: to write.
        side: of the input.
        boxes: (n, 4), top, left, bottom, right, 0 to 1.
        scores: (n, classes), of each box.
    """
    corners = np.asarray(boxes, np.float32)
    size = corners[:, 2:] - corners[:, :2]
    anchors = np.concatenate((corners[:, :2] + size / 2, size), axis=1)
    options = {"max_detections": 10, "max_classes_per_detection": 1, "num_classes": len(scores[0])}
    numbers = {"nms_score_threshold": 0.1, "nms_iou_threshold": 0.6}
    numbers |= {f"{axis}_scale": 10.0 for axis in "yx"} | {f"{axis}_scale": 5.0 for axis in "hw"}
    signature = [
        'name: "TFLite_Detection_PostProcess"',
        *(f'attr {{ key: "{key}" value {{ i: {value} }} }}' for key, value in options.items()),
        *(f'attr {{ key: "{key}" value {{ f: {value} }} }}' for key, value in numbers.items()),
        'attr { key: "use_regular_nms" value { b: false } }',
    ]

    @tf.function(experimental_implements=" ".join(signature))
    def post_process(encodings: Any, classes: Any, anchors: Any) -> tuple[Any, ...]:
        return tuple(tf.constant(0.0, name=name) for name in ("boxes", "classes", "scores", "num"))

    def outputs(image: Any) -> tuple[Any, ...]:
        nothing = tf.reduce_sum(image) * 0.0
        encodings = tf.zeros((1, len(boxes), 4)) + nothing
        return post_process(encodings, tf.constant([scores]) + nothing, tf.constant(anchors))

    return detector_file(path, side, outputs)
