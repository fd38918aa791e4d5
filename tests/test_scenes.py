"""The demo's composed photos."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from stage_models import crop_model

from fer_opt.data.images import decode
from fer_opt.data.scenes import SIZES, Scene, write_scenes
from fer_opt.errors import OutputError
from fer_opt.stages import FASTER, THESIS, PipelineWays, open_pipeline
from fer_opt.stages.agreement import match_faces

SMALL = tuple((width // 16, height // 16) for width, height in SIZES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scenes")


@pytest.fixture(scope="module")
def scenes(folder: Path) -> tuple[Scene, ...]:
    return write_scenes(folder)


@pytest.mark.slow
def test_scenes_are_in_the_thesis_split_and_of_phones_sizes(
    folder: Path, scenes: tuple[Scene, ...]
) -> None:
    assert [len(scene.faces) for scene in scenes] == [1] * 20 + [0] * 3 + [2, 3]
    assert len({face.label for scene in scenes for face in scene.faces}) == 8
    stored = []
    for scene in scenes:
        with PillowImage.open(folder / scene.name) as file:
            stored.append(file.size)
            assert file.format == "JPEG"
            assert file.getexif().get(0x0112) == scene.orientation
            turned = scene.orientation in (6, 8)
        assert (scene.width, scene.height) == (stored[-1][::-1] if turned else stored[-1])
        for left, top, width, height in (face.box for face in scene.faces):
            assert 0 <= left < left + width <= scene.width
            assert 0 <= top < top + height <= scene.height
    assert {scene.orientation for scene in scenes} >= {1, 3, 6, 8}
    assert len(set(stored)) == len(SIZES)
    assert min(map(max, stored)) == 1600
    assert max(map(max, stored)) == 4128


@pytest.mark.slow
@pytest.mark.parametrize("ways", [THESIS, FASTER], ids=lambda ways: ways.name)
def test_the_cascade_finds_the_faces_that_were_drawn_and_no_others(
    ways: PipelineWays, folder: Path, scenes: tuple[Scene, ...], tmp_path: Path
) -> None:
    pipeline = open_pipeline(crop_model(tmp_path), ways=ways)
    one_face = 0
    for scene in scenes:
        result = pipeline.classify(folder / scene.name)
        assert (result.width, result.height) == (scene.width, scene.height)
        matched = match_faces([face.box for face in scene.faces], result.faces)
        if len(scene.faces) == 1:
            one_face += result.outcome == "one face" and matched[0] > 0.5
        else:
            assert len(result.faces) == len(scene.faces) == len(matched), scene.name
    assert one_face >= 19


def test_scenes_are_told_beside_them_and_the_same_each_time(tmp_path: Path) -> None:
    first = write_scenes(tmp_path / "a", sizes=SMALL)
    told = json.loads((tmp_path / "a" / "scenes.json").read_text("utf-8"))
    assert [one["name"] for one in told["scenes"]] == [scene.name for scene in first]
    assert tuple(told["scenes"][0]["faces"][0]["box"]) == first[0].faces[0].box
    assert write_scenes(tmp_path / "b", sizes=SMALL) == first
    for scene in first:
        assert (tmp_path / "a" / scene.name).read_bytes() == (
            tmp_path / "b" / scene.name
        ).read_bytes()
    other = write_scenes(tmp_path / "c", seed=1, sizes=SMALL)
    assert [len(scene.faces) for scene in other] == [len(scene.faces) for scene in first]
    assert other[0].faces != first[0].faces


def test_scenes_that_are_there_are_kept_and_missing_ones_made(tmp_path: Path) -> None:
    first = write_scenes(tmp_path, sizes=SMALL)
    content = (tmp_path / first[3].name).read_bytes()
    (tmp_path / first[3].name).unlink()
    kept = tmp_path / first[4].name
    before = kept.stat().st_mtime_ns
    assert write_scenes(tmp_path, sizes=SMALL) == first
    assert (tmp_path / first[3].name).read_bytes() == content
    assert kept.stat().st_mtime_ns == before


def test_scenes_of_other_sizes_are_composed_anew(tmp_path: Path) -> None:
    write_scenes(tmp_path, sizes=SMALL)
    (scene, *_) = write_scenes(tmp_path, sizes=((160, 120),))
    assert decode(tmp_path / scene.name, "").shape == (120, 160, 3)


def test_a_face_covers_the_place_it_is_said_to(tmp_path: Path) -> None:
    first = write_scenes(tmp_path, sizes=((640, 480),))
    skin = 0
    for scene in first[:20]:
        pixels = decode(tmp_path / scene.name, "").astype(int)
        left, top, width, height = scene.faces[0].box
        cheek = pixels[top + height // 2 : top + 2 * height // 3, left + width // 4 :][
            :, : width // 2
        ]
        red, green, blue = np.median(cheek.reshape(-1, 3), axis=0)
        skin += red > green > blue
    assert skin >= 18


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose a folder"):
        write_scenes(tmp_path / "file" / "scenes")
