"""Which photos are meant, what they are filed under, and how their results are kept."""

from __future__ import annotations

import json
import os
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photo_folders import portrait

from fer_opt.convention import AFFECTNET_LABELS, FER2013_LABELS
from fer_opt.errors import ConventionError, DatasetError, ExperimentError
from fer_opt.stages import FASTER, THESIS, PhotoResult
from fer_opt.stages.gallery.thumbnails import make_thumbnail
from fer_opt.stages.gallery.tiles import tile_of
from fer_opt.stages.photos.finding import find_photos
from fer_opt.stages.photos.made_with import MadeWith, describe
from fer_opt.stages.photos.naming import emoji_of, filed_under, shown_name, wanted_labels
from fer_opt.stages.photos.store import STORE_NAME, open_store
from fer_opt.stages.photos.tables import write_json
from fer_opt.stages.photos.tally import Tally


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_a_folder_is_searched_in_order_without_what_is_hidden_or_no_image(tmp_path):
    touched(
        tmp_path, "b.JPG", "a/z.png", "a/b/c.webp", "c.heic", "d", ".e.jpg", ".f/g.jpg", "a.txt"
    )  # fmt: skip
    found = find_photos([tmp_path])
    names = [path.relative_to(tmp_path).as_posix() for path in found.photos]
    assert names == ["a/b/c.webp", "a/z.png", "b.JPG"]
    assert found.left_out == {"": 1, ".heic": 1, ".txt": 1}


def test_what_is_named_is_taken_once_whatever_its_ending_and_hidden_or_not(tmp_path, monkeypatch):
    monkeypatch.chdir(touched(tmp_path, "photos/b.jpg", "photos/a.jpg", ".c", "d.heic"))
    named = [Path("photos/b.jpg"), Path("photos"), Path("d.heic"), Path(".c"), Path("d.heic")]
    named.append(tmp_path / "photos" / "a.jpg")
    assert list(map(str, find_photos(named).photos)) == [
        "photos/b.jpg", "photos/a.jpg", "d.heic", ".c",
    ]  # fmt: skip


def test_links_that_lead_back_up_or_nowhere_do_no_harm(tmp_path):
    touched(tmp_path, "a/one.jpg")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self.jpg").symlink_to("self.jpg")
    (tmp_path / "a" / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "a" / "two.jpg").symlink_to("one.jpg")
    os.mkfifo(tmp_path / "a" / "pipe.jpg")  # reading it would wait for ever
    names = [path.name for path in find_photos([tmp_path]).photos]
    assert names == ["gone.jpg", "one.jpg", "self.jpg", "two.jpg"]
    with pytest.raises(DatasetError, match="neither a file nor a folder"):
        find_photos([tmp_path / "a" / "pipe.jpg"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_folder_that_cannot_be_listed_is_named(tmp_path):
    touched(tmp_path, "a.jpg", "closed/b.jpg")
    (tmp_path / "closed").chmod(0)
    try:
        found = find_photos([tmp_path])
        with pytest.raises(DatasetError, match="cannot be read"):
            find_photos([tmp_path / "closed"])
    finally:
        (tmp_path / "closed").chmod(0o755)
    assert [path.name for path in found.photos] == ["a.jpg"]
    assert "closed cannot be listed" in found.closed[0]


@pytest.mark.parametrize(
    ("only", "wanted"),
    [
        ([], ()),
        (["happy,surprise"], ("happy", "surprise")),
        (["Happiness", " SAD "], ("happy", "sad")),
        (["anger"], ("angry",)),  # as the model spells it
        (["several-faces", "several", "happy", "happy"], ("several faces", "happy")),
    ],
)
def test_labels_are_asked_for_in_any_spelling(only, wanted):
    assert wanted_labels(only, FER2013_LABELS) == wanted


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("hapy", "did you mean happy"),
        ("contempt", "known: angry, disgust"),
        ("", "is no label"),
        ("no face", "leave --only out"),
    ],
)
def test_what_is_no_label_is_refused(only, message):
    with pytest.raises(ConventionError, match=message):
        wanted_labels([only], FER2013_LABELS)


def test_every_label_of_both_datasets_has_an_emoji_of_its_own():
    for labels in (AFFECTNET_LABELS, FER2013_LABELS):
        marks = [emoji_of(label) for label in (*labels, "several faces", "no face", "unreadable")]
        assert len(set(marks)) == len(marks)
    assert emoji_of("anger") == emoji_of("angry")
    assert emoji_of("bored") == emoji_of("output 3") not in marks


@given(st.text(st.characters(exclude_categories=())))
def test_a_shown_name_is_one_harmless_line(text):
    shown = shown_name(text)
    assert len(shown) == len(text)
    assert not set(shown) & set("\x00\x07\x1b\n\r\x85\x9b\u2028\u202e")
    assert len(shown.splitlines()) <= 1
    shown.encode("utf-8")
    assert shown_name(shown) == shown


MADE_WITH = MadeWith(
    model="m.tflite", model_sha256="0" * 64, labels=("happy", "sad"), stated="", way="faster",
    ways={"bitmap": "scaled"}, detector="haar", detector_sha256="", threads=1, fer_opt_version="1",
)  # fmt: skip

NAMES = st.characters(exclude_categories=["Cs"], exclude_characters="\0/") | st.sampled_from(
    [chr(number) for number in range(0xDC80, 0xDD00)]  # what bytes that are no UTF-8 become
)
boxes = st.tuples(*(st.integers(0, 9999) for _ in range(4)))
times = st.floats(0, 1e6)
photo_results = st.builds(
    PhotoResult,
    photo=st.text(NAMES, min_size=1, max_size=20),
    outcome=st.sampled_from(["one face", "no face", "several faces", "unreadable"]),
    reason=st.text(st.characters(), max_size=20),
    width=st.integers(0, 99999),
    height=st.integers(0, 99999),
    faces=st.lists(boxes, max_size=3).map(tuple),
    label=st.sampled_from(["", "happy", "sad"]),
    confidence=st.none() | st.floats(0, 1),
    probabilities=st.just(()) | st.tuples(st.floats(0, 1), st.floats(0, 1)),
    stages_ms=st.dictionaries(st.sampled_from(["bitmap", "detect"]), times),
    total_ms=times,
)


@settings(max_examples=40)
@given(results=st.lists(photo_results, max_size=6, unique_by=lambda one: one.photo), cut=st.data())
def test_results_come_back_as_they_were_wherever_the_file_is_cut(tmp_path_factory, results, cut):
    folder = tmp_path_factory.mktemp("store")
    with open_store(folder, MADE_WITH, fresh=False) as store:
        for result in results:
            store.add(result, (1, 2))
    with open_store(folder, MADE_WITH, fresh=False) as store:
        assert [store.find(result.photo) for result in results] == results
    path = folder / STORE_NAME
    whole = path.read_bytes()
    place = cut.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:place])
    with open_store(folder, MADE_WITH, fresh=False) as store:
        kept = [result for result in results if result.photo in store]
        assert [store.find(result.photo) for result in kept] == kept
        assert len(kept) == max(0, whole[:place].count(b"\n") - 1)
        for result in results[len(kept) :]:
            store.add(result, (1, 2))
    assert path.read_bytes() == whole


def test_results_of_something_else_are_refused_with_what_differs(tmp_path):
    with open_store(tmp_path, MADE_WITH, fresh=False):
        pass
    for change, message in [
        ({"model_sha256": "1" * 64}, r"another model \(m.tflite, SHA-256 000000000000…\)"),
        ({"way": "thesis"}, "--way faster"),
        ({"threads": 2}, "--threads 1"),
        ({"detector": "d.tflite", "detector_sha256": "2"}, "--detector haar"),
        ({"stated": "0 to 1, bilinear"}, "another statement"),
        ({"fer_opt_version": "2"}, "fer-opt 1"),
    ]:
        with (
            pytest.raises(ExperimentError, match=message),
            open_store(tmp_path, replace(MADE_WITH, **change), fresh=False),
        ):
            pass
    with open_store(tmp_path, replace(MADE_WITH, model="renamed.tflite"), fresh=False):
        pass


def test_the_ready_ways_are_told_apart(tmp_path):
    (tmp_path / "m").write_bytes(b"m")
    thesis, faster = (describe(tmp_path / "m", ("a", "b"), w, 1) for w in (THESIS, FASTER))
    assert thesis.differences_from(faster) == "--way thesis"
    assert not thesis.differences_from(thesis)


def test_the_tally_tells_the_figures_of_table_8():
    tally = Tally()
    for ms in (1.0, 2.0, 3.0, 10.0):
        stages = {"bitmap": ms, "detect": 2 * ms}
        tally.add(PhotoResult("p", "no face", stages_ms=stages, total_ms=3 * ms))
    tally.add(PhotoResult("q", "unreadable", "q is bad.", total_ms=99.0))
    bitmap, detect, total = tally.stages()
    assert (bitmap.stage, detect.stage, total.stage) == ("bitmap", "detect", "total")
    assert (bitmap.photos, bitmap.mean_ms, bitmap.median_ms, bitmap.max_ms) == (4, 4, 2.5, 10)
    assert bitmap.sd_ms == pytest.approx(statistics.stdev([1, 2, 3, 10]))
    assert total.mean_ms == 12
    assert tally.labels == {"no face": 4, "unreadable": 1}


def test_saved_json_is_json_however_many_photos_there_are(tmp_path):
    for count in (0, 1, 3):
        results = [PhotoResult(f"{k}", "no face") for k in range(count)]
        write_json(tmp_path / "r.json", MADE_WITH, {"complete": True}, results)
        saved = json.loads((tmp_path / "r.json").read_text())
        assert [one["photo"] for one in saved["photos"]] == ["0", "1", "2"][:count]
        assert filed_under(PhotoResult("p", "one face", label="happy")) == "happy"


def test_thumbnails_shrink_and_never_grow_and_show_the_face(tmp_path):
    portrait(0.5, 400).save(tmp_path / "big.jpg")
    portrait(0.5, 100).save(tmp_path / "small.png")
    big, small = (make_thumbnail(tmp_path / name, 224) for name in ("big.jpg", "small.png"))
    assert (big.width, big.height) == (224, 224)
    assert (small.width, small.height) == (100, 100)
    assert len(big.address) < 40_000
    assert make_thumbnail(tmp_path / "gone.jpg", 224) is None
    wide = portrait(0.5, 400).resize((2000, 100))
    wide.save(tmp_path / "wide.jpg")
    panorama = make_thumbnail(tmp_path / "wide.jpg", 224)
    assert panorama.width == 448
    result = PhotoResult(str(tmp_path / "wide.jpg"), "one face", width=2000, height=100)
    left = tile_of(replace(result, faces=((10, 10, 60, 60),)), 224)
    right = tile_of(replace(result, faces=((1900, 10, 60, 60),)), 224)
    assert (left.focus, right.focus) == ("x0 y5", "x10 y5")
