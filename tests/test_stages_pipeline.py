"""Photo in, expression out."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from stage_models import crop_model

from fer_opt.convention import AFFECTNET_LABELS
from fer_opt.stages import FASTER, THESIS, PipelineWays, open_pipeline


def packaged(package: str, *parts: str) -> Path:
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent.joinpath(*parts)


ASTRONAUT = packaged("skimage", "data", "astronaut.png")


@pytest.mark.parametrize("ways", [THESIS, FASTER], ids=lambda ways: ways.name)
def test_the_astronauts_one_face_is_found_and_classified(
    ways: PipelineWays, tmp_path: Path
) -> None:
    pipeline = open_pipeline(crop_model(tmp_path), ways=ways)
    result = pipeline.classify(ASTRONAUT)
    assert result.outcome == "one face"
    assert (result.width, result.height) == (512, 512)
    ((left, top, width, height),) = result.faces
    # Her eyes and mouth are within, her hair and the flag are not.
    assert 150 < left < 190
    assert 50 < top < 90
    assert 90 < width < 130
    assert 90 < height < 130
    assert result.label == AFFECTNET_LABELS[max(range(8), key=result.probabilities.__getitem__)]
    assert result.confidence == max(result.probabilities)
    assert list(result.stages_ms) == ["bitmap", "detect", "resize", "grey", "classify"]
