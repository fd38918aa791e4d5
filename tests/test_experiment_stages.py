"""A run takes photos through all five stages: here, and on a phone as far as they run there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from stage_bench_builds import BUILDS, NATIVE, built
from stage_detectors import blazeface_raw, constants, detector_file

from fer_opt.data.scenes import write_scenes
from fer_opt.device.stage_timing import STAGES, StagesRun
from fer_opt.errors import DatasetError, ExperimentError, ModelError
from fer_opt.experiment import stages as stages_module
from fer_opt.experiment.run import run_experiment
from fer_opt.experiment.specification import experiment_toml, read_experiment
from fer_opt.reports.record import RunRecord, read_record
from fer_opt.reports.write import write_reports

EXPERIMENT = """
name = "photos"
recipes = ["float32", "int8", "int8(input=crop)"]

[model]
path = "model.keras"

[input]
range = [0, 1]

[data]
kind = "synthetic"
split = "test"
samples = 64

[calibration]
samples = 16

[latency]
processes = 0

[photos]
path = "album"
processes = 2
warm_passes = 1
"""

ON_PHONE = """
[phone]
on = ["virtual"]
rounds = 2
runs = 2
outputs = 0
"""


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small photos: faces 1, 1, 0 and 2 or more, and a file that is none."""
    folder = tmp_path_factory.mktemp("album")
    scenes = write_scenes(folder, sizes=((640, 480), (480, 480)))
    kept = [
        next(scene.name for scene in scenes if len(scene.faces) == count) for count in (1, 0, 2)
    ]
    kept.append([scene.name for scene in scenes if len(scene.faces) == 1][1])
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink()
    (folder / "broken.jpg").write_bytes(b"no photo")
    return folder


@pytest.fixture
def folder(tmp_path: Path, keras2_model, album: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    keras2_model.save(tmp_path / "model.keras")
    (tmp_path / "album").symlink_to(album)
    (tmp_path / "photos.toml").write_text(EXPERIMENT)
    return tmp_path


def run(folder: Path, text: str = EXPERIMENT, **more: bool) -> RunRecord:
    (folder / "photos.toml").write_text(text)
    experiment = read_experiment(folder / "photos.toml")
    return run_experiment(
        experiment, folder, folder / "out", command="fer-opt run photos.toml", **more
    )


def ways_of(run: StagesRun, name: str) -> dict[str, str]:
    """Where each stage's work was done if elsewhere, else what ran it, else why nothing did."""
    (pipeline,) = (one for one in run.pipelines if one.name == name)
    assert tuple(way.stage for way in pipeline.ways) == STAGES
    return {way.stage: way.within or way.runner or way.not_run for way in pipeline.ways}


@pytest.mark.slow
def test_a_run_times_the_stages_here_and_goes_on_after_a_kill(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = stages_module.time_pipelines, []

    def killed(*arguments, save, **options):
        def save_and_die(made: StagesRun) -> None:
            save(made)
            raise KeyboardInterrupt

        return real(*arguments, save=save_and_die, **options)

    monkeypatch.setattr(stages_module, "time_pipelines", killed)
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    (kept,) = read_record(folder / "out" / "record.json").stages
    assert not kept.complete
    assert sum(len(one.start_ms) for one in kept.pipelines) == 1

    monkeypatch.setattr(stages_module, "time_pipelines", real)
    record = run(folder)
    (made,) = record.stages
    assert made.complete
    assert made.device.kind == "host"
    assert [(one.name, one.model) for one in made.pipelines] == [
        ("thesis", "float32"), ("faster", "int8(input=crop)")
    ]  # fmt: skip
    assert all(len(one.start_ms) == 2 for one in made.pipelines)
    for before, after in zip(kept.pipelines, made.pipelines, strict=True):
        assert all(one in after.passes for one in before.passes)
    assert made.photos.count == 4
    assert "broken.jpg" in made.photos.unreadable[0]
    faces = {one.photo: one.faces for one in made.pipelines[0].passes}
    assert sorted(map(bool, faces.values())) == [False, True, True, True]

    # A finished run is not measured again; photos are no part of what makes it another run.
    monkeypatch.setattr(stages_module, "time_pipelines", lambda *_, **__: calls.append(1))
    assert run(folder) == dataclasses.replace(record, command="fer-opt run photos.toml")
    assert not calls
    report = write_reports(record, folder / "report")
    assert report
    assert "Table 8" in (folder / "report" / "report.md").read_text()


@pytest.mark.slow
def test_photos_are_added_to_a_finished_run_and_others_are_timed_anew(folder: Path) -> None:
    first = run(folder, EXPERIMENT.split("[photos]")[0])
    assert not first.stages
    again = run(folder, EXPERIMENT.replace("processes = 2", "processes = 1"))
    assert again.accuracies == first.accuracies
    assert len(again.stages) == 1
    single = sorted((folder / "album").glob("scene*"))[0]
    other = run(folder, EXPERIMENT.replace('"album"', f'"album/{single.name}"'))
    assert [stages.photos.count for stages in other.stages] == [1]
    assert 'path = "album/' in other.experiment


@pytest.mark.slow
def test_a_phone_without_stage_bench_tells_what_it_could_not_run(folder: Path) -> None:
    record = run(folder, EXPERIMENT + ON_PHONE)
    host, phone = record.stages
    assert (host.device.kind, phone.device.kind) == ("host", "virtual")
    ways = ways_of(phone, "thesis")
    assert ways["classify"] == "benchmark_model"
    assert "cascade" in ways["detect"]
    assert "stage_bench" in ways["bitmap"]
    assert ways_of(phone, "faster")["resize"] == "classify"
    timed = phone.pipelines[0].passes
    assert {tuple(one.stages_ms) for one in timed} == {(), ("classify",)}
    assert all(one.total_ms is None for one in timed)
    write_reports(record, folder / "report")
    text = (folder / "report" / "report.md").read_text()
    assert "at least" in text
    assert run(folder, EXPERIMENT + ON_PHONE) == record
    # Another classifier is another pipeline, there as here.
    other = run(folder, EXPERIMENT + 'faster = "int8"\n' + ON_PHONE)
    assert [one.pipelines[1].model for one in other.stages] == ["int8", "int8"]


@pytest.mark.slow
def test_a_phone_with_stage_bench_and_a_detector_runs_all_five_stages(folder: Path) -> None:
    built(NATIVE)
    (folder / "builds").symlink_to(BUILDS)
    # A face in the middle of whatever it is shown.
    seen = blazeface_raw(896, {288: (0.0, 0.0, 60.0, 60.0, 9.0)})
    detector_file(folder / "detector.tflite", 128, constants(*seen))
    record = run(
        folder,
        EXPERIMENT + 'stage_bench = "builds"\ndetector = "detector.tflite"\n' + ON_PHONE,
    )
    _, phone = record.stages
    assert list(ways_of(phone, "faster").values()) == [
        "stage_bench", "benchmark_model", "classify", "classify", "benchmark_model"
    ]  # fmt: skip
    assert "cascade" in ways_of(phone, "thesis")["detect"]
    (faster,) = (one for one in phone.pipelines if one.name == "faster")
    whole = [one for one in faster.passes if one.faces == 1]
    assert whole
    for one in whole:
        assert set(one.stages_ms) == {"bitmap", "detect", "classify"}
        assert all(ms > 0 for ms in one.stages_ms.values())
    (thesis,) = (one for one in phone.pipelines if one.name == "thesis")
    for one in thesis.passes:
        expected = {"bitmap", "resize", "grey", "classify"} if one.faces == 1 else {"bitmap"}
        assert set(one.stages_ms) == expected
    medians = {
        pipeline.name: np.median([one.stages_ms["bitmap"] for one in pipeline.passes])
        for pipeline in phone.pipelines
    }
    assert medians["faster"] < medians["thesis"]  # a quarter of the pixels, or fewer
    assert "broken.jpg" in phone.photos.unreadable[0]


@pytest.mark.parametrize(
    ("photos", "message"),
    [
        ('path = "album"\nkind = "scenes"', "give either path or kind"),
        ('path = "album"\nfaster = "float16"', "recipes that stand among recipes"),
        ('path = "album"\nprocesses = 0', "processes and threads from 1"),
        ('path = "album"\ndetectr = "haar"', "did you mean detector"),
    ],
)
def test_photos_that_make_no_sense_are_refused(folder: Path, photos: str, message: str) -> None:
    (folder / "photos.toml").write_text(EXPERIMENT.split("[photos]")[0] + "[photos]\n" + photos)
    with pytest.raises(ExperimentError, match=message):
        read_experiment(folder / "photos.toml")


def test_photos_and_detectors_that_are_not_there_are_named_before_anything_is_made(
    folder: Path,
) -> None:
    with pytest.raises(DatasetError, match=r"nowhere does not exist"):
        run(folder, EXPERIMENT.replace('"album"', '"nowhere"'))
    with pytest.raises(ModelError, match=r"nothing\.tflite cannot be read"):
        run(folder, EXPERIMENT + 'detector = "nothing.tflite"\n')
    assert not (folder / "out").exists()


def test_recipes_of_photos_may_be_spelt_in_any_way(folder: Path) -> None:
    text = EXPERIMENT + 'faster = "int8( input = crop )"\n'
    (folder / "photos.toml").write_text(text)
    experiment = read_experiment(folder / "photos.toml")
    assert experiment.photos.faster == "int8(input=crop)"
    (folder / "photos.toml").write_text(experiment_toml(experiment))
    assert read_experiment(folder / "photos.toml") == experiment
