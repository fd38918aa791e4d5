"""The architectures of the thesis's section 3 and Table 5.

What they are is data that loads at once; TensorFlow is imported only when one is built.
"""

from __future__ import annotations

from fer_opt.models.building import build
from fer_opt.models.catalogue import ARCHITECTURES, NAMES, Architecture, architecture

__all__ = ["ARCHITECTURES", "NAMES", "Architecture", "architecture", "build"]
