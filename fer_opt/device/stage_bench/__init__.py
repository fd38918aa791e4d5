"""``stage_bench``, our C program that times bitmap, resize and grey on a phone; pure functions.

Its sources and their build are in the repository's ``device/stage_bench``. What it is asked is
words, what it answers becomes frozen values; a run that is not whole is an error, never a number.
"""

from fer_opt.device.stage_bench.builds import StageBench, builds_folder, choose_stage_bench
from fer_opt.device.stage_bench.command import (
    PhotoRequest,
    StageBenchRequest,
    build_words,
    in_parts,
)
from fer_opt.device.stage_bench.log import PhotoFailure, PhotoStages, StageBenchLog
from fer_opt.device.stage_bench.parse import parse_stages
from fer_opt.device.stage_bench.rows import ProgramFacts

__all__ = [
    "PhotoFailure",
    "PhotoRequest",
    "PhotoStages",
    "ProgramFacts",
    "StageBench",
    "StageBenchLog",
    "StageBenchRequest",
    "build_words",
    "builds_folder",
    "choose_stage_bench",
    "in_parts",
    "parse_stages",
]
