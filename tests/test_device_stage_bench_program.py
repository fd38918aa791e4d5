"""stage_bench against files that are no photos, damaged photos, and wrong command lines."""

from __future__ import annotations

import os
import random
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from stage_bench_builds import NATIVE, PHOTOS, SOURCES, ask, built, decoded

PHOTO = PHOTOS[0].read_bytes()


@pytest.fixture(scope="module")
def native() -> list[str]:
    return built(NATIVE)


def frame_of(photo: bytes) -> int:
    """Where the height of a baseline JPEG stands."""
    found = re.search(rb"\xff\xc0\x00\x11\x08", photo)
    assert found is not None
    return found.end()


def with_size(photo: bytes, width: int, height: int) -> bytes:
    at = frame_of(photo)
    return photo[:at] + struct.pack(">HH", height, width) + photo[at + 4 :]


def with_exif(exif: bytes, marker: bytes = b"Exif\0\0") -> bytes:
    content = marker + exif
    return PHOTO[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + PHOTO[2:]


BAD = {
    "empty": (b"", "is empty"),
    "text": (b"Hello, I am a photo.", "is no JPEG"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(50), "is no JPEG"),
    "only the start": (PHOTO[:3], "is cut short"),
    "half": (PHOTO[: len(PHOTO) // 2], "is cut short"),
    "no picture": (b"\xff\xd8\xff\xd9", "is a damaged JPEG"),
    "huge": (with_size(PHOTO, 65000, 65000), "more than fit in the 512 MB of --memory_mb"),
    "no width": (with_size(PHOTO, 0, 100), "is a damaged JPEG"),
    "twelve bits": (
        PHOTO[: frame_of(PHOTO) - 1] + b"\x0c" + PHOTO[frame_of(PHOTO) :], "is a damaged JPEG"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(BAD))
def test_a_bad_file_is_named_and_the_others_are_timed(
    native: list[str], tmp_path: Path, kind: str
) -> None:
    content, reason = BAD[kind]
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(content)
    said = ask(native, "--runs", "2", bad, PHOTOS[0])
    assert said.status == 1
    assert reason in said.error()
    assert "ms" not in said.of(0)["error"]
    assert len([row for row in said.rows if row.get("order") == 0]) == 1
    assert len([row for row in said.rows if row.get("order") == 1]) == 9
    assert said.rows[-1] == {"end": 4}


def test_what_is_not_there_or_no_file_is_named(native: list[str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    said = ask(native, tmp_path / "missing.jpg", tmp_path, tmp_path / "pipe", "/dev/zero")
    reasons = [said.error(order) for order in range(4)]
    assert reasons == ["is missing", "is a folder", "is no regular file", "is no regular file"]
    assert said.status == 1


def test_a_photo_may_take_no_more_memory_than_allowed(native: list[str], tmp_path: Path) -> None:
    progressive = tmp_path / "progressive.jpg"
    with Image.open(PHOTOS[0]) as file:
        file.resize((2000, 1500)).save(progressive, progressive=True)
    assert ask(native, "--memory_mb", "40", "--crop", "none", progressive).status == 0
    # Its pixels are 9 MB, the coefficients of a progressive one as much again.
    said = ask(native, "--memory_mb", "14", "--crop", "none", progressive)
    assert said.error() == "needs more memory to be decoded than --memory_mb allows"
    said = ask(native, "--memory_mb", "8", "--crop", "none", progressive)
    assert "has 2000 x 1500 pixels" in said.error()
    # A quarter of each side needs a sixteenth of the pixels.
    assert ask(native, "--memory_mb", "14", "--scale", "4", "--crop", "none", PHOTOS[0]).status == 0


def test_it_is_cut_short_where_pillow_says_so(native: list[str], tmp_path: Path) -> None:
    words: list[Path] = []
    lengths = [*range(len(PHOTO) - 12, len(PHOTO) + 1), *range(600, len(PHOTO), 9000)]
    for length in lengths:
        words.append(tmp_path / f"{length}.jpg")
        words[-1].write_bytes(PHOTO[:length])
    said = ask(native, "--runs", "1", "--crop", "none", *words)
    for order, photo in enumerate(words):
        try:
            decoded(photo)
        except OSError:
            assert said.error(order), photo
        else:
            assert not said.error(order), photo


TYPES = {1: ("B", 4), 3: ("H", 2), 4: ("I", 1)}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", sorted(TYPES))
@pytest.mark.parametrize("place", ["exif", "exif twice", "behind others"])
def test_orientation_is_read_however_it_is_written(
    native: list[str], tmp_path: Path, order: str, kind: int, place: str
) -> None:
    letter, repeats = TYPES[kind]
    others = 3 if place == "behind others" else 0
    paths = []
    for turn in range(10):
        entries = b"".join(
            struct.pack(order + "HHI4s", 0x0100 + at, 2, 2, b"a\0") for at in range(others)
        )
        entries += struct.pack(order + "HHI" + letter * repeats, 0x0112, kind, 1, turn,
                               *[0] * (repeats - 1))  # fmt: skip
        head = b"II*\0" if order == "<" else b"MM\0*"
        exif = head + struct.pack(order + "IH", 8, others + 1) + entries + bytes(4)
        marker = b"Exif\0\0" * (2 if place == "exif twice" else 1)
        paths.append(tmp_path / f"{turn}.jpg")
        paths[-1].write_bytes(with_exif(exif, marker))
    said = ask(native, "--runs", "1", "--crop", "none", *paths)
    found = [said.of(at)["bitmap"]["orientation"] for at in range(10)]
    assert found == [1, 1, 2, 3, 4, 5, 6, 7, 8, 1]


@pytest.mark.parametrize(
    ("packet", "turn"),
    [
        ('<rdf tiff:Orientation="6"/>', 6),
        ("<tiff:Orientation>8</tiff:Orientation>", 8),
        ('<rdf tiff:Orientation="', 1),
        ("<tiff:Orientation>", 1),
        ('tiff:Orientation="9"', 1),
    ],
)
def test_orientation_of_an_xmp_packet_counts_where_exif_has_none(
    native: list[str], tmp_path: Path, packet: str, turn: int
) -> None:
    photo = tmp_path / "xmp.jpg"
    photo.write_bytes(with_exif(packet.encode(), b"http://ns.adobe.com/xap/1.0/\0"))
    said = ask(native, "--runs", "1", "--crop", "none", photo)
    assert said.of(0)["bitmap"]["orientation"] == turn
    assert decoded(photo).shape[:2] == (
        said.of(0)["bitmap"]["height"], said.of(0)["bitmap"]["width"]
    )  # fmt: skip


HARNESS = """
#include <stdio.h>
#include <stdlib.h>
#include "orientation.h"
int main(void) {
  unsigned size;
  while (fread(&size, sizeof size, 1, stdin) == 1) {
    unsigned char *data = malloc(size ? size : 1); /* exactly so much, so that overreads show */
    if (fread(data, 1, size, stdin) != size) return 3;
    printf("%d %d\\n", orientation_of_exif(data, size), orientation_of_xmp(data, size));
    free(data);
  }
  return 0;
}
"""


def test_metadata_of_any_bytes_is_read_within_its_bounds(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler with a sanitizer")
    (tmp_path / "harness.c").write_text(HARNESS)
    made = subprocess.run(
        [compiler, "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
         f"-I{SOURCES}", "harness.c", str(SOURCES / "orientation.c"), "-o", "harness"],
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("the C compiler has no sanitizer")
    dice = random.Random(11)
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    seeds = [
        b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4),
        b"Exif\0\0Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 5, 0, 0),
        b'http://ns.adobe.com/xap/1.0/\0<a tiff:Orientation="6"/><tiff:Orientation>3<',
    ]
    payloads = [seed[:length] for seed in seeds for length in range(len(seed) + 1)]
    for _ in range(20000):
        payload = bytearray(dice.choice(seeds))
        for _ in range(dice.choice((1, 1, 2, 8))):
            payload[dice.randrange(len(payload))] = dice.choice((0, 1, 8, 255, dice.randrange(256)))
        payloads.append(bytes(payload[: dice.choice((len(payload), dice.randrange(len(payload))))]))
    done = subprocess.run(
        [str(tmp_path / "harness")],
        input=b"".join(struct.pack("=I", len(one)) + one for one in payloads),
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.stderr == b""
    assert done.returncode == 0
    found = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(found) == len(payloads)
    assert all(0 <= number <= 8 for pair in found for number in pair)
    assert {pair[0] for pair in found} >= {0, 5, 6}
    assert {pair[1] for pair in found} >= {0, 3, 6}


def test_damaged_photos_never_end_it(native: list[str], tmp_path: Path) -> None:
    small = tmp_path / "small.jpg"
    progressive = tmp_path / "progressive.jpg"
    with Image.open(PHOTOS[1]) as file:
        file.resize((90, 61)).save(small, exif=Image.Exif())
        file.resize((61, 90)).save(progressive, progressive=True)
    dice = random.Random(5)
    words: list[str | Path] = []
    for number in range(400):
        photo = bytearray(dice.choice((small, progressive)).read_bytes())
        for _ in range(dice.choice((1, 2, 5, 50))):
            end = len(photo) if dice.random() < 0.5 else min(700, len(photo))
            photo[dice.randrange(end)] = dice.choice((0, 255, 0xD8, dice.randrange(256)))
        if dice.random() < 0.3:
            del photo[dice.randrange(1, len(photo)) :]
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(photo)
        words += ["--scale", dice.choice("1248"), "--crop", dice.choice(("all", "none", "9,9,9,9"))]
        words.append(path)
    said = ask(native, "--runs", "1", "--warm_up", "0", "--size", "48x48", *words)
    assert {row["order"] for row in said.rows[1:-1]} == set(range(400))
    assert said.status == 1
    assert 0 < sum("error" in row for row in said.rows) < 400


def test_any_name_of_a_file_comes_back(native: list[str], tmp_path: Path) -> None:
    names = [
        '"; rm -rf $HOME; ".jpg',
        "üß 😀\n\t\\.jpg",
        "--help",
        os.fsdecode(b"\xff\xe2\x82.jpg"),
    ]
    for name in names:
        (tmp_path / name).write_bytes(PHOTO)
    done = ask(native, "--runs", "1", "--warm_up", "0", "--in", tmp_path, "--", *names)
    assert done.status == 0
    assert [done.of(order)["bitmap"]["photo"] for order in range(len(names))] == names


def test_a_dump_that_cannot_be_written_is_an_error(native: list[str], tmp_path: Path) -> None:
    said = ask(native, "--runs", "1", "--dump", tmp_path / "missing", PHOTOS[0])
    assert "has a dump that cannot be written" in said.error()
    assert said.status == 1


def test_help_and_version_are_told(native: list[str]) -> None:
    done = subprocess.run([*native, "--help"], capture_output=True, text=True, check=True)
    for option in ("--runs", "--warm_up", "--size", "--channels", "--range", "--memory_mb",
                   "--dump", "--in", "--scale", "--crop"):  # fmt: skip
        assert option in done.stdout
    done = subprocess.run([*native, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(
        rf"stage_bench format 1, libjpeg-turbo 2\.1\.\d+, SIMD: \w+, {NATIVE}\n", done.stdout
    )


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--runs"],
        ["--runs", "0", "a.jpg"],
        ["--runs", "2x", "a.jpg"],
        ["--runs", "-1", "a.jpg"],
        ["--runs", "99999999999999999999", "a.jpg"],
        ["--size", "224", "a.jpg"],
        ["--size", "0x5", "a.jpg"],
        ["--scale", "3", "a.jpg"],
        ["--crop", "1,2,3", "a.jpg"],
        ["--crop", "1,2,0,4", "a.jpg"],
        ["--crop", "1,2,3,4,", "a.jpg"],
        ["--channels", "2", "a.jpg"],
        ["--range", "1,0", "a.jpg"],
        ["--range", "nan,1", "a.jpg"],
        ["--memory_mb", "0", "a.jpg"],
        ["--colour", "a.jpg"],
    ],
)
def test_a_wrong_command_line_is_one_sentence(native: list[str], words: list[str]) -> None:
    said = ask(native, *words)
    assert said.status == 2
    assert [list(row) for row in said.rows] == [["error"]]
    assert said.rows[0]["error"].endswith("see --help.")


def test_passes_and_photos_are_counted(native: list[str]) -> None:
    said = ask(native, "--runs", "3", "--warm_up", "2", PHOTOS[0], "--crop", "none", PHOTOS[1])
    bitmaps = [row for row in said.rows if row.get("stage") == "bitmap"]
    assert [(row["pass"], row["order"]) for row in bitmaps] == [
        (index, order) for index in range(5) for order in range(2)
    ]
    assert [row["warm_up"] for row in bitmaps] == [True] * 4 + [False] * 6
    assert all(row["ms"] > 0 for row in said.rows[1:-1])
    assert [row["order"] for row in said.rows if row.get("stage") == "grey"] == [0] * 5
