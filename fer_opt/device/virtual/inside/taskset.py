"""``taskset`` as toybox has it: a hexadecimal mask, or -a and -p for a running process.

A phone's CPUs that this computer lacks stand for those it has, in turn.
"""

from __future__ import annotations

import os
import sys


def real_cpus(mask: int, phone_cpus: int, allowed: list[int]) -> set[int]:
    """The computer's CPUs that stand for the phone's in ``mask``; empty where it names none."""
    return {allowed[cpu % len(allowed)] for cpu in range(phone_cpus) if mask >> cpu & 1}


def phone_mask(real: set[int], phone_cpus: int, allowed: list[int]) -> int:
    """The phone's CPUs for which ``real`` stand."""
    return sum(1 << cpu for cpu in range(phone_cpus) if allowed[cpu % len(allowed)] in real)


def main() -> None:
    """``taskset PHONE_CPUS COMPUTER_CPUS [-ap] [MASK] [PID | COMMAND ...]``."""
    phone_cpus, allowed = int(sys.argv[1]), [int(cpu) for cpu in sys.argv[2].split(",")]
    words = sys.argv[3:]
    options = words.pop(0) if words and words[0].startswith("-") else ""
    try:
        if "p" in options:
            of_process(words, phone_cpus, allowed)
            return
        if len(words) < 2:
            sys.exit("taskset: Needs 2 arguments")
        pin(0, words[0], phone_cpus, allowed)
        os.execvp(words[1], words[1:])
    except ValueError:
        sys.exit(f"taskset: bad mask '{words[0]}'")
    except OSError as exc:
        sys.stderr.write(f"taskset: {' '.join(words[1:2])}: {exc.strerror}\n")
        sys.exit(126 if isinstance(exc, PermissionError) else 127)


def of_process(words: list[str], phone_cpus: int, allowed: list[int]) -> None:
    """Tell or set the affinity of a running process."""
    pid = int(words[-1])
    if len(words) > 1:
        pin(pid, words[0], phone_cpus, allowed)
    mask = phone_mask(os.sched_getaffinity(pid), phone_cpus, allowed)
    sys.stdout.write(f"pid {pid}'s current affinity mask: {mask:x}\n")


def pin(pid: int, mask: str, phone_cpus: int, allowed: list[int]) -> None:
    """Set the affinity of a process."""
    cpus = real_cpus(int(mask, 16), phone_cpus, allowed)
    if not cpus:
        sys.exit("taskset: failed to set affinity: Invalid argument")
    os.sched_setaffinity(pid, cpus)


if __name__ == "__main__":
    main()
