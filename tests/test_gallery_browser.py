"""The gallery in a real browser: filters by mouse and keyboard, the large view, and no requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import NEEDS_CHROMIUM, Page, open_page
from photo_folders import HOSTILE_NAME, SHOWN, brightness_model, write_photos

from fer_opt.experiment.classifying import ClassifyRequest, classify_photos, saved_results
from fer_opt.stages import FASTER
from fer_opt.stages.gallery import GalleryFacts, write_gallery
from fer_opt.stages.photos.tally import Tally

pytestmark = NEEDS_CHROMIUM

READABLE = {name: label for name, label in SHOWN.items() if label != "unreadable"}
NAMES = "[...document.querySelectorAll('#photos li:not([hidden]) .name')].map(e => e.textContent)"
FOCUS = "document.activeElement.dataset.label || document.activeElement.id"
PRESSED = "[...document.querySelectorAll('[aria-pressed=true]')].map(e => e.dataset.label || e.id)"
STATUS = "document.getElementById('status').textContent"


def named(*labels: str) -> list[str]:
    """File names of the photos with these labels, or of all that are readable."""
    return [Path(name).name for name, label in READABLE.items() if not labels or label in labels]


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    write_photos(folder / "photos")
    brightness_model(folder)
    return folder


def request(material: Path, **more: object) -> ClassifyRequest:
    model = material / "bright.tflite"
    return ClassifyRequest((material / "photos",), model, FASTER, material / "out", **more)


def made(material: Path, path: Path, **more: object) -> Path:
    """A gallery of the photos at ``path``."""
    classify_photos(request(material, gallery=path, **more))
    return path


@pytest.fixture(scope="module")
def gallery(material) -> Path:
    return made(material, material / "page.html")


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Page]:
    with open_page(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser, gallery, _quiet) -> Page:
    """The gallery, freshly opened."""
    browser.open(gallery)
    return browser


@pytest.fixture(autouse=True)
def _quiet(browser) -> Iterator[None]:
    """Whatever a test does, the console says nothing and nothing is loaded but the page."""
    browser.console.clear()
    browser.requests.clear()
    yield
    assert browser.console == []
    loaded = [address for address in browser.requests if not address.startswith("data:image/jpeg")]
    assert all(address.startswith("file:") for address in loaded)
    assert len(set(loaded)) == 1  # the page itself


def test_every_photo_has_a_picture_its_label_its_emoji_and_its_confidence(page):
    assert page.run(NAMES) == named()
    tiles = page.run(
        "[...document.querySelectorAll('#photos li')].map(e => [e.dataset.label,"
        "e.querySelector('.caption').innerText.replace(/\\s+/g, ' ')])"
    )
    assert [label for label, _ in tiles] == list(READABLE.values())
    for label, caption in tiles:
        mark = {"fear": "😨", "happy": "😀", "sad": "😢", "surprise": "😮",
                "several faces": "👥", "no face": "🌄"}[label]  # fmt: skip
        sure = "" if label in ("several faces", "no face") else r" \d+ %"
        assert re.fullmatch(f"{mark} {label}{sure}", caption)
    sizes = page.run(
        "Promise.all([...document.images].filter(i => i.src).map(i =>"
        "i.decode().then(() => [i.naturalWidth, i.naturalHeight])))"
    )
    assert len(sizes) == len(READABLE)
    assert sizes[named().index("turned.jpg")] == [360, 240]  # upright


def test_unreadable_files_stand_at_the_end_with_their_reason(page):
    text = page.run("document.getElementById('unreadable').innerText")
    assert "2 files could not be read" in text
    assert "torn.jpg is a damaged image" in text
    assert "words.jpg is no image" in text


def test_filters_count_and_toggle_by_mouse(page):
    counts = dict(
        page.run(
            "[...document.querySelectorAll('#filters button')].map(b =>"
            "[b.dataset.label || b.id, Number(b.querySelector('.count').textContent)])"
        )
    )
    assert counts == {
        "all": 10, "neutral": 0, "happy": 2, "sad": 1, "surprise": 1, "fear": 4, "disgust": 0,
        "anger": 0, "contempt": 0, "several faces": 1,
    }  # fmt: skip
    assert page.run(PRESSED) == ["all"]
    page.click("[data-label=happy]")
    assert page.run(PRESSED) == ["happy"]
    assert page.run(NAMES) == named("happy")
    assert page.run(STATUS) == "2 of 10 photos: happy."
    assert page.run("document.getElementById('unreadable').hidden")
    page.click("[data-label='several faces']")
    assert page.run(NAMES) == named("happy", "several faces")
    assert page.run(STATUS) == "3 of 10 photos: happy or several faces."
    page.click("[data-label=happy]")
    assert page.run(NAMES) == named("several faces")
    page.click("#all")
    assert page.run(PRESSED) == ["all"]
    assert page.run(NAMES) == named()
    assert not page.run("document.getElementById('unreadable').hidden")
    page.click("[data-label=disgust]")  # none shows it
    assert page.run(PRESSED) == ["all"]


def test_no_combination_of_filters_shows_a_photo_without_a_face(page):
    for label in ("happy", "sad", "surprise", "fear", "several faces"):
        page.click(f"[data-label='{label}']")
    assert page.run(NAMES) == [name for name in named() if name != "wall.bmp"]


def test_everything_works_by_keyboard_alone(page):
    def tab_to(wanted: str) -> None:
        for _ in range(20):
            page.press("Tab")
            if page.run(FOCUS) == wanted:
                return
        raise AssertionError(f"Tab does not reach {wanted}")

    tab_to("happy")
    ring = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.run(ring) == "solid"
    page.press("Enter")
    assert page.run(NAMES) == named("happy")
    tab_to("sad")
    page.press(" ")
    assert page.run(NAMES) == named("happy", "sad")
    page.press(" ")
    assert page.run(NAMES) == named("happy")
    page.press("ArrowRight")
    assert page.run(FOCUS) == "surprise"
    page.press("End")
    assert page.run(FOCUS) == "several faces"
    page.press("Home")
    assert page.run(FOCUS) == "all"
    page.press("Enter")
    assert page.run(NAMES) == named()
    page.press("ArrowRight")
    assert page.run(FOCUS) == "happy"  # neutral has no photo
    page.press("Enter")
    page.press("Escape")
    assert page.run(NAMES) == named()


def test_a_photo_opens_large_with_its_details_and_closes_where_it_was(page):
    page.click("[data-label=happy]")
    page.click("#photos li:not([hidden]) button")
    shown = "document.getElementById('photo').open"
    assert page.run(shown)
    text = page.run("document.getElementById('photo').innerText")
    assert "one0.jpg, 240 × 240 pixels" in text
    for label in ("neutral", "contempt"):
        assert re.search(rf"{label}\s+\d+\.\d\s%", text)
    assert re.search(r"bitmap\s+[\d.]+\sms", text)
    assert re.search(r"total\s+[\d.]+\sms", text)
    assert page.run("document.querySelectorAll('#photo-faces rect').length") == 1
    page.press("ArrowRight", 3)  # there are two, and it stays at the last
    assert "one1.jpg" in page.run("document.getElementById('photo-name').textContent")
    page.press("Escape")
    assert not page.run(shown)
    assert page.run("document.activeElement.querySelector('.name').textContent") == "one1.jpg"
    assert page.run(NAMES) == named("happy")  # Escape closed the photo, not the filter
    page.click("#all")
    page.click("[data-label='several faces']")
    page.click("#photos li:not([hidden]) button")
    assert "2 faces were found" in page.run("document.getElementById('photo').innerText")
    assert page.run("document.querySelectorAll('#photo-faces rect').length") == 2
    assert page.run("document.getElementById('photo-probabilities').hidden")
    page.click("#close")
    assert not page.run(shown)


def test_arrow_keys_move_among_the_photos(page):
    page.run("document.querySelector('#photos button').focus()")
    at = "[...document.querySelectorAll('#photos button')].indexOf(document.activeElement)"
    page.press("ArrowRight", 2)
    assert page.run(at) == 2
    page.press("ArrowDown")
    columns = page.run(
        "getComputedStyle(document.getElementById('photos')).gridTemplateColumns.split(' ').length"
    )
    assert page.run(at) == 2 + columns
    page.press("Enter")
    assert page.run("document.getElementById('photo').open")


def test_names_are_text_and_foreign_code_does_not_run(page, gallery):
    page.click("#photos button")  # the hostile one comes first
    assert page.run("document.title").startswith("10 photos by expression")
    assert HOSTILE_NAME in page.run("document.getElementById('photo-name').textContent")
    assert page.run("document.images.length") == len(READABLE) + 1
    source = gallery.read_text(encoding="utf-8")
    assert "<img src=x" not in source
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', source)[1]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


def test_a_limited_gallery_holds_what_was_asked_for(material, browser):
    path = made(material, material / "only.html", only=("sad", "contempt"))
    browser.open(path)
    assert browser.run(NAMES) == named("sad")
    buttons = "[...document.querySelectorAll('#filters [data-label]')].map(b => b.dataset.label)"
    assert browser.run(buttons) == ["sad", "contempt"]
    assert browser.run(STATUS) == "1 of 12 photos: those that show sad or contempt."
    assert browser.run("document.getElementById('unreadable')") is None
    made(material, path, only=("contempt",))
    browser.open(path)
    assert browser.run(STATUS) == "No photo of 12 shows contempt."


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_it_fits_the_screen_and_can_be_read(browser, gallery, width, dark):
    browser.open(gallery, width=width, height=800, dark=dark)
    assert browser.run("document.documentElement.scrollWidth") == width
    assert browser.run(CONTRASTS) >= 4.5  # WCAG 2.2, 1.4.3
    browser.click("[data-label=happy]")
    assert browser.run(CONTRASTS) >= 4.5
    browser.click("#photos li:not([hidden]) button")
    box = browser.run(
        "(({left, right, top, bottom}) => [left, right, top, bottom])"
        "(document.getElementById('photo').getBoundingClientRect())"
    )
    assert 0 <= box[0] < box[1] <= width
    assert 0 <= box[2] < box[3] <= 800
    backdrop = browser.run("getComputedStyle(document.body).backgroundColor")
    assert backdrop == ("rgb(16, 20, 24)" if dark else "rgb(246, 247, 249)")


CONTRASTS = """(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255)
      .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parts(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll("body *")].filter((e) =>
    e.checkVisibility() && !e.closest("[disabled], .emoji, .skip, script")
    && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()));
  return Math.min(...texts.map((e) => {
    const [a, b] = [light(parts(getComputedStyle(e).color)), light(behind(e))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }));
})()"""


@pytest.mark.slow
def test_a_thousand_photos_open_and_filter_at_once(material, browser, tmp_path):
    done = classify_photos(request(material))
    some = list(saved_results(done, material / "out"))
    some = [result for result in some if result.outcome != "unreadable"]
    tally = Tally()
    for number in range(1000):
        tally.add(some[number % len(some)])
    page = tmp_path / "page.html"
    write_gallery(
        page,
        lambda: (some[number % len(some)] for number in range(1000)),
        GalleryFacts(done.made_with, (), tally),
    )
    browser.open(page)
    assert browser.run(STATUS) == "All 1,000 photos."
    browser.click("[data-label=sad]")
    assert browser.run("document.querySelectorAll('#photos li:not([hidden])').length") == 100
    assert browser.run(STATUS) == "100 of 1,000 photos: sad."
