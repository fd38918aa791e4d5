from pathlib import Path

import cv2
import numpy as np
import pytest
from data_files import AFFECTNET_HEADER, smooth, write_image

from fer_opt.convention import AFFECTNET_LABELS
from fer_opt.data import BadSampleError, DataSpec, NoSuchSplitError, open_dataset
from fer_opt.errors import DatasetError, OutputError

PHOTO = smooth(60, 80)


def row(name: str, expression: object, box: object = "10,20,30,30") -> str:
    return f"{name},{box},12.5;30.1;14,{expression},-0.1,0.3\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("1/a.png", "1/b.png", "2/c.png"):
        write_image(tmp_path / "images" / name, PHOTO)
    return tmp_path / "images"


def write_list(root: Path, *rows: str, name: str = "training.csv", header: bool = True) -> Path:
    path = root.parent / name
    path.write_text((AFFECTNET_HEADER if header else "") + "".join(rows))
    return path


def spec(root: Path, **options: object) -> DataSpec:
    return DataSpec(kind="affectnet", path=str(root), **options)  # type: ignore[arg-type]


def test_faces_are_cropped_resized_and_pruned(root: Path) -> None:
    write_list(
        root,
        row("1/a.png", 0),
        row("1/b.png", 8),
        row("gone.png", 10, "NULL,NULL,NULL,NULL"),
        row("1/b.png", 9),
        row("2/c.png", 7, "60,40,40,40"),
    )
    dataset = open_dataset(spec(root))
    assert dataset.labels == AFFECTNET_LABELS
    assert dataset.name == "AffectNet, train"
    assert [sample.label for sample in dataset.samples] == [0, 7]
    enlarged = cv2.resize(PHOTO[20:50, 10:40], (224, 224), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(dataset.read(0), enlarged)
    clipped = cv2.resize(PHOTO[40:60, 60:80], (224, 224), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(dataset.read(1), clipped)
    small = open_dataset(spec(root, image_size=10)).read(0)
    shrunk = cv2.resize(PHOTO[20:50, 10:40], (10, 10), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(small, shrunk)


def test_the_list_without_a_header_is_the_validation_set(root: Path) -> None:
    write_list(root, row("1/a.png", 3), name="validation.csv", header=False)
    for split in ("validation", "test", None):
        dataset = open_dataset(spec(root, split=split))
        assert dataset.name == "AffectNet, validation"
        assert dataset.facts().count_per_label == (0, 0, 0, 1, 0, 0, 0, 0)
    with pytest.raises(NoSuchSplitError, match=r"training\.csv is neither in"):
        open_dataset(spec(root, split="train"))
    write_list(root, row("2/c.png", 1))
    with pytest.raises(NoSuchSplitError, match="state the split train or validation"):
        open_dataset(spec(root))
    assert open_dataset(spec(root, split="train")).samples[0].label == 1


def test_a_stated_list_is_not_taken_for_a_split_it_may_not_hold(root: Path) -> None:
    path = write_list(root, row("1/a.png", 3), name="mine.csv")
    assert len(open_dataset(spec(root, annotations=str(path)))) == 1
    with pytest.raises(NoSuchSplitError, match=r"not called training\.csv"):
        open_dataset(spec(root, annotations=str(path), split="train"))
    with pytest.raises(DatasetError, match="does not exist"):
        open_dataset(spec(root, annotations=str(root / "none.csv")))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (row("1/none.png", 0), r"names the image '1/none\.png', which is missing"),
        (row("../images/1/a.png", 0), "outside"),
        (row("1/a.png", 11), "unknown expression '11'"),
        (row("1/a.png", "happy"), "unknown expression 'happy'"),
        (row("1/a.png", 1, "a,2,3,4"), "face box that is not four numbers"),
        (row("1/a.png", 1, "nan,2,3,4"), "face box that is not four numbers"),
        (row("1/a.png", 1, "1,2,0,4"), "empty face box of 0x4"),
        ("1/a.png,3\n", "has 2 cells where 9 belong"),
    ],
)
def test_a_bad_line_is_named_or_skipped(root: Path, line: str, complaint: str) -> None:
    path = write_list(root, row("1/b.png", 2), line, row("2/c.png", 4))
    with pytest.raises(BadSampleError, match=rf"training\.csv:3 .*{complaint}"):
        open_dataset(spec(root))
    dataset = open_dataset(spec(root), skip_bad=True)
    assert [sample.label for sample in dataset.samples] == [2, 4]
    assert [item.where for item in dataset.skipped] == [f"{path}:3"]


def test_what_shows_only_when_decoding_is_named_with_its_line(root: Path) -> None:
    whole = (root / "1" / "b.png").read_bytes()
    (root / "1" / "b.png").write_bytes(whole[: len(whole) // 2])
    write_list(root, row("1/a.png", 0), row("1/b.png", 1), row("2/c.png", 2, "500,9,40,40"))
    dataset = open_dataset(spec(root))
    with pytest.raises(BadSampleError, match=r"training\.csv:3: 1/b\.png is a damaged image"):
        dataset.read(1)
    with pytest.raises(
        BadSampleError, match=r"training\.csv:4: 2/c\.png has its face box .*outside"
    ):
        dataset.read(2)
    dataset = open_dataset(spec(root), skip_bad=True)
    assert len(dataset) == 1
    assert len(dataset.skipped) == 2


def test_the_cache_gives_the_same_faces_without_the_photos(root: Path, tmp_path: Path) -> None:
    write_image(root / "1" / "b.png", PHOTO[..., 0])  # a grey one
    write_list(root, row("1/a.png", 0), row("1/b.png", 1))
    plain = open_dataset(spec(root))
    cached = open_dataset(spec(root, cache=str(tmp_path / "cache")))
    for _ in range(2):
        for index in range(2):
            np.testing.assert_array_equal(cached.read(index), plain.read(index))
    kept = sorted((tmp_path / "cache").rglob("*.png"))
    assert len(kept) == 2
    assert not list((tmp_path / "cache").rglob("*.part"))
    before = {path: path.stat().st_mtime_ns for path in kept}
    cached.read(0)
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    for path in kept:  # as a crash would leave them
        path.write_bytes(path.read_bytes()[:50])
    np.testing.assert_array_equal(cached.read(0), plain.read(0))
    write_image(root / "1" / "a.png", PHOTO[::-1])
    changed = open_dataset(spec(root, cache=str(tmp_path / "cache")))
    np.testing.assert_array_equal(changed.read(0), open_dataset(spec(root)).read(0))


def test_what_is_no_annotation_list_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="neither in"):
        open_dataset(spec(root))
    path = tmp_path / "training.csv"
    path.write_text("name,age\n1,2\n")
    with pytest.raises(DatasetError, match="not AffectNet's annotation file"):
        open_dataset(spec(root))
    path.write_text(AFFECTNET_HEADER)
    with pytest.raises(DatasetError, match="no usable sample"):
        open_dataset(spec(root))
    path.write_text(AFFECTNET_HEADER + row("1/a.png", 0))
    with pytest.raises(OutputError, match="cannot be used as an output folder"):
        open_dataset(spec(root, cache=str(path)))
    with pytest.raises(DatasetError, match="cannot be made"):
        open_dataset(spec(root, image_size=0))
