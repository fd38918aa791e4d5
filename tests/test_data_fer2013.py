import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from data_files import face, pixel_text, write_fer2013
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fer_opt.convention import FER2013_LABELS, InputConvention
from fer_opt.data import BadSampleError, DataSpec, NoSuchSplitError, batches, open_dataset
from fer_opt.data.fer2013 import parse_pixels
from fer_opt.errors import DatasetError

GOOD = pixel_text(face(0))
CONVENTION = InputConvention(48, 48, 1, 0.0, 1.0, FER2013_LABELS)


def spec(path: Path, split: str | None = None) -> DataSpec:
    return DataSpec("fer2013", str(path), split)


def test_faces_come_back_pixel_for_pixel_and_splits_are_kept_apart(tmp_path: Path) -> None:
    usages = ["Training", "PublicTest", "PrivateTest"] * 4
    rows = [(index % 7, pixel_text(face(index)), usage) for index, usage in enumerate(usages)]
    path = write_fer2013(tmp_path / "fer2013.csv", rows)
    for split, offset in (("train", 0), ("validation", 1), ("test", 2)):
        dataset = open_dataset(spec(path, split))
        assert dataset.labels == FER2013_LABELS
        assert dataset.name == f"FER2013, {split}"
        numbers = range(offset, 12, 3)
        assert [sample.label for sample in dataset.samples] == [number % 7 for number in numbers]
        for index, number in enumerate(numbers):
            np.testing.assert_array_equal(dataset.read(index), face(number))
        assert dataset.samples[1].source == f"fer2013.csv:{offset + 5}"
    assert len(open_dataset(spec(path, "all"))) == 12
    with pytest.raises(NoSuchSplitError, match=r"test, train, validation; state which one"):
        open_dataset(spec(path))


def test_the_thesis_file_has_no_usage_column(tmp_path: Path) -> None:
    path = write_fer2013(tmp_path / "fer.csv", [(3, GOOD, ""), (1, GOOD, "")], usage=False)
    dataset = open_dataset(spec(path))
    assert dataset.facts().count_per_label == (0, 1, 0, 1, 0, 0, 0)
    with pytest.raises(NoSuchSplitError, match="no Usage column"):
        open_dataset(spec(path, "test"))


def test_other_exports_are_read_too(tmp_path: Path) -> None:
    """Columns in another order with blanks, quotes, CRLF, a byte order mark, an empty line."""
    path = tmp_path / "icml_face_data.csv"
    text = f'emotion, Usage, pixels\r\n6,Training,"{GOOD}"\r\n\r\n 2 , Training , {GOOD} \r\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    dataset = open_dataset(spec(path))
    assert [(sample.source, sample.label) for sample in dataset.samples] == [
        ("icml_face_data.csv:2", 6),
        ("icml_face_data.csv:4", 2),
    ]
    np.testing.assert_array_equal(dataset.read(1), face(0))


@pytest.mark.parametrize(
    ("emotion", "pixels", "usage", "complaint"),
    [
        (0, GOOD.rpartition(" ")[0], "Training", r"has 2303 pixels where 2304 \(48x48\) belong"),
        (0, GOOD + " 7", "Training", "has 2305 pixels"),
        (0, "", "Training", "has 0 pixels"),
        (0, "256 " + GOOD.partition(" ")[2], "Training", "has the pixel 256"),
        (0, "-1 " + GOOD.partition(" ")[2], "Training", "has the pixel -1"),
        (0, "9" * 40 + " " + GOOD.partition(" ")[2], "Training", "has the pixel"),
        (0, "x " + GOOD.partition(" ")[2], "Training", "has the pixel 'x'"),
        (0, "1.5 " + GOOD.partition(" ")[2], "Training", "has the pixel '1.5'"),
        (7, GOOD, "Training", "unknown emotion '7'"),
        ("happy", GOOD, "Training", "unknown emotion 'happy'"),
        ("", GOOD, "Training", "unknown emotion ''"),
        (0, GOOD, "Trainign", "unknown Usage 'Trainign'"),
        (0, GOOD, "Training,more", "has 4 cells where 3 belong"),
    ],
)
def test_a_bad_line_is_named_or_skipped(
    tmp_path: Path, emotion: object, pixels: str, usage: str, complaint: str
) -> None:
    rows = [(1, GOOD, "Training"), (emotion, pixels, usage), (2, GOOD, "Training")]
    path = write_fer2013(tmp_path / "fer2013.csv", rows)
    with pytest.raises(BadSampleError, match=rf"fer2013\.csv:3 .*{complaint}.*--skip-bad"):
        open_dataset(spec(path, "train"))
    dataset = open_dataset(spec(path, "train"), skip_bad=True)
    assert [sample.label for sample in dataset.samples] == [1, 2]
    (skipped,) = dataset.facts().skipped
    assert skipped.where == f"{path}:3"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "lacks the columns emotion and pixels"),
        (b"a,b\n1,2\n", "lacks the columns emotion and pixels"),
        (b"\x00\xff\xfe" * 50, "lacks the columns"),
        (b"emotion,pixels,Usage\n", "no usable sample"),
    ],
)
def test_what_is_no_fer2013_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=complaint):
        open_dataset(spec(path))


def test_a_missing_file_and_an_absent_split_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        open_dataset(spec(tmp_path / "nothing.csv"))
    path = write_fer2013(tmp_path / "fer2013.csv", [(0, GOOD, "Training")])
    assert len(open_dataset(spec(tmp_path))) == 1  # the folder around it will do
    with pytest.raises(NoSuchSplitError, match="no line of the split test"):
        open_dataset(spec(path, "test"))
    with pytest.raises(DatasetError, match="did you mean train"):
        open_dataset(spec(path, "trian"))


def test_a_file_that_shrinks_after_opening_is_noticed(tmp_path: Path) -> None:
    path = write_fer2013(tmp_path / "fer2013.csv", [(0, GOOD, "Training")] * 2)
    dataset = open_dataset(spec(path))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(DatasetError, match=r"fer2013\.csv:3"):
        dataset.read(1)


@given(values=st.binary(min_size=2304, max_size=2304), gap=st.sampled_from([" ", "  ", "\t"]))
@settings(max_examples=25)
def test_any_face_is_parsed(values: bytes, gap: str) -> None:
    parsed = parse_pixels(gap.join(map(str, values)).encode(), "here")
    assert parsed.dtype == np.uint8
    assert parsed.shape == (48, 48)
    assert parsed.tobytes() == values


@given(st.binary(max_size=400))
def test_no_bytes_escape_as_a_foreign_error(content: bytes) -> None:
    with pytest.raises(BadSampleError, match="here has"):
        parse_pixels(content, "here")


@given(st.lists(st.binary(max_size=60), max_size=8), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_lines_after_the_header_are_refused_in_our_words(
    tmp_path: Path, lines: list[bytes], skip_bad: bool
) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_bytes(b"emotion,pixels,Usage\n" + b"\n".join(lines))
    with pytest.raises(DatasetError):
        open_dataset(spec(path), skip_bad=skip_bad)


def test_memory_stays_far_below_the_file(tmp_path: Path) -> None:
    lines = [pixel_text(face(seed)) for seed in range(20)]
    rows = [(number % 7, lines[number % 20], "Training") for number in range(2000)]
    path = write_fer2013(tmp_path / "fer2013.csv", rows)
    del rows
    tracemalloc.start()
    try:
        dataset = open_dataset(spec(path))
        total = sum(len(labels) for _, labels in batches(dataset, CONVENTION, 64))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 2000
    assert path.stat().st_size > 15_000_000
    assert peak_bytes < 4_000_000


def test_an_emotion_of_thousands_of_digits_is_just_unknown(tmp_path: Path) -> None:
    path = write_fer2013(tmp_path / "fer2013.csv", [("9" * 5000, GOOD, "Training")])
    with pytest.raises(BadSampleError, match="unknown emotion"):
        open_dataset(spec(path))
