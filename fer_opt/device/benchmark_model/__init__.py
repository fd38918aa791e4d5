"""What ``benchmark_model``, TensorFlow Lite's benchmark tool, is asked and answers; pure functions.

Text and bytes in, frozen values out. Every format of its log since 2018 is read; a run that
measured nothing is an error that names the cause, never a zero.
"""

from fer_opt.device.benchmark_model.command import (
    BenchmarkRequest,
    InputFile,
    build_words,
    check_echo,
    left_out,
)
from fer_opt.device.benchmark_model.delegate import Delegate
from fer_opt.device.benchmark_model.failures import BenchmarkFailedError, Blame, Cause, Failure
from fer_opt.device.benchmark_model.help import parse_help
from fer_opt.device.benchmark_model.log import BenchmarkLog, parse_log
from fer_opt.device.benchmark_model.memory import Memory
from fer_opt.device.benchmark_model.outputs import read_outputs, real_values
from fer_opt.device.benchmark_model.phases import Asked
from fer_opt.device.benchmark_model.profile import (
    OperatorProfile,
    ProfileSection,
    parse_operator_profile,
    parse_profile,
)
from fer_opt.device.benchmark_model.profile_rows import KindRow, ProfileRow

__all__ = [
    "Asked",
    "BenchmarkFailedError",
    "BenchmarkLog",
    "BenchmarkRequest",
    "Blame",
    "Cause",
    "Delegate",
    "Failure",
    "InputFile",
    "KindRow",
    "Memory",
    "OperatorProfile",
    "ProfileRow",
    "ProfileSection",
    "build_words",
    "check_echo",
    "left_out",
    "parse_help",
    "parse_log",
    "parse_operator_profile",
    "parse_profile",
    "read_outputs",
    "real_values",
]
