"""What results of photos were made with, so that unlike ones are never mixed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import fer_opt
from fer_opt.convention import InputConvention
from fer_opt.files import sha256_of
from fer_opt.stages.ways import PipelineWays

__all__ = ["MadeWith", "describe"]


@dataclass(frozen=True, slots=True)
class MadeWith:
    """A pipeline, by what its results depend on.

    Attributes:
        model: the classifier's file name.
        model_sha256: of that file.
        labels: of the classifier, in the order of probabilities.
        stated: what the user said of the classifier's input, in words; empty where its file says.
        way: name of the pipeline's ways.
        ways: what they are; see :class:`fer_opt.stages.PipelineWays`.
        detector: ``haar``, or the file name of a TFLite detector.
        detector_sha256: of that file; empty for ``haar``.
        threads: of detector and classifier.
        fer_opt_version: that classified.
    """

    model: str
    model_sha256: str
    labels: tuple[str, ...]
    stated: str
    way: str
    ways: dict[str, str | int | float | bool | None]
    detector: str
    detector_sha256: str
    threads: int
    fer_opt_version: str

    def differences_from(self, other: MadeWith) -> str:
        """In which ways this is another one than ``other``, in words; empty where in none."""
        words = []
        if self.model_sha256 != other.model_sha256:
            words.append(f"another model ({self.model}, SHA-256 {self.model_sha256[:12]}…)")
        elif (self.labels, self.stated) != (other.labels, other.stated):
            words.append(f"another statement of the model's input ({self.stated or 'its own'})")
        if (self.detector, self.detector_sha256) != (other.detector, other.detector_sha256):
            words.append(f"--detector {self.detector}")
        if (self.way, self.ways) != (other.way, other.ways):
            words.append(f"--way {self.way}")
        if self.threads != other.threads:
            words.append(f"--threads {self.threads}")
        if self.fer_opt_version != other.fer_opt_version:
            words.append(f"fer-opt {self.fer_opt_version}")
        return " and ".join(words)


def describe(
    model: Path,
    labels: tuple[str, ...],
    ways: PipelineWays,
    threads: int,
    stated: InputConvention | None = None,
) -> MadeWith:
    """What results are made with; all files have been opened before and are there."""
    parts = asdict(ways)
    haar = ways.detector == "haar"
    return MadeWith(
        model=model.name,
        model_sha256=sha256_of(model),
        labels=labels,
        stated="" if stated is None else _in_words(stated),
        way=ways.name,
        ways={key: value for key, value in parts.items() if key not in ("name", "detector")},
        detector="haar" if haar else Path(ways.detector).name,
        detector_sha256="" if haar else sha256_of(Path(ways.detector)),
        threads=threads,
        fer_opt_version=fer_opt.__version__,
    )


def _in_words(stated: InputConvention) -> str:
    steps = "".join(f", {step}" for step in stated.preprocessing)
    return f"{stated.low:g} to {stated.high:g}, {stated.interpolation}{steps}"
