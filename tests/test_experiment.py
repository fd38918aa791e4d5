from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from fer_opt.convention import AFFECTNET_LABELS
from fer_opt.convert import make_variant
from fer_opt.errors import ConventionError, DatasetError, ExperimentError, FerOptError, ModelError
from fer_opt.experiment import variants
from fer_opt.experiment.run import run_experiment
from fer_opt.experiment.specification import experiment_toml, read_experiment
from fer_opt.files import sha256_of
from fer_opt.reports.record import RunRecord, read_record

EXPERIMENT = """
name = "small"
recipes = ["float32", "int8"]

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
processes = 3
runs = 3
"""


@pytest.fixture
def folder(tmp_path: Path, keras2_model) -> Path:
    keras2_model.save(tmp_path / "model.keras")
    (tmp_path / "small.toml").write_text(EXPERIMENT)
    return tmp_path


def run(folder: Path, out: Path, **more: bool) -> RunRecord:
    experiment = read_experiment(folder / "small.toml")
    return run_experiment(experiment, folder, out, command="fer-opt run small.toml", **more)


def without_times(record: RunRecord) -> dict[str, object]:
    """Everything in a record but when things happened and how long they took."""
    facts = dataclasses.asdict(record)
    facts["measurements"] = [
        (item.order_index, item.round_index, item.model, item.model_sha256, len(item.inference_ms))
        for item in record.measurements
    ]
    for key in ("created_at", "command", "device"):
        del facts[key]
    return facts


def test_a_run_gives_a_complete_record(folder):
    record = run(folder, folder / "out")
    assert record == read_record(folder / "out" / "record.json")
    assert record.complete
    assert [variant.recipe for variant in record.variants] == ["float32", "int8"]
    assert [item.samples for item in record.accuracies] == [64, 64]
    assert record.accuracies[1].versus_float is not None
    assert len(record.measurements) == 6
    assert record.representative is not None
    assert (record.representative.size, record.representative.count_per_label) == (16, (2,) * 8)
    assert "labels" in record.convention.guessed
    assert record.model.name == "model"


def test_a_finished_run_is_not_repeated(folder):
    first = run(folder, folder / "out")
    files = {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*.tflite")}
    assert run(folder, folder / "out") == first
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_a_run_folder_belongs_to_one_experiment(folder):
    run(folder, folder / "out")
    changed = EXPERIMENT.replace("samples = 16", "samples = 24")
    (folder / "small.toml").write_text(changed)
    with pytest.raises(ExperimentError, match=r"another experiment.*--fresh"):
        run(folder, folder / "out")
    record = run(folder, folder / "out", fresh=True)
    assert record.representative is not None
    assert record.representative.size == 24


def test_a_lost_or_altered_variant_is_made_again(folder):
    first = run(folder, folder / "out")
    path = folder / "out" / first.variants[1].path
    path.write_bytes(b"not what it was")
    again = run(folder, folder / "out")
    assert without_times(again) == without_times(first)


@pytest.mark.parametrize("changed", ["float32", "int8"])
def test_what_was_measured_on_another_file_is_measured_again(changed, folder, monkeypatch):
    first = run(folder, folder / "out")
    (variant,) = (item for item in first.variants if item.recipe == changed)
    (folder / "out" / variant.path).unlink()

    def other(model, recipe, *rest):
        made = make_variant(model, recipe, *rest)
        path = rest[-2] / rest[-1]
        path.write_bytes(path.read_bytes() + bytes(16))
        return dataclasses.replace(made, sha256=sha256_of(path))

    monkeypatch.setattr(variants, "make_variant", other)
    predicted = {item.recipe: folder / "out" / item.predictions_path for item in first.accuracies}
    earlier = {recipe: path.stat().st_mtime_ns for recipe, path in predicted.items()}
    again = run(folder, folder / "out")
    # Every other accuracy is paired with float32's.
    for recipe in {changed} | ({"int8"} if changed == "float32" else set()):
        assert predicted[recipe].stat().st_mtime_ns != earlier[recipe]
    assert [item.recipe for item in again.accuracies] == ["float32", "int8"]
    files = {item.recipe: item.sha256 for item in again.variants}
    assert all(item.model_sha256 == files[item.model] for item in again.measurements)
    assert len(again.measurements) == 6


@pytest.mark.slow
def test_killed_again_and_again_it_ends_in_the_same_record(folder):
    whole = run(folder, folder / "whole")
    out = folder / "out"
    command = [sys.executable, "-m", "fer_opt", "run", "small.toml", "--out", "out"]
    finished_work: dict[Path, int] = {}

    def progress() -> tuple[int, int, int]:
        try:
            record = json.loads((out / "record.json").read_text())
        except FileNotFoundError:
            return (0, 0, 0)
        return tuple(len(record[key]) for key in ("variants", "accuracies", "measurements"))

    for stop_at in ((1, 0, 0), (2, 1, 0), (2, 2, 1), (2, 2, 4)):
        process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while progress() < stop_at and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert progress() >= stop_at
        for path in finished_work:
            assert path.stat().st_mtime_ns == finished_work[path]
        record = read_record(out / "record.json")
        finished_work = {
            out / name: (out / name).stat().st_mtime_ns
            for name in [item.path for item in record.variants]
            + [item.predictions_path for item in record.accuracies]
        }
    subprocess.run(command, cwd=folder, check=True, stderr=subprocess.DEVNULL)
    assert without_times(read_record(out / "record.json")) == without_times(whole)
    assert (out / "report.html").is_file()


def test_the_record_s_experiment_can_be_run_again(folder):
    experiment = read_experiment(folder / "small.toml")
    (folder / "again.toml").write_text(experiment_toml(experiment))
    assert read_experiment(folder / "again.toml") == experiment


def test_a_wrong_range_is_doubted_aloud(tmp_path, real_data):
    text = f"""
    recipes = ["float32"]
    [model]
    path = "{real_data / "mini_XCEPTION.hdf5"}"
    [data]
    path = "{real_data / "fer2013"}"
    split = "test"
    [input]
    range = [0, 255]
    [latency]
    processes = 0
    """
    (tmp_path / "small.toml").write_text(text)
    record = run(tmp_path, tmp_path / "out")
    assert any("looks wrong" in note for note in record.notes)


@pytest.mark.slow
def test_real_model_on_real_faces(tmp_path, real_data):
    """mini_XCEPTION's float accuracy on the 700 faces was measured independently as 0.500."""
    text = f"""
    [model]
    path = "{real_data / "mini_XCEPTION.hdf5"}"
    [data]
    path = "{real_data / "fer2013"}"
    split = "test"
    [latency]
    processes = 2
    runs = 3
    """
    (tmp_path / "small.toml").write_text(text)
    record = run(tmp_path, tmp_path / "out")
    assert (record.convention.low, record.convention.high) == (-1, 1)
    by_recipe = {item.recipe: item.accuracy for item in record.accuracies}
    assert by_recipe["float32"] == pytest.approx(0.500, abs=0.005)
    assert set(by_recipe) == {"float32", "float16", "dynamic", "int8", "int16x8"}
    assert all(accuracy > 0.45 for accuracy in by_recipe.values())
    assert not any(variant.check.flags for variant in record.variants)
    assert {item.model for item in record.measurements} == set(by_recipe)


def test_an_architecture_is_trained_first(tmp_path):
    (tmp_path / "small.toml").write_text("""
    recipes = ["float32"]
    [model]
    architecture = "baseline_enhanced"
    [input]
    size = 16
    [data]
    kind = "synthetic"
    samples = 48
    [training]
    samples = 64
    epochs = 2
    batch = 16
    [latency]
    processes = 0
    """)
    record = run(tmp_path, tmp_path / "out")
    assert [epoch.epoch for epoch in record.training] == [1, 2]
    assert record.model.input_shape == (16, 16, 1)
    assert record.convention.guessed == ()
    assert record.variants[0].check.max_abs_difference < 1e-4
    again = run(tmp_path, tmp_path / "out")
    assert again == record


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('[model]\npath = "model.keras"\narchitecure = "x"', "did you mean architecture"),
        ('[model]\npath = "model.keras"\narchitecture = "xcao"', "either path or architecture"),
        ('[model]\npath = "model.keras"\n[latency]\nthreds = 2', "did you mean threads"),
        ("[model", "not valid TOML"),
        ('[model]\npath = "gone.keras"', "gone.keras cannot be read"),
        ('[model]\npath = "model.keras"\n[input]\nsize = 32', "takes 24x24"),
        ('[model]\npath = "model.keras"\n[input]\nchannels = 3', "takes 1"),
        ('[model]\npath = "model.keras"\n[input]\nlabels = ["a", "b"]', "has 8 outputs"),
        ('[model]\npath = "model.keras"\n[latency]\nprocesses = "many"', "latency.processes"),
    ],
)
def test_wrong_experiments_are_refused_before_anything_is_written(folder, change, message):
    data = '[data]\nkind = "synthetic"\nsamples = 16\n'
    (folder / "small.toml").write_text(data + change)
    with pytest.raises(FerOptError, match=message) as caught:
        run(folder, folder / "out")
    assert "\n" not in str(caught.value)
    assert not (folder / "out" / "record.json").exists()


def test_a_corrupt_image_is_named_before_anything_is_written(folder):
    for label in AFFECTNET_LABELS:
        (folder / "faces" / label).mkdir(parents=True)
        for name in ("a.png", "b.png"):
            Image.new("L", (24, 24), 90).save(folder / "faces" / label / name)
    bad = folder / "faces" / "sad" / "b.png"
    bad.write_bytes(bad.read_bytes()[:40])
    text = EXPERIMENT.replace('kind = "synthetic"\nsplit = "test"\nsamples = 64', 'path = "faces"')
    (folder / "small.toml").write_text(text)
    with pytest.raises(DatasetError, match=r"sad/b\.png"):
        run(folder, folder / "out")
    assert not (folder / "out").exists()
    (folder / "small.toml").write_text(text.replace("[calib", "skip_bad = true\n[calib"))
    record = run(folder, folder / "out")
    assert record.dataset.size == 15
    assert ["b.png" in item.where for item in record.dataset.skipped] == [True]


def test_a_label_the_model_lacks_is_refused(folder):
    text = EXPERIMENT.replace(
        "range = [0, 1]", 'range = [0, 1]\nlabels = ["a", "b", "c", "d", "e", "f", "g", "h"]'
    )
    (folder / "small.toml").write_text(text)
    with pytest.raises(ConventionError, match="lack"):
        run(folder, folder / "out")


def test_the_unknown_key_of_the_top_level_is_named(folder):
    (folder / "small.toml").write_text("recipies = []\n" + EXPERIMENT)
    with pytest.raises(ExperimentError, match="did you mean recipes"):
        run(folder, folder / "out")


def test_an_unknown_architecture_is_refused(folder):
    (folder / "small.toml").write_text(
        EXPERIMENT.replace('path = "model.keras"', 'architecture = "xcoa"')
    )
    with pytest.raises(ModelError, match="xcao"):
        run(folder, folder / "out")
