from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fer_opt.compress.steps import apply_step
from fer_opt.convention import AFFECTNET_LABELS
from fer_opt.data import Dataset, DataSpec, open_dataset
from fer_opt.errors import ExperimentError, RecipeError
from fer_opt.experiment import compression, single
from fer_opt.experiment.compression import Workshop, open_workshop
from fer_opt.experiment.run import run_experiment
from fer_opt.experiment.specification import CalibrationSection, InputSection, read_experiment
from fer_opt.experiment.store import StepStore
from fer_opt.keras_io import from_keras
from fer_opt.progress import SILENT
from fer_opt.recipe import parse_recipe
from fer_opt.reports.record import RunRecord

EXPERIMENT = """
name = "compressed"
recipes = [
    "float32",
    "prune_channels(0.5, multiple=4) > float32",
    "prune_channels(0.5, multiple=4) > fine_tune(1) > int8",
]

[model]
path = "model.keras"

[input]
range = [0, 1]

[data]
path = "faces"

[training]
batch = 16

[calibration]
samples = 16

[latency]
processes = 0
"""


class Spoken:
    """A progress that remembers what was said."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def stage(self, title: str, total: int) -> Any:
        from fer_opt.progress import SILENT

        return SILENT.stage(title, total)


@dataclass(frozen=True)
class Finished:
    """A folder in which a run ended: its record, and what was said."""

    folder: Path
    record: RunRecord
    sentences: tuple[str, ...]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, keras3_model) -> Finished:
    """A Keras 3 model, a folder of images without splits, an experiment file, and its run."""
    folder, spoken = tmp_path_factory.mktemp("finished"), Spoken()
    keras3_model.save(folder / "model.keras")
    faces = open_dataset(DataSpec("synthetic", split="test", size=160, image_size=24))
    for index in range(len(faces)):
        label = faces.labels[faces.label_indices()[index]]
        (folder / "faces" / label).mkdir(parents=True, exist_ok=True)
        pixels = np.squeeze(faces.read(index))
        Image.fromarray(pixels).save(folder / "faces" / label / f"{index}.png")
    (folder / "small.toml").write_text(EXPERIMENT)
    return Finished(folder, run(folder, progress=spoken), tuple(spoken.sentences))


@pytest.fixture
def folder(finished, tmp_path) -> Path:
    """A copy of it to change; its run and its cache are there."""
    return Path(shutil.copytree(finished.folder, tmp_path / "copy"))


def run(folder: Path, out: str = "out", progress: Any = None, **more: Any) -> RunRecord:
    return run_experiment(
        read_experiment(folder / "small.toml"),
        folder,
        folder / out,
        command="fer-opt run small.toml",
        progress=progress or Spoken(),
        store=StepStore(folder / "cache"),
        **more,
    )


def test_recipes_run_from_one_file_on_a_keras_3_model_and_a_folder(finished):
    record = finished.record
    assert record.complete
    assert not record.refused
    plain, pruned, tuned = record.variants
    assert plain.steps == ()
    assert [step.step for step in tuned.steps] == [
        "prune_channels(0.5, multiple=4)",
        "fine_tune(1)",
    ]
    assert record.trained is not None
    assert record.trained.macs > pruned.steps[0].macs > 0
    assert record.trained.parameters > pruned.steps[0].parameters
    assert pruned.size_bytes < plain.size_bytes
    assert tuned.check.float_operators == {}
    assert all(item.samples == 16 for item in record.accuracies), "a tenth of 160 is held out"
    assert all(step.samples == 16 for step in tuned.steps)


def test_recipes_that_begin_alike_share_the_work_and_a_second_run_all_of_it(finished, folder):
    before, first, second = finished.record, finished.sentences, Spoken()
    assert sum(s.startswith("prune_channels(0.5, multiple=4) ...") for s in first) == 1
    again = run(folder, out="again", progress=second)
    assert not any(sentence.endswith(" ...") for sentence in second.sentences)
    assert [v.sha256 for v in again.variants] == [v.sha256 for v in before.variants]
    assert [v.steps for v in again.variants] == [v.steps for v in before.variants]
    assert len(StepStore(folder / "cache").entries()) == 2


def test_training_anew_gives_the_same_network_wherever_the_cache_lies(finished, folder):
    spoken = Spoken()
    again = run_experiment(
        read_experiment(folder / "small.toml"),
        folder,
        folder / "elsewhere",
        command="x",
        progress=spoken,
        store=StepStore(folder / "other cache"),
    )
    assert any(sentence.endswith("fine_tune(1) ...") for sentence in spoken.sentences)
    for one, other in zip(finished.record.variants, again.variants, strict=True):
        assert one.sha256 == other.sha256
        steps = [[dataclasses.replace(step, took_s=0.0) for step in v.steps] for v in (one, other)]
        assert steps[0] == steps[1]


def test_a_recipe_that_cannot_be_carried_out_is_left_out_with_its_reason(folder):
    text = EXPERIMENT.replace(
        '"float32",\n', '"float32",\n    \'prune_channels(0.5, layers="no*:0.2")\',\n'
    )
    (folder / "small.toml").write_text(text)
    record = run(folder, out="less")
    assert record.complete
    assert len(record.variants) == 3
    assert [item.recipe for item in record.refused] == [
        'prune_channels(0.5, layers="no*:0.2") > float32'
    ]
    assert "no*" in record.refused[0].reason
    assert run(folder, out="less") == record


def test_nothing_that_can_be_carried_out_is_an_error(folder):
    text = EXPERIMENT.split("recipes")[0] + (
        "recipes = ['prune_channels(0.5, layers=\"no*:0.2\")']\n"
        + EXPERIMENT[EXPERIMENT.index("[model]") :]
    )
    (folder / "small.toml").write_text(text)
    with pytest.raises(RecipeError, match=r"no\*"):
        run(folder, out="none")


def test_a_step_that_breaks_is_left_out_with_its_cause_and_tried_again(folder, monkeypatch):
    (folder / "small.toml").write_text(EXPERIMENT.replace("fine_tune(1)", "fold"))

    def broken(step: Any, network: Any, materials: Any) -> Any:
        if step.name == "fold":
            raise ValueError("no such axis\nand much more")
        return apply_step(step, network, materials)

    with monkeypatch.context() as patch:
        patch.setattr(compression, "apply_step", broken)
        record = run(folder, out="again")
    assert record.complete
    assert len(record.variants) == 2
    assert [item.recipe for item in record.refused] == [
        "prune_channels(0.5, multiple=4) > fold > int8"
    ]
    reason = record.refused[0].reason
    assert "fold cannot be carried out on model.keras (no such axis)" in reason
    assert "\n" not in reason
    record = run(folder, out="again")
    assert not record.refused
    assert [variant.recipe for variant in record.variants][2].endswith("> fold > int8")
    assert len(record.accuracies) == 3


def test_ctrl_c_in_a_step_stops_the_run(folder, monkeypatch):
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(compression, "apply_step", interrupted)
    shutil.rmtree(folder / "cache")
    with pytest.raises(KeyboardInterrupt):
        run(folder, out="again")


def test_training_on_the_evaluated_images_is_refused(folder):
    text = EXPERIMENT.replace('path = "faces"', 'path = "faces"\nsplit = "train"')
    (folder / "small.toml").write_text(text)
    with pytest.raises(ExperimentError, match="another split"):
        run(folder, out="none")


def test_weights_alone_decide_whether_work_is_shared(folder, keras3_model):
    model = type(keras3_model).from_config(keras3_model.get_config())
    model.set_weights([value + 0.01 for value in keras3_model.get_weights()])
    model.save(folder / "model.keras")
    spoken = Spoken()
    run(folder, out="other", progress=spoken)
    assert any(sentence.endswith(" ...") for sentence in spoken.sentences)


@pytest.fixture
def workshop(keras2_model, convention, images, tmp_path) -> Callable[..., Workshop]:
    """Makes a workshop; all of them share a store."""
    labels = np.arange(len(images)) % 8

    def opened(labels: Any = labels, training: Dataset | None = None) -> Workshop:
        return open_workshop(
            from_keras(keras2_model, source="test", format_="Keras 2", sha256="0"),
            convention,
            (images, np.zeros(len(images), np.int64)),
            training,
            (images, labels),
            StepStore(tmp_path / "cache"),
            Spoken(),
            batch=8,
            seed=0,
        )

    return opened


def test_labels_that_rank_channels_are_part_of_what_a_result_depends_on(workshop):
    recipe = parse_recipe("prune_channels(0.5, importance=taylor, multiple=4)")
    one, other = (
        workshop(np.full(40, label)).carry_out(recipe)[0].keras.get_weights() for label in (0, 5)
    )
    assert any(not np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_results_of_other_code_are_not_taken_for_those_of_this(workshop, monkeypatch):
    recipe = parse_recipe("fold")
    first = workshop().carry_out(recipe)[0].sha256
    assert workshop().carry_out(recipe)[0].sha256 == first
    monkeypatch.setattr(compression, "made_by", lambda: {"tensorflow": "another"})
    assert workshop().carry_out(recipe)[0].sha256 != first


def test_results_depend_on_what_training_images_show_and_not_on_where_they_lie(workshop, tmp_path):
    for label in AFFECTNET_LABELS:
        for number in range(4):
            path = tmp_path / "faces" / label / f"{number}.bmp"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (24, 24), 9 * number).save(path)

    def key(name: str) -> str:
        faces = open_dataset(DataSpec("folder", str(tmp_path / name)))
        return str(workshop(training=faces).trained().key)

    first = key("faces")
    shutil.copytree(tmp_path / "faces", tmp_path / "copy", copy_function=shutil.copyfile)
    assert key("copy") == first
    Image.new("L", (24, 24), 200).save(tmp_path / "copy" / "sad" / "1.bmp")
    assert key("copy") != first


def test_a_converted_model_is_judged_by_images_no_step_has_seen(
    keras2_model, monkeypatch, tmp_path
):
    seen: dict[str, Any] = {}

    def noted(*given: Any, **more: Any) -> Workshop:
        seen["workshop"] = open_workshop(*given, **more)
        return seen["workshop"]

    monkeypatch.setattr(single, "open_workshop", noted)
    (variant,), _ = single.convert_file(
        from_keras(keras2_model, source="test", format_="Keras 2", sha256="0"),
        [parse_recipe("fine_tune(1) > int8")],
        InputSection(range=(0, 1)),
        open_dataset(DataSpec("synthetic", split="train", size=160, image_size=24)),
        CalibrationSection(samples=16),
        tmp_path,
        SILENT,
    )
    assert [step.samples for step in variant.steps] == [16]
    materials = seen["workshop"].materials
    streams = [
        {image.tobytes() for batch, _ in stream(16, None) for image in batch.numpy()}
        for stream in (materials.training, materials.validation)
    ]
    judged = {image.tobytes() for image in seen["workshop"].images}
    calibrated = {image.tobytes() for image in materials.representative}
    assert list(map(len, streams)) == [130, 14]
    assert not judged & (streams[0] | streams[1] | calibrated)


@pytest.mark.slow
@pytest.mark.real_data
def test_a_real_model_trains_on_and_compresses(real_data, tmp_path):
    """TensorFlow once crashed while it trained this very network."""
    (tmp_path / "small.toml").write_text(
        f"""
recipes = ["float32", "prune_channels(0.25) > fine_tune(1, distill=0.5) > int8"]
[model]
path = "{real_data}/mini_XCEPTION.hdf5"
[data]
path = "{real_data}/fer2013"
[input]
range = [-1, 1]
labels = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
[latency]
processes = 0
"""
    )
    record = run(tmp_path)
    assert not record.refused
    assert record.variants[1].check.flags == ()
    assert record.trained is not None
    assert record.variants[1].steps[1].accuracy > record.variants[1].steps[0].accuracy
