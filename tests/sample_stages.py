"""Realistic runs of the five stages, built from seeded noise, for tests of what is made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from fer_opt.device.measurement import DeviceFacts
from fer_opt.device.stage_timing import (
    STAGES,
    PhotoPass,
    PhotoSet,
    PipelineAgreement,
    PipelineTimes,
    StagesRun,
    StageWay,
)

THESIS_WAYS = (
    StageWay("bitmap", "full decode", "Python"),
    StageWay("detect", "Haar cascade, whole photo", "Python"),
    StageWay("resize", "crop, bilinear", "Python"),
    StageWay("grey", "BT.601 and scaling", "Python"),
    StageWay("classify", "float32", "Python"),
)
FASTER_WAYS = (
    StageWay("bitmap", "scaled decode", "Python"),
    StageWay("detect", "Haar cascade, 320 pixels", "Python"),
    StageWay("resize", "in the classifier’s graph", "Python", within="classify"),
    StageWay("grey", "in the classifier’s graph", "Python", within="classify"),
    StageWay("classify", "int8(input=crop)", "Python"),
)
NO_DETECTOR = "OpenCV’s Haar cascade cannot run on a phone, and no .tflite detector was given."
PHONE_WAYS = (
    StageWay("bitmap", "full decode", "stage_bench"),
    StageWay("detect", "Haar cascade", "", not_run=NO_DETECTOR),
    StageWay("resize", "bilinear", "stage_bench"),
    StageWay("grey", "BT.601 and scaling", "stage_bench"),
    StageWay("classify", "int8", "benchmark_model"),
)
MS = {
    "thesis": {"bitmap": 14.0, "detect": 190.0, "resize": 0.6, "grey": 0.3, "classify": 8.4},
    "faster": {"bitmap": 4.1, "detect": 9.2, "classify": 5.4},
}
SPLIT = (20, 3, 2)
"""Photos with one face, none and several, as in the thesis."""

HOST = DeviceFacts(
    kind="host",
    name="Intel(R) Core(TM) i5-7200U CPU @ 2.50GHz",
    fingerprint="0123456789abcdef",
    facts={"operating system": "Linux 6.8.0", "cores": "2 (4 threads)"},
    unread={},
)


def device_of(kind: str) -> DeviceFacts:
    """A device of that kind: host, phone, virtual or emulated."""
    if kind == "host":
        return HOST
    name = "Samsung SM-J330F (exynos7570)"
    return replace(HOST, kind=kind, name=name if kind == "phone" else f"virtual {name}")


def sample_stages(
    *,
    kind: str = "host",
    split: tuple[int, int, int] = SPLIT,
    processes: int = 5,
    passes: int = 3,
    pipelines: Sequence[str] = ("thesis", "faster"),
    slower: float = 1.0,
    large: bool = True,
    unreadable: int = 0,
    pixels: bool = True,
    seed: int = 5,
) -> StagesRun:
    """A finished run.

    Args:
        kind: of the device, see :func:`device_of`.
        split: photos with one face, none and several.
        processes: fresh processes of each pipeline.
        passes: of each process; the first is cold.
        pipelines: by name.
        slower: every time is multiplied by it.
        large: whether one photo in eight is nine times as large, which detection feels.
        unreadable: photos left out.
        pixels: whether the photos' sizes are known.
        seed: of every draw.
    """
    rng = np.random.default_rng(seed)
    faces = [1] * split[0] + [0] * split[1] + [2] * split[2]
    names = [f"scene_{index:03d}.jpg" for index in range(len(faces))]
    scale = np.where(np.arange(len(faces)) % 8 == 5, 9.0 if large else 1.0, 1.0)
    scale = scale * rng.uniform(0.8, 1.25, len(faces))
    sides = [(int(1200 * s**0.5), int(900 * s**0.5)) for s in scale]
    made = tuple(
        PipelineTimes(
            name=name,
            ways=THESIS_WAYS if name == "thesis" else FASTER_WAYS,
            passes=_passes(rng, name, names, faces, scale, slower, processes, passes),
            model="float32" if name == "thesis" else "int8(input=crop)",
            model_sha256=hashlib.sha256(name.encode()).hexdigest(),
            start_ms=tuple(float(v) for v in 92 * rng.lognormal(0, 0.05, processes)),
        )
        for name in pipelines
    )
    return StagesRun(
        device=device_of(kind),
        photos=PhotoSet(
            source="built-in composed scenes, seed 0",
            count=len(faces),
            fingerprint="f" * 64,
            unreadable=tuple(
                f"broken_{index}.jpg: the JPEG ends after 1,024 bytes."
                for index in range(unreadable)
            ),
            pixels=dict(zip(names, sides, strict=True)) if pixels else {},
        ),
        pipelines=made,
        agreements=tuple(
            _agreement(name, len(faces), split[0]) for name in pipelines if name != "thesis"
        ),
        seed=3,
        session="a1b2",
        started_at="2026-03-14T09:26:53Z",
        notes=("The built-in scenes are drawings: what is found in them says nothing of people.",),
        complete=True,
    )


def phone_stages(kind: str = "phone", **options: Any) -> StagesRun:
    """A run on a phone: no detector, every stage by a program of its own.

    The classifier's is not timed photo by photo: each process has one time of it.
    """
    run = sample_stages(kind=kind, pipelines=("thesis",), slower=9.0, passes=1, **options)
    (pipeline,) = run.pipelines
    classify_ms = [float(ms) for ms in 105 * np.random.default_rng(1).lognormal(0, 0.02, 100)]
    stripped = tuple(
        replace(
            one,
            stages_ms={
                name: classify_ms[one.process_index] if name == "classify" else ms
                for name, ms in one.stages_ms.items()
                if name != "detect"
            },
            total_ms=None,
        )
        for one in pipeline.passes
    )
    return replace(
        run, pipelines=(replace(pipeline, ways=PHONE_WAYS, passes=stripped, start_ms=()),)
    )


def hostile_stages(payload: str) -> StagesRun:
    """A run with ``payload`` in every text a file, a user or a device may have set."""
    adapter = TypeAdapter(StagesRun)
    kept = {"kind", "started_at", "session", "stage", "within"}

    def spoil(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {
                (f"{name}{payload}" if key in ("pixels", "facts") else name): spoil(item, name)
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [spoil(item, key) for item in value]
        return f"{value}{payload}" if isinstance(value, str) and key not in kept else value

    plain = sample_stages(processes=2, passes=2, unreadable=1)
    return adapter.validate_python(spoil(adapter.dump_python(plain, mode="json")))


def _passes(
    rng: np.random.Generator,
    name: str,
    names: Sequence[str],
    faces: Sequence[int],
    scale: np.ndarray,
    slower: float,
    processes: int,
    passes: int,
) -> tuple[PhotoPass, ...]:
    """Process by process, each pass over the photos in an order of its own."""
    typical = MS.get(name, MS["faster"])
    grows = ("bitmap", "detect") if name == "thesis" else ("bitmap",)
    made = []
    for process in range(processes):
        luck = float(rng.lognormal(0, 0.02))
        for index in range(passes):
            cold = 1.4 if index == 0 else 1.0
            for place, photo in enumerate(rng.permutation(len(names))):
                through = STAGES if faces[photo] == 1 else STAGES[:2]
                stages_ms = {
                    stage: float(
                        typical[stage]
                        * luck
                        * cold
                        * slower
                        * (scale[photo] if stage in grows else 1.0)
                        * rng.lognormal(0, 0.03)
                    )
                    for stage in through
                    if stage in typical
                }
                one = faces[photo] == 1
                made.append(
                    PhotoPass(
                        photo=names[photo],
                        process_index=process,
                        pass_index=index,
                        order_index=place,
                        stages_ms=stages_ms,
                        total_ms=sum(stages_ms.values()) * float(rng.uniform(1.001, 1.006)),
                        faces=faces[photo],
                        label="happy" if one else "",
                        confidence=0.91 if one else None,
                    )
                )
    return tuple(made)


def _agreement(name: str, photos: int, one_face: int) -> PipelineAgreement:
    other = min(1, one_face)
    return PipelineAgreement(
        reference="thesis",
        candidate=name,
        photos=photos,
        same_faces=photos,
        least_iou=0.81 if one_face else None,
        median_iou=0.93 if one_face else None,
        one_face=one_face,
        same_label=one_face - other,
        largest_difference=0.21 if one_face else None,
        differences=("scene_004.jpg: happy with the thesis’s way, neutral with the faster one.",)
        if other
        else (),
    )
