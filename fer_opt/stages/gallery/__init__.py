"""One offline page that shows photos by expression, as the thesis's app did."""

from __future__ import annotations

from fer_opt.stages.gallery.page import GalleryFacts, write_gallery

__all__ = ["GalleryFacts", "write_gallery"]
