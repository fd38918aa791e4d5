"""Which flags a runner knows, from what it prints for ``--help``."""

from __future__ import annotations

import re

from fer_opt.device.benchmark_model.failures import Failure
from fer_opt.device.benchmark_model.lines import read_lines, tail
from fer_opt.device.benchmark_model.rules import first_match
from fer_opt.errors import RunnerError

__all__ = ["parse_help"]

# A flag's line is its name and default, its type, since 2020 whether it is optional, and what it
# does, padded and separated by tabs (tensorflow/lite/tools/command_line_flags.cc).
_FLAG = re.compile(
    r"\s+--([A-Za-z]\w{0,80})=.{0,400}?[\t ](?:int32|int64|float|bool|string)(?:\s|$)"
)


def parse_help(text: str) -> frozenset[str]:
    """Names of the flags, without ``--``.

    Args:
        text: what the runner printed; the exit status is 1 even where all is well.

    Raises:
        RunnerError: it lists no flags, so it is no benchmark_model or does not run on this phone.
    """
    lines = read_lines(text)
    flags = frozenset(found[1] for line in lines if (found := _FLAG.match(line.text)))
    if "graph" in flags:
        return flags
    raise RunnerError(_no_flags(first_match(lines), tail(lines)))


def _no_flags(failure: Failure | None, last_lines: str) -> str:
    heard = f" (it printed: {last_lines})" if last_lines else " (it printed nothing)"
    if failure is None or failure.blame != "runner":
        return (
            "The runner lists no flags that benchmark_model has when asked for --help, so it is "
            f"none; give another one (--runner){heard}."
        )
    return f"The runner cannot be used: {failure.what}; {failure.way_out}{heard}."
