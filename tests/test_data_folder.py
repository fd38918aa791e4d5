import shutil
from pathlib import Path

import numpy as np
import pytest
from data_files import face, write_folder, write_image

from fer_opt.convention import AFFECTNET_LABELS, FER2013_LABELS
from fer_opt.data import BadSampleError, DataSpec, NoSuchSplitError, guess_kind, open_dataset
from fer_opt.data.folder import order_labels
from fer_opt.errors import DatasetError


def spec(path: Path, split: str | None = None) -> DataSpec:
    return DataSpec("folder", str(path), split)


def test_images_are_read_label_by_label(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "faces", ["Sad", "angry"])
    dataset = open_dataset(spec(root))
    assert dataset.labels == ("angry", "Sad")
    assert [sample.source for sample in dataset.samples] == [
        "angry/0.png", "angry/1.png", "Sad/0.png", "Sad/1.png",
    ]  # fmt: skip
    np.testing.assert_array_equal(dataset.read(1), face(101, (12, 12)))
    assert dataset.facts().count_per_label == (2, 2)


def test_label_order_follows_the_dataset_it_looks_like() -> None:
    assert order_labels(tuple(sorted(FER2013_LABELS))) == FER2013_LABELS
    assert order_labels(tuple(sorted(AFFECTNET_LABELS))) == AFFECTNET_LABELS
    spelled = ("Anger", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise")
    assert order_labels(spelled) == (
        "Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Neutral",
    )  # fmt: skip
    assert order_labels(("smile", "Frown")) == ("Frown", "smile")
    assert order_labels(("10", "2", "1")) == ("1", "2", "10")


@pytest.mark.parametrize(
    ("folder", "split"),
    [("train", "train"), ("Training", "train"), ("val", "validation"), ("PrivateTest", "test")],
)
def test_splits_are_found_under_their_usual_names(tmp_path: Path, folder: str, split: str) -> None:
    write_folder(tmp_path / folder, ["happy", "sad"])
    assert open_dataset(spec(tmp_path)).name.endswith(f", {split}")
    assert len(open_dataset(spec(tmp_path, split))) == 4
    with pytest.raises(NoSuchSplitError, match="only"):
        open_dataset(spec(tmp_path, "test" if split != "test" else "train"))


def test_two_splits_are_never_mixed(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", ["happy", "sad"], each=3)
    write_folder(tmp_path / "test", ["happy", "sad"], each=1)
    with pytest.raises(NoSuchSplitError, match="splits test, train; state which one"):
        open_dataset(spec(tmp_path))
    with pytest.raises(NoSuchSplitError, match="keeps its splits apart"):
        open_dataset(spec(tmp_path, "all"))
    assert len(open_dataset(spec(tmp_path, "test"))) == 2
    assert len(open_dataset(spec(tmp_path / "test", "test"))) == 2  # its own name says so
    with pytest.raises(NoSuchSplitError, match="no folder train"):
        open_dataset(spec(tmp_path / "test", "train"))


def test_litter_is_ignored_and_other_files_are_listed(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "faces", ["happy", "sad"])
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (root / "happy" / name).write_bytes(b"x")
    (root / ".cache").mkdir()
    (root / "readme.txt").write_text("beside the labels")
    (root / "happy" / "list.txt").write_text("0.png")
    write_image(root / "happy" / "deeper" / "2.JPG", face(9, (12, 12)))
    dataset = open_dataset(spec(root))
    assert len(dataset) == 5
    assert [(item.where, item.reason) for item in dataset.skipped] == [
        (str(root / "happy" / "list.txt"), "is no image (suffix .txt)")
    ]


def test_a_corrupt_image_is_named_when_read_or_skipped_beforehand(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "faces", ["happy", "sad"], each=3, suffix=".jpg")
    bad = root / "happy" / "1.jpg"
    bad.write_bytes(bad.read_bytes()[:200])
    dataset = open_dataset(spec(root))
    with pytest.raises(BadSampleError, match=r"happy/1\.jpg is a damaged image.*--skip-bad"):
        dataset.read(1)
    (root / "sad" / "0.jpg").write_bytes(b"")
    with pytest.raises(BadSampleError, match=r"sad/0\.jpg is an empty file"):
        open_dataset(spec(root))
    dataset = open_dataset(spec(root), skip_bad=True)
    assert [sample.source for sample in dataset.samples] == [
        "happy/0.jpg", "happy/2.jpg", "sad/1.jpg", "sad/2.jpg",
    ]  # fmt: skip
    assert {item.where for item in dataset.skipped} == {str(bad), str(root / "sad" / "0.jpg")}
    for index in range(len(dataset)):
        dataset.read(index)


def test_folders_that_are_no_dataset_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no label folders"):
        open_dataset(spec(tmp_path))
    write_folder(tmp_path, ["happy"])
    with pytest.raises(DatasetError, match="only the label folder happy"):
        open_dataset(spec(tmp_path))
    (tmp_path / "sad").mkdir()
    with pytest.raises(DatasetError, match="sad holds no image"):
        open_dataset(spec(tmp_path))
    write_folder(tmp_path, ["sad", "Happiness"])
    with pytest.raises(DatasetError, match="Happiness and happy, which mean the same"):
        open_dataset(spec(tmp_path))
    with pytest.raises(DatasetError, match="is not a folder"):
        open_dataset(spec(tmp_path / "sad" / "0.png"))
    with pytest.raises(DatasetError, match="does not exist"):
        open_dataset(spec(tmp_path / "elsewhere"))
    with pytest.raises(DatasetError, match="needs a path"):
        open_dataset(DataSpec("folder"))


def test_every_image_bad_is_no_dataset(tmp_path: Path) -> None:
    for label in ("happy", "sad"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "0.jpg").write_text("no")
    with pytest.raises(DatasetError, match=r"no usable sample \(2 bad ones were left out\)"):
        open_dataset(spec(tmp_path), skip_bad=True)


def test_the_fingerprint_knows_moved_from_changed(tmp_path: Path) -> None:
    first = write_folder(tmp_path / "a", ["happy", "sad"])
    shutil.copytree(first, tmp_path / "b")
    facts = [open_dataset(spec(tmp_path / name)).facts().fingerprint for name in "ab"]
    assert facts[0] == facts[1]
    (tmp_path / "b" / "sad" / "1.png").rename(tmp_path / "b" / "happy" / "9.png")
    assert open_dataset(spec(tmp_path / "b")).facts().fingerprint != facts[0]


def test_kinds_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("emotion,pixels,Usage\n")
    (tmp_path / "a.csv").write_text("subDirectory_filePath,face_x\n")
    (tmp_path / "x.csv").write_text("name,age\n")
    assert guess_kind(tmp_path / "f.csv") == "fer2013"
    assert guess_kind(tmp_path / "a.csv") == "affectnet"
    assert guess_kind(tmp_path) == "affectnet"
    assert guess_kind(write_folder(tmp_path / "faces", ["a", "b"])) == "folder"
    with pytest.raises(DatasetError, match="no dataset fer-opt knows"):
        guess_kind(tmp_path / "x.csv")
    with pytest.raises(DatasetError, match="does not exist"):
        guess_kind(tmp_path / "nothing")
