"""A command of the phone that its daemon answers: getprop, dumpsys, settings and their like."""

from __future__ import annotations

import json
import socket
import sys


def ask(path: str, words: list[str]) -> dict[str, object]:
    """The daemon's answer to a command line: output, error and status.

    Raises:
        OSError: the daemon is not there.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(json.dumps(words).encode("ascii") + b"\n")
        data = b""
        while chunk := connection.recv(1 << 16):
            data += chunk
    answer: dict[str, object] = json.loads(data)
    return answer


def main() -> None:
    """``ask SOCKET NAME ARGUMENT ...``."""
    try:
        answer = ask(sys.argv[1], sys.argv[2:])
    except (OSError, ValueError) as exc:
        sys.exit(f"{sys.argv[2]}: the phone's services do not answer ({exc})")
    sys.stdout.write(str(answer["output"]))
    sys.stderr.write(str(answer["error"]))
    sys.exit(int(str(answer["status"])))


if __name__ == "__main__":
    main()
