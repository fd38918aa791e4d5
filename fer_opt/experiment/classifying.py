"""The story of ``fer-opt classify``: photos in, what each shows out, at any time to be gone on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fer_opt.errors import ModelError, OutputError
from fer_opt.experiment.classifying_pipeline import open_described
from fer_opt.experiment.folder import locked
from fer_opt.experiment.specification import InputSection
from fer_opt.files import make_folder
from fer_opt.progress import SILENT, Progress
from fer_opt.stages import Pipeline, PipelineWays
from fer_opt.stages.gallery import GalleryFacts, write_gallery
from fer_opt.stages.photos.finding import FoundPhotos, find_photos
from fer_opt.stages.photos.made_with import MadeWith
from fer_opt.stages.photos.naming import is_wanted, shown_name, wanted_labels
from fer_opt.stages.photos.store import STORE_NAME, ResultStore, looks_of, open_store
from fer_opt.stages.photos.tables import CSV_NAME, JSON_NAME, write_csv, write_json
from fer_opt.stages.photos.tally import Tally
from fer_opt.stages.result import PhotoResult

__all__ = ["Classified", "ClassifyRequest", "classify_photos", "saved_results"]


@dataclass(frozen=True, slots=True)
class ClassifyRequest:
    """What to classify, with what, and where to.

    Attributes:
        named: photos, and folders that hold some.
        model: the classifier, a .tflite file.
        ways: how the stages are carried out.
        out: folder of the results.
        threads: of detector and classifier.
        only: labels to show; empty shows every photo.
        gallery: page to write; None writes none.
        fresh: forget what ``out`` holds.
        stated: what the user says of the model's input, where its file does not.
    """

    named: tuple[Path, ...]
    model: Path
    ways: PipelineWays
    out: Path
    threads: int = 1
    only: tuple[str, ...] = ()
    gallery: Path | None = None
    fresh: bool = False
    stated: InputSection = field(default_factory=InputSection)


@dataclass(frozen=True, slots=True)
class Classified:
    """What came of it; the results themselves are read from the store, one by one.

    Attributes:
        made_with: what the results were made with.
        only: the labels asked for, in the model's spelling; empty for all.
        tally: of every photo, whatever was asked for.
        shown: how many photos are of the labels asked for.
        known_before: photos whose results were there from an earlier run.
        found: the photos, and what was left out.
        files: that were written.
    """

    made_with: MadeWith
    only: tuple[str, ...]
    tally: Tally
    shown: int
    known_before: int
    found: FoundPhotos
    files: tuple[Path, ...]


def classify_photos(
    request: ClassifyRequest,
    on_result: Callable[[PhotoResult], None] = lambda _: None,
    progress: Progress = SILENT,
) -> Classified:
    """Classify every photo that is not known yet, and write ``results.json``, ``.csv``, a gallery.

    Each result is in ``results.jsonl`` before the next photo is begun, so that the same request
    goes on after the last one. A photo that cannot be read is a result, not an error.

    Args:
        request: what to do.
        on_result: is called with each result of the labels asked for, in the order of the photos.
        progress: is told how it goes.

    Raises:
        DatasetError: a path does not exist, or there is no photo.
        ModelError: classifier or detector cannot be read, or the classifier gives no numbers.
        ConventionError: what the classifier expects is unknown, or a label asked for is not its.
        ExperimentError: ``out`` holds other results, or is in use.
        OutputError: a file cannot be written.
    """
    _check_gallery(request.gallery)
    found = find_photos(request.named)
    pipeline, made_with = open_described(
        request.model, request.ways, request.threads, request.stated, progress
    )
    only = wanted_labels(request.only, pipeline.labels)
    out = make_folder(request.out)
    if request.gallery is not None:
        make_folder(request.gallery.parent)
    with locked(out), open_store(out, made_with, fresh=request.fresh) as store:
        work = _Work(request, found.photos, only, made_with, store)
        work.tidy()
        try:
            work.classify(pipeline, on_result, progress)
        except KeyboardInterrupt:
            work.write_tables(complete=False)
            raise
        work.write_tables(complete=True)
        work.write_gallery(progress)
        return work.outcome(found)


def saved_results(classified: Classified, out: Path) -> Iterator[PhotoResult]:
    """The results of the labels asked for, in the order of the photos, one at a time.

    Raises:
        ExperimentError: ``out`` holds other results by now.
    """
    with open_store(out, classified.made_with, fresh=False) as store:
        for photo in classified.found.photos:
            result = store.find(photo)
            if is_wanted(result, classified.only):
                yield result


class _Work:
    """One command's photos and what is done with them."""

    def __init__(
        self,
        request: ClassifyRequest,
        photos: tuple[Path, ...],
        only: tuple[str, ...],
        made_with: MadeWith,
        store: ResultStore,
    ) -> None:
        self._request, self._photos, self._only = request, photos, only
        self._made_with, self._store = made_with, store
        self._tally, self._shown, self._known_before = Tally(), 0, 0

    def classify(
        self, pipeline: Pipeline, on_result: Callable[[PhotoResult], None], progress: Progress
    ) -> None:
        """Take each photo through the pipeline that is not known yet."""
        with progress.stage("Classifying", len(self._photos)) as advance:
            for photo in self._photos:
                if self._store.is_done(photo):
                    result = self._store.find(photo)
                    self._known_before += 1
                else:
                    looks = looks_of(photo)
                    result = _numbers(pipeline.classify(photo), self._request.model)
                    self._store.add(result, looks)
                self._tally.add(result)
                if is_wanted(result, self._only):
                    self._shown += 1
                    on_result(result)
                advance(1)

    def tidy(self) -> None:
        """Remove what a kill left half written, and tables of results that are forgotten now."""
        for name in (JSON_NAME, CSV_NAME):
            if self._request.fresh:
                (self._request.out / name).unlink(missing_ok=True)
            for half in self._request.out.glob(f".{name}.*"):
                half.unlink(missing_ok=True)

    def write_tables(self, *, complete: bool) -> None:
        """Write ``results.json`` and ``results.csv`` from what has been done."""
        summary = {
            "complete": complete,
            "photos_total": len(self._photos),
            "photos_done": self._tally.photos,
            "labels": dict(self._tally.labels.most_common()),
            "stages": [asdict(stage) for stage in self._tally.stages()],
        }
        out = self._request.out
        write_json(out / JSON_NAME, self._made_with, summary, self._results())
        write_csv(out / CSV_NAME, self._made_with, self._results())

    def write_gallery(self, progress: Progress) -> None:
        """Write the page, if one is wanted."""
        if self._request.gallery is None:
            return
        facts = GalleryFacts(self._made_with, self._only, self._tally)
        write_gallery(self._request.gallery, self._wanted, facts, progress)

    def outcome(self, found: FoundPhotos) -> Classified:
        """What came of it all."""
        out, gallery = self._request.out, self._request.gallery
        files = [out / JSON_NAME, out / CSV_NAME, out / STORE_NAME]
        return Classified(
            made_with=self._made_with,
            only=self._only,
            tally=self._tally,
            shown=self._shown,
            known_before=self._known_before,
            found=found,
            files=(*([] if gallery is None else [gallery]), *files),
        )

    def _results(self) -> Iterator[PhotoResult]:
        """Of the photos done so far, in their order; read one by one."""
        return (self._store.find(photo) for photo in self._photos[: self._tally.photos])

    def _wanted(self) -> Iterator[PhotoResult]:
        return (result for result in self._results() if is_wanted(result, self._only))


def _check_gallery(gallery: Path | None) -> None:
    """A page's name, or an OutputError: a photo that follows --gallery must not be overwritten."""
    if gallery is not None and gallery.suffix.lower() not in (".html", ".htm"):
        raise OutputError(
            f"--gallery {gallery} is no name for a page; name one that ends in .html."
        )


def _numbers(result: PhotoResult, model: Path) -> PhotoResult:
    """The result, or a ModelError where a probability is no number."""
    if not all(math.isfinite(share) for share in result.probabilities):
        raise ModelError(
            f"{model} gives no numbers (NaN) for {shown_name(result.photo)}; convert it again."
        )
    return result
