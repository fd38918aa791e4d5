"""Where builds of benchmark_model are published, and what to do where there is none.

The addresses stand on TensorFlow's page "Performance measurement" under "Native benchmark binary"
(www.tensorflow.org/lite/performance/measurement); a new build appears there every night. None is
published for x86 Android: the one named linux_x86-64 needs a desktop's C library.
"""

from __future__ import annotations

from fer_opt.errors import RunnerError

__all__ = ["ABIS", "BUILD", "PUBLISHED", "published_url"]

_NIGHTLY = (
    "https://storage.googleapis.com/tensorflow-nightly-public/prod/tensorflow/release/lite/tools/"
    "nightly/latest/"
)

PUBLISHED = {
    "arm64-v8a": f"{_NIGHTLY}android_aarch64_benchmark_model",
    "armeabi-v7a": f"{_NIGHTLY}android_arm_benchmark_model",
}
"""Address of the nightly build by Android ABI."""

ABIS = ("armeabi-v7a", "arm64-v8a", "x86_64")
"""ABIs a runner can be fetched for; the last one only with an address."""

_BAZEL = {"armeabi-v7a": "android_arm", "arm64-v8a": "android_arm64", "x86_64": "android_x86_64"}

BUILD = (
    "build one (in TensorFlow's sources: bazel build -c opt --config={config} "
    "//tensorflow/lite/tools/benchmark:benchmark_model) and give it with --runner PATH"
)


def published_url(abi: str) -> str:
    """The address of the nightly build for ``abi``.

    Raises:
        RunnerError: none is published, or there is no such ABI.
    """
    if abi not in ABIS:
        raise RunnerError(
            f"{abi!r} is no ABI that runners are fetched for; choose {', '.join(ABIS)}."
        )
    if abi not in PUBLISHED:
        raise RunnerError(
            f"No benchmark_model is published for {abi} Android; {build_advice(abi)}, or fetch "
            "one from an address of yours with --url."
        )
    return PUBLISHED[abi]


def build_advice(abi: str) -> str:
    """How to come by a runner for ``abi`` without a download, a clause."""
    return BUILD.format(config=_BAZEL.get(abi, "android_arm64"))
