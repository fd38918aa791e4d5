"""The thesis's way to classify a photo against the faster way, in one run on this computer.

    python benchmarks/stages.py [--out runs/stages] [--photos FOLDER] [--publish docs/stages.md]

Trains xcao_two_stream on 48x48 faces framed as a detector frames them, makes a float32 file and an
int8 one that takes the crop, and times three pipelines over the 25 built-in scenes (or the photos
of a folder), interleaved in fresh processes: the thesis's way, the same one seeking large faces
only, and the faster way.
Everything is kept in the run folder as it is made; after a kill the same command goes on.
``--publish`` writes the tables between the markers of the page. Where a promise is broken, it is
named and the exit code is 1.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from compression_rows import prepare, recipe_row
from compression_tables import put
from pydantic import TypeAdapter
from stages_tables import broken_promises, stages_tables

from fer_opt.data.images import IMAGE_SUFFIXES
from fer_opt.data.scene_faces import open_scene_faces
from fer_opt.data.scenes import write_scenes
from fer_opt.device.stage_timing import StagesRun
from fer_opt.files import make_folder, write_atomically
from fer_opt.stages import FASTER, THESIS
from fer_opt.stages.timing import StageSettings, TimedPipeline, time_pipelines

LARGE_FACES = dataclasses.replace(THESIS, name="thesis, large faces", least_face=FASTER.least_face)
"""Shows how much of the gain comes from seeking no small faces."""

RUN = TypeAdapter(StagesRun)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/stages"))
    parser.add_argument("--photos", type=Path, help="a folder; default: the built-in scenes")
    parser.add_argument("--architecture", default="xcao_two_stream")
    parser.add_argument("--faces", type=int, default=4000, help="to train on")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--recipe", default="int8(input=crop)", help="of the faster way's file")
    parser.add_argument("--processes", type=int, default=6, help="for each pipeline")
    parser.add_argument("--warm-passes", type=int, default=3)
    parser.add_argument("--publish", type=Path)
    wanted = parser.parse_args(words)
    make_folder(wanted.out)
    photos, source = choose_photos(wanted.photos, wanted.out)
    settings = StageSettings(processes=wanted.processes, warm_passes=wanted.warm_passes)
    run = timed(wanted.out, pipelines_of(wanted), photos, settings, source)
    tables = stages_tables(run)
    print(tables)
    if wanted.publish:
        put(wanted.publish, "stages", tables)
    broken = broken_promises(run)
    for sentence in broken:
        print(f"A promise is broken: {sentence}.", file=sys.stderr)
    return 1 if broken else 0


def choose_photos(folder: Path | None, out: Path) -> tuple[list[Path], str]:
    if folder is None:
        scenes = write_scenes(out / "scenes")
        return [out / "scenes" / scene.name for scene in scenes], (
            "built-in composed scenes, seed 0"
        )
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    return found, str(folder)


def pipelines_of(wanted: argparse.Namespace) -> list[TimedPipeline]:
    """The three, with the files of one trained network."""
    count = wanted.faces
    faces = (open_scene_faces("train", count), open_scene_faces("test", count // 4))
    folder = wanted.out / "model"
    bench = prepare(wanted.architecture, 48, count, count, wanted.epochs, folder, data=faces)
    plain, small = (recipe_row(bench, text) for text in ("float32", wanted.recipe))
    return [
        TimedPipeline(THESIS, bench.folder / plain.path, plain.name),
        TimedPipeline(LARGE_FACES, bench.folder / plain.path, plain.name),
        TimedPipeline(FASTER, bench.folder / small.path, small.name),
    ]


def timed(
    out: Path,
    pipelines: Sequence[TimedPipeline],
    photos: Sequence[Path],
    settings: StageSettings,
    source: str,
) -> StagesRun:
    """Time them, or go on where an earlier call was stopped."""
    kept = out / "stages.json"
    already = RUN.validate_json(kept.read_bytes()) if kept.is_file() else None

    def save(run: StagesRun) -> None:
        write_atomically(kept, RUN.dump_json(run))
        processes = sum(len(one.start_ms) for one in run.pipelines)
        print(f"process {processes} of {settings.processes * len(pipelines)}", flush=True)

    return time_pipelines(pipelines, photos, settings, source=source, already=already, save=save)


if __name__ == "__main__":
    sys.exit(main())
