"""Long commands: in the background of a shell that shows it lives, killed when nobody waits.

A job leads a session of its own, and so does the heart beside it, which prints a mark twice a
second. When the mark cannot be printed any more (the connection is gone) or the shell that waits
for the job has been killed, the heart kills the job with all its descendants and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fer_opt.device.adb.carrier import Carrier
from fer_opt.device.adb.link import Finished
from fer_opt.device.adb.shell import BORN, Started, run_marked

__all__ = ["run_job"]

JOB = f"""{BORN}
g=; command -v setsid >/dev/null 2>&1 && g=setsid
$g "$@" </dev/null &
c=$!
born $c 2>/dev/null
$g sh -c '
trap "" HUP INT PIPE
while sleep 0.5 || sleep 1; do
  kill -0 $3 || break
  echo -n "$1$2b." >&3 || break
done
kill -9 -$4 || kill -9 $4
' heart $x $y $$ $c 3>&1 >/dev/null 2>&1 </dev/null &
h=$!
echo -n "${{a}}p$c,$t."
wait $c 2>/dev/null
s=$?
kill $h 2>/dev/null
echo -n "${{a}}s$s."
"""


def run_job(
    carrier: Carrier,
    words: Sequence[str],
    *,
    timeout_s: float,
    on_start: Callable[[Started], None] = lambda started: None,
) -> Finished:
    """Run a long command; see :meth:`fer_opt.device.adb.link.Link.job`."""
    return run_marked(carrier, JOB, words, timeout_s=timeout_s, on_start=on_start)
