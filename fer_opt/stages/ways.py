"""How a pipeline carries out its stages: the thesis's way, and a faster one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fer_opt.errors import ConventionError

__all__ = ["FASTER", "THESIS", "PipelineWays"]


@dataclass(frozen=True, slots=True)
class PipelineWays:
    """The parts of a pipeline; how the crop is prepared follows from the classifier's file.

    Attributes:
        name: what the pipeline is called.
        bitmap: ``full`` decodes every pixel; ``scaled`` lets the JPEG decoder shrink by 2, 4 or 8.
        bitmap_side: least longest side in pixels of a scaled bitmap; None takes the smallest that
            the detector and the classifier can use.
        detector: ``haar`` (OpenCV's frontal-face cascade) or a TFLite detector's file.
        detect_side: longest side in pixels of the image the cascade searches; None searches the
            whole bitmap. A TFLite detector has a size of its own.
        least_face: side of the smallest face the cascade seeks, as a share of the photo's longest
            side.
    """

    name: str = "custom"
    bitmap: Literal["full", "scaled"] = "full"
    bitmap_side: int | None = None
    detector: Literal["haar"] | Path = "haar"
    detect_side: int | None = None
    least_face: float = 1 / 64

    def __post_init__(self) -> None:
        sides = [side for side in (self.bitmap_side, self.detect_side) if side is not None]
        if any(side < 1 for side in sides) or not 0 < self.least_face <= 1:
            raise ConventionError(
                f"the pipeline {self.name} cannot have images of {sides} pixels and seek faces of "
                f"{self.least_face:g} of a photo; give pixels of 1 or more, and a share up to 1."
            )


THESIS = PipelineWays(name="thesis")
"""The thesis's app: every pixel decoded, faces sought in the whole photo, small ones too.

A 64th is 64 pixels of a 13-megapixel photo: about the least a classifier of 48x48 can use.
"""

FASTER = PipelineWays(name="faster", bitmap="scaled", detect_side=240, least_face=0.1)
"""The smallest bitmap that does, and faces of a tenth of the photo or more sought in 240 pixels.

240 / 10 is the cascade's own window, so that nothing smaller could be found; 200 pixels lose
faces of the built-in scenes, 320 find no more of them and take half as long again.
"""
