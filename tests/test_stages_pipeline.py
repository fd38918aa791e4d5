"""Photo in, expression out."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from stage_detectors import blazeface_raw, constants, detector_file
from stage_models import crop_model

from fer_opt.convention import AFFECTNET_LABELS, InputConvention
from fer_opt.data.images import decode
from fer_opt.data.pipeline import prepare
from fer_opt.device.stage_timing import STAGES
from fer_opt.errors import ConventionError, ModelError
from fer_opt.interpreter import Classifier
from fer_opt.stages import FASTER, THESIS, Pipeline, PipelineWays, open_pipeline
from fer_opt.stages.faces import iou

BOTH = pytest.mark.parametrize("ways", [THESIS, FASTER], ids=lambda ways: ways.name)


def packaged(package: str, *parts: str) -> Path:
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent.joinpath(*parts)


ASTRONAUT = packaged("skimage", "data", "astronaut.png")
HER_FACE = (181, 78, 87, 112)
"""Where it is, from hair to chin and cheek to cheek, marked by hand."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crop_model(tmp_path_factory.mktemp("model"))


def saved(path: Path, picture: PillowImage.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


@BOTH
def test_the_astronauts_one_face_is_found_and_classified(ways: PipelineWays, model: Path) -> None:
    result = open_pipeline(model, ways=ways).classify(ASTRONAUT)
    assert result.outcome == "one face"
    assert (result.width, result.height) == (512, 512)
    (face,) = result.faces
    assert iou(face, HER_FACE) > 0.55
    assert sum(result.probabilities) == pytest.approx(1, abs=1e-5)
    best = max(range(8), key=result.probabilities.__getitem__)
    assert (result.label, result.confidence) == (AFFECTNET_LABELS[best], result.probabilities[best])
    assert tuple(result.stages_ms) == STAGES


@BOTH
@pytest.mark.parametrize("name", ["coffee.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png"])
def test_photographs_without_a_person_are_not_classified(
    ways: PipelineWays, name: str, model: Path
) -> None:
    result = open_pipeline(model, ways=ways).classify(packaged("skimage", "data", name))
    assert (result.outcome, result.label, result.confidence) == ("no face", "", None)
    assert tuple(result.stages_ms) == ("bitmap", "detect")


@BOTH
def test_a_photo_of_several_faces_is_not_classified(
    ways: PipelineWays, model: Path, tmp_path: Path
) -> None:
    one = PillowImage.open(ASTRONAUT).convert("RGB").crop((80, 0, 380, 300))
    page = PillowImage.new("RGB", (600, 300))
    page.paste(one, (0, 0))
    page.paste(one, (300, 0))
    result = open_pipeline(model, ways=ways).classify(saved(tmp_path / "two.jpg", page))
    assert (result.outcome, result.label, result.confidence) == ("several faces", "", None)
    left, right = result.faces
    assert iou(left, (HER_FACE[0] - 80, *HER_FACE[1:])) > 0.55
    assert iou(right, (HER_FACE[0] + 220, *HER_FACE[1:])) > 0.55
    assert tuple(result.stages_ms) == ("bitmap", "detect")


@BOTH
@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
def test_a_turned_photo_gives_its_face_in_the_upright_photo(
    ways: PipelineWays, orientation: int, model: Path, tmp_path: Path
) -> None:
    stored_as = {
        2: PillowImage.Transpose.FLIP_LEFT_RIGHT,
        3: PillowImage.Transpose.ROTATE_180,
        4: PillowImage.Transpose.FLIP_TOP_BOTTOM,
        5: PillowImage.Transpose.TRANSPOSE,
        6: PillowImage.Transpose.ROTATE_90,
        7: PillowImage.Transpose.TRANSVERSE,
        8: PillowImage.Transpose.ROTATE_270,
    }[orientation]
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    upright = PillowImage.open(ASTRONAUT).convert("RGB").crop((0, 0, 512, 400))
    photo = saved(tmp_path / "turned.jpg", upright.transpose(stored_as), exif=exif, quality=90)
    result = open_pipeline(model, ways=ways).classify(photo)
    assert (result.width, result.height) == (512, 400)
    (face,) = result.faces
    assert iou(face, HER_FACE) > 0.55


def test_the_thesis_way_classifies_the_crop_as_the_accuracy_is_measured(model: Path) -> None:
    convention = InputConvention(24, 24, 1, 0.0, 1.0, AFFECTNET_LABELS)
    result = open_pipeline(model, ways=THESIS).classify(ASTRONAUT)
    ((left, top, width, height),) = result.faces
    crop = decode(ASTRONAUT, "")[top : top + height, left : left + width]
    expected = Classifier(model).predict(prepare(crop, convention)[np.newaxis])[0]
    # The app resizes first and turns grey then; rounding apart that is the same.
    np.testing.assert_allclose(result.probabilities, expected, atol=5e-3)


def test_a_models_own_preprocessing_is_done_in_its_own_order(tmp_path: Path) -> None:
    equalized = InputConvention(
        24, 24, 1, 0.0, 1.0, AFFECTNET_LABELS, preprocessing=("equalize", "gamma(0.75)")
    )
    model = crop_model(tmp_path, equalized)
    result = open_pipeline(model, ways=THESIS).classify(ASTRONAUT)
    ((left, top, width, height),) = result.faces
    crop = decode(ASTRONAUT, "")[top : top + height, left : left + width]
    expected = Classifier(model).predict(prepare(crop, equalized)[np.newaxis])[0]
    np.testing.assert_allclose(result.probabilities, expected, atol=1e-6)
    assert tuple(result.stages_ms) == STAGES


def test_rgb_models_skip_the_grey(tmp_path: Path) -> None:
    model = crop_model(tmp_path, InputConvention(24, 24, 3, -1.0, 1.0, AFFECTNET_LABELS))
    pipeline = open_pipeline(model, ways=THESIS)
    assert pipeline.ways[3].way == "RGB, float tensor"
    assert pipeline.classify(ASTRONAUT).outcome == "one face"


@BOTH
@pytest.mark.parametrize(
    ("mode", "name"),
    [("L", "grey.jpg"), ("CMYK", "cmyk.jpg"), ("RGBA", "alpha.png"), ("P", "palette.gif"),
     ("LA", "grey_alpha.png"), ("RGB", "photo.webp"), ("RGB", "photo.bmp"), ("L", "grey.tif")],
)  # fmt: skip
def test_common_formats_are_read(
    ways: PipelineWays, mode: str, name: str, model: Path, tmp_path: Path
) -> None:
    picture = PillowImage.open(ASTRONAUT).convert("RGB").convert(mode)
    result = open_pipeline(model, ways=ways).classify(saved(tmp_path / name, picture))
    assert result.outcome == "one face"
    assert iou(result.faces[0], HER_FACE) > 0.55
    assert (result.width, result.height) == (512, 512)


@BOTH
def test_sixteen_bits_and_animations_are_read(
    ways: PipelineWays, model: Path, tmp_path: Path
) -> None:
    grey = np.asarray(PillowImage.open(ASTRONAUT).convert("L"))
    deep = saved(tmp_path / "deep.png", PillowImage.fromarray(grey.astype(np.uint16) * 257))
    frames = [PillowImage.fromarray(grey), PillowImage.new("L", (512, 512))]
    moving = saved(tmp_path / "moving.gif", frames[0], save_all=True, append_images=frames[1:])
    pipeline = open_pipeline(model, ways=ways)
    for photo in (deep, moving):
        result = pipeline.classify(photo)
        assert result.outcome == "one face"
        assert iou(result.faces[0], HER_FACE) > 0.55


@BOTH
@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (23, 23), (7, 40)])
def test_tiny_and_thin_photos_have_no_face(
    ways: PipelineWays, size: tuple[int, int], model: Path, tmp_path: Path
) -> None:
    pipeline = open_pipeline(model, ways=ways)
    for name in ("tiny.png", "tiny.jpg"):
        result = pipeline.classify(saved(tmp_path / name, PillowImage.new("RGB", size, "tan")))
        assert result.outcome == "no face"
        assert (result.width, result.height) == size


def damaged(folder: Path) -> dict[str, tuple[Path, str]]:
    whole = saved(folder / "whole.jpg", PillowImage.open(ASTRONAUT).convert("RGB")).read_bytes()
    png = ASTRONAUT.read_bytes()
    huge = folder / "huge.pbm"
    huge.write_bytes(b"P4 20000 20000\n" + bytes(1000))
    contents = {
        "empty.jpg": (b"", "is empty"),
        "text.jpg": (b"no picture at all\n" * 20, "is no image in any format Pillow knows"),
        "truncated.jpg": (whole[: len(whole) // 2], "is a damaged image"),
        "truncated.png": (png[: len(png) // 2], "is a damaged image"),
        "header.jpg": (whole[:30], "is a damaged image"),
        "zeros.jpg": (whole[:2000] + bytes(3000), "is a damaged image"),
    }
    cases = {}
    for name, (content, reason) in contents.items():
        (folder / name).write_bytes(content)
        cases[name] = (folder / name, reason)
    cases["huge.pbm"] = (huge, "has more than the 179 million pixels")
    cases["missing.jpg"] = (folder / "missing.jpg", "is missing")
    cases["folder"] = (folder, "is a folder")
    return cases


@BOTH
def test_files_that_are_no_photo_are_an_outcome_with_a_reason(
    ways: PipelineWays, model: Path, tmp_path: Path
) -> None:
    pipeline = open_pipeline(model, ways=ways)
    for name, (path, reason) in damaged(tmp_path).items():
        result = pipeline.classify(path)
        if name == "zeros.jpg" and result.outcome != "unreadable":
            continue  # libjpeg may paint grey what zeros stand for; it is a picture then
        assert result.outcome == "unreadable", name
        assert result.reason.startswith(f"{path} {reason}"), name
        assert result.reason.endswith("."), name
        assert (result.width, result.faces, result.stages_ms) == (0, (), {})
        assert result.total_ms > 0


@BOTH
def test_a_file_that_is_gone_the_next_moment_does_not_stop_the_pipeline(
    ways: PipelineWays, model: Path, tmp_path: Path
) -> None:
    pipeline = open_pipeline(model, ways=ways)
    photo = saved(tmp_path / "p.jpg", PillowImage.open(ASTRONAUT).convert("RGB"))
    assert pipeline.classify(photo).outcome == "one face"
    photo.unlink()
    assert pipeline.classify(photo).outcome == "unreadable"
    saved(photo, PillowImage.open(ASTRONAUT).convert("RGB"))
    assert pipeline.classify(photo).outcome == "one face"


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_scaled_bitmap_keeps_at_least_the_side_asked_for(
    suffix: str, model: Path, tmp_path: Path
) -> None:
    picture = PillowImage.open(ASTRONAUT).convert("RGB").resize((1999, 1500))
    photo = saved(tmp_path / f"p.{suffix}", picture)
    for side, width in ((240, 250), (250, 500), (499, 500), (500, 1000), (1000, 1999)):
        ways = PipelineWays("ours", bitmap="scaled", bitmap_side=side, detect_side=200)
        bitmap = open_pipeline(model, ways=ways).bitmap.read(photo)
        assert bitmap.pixels.shape[1] == width, side
        assert (bitmap.width, bitmap.height) == (1999, 1500)


def test_a_scaled_bitmap_suits_the_detector_and_the_classifier(model: Path, tmp_path: Path) -> None:
    def side(classifier: Path, ways: PipelineWays) -> str:
        return open_pipeline(classifier, ways=ways).ways[0].way

    assert side(model, FASTER) == "scaled decode, at least 240 px"
    assert side(model, PipelineWays(bitmap="scaled")) == "scaled decode, at least 48 px"
    raw = blazeface_raw(896, {})
    blazeface = detector_file(tmp_path / "face.tflite", 128, constants(*raw))
    with_file = PipelineWays(bitmap="scaled", detector=blazeface)
    assert side(model, with_file) == "scaled decode, at least 128 px"


def test_a_detectors_file_takes_the_cascades_place(model: Path, tmp_path: Path) -> None:
    # Her face in 128 pixels, a quarter: centre (56, 33.5); the anchor's cell has its at (56, 24).
    anchor = 512 + 6 * (8 * 1 + 3)
    raw = blazeface_raw(896, {anchor: (0.125, 9.5, 21.75, 28.0, 2.0)})
    blazeface = detector_file(tmp_path / "face.tflite", 128, constants(*raw))
    ways = PipelineWays("ours", bitmap="scaled", detector=blazeface)
    pipeline = open_pipeline(model, ways=ways)
    assert pipeline.ways[1].way == "BlazeFace short range, 128x128"
    result = pipeline.classify(ASTRONAUT)
    assert result.outcome == "one face"
    assert iou(result.faces[0], HER_FACE) > 0.9


@pytest.mark.parametrize("box", [(-40.0, -40.0, 60.0, 60.0), (60.0, 60.0, 40.0, 40.0)])
def test_a_face_over_the_edge_is_clipped_and_one_beyond_it_is_none(
    box: tuple[float, ...], model: Path, tmp_path: Path
) -> None:
    # The first anchor's centre is (4, 4) of 128.
    raw = blazeface_raw(896, {0: (*box, 2.0)})
    blazeface = detector_file(tmp_path / "face.tflite", 128, constants(*raw))
    pipeline = open_pipeline(model, ways=PipelineWays(detector=blazeface))
    photo = saved(tmp_path / "p.png", PillowImage.new("RGB", (80, 80)))
    result = pipeline.classify(photo)
    if box[0] < 0:
        # (-66, -66) to (-6, -6) lies outside.
        assert (result.outcome, result.faces) == ("no face", ())
    else:
        # (44, 44) to (84, 84) of 128, in a photo of 80.
        assert result.faces == ((28, 28, 24, 24),)


def test_files_that_do_not_say_what_they_expect_want_it_stated(tmp_path: Path) -> None:
    path = crop_model(tmp_path)
    plain = tmp_path / "plain.tflite"
    from stage_models import unlabelled

    plain.write_bytes(unlabelled())
    with pytest.raises(ConventionError, match=r"plain\.tflite does not say .*state its range"):
        open_pipeline(plain, ways=THESIS)
    stated = InputConvention(24, 24, 1, 0.0, 1.0, AFFECTNET_LABELS)
    ours, theirs = (
        open_pipeline(file, ways=THESIS, stated=known).classify(ASTRONAUT)
        for file, known in ((plain, stated), (path, None))
    )
    assert ours.probabilities == theirs.probabilities
    wrong = InputConvention(48, 48, 1, 0.0, 1.0, AFFECTNET_LABELS)
    with pytest.raises(ConventionError, match=r"takes \(24, 24, 1\)"):
        open_pipeline(plain, ways=THESIS, stated=wrong)
    few = InputConvention(24, 24, 1, 0.0, 1.0, ("yes", "no"))
    with pytest.raises(ConventionError, match="8 outputs, not the stated 2"):
        open_pipeline(plain, ways=THESIS, stated=few)


def test_missing_files_and_senseless_ways_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.tflite cannot be read"):
        open_pipeline(tmp_path / "nowhere.tflite", ways=THESIS)
    with pytest.raises(ModelError, match=r"nowhere\.tflite cannot be read"):
        open_pipeline(model, ways=PipelineWays(detector=tmp_path / "nowhere.tflite"))
    for senseless in ({"detect_side": 0}, {"bitmap_side": -1}, {"least_face": 0.0}):
        with pytest.raises(ConventionError, match="pixels of 1 or more"):
            PipelineWays("ours", **senseless)  # type: ignore[arg-type]


@BOTH
def test_stage_times_add_up_to_the_total(ways: PipelineWays, model: Path, tmp_path: Path) -> None:
    pipeline = open_pipeline(model, ways=ways)
    picture = PillowImage.open(ASTRONAUT).convert("RGB")
    one = saved(tmp_path / "one.jpg", picture.resize((1600, 1600)))
    none = saved(tmp_path / "none.jpg", PillowImage.new("RGB", (1600, 1600), "tan"))
    for photo in (one, none):
        for _ in range(5):
            result = pipeline.classify(photo)
            parts = math.fsum(result.stages_ms.values())
            assert parts <= result.total_ms
            assert parts == pytest.approx(result.total_ms, rel=0.02)


def test_the_ways_of_a_pipeline_are_told_for_each_stage(model: Path) -> None:
    def ways(pipeline: Pipeline) -> list[str]:
        assert tuple(way.stage for way in pipeline.ways) == STAGES
        return [way.way for way in pipeline.ways]

    assert ways(open_pipeline(model, ways=THESIS)) == [
        "full decode",
        "Haar cascade, whole photo, faces from 0.016 of its side",
        "crop, bilinear",
        "grey, float tensor",
        "float32",
    ]
    assert ways(open_pipeline(model, ways=FASTER))[:2] == [
        "scaled decode, at least 240 px",
        "Haar cascade, image of 240 px, faces from 0.1 of its side",
    ]
