"""Timing pipelines over photos, in fresh processes."""

from __future__ import annotations

import dataclasses
import math
import shutil
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from stage_models import crop_model
from test_stages_pipeline import ASTRONAUT, packaged

from fer_opt.device.stage_timing import STAGES, StagesRun
from fer_opt.errors import MeasurementError, ModelError
from fer_opt.stages import FASTER, THESIS
from fer_opt.stages.photo_set import name_photos
from fer_opt.stages.timing import StageSettings, TimedPipeline, time_pipelines

SETTINGS = StageSettings(processes=2, warm_passes=1, seed=5)


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> list[TimedPipeline]:
    model = crop_model(tmp_path_factory.mktemp("model"))
    return [TimedPipeline(ways, model, "float32") for ways in (THESIS, FASTER)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    shutil.copy(ASTRONAUT, folder / "astronaut.png")
    shutil.copy(packaged("skimage", "data", "rocket.jpg"), folder / "rocket.jpg")
    (folder / "broken.jpg").write_bytes(b"nothing")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def timed(pipelines: list[TimedPipeline], photos: list[Path]) -> tuple[StagesRun, list[StagesRun]]:
    saved: list[StagesRun] = []
    run = time_pipelines(pipelines, photos, SETTINGS, source="two photos", save=saved.append)
    return run, saved


def test_every_process_makes_a_cold_pass_and_warm_ones_over_all_photos(timed) -> None:
    run, _ = timed
    assert run.complete
    assert [one.name for one in run.pipelines] == ["thesis", "faster"]
    for one in run.pipelines:
        made = [(each.process_index, each.pass_index, each.photo) for each in one.passes]
        assert sorted(made) == [
            (process, turn, name)
            for process in (0, 1)
            for turn in (0, 1)
            for name in ("astronaut.png", "rocket.jpg")
        ]
        assert len(one.start_ms) == 2
        assert all(0 < start < 10_000 for start in one.start_ms)
        assert one.model == "float32"
        assert len(one.model_sha256) == 64


def test_every_pass_tells_its_stages_and_what_was_found(timed) -> None:
    run, _ = timed
    for one in run.pipelines:
        for each in one.passes:
            if each.photo == "astronaut.png":
                assert tuple(each.stages_ms) == STAGES
                assert (each.faces, each.label != "") == (1, True)
                assert each.confidence is not None
            else:
                assert tuple(each.stages_ms) == STAGES[:2]
                assert (each.faces, each.label, each.confidence) == (0, "", None)
            assert each.total_ms is not None
            parts = math.fsum(each.stages_ms.values())
            assert parts == pytest.approx(each.total_ms, rel=0.02)


def test_passes_go_over_the_photos_in_the_same_random_order_for_every_pipeline(timed) -> None:
    run, _ = timed
    orders = [
        {(each.process_index, each.pass_index, each.order_index): each.photo for each in one.passes}
        for one in run.pipelines
    ]
    assert orders[0] == orders[1]
    assert set(orders[0]) == {(p, t, o) for p in (0, 1) for t in (0, 1) for o in (0, 1)}


def test_the_run_says_what_was_timed_and_what_agreed(timed, photos: list[Path]) -> None:
    run, _ = timed
    assert run.photos.source == "two photos"
    assert run.photos.pixels == {"astronaut.png": (512, 512), "rocket.jpg": (640, 427)}
    assert run.photos.unreadable == (f"{photos[1]} is no image in any format Pillow knows.",)
    (agreement,) = run.agreements
    assert (agreement.photos, agreement.same_faces, agreement.one_face) == (2, 2, 1)
    assert agreement.least_iou is not None
    assert agreement.least_iou > 0.5
    assert run.device.kind == "host"
    assert (run.seed, run.threads) == (5, 1)


def test_the_run_is_saved_after_every_process(timed) -> None:
    run, saved = timed
    counts = [sum(len(one.start_ms) for one in each.pipelines) for each in saved]
    assert counts == [1, 2, 3, 4, 4]
    assert [each.complete for each in saved] == [False] * 4 + [True]
    assert saved[-1] == run
    kept = TypeAdapter(StagesRun)
    assert kept.validate_json(kept.dump_json(run)) == run


def test_an_unfinished_run_is_taken_up_where_it_ended(timed, pipelines, photos) -> None:
    _, saved = timed
    more: list[StagesRun] = []
    run = time_pipelines(
        pipelines, photos, SETTINGS, source="two photos", already=saved[2], save=more.append
    )
    assert run.complete
    assert len(more) == 2
    for before, after in zip(saved[2].pipelines, run.pipelines, strict=True):
        assert after.passes[: len(before.passes)] == before.passes
        assert len(after.start_ms) == 2


def test_a_run_of_something_else_is_not_taken_up(timed, pipelines, photos) -> None:
    run, _ = timed
    others = [
        (photos[:1], SETTINGS),
        (photos, dataclasses.replace(SETTINGS, seed=6)),
        (photos, dataclasses.replace(SETTINGS, warm_passes=2)),
    ]
    for chosen, settings in others:
        with pytest.raises(MeasurementError, match="time into a new record"):
            time_pipelines(pipelines, chosen, settings, source="two photos", already=run)


def test_nothing_to_time_is_refused(pipelines, photos, tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="there are no photos"):
        time_pipelines(pipelines, [], SETTINGS, source="none")
    with pytest.raises(MeasurementError, match="none of the photos can be read"):
        time_pipelines(pipelines, [photos[1]], SETTINGS, source="one")
    with pytest.raises(MeasurementError, match="named thesis"):
        time_pipelines([pipelines[0]] * 2, photos, SETTINGS, source="two")
    gone = dataclasses.replace(pipelines[0], model=tmp_path / "gone.tflite")
    with pytest.raises(ModelError, match=r"gone\.tflite cannot be read"):
        time_pipelines([gone], photos, SETTINGS, source="two")


def test_a_process_that_takes_too_long_is_stopped(pipelines, photos) -> None:
    hasty = dataclasses.replace(SETTINGS, timeout_s=0.05)
    with pytest.raises(MeasurementError, match=r"had not ended after 0\.05 s"):
        time_pipelines(pipelines[1:], photos, hasty, source="two")


def test_photos_are_named_by_file_or_by_the_path_from_their_common_folder(tmp_path: Path) -> None:
    a, b, c = tmp_path / "x" / "1.jpg", tmp_path / "y" / "1.jpg", tmp_path / "y" / "2.jpg"
    assert list(name_photos([a, c])) == ["1.jpg", "2.jpg"]
    assert list(name_photos([a, b, c])) == ["x/1.jpg", "y/1.jpg", "y/2.jpg"]
    with pytest.raises(MeasurementError, match="twice"):
        name_photos([a, b, a])
