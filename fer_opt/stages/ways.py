"""How a pipeline carries out its stages: the thesis's way, and a faster one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["FASTER", "THESIS", "PipelineWays"]


@dataclass(frozen=True, slots=True)
class PipelineWays:
    """The parts of a pipeline; how the crop is prepared follows from the classifier's file.

    Attributes:
        name: what the pipeline is called.
        bitmap: ``full`` decodes every pixel; ``scaled`` lets the JPEG decoder shrink by 2, 4 or 8.
        bitmap_side: least longest side in pixels of a scaled bitmap.
        detector: ``haar`` (OpenCV's frontal-face cascade) or a TFLite detector's file.
        detect_side: longest side in pixels of the image the cascade searches; None searches the
            whole bitmap. A TFLite detector has a size of its own.
    """

    name: str = "custom"
    bitmap: Literal["full", "scaled"] = "full"
    bitmap_side: int = 480
    detector: Literal["haar"] | Path = "haar"
    detect_side: int | None = None


THESIS = PipelineWays(name="thesis")
"""The thesis's app: every pixel decoded, faces sought in the whole photo."""

FASTER = PipelineWays(name="faster", bitmap="scaled", detect_side=320)
"""The smallest bitmap JPEG's own scaling gives, and faces sought in a small image."""
