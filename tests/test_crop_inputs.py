"""What files that take crops are fed where they are evaluated and timed, here and on a phone."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from phone_bench import SHORT, bench

from fer_opt.cli import main
from fer_opt.convert import file_stem, make_variant
from fer_opt.data import DataSpec, open_dataset
from fer_opt.device.host import HostDevice
from fer_opt.device.phone.samples import prepare_models
from fer_opt.device.protocol import TimingJob, TimingSettings
from fer_opt.device.virtual import VirtualPhone, start_virtual_phone
from fer_opt.errors import MeasurementError
from fer_opt.experiment.run import run_experiment
from fer_opt.experiment.specification import read_experiment
from fer_opt.experiment.timing import timing_inputs
from fer_opt.files import sha256_of
from fer_opt.keras_io import from_keras
from fer_opt.recipe import parse_recipe
from fer_opt.reports.record import read_record
from fer_opt.reports.write import write_reports
from fer_opt.stages.crop_classifier import CropClassifier

CROPS = "int8_input_crop"

EXPERIMENT = """
name = "crops"
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
processes = 2
runs = 3
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory, keras2_model, convention, images) -> Path:
    """A folder with float32.tflite, int8.tflite and int8_input_crop.tflite, and the model."""
    folder = tmp_path_factory.mktemp("models")
    keras2_model.save(folder / "model.keras")
    model = from_keras(keras2_model, source="test", format_="Keras 2", sha256="0")
    for text in ("float32", "int8", "int8(input=crop)"):
        recipe = parse_recipe(text)
        path = f"{file_stem(recipe)}.tflite"
        make_variant(model, recipe, convention, images, images, folder, path)
    return folder


@pytest.fixture
def crops(tmp_path) -> Path:
    path = tmp_path / "crops.npy"
    np.save(path, np.random.default_rng(1).integers(0, 256, (3, 24, 24, 3), dtype=np.uint8))
    return path


def job(models: Path, name: str, inputs: Path | None = None) -> TimingJob:
    path = models / f"{name}.tflite"
    return TimingJob(name, path, sha256_of(path), inputs)


@pytest.mark.slow
def test_a_run_ends_in_a_report_in_which_accuracies_agree(models, tmp_path):
    (tmp_path / "crops.toml").write_text(EXPERIMENT)
    (tmp_path / "model.keras").write_bytes((models / "model.keras").read_bytes())
    experiment, out = read_experiment(tmp_path / "crops.toml"), tmp_path / "out"
    record = run_experiment(experiment, tmp_path, out, command="fer-opt run crops.toml")
    assert record.complete
    assert record.refused == ()
    plain, fused = record.accuracies[1:]
    assert fused.accuracy == plain.accuracy
    with np.load(out / plain.predictions_path) as one, np.load(out / fused.predictions_path) as two:
        assert np.ptp(one["probabilities"], axis=0).max() > 0
        np.testing.assert_array_equal(one["probabilities"], two["probabilities"])
    assert len(record.measurements) == 6
    assert np.load(out / "timing_crops.npy").dtype == np.uint8
    assert read_record(out / "record.json") == record
    write_reports(record, out)
    assert "int8(input=crop)" in (out / "report.md").read_text()


def test_crops_are_fed_as_they_are(models, crops):
    device = HostDevice(TimingSettings(runs=4))
    for inputs in (crops, None):
        asked = job(models, CROPS, inputs)
        made = device.measure(asked, order_index=0, round_index=0, session="test")
        assert len(made.inference_ms) == 4


@pytest.mark.parametrize(
    ("name", "samples", "sentence"),
    [
        (CROPS, np.zeros((3, 48, 48, 3), np.uint8), r"shape \(3, 48, 48, 3\)"),
        (CROPS, np.zeros((3, 24, 24, 3), np.int8), "not one float32 array"),
        ("int8", np.zeros((3, 24, 24, 1), np.uint8), "not one float32 array"),
    ],
)
def test_samples_that_do_not_fit_are_refused(name, samples, sentence, models, tmp_path):
    np.save(tmp_path / "in.npy", samples)
    asked = job(models, name, tmp_path / "in.npy")
    with pytest.raises(MeasurementError, match=sentence):
        HostDevice(TimingSettings(runs=4)).measure(
            asked, order_index=0, round_index=0, session="test"
        )


def test_a_phone_is_sent_raw_pixels(models, crops, tmp_path):
    asked = job(models, CROPS, crops)
    (prepared,), failures = prepare_models([asked], tmp_path, rounds=3, outputs=2)
    assert failures == ()
    assert prepared.inputs == (("crop", (1, 24, 24, 3)),)
    samples = np.load(crops)
    for place, (path,) in enumerate(prepared.samples):
        assert path.read_bytes() == samples[place].tobytes()
    scores = CropClassifier(asked.path)
    for place, path in prepared.expected.items():
        found = np.frombuffer(path.read_bytes(), np.int8).astype(np.float32)
        np.testing.assert_array_equal((found + 128) / 256, scores.outputs(samples[place]))


@pytest.fixture
def phone(tmp_path_factory, monkeypatch) -> Iterator[VirtualPhone]:
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    with start_virtual_phone() as started:
        yield started


@pytest.mark.slow
def test_a_phone_times_crops_and_gives_what_this_computer_gives(models, crops, phone):
    jobs = [job(models, CROPS, crops), job(models, "int8")]
    run = bench(phone, jobs, dataclasses.replace(SHORT, rounds=2, outputs=2))
    assert run.complete
    assert {item.model for item in run.measurements} == {CROPS, "int8"}
    assert len(run.outputs) == 2
    assert all(item.max_abs_difference == 0 for item in run.outputs)


@pytest.fixture
def fer_opt(monkeypatch, capfd, tmp_path) -> Callable[..., tuple[int, str]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["fer-opt", *map(str, words)])
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as exc:
            code = int(exc.code or 0)
        out, err = capfd.readouterr()
        return code, out + err

    return run


def test_evaluate_feeds_pixels_whatever_range_is_stated_for_others(models, fer_opt):
    words = (
        "evaluate",
        models / "int8_input_crop.tflite",
        "--kind",
        "synthetic",
        "--split",
        "test",
    )
    code, told = fer_opt(*words, "--json")
    assert code == 0, told
    assert '"input": "crop"' in told
    assert fer_opt(*words, "--range=0,255", "--json") == (code, told)


def test_bench_feeds_real_crops(models, fer_opt):
    words = (
        "bench",
        models / "int8_input_crop.tflite",
        models / "float32.tflite",
        "--processes",
        2,
    )
    code, told = fer_opt(*words, "--kind", "synthetic", "--split", "test")
    assert code == 0, told
    assert "real images" in told


def test_convert_names_preprocessing_that_cannot_go_into_the_file(models, fer_opt):
    words = ("convert", models / "model.keras", "-r", "float32(input=crop)")
    code, told = fer_opt(*words, "--preprocessing", "dog(1, 2)")
    assert code == 2
    assert "dog(1, 2) is no operator of TensorFlow Lite" in told
    assert "Traceback" not in told


def test_the_recipe_tells_of_its_option(fer_opt):
    code, told = fer_opt("recipes", "int8")
    assert code == 0
    assert "tensor, crop" in told


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_crops_to_time_are_the_images_to_time(low, convention, tmp_path):
    dataset = open_dataset(DataSpec(kind="synthetic", split="test", size=16))
    written = {}
    for kind in ("tensor", "crop"):
        settled = dataclasses.replace(convention, low=low, input=kind)
        assert timing_inputs(dataset, settled, tmp_path / f"{kind}.npy") == 16
        written[kind] = np.load(tmp_path / f"{kind}.npy")
    assert written["crop"].shape == (16, 24, 24, 3)
    np.testing.assert_allclose(settled.scale(written["crop"][..., :1]), written["tensor"])
